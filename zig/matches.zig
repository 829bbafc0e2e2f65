//! What LZ4 and Snappy share: both replace bytes by a reference to equal bytes before them.

const std = @import("std");
const assert = std.debug.assert;

/// Both formats refer back at most this far in the blocks that we write, so a position in a block
/// fits in 16 bits.
pub const block_size_max = 64 * 1024;

/// Where in the block four bytes with some hash were seen last; 0 also stands for "never", which
/// costs one comparison.
pub const Table = struct {
    positions: [1 << bits]u16,

    const bits = 13;

    /// For inputs below 2 KiB most of a full table would be cleared for nothing.
    pub fn clear(table: *Table, block_size: usize) u5 {
        assert(block_size <= block_size_max);
        const shift: u5 = if (block_size < 2048) 32 - 10 else 32 - bits;
        @memset(table.positions[0 .. @as(usize, 1) << @intCast(32 - @as(u6, shift))], 0);
        return shift;
    }

    /// The position seen last for the four bytes at `at`; `at` takes its place.
    pub inline fn exchange(table: *Table, block: []const u8, at: usize, shift: u5) usize {
        // Knuth's multiplicative hash: 2^32 divided by the golden ratio.
        const slot = (load4(block, at) *% 2654435761) >> shift;
        defer table.positions[slot] = @intCast(at);

        return table.positions[slot];
    }
};

pub inline fn load4(bytes: []const u8, at: usize) u32 {
    return std.mem.readInt(u32, bytes[at..][0..4], .little);
}

/// How many bytes at `a` and `b` are equal, looking at `b` only up to `end`.
pub inline fn common_size(bytes: []const u8, a: usize, b: usize, end: usize) usize {
    assert(a < b and end <= bytes.len);
    var count: usize = 0;
    while (b + count + 8 <= end) : (count += 8) {
        const left = std.mem.readInt(u64, bytes[a + count ..][0..8], .little);
        const right = std.mem.readInt(u64, bytes[b + count ..][0..8], .little);
        if (left != right) return count + @ctz(left ^ right) / 8;
    }
    while (b + count < end and bytes[a + count] == bytes[b + count]) count += 1;
    return count;
}

/// Copies `size` bytes that both sides have. Short copies, nearly all of them, move 16 bytes and
/// may so write behind the end, within `target`.
pub inline fn copy_literals(
    target: []u8,
    at: usize,
    source: []const u8,
    from: usize,
    size: usize,
) void {
    if (size <= 16 and source.len - from >= 16 and target.len - at >= 16) {
        target[at..][0..16].* = source[from..][0..16].*;
    } else {
        @memcpy(target[at..][0..size], source[from..][0..size]);
    }
}

/// Repeats what lies `distance` bytes before `at`, `size` bytes long; the two may overlap, then the
/// bytes between them repeat. May write up to 15 bytes behind the end, within `bytes`.
pub inline fn copy_match(bytes: []u8, at: usize, distance: usize, size: usize) void {
    assert(distance > 0 and distance <= at);
    if (distance >= 16 and bytes.len - at >= size + 15) {
        var done: usize = 0;
        while (done < size) : (done += 16) {
            const chunk: [16]u8 = bytes[at - distance + done ..][0..16].*;
            bytes[at + done ..][0..16].* = chunk;
        }
    } else {
        copy_overlapping(bytes, at, distance, size);
    }
}

fn copy_overlapping(bytes: []u8, at: usize, distance: usize, size: usize) void {
    const from = at - distance;
    var done: usize = 0;
    while (done < size) {
        // What was copied is part of the pattern, so each step may take twice as much.
        const count = @min(distance + done, size - done);
        @memcpy(bytes[at + done ..][0..count], bytes[from..][0..count]);
        done += count;
    }
}

const testing = std.testing;

test "matches: a copy repeats the bytes before it (distances 1 to 40, sizes 1 to 80)" {
    for (1..40) |distance| {
        for (1..80) |size| {
            for ([_]usize{ 0, 15, 40 }) |slack| {
                var bytes: [256]u8 = undefined;
                for (&bytes, 0..) |*byte, i| byte.* = @truncate(i * 7);
                const at = 64;
                copy_match(bytes[0 .. at + size + slack], at, distance, size);
                for (at..at + size) |i| try testing.expectEqual(bytes[i - distance], bytes[i]);
            }
        }
    }
}

test "matches: common bytes are counted up to the end" {
    var bytes: [64]u8 = @splat(1);
    for (8..64) |end| try testing.expectEqual(end - 8, common_size(&bytes, 3, 8, end));
    for (8..64) |other| {
        bytes[other] = 2;
        try testing.expectEqual(other - 8, common_size(bytes[0..], 0, 8, 64));
        bytes[other] = 1;
    }
}
