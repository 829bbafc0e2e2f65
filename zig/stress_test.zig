//! All threads at once, over real files: two loops append, a third reads everything behind them
//! from ring and files, a fourth trims, while writer, readers and settlers run. Made for the
//! thread sanitizer as well.

const std = @import("std");
const testing = std.testing;
const abi = @import("abi_types.zig");
const batches = @import("testing/batches.zig");
const data_dir = @import("data_dir.zig");
const io_zig = @import("io.zig");
const memory = @import("memory.zig");
const place_zig = @import("store_test.zig");

const DataDir = data_dir.DataDirType(io_zig.Real);
const Store = DataDir.Store;

const count = 6000;
const body = 700;

const Shared = struct {
    dir: *DataDir,
    streams: [2]u32 = @splat(0),
    appended: [2]std.atomic.Value(i64) = @splat(.init(0)),
    read: [2]std.atomic.Value(i64) = @splat(.init(0)),
    trimmed: [2]std.atomic.Value(i64) = @splat(.init(0)),
    wrong: std.atomic.Value(u32) = .init(0),

    fn log(shared: *Shared) *Store {
        return &shared.dir.log;
    }

    fn append(shared: *Shared, which: usize) void {
        var buffer: [1024]u8 = undefined;
        var base: i64 = 0;
        while (base < count) {
            // The ring must not lose what the reader has to compare in the ring as well as in
            // files: any distance will do.
            const batch = batches.batch(&buffer, .{
                .body = body,
                .seed = @as(u64, @intCast(base)) * 2 + which,
            });
            var out: abi.Appended = undefined;
            const status = Store.Append.append(shared.log(), .{
                .stream = shared.streams[which],
                .epoch = 1,
                .needs_sync = which == 0,
                .count = 1,
                .base = base,
                .high_watermark = base,
                .bytes = batch,
            }, &out);
            switch (status) {
                .ok => base += 1,
                .full => std.Thread.yield() catch {},
                else => {
                    _ = shared.wrong.fetchAdd(1, .monotonic);
                    return;
                },
            }
            shared.appended[which].store(base, .release);
        }
    }

    fn follow(shared: *Shared, bytes: []u8) void {
        var next: [2]i64 = @splat(0);
        while (next[0] < count or next[1] < count) {
            for (0..2) |which| {
                const end = shared.appended[which].load(.acquire);
                if (next[which] == end) continue;
                const got = shared.read_once(which, next[which], end, bytes) orelse {
                    _ = shared.wrong.fetchAdd(1, .monotonic);
                    return;
                };
                next[which] = got;
                shared.read[which].store(got, .release);
            }
        }
    }

    fn read_once(shared: *Shared, which: usize, offset: i64, end: i64, bytes: []u8) ?i64 {
        const want: @import("tail.zig").Want = .{
            .stream = shared.streams[which],
            .offset = offset,
            .limit = end,
            .bytes_max = 1 << 16,
            .first_always = true,
        };
        var result: abi.ReadResult = undefined;
        // Every third time from the readers, wherever the bytes lie.
        if (@rem(offset, 3) != 0) {
            const status = Store.Tail.read(shared.log(), want, bytes, &result);
            if (status == .ok) return shared.compare(which, offset, bytes[0..result.bytes]);
            if (status != .cold) return null;
        }
        if (Store.Reader.submit(shared.log(), .read, 1, want, .timestamp, 0) != .ok) return null;
        while (true) {
            var poll: abi.Poll = undefined;
            var completions: [1]abi.Completion = undefined;
            if (shared.log().poll(&poll, &completions) != .ok) return null;
            if (poll.completions == 0) {
                std.Thread.yield() catch {};
                continue;
            }
            const done = &completions[0];
            if (done.kind != 1) continue;
            if (Store.Reader.take_slot(shared.log(), done.slot, bytes) != .ok) return null;
            if (done.status != 0) return null;
            return shared.compare(which, offset, bytes[0..done.bytes]);
        }
    }

    fn compare(_: *Shared, which: usize, offset: i64, bytes: []const u8) ?i64 {
        var at: usize = 0;
        var base = offset;
        while (at < bytes.len) : (base += 1) {
            var buffer: [1024]u8 = undefined;
            const want = batches.batch(&buffer, .{
                .body = body,
                .seed = @as(u64, @intCast(base)) * 2 + which,
            });
            std.mem.writeInt(i64, want[0..8], base, .big);
            std.mem.writeInt(u32, want[12..16], 1, .big);
            if (bytes.len - at < want.len) return null;
            if (!std.mem.eql(u8, want, bytes[at..][0..want.len])) return null;
            at += want.len;
        }
        return if (base > offset) base else null;
    }

    fn trim(shared: *Shared) void {
        while (true) {
            var finished = true;
            for (0..2) |which| {
                const read = shared.read[which].load(.acquire);
                if (read < count and shared.wrong.load(.monotonic) == 0) finished = false;
                const point = read - @rem(read, 500);
                if (point <= shared.trimmed[which].load(.monotonic)) continue;
                var out: abi.Appended = undefined;
                const status = Store.Append.trim(shared.log(), shared.streams[which], point, &out);
                if (status == .ok) shared.trimmed[which].store(point, .monotonic);
            }
            if (finished) return;
            std.Thread.yield() catch {};
        }
    }
};

