//! The directories of the newest segments, in memory and in arrival order: one run per piece of
//! adjacent frames of one stream and epoch. Runs of a stream form a chain over all segments that
//! have a table here, with a second link that skips back, so that a search takes steps in the
//! order of the logarithm. A table keeps its segment's generation: a link into a table that was
//! given to a newer segment is recognised by it. The store's lock guards everything.

const std = @import("std");
const assert = std.debug.assert;
const limits = @import("limits.zig");
const memory = @import("memory.zig");
const streams = @import("streams.zig");
const link_none = streams.link_none;
const Stream = streams.Stream;

const index_bits = std.math.log2_int(u32, limits.directory_entries_max);
const index_mask = limits.directory_entries_max - 1;
pub const tables_max = 64;

pub const Run = extern struct {
    base: i64,
    max_timestamp: i64,
    /// Offset in the segment, and bytes of its frames with their headers.
    position: u32,
    length: u32,
    stream: u32,
    epoch: u32,
    /// From the base to the end of the last frame, in offsets.
    extent: u32,
    /// Of the same stream: the run before, the run behind, and one further back.
    previous: u32,
    next: u32,
    jump: u32,
    /// Place in the chain, for building `jump`.
    depth: u32,
    frames: u32,

    pub fn end(run: *const Run) i64 {
        return run.base + run.extent;
    }
};

comptime {
    assert(@sizeOf(Run) == 56);
    assert(tables_max < @as(u64, 1) << (@as(u6, 32) - index_bits));
}

pub const Table = struct {
    /// 0: free.
    generation: u32 = 0,
    slot: u32 = 0,
    first_position: u64 = 0,
    /// Ring cursor that the segment's first byte would have; none for a segment that was read
    /// from the medium.
    ring_cursor: ?u64 = null,
    /// Offset in the segment where the ring's part starts: no run reaches over it.
    boundary: u32 = 0,
    runs: []Run = &.{},
    count: u32 = 0,
    /// Offsets in the segment of the frames that are no batches.
    states: []u32 = &.{},
    states_count: u32 = 0,

    pub fn full(table: *const Table) bool {
        return table.count == table.runs.len or table.states_count == table.states.len;
    }
};

pub const Place = struct { table: *Table, run: *Run, link: u32 };

pub const Frame = struct {
    epoch: u32,
    base: i64,
    count: u32,
    offset: u32,
    bytes: u32,
    max_timestamp: i64,
};

