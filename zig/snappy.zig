//! Snappy, Kafka's codec 2 (format_description.txt of google/snappy). It comes raw, as librdkafka
//! writes it, or in the chunks of snappy-java's xerial stream, as Java clients write it; both are
//! read, raw is written.
//!
//! Nothing is allocated. `target` may hold anything behind the bytes that were returned.

const std = @import("std");
const assert = std.debug.assert;
const matches = @import("matches.zig");

pub const Error = error{
    Malformed,
    /// The target is too small.
    TooSmall,
};

/// Followed by two int32: the version of the writer and the oldest one that can read it.
const xerial_magic = "\x82SNAPPY\x00";
const xerial_header_size = 16;
/// The first half of the magic, where a chunk's size would stand: streams may be joined.
const xerial_joint: u32 = 0x82534e41;

/// No element makes more out of a byte than a copy of 64 bytes in 3.
const expansion_max = 22;

/// Returns how many bytes the content has, all of them in `target`.
pub fn decompress(source: []const u8, target: []u8) Error!usize {
    var chunks = try Chunks.init(source);
    var count: usize = 0;
    while (try chunks.next()) |chunk| count += try unpack(chunk, target[count..]);
    return count;
}

/// How many bytes `decompress` will return, if it does.
pub fn decompressed_size(source: []const u8) error{Malformed}!usize {
    var chunks = try Chunks.init(source);
    var count: usize = 0;
    while (try chunks.next()) |chunk| count += (try preamble(chunk)).size;
    return count;
}

/// What `compress` may write at most: worst is a copy of 4 bytes in 3 behind every literal that
/// needs 3 bytes of header.
pub fn compressed_size_max(size: usize) usize {
    return 32 + size + size / 6;
}

/// Raw. `source` is below 4 GiB.
pub fn compress(source: []const u8, target: []u8) error{TooSmall}!usize {
    if (target.len < compressed_size_max(source.len)) return error.TooSmall;
    var out: Elements = .{ .target = target };
    var rest_size: u32 = @intCast(source.len);
    while (rest_size >= 0x80) : (rest_size >>= 7) out.byte(@as(u8, @truncate(rest_size)) | 0x80);
    out.byte(@intCast(rest_size));

    var table: matches.Table = undefined;
    var rest = source;
    while (rest.len > 0) {
        const block = rest[0..@min(rest.len, matches.block_size_max)];
        rest = rest[block.len..];
        pack(block, &out, &table);
    }
    return out.count;
}

/// The raw pieces of an input: the whole of it, or the chunks of a xerial stream.
const Chunks = struct {
    rest: []const u8,
    xerial: bool,
    done: bool = false,

    fn init(source: []const u8) error{Malformed}!Chunks {
        if (source.len == 0) return error.Malformed;
        const xerial = std.mem.startsWith(u8, source, xerial_magic);
        if (!xerial) return .{ .rest = source, .xerial = false };
        if (source.len < xerial_header_size) return error.Malformed;
        return .{ .rest = source[xerial_header_size..], .xerial = true };
    }

    fn next(chunks: *Chunks) error{Malformed}!?[]const u8 {
        if (!chunks.xerial) {
            if (chunks.done) return null;
            chunks.done = true;
            return chunks.rest;
        }
        while (chunks.rest.len > 0) {
            if (chunks.rest.len < 4) return error.Malformed;
            const size = std.mem.readInt(u32, chunks.rest[0..4], .big);
            if (size == xerial_joint) {
                if (chunks.rest.len < xerial_header_size) return error.Malformed;
                if (!std.mem.startsWith(u8, chunks.rest, xerial_magic)) return error.Malformed;
                chunks.rest = chunks.rest[xerial_header_size..];
                continue;
            }
            chunks.rest = chunks.rest[4..];
            if (size > chunks.rest.len) return error.Malformed;
            defer chunks.rest = chunks.rest[size..];

            return chunks.rest[0..size];
        }
        return null;
    }
};

const Preamble = struct { size: usize, elements: []const u8 };

fn preamble(chunk: []const u8) error{Malformed}!Preamble {
    var size: u64 = 0;
    for (chunk[0..@min(chunk.len, 5)], 0..) |byte, i| {
        size |= @as(u64, byte & 0x7f) << @intCast(7 * i);
        if (byte >= 0x80) continue;
        const elements = chunk[i + 1 ..];
        // Refused before anybody makes room for a claim.
        if (size > std.math.maxInt(u32) or size > elements.len * expansion_max) break;
        return .{ .size = @intCast(size), .elements = elements };
    }
    return error.Malformed;
}

