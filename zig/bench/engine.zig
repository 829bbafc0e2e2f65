//! What one thread gets out of the store: appends of batches of several sizes, each with its whole
//! check, and reads of one batch at random offsets from the ring. Beside them what the machine allows:
//! a pwrite of the same bytes for each batch, and a copy of as many bytes from random places of a
//! mapping. The store's own threads write meanwhile, as in a node. Rates are of the time that the one
//! thread had a processor; waiting for room in the ring counts in `append_N_wall_records_per_s`.

const std = @import("std");
const abi = @import("../abi_types.zig");
const batch = @import("../batch.zig");
const batches = @import("batches.zig");
const Bed = @import("bed.zig").Bed;
const cpu_ns = @import("clock.zig").cpu_ns;
const Io = @import("../io.zig").Real;
const Store = @import("bed.zig").Store;

const value_size = 100;
const bytes_max = 1 << 18;
/// Enough for the ring to be overwritten several times, and for a file to stay in the page cache.
const append_bytes = 512 << 20;
const streams_count = 100;
const read_batches = 200_000;
const reads = 2_000_000;
const stride = 1_000_003;

pub fn run(io: *Io, allocator: std.mem.Allocator, out: *std.Io.Writer) !void {
    const buffer = try allocator.alloc(u8, bytes_max);
    defer allocator.free(buffer);

    try out.print("{{\"bench\":\"engine\",\"value\":{d}", .{value_size});
    inline for (.{ 1, 10, 1000 }) |count| {
        const bytes = batches.build(buffer, value_size, count);
        // Small batches are bounded by their number, or one bench would take minutes.
        const rounds = @min(append_bytes / bytes.len, 1_000_000);
        const appended = try append_rate(io, bytes, count, rounds);
        const written = try write_rate(io, bytes, count, rounds);
        try out.print(",\"append_{d}_records_per_s\":{d:.0}", .{ count, appended.cpu });
        try out.print(",\"append_{d}_wall_records_per_s\":{d:.0}", .{ count, appended.wall });
        try out.print(",\"append_{d}_to_pwrite\":{d:.2}", .{ count, appended.cpu / written.cpu });
    }
    const bytes = batches.build(buffer, value_size, 1);
    const read = try read_rate(io, bytes);
    const copied = try map_rate(io, allocator, bytes);
    const ratio = read.cpu / copied.cpu;
    try out.print(",\"reads_per_s\":{d:.0},\"reads_to_mmap\":{d:.2}}}\n", .{ read.cpu, ratio });
}

/// Of the same work: per second of the clock, and per second that this thread had a processor.
const Rate = struct { wall: f64, cpu: f64 };

const Watch = struct {
    wall_ns: u64,
    thread_ns: u64,

    fn start(io: *Io) Watch {
        return .{ .wall_ns = io.now_ns(), .thread_ns = cpu_ns() };
    }

    fn rate(watch: Watch, io: *Io, count: u64) Rate {
        const done: f64 = @floatFromInt(count);
        return .{
            .wall = done * std.time.ns_per_s / @as(f64, @floatFromInt(io.now_ns() - watch.wall_ns)),
            .cpu = done * std.time.ns_per_s / @as(f64, @floatFromInt(cpu_ns() - watch.thread_ns)),
        };
    }
};

fn append_rate(io: *Io, bytes: []const u8, count: u32, rounds: u64) !Rate {
    var bed: Bed = try .init(.{ .threads = true });
    defer bed.deinit();

    const id = try bed.stream(0);
    const watch: Watch = .start(io);
    for (0..rounds) |round| {
        var facts: batch.Facts = undefined;
        batch.check(bytes, &facts);
        if (facts.flaws != 0) return error.BenchBatchRefused;
        while (!try bed.append(id, @intCast(round * count), count, bytes)) try std.Thread.yield();
    }
    return watch.rate(io, rounds * count);
}

/// One system call for each batch, over and over in as much file as the store has ring.
fn write_rate(io: *Io, bytes: []const u8, count: u32, rounds: u64) !Rate {
    var file: Scratch = try .init(io, 64 << 20);
    defer file.deinit(io);

    const places = file.size / bytes.len;
    const watch: Watch = .start(io);
    for (0..rounds) |round| try io.pwrite(file.file, bytes, round % places * bytes.len);
    return watch.rate(io, rounds * count);
}

fn read_rate(io: *Io, bytes: []const u8) !Rate {
    var bed: Bed = try .init(.{ .threads = true });
    defer bed.deinit();

    var ids: [streams_count]u32 = undefined;
    for (&ids, 0..) |*id, partition| id.* = try bed.stream(@intCast(partition));
    for (0..read_batches) |index| {
        const base: i64 = @intCast(index / streams_count);
        while (!try bed.append(ids[index % streams_count], base, 1, bytes)) try std.Thread.yield();
    }
    var target: [4096]u8 = undefined;
    const watch: Watch = .start(io);
    for (0..reads) |index| {
        const place = index * stride % read_batches;
        var result: abi.ReadResult = undefined;
        const status = Store.Tail.read(bed.log(), .{
            .stream = ids[place % streams_count],
            .offset = @intCast(place / streams_count),
            .limit = read_batches,
            .bytes_max = 1,
            .first_always = true,
        }, &target, &result);
        if (status != .ok or result.batches != 1) return error.BenchReadRefused;
    }
    return watch.rate(io, reads);
}

fn map_rate(io: *Io, allocator: std.mem.Allocator, bytes: []const u8) !Rate {
    var file: Scratch = try .init(io, read_batches * bytes.len);
    defer file.deinit(io);

    const zeros = try allocator.alloc(u8, 1 << 20);
    defer allocator.free(zeros);

    @memset(zeros, 1);
    var at: u64 = 0;
    while (at < file.size) : (at += zeros.len) {
        try io.pwrite(file.file, zeros[0..@min(zeros.len, file.size - at)], at);
    }
    const mapping = try io.map_read(file.file, file.size);
    defer io.unmap(mapping);

    var target: [4096]u8 = undefined;
    const watch: Watch = .start(io);
    for (0..reads) |index| {
        const place = index * stride % read_batches * bytes.len;
        @memcpy(target[0..bytes.len], mapping[place..][0..bytes.len]);
        std.mem.doNotOptimizeAway(&target);
    }
    return watch.rate(io, reads);
}

/// A file that is gone when it is closed.
const Scratch = struct {
    file: @import("../io.zig").File,
    size: usize,

    fn init(io: *Io, size: usize) !Scratch {
        var id: [8]u8 = undefined;
        io.random(&id);
        const root = std.mem.span(std.c.getenv("TMPDIR") orelse "/tmp");
        var buffer: [512]u8 = undefined;
        const path = try std.fmt.bufPrintSentinel(&buffer, "{s}/pyralog-bench-{x}", .{ root, id }, 0);
        const file = try io.open(path, .create_exclusive);
        errdefer io.close(file);

        try io.unlink(path);
        try io.truncate(file, size);
        return .{ .file = file, .size = size };
    }

    fn deinit(scratch: *Scratch, io: *Io) void {
        io.close(scratch.file);
    }
};
