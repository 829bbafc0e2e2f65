//! Latency of single-record Produce requests on one connection, open loop: requests leave on a fixed
//! schedule whatever the answers do, and a latency counts from the intended time of sending, so a
//! stall of the server is charged to every request that it delays. `--closed` sends the next request
//! when the answer to the last has come.
//!
//!   open_loop ADDRESS TOPIC SIZE_BYTES RATE_PER_S COUNT WARMUP_COUNT [--closed]
//!
//! One thread sends and receives. It sleeps in ppoll until 50 us before the next request is due and
//! spins from there, because a sleeping thread wakes up that much late. One JSON line on stdout.

const std = @import("std");
const assert = std.debug.assert;
const c = std.c;
const measure = @import("measure.zig");
const Histogram = measure.Histogram;
const now_ns = measure.now_ns;
const printf = measure.printf;

const ns_per_s = std.time.ns_per_s;
const spin_ns = 50 * std.time.ns_per_us;
/// Requests on the way; a server that falls further behind is sent to later, and that counts.
const in_flight_max = 65_536;
const answer_wait_ns = 30 * ns_per_s;
const record_size_max = 8_192;

extern "c" fn dprintf(fd: c_int, format: [*:0]const u8, ...) c_int;

fn fail(words: [*:0]const u8) noreturn {
    _ = dprintf(2, "open_loop: %s\n", words);
    std.process.exit(1);
}

var latency: Histogram = .{};
/// How late a request left: what the generator itself adds.
var lateness: Histogram = .{};
/// Intended times of the requests on the way, by correlation id modulo the size.
var intended_ns: [in_flight_max]u64 = undefined;

/// Grows from the front; everything on the wire is big-endian.
const Writer = struct {
    bytes: []u8,
    size: usize = 0,

    fn int(writer: *Writer, comptime T: type, value: T) void {
        const size = @divExact(@bitSizeOf(T), 8);
        std.mem.writeInt(T, writer.bytes[writer.size..][0..size], value, .big);
        writer.size += size;
    }

    fn raw(writer: *Writer, bytes: []const u8) void {
        @memcpy(writer.bytes[writer.size..][0..bytes.len], bytes);
        writer.size += bytes.len;
    }

    fn string(writer: *Writer, bytes: []const u8) void {
        writer.int(i16, @intCast(bytes.len));
        writer.raw(bytes);
    }

    /// Zig-zag: -1 is 1, n is 2 n.
    fn varint(writer: *Writer, value: i32) void {
        var rest: u32 = @as(u32, @abs(value)) * 2 - @intFromBool(value < 0);
        while (rest >= 0x80) : (rest >>= 7) writer.int(u8, @truncate(rest | 0x80));
        writer.int(u8, @truncate(rest));
    }
};

fn varint_size(value: usize) usize {
    var size: usize = 1;
    var rest = value * 2;
    while (rest >= 0x80) : (rest >>= 7) size += 1;
    return size;
}

const correlation_at = 8;

/// A whole Produce v7 request, acks = all, one record of `size` bytes without key.
fn request_frame(buffer: []u8, topic: []const u8, size: usize) []u8 {
    var value: [record_size_max]u8 = undefined;
    // Half random, half constant: neither a best nor a worst case for anything that compresses.
    var random = std.Random.DefaultPrng.init(size);
    random.random().bytes(value[0 .. size / 2]);
    @memset(value[size / 2 .. size], 'a');

    const body_size = 3 + 1 + varint_size(size) + size + 1;
    const records_size = varint_size(body_size) + body_size;
    const batch_size = 61 + records_size;
    var writer: Writer = .{ .bytes = buffer };
    writer.int(i32, 0); // frame size, filled in below
    writer.int(i16, 0); // Produce
    writer.int(i16, 7);
    assert(writer.size == correlation_at);
    writer.int(i32, 0); // correlation id, one per request
    writer.string("open_loop");
    writer.int(i16, -1); // transactional id
    writer.int(i16, -1); // acks
    writer.int(i32, 30_000); // timeout
    writer.int(i32, 1); // topics
    writer.string(topic);
    writer.int(i32, 1); // partitions
    writer.int(i32, 0); // partition
    writer.int(i32, @intCast(batch_size));

    writer.int(i64, 0); // base offset
    writer.int(i32, @intCast(batch_size - 12));
    writer.int(i32, -1); // leader epoch
    writer.int(u8, 2); // magic
    const crc_at = writer.size;
    writer.int(u32, 0);
    var wall: c.timespec = undefined;
    assert(c.clock_gettime(.REALTIME, &wall) == 0);
    const timestamp_ms: i64 = @intCast(@divTrunc(wall.nsec, 1_000_000) + wall.sec * 1_000);
    writer.int(i16, 0); // attributes
    writer.int(i32, 0); // last offset delta
    writer.int(i64, timestamp_ms);
    writer.int(i64, timestamp_ms);
    writer.int(i64, -1); // producer id
    writer.int(i16, -1); // producer epoch
    writer.int(i32, -1); // base sequence
    writer.int(i32, 1); // record count
    writer.varint(@intCast(body_size));
    writer.raw(&.{ 0, 0, 0 }); // attributes, timestamp delta, offset delta
    writer.varint(-1); // no key
    writer.varint(@intCast(size));
    writer.raw(value[0..size]);
    writer.int(u8, 0); // headers

    const crc = std.hash.crc.@"CRC-32/ISCSI".hash(buffer[crc_at + 4 .. writer.size]);
    std.mem.writeInt(u32, buffer[crc_at..][0..4], crc, .big);
    std.mem.writeInt(i32, buffer[0..4], @intCast(writer.size - 4), .big);
    return buffer[0..writer.size];
}