/// An element starts with a tag byte: bits 0 to 1 say literal or copy with 1, 2 or 4 bytes of
/// distance.
fn unpack(chunk: []const u8, target_whole: []u8) Error!usize {
    const head = try preamble(chunk);
    if (head.size > target_whole.len) return error.TooSmall;
    const target = target_whole[0..head.size];
    const source = head.elements;
    var from: usize = 0;
    var at: usize = 0;
    while (from < source.len) {
        const tag = source[from];
        from += 1;
        if (tag & 3 == 0) {
            var size: usize = @as(usize, tag >> 2) + 1;
            if (size > 60) {
                const count = size - 60;
                size = (try little_endian(source, from, count)) + 1;
                from += count;
            }
            if (size > source.len - from or size > target.len - at) return error.Malformed;
            matches.copy_literals(target, at, source, from, size);
            from += size;
            at += size;
            continue;
        }
        const size: usize, const distance: usize = switch (tag & 3) {
            1 => .{
                @as(usize, (tag >> 2) & 7) + 4,
                (@as(usize, tag >> 5) << 8) | try little_endian(source, from, 1),
            },
            2 => .{ @as(usize, tag >> 2) + 1, try little_endian(source, from, 2) },
            else => .{ @as(usize, tag >> 2) + 1, try little_endian(source, from, 4) },
        };
        from += ([_]usize{ 0, 1, 2, 4 })[tag & 3];
        if (distance == 0 or distance > at or size > target.len - at) return error.Malformed;
        matches.copy_match(target, at, distance, size);
        at += size;
    }
    if (at != target.len) return error.Malformed;
    return at;
}

inline fn little_endian(source: []const u8, from: usize, count: usize) error{Malformed}!usize {
    assert(count >= 1 and count <= 4);
    if (count > source.len - from) return error.Malformed;
    if (source.len - from >= 4) {
        const shift: u5 = @intCast(8 * (4 - count));
        return (matches.load4(source, from) << shift) >> shift;
    }
    var value: usize = 0;
    for (source[from..][0..count], 0..) |byte, i| value |= @as(usize, byte) << @intCast(8 * i);
    return value;
}

/// A match needs four bytes, and four more let the search read ahead.
const match_margin = 8;
const match_size_min = 4;

/// Greedy: takes the first match it finds.
fn pack(block: []const u8, out: *Elements, table: *matches.Table) void {
    assert(block.len > 0 and block.len <= matches.block_size_max);
    var anchor: usize = 0;
    if (block.len > match_margin) {
        const shift = table.clear(block.len);
        const end = block.len - match_margin;
        var at: usize = 0;
        // The longer no match comes, the larger the steps: bytes that do not compress are passed
        // quickly.
        var attempts: usize = 32;
        while (at <= end) {
            const match = table.exchange(block, at, shift);
            if (match >= at or matches.load4(block, match) != matches.load4(block, at)) {
                at += attempts >> 5;
                attempts += 1;
                continue;
            }
            attempts = 32;
            const size = match_size_min + matches.common_size(
                block,
                match + match_size_min,
                at + match_size_min,
                block.len,
            );
            if (at > anchor) out.literals(block[anchor..at]);
            out.copy(at - match, size);
            at += size;
            anchor = at;
            if (at <= end) _ = table.exchange(block, at - 1, shift);
        }
    }
    if (anchor < block.len) out.literals(block[anchor..]);
}

const Elements = struct {
    target: []u8,
    count: usize = 0,

    inline fn byte(out: *Elements, value: u8) void {
        out.target[out.count] = value;
        out.count += 1;
    }

    inline fn literals(out: *Elements, bytes: []const u8) void {
        const size = bytes.len - 1;
        if (size < 60) {
            out.byte(@intCast(size << 2));
        } else if (size < 256) {
            out.byte(60 << 2);
            out.byte(@intCast(size));
        } else {
            out.byte(61 << 2);
            std.mem.writeInt(u16, out.target[out.count..][0..2], @intCast(size), .little);
            out.count += 2;
        }
        @memcpy(out.target[out.count..][0..bytes.len], bytes);
        out.count += bytes.len;
    }

    inline fn copy(out: *Elements, distance: usize, size_whole: usize) void {
        var size = size_whole;
        // Pieces of 64, but never a rest below 4: the short form cannot say it.
        while (size >= 68) : (size -= 64) out.copy_long(distance, 64);
        if (size > 64) {
            out.copy_long(distance, 60);
            size -= 60;
        }
        if (size >= 12 or distance >= 2048) return out.copy_long(distance, size);
        const high: u8 = @intCast(distance >> 8);
        out.byte(@intCast(1 | (size - 4) << 2 | @as(usize, high) << 5));
        out.byte(@truncate(distance));
    }

    inline fn copy_long(out: *Elements, distance: usize, size: usize) void {
        assert(size >= 1 and size <= 64);
        out.byte(@intCast(2 | (size - 1) << 2));
        std.mem.writeInt(u16, out.target[out.count..][0..2], @intCast(distance), .little);
        out.count += 2;
    }
};

