//! The store over real files: what a node does with it from start to restart.

const std = @import("std");
const testing = std.testing;
const abi = @import("abi_types.zig");
const batches = @import("testing/batches.zig");
const data_dir = @import("data_dir.zig");
const io_zig = @import("io.zig");
const memory = @import("memory.zig");

const DataDir = data_dir.DataDirType(io_zig.Real);
const Store = DataDir.Store;

pub const options: abi.OpenOptions = .{
    .log_segment_bytes = 1 << 20,
    .meta_segment_bytes = 1 << 20,
    .log_ring_bytes = 1 << 20,
    .meta_ring_bytes = 1 << 20,
    .streams_max = 1000,
    .index_interval = 4096,
    .readers = 2,
    .read_slots = 8,
    .read_slot_bytes = 1 << 20,
    .flags = 0,
    .flush_interval_ms = 50,
    .fill_bytes_per_s_mib = 0,
    .retention_check_ms = 10_000,
};

pub const Place = struct {
    buffer: [256]u8 = undefined,
    len: usize = 0,

    pub fn init(place: *Place) !void {
        var io: io_zig.Real = .{};
        var id: [8]u8 = undefined;
        io.random(&id);
        const root = std.mem.span(std.c.getenv("TMPDIR") orelse "/tmp");
        const text = try std.fmt.bufPrint(&place.buffer, "{s}/pyralog-store-{x}", .{ root, id });
        place.len = text.len;
    }

    pub fn path(place: *const Place) []const u8 {
        return place.buffer[0..place.len];
    }

    pub fn remove(place: *const Place) void {
        var io: io_zig.Real = .{};
        for ([_][]const u8{ "/log", "/meta", "" }) |name| {
            const Sweep = struct {
                io: *io_zig.Real,
                dir: []const u8,

                fn add(sweep: *@This(), file: [:0]const u8) void {
                    var buffer: [512]u8 = undefined;
                    const full = std.fmt.bufPrintSentinel(&buffer, "{s}/{s}", .{ sweep.dir, file }, 0) catch return;
                    sweep.io.unlink(full) catch {};
                }
            };
            var buffer: [512]u8 = undefined;
            const dir = std.fmt.bufPrintSentinel(&buffer, "{s}{s}", .{ place.path(), name }, 0) catch return;
            var sweep: Sweep = .{ .io = &io, .dir = dir };
            io.list(dir, &sweep, Sweep.add) catch {};
            _ = std.c.rmdir(dir);
        }
    }
};

const Node = struct {
    dir: *DataDir,
    opened: abi.Opened,

    fn open(place: *const Place) !Node {
        const dirs = try memory.reserve(DataDir, 1);
        dirs[0].io = .{};
        dirs[0].threads = true;
        var node: Node = .{ .dir = &dirs[0], .opened = .{} };
        try testing.expectEqual(.ok, node.dir.open(place.path(), &options, &node.opened));
        return node;
    }

    fn close(node: *Node, clean: bool) !void {
        try testing.expectEqual(.ok, node.dir.close(clean));
        memory.release(DataDir, node.dir[0..1]);
    }

    fn log(node: *Node) *Store {
        return &node.dir.log;
    }

    fn stream(node: *Node, partition: u32) !abi.StreamEntry {
        var entry: abi.StreamEntry = undefined;
        try testing.expectEqual(.ok, Store.Append.open_stream(node.log(), &@splat(9), partition, &entry));
        return entry;
    }

    fn append(node: *Node, id: u32, base: i64, body: u32) !f64 {
        var buffer: [1 << 18]u8 = undefined;
        var appended: abi.Appended = undefined;
        while (true) {
            const status = Store.Append.append(node.log(), .{
                .stream = id,
                .epoch = 1,
                .needs_sync = true,
                .count = 1,
                .base = base,
                .high_watermark = base,
                .bytes = batches.batch(&buffer, .{ .body = body, .seed = @intCast(base) }),
            }, &appended);
            if (status == .full) {
                try std.Thread.yield();
                continue;
            }
            try testing.expectEqual(.ok, status);
            return appended.ticket;
        }
    }

    fn wait_durable(node: *Node, ticket: f64) !void {
        while (true) {
            var poll: abi.Poll = undefined;
            var none: [0]abi.Completion = .{};
            try testing.expectEqual(.ok, node.log().poll(&poll, &none));
            try testing.expectEqual(0, poll.failure);
            if (poll.durable >= ticket) return;
            try std.Thread.yield();
        }
    }

    fn read_later(node: *Node, id: u32, offset: i64, out: []u8) !abi.Completion {
        try testing.expectEqual(.ok, Store.Reader.submit(node.log(), .read, 77, .{
            .stream = id,
            .offset = offset,
            .limit = 1 << 40,
            .bytes_max = 1 << 20,
            .first_always = true,
        }, .timestamp, 0));
        while (true) {
            var poll: abi.Poll = undefined;
            var completions: [4]abi.Completion = undefined;
            try testing.expectEqual(.ok, node.log().poll(&poll, &completions));
            if (poll.completions == 0) {
                try std.Thread.yield();
                continue;
            }
            const done = completions[0];
            try testing.expectEqual(.ok, Store.Reader.take_slot(node.log(), done.slot, out));
            return done;
        }
    }
};

fn expect_batches(bytes: []const u8, first: i64, body: u32) !u32 {
    var at: usize = 0;
    var base = first;
    while (at < bytes.len) : (base += 1) {
        var buffer: [1 << 18]u8 = undefined;
        const expected = batches.batch(&buffer, .{ .body = body, .seed = @intCast(base) });
        std.mem.writeInt(i64, expected[0..8], base, .big);
        std.mem.writeInt(u32, expected[12..16], 1, .big);
        try testing.expectEqualSlices(u8, expected, bytes[at..][0..expected.len]);
        at += expected.len;
    }
    return @intCast(base - first);
}

test "store: appended batches are durable, readable, and there after a restart" {
    var place: Place = .{};
    try place.init();
    defer place.remove();

    var node = try Node.open(&place);
    try testing.expectEqual(0, node.opened.boot_kind);
    const entry = try node.stream(3);
    try testing.expectEqual(1, entry.flags);
    var ticket: f64 = 0;
    const count = 2000;
    for (0..count) |n| ticket = try node.append(entry.stream, @intCast(n), 1000);
    try node.wait_durable(ticket);
    const buffer = try memory.reserve(u8, 1 << 20);
    defer memory.release(u8, buffer);

    for (0..3) |life| {
        var offset: i64 = 0;
        while (offset < count) {
            var result: abi.ReadResult = undefined;
            const status = Store.Tail.read(node.log(), .{
                .stream = entry.stream,
                .offset = offset,
                .limit = count,
                .bytes_max = 100_000,
                .first_always = true,
            }, buffer, &result);
            var bytes = result.bytes;
            if (status == .cold) {
                const done = try node.read_later(entry.stream, offset, buffer);
                try testing.expectEqual(0, done.status);
                bytes = done.bytes;
            } else {
                try testing.expectEqual(.ok, status);
            }
            try testing.expect(bytes > 0);
            offset += try expect_batches(buffer[0..bytes], offset, 1000);
        }
        try testing.expectEqual(count, offset);
        try node.close(life % 2 == 0);
        node = try Node.open(&place);
        const kind: u32 = if (life % 2 == 0) 1 else 2;
        try testing.expectEqual(kind, node.opened.boot_kind);
        const again = try node.stream(3);
        try testing.expectEqual(0, again.flags);
        try testing.expectEqual(count, again.end);
    }
    try node.close(true);
}
