//! A store of format 1 that was written once and never again: test/golden/store.bin holds its files
//! and what it serves. Every version reads it, and finds out every byte of a segment that is
//! changed, every end that is cut off, and the same of its other files at places close to each
//! other. With PYRALOG_GOLDEN=record in the environment the first test writes the file anew: for a
//! new version of the format, under a new name.

const std = @import("std");
const assert = std.debug.assert;
const testing = std.testing;
const abi = @import("abi_types.zig");
const batches = @import("testing/batches.zig");
const data_dir = @import("data_dir.zig");
const faulty = @import("testing/io.zig");
const io_layer = @import("io.zig");
const memory = @import("memory.zig");
const Status = @import("status.zig").Status;

const DataDir = data_dir.DataDirType(faulty.Faulty);
const Store = DataDir.Store;
const golden_path = "test/golden/store.bin";

const options: abi.OpenOptions = .{
    .log_segment_bytes = 8 << 10,
    .meta_segment_bytes = 16 << 10,
    .log_ring_bytes = 64 << 10,
    .meta_ring_bytes = 64 << 10,
    .streams_max = 8,
    .index_interval = 256,
    .readers = 1,
    .read_slots = 4,
    .read_slot_bytes = 4 << 10,
    .flags = 0,
    .flush_interval_ms = 5,
    .fill_bytes_per_s_mib = 1,
    .retention_check_ms = 60_000,
};

const streams_count = 3;
const batches_count = 14;

/// In the file, before the bytes of each: a file of the directory, or a batch that it serves.
const Item = extern struct {
    kind: enum(u32) { file, batch },
    /// Of a file: bytes of its name, and of its content up to the last that is not zero.
    name_bytes: u32 = 0,
    bytes: u32,
    stream: u32 = 0,
    /// Size of a file; first offset of a batch.
    value: u64,
};

const Part = struct { item: Item, name: []const u8, bytes: []const u8 };

const Golden = struct {
    content: []u8,
    parts: []Part,

    fn load() !Golden {
        var io: io_layer.Real = .{};
        const file = try io.open(golden_path, .read);
        defer io.close(file);

        const content = try testing.allocator.alloc(u8, @intCast(try io.size(file)));
        errdefer testing.allocator.free(content);
        try testing.expectEqual(content.len, try io.pread(file, content, 0));
        var parts: std.ArrayList(Part) = .empty;
        errdefer parts.deinit(testing.allocator);
        var at: usize = 0;
        while (at < content.len) {
            const item = std.mem.bytesToValue(Item, content[at..][0..@sizeOf(Item)]);
            at += @sizeOf(Item);
            const name = content[at..][0..item.name_bytes];
            at += item.name_bytes;
            try parts.append(testing.allocator, .{
                .item = item,
                .name = name,
                .bytes = content[at..][0..item.bytes],
            });
            at += item.bytes;
        }
        return .{ .content = content, .parts = try parts.toOwnedSlice(testing.allocator) };
    }

    fn deinit(golden: *Golden) void {
        testing.allocator.free(golden.parts);
        testing.allocator.free(golden.content);
    }
};

