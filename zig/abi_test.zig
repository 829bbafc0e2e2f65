//! The exported calls: handles that are stale, numbers that are none, a directory from start to
//! stop. What the calls do is tested where it is done.

const std = @import("std");
const testing = std.testing;
const abi = @import("abi.zig");
const batches = @import("testing/batches.zig");
const place_zig = @import("store_test.zig");

fn call(comptime name: []const u8) blk: {
    for (abi.functions) |function| {
        if (std.mem.eql(u8, function[0], name)) break :blk @TypeOf(function[2]);
    }
    unreachable;
} {
    inline for (abi.functions) |function| {
        if (comptime std.mem.eql(u8, function[0], name)) return function[2];
    }
    unreachable;
}

fn nothing() callconv(.c) void {}

test "abi: a directory opens, takes and gives a batch, and closes" {
    var place: place_zig.Place = .{};
    try place.init();
    defer place.remove();

    var opened: abi.Opened = undefined;
    const path = place.path();
    const options = place_zig.options;
    try testing.expectEqual(.ok, call("dir_open")(path.ptr, path.len, &options, &opened));
    try testing.expectEqual(.ok, call("store_attach")(opened.log, &nothing));
    var entry: abi.StreamEntry = undefined;
    const topic: [16]u8 = @splat(1);
    try testing.expectEqual(.ok, call("stream_open")(opened.log, &topic, 16, 0, &entry));
    try testing.expectEqual(.invalid, call("stream_open")(opened.log, &topic, 15, 0, &entry));
    var buffer: [200]u8 = undefined;
    const batch = batches.batch(&buffer, .{ .count = 2 });
    var appended: abi.Appended = undefined;
    const append = call("append");
    const id = entry.stream;
    for ([_]f64{ -1, 0.5, std.math.nan(f64), std.math.inf(f64), 1 << 53 }) |base| {
        const status = append(opened.log, id, 1, 1, 2, base, 0, -1, batch.ptr, batch.len, &appended);
        try testing.expectEqual(.invalid, status);
    }
    const log = opened.log;
    // The count is the batch's own; a batch is whole.
    try testing.expectEqual(.invalid, append(log, id, 1, 1, 3, 0, 0, -1, batch.ptr, batch.len, &appended));
    const short = batch.len - 1;
    try testing.expectEqual(.invalid, append(log, id, 1, 1, 2, 0, 0, -1, batch.ptr, short, &appended));
    try testing.expectEqual(.stale, append(log, id + 7, 1, 1, 2, 0, 0, -1, batch.ptr, batch.len, &appended));
    try testing.expectEqual(.ok, append(log, id, 1, 1, 2, 0, 0, 5000, batch.ptr, batch.len, &appended));
    const sidecar = call("sidecar");
    for ([_]f64{ -1, 0.5, std.math.nan(f64) }) |at| {
        try testing.expectEqual(.invalid, sidecar(log, id, at, &buffer, buffer.len, &appended));
    }
    try testing.expectEqual(.stale, sidecar(log, id + 7, 2, &buffer, buffer.len, &appended));
    try testing.expectEqual(.ok, sidecar(log, id, 2, &buffer, buffer.len, &appended));
    try testing.expectEqual(.ok, sidecar(log, id, 2, &buffer, 0, &appended));
    try testing.expectEqual(.stale, call("sidecar_later")(log, 1, id + 7));
    var result: abi.ReadResult = undefined;
    var bytes: [200]u8 = undefined;
    const read = call("read");
    try testing.expectEqual(.ok, read(log, id, 0, 2, 1000, 1, &bytes, bytes.len, &result));
    try testing.expectEqual(batch.len, result.bytes);
    try testing.expectEqual(5000, result.max_timestamp);
    try testing.expect(@import("frame.zig").Batch.sound(bytes[0..batch.len]));
    try testing.expectEqual(.too_small, read(log, id, 0, 2, 1000, 1, &bytes, 10, &result));
    try testing.expectEqual(batch.len, result.bytes);
    try testing.expectEqual(.out_of_range, read(log, id, 3, 9, 1000, 1, &bytes, bytes.len, &result));
    // A batch that reaches beyond the limit is not given.
    try testing.expectEqual(.ok, read(log, id, 0, 1, 1000, 1, &bytes, bytes.len, &result));
    try testing.expectEqual(0, result.bytes);
    try testing.expectEqual(.stale, call("slot_take")(log, 0, &bytes, bytes.len));
    try testing.expectEqual(.ok, call("store_detach")(log));
    try testing.expectEqual(.ok, call("dir_close")(opened.dir, 1));
    // Everything that was known of the directory is stale or closed now.
    try testing.expectEqual(.stale, call("dir_close")(opened.dir, 1));
    try testing.expectEqual(.closed, read(log, id, 0, 1, 1000, 1, &bytes, bytes.len, &result));
    try testing.expectEqual(.closed, call("trim")(log, id, 1, &appended));
    try testing.expectEqual(.stale, call("trim")(log ^ 0x10, id, 1, &appended));
    try testing.expectEqual(.stale, call("trim")(opened.dir, id, 1, &appended));
    var again: abi.Opened = undefined;
    try testing.expectEqual(.ok, call("dir_open")(path.ptr, path.len, &options, &again));
    try testing.expect(again.log != opened.log);
    try testing.expectEqual(1, again.boot_kind);
    try testing.expectEqual(2, again.starts);
    try testing.expectEqual(.stale, call("trim")(log, id, 1, &appended));
    try testing.expectEqual(.ok, call("dir_close")(again.dir, 1));
}

test "abi: options that make no sense are refused before anything is touched" {
    var opened: abi.Opened = undefined;
    const path = "/nowhere/at/all";
    const dir_open = call("dir_open");
    const good = place_zig.options;
    try testing.expectEqual(.not_found, dir_open(path.ptr, path.len, &good, &opened));
    inline for (.{
        .{ "log_segment_bytes", 1000 }, .{ "log_segment_bytes", 1 << 31 },
        .{ "log_segment_bytes", -1 },   .{ "meta_ring_bytes", (1 << 20) + 1 },
        .{ "streams_max", 0 },          .{ "streams_max", (1 << 20) + 1 },
        .{ "readers", 0 },              .{ "readers", 1000 },
        .{ "read_slots", 0 },           .{ "read_slot_bytes", 1000 },
        .{ "index_interval", 1 },
    }) |case| {
        var options = good;
        @field(options, case[0]) = case[1];
        try testing.expectEqual(.invalid, dir_open(path.ptr, path.len, &options, &opened));
    }
    try testing.expectEqual(.invalid, dir_open(path.ptr, 0, &good, &opened));
}
