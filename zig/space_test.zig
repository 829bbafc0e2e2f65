//! Room on the disk: retention, recycling, a disk that fills up and is freed again, a start on a
//! full one, the reserve. Over the disk in memory, step by step.

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
    .read_slot_bytes = 20 << 10,
    .flags = 0,
    .flush_interval_ms = 5,
    .fill_bytes_per_s_mib = 0,
    .retention_check_ms = 10,
};

const Node = struct {
    disk: faulty.Disk,
    dir: *DataDir,
    wall: std.atomic.Value(i64) = .init(1_000_000),
    next: [8]i64 = @splat(0),

    fn init(node: *Node, capacity: u64) !void {
        try node.place(capacity);
        try testing.expectEqual(.ok, node.open());
    }

    fn place(node: *Node, capacity: u64) !void {
        node.* = .{
            .disk = .init(testing.allocator, .{ .seed = 7, .capacity = capacity }),
            .dir = &(try memory.reserve(DataDir, 1))[0],
        };
        node.dir.io = .{ .disk = &node.disk };
        node.dir.threads = false;
        node.dir.wall_ms = &node.wall;
    }

    fn open(node: *Node) Status {
        var opened: abi.Opened = .{};
        return node.dir.open("/data", &options, &opened);
    }

    fn deinit(node: *Node) void {
        _ = node.dir.close(true);
        memory.release(DataDir, node.dir[0..1]);
        node.disk.deinit();
    }

    /// The process is killed and started again.
    fn restart(node: *Node) !void {
        node.dir.log.deinit();
        node.dir.meta.deinit();
        node.disk.process_kill();
        try testing.expectEqual(.ok, node.open());
    }

    /// Somebody else takes all the room that is left.
    fn fill_disk(node: *Node) !void {
        const file = try node.dir.io.open("/hog", .create_or_open);
        defer node.dir.io.close(file);

        var size = try node.dir.io.size(file);
        for ([_]u64{ 1 << 20, 4096, 1 }) |step| {
            while (true) : (size += step) node.dir.io.allocate(file, size + step) catch break;
        }
    }

    fn free_disk(node: *Node) !void {
        try node.dir.io.unlink("/hog");
        try node.dir.io.sync_dir("/");
        node.disk.clock_ns += 3 * std.time.ns_per_s;
        for (0..10) |_| node.work();
    }

    /// Appends until the disk is full.
    fn append_to_end(node: *Node, id: u32) !void {
        for (0..10_000) |_| switch (node.append(id, 1500, 1)) {
            .ok => {},
            .full => node.work(),
            .disk_full => return,
            else => |status| try testing.expectEqual(.ok, status),
        };
        return error.TestUnexpectedResult;
    }

    fn log(node: *Node) *Store {
        return &node.dir.log;
    }

    fn stream(node: *Node, partition: u32) !u32 {
        var entry: abi.StreamEntry = undefined;
        try testing.expectEqual(.ok, Store.Append.open_stream(node.log(), &@splat(1), partition, &entry));
        return entry.stream;
    }

    fn append(node: *Node, id: u32, body: u32, timestamp: i64) Status {
        var buffer: [16 << 10]u8 = undefined;
        var appended: abi.Appended = undefined;
        const status = Store.Append.append(node.log(), .{
            .stream = id,
            .epoch = 1,
            .needs_sync = true,
            .count = 1,
            .base = node.next[id],
            .high_watermark = 0,
            .bytes = batches.batch(&buffer, .{ .body = body, .max_timestamp = timestamp }),
        }, &appended);
        if (status == .ok) node.next[id] += 1;
        return status;
    }

    fn work(node: *Node) void {
        for (0..30) |_| {
            _ = Store.Writer.step(node.log());
            _ = Store.Flusher.step(node.log());
            _ = Store.Settler.step(node.log());
            _ = Store.Writer.step(&node.dir.meta);
            _ = Store.Settler.step(&node.dir.meta);
            node.disk.clock_ns += std.time.ns_per_ms;
        }
    }

    fn append_all(node: *Node, id: u32, count: u32, body: u32, timestamp: i64) !void {
        for (0..count) |_| {
            var status = node.append(id, body, timestamp);
            while (status == .full) {
                node.work();
                status = node.append(id, body, timestamp);
            }
            try testing.expectEqual(.ok, status);
        }
        node.work();
    }

    fn poll(node: *Node, completions: []abi.Completion) !abi.Poll {
        var out: abi.Poll = undefined;
        try testing.expectEqual(.ok, node.log().poll(&out, completions));
        return out;
    }

    /// The trim point that retention reports for the stream; -1: none.
    fn trim_due(node: *Node, id: u32) !i64 {
        var due: i64 = -1;
        for (0..10) |_| {
            node.work();
            var completions: [16]abi.Completion = undefined;
            const out = try node.poll(&completions);
            for (completions[0..out.completions]) |*completion| {
                try testing.expectEqual(@backingInt(abi.CompletionKind.trim_due), completion.kind);
                if (completion.stream == id) due = @trunc(completion.next_offset);
            }
        }
        return due;
    }

    fn trim(node: *Node, id: u32, offset: i64) !void {
        var appended: abi.Appended = undefined;
        try testing.expectEqual(.ok, Store.Append.trim(node.log(), id, offset, &appended));
    }

    fn stats(node: *Node) !abi.Stats {
        var out: abi.Stats = undefined;
        try testing.expectEqual(.ok, node.log().stats_read(&out));
        return out;
    }
};