/// A life of the golden store on a disk of its own.
const Life = struct {
    disk: faulty.Disk,
    dir: *DataDir,
    opened: abi.Opened = .{},
    open: bool = false,

    fn init(life: *Life, dir: *DataDir) void {
        life.* = .{ .disk = .init(std.heap.c_allocator, .{ .seed = 1 }), .dir = dir };
        life.dir.io = .{ .disk = &life.disk };
        life.dir.threads = false;
        life.dir.wall_ms = null;
    }

    fn deinit(life: *Life) void {
        if (life.open) _ = life.dir.close(true);
        life.disk.deinit();
    }

    fn put(life: *Life, golden: *const Golden) !void {
        const io = &life.dir.io;
        for ([_][:0]const u8{ "/data", "/data/log", "/data/meta" }) |path| try io.make_dir(path);
        for (golden.parts) |part| {
            if (part.item.kind != .file) continue;
            const file = try io.open(try z(part.name), .create_or_open);
            try io.pwrite(file, part.bytes, 0);
            try io.truncate(file, part.item.value);
            try io.sync(file);
            io.close(file);
        }
        life.disk.process_kill();
    }

    fn start(life: *Life) Status {
        life.opened = .{};
        const status = life.dir.open("/data", &options, &life.opened);
        life.open = status == .ok;
        return status;
    }

    fn work(life: *Life) void {
        const store = &life.dir.log;
        for (0..12) |_| {
            _ = Store.Writer.step(store);
            _ = Store.Flusher.step(store);
            _ = Store.Settler.step(store);
            life.disk.clock_ns += std.time.ns_per_ms;
        }
    }

    const Read = struct { status: Status, bytes: []const u8 };

    fn read(life: *Life, stream: u32, offset: i64, end: i64, buffer: []u8) !Read {
        const store = &life.dir.log;
        try testing.expectEqual(.ok, Store.Reader.submit(store, .read, 5, .{
            .stream = stream,
            .offset = offset,
            .limit = end,
            .bytes_max = 1,
            .first_always = true,
        }, .timestamp, 0));
        try testing.expect(Store.Reader.step(store, 0));
        while (true) {
            var poll: abi.Poll = undefined;
            var completions: [1]abi.Completion = undefined;
            try testing.expectEqual(.ok, store.poll(&poll, &completions));
            try testing.expectEqual(1, poll.completions);
            const done = completions[0];
            if (done.request != 5 or done.kind == @backingInt(abi.CompletionKind.damage)) continue;
            try testing.expectEqual(.ok, Store.Reader.take_slot(store, done.slot, buffer));
            return .{ .status = @fromBackingInt(done.status), .bytes = buffer[0..done.bytes] };
        }
    }

    const Harm = struct { lost: u32 = 0, missing: u32 = 0, stale: bool = false };

    /// Reads all that the golden store serves. Bytes that it does not serve are an error.
    fn compare(life: *Life, golden: *const Golden) !Harm {
        var harm: Harm = .{};
        for (golden.parts) |part| {
            if (part.item.kind != .batch) continue;
            var entry: abi.StreamEntry = undefined;
            if (life.dir.log.stream_read(part.item.stream, &entry) != .ok) {
                harm.stale = true;
                continue;
            }
            const base: i64 = @intCast(part.item.value);
            const end: i64 = @trunc(entry.end);
            if (base >= end) {
                harm.missing += 1;
                continue;
            }
            var buffer: [4 << 10]u8 = undefined;
            const got = try life.read(part.item.stream, base, end, &buffer);
            switch (got.status) {
                .ok => try testing.expectEqualSlices(u8, part.bytes, got.bytes),
                .damaged => harm.lost += 1,
                else => {
                    std.debug.print("status {any}\n", .{got.status});
                    return error.LostWithoutAWord;
                },
            }
        }
        return harm;
    }
};

var name_buffer: [128]u8 = undefined;

fn z(name: []const u8) ![:0]const u8 {
    return std.fmt.bufPrintSentinel(&name_buffer, "{s}", .{name}, 0);
}

fn open_dir() ![]DataDir {
    return memory.reserve(DataDir, 1);
}

fn recording() bool {
    const value = std.c.getenv("PYRALOG_GOLDEN") orelse return false;
    return std.mem.eql(u8, std.mem.span(value), "record");
}

/// Two lives, a clean stop behind each; a few segments, of which the last is open.
fn record(dir: *DataDir) !void {
    var served: std.ArrayList(u8) = .empty;
    defer served.deinit(testing.allocator);
    var life: Life = undefined;
    life.init(dir);
    defer life.deinit();

    var ends: [streams_count]i64 = @splat(0);
    for (0..2) |turn| {
        try testing.expectEqual(.ok, life.start());
        for (0..batches_count) |nth| try record_one(&life, &served, &ends, turn * batches_count + nth);
        for (0..20) |_| life.work();
        try testing.expectEqual(.ok, dir.close(true));
        life.open = false;
    }
    var all: std.ArrayList(u8) = .empty;
    defer all.deinit(testing.allocator);
    for (life.disk.names.now.items) |name| {
        const inode = name.inode orelse continue;
        if (std.mem.endsWith(u8, name.path, "LOCK") or std.mem.endsWith(u8, name.path, "reserve")) continue;
        const bytes = try testing.allocator.alloc(u8, @intCast(inode.size_now));
        defer testing.allocator.free(bytes);
        _ = inode.read(.now, bytes, 0);
        const used = std.mem.trimEnd(u8, bytes, "\x00");
        try all.appendSlice(testing.allocator, std.mem.asBytes(&Item{
            .kind = .file,
            .name_bytes = @intCast(name.path.len),
            .bytes = @intCast(used.len),
            .value = inode.size_now,
        }));
        try all.appendSlice(testing.allocator, name.path);
        try all.appendSlice(testing.allocator, used);
    }
    try all.appendSlice(testing.allocator, served.items);
    var io: io_layer.Real = .{};
    const file = try io.open(golden_path, .create_or_open);
    defer io.close(file);

    try io.truncate(file, 0);
    try io.pwrite(file, all.items, 0);
}

