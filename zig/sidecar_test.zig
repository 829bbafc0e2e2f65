//! Sidecars from their frame to what a start finds of them: in the ring, in files, behind
//! checkpoints, after crashes, cuts, deletions and recycling.

const std = @import("std");
const testing = std.testing;
const abi = @import("abi_types.zig");
const batches = @import("testing/batches.zig");
const data_dir = @import("data_dir.zig");
const faulty = @import("testing/io.zig");
const frame = @import("frame.zig");
const memory = @import("memory.zig");
const Status = @import("status.zig").Status;

const DataDir = data_dir.DataDirType(faulty.Faulty);
const Store = DataDir.Store;

const segment_bytes = 64 << 10;

const options: abi.OpenOptions = .{
    .log_segment_bytes = segment_bytes,
    .meta_segment_bytes = segment_bytes,
    .log_ring_bytes = 64 << 10,
    .meta_ring_bytes = 64 << 10,
    .streams_max = 100,
    .index_interval = 1024,
    .readers = 1,
    .read_slots = 4,
    .read_slot_bytes = 4 << 10,
    .flags = 0,
    .flush_interval_ms = 1000,
    .fill_bytes_per_s_mib = 0,
    .retention_check_ms = 10,
};

const Node = struct {
    disk: faulty.Disk,
    dir: *DataDir,
    id: u32 = 0,
    end: i64 = 0,

    fn init(node: *Node) !void {
        node.* = .{
            .disk = .init(testing.allocator, .{ .seed = 5, .capacity = 1 << 30 }),
            .dir = &(try memory.reserve(DataDir, 1))[0],
        };
        try node.start();
    }

    fn deinit(node: *Node) void {
        _ = node.dir.close(true);
        memory.release(DataDir, node.dir[0..1]);
        node.disk.deinit();
    }

    fn start(node: *Node) !void {
        node.dir.io = .{ .disk = &node.disk };
        node.dir.threads = false;
        node.dir.wall_ms = null;
        var opened: abi.Opened = .{};
        try testing.expectEqual(.ok, node.dir.open("/data", &options, &opened));
        try testing.expectEqual(0, opened.damaged_ranges);
        var entry: abi.StreamEntry = undefined;
        try testing.expectEqual(.ok, Store.Append.open_stream(node.log(), &@splat(1), 0, &entry));
        node.id = entry.stream;
        node.end = @trunc(entry.end);
    }

    fn kill(node: *Node) !void {
        node.dir.log.deinit();
        node.dir.meta.deinit();
        node.disk.process_kill();
        try node.start();
    }

    fn power_cut(node: *Node) !void {
        node.dir.log.deinit();
        node.dir.meta.deinit();
        node.disk.power_cut(.none);
        try node.start();
    }

    fn log(node: *Node) *Store {
        return &node.dir.log;
    }

    fn work(node: *Node) void {
        for (0..30) |_| {
            _ = Store.Writer.step(node.log());
            _ = Store.Flusher.step(node.log());
            _ = Store.Settler.step(node.log());
            node.disk.clock_ns += std.time.ns_per_ms;
        }
    }

    fn append(node: *Node, producer_id: i64, body: u32, sync: bool) !void {
        var buffer: [16 << 10]u8 = undefined;
        var appended: abi.Appended = undefined;
        while (true) {
            const status = Store.Append.append(node.log(), .{
                .stream = node.id,
                .epoch = 1,
                .needs_sync = sync,
                .count = 1,
                .base = node.end,
                .high_watermark = 0,
                .bytes = batches.batch(&buffer, .{ .body = body, .producer_id = producer_id }),
            }, &appended);
            if (status == .ok) break;
            try testing.expectEqual(.full, status);
            node.work();
        }
        node.end += 1;
    }

    fn sidecar(node: *Node, state: []const u8) !void {
        var appended: abi.Appended = undefined;
        try testing.expectEqual(.ok, Store.Append.sidecar(node.log(), .{
            .stream = node.id,
            .at = node.end,
            .state = state,
        }, &appended));
    }

    fn later(node: *Node, kind: @import("reader.zig").Kind, from: i64, out: []u8) !abi.Completion {
        try testing.expectEqual(.ok, Store.Reader.submit(node.log(), kind, 1, .{
            .stream = node.id,
            .offset = from,
            .limit = node.end,
            .bytes_max = 1 << 20,
            .first_always = true,
        }, .timestamp, 0));
        while (Store.Reader.step(node.log(), 0)) {}
        var poll: abi.Poll = undefined;
        var completions: [1]abi.Completion = undefined;
        var done: abi.Completion = undefined;
        while (true) {
            try testing.expectEqual(.ok, node.log().poll(&poll, &completions));
            try testing.expectEqual(1, poll.completions);
            done = completions[0];
            if (!abi.is_event(done.kind)) break;
        }
        try testing.expectEqual(.ok, Store.Reader.take_slot(node.log(), done.slot, out));
        return done;
    }

    /// What is found, with the offset that it speaks up to.
    fn expect(node: *Node, at: i64, state: []const u8) !void {
        var bytes: [20 << 10]u8 = undefined;
        const found = try node.later(.sidecar, 0, &bytes);
        try testing.expectEqual(@backingInt(abi.CompletionKind.sidecar), found.kind);
        try testing.expectEqual(0, found.status);
        try testing.expectEqual(@as(f64, @floatFromInt(at)), found.first_offset);
        try testing.expectEqualSlices(u8, state, bytes[0..found.bytes]);
    }

    fn expect_none(node: *Node, status: Status) !void {
        var bytes: [20 << 10]u8 = undefined;
        const found = try node.later(.sidecar, 0, &bytes);
        try testing.expectEqual(@backingInt(status), found.status);
        try testing.expectEqual(0, found.bytes);
    }

    /// Everything that was appended lies in sealed segments under a checkpoint.
    fn age(node: *Node) !void {
        for (0..300) |_| try node.append(-1, 1000, true);
        node.disk.clock_ns += 61 * std.time.ns_per_s;
        node.work();
        try testing.expect(node.log().checkpoint.count > 0);
    }
};