test "space: retention by time takes whole old runs, the open segment's too" {
    var node: Node = undefined;
    try node.init(1 << 30);
    defer node.deinit();

    const id = try node.stream(0);
    const other = try node.stream(1);
    try node.append_all(id, 200, 1500, 1_000_000);
    try node.append_all(other, 10, 1500, 1_000_000);
    try node.append_all(id, 100, 1500, 1_060_000);
    node.wall.store(1_070_000, .monotonic);
    try testing.expectEqual(-1, try node.trim_due(id));
    try testing.expectEqual(.ok, node.log().stream_configure(id, 60_000, -1));
    try testing.expectEqual(200, try node.trim_due(id));
    // Told again until it is done, then no more.
    try testing.expectEqual(200, try node.trim_due(id));
    try node.trim(id, 200);
    try testing.expectEqual(-1, try node.trim_due(id));
    node.wall.store(1_200_000, .monotonic);
    try testing.expectEqual(300, try node.trim_due(id));
    try testing.expectEqual(-1, try node.trim_due(other));
}

test "space: retention by bytes keeps at least what the limit says, bytes follow trims" {
    var node: Node = undefined;
    try node.init(1 << 30);
    defer node.deinit();

    const id = try node.stream(0);
    const body = 1024 - 61 - frame.header_bytes;
    try node.append_all(id, 400, body, 1);
    var entry: abi.StreamEntry = undefined;
    try testing.expectEqual(.ok, node.log().stream_read(id, &entry));
    try testing.expectEqual(400 << 10, entry.bytes);
    try testing.expectEqual(.ok, node.log().stream_configure(id, -1, 100 << 10));
    const due = try node.trim_due(id);
    try testing.expect(due > 290 and due <= 300);
    try node.trim(id, due);
    for (0..5) |_| node.work();
    try testing.expectEqual(.ok, node.log().stream_read(id, &entry));
    const left: f64 = @floatFromInt((400 - due) << 10);
    try testing.expectEqual(left, entry.bytes);
    try testing.expectEqual(-1, try node.trim_due(id));
}

test "space: trimmed and deleted segments are recycled, the disk stays flat" {
    var node: Node = undefined;
    try node.init(1 << 30);
    defer node.deinit();

    const id = try node.stream(0);
    const keeper = try node.stream(1);
    var bytes_before: f64 = 0;
    for (0..12) |round| {
        try node.append_all(id, 150, 1500, 1);
        try node.trim(id, node.next[id] - 20);
        for (0..10) |_| node.work();
        const stats = try node.stats();
        if (round == 3) bytes_before = stats.disk_bytes;
        if (round > 3) try testing.expect(stats.disk_bytes <= bytes_before + 2 * segment_bytes);
    }
    try testing.expect((try node.stats()).segments_recycled > 20);
    // One live batch keeps its segment, and its topic's end frees it.
    try node.append_all(keeper, 1, 100, 1);
    try node.append_all(id, 300, 1500, 1);
    try node.trim(id, node.next[id]);
    node.disk.clock_ns += 61 * std.time.ns_per_s;
    for (0..10) |_| node.work();
    const kept = (try node.stats()).segments_live;
    try testing.expectEqual(.ok, Store.Append.delete_stream(node.log(), keeper));
    node.disk.clock_ns += 61 * std.time.ns_per_s;
    for (0..10) |_| node.work();
    try testing.expect((try node.stats()).segments_live < kept);
}