fn record_one(life: *Life, served: *std.ArrayList(u8), ends: []i64, nth: usize) !void {
    const store = &life.dir.log;
    const at = nth % streams_count;
    var topic_id: [16]u8 = @splat(@intCast(at + 1));
    var entry: abi.StreamEntry = undefined;
    try testing.expectEqual(.ok, Store.Append.open_stream(store, &topic_id, 0, &entry));
    var buffer: [4 << 10]u8 = undefined;
    const count: u32 = @intCast(1 + nth % 4);
    const bytes = batches.batch(&buffer, .{
        .count = count,
        .body = @intCast(20 + (nth * 37) % 170),
        .max_timestamp = @intCast(1000 + nth),
        .seed = nth,
    });
    var appended: abi.Appended = undefined;
    try testing.expectEqual(.ok, Store.Append.append(store, .{
        .stream = entry.stream,
        .epoch = 1,
        .needs_sync = true,
        .count = count,
        .base = ends[at],
        .high_watermark = ends[at],
        .bytes = bytes,
    }, &appended));
    std.mem.writeInt(i64, bytes[0..8], ends[at], .big);
    std.mem.writeInt(u32, bytes[12..16], 1, .big);
    try served.appendSlice(testing.allocator, std.mem.asBytes(&Item{
        .kind = .batch,
        .bytes = @intCast(bytes.len),
        .stream = entry.stream,
        .value = @intCast(ends[at]),
    }));
    try served.appendSlice(testing.allocator, bytes);
    ends[at] += count;
    if (nth % 3 == 2) life.work();
}

test "golden: a store of format 1 serves what it was given" {
    const dirs = try open_dir();
    defer memory.release(DataDir, dirs);
    if (recording()) try record(&dirs[0]);
    var golden = try Golden.load();
    defer golden.deinit();

    var life: Life = undefined;
    life.init(&dirs[0]);
    defer life.deinit();

    try life.put(&golden);
    try testing.expectEqual(.ok, life.start());
    try testing.expectEqual(1, life.opened.boot_kind);
    try testing.expectEqual(Life.Harm{}, try life.compare(&golden));
}

/// The next place after `position` that is changed; null: it is no file of the log. The blocks of
/// directory and checkpoint have one checksum each, and between the copies of a segment's header
/// nothing lies, so their bytes are all alike.
fn next_place(part: Part, position: usize) ?usize {
    if (part.item.kind != .file or std.mem.startsWith(u8, part.name, "/data/meta")) return null;
    const header = position < 80 or (position >= 2048 and position < 2128);
    const frames = position >= 4096;
    const each = std.mem.endsWith(u8, part.name, ".seg") and (header or frames);
    if (each) return position + 1;
    // No step jumps over the start of what is looked at byte by byte.
    const step = position + 41;
    for ([_]usize{ 2048, 4096 }) |stop| if (position < stop and step > stop) return stop;
    return step;
}

test "golden: one bit of any byte costs at most the batch that it lies in" {
    const dirs = try open_dir();
    defer memory.release(DataDir, dirs);
    var golden = try Golden.load();
    defer golden.deinit();

    var flips: u32 = 0;
    var lost: u32 = 0;
    for (golden.parts) |part| {
        var position: usize = 0;
        while (position < part.bytes.len) : (position = next_place(part, position).?) {
            if (next_place(part, position) == null) break;
            const bit: u3 = @truncate(position *% 5 +% 3);
            errdefer std.debug.print("{s} position {d} bit {d}\n", .{ part.name, position, bit });
            var life: Life = undefined;
            life.init(&dirs[0]);
            defer life.deinit();

            try life.put(&golden);
            life.disk.flip_bit(part.name, position, bit);
            try testing.expectEqual(.ok, life.start());
            var harm = try life.compare(&golden);
            if (harm.lost > 1) {
                // A sorted directory that is damaged answers damage until it is built again.
                try testing.expect(std.mem.endsWith(u8, part.name, ".dir"));
                for (0..4) |_| life.work();
                harm = try life.compare(&golden);
            }
            try testing.expect(!harm.stale);
            try testing.expectEqual(0, harm.missing);
            try testing.expect(harm.lost <= 1);
            flips += 1;
            lost += harm.lost;
        }
    }
    try testing.expect(flips > 6000);
    try testing.expect(lost > 2000);
}

test "golden: any end that is cut off is damage, and never other bytes" {
    const dirs = try open_dir();
    defer memory.release(DataDir, dirs);
    var golden = try Golden.load();
    defer golden.deinit();

    for (golden.parts) |part| {
        var size: usize = 0;
        while (size < part.bytes.len) : (size = next_place(part, size).?) {
            if (next_place(part, size) == null) break;
            errdefer std.debug.print("{s} cut at {d}\n", .{ part.name, size });
            var life: Life = undefined;
            life.init(&dirs[0]);
            defer life.deinit();

            try life.put(&golden);
            {
                const io = &life.dir.io;
                const file = try io.open(try z(part.name), .read_write);
                defer io.close(file);

                try io.truncate(file, size);
            }
            switch (life.start()) {
                .ok => {},
                // What only one file knew is gone: not opened as another, or as empty.
                .damaged_directory => continue,
                else => |status| try testing.expectEqual(.ok, status),
            }
            const harm = try life.compare(&golden);
            const known = life.dir.log.damage.count > 0;
            if (harm.missing > 0 or harm.stale) try testing.expect(known);
        }
    }
}