fn connect_to(address: []const u8) c.fd_t {
    const colon = std.mem.lastIndexOfScalar(u8, address, ':') orelse fail("ADDRESS is host:port");
    const port = std.fmt.parseInt(u16, address[colon + 1 ..], 10) catch fail("no port in ADDRESS");
    var host: [4]u8 = undefined;
    var parts = std.mem.splitScalar(u8, address[0..colon], '.');
    for (&host) |*byte| {
        const part = parts.next() orelse fail("ADDRESS needs an IPv4 address");
        byte.* = std.fmt.parseInt(u8, part, 10) catch fail("ADDRESS needs an IPv4 address");
    }
    const fd = c.socket(c.AF.INET, c.SOCK.STREAM | c.SOCK.CLOEXEC, 0);
    if (fd < 0) fail("no socket");
    const target: c.sockaddr.in = .{
        .port = std.mem.nativeToBig(u16, port),
        .addr = std.mem.readInt(u32, &host, .native),
    };
    if (c.connect(fd, @ptrCast(&target), @sizeOf(c.sockaddr.in)) != 0) fail("cannot connect");
    const on: c_int = 1;
    assert(c.setsockopt(fd, c.IPPROTO.TCP, c.TCP.NODELAY, &on, @sizeOf(c_int)) == 0);
    return fd;
}

