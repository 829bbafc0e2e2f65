//! Instructions of the engine's parts, counted by callgrind: the same on every run, whatever else the
//! machine does. `instructions` runs this program under valgrind once for each piece; only what
//! happens inside the function `measured_NAME` is counted.

const std = @import("std");
const builtin = @import("builtin");
const batch = @import("../batch.zig");
const batches = @import("batches.zig");
const Bed = @import("bed.zig").Bed;
const crc32c = @import("../crc32c.zig").crc32c;
const frame = @import("../frame.zig");

const Piece = struct {
    name: [:0]const u8,
    /// Operations of one call.
    count: u32,
    prepare: *const fn () anyerror!void,
    run: *const fn () callconv(.c) void,
};

const pieces = [_]Piece{
    .{ .name = "loop", .count = appends, .prepare = prepare_append, .run = measured_loop },
    .{ .name = "append", .count = appends, .prepare = prepare_append, .run = measured_append },
    .{ .name = "check", .count = appends, .prepare = prepare_append, .run = measured_check },
    .{ .name = "crc", .count = 16, .prepare = prepare_append, .run = measured_crc },
    .{ .name = "lookup", .count = 1000, .prepare = prepare_lookup, .run = measured_lookup },
    .{ .name = "header", .count = 1000, .prepare = prepare_header, .run = measured_header },
    .{ .name = "recovery", .count = 20_000, .prepare = prepare_recovery, .run = measured_recovery },
};

const appends = 40;
const records = 1000;
const value_size = 100;
const crc_bytes = 64 << 10;
const small_bytes = 256;

var bed: Bed = undefined;
var stream: u32 = 0;
var batch_buffer: [1 << 18]u8 = undefined;
var target: [1 << 18]u8 = undefined;
var bytes: []u8 = &.{};
var headers: [1000]frame.Header = undefined;
const header_seed = 7;

fn prepare_append() anyerror!void {
    bed = try .init(.{ .threads = false });
    stream = try bed.stream(0);
    bytes = batches.build(&batch_buffer, value_size, records);
}

/// The least that taking a batch can cost: its checksum and one copy.
export fn measured_loop() callconv(.c) void {
    for (0..appends) |_| {
        std.mem.doNotOptimizeAway(crc32c(0, bytes[batch.crc_start..]));
        @memcpy(target[0..bytes.len], bytes);
        std.mem.doNotOptimizeAway(&target);
    }
}

/// The whole check at the door: header, checksum, and every record.
export fn measured_check() callconv(.c) void {
    for (0..appends) |_| {
        var facts: batch.Facts = undefined;
        batch.check(bytes, &facts);
        if (facts.flaws != 0) @panic("the batch is refused");
    }
}

/// What the loop does, and everything that makes it a log.
export fn measured_append() callconv(.c) void {
    for (0..appends) |index| {
        std.mem.doNotOptimizeAway(crc32c(0, bytes[batch.crc_start..]));
        const taken = bed.append(stream, @intCast(index * records), records, bytes) catch false;
        if (!taken) @panic("the batch is not taken");
    }
}

export fn measured_crc() callconv(.c) void {
    for (0..16) |_| std.mem.doNotOptimizeAway(crc32c(0, batch_buffer[0..crc_bytes]));
}

const lookup_streams = 100;
const lookup_batches = 20_000;

/// Runs of many streams, interleaved, so that a lookup has a chain to go down.
fn fill_small() !void {
    bytes = batches.build(&batch_buffer, small_bytes, 1);
    var ids: [lookup_streams]u32 = undefined;
    for (&ids, 0..) |*id, partition| id.* = try bed.stream(@intCast(partition));
    for (0..lookup_batches) |index| {
        const base: i64 = @intCast(index / lookup_streams);
        if (!try bed.append(ids[index % lookup_streams], base, 1, bytes)) return error.BenchStore;
    }
    stream = ids[7];
}