test "space: a full disk refuses batches, keeps trims, and recovers by itself" {
    var node: Node = undefined;
    try node.init(2 << 20);
    defer node.deinit();

    const id = try node.stream(0);
    try node.append_to_end(id);
    node.work();
    var out = try node.poll(&.{});
    try testing.expectEqual(1, out.disk_state);
    try testing.expectEqual(0, out.failure);
    try testing.expectEqual(out.tail, out.durable);
    // Reads go on, and so do trims; then there is room again.
    var bytes: [16 << 10]u8 = undefined;
    var result: abi.ReadResult = undefined;
    try testing.expectEqual(.ok, Store.Tail.read(node.log(), .{
        .stream = id,
        .offset = node.next[id] - 1,
        .limit = node.next[id],
        .bytes_max = 16 << 10,
        .first_always = true,
    }, &bytes, &result));
    try node.trim(id, node.next[id] - 5);
    for (0..100) |_| node.work();
    out = try node.poll(&.{});
    try testing.expectEqual(0, out.disk_state);
    try node.append_all(id, 100, 1500, 1);
}

test "space: the metadata store takes the reserve when the disk is full, and gives it back" {
    var node: Node = undefined;
    try node.init(64 << 20);
    defer node.deinit();

    try testing.expect(node.disk.names.find("/data/reserve") != null);
    try node.fill_disk();
    const meta = &node.dir.meta;
    var entry: abi.StreamEntry = undefined;
    try testing.expectEqual(.ok, Store.Append.open_stream(meta, &@splat(0), 0, &entry));
    var buffer: [16 << 10]u8 = undefined;
    for (0..200) |n| {
        var appended: abi.Appended = undefined;
        var status: Status = .full;
        for (0..1000) |_| {
            status = Store.Append.append(meta, .{
                .stream = entry.stream,
                .epoch = 1,
                .needs_sync = true,
                .count = 1,
                .base = @intCast(n),
                .high_watermark = 0,
                .bytes = batches.batch(&buffer, .{ .body = 1500 }),
            }, &appended);
            if (status == .ok) break;
            node.work();
        }
        try testing.expectEqual(.ok, status);
    }
    try testing.expect(node.disk.names.find("/data/reserve") == null);
    try node.free_disk();
    try testing.expect(node.disk.names.find("/data/reserve") != null);
}

test "space: a start on a full disk reads and deletes, and what it deletes makes room" {
    var node: Node = undefined;
    try node.init(1 << 30);
    defer node.deinit();

    const id = try node.stream(0);
    const keeper = try node.stream(1);
    try node.append_all(id, 300, 1500, 1);
    try node.append_all(keeper, 1, 100, 1);
    try node.fill_disk();
    for (0..3) |_| {
        try node.append_to_end(id);
        try node.restart();
        node.work();
        try testing.expectEqual(1, (try node.poll(&.{})).disk_state);
    }
    var entry: abi.StreamEntry = undefined;
    try testing.expectEqual(.ok, node.log().stream_read(id, &entry));
    node.next[id] = @trunc(entry.end);
    const live = (try node.stats()).segments_live;
    try testing.expectEqual(.ok, Store.Append.delete_stream(node.log(), id));
    for (0..10) |_| {
        node.disk.clock_ns += 2 * std.time.ns_per_s;
        node.work();
    }
    try testing.expectEqual(0, (try node.poll(&.{})).disk_state);
    try testing.expect((try node.stats()).segments_live < live);
    try node.append_all(keeper, 100, 1500, 1);
}

test "space: a start on a full disk without a reserve waits for room from elsewhere" {
    var node: Node = undefined;
    try node.init(1 << 30);
    defer node.deinit();

    const id = try node.stream(0);
    try node.append_all(id, 100, 1500, 1);
    try testing.expect(try node.dir.reserve.release());
    try node.fill_disk();
    for (0..3) |_| {
        try node.restart();
        try node.append_to_end(id);
        node.work();
        try testing.expectEqual(1, (try node.poll(&.{})).disk_state);
    }
    try node.free_disk();
    try testing.expectEqual(0, (try node.poll(&.{})).disk_state);
    try node.append_all(id, 100, 1500, 1);
    try testing.expect(node.disk.names.find("/data/reserve") != null);
}

