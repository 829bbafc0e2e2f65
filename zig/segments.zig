//! The segments of a store, by slot (the number in the file's name), and the live ones in the
//! order of the log. The store's lock guards everything.

const std = @import("std");
const assert = std.debug.assert;
const io = @import("io.zig");
const limits = @import("limits.zig");
const memory = @import("memory.zig");

pub const table_none: u32 = std.math.maxInt(u32);

pub const State = enum(u8) {
    /// No file has this number.
    absent,
    /// A file without content that counts: recycled, or created and never used.
    free,
    /// A free or new file that is being made ready; nobody else touches it.
    preparing,
    /// Made ready for the next generation.
    ready,
    /// Takes frames. One segment of a store is open.
    open,
    /// Takes no more frames; its sorted directory is not written yet.
    closed,
    /// Its sorted directory is on the medium.
    sealed,
    /// A part of the log whose file is gone. It stays in the list, so that nobody takes the
    /// hole for nothing.
    lost,
    /// Dead, on its way to `free`.
    recycling,
    /// A file with one of our names whose header cannot be read; only while a start looks.
    headless,
    /// Not ours to read, write or remove.
    foreign,
};

pub const Segment = struct {
    state: State,
    /// Its own number.
    slot: u32,
    generation: u32,
    first_position: u64,
    /// Size of the file, as its header says.
    bytes: u32,
    /// Offset behind the last frame.
    used: u32,
    /// Ring cursor of the first byte; null when its frames never were in this ring.
    ring_cursor: ?u64,
    /// Its table in the arrival directory.
    table: u32,
    /// Readers at work in its file.
    pins: u32,
    /// Held from ready to closed; readers of sealed segments share the file cache.
    file: ?io.File,
    /// Bytes of the file that have been written at least once.
    filled: u32,
    /// The checkpoint that the start read lists it.
    listed: bool,
    /// Dead, and its bytes have been taken off its streams; count of checkpoints then.
    taken: bool,
    taken_at: u32,
    /// Count of checkpoints when it became free.
    freed_at: u32,
    /// One live range, as the index of its stream header; all headers below are dead.
    witness: u32,
    /// The stream of that range and its end, to look again without reading.
    witness_stream: u32,
    witness_end: i64,
    /// A block of the sorted directory is not what was written: it must be built again.
    directory_damaged: bool,

    const none: Segment = .{
        .state = .absent,
        .slot = 0,
        .generation = 0,
        .first_position = 0,
        .bytes = 0,
        .used = 0,
        .ring_cursor = null,
        .table = table_none,
        .pins = 0,
        .file = null,
        .filled = 0,
        .listed = false,
        .taken = false,
        .taken_at = 0,
        .freed_at = 0,
        .witness = 0,
        .witness_stream = 0,
        .witness_end = 0,
        .directory_damaged = false,
    };

    pub fn blank(slot: u32) Segment {
        var segment: Segment = .none;
        segment.slot = slot;
        return segment;
    }

    pub fn end_position(segment: *const Segment) u64 {
        return segment.first_position + segment.used;
    }
};

pub const Table = struct {
    segments: []Segment,
    /// Slots below have been seen.
    slots: u32 = 0,
    /// Slots of open, closed and sealed segments by generation.
    live: []u32,
    live_count: u32 = 0,

    pub fn init(segments_max: u32) error{OutOfMemory}!Table {
        const segments = try memory.reserve(Segment, segments_max);
        const live = memory.reserve(u32, segments_max) catch {
            memory.release(Segment, segments);
            return error.OutOfMemory;
        };
        return .{ .segments = segments, .live = live };
    }

    pub fn deinit(table: *Table) void {
        memory.release(Segment, table.segments);
        memory.release(u32, table.live);
        table.* = undefined;
    }

    /// The segment of a slot, with those before it known as absent if they were not seen.
    pub fn at(table: *Table, slot: u32) *Segment {
        while (table.slots <= slot) : (table.slots += 1) {
            table.segments[table.slots] = .blank(table.slots);
        }
        return &table.segments[slot];
    }

    pub fn first_in(table: *Table, state: State) ?u32 {
        for (table.segments[0..table.slots], 0..) |*segment, slot| {
            if (segment.state == state) return @intCast(slot);
        }
        return null;
    }

    pub fn count_in(table: *const Table, state: State) u32 {
        var count: u32 = 0;
        for (table.segments[0..table.slots]) |*segment| count += @intFromBool(segment.state == state);
        return count;
    }

    /// The lowest number that no file has; null when all are taken.
    pub fn first_absent(table: *Table) ?u32 {
        if (table.first_in(.absent)) |slot| return slot;
        return if (table.slots < table.segments.len) table.slots else null;
    }

    pub fn live_add(table: *Table, slot: u32) void {
        const generation = table.segments[slot].generation;
        var place = table.live_count;
        while (place > 0) : (place -= 1) {
            const before = table.live[place - 1];
            assert(table.segments[before].generation != generation);
            if (table.segments[before].generation < generation) break;
            table.live[place] = before;
        }
        table.live[place] = slot;
        table.live_count += 1;
    }

    pub fn live_remove(table: *Table, slot: u32) void {
        const place = std.mem.indexOfScalar(u32, table.live[0..table.live_count], slot).?;
        std.mem.copyForwards(
            u32,
            table.live[place .. table.live_count - 1],
            table.live[place + 1 .. table.live_count],
        );
        table.live_count -= 1;
    }

    /// Index in `live` of the segment with the lowest generation that is not below `generation`;
    /// `live_count` when there is none.
    pub fn live_from(table: *const Table, generation: u32) u32 {
        var low: u32 = 0;
        var high = table.live_count;
        while (low < high) {
            const middle = low + (high - low) / 2;
            if (table.segments[table.live[middle]].generation < generation) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        return low;
    }

    pub fn by_generation(table: *const Table, generation: u32) ?u32 {
        const place = table.live_from(generation);
        if (place == table.live_count) return null;
        const slot = table.live[place];
        return if (table.segments[slot].generation == generation) slot else null;
    }
};

const testing = std.testing;

test "segments: live ones stay in the order of their generations" {
    var table = try Table.init(8);
    defer table.deinit();

    for ([_]u32{ 5, 2, 9, 7 }, 0..) |generation, slot| {
        const segment = table.at(@intCast(slot));
        segment.generation = generation;
        segment.state = .sealed;
        table.live_add(@intCast(slot));
    }
    try testing.expectEqualSlices(u32, &.{ 1, 0, 3, 2 }, table.live[0..table.live_count]);
    try testing.expectEqual(3, table.by_generation(7).?);
    try testing.expectEqual(null, table.by_generation(8));
    table.live_remove(3);
    try testing.expectEqual(2, table.live[table.live_from(6)]);
    try testing.expectEqual(4, table.first_absent().?);
    try testing.expectEqual(4, table.count_in(.sealed));
}