test "stress: appends, reads and trims of several threads keep every byte" {
    var place: place_zig.Place = .{};
    try place.init();
    defer place.remove();

    const dirs = try memory.reserve(DataDir, 1);
    defer memory.release(DataDir, dirs);

    var shared: Shared = .{ .dir = &dirs[0] };
    dirs[0].io = .{};
    dirs[0].threads = true;
    dirs[0].wall_ms = null;
    var options = place_zig.options;
    options.fill_bytes_per_s_mib = 100;
    options.flags = 1; // mapped reads of sealed segments
    var opened: abi.Opened = .{};
    try testing.expectEqual(.ok, dirs[0].open(place.path(), &options, &opened));
    for (&shared.streams, 0..) |*id, partition| {
        var entry: abi.StreamEntry = undefined;
        const status = Store.Append.open_stream(shared.log(), &@splat(3), @intCast(partition), &entry);
        try testing.expectEqual(.ok, status);
        id.* = entry.stream;
    }
    const bytes = try memory.reserve(u8, 1 << 20);
    defer memory.release(u8, bytes);

    const threads = [_]std.Thread{
        try std.Thread.spawn(.{ .stack_size = 1 << 20 }, Shared.append, .{ &shared, 0 }),
        try std.Thread.spawn(.{ .stack_size = 1 << 20 }, Shared.append, .{ &shared, 1 }),
        try std.Thread.spawn(.{ .stack_size = 1 << 20 }, Shared.follow, .{ &shared, bytes }),
        try std.Thread.spawn(.{ .stack_size = 1 << 20 }, Shared.trim, .{&shared}),
    };
    for (threads) |thread| thread.join();
    try testing.expectEqual(0, shared.wrong.load(.monotonic));
    try testing.expectEqual(.ok, dirs[0].close(true));
    try testing.expectEqual(.ok, dirs[0].open(place.path(), &options, &opened));
    try testing.expectEqual(1, opened.boot_kind);
    for (shared.streams, 0..) |id, which| {
        var entry: abi.StreamEntry = undefined;
        try testing.expectEqual(.ok, shared.log().stream_read(id, &entry));
        try testing.expectEqual(count, entry.end);
        const trimmed: f64 = @floatFromInt(shared.trimmed[which].load(.monotonic));
        try testing.expectEqual(trimmed, entry.log_start);
    }
    try testing.expectEqual(.ok, dirs[0].close(true));
}

test "stress: a second process is told who holds the directory" {
    var place: place_zig.Place = .{};
    try place.init();
    defer place.remove();

    const dirs = try memory.reserve(DataDir, 2);
    defer memory.release(DataDir, dirs);

    var opened: [2]abi.Opened = @splat(.{});
    for (dirs) |*dir| {
        dir.io = .{};
        dir.threads = true;
        dir.wall_ms = null;
    }
    try testing.expectEqual(.ok, dirs[0].open(place.path(), &place_zig.options, &opened[0]));
    try testing.expectEqual(.locked, dirs[1].open(place.path(), &place_zig.options, &opened[1]));
    try testing.expectEqual(@as(u32, @intCast(std.c.getpid())), opened[1].lock_pid);
    try testing.expectEqual(.ok, dirs[0].close(true));
    try testing.expectEqual(.ok, dirs[1].open(place.path(), &place_zig.options, &opened[1]));
    try testing.expectEqual(.ok, dirs[1].close(true));
}