const Run = struct {
    fd: c.fd_t,
    frame: []u8,
    topic_size: usize,
    count: u64,
    warmup: u64,
    interval_ns: u64,
    closed: bool,
    sent: u64 = 0,
    answered: u64 = 0,
    start_ns: u64 = 0,
    input: [64 * 1024]u8 = undefined,
    input_size: usize = 0,

    fn go(run: *Run) void {
        run.start_ns = now_ns() + std.time.ns_per_ms;
        var last_answer_ns = run.start_ns;
        while (run.answered < run.count) {
            const now = now_ns();
            const allowed: u64 = if (run.closed) 1 else in_flight_max;
            const full = run.sent - run.answered >= allowed;
            if (run.sent < run.count and !full and now >= run.due_ns()) run.send(now);
            const answered = run.answered;
            run.receive();
            if (run.answered > answered) {
                last_answer_ns = now_ns();
                continue;
            }
            if (now -| last_answer_ns > answer_wait_ns) fail("no answer for 30 s");
            run.wait();
        }
    }

    fn due_ns(run: *const Run) u64 {
        return run.start_ns + run.sent * run.interval_ns;
    }

    fn send(run: *Run, now: u64) void {
        const due = if (run.closed) now else run.due_ns();
        intended_ns[run.sent % in_flight_max] = due;
        if (run.sent >= run.warmup) lateness.add(now - due);
        std.mem.writeInt(u32, run.frame[correlation_at..][0..4], @truncate(run.sent), .big);
        var start: usize = 0;
        while (start < run.frame.len) {
            const taken = c.send(run.fd, run.frame[start..].ptr, run.frame.len - start, 0);
            if (taken <= 0) fail("the server closed the connection");
            start += @intCast(taken);
        }
        run.sent += 1;
    }

    fn receive(run: *Run) void {
        const room = run.input[run.input_size..];
        const taken = c.recv(run.fd, room.ptr, room.len, c.MSG.DONTWAIT);
        if (taken == 0) fail("the server closed the connection");
        if (taken < 0) return;
        const now = now_ns();
        run.input_size += @intCast(taken);
        var start: usize = 0;
        while (run.input_size - start >= 4) {
            const size: usize = std.mem.readInt(u32, run.input[start..][0..4], .big);
            if (run.input_size - start < 4 + size) break;
            run.take(run.input[start + 4 ..][0..size], now);
            start += 4 + size;
        }
        std.mem.copyForwards(u8, &run.input, run.input[start..run.input_size]);
        run.input_size -= start;
    }

    /// Produce v7 answer: correlation id, one topic, one partition, error code, ...
    fn take(run: *Run, answer: []const u8, now: u64) void {
        const code_at = 4 + 4 + 2 + run.topic_size + 4 + 4;
        if (answer.len < code_at + 2) fail("an answer is too short");
        const id = std.mem.readInt(u32, answer[0..4], .big);
        if (id != @as(u32, @truncate(run.answered))) fail("an answer is out of order");
        const code = std.mem.readInt(i16, answer[code_at..][0..2], .big);
        if (code != 0) {
            _ = dprintf(2, "open_loop: Produce answered error %d\n", @as(c_int, code));
            std.process.exit(1);
        }
        if (run.answered >= run.warmup) {
            latency.add(now - intended_ns[run.answered % in_flight_max]);
        }
        run.answered += 1;
    }

    /// Until an answer comes or the next request is nearly due.
    fn wait(run: *Run) void {
        var pause_ns: u64 = ns_per_s;
        const waiting = run.closed and run.sent > run.answered;
        if (run.sent < run.count and !waiting) {
            const ahead = run.due_ns() -| now_ns();
            if (ahead <= spin_ns) return;
            pause_ns = ahead - spin_ns;
        }
        var fds = [_]c.pollfd{.{ .fd = run.fd, .events = c.POLL.IN, .revents = 0 }};
        const timeout: c.timespec = .{
            .sec = @intCast(pause_ns / ns_per_s),
            .nsec = @intCast(pause_ns % ns_per_s),
        };
        _ = c.ppoll(&fds, 1, &timeout, null);
    }
};

fn print_result(run: *const Run, elapsed_ns: u64) void {
    _ = printf("{\"count\":%llu,", latency.total);
    const rate = @as(f64, @floatFromInt(run.count * ns_per_s)) / @as(f64, @floatFromInt(elapsed_ns));
    _ = printf("\"requests_per_s\":%.0f,", rate);
    latency.print_percentiles();
    measure.print_us("send_late_p50_us", lateness.percentile(0.5));
    measure.print_us("send_late_p99_us", lateness.percentile(0.99));
    _ = printf("\"histogram_ns\":");
    latency.print_buckets();
    _ = printf("}\n");
}

var run_state: Run = undefined;
var frame_buffer: [record_size_max + 1024]u8 = undefined;

pub fn main(init: std.process.Init.Minimal) void {
    var arguments = init.args.iterate();
    _ = arguments.skip();
    const usage = "ADDRESS TOPIC SIZE_BYTES RATE_PER_S COUNT WARMUP_COUNT [--closed]";
    const address = arguments.next() orelse fail(usage);
    const topic = arguments.next() orelse fail(usage);
    var numbers: [4]u64 = undefined;
    for (&numbers) |*number| {
        const text = arguments.next() orelse fail(usage);
        number.* = std.fmt.parseInt(u64, text, 10) catch fail(usage);
    }
    const size, const rate, const count, const warmup = numbers;
    if (size > record_size_max or rate == 0 or count <= warmup or topic.len > 249) fail(usage);
    const closed = if (arguments.next()) |last| std.mem.eql(u8, last, "--closed") else false;
    run_state = .{
        .fd = connect_to(address),
        .frame = request_frame(&frame_buffer, topic, size),
        .topic_size = topic.len,
        .count = count,
        .warmup = warmup,
        .interval_ns = if (closed) 0 else ns_per_s / rate,
        .closed = closed,
    };
    run_state.go();
    print_result(&run_state, now_ns() - run_state.start_ns);
}
