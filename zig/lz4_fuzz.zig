//! Fuzz of LZ4: any blocks behind a right header, and what we wrote ourselves.

const std = @import("std");
const lz4 = @import("lz4.zig");
const testing = std.testing;

const size_max = 1024;

fn unpack(_: void, smith: *testing.Smith) anyerror!void {
    const headers = [_]*const [7]u8{
        "\x04\x22\x4d\x18\x60\x40\x82", // independent blocks
        "\x04\x22\x4d\x18\x40\x40\xc0", // linked blocks
    };
    var frame: [size_max]u8 = undefined;
    frame[0..7].* = headers[@intFromBool(smith.value(bool))].*;
    // One block of any bytes, whose size is right, then whatever comes.
    const block_size = smith.slice(frame[11 .. size_max / 2]);
    std.mem.writeInt(u32, frame[7..11], block_size, .little);
    const rest_size = smith.slice(frame[11 + block_size ..]);
    const source = frame[0 .. 11 + block_size + rest_size];

    var target: [2 * size_max]u8 = undefined;
    const target_part = target[0..smith.valueRangeAtMost(u16, 0, target.len)];
    const size = lz4.decompress(source, target_part) catch |failure| switch (failure) {
        error.Malformed => return,
        error.TooSmall => {
            // Either it needs more, or what follows is malformed.
            const needed = lz4.decompressed_size(source) catch return;
            try testing.expect(needed > target_part.len);
            return;
        },
    };
    try testing.expectEqual(size, try lz4.decompressed_size(source));
}

fn round_trip(_: void, smith: *testing.Smith) anyerror!void {
    var source: [size_max]u8 = undefined;
    const size = smith.slice(&source);
    var frame: [lz4.compressed_size_max(size_max)]u8 = undefined;
    const packed_size = try lz4.compress(source[0..size], &frame);
    var target: [size_max]u8 = undefined;
    try testing.expectEqual(size, try lz4.decompress(frame[0..packed_size], target[0..size]));
    try testing.expectEqualSlices(u8, source[0..size], target[0..size]);
}

/// In the form that Smith reads: numbers in 8 bytes, pieces behind their size in 4.
const independent = @as([8]u8, @splat(0));
const block = "\x06\x00\x00\x00\x10a\x01\x00\x10b";
const end = "\x04\x00\x00\x00\x00\x00\x00\x00";
const room = "\x00\x04\x00\x00\x00\x00\x00\x00";
const repeated = "\x18\x00\x00\x00abcabcabcabcabcabcabcabc";

test "lz4: fuzz of the reader" {
    try testing.fuzz({}, unpack, .{ .corpus = &.{ "", independent ++ block ++ end ++ room } });
}

test "lz4: fuzz of the round trip" {
    try testing.fuzz({}, round_trip, .{ .corpus = &.{ "", repeated } });
}