fn prepare_lookup() anyerror!void {
    bed = try .init(.{ .threads = false });
    try fill_small();
}

/// From the name of a partition to the run that holds an offset.
export fn measured_lookup() callconv(.c) void {
    const store = bed.log();
    for (0..1000) |index| {
        const partition: u32 = @intCast(index % lookup_streams);
        const id = store.streams.find(&@splat(9), partition) orelse @panic("a stream is gone");
        const offset: i64 = @intCast(index * 71 % (lookup_batches / lookup_streams));
        const place = store.directory.floor(store.streams.get(id).?, offset);
        if (place == null) @panic("a run is gone");
        std.mem.doNotOptimizeAway(&place);
    }
}

fn prepare_header() anyerror!void {
    bed = try .init(.{ .threads = false });
    for (&headers, 0..) |*header, index| {
        header.* = std.mem.zeroes(frame.Header);
        header.kind = .batch;
        header.stream = 1;
        header.generation = 1;
        header.offset = @intCast(index * 64);
        header.count = 1;
        header.length = small_bytes;
        header.seal(header_seed);
    }
}

export fn measured_header() callconv(.c) void {
    for (&headers, 0..) |*header, index| {
        if (!header.valid(header_seed, 1, @intCast(index * 64))) @panic("a header is refused");
    }
}

fn prepare_recovery() anyerror!void {
    bed = try .init(.{ .threads = false });
    try fill_small();
    bed.write();
    bed.close_dirty();
}

export fn measured_recovery() callconv(.c) void {
    bed.open() catch @panic("the store does not open");
}

/// The body of `piece NAME`, which valgrind runs.
pub fn run_piece(name: []const u8) !void {
    for (&pieces) |*piece| {
        if (!std.mem.eql(u8, piece.name, name)) continue;
        try piece.prepare();
        piece.run();
        bed.deinit();
        return;
    }
    return error.NoSuchPiece;
}

pub fn run(io: std.Io, allocator: std.mem.Allocator, out: *std.Io.Writer) !void {
    try out.print("{{\"bench\":\"instructions\",\"arch\":\"{s}\"", .{@tagName(builtin.cpu.arch)});
    var counts: [pieces.len]f64 = undefined;
    for (&pieces, &counts) |*piece, *count| {
        const total: f64 = @floatFromInt(try count_piece(io, allocator, piece.name));
        count.* = total / @as(f64, @floatFromInt(piece.count));
        try out.print(",\"{s}\":{d:.1}", .{ piece.name, count.* });
    }
    try out.print(",\"append_to_loop\":{d:.3}}}\n", .{counts[1] / counts[0]});
}

/// Instructions inside `measured_NAME`.
fn count_piece(io: std.Io, allocator: std.mem.Allocator, name: []const u8) !u64 {
    const self = try std.process.executablePathAlloc(io, allocator);
    defer allocator.free(self);

    var toggle_buffer: [64]u8 = undefined;
    const toggle = try std.fmt.bufPrint(&toggle_buffer, "--toggle-collect=measured_{s}", .{name});
    const result = try std.process.run(allocator, io, .{ .argv = &.{
        "valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
        toggle,     self,               "piece",
        name,
    } });
    defer allocator.free(result.stdout);
    defer allocator.free(result.stderr);

    // "==PID== Collected : 7490874"
    const mark = "Collected : ";
    const at = std.mem.indexOf(u8, result.stderr, mark) orelse {
        std.debug.print("{s}\n", .{result.stderr});
        return error.CallgrindSaidNothing;
    };
    const rest = result.stderr[at + mark.len ..];
    const end = std.mem.indexOfNone(u8, rest, "0123456789") orelse rest.len;
    const total = try std.fmt.parseInt(u64, rest[0..end], 10);
    if (result.term != .exited or result.term.exited != 0 or total == 0) {
        std.debug.print("{s}\n", .{result.stderr});
        return error.PieceFailed;
    }
    return total;
}