test "sidecar: the newest is found in the ring, in the file, and after every kind of start" {
    var node: Node = undefined;
    try node.init();
    defer node.deinit();

    try node.expect_none(.absent);
    for (0..10) |_| try node.append(7, 100, true);
    try node.sidecar("first");
    try node.expect(10, "first");
    for (0..5) |_| try node.append(7, 100, true);
    // Larger than a slot of the readers.
    const large: [9000]u8 = @splat(3);
    try node.sidecar(&large);
    try node.expect(15, &large);
    node.work();
    try node.kill();
    try testing.expectEqual(15, node.end);
    try node.expect(15, &large);
    try node.age();
    try node.expect(15, &large);
    try node.kill();
    try node.expect(15, &large);
    try testing.expectEqual(.ok, node.dir.close(true));
    try node.start();
    try node.expect(15, &large);
}

test "sidecar: one that was torn away leaves the one before, and what that speaks of" {
    var node: Node = undefined;
    try node.init();
    defer node.deinit();

    for (0..3) |_| try node.append(7, 100, true);
    try node.sidecar("kept");
    try node.append(7, 100, true);
    _ = Store.Writer.step(node.log());
    try testing.expectEqual(node.log().staged.load(.seq_cst), node.log().durable.load(.seq_cst));
    try node.append(7, 100, false);
    try node.sidecar("torn");
    const synced = node.log().durable.load(.seq_cst);
    _ = Store.Writer.step(node.log());
    // It asks for no sync, and so it made nobody wait for one.
    try testing.expectEqual(synced, node.log().durable.load(.seq_cst));
    try node.expect(5, "torn");
    try node.power_cut();
    try testing.expectEqual(4, node.end);
    try node.expect(3, "kept");
}

test "sidecar: it keeps no segment, and goes with the one that holds it" {
    var node: Node = undefined;
    try node.init();
    defer node.deinit();

    for (0..10) |_| try node.append(7, 100, true);
    try node.sidecar("old");
    try node.age();
    try node.expect(10, "old");
    var appended: abi.Appended = undefined;
    try testing.expectEqual(.ok, Store.Append.trim(node.log(), node.id, 200, &appended));
    var stats: abi.Stats = undefined;
    for (0..20) |_| {
        node.work();
        node.disk.clock_ns += 2 * std.time.ns_per_s;
        try testing.expectEqual(.ok, node.log().stats_read(&stats));
        if (stats.segments_recycled > 0) break;
    }
    try testing.expect(stats.segments_recycled > 0);
    // The file still holds its bytes: nobody has written over them.
    try node.expect_none(.absent);
    node.disk.clock_ns += 61 * std.time.ns_per_s;
    node.work();
    try node.kill();
    try node.expect_none(.absent);
    try node.sidecar("new");
    try node.expect(node.end, "new");
}

test "sidecar: a cut makes it void, and a stream that is gone has none" {
    var node: Node = undefined;
    try node.init();
    defer node.deinit();

    for (0..10) |_| try node.append(7, 100, true);
    try node.sidecar("cut");
    var appended: abi.Appended = undefined;
    try testing.expectEqual(.ok, Store.Append.truncate(node.log(), node.id, 1, 6, &appended));
    node.end = 6;
    try node.expect_none(.absent);
    node.work();
    try node.kill();
    try testing.expectEqual(6, node.end);
    try node.expect_none(.absent);
    try node.sidecar("gone");
    try testing.expectEqual(.ok, Store.Append.delete_stream(node.log(), node.id));
    node.work();
    try node.kill();
    try node.expect_none(.absent);
}

