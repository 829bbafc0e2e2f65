//! Damaged ranges of the log that no directory entry speaks for: bytes in which frames lay whose
//! headers are gone. While one is known, a gap in the offsets of a stream that may have had a
//! frame there is answered as damage, never as "nothing stored". What lies around the range in the
//! log says nothing of its offsets: the lost frame may have filled an older gap, and so may the
//! frame behind it. The store's lock guards it.

const std = @import("std");
const assert = std.debug.assert;
const abi = @import("abi_types.zig");
const limits = @import("limits.zig");

/// Upper end of offsets that nobody knows.
pub const end_unknown: i64 = std.math.maxInt(i64);

/// Upper end of the offsets of a lost frame, when without it the stream ends at `end`: it may have
/// been the last frame, and what is appended next may start behind it.
pub fn end_of_lost(end: i64) i64 {
    return end +| limits.offsets_guessed_max;
}

pub const Range = extern struct {
    position: u64,
    end: u64,
    unused: u64 = 0,
    /// Offsets that lie there are lower, if `stream` is not 0.
    end_offset: i64,
    /// 0: frames of any stream may lie there.
    stream: u32,
    segment: u32,
};

comptime {
    assert(@sizeOf(Range) == 40);
}

/// Damage that a reader or the scrub came upon.
pub const Met = struct {
    /// Offsets that are lost; -1: nobody knows.
    first: i64 = 0,
    end: i64 = 0,
    position: u64 = 0,
    segment: u32 = 0,
    file: abi.DamagedFile = .segment,
    file_offset: u32 = 0,
    /// The medium refused the bytes, rather than giving others.
    unreadable: bool = false,
};

pub const Table = struct {
    ranges: [limits.damaged_ranges_max]Range = undefined,
    count: u32 = 0,

    /// False when there is no room: then what is missing could not be told from what never was.
    pub fn add(table: *Table, range: Range) bool {
        assert(range.position < range.end);
        for (table.ranges[0..table.count]) |*known| {
            if (known.position == range.position and known.stream == range.stream) {
                known.end = @max(known.end, range.end);
                return true;
            }
        }
        if (table.count == table.ranges.len) return false;
        table.ranges[table.count] = range;
        table.count += 1;
        return true;
    }

    /// A range that may hold offsets of the stream at or above `first`.
    pub fn covers(table: *const Table, stream: u32, first: i64) ?Range {
        for (table.ranges[0..table.count]) |range| {
            if (range.stream == 0) return range;
            if (range.stream == stream and range.end_offset > first) return range;
        }
        return null;
    }

    pub fn count_within(table: *const Table, position: u64, end: u64) u32 {
        var count: u32 = 0;
        for (table.ranges[0..table.count]) |*range| {
            count += @intFromBool(range.position >= position and range.position < end);
        }
        return count;
    }

    pub fn within(table: *const Table, position: u64, end: u64, nth: u32) Range {
        var left = nth;
        for (table.ranges[0..table.count]) |range| {
            if (range.position < position or range.position >= end) continue;
            if (left == 0) return range;
            left -= 1;
        }
        unreachable; // the caller counted
    }

    /// The bytes are gone, and nobody may ask for them any more.
    pub fn forget_within(table: *Table, position: u64, end: u64) void {
        var kept: u32 = 0;
        for (table.ranges[0..table.count]) |range| {
            if (range.position >= position and range.position < end) continue;
            table.ranges[kept] = range;
            kept += 1;
        }
        table.count = kept;
    }
};

const testing = std.testing;

test "damage: a gap is covered for its stream, or for all when nobody knows" {
    var table: Table = .{};
    const range: Range = .{
        .position = 100,
        .end = 200,
        .end_offset = 20,
        .stream = 7,
        .segment = 0,
    };
    try testing.expect(table.add(range));
    try testing.expect(table.add(range));
    try testing.expectEqual(1, table.count);
    try testing.expect(table.covers(7, 0) != null);
    try testing.expect(table.covers(7, 19) != null);
    try testing.expect(table.covers(7, 20) == null);
    try testing.expect(table.covers(8, 0) == null);
    var any = range;
    any.stream = 0;
    any.position = 300;
    any.end = 301;
    try testing.expect(table.add(any));
    try testing.expect(table.covers(8, 0) != null);
    try testing.expectEqual(1, table.count_within(250, 400));
    try testing.expectEqual(300, table.within(0, 400, 1).position);
    table.forget_within(250, 400);
    try testing.expect(table.covers(8, 0) == null);
}