test "space: a reserve that cannot be removed is no reserve that is not there" {
    var node: Node = undefined;
    try node.init(1 << 30);
    defer node.deinit();

    const reserve = &node.dir.reserve;
    for ([_]faulty.Site{ .unlink, .sync_dir }) |site| {
        try testing.expect(node.disk.names.find("/data/reserve") != null);
        node.disk.plan(.{ .site = site, .fault = .io });
        try testing.expectError(error.Io, reserve.release());
        try testing.expectEqual(0, node.disk.plans_count);
        // Looked at again a second later, and made again if it is gone.
        node.disk.clock_ns += 2 * std.time.ns_per_s;
        try testing.expect(try reserve.restore());
    }
    try testing.expect(try reserve.release());
    try testing.expect(!try reserve.release());
}

test "space: a start that may not remove the reserve fails for that, and not for room" {
    var node: Node = undefined;
    try node.place(1 << 30);
    defer node.deinit();

    // The log has its segment and the reserve is made: the metadata has no room.
    node.disk.plan(.{ .site = .allocate, .fault = .no_space, .nth = 1, .suffix = ".seg" });
    node.disk.plan(.{ .site = .unlink, .fault = .io, .suffix = "reserve" });
    try testing.expectEqual(.io, node.open());
    try testing.expectEqual(0, node.disk.plans_count);
    try testing.expectEqual(.ok, node.open());
}

test "space: the streams of a store are listed page by page" {
    var node: Node = undefined;
    try node.init(1 << 30);
    defer node.deinit();

    for (0..7) |partition| _ = try node.stream(@intCast(partition));
    try testing.expectEqual(.ok, Store.Append.delete_stream(node.log(), 3));
    var names: [3]abi.StreamName = undefined;
    var page: abi.StreamPage = .{ .next = 1 };
    var found: [8]bool = @splat(false);
    while (page.next != 0) {
        try testing.expectEqual(.ok, node.log().stream_list(page.next, &names, &page));
        for (names[0..page.count]) |*name| {
            try testing.expectEqual(name.stream - 1, name.partition);
            try testing.expectEqual(@as([16]u8, @splat(1)), name.topic_id);
            found[name.stream] = true;
        }
    }
    try testing.expectEqual([_]bool{ false, true, true, false, true, true, true, true }, found);
}

test "space: a snapshot is replaced whole, and a damaged one has a predecessor" {
    var node: Node = undefined;
    try node.init(1 << 30);
    defer node.deinit();

    const meta = &node.dir.meta;
    var out: abi.Snapshot = undefined;
    var bytes: [100]u8 = undefined;
    try testing.expectEqual(.not_found, Store.Snapshots.read(meta, &out, &bytes));
    for ([_]u64{ 10, 20, 30 }) |index| {
        var text: [50]u8 = @splat(@intCast(index));
        try testing.expectEqual(.ok, Store.Snapshots.write(meta, 9, index, &text));
        try testing.expectEqual(.busy, Store.Snapshots.write(meta, 9, index, &text));
        try testing.expect(Store.Settler.step(meta));
        var completions: [4]abi.Completion = undefined;
        var polled: abi.Poll = undefined;
        try testing.expectEqual(.ok, meta.poll(&polled, &completions));
        try testing.expectEqual(1, polled.completions);
        try testing.expectEqual(@backingInt(abi.CompletionKind.snapshot), completions[0].kind);
        try testing.expectEqual(0, completions[0].status);
        try testing.expectEqual(9, completions[0].request);
    }
    try testing.expectEqual(.too_small, Store.Snapshots.read(meta, &out, bytes[0..10]));
    try testing.expectEqual(50, out.bytes);
    try testing.expectEqual(.ok, Store.Snapshots.read(meta, &out, &bytes));
    try testing.expectEqual(30, out.index);
    try testing.expectEqual(30, bytes[49]);
    node.disk.flip_bit("/data/meta/snapshot-0000000000000030", 80, 1);
    try testing.expectEqual(.ok, Store.Snapshots.read(meta, &out, &bytes));
    try testing.expectEqual(20, out.index);
    try testing.expect(node.disk.names.find("/data/meta/snapshot-0000000000000010") == null);
}