test "sidecar: a bit of its header is put right, a lost header leaves the one before" {
    const Rot = enum { bit_of_header, header, state };
    for (std.enums.values(Rot)) |rot| {
        var node: Node = undefined;
        try node.init();
        defer node.deinit();

        for (0..10) |_| try node.append(7, 100, true);
        try node.sidecar("older");
        try node.append(7, 100, true);
        const position = node.log().staged.load(.seq_cst);
        try node.sidecar("newer");
        for (0..10) |_| try node.append(7, 100, true);
        node.work();
        const place = if (rot == .state) frame.header_bytes + 18 else 16;
        node.disk.flip_bit("/data/log/0000000000.seg", position + place, 1);
        if (rot == .header) node.disk.flip_bit("/data/log/0000000000.seg", position + place, 2);
        try node.kill();
        switch (rot) {
            .bit_of_header => try node.expect(11, "newer"),
            .header => try node.expect(10, "older"),
            .state => try node.expect_none(.damaged),
        }
        try testing.expectEqual(21, node.end);
        var bytes: [4 << 10]u8 = undefined;
        const headers = try node.later(.headers, 0, &bytes);
        try testing.expectEqual(0, headers.status);
        try testing.expectEqual(21, headers.batches);
    }
}

test "sidecar: it is taken within the credit, and refused when no frame could hold it" {
    var node: Node = undefined;
    try node.init();
    defer node.deinit();

    const state: [3000]u8 = @splat(1);
    const cost: f64 = @floatFromInt(frame.bytes_of(16 + state.len));
    var poll: abi.Poll = undefined;
    try testing.expectEqual(.ok, node.log().poll(&poll, &.{}));
    var credit = poll.credit;
    while (credit >= cost) : (credit -= cost) try node.sidecar(&state);
    var appended: abi.Appended = undefined;
    const large: [segment_bytes / 4]u8 = @splat(1);
    try testing.expectEqual(.invalid, Store.Append.sidecar(node.log(), .{
        .stream = node.id,
        .at = 0,
        .state = &large,
    }, &appended));
    try testing.expectEqual(.stale, Store.Append.sidecar(node.log(), .{
        .stream = 99,
        .at = 0,
        .state = &state,
    }, &appended));
}

test "sidecar: headers are those of producers, page by page, and a page ends within its walk" {
    var node: Node = undefined;
    try node.init();
    defer node.deinit();

    for (0..200) |n| try node.append(if (n % 2 == 0) 7 else -1, 10, true);
    var bytes: [4 << 10]u8 = undefined;
    var from: i64 = 0;
    var count: u32 = 0;
    var pages: u32 = 0;
    while (from < node.end) : (pages += 1) {
        const page = try node.later(.headers, from, &bytes);
        try testing.expectEqual(0, page.status);
        for (0..page.batches) |nth| {
            const header = bytes[nth * 61 ..][0..61];
            try testing.expect(frame.Batch.idempotent(header));
            try testing.expectEqual(count * 2, frame.Batch.base_offset(header));
            count += 1;
        }
        try testing.expect(@as(i64, @trunc(page.next_offset)) > from);
        from = @trunc(page.next_offset);
    }
    try testing.expectEqual(100, count);
    try testing.expectEqual(2, pages);
    // Nothing to tell for long: others get the thread meanwhile.
    while (node.end < 1500) try node.append(-1, 14 << 10, true);
    const page = try node.later(.headers, from, &bytes);
    try testing.expectEqual(0, page.status);
    try testing.expectEqual(0, page.bytes);
    const next: i64 = @trunc(page.next_offset);
    try testing.expect(next > from and next < node.end);
    const last = try node.later(.headers, next, &bytes);
    try testing.expectEqual(@as(f64, @floatFromInt(node.end)), last.next_offset);
}

test "sidecar: headers in front of damage are a page, and the next page is damage" {
    var node: Node = undefined;
    try node.init();
    defer node.deinit();

    for (0..3) |_| try node.append(7, 100, true);
    const position = node.log().staged.load(.seq_cst);
    for (0..100) |_| try node.append(7, 1000, true);
    node.work();
    node.disk.flip_bit("/data/log/0000000000.seg", position + frame.header_bytes + 30, 1);
    var bytes: [20 << 10]u8 = undefined;
    const page = try node.later(.headers, 0, &bytes);
    try testing.expectEqual(0, page.status);
    try testing.expectEqual(3, page.batches);
    try testing.expectEqual(3, page.next_offset);
    const behind = try node.later(.headers, 3, &bytes);
    try testing.expectEqual(@backingInt(Status.damaged), behind.status);
}
