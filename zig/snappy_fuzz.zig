//! Fuzz of Snappy: any bytes, raw and in chunks, and what we wrote ourselves.

const std = @import("std");
const snappy = @import("snappy.zig");
const testing = std.testing;

const size_max = 1024;
const xerial_header = "\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01";

fn unpack(_: void, smith: *testing.Smith) anyerror!void {
    var buffer: [size_max]u8 = undefined;
    var start: usize = 0;
    if (smith.value(bool)) {
        buffer[0..xerial_header.len].* = xerial_header.*;
        start = xerial_header.len;
    }
    const source = buffer[0 .. start + smith.slice(buffer[start..])];
    var target: [2 * size_max]u8 = undefined;
    const target_part = target[0..smith.valueRangeAtMost(u16, 0, target.len)];
    const size = snappy.decompress(source, target_part) catch |failure| switch (failure) {
        error.Malformed => return,
        error.TooSmall => {
            const needed = snappy.decompressed_size(source) catch return;
            try testing.expect(needed > target_part.len);
            return;
        },
    };
    try testing.expectEqual(size, try snappy.decompressed_size(source));
}

fn round_trip(_: void, smith: *testing.Smith) anyerror!void {
    var source: [size_max]u8 = undefined;
    const size = smith.slice(&source);
    var raw: [snappy.compressed_size_max(size_max)]u8 = undefined;
    const packed_size = try snappy.compress(source[0..size], &raw);
    var target: [size_max]u8 = undefined;
    try testing.expectEqual(size, try snappy.decompress(raw[0..packed_size], target[0..size]));
    try testing.expectEqualSlices(u8, source[0..size], target[0..size]);
}

/// In the form that Smith reads: numbers in 8 bytes, pieces behind their size in 4.
const raw_input = @as([8]u8, @splat(0)) ++ "\x07\x00\x00\x00\x05\x10hello";
const xerial_input = "\x01" ++ @as([7]u8, @splat(0)) ++
    "\x0b\x00\x00\x00\x00\x00\x00\x07\x05\x10hello";
const room = "\x00\x04\x00\x00\x00\x00\x00\x00";
const repeated = "\x18\x00\x00\x00abcabcabcabcabcabcabcabc";

test "snappy: fuzz of the reader" {
    try testing.fuzz({}, unpack, .{ .corpus = &.{ "", raw_input ++ room, xerial_input ++ room } });
}

test "snappy: fuzz of the round trip" {
    try testing.fuzz({}, round_trip, .{ .corpus = &.{ "", repeated } });
}