const testing = std.testing;
const content = @import("testing/content.zig");

const sentence = "the quick brown fox jumps over the lazy dog; ";
/// Five times the sentence, by an independent implementation (Rust's snap).
const reference = "e1017874686520717569636b2062726f776e20666f78206a756d7073206f76657220011f206c" ++
    "617a7920646f673b050efe2d00fe2d00be2d00";

test "snappy: a raw input of another implementation" {
    var buffer: [128]u8 = undefined;
    var target: [sentence.len * 5]u8 = undefined;
    const raw = std.fmt.hexToBytes(&buffer, reference) catch unreachable;
    try testing.expectEqual(target.len, try decompressed_size(raw));
    try testing.expectEqual(target.len, try decompress(raw, &target));
    for (0..5) |i| try testing.expectEqualStrings(sentence, target[i * sentence.len ..][0..45]);
    try testing.expectError(error.TooSmall, decompress(raw, target[0 .. target.len - 1]));
    for (0..raw.len) |size| {
        try testing.expectError(error.Malformed, decompress(raw[0..size], &target));
    }
}

test "snappy: a xerial stream is read chunk by chunk, joined streams too" {
    const header = xerial_magic ++ "\x00\x00\x00\x01\x00\x00\x00\x01";
    const hello = "\x00\x00\x00\x07\x05\x10hello";
    const world = "\x00\x00\x00\x08\x06\x14 world";
    var target: [64]u8 = undefined;
    for ([_][]const u8{ header ++ hello ++ world, header ++ hello ++ header ++ world }) |stream| {
        try testing.expectEqual(11, try decompressed_size(stream));
        try testing.expectEqual(11, try decompress(stream, &target));
        try testing.expectEqualStrings("hello world", target[0..11]);
        try testing.expectError(error.TooSmall, decompress(stream, target[0..10]));
    }
    try testing.expectEqual(0, try decompress(header, &target));
    for ([_][]const u8{ header[0..15], header ++ "\x00", header ++ hello ++ world[0..9] }) |bad| {
        try testing.expectError(error.Malformed, decompress(bad, &target));
    }
}

test "snappy: elements that lie are refused" {
    var target: [256]u8 = undefined;
    for ([_][]const u8{
        "", // not even a size
        "\x80\x80\x80\x80\x80\x00", // a size of more than 32 bits
        "\xff\xff\xff\xff\x0f\x00a", // a size that no two bytes can unpack to
        "\x02\x00a", // less than the size
        "\x01\x04ab", // more than the size
        "\x05\x00a\x01\x02", // distance 2 where one byte is
        "\x05\x00a\x01\x00", // distance 0
        "\x04\xf0", // a literal without its size
        "\x05\x0e\x01", // a copy without its distance
    }) |bad| try testing.expectError(error.Malformed, decompress(bad, &target));
    // A copy with four bytes of distance, which we never write.
    try testing.expectEqual(5, try decompress("\x05\x00a\x0f\x01\x00\x00\x00", &target));
    try testing.expectEqualStrings("aaaaa", target[0..5]);
}

test "snappy: what is compressed comes back (5 kinds, sizes 0 to 300000)" {
    var prng: std.Random.DefaultPrng = .init(0x736e61);
    const random = prng.random();
    const allocator = testing.allocator;
    const size_max = 300_000;
    const source = try allocator.alloc(u8, size_max);
    defer allocator.free(source);

    const raw = try allocator.alloc(u8, compressed_size_max(size_max));
    defer allocator.free(raw);

    const target = try allocator.alloc(u8, size_max);
    defer allocator.free(target);

    for (std.enums.values(content.Kind)) |kind| {
        for (0..60) |round| {
            const size = if (round < 30) round else random.uintAtMost(usize, size_max);
            const room = compressed_size_max(size);
            content.fill(random, kind, source[0..size]);
            const packed_size = try compress(source[0..size], raw[0..room]);
            try testing.expectError(error.TooSmall, compress(source[0..size], raw[0 .. room - 1]));
            try testing.expectEqual(size, try decompressed_size(raw[0..packed_size]));
            try testing.expectEqual(size, try decompress(raw[0..packed_size], target[0..size]));
            try testing.expectEqualSlices(u8, source[0..size], target[0..size]);
            if (kind == .words and size > 1000) try testing.expect(packed_size < size / 2);
        }
    }
}
