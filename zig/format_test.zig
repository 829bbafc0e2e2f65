//! Files of another version or of another node: never read as ours, never changed, never removed.

const std = @import("std");
const testing = std.testing;
const crc32c = @import("crc32c.zig").crc32c;
const frame = @import("frame.zig");
const model_zig = @import("testing/model.zig");
const Model = model_zig.Model;
const Status = @import("status.zig").Status;

/// A store with a few segments, closed.
fn build(model: *Model) !void {
    try model.init(11);
    errdefer model.deinit();

    try testing.expectEqual(.ok, model.start());
    try model.begin();
    for (0..300) |_| try model.step();
    try testing.expectEqual(.ok, model.dir.close(true));
    model.open = false;
}

const Patch = struct {
    path: [:0]const u8,
    /// Where the version stands, and what the checksum covers and where it lies.
    starts: []const u64,
    record_bytes: usize,
};

/// Raises the version in each copy of a record, with the checksum that goes with it.
fn raise_version(model: *Model, patch: Patch) !void {
    const io = &model.dir.io;
    const file = try io.open(patch.path, .read_write);
    defer io.close(file);

    for (patch.starts) |start| {
        var bytes: [256]u8 = undefined;
        const record = bytes[0..patch.record_bytes];
        try testing.expectEqual(record.len, try io.pread(file, record, start));
        std.mem.writeInt(u32, record[8..12], 2, .little);
        const covered = record.len - 4;
        std.mem.writeInt(u32, record[covered..][0..4], crc32c(0, record[0..covered]), .little);
        try io.pwrite(file, record, start);
    }
    try io.sync(file);
}

test "format: a newer version of any file is refused, and nothing is changed" {
    for ([_]Patch{
        .{ .path = "/data/identity", .starts = &.{ 0, 4096 }, .record_bytes = 64 },
        .{ .path = "/data/boot", .starts = &.{ 0, 4096 }, .record_bytes = 80 },
        .{ .path = "/data/log/0000000000.seg", .starts = &.{ 0, 2048 }, .record_bytes = 80 },
    }) |patch| {
        var model: Model = undefined;
        try build(&model);
        defer model.deinit();

        try raise_version(&model, patch);
        model.disk.process_kill();
        const before = model.disk.names.find(patch.path).?.inode.?;
        try testing.expectEqual(Status.format, model.start());
        try testing.expectEqual(before, model.disk.names.find(patch.path).?.inode.?);
    }
}

test "format: a segment of another disk is set aside" {
    var model: Model = undefined;
    try build(&model);
    defer model.deinit();

    const io = &model.dir.io;
    const path = "/data/log/0000000099.seg";
    var header: frame.SegmentHeader = .{
        .state = .log,
        .cluster_id = @splat(1),
        .disk_id = @splat(2),
        .slot = 99,
        .generation = 1,
        .first_position = 0,
        .segment_bytes = 64 << 10,
        .store = 0,
    };
    header.seal();
    {
        const file = try io.open(path, .create_exclusive);
        defer io.close(file);

        try io.pwrite(file, std.mem.asBytes(&header), 0);
        try io.sync(file);
        try io.sync_dir("/data/log");
    }
    try model.start_and_check();
    var stats: @import("abi_types.zig").Stats = undefined;
    try testing.expectEqual(.ok, model.dir.log.stats_read(&stats));
    try testing.expectEqual(1, stats.files_foreign);
    for (0..300) |_| try model.step();
    const file = try model.dir.io.open(path, .read);
    defer model.dir.io.close(file);

    var bytes: [@sizeOf(frame.SegmentHeader)]u8 = undefined;
    _ = try model.dir.io.pread(file, &bytes, 0);
    try testing.expectEqualSlices(u8, std.mem.asBytes(&header), &bytes);
}

test "format: a store without its identity is not taken for a new one" {
    var model: Model = undefined;
    try build(&model);
    defer model.deinit();

    try model.dir.io.unlink("/data/identity");
    try testing.expectEqual(Status.damaged_directory, model.start());
}