pub const Directory = struct {
    tables: [tables_max]Table = @splat(.{}),
    tables_count: u32 = 0,
    interval: u32,

    pub fn init(
        directory: *Directory,
        tables_count: u32,
        runs_max: u32,
        states_max: u32,
        interval: u32,
    ) error{OutOfMemory}!void {
        assert(tables_count <= tables_max);
        assert(runs_max <= limits.directory_entries_max);
        directory.* = .{ .interval = interval };
        errdefer directory.deinit();

        for (directory.tables[0..tables_count]) |*table| {
            table.runs = try memory.reserve(Run, runs_max);
            directory.tables_count += 1;
            table.states = try memory.reserve(u32, states_max);
        }
    }

    pub fn deinit(directory: *Directory) void {
        for (directory.tables[0..directory.tables_count]) |*table| {
            memory.release(Run, table.runs);
            memory.release(u32, table.states);
        }
        directory.* = undefined;
    }

    /// A free table for a segment that will be opened, or null.
    pub fn take(directory: *Directory) ?u32 {
        for (directory.tables[0..directory.tables_count], 0..) |*table, index| {
            if (table.generation == 0) return @intCast(index);
        }
        return null;
    }

    pub fn assign(directory: *Directory, index: u32, generation: u32, slot: u32, first: u64) *Table {
        const table = &directory.tables[index];
        assert(table.generation == 0 and generation != 0);
        table.generation = generation;
        table.slot = slot;
        table.first_position = first;
        table.ring_cursor = null;
        table.boundary = 0;
        table.count = 0;
        table.states_count = 0;
        return table;
    }

    pub fn release(directory: *Directory, index: u32) void {
        assert(directory.tables[index].generation != 0);
        directory.tables[index].generation = 0;
    }

    /// The run that a link in a segment of `generation` leads to; null when its table is gone.
    pub fn follow(directory: *Directory, generation: u32, link: u32) ?Place {
        if (link == link_none) return null;
        const table = &directory.tables[link >> index_bits];
        if (table.generation == 0 or table.generation > generation) return null;
        assert((link & index_mask) < table.count);
        return .{ .table = table, .run = &table.runs[link & index_mask], .link = link };
    }

    pub fn newest(directory: *Directory, stream: *const Stream) ?Place {
        if (stream.chain == link_none) return null;
        const table = &directory.tables[stream.chain >> index_bits];
        if (table.generation != stream.chain_generation) return null;
        return directory.follow(table.generation, stream.chain);
    }

    pub fn previous(directory: *Directory, place: Place) ?Place {
        return directory.follow(place.table.generation, place.run.previous);
    }

    /// The run behind. Its table is newer than the one at hand, so it cannot have gone first.
    pub fn next(directory: *Directory, place: Place) ?Place {
        if (place.run.next == link_none) return null;
        const table = &directory.tables[place.run.next >> index_bits];
        assert(table.generation >= place.table.generation);
        const run = &table.runs[place.run.next & index_mask];
        return .{ .table = table, .run = run, .link = place.run.next };
    }

    /// The frame lies behind all frames of its table. The caller saw that the table is not full.
    pub fn add(directory: *Directory, index: u32, id: u32, stream: *Stream, frame: Frame) void {
        const table = &directory.tables[index];
        const link = (index << index_bits) | table.count;
        const run = directory.add_loose(table, id, frame) orelse return;
        if (directory.newest(stream)) |before| {
            directory.chain(before, run, link);
            if (frame.base < before.run.end()) stream.set("unordered", true);
        } else {
            stream.set("unordered", false);
        }
        stream.chain = link;
        stream.chain_generation = table.generation;
    }

    /// Without a chain. The new run; null when an old one took the frame in.
    pub fn add_loose(directory: *const Directory, table: *Table, id: u32, frame: Frame) ?*Run {
        if (directory.extend(table, id, frame)) return null;
        const run = &table.runs[table.count];
        table.count += 1;
        run.* = .{
            .base = frame.base,
            .max_timestamp = frame.max_timestamp,
            .position = frame.offset,
            .length = frame.bytes,
            .stream = id,
            .epoch = frame.epoch,
            .extent = frame.count,
            .previous = link_none,
            .next = link_none,
            .jump = link_none,
            .depth = 0,
            .frames = 1,
        };
        return run;
    }

    pub fn add_state(directory: *Directory, index: u32, offset: u32) void {
        const table = &directory.tables[index];
        table.states[table.states_count] = offset;
        table.states_count += 1;
    }

    fn extend(directory: *const Directory, table: *Table, id: u32, frame: Frame) bool {
        if (table.count == 0) return false;
        const run = &table.runs[table.count - 1];
        if (run.stream != id or run.epoch != frame.epoch) return false;
        if (run.position + run.length != frame.offset) return false;
        if (frame.offset == table.boundary) return false;
        if (run.length + frame.bytes > directory.interval) return false;
        // Without gaps inside, the range of a run says exactly which offsets it holds.
        if (frame.base != run.end()) return false;
        const extent = frame.base - run.base + frame.count;
        if (extent > std.math.maxInt(u32)) return false;
        run.extent = @intCast(extent);
        run.length += frame.bytes;
        run.frames += 1;
        run.max_timestamp = @max(run.max_timestamp, frame.max_timestamp);
        return true;
    }

    /// Myers' skip links: each run knows the one before and one at a distance that doubles.
    fn chain(directory: *Directory, before: Place, run: *Run, link: u32) void {
        before.run.next = link;
        run.previous = before.link;
        run.jump = before.link;
        run.depth = before.run.depth + 1;
        const generation = before.table.generation;
        const first = directory.follow(generation, before.run.jump) orelse return;
        const second = directory.follow(first.table.generation, first.run.jump) orelse return;
        if (before.run.depth - first.run.depth == first.run.depth - second.run.depth) {
            run.jump = second.link;
        }
    }

    /// The newest run that starts at or below `offset`; null when none here does. Only for a
    /// stream whose runs stand in order.
    pub fn floor(directory: *Directory, stream: *const Stream, offset: i64) ?Place {
        assert(!stream.flag().unordered);
        var at = directory.newest(stream) orelse return null;
        while (at.run.base > offset) {
            if (directory.follow(at.table.generation, at.run.jump)) |far| {
                if (far.run.base > offset) {
                    at = far;
                    continue;
                }
            }
            at = directory.previous(at) orelse return null;
        }
        return at;
    }

    /// The oldest run of the stream that has a table here.
    pub fn oldest(directory: *Directory, stream: *const Stream) ?Place {
        var at = directory.newest(stream) orelse return null;
        while (true) {
            if (directory.follow(at.table.generation, at.run.jump)) |far| {
                at = far;
            } else {
                at = directory.previous(at) orelse return at;
            }
        }
    }
};

const testing = std.testing;

test "arrival: a search over chained runs finds what a scan finds (seeds 0 to 19)" {
    for (0..20) |seed| {
        var prng = std.Random.DefaultPrng.init(seed);
        const random = prng.random();
        var table = try streams.Table.init(4);
        defer table.deinit();

        var directory: Directory = undefined;
        try directory.init(3, 64, 64, 4096);
        defer directory.deinit();

        var ids: [3]u32 = undefined;
        for (&ids, 0..) |*id, n| id.* = table.create(&@splat(@intCast(n)), 0).?;
        var offset: u32 = 4096;
        var generation: u32 = 1;
        var index: u32 = directory.take().?;
        _ = directory.assign(index, generation, 0, 0);
        for (0..400) |_| {
            if (directory.tables[index].full()) {
                generation += 1;
                index = directory.take() orelse blk: {
                    directory.release(@intCast((generation - 1) % 3));
                    break :blk directory.take().?;
                };
                _ = directory.assign(index, generation, 0, generation << 20);
                offset = 4096;
            }
            const id = ids[random.uintLessThan(usize, 3)];
            const stream = table.get(id).?;
            const bytes = 64 + 8 * random.uintLessThan(u32, 300);
            const base = stream.end + random.uintLessThan(u8, 2);
            directory.add(index, id, stream, .{
                .epoch = 1,
                .base = base,
                .count = 3,
                .offset = offset,
                .bytes = bytes,
                .max_timestamp = base,
            });
            stream.end = base + 3;
            offset += bytes;
            const wanted = random.intRangeAtMost(i64, -1, stream.end);
            try expect_scan(&directory, stream, wanted);
        }
    }
}

fn expect_scan(directory: *Directory, stream: *Stream, offset: i64) !void {
    var at = directory.newest(stream);
    while (at) |place| {
        if (place.run.base <= offset) break;
        if (directory.previous(place)) |before| {
            const behind = directory.next(before).?;
            try testing.expectEqual(place.run, behind.run);
        }
        at = directory.previous(place);
    }
    const found = directory.floor(stream, offset);
    try testing.expectEqual(at == null, found == null);
    if (found) |place| try testing.expectEqual(at.?.run, place.run);
    const oldest = directory.oldest(stream).?;
    try testing.expectEqual(null, directory.previous(oldest));
}
