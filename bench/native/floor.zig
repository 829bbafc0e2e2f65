//! Physical limits of this machine, measured with as little code as there can be.
//!
//!   floor receive DIR BYTES FRAME_BYTES    take bytes from loopback TCP, CRC-32C, write to a file
//!   floor send BYTES FRAME_BYTES           send bytes from memory over loopback TCP
//!   floor sync DIR RATE_PER_S COUNT WARMUP one 4 KiB pwrite per tick, fdatasync, open loop
//!
//! One JSON line on stdout. CPU is user + system of the measured end alone; the other end of the
//! connection is a process of its own.

const std = @import("std");
const assert = std.debug.assert;
const c = std.c;
const measure = @import("measure.zig");
const printf = measure.printf;
const now_ns = measure.now_ns;

const ns_per_s = std.time.ns_per_s;
const frame_size_max = 4 << 20;
const page_size = 4096;
/// As much as the log writes before it starts on a segment that was written before.
const sync_file_size = 64 << 20;
const spin_ns = 50 * std.time.ns_per_us;

extern "c" fn dprintf(fd: c_int, format: [*:0]const u8, ...) c_int;

fn fail(words: [*:0]const u8) noreturn {
    _ = dprintf(2, "floor: %s\n", words);
    std.process.exit(1);
}

const usage = "receive DIR BYTES FRAME_BYTES | send BYTES FRAME_BYTES | " ++
    "sync DIR RATE_PER_S COUNT WARMUP_COUNT";

var frame: [frame_size_max]u8 = undefined;

fn fill_frame() void {
    // Half random, half constant, as the records of the load generators.
    var random = std.Random.DefaultPrng.init(1);
    var start: usize = 0;
    while (start < frame.len) : (start += 128) {
        random.random().bytes(frame[start..][0..64]);
        @memset(frame[start + 64 ..][0..64], 'a');
    }
}

const Listener = struct { fd: c.fd_t, address: c.sockaddr.in };

fn listen() Listener {
    const fd = c.socket(c.AF.INET, c.SOCK.STREAM | c.SOCK.CLOEXEC, 0);
    if (fd < 0) fail("no socket");
    var address: c.sockaddr.in = .{ .port = 0, .addr = std.mem.nativeToBig(u32, 0x7f000001) };
    var size: c.socklen_t = @sizeOf(c.sockaddr.in);
    if (c.bind(fd, @ptrCast(&address), size) != 0) fail("cannot bind");
    if (c.listen(fd, 1) != 0) fail("cannot listen");
    if (c.getsockname(fd, @ptrCast(&address), &size) != 0) fail("no address");
    return .{ .fd = fd, .address = address };
}

fn connect(listener: *const Listener) c.fd_t {
    const fd = c.socket(c.AF.INET, c.SOCK.STREAM | c.SOCK.CLOEXEC, 0);
    if (fd < 0) fail("no socket");
    if (c.connect(fd, @ptrCast(&listener.address), @sizeOf(c.sockaddr.in)) != 0) {
        fail("cannot connect");
    }
    return fd;
}

fn accept(listener: *const Listener) c.fd_t {
    const fd = c.accept(listener.fd, null, null);
    if (fd < 0) fail("cannot accept");
    return fd;
}

fn send_all(fd: c.fd_t, bytes: []const u8) void {
    var start: usize = 0;
    while (start < bytes.len) {
        const taken = c.send(fd, bytes[start..].ptr, bytes.len - start, 0);
        if (taken <= 0) fail("the connection broke");
        start += @intCast(taken);
    }
}

fn receive_all(fd: c.fd_t, bytes: []u8) void {
    var start: usize = 0;
    while (start < bytes.len) {
        const taken = c.recv(fd, bytes[start..].ptr, bytes.len - start, 0);
        if (taken <= 0) fail("the connection broke");
        start += @intCast(taken);
    }
}

fn write_all(fd: c.fd_t, bytes: []const u8, position: u64) void {
    var start: usize = 0;
    while (start < bytes.len) {
        const at: c.off_t = @intCast(position + start);
        const taken = c.pwrite(fd, bytes[start..].ptr, bytes.len - start, at);
        if (taken <= 0) fail("cannot write");
        start += @intCast(taken);
    }
}

/// A file without a name: it is gone when the process is.
fn scratch_file(dir: []const u8) c.fd_t {
    var buffer: [4096]u8 = undefined;
    const path = std.fmt.bufPrintSentinel(&buffer, "{s}/floor.{d}", .{ dir, c.getpid() }, 0) catch
        fail("DIR is too long");
    const flags: c.O = .{ .ACCMODE = .RDWR, .CREAT = true, .EXCL = true, .CLOEXEC = true };
    const fd = c.open(path, flags, @as(c_uint, 0o600));
    if (fd < 0) fail("cannot create a file in DIR");
    _ = c.unlink(path);
    return fd;
}

fn cpu_seconds() f64 {
    var used: c.rusage = undefined;
    assert(c.getrusage(c.rusage.SELF, &used) == 0);
    const whole: f64 = @floatFromInt(used.utime.sec + used.stime.sec);
    const micros: f64 = @floatFromInt(used.utime.usec + used.stime.usec);
    return whole + micros / 1_000_000;
}

/// Both ends run at once; the parent is the measured one.
fn stream(file: ?c.fd_t, bytes: u64, frame_size: usize) void {
    if (frame_size == 0 or frame_size > frame.len) fail("FRAME_BYTES is out of range");
    fill_frame();
    const count = bytes / frame_size;
    const listener = listen();
    const child = c.fork();
    if (child < 0) fail("cannot fork");
    if (child == 0) {
        const fd = connect(&listener);
        if (file != null) {
            for (0..count) |_| send_all(fd, frame[0..frame_size]);
        } else {
            for (0..count) |_| receive_all(fd, frame[0..frame_size]);
        }
        c._exit(0);
    }
    const fd = accept(&listener);
    const start_ns = now_ns();
    const start_cpu = cpu_seconds();
    var crc: u32 = 0;
    for (0..count) |index| {
        if (file) |out| {
            receive_all(fd, frame[0..frame_size]);
            crc ^= std.hash.crc.@"CRC-32/ISCSI".hash(frame[0..frame_size]);
            write_all(out, frame[0..frame_size], index * frame_size);
        } else {
            send_all(fd, frame[0..frame_size]);
        }
    }
    const cpu = cpu_seconds() - start_cpu;
    const elapsed: f64 = @floatFromInt(now_ns() - start_ns);
    _ = c.waitpid(child, null, 0);
    _ = printf(
        "{\"bytes\":%llu,\"seconds\":%.6f,\"cpu_s\":%.6f,\"crc\":%u}\n",
        @as(u64, count * frame_size),
        elapsed / ns_per_s,
        cpu,
        crc,
    );
}

var durable: measure.Histogram = .{};

/// The least that a synced acknowledgement can cost at this rate: the cores sleep between two ticks
/// as they do under a server. An unpaced loop keeps them awake and flatters.
fn sync(file: c.fd_t, rate: u64, count: u64, warmup: u64) void {
    if (rate == 0 or count <= warmup) fail(usage);
    fill_frame();
    var position: u64 = 0;
    while (position < sync_file_size) : (position += 1 << 20) {
        write_all(file, frame[0 .. 1 << 20], position);
    }
    if (c.fdatasync(file) != 0) fail("cannot sync");
    const interval_ns = ns_per_s / rate;
    const start_ns = now_ns() + std.time.ns_per_ms;
    var index: u64 = 0;
    while (index < count) {
        wait_until(start_ns + index * interval_ns);
        // All ticks that are due by now share one sync, as they would in any log.
        const first = index;
        const now = now_ns();
        while (index < count and start_ns + index * interval_ns <= now) : (index += 1) {
            write_all(file, frame[0..page_size], index * page_size % sync_file_size);
        }
        if (c.fdatasync(file) != 0) fail("cannot sync");
        const end_ns = now_ns();
        for (@max(first, warmup)..@max(index, warmup)) |tick| {
            durable.add(end_ns - (start_ns + tick * interval_ns));
        }
    }
    _ = printf("{\"count\":%llu,", durable.total);
    durable.print_percentiles();
    _ = printf("\"histogram_ns\":");
    durable.print_buckets();
    _ = printf("}\n");
}

fn wait_until(due_ns: u64) void {
    while (true) {
        const ahead = due_ns -| now_ns();
        if (ahead == 0) return;
        if (ahead <= spin_ns) continue;
        const pause: c.timespec = .{
            .sec = @intCast((ahead - spin_ns) / ns_per_s),
            .nsec = @intCast((ahead - spin_ns) % ns_per_s),
        };
        _ = c.nanosleep(&pause, null);
    }
}

fn number(text: ?[]const u8) u64 {
    return std.fmt.parseInt(u64, text orelse fail(usage), 10) catch fail(usage);
}

pub fn main(init: std.process.Init.Minimal) void {
    var arguments = init.args.iterate();
    _ = arguments.skip();
    const mode = arguments.next() orelse fail(usage);
    if (std.mem.eql(u8, mode, "send")) {
        const bytes = number(arguments.next());
        return stream(null, bytes, number(arguments.next()));
    }
    const file = scratch_file(arguments.next() orelse fail(usage));
    if (std.mem.eql(u8, mode, "receive")) {
        const bytes = number(arguments.next());
        return stream(file, bytes, number(arguments.next()));
    }
    if (!std.mem.eql(u8, mode, "sync")) fail(usage);
    const rate = number(arguments.next());
    const count = number(arguments.next());
    sync(file, rate, count, number(arguments.next()));
}
