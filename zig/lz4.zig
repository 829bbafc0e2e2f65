//! LZ4, in the frame format that Kafka's codec 3 means (LZ4 Frame Format Description 1.6.x and
//! Block Format Description, Y. Collet). One frame, which ends where the input ends: no dictionary,
//! no skippable frame, no legacy frame.
//!
//! Nothing is allocated. `target` may hold anything behind the bytes that were returned.

const std = @import("std");
const assert = std.debug.assert;
const matches = @import("matches.zig");
const XxHash32 = std.hash.XxHash32;

pub const Error = error{
    Malformed,
    /// The target is too small.
    TooSmall,
};

const magic: u32 = 0x184d2204;
const frame_header_size_min = 7;
const block_header_size = 4;
/// High bit of a block's size: the block is stored as it is.
const stored_bit: u32 = 1 << 31;

/// Every block that is longer ends with at least 5 literals, and its last match starts at least 12
/// bytes before its end.
const literals_last = 5;
const match_start_margin = 12;
const match_size_min = 4;

const Flags = packed struct(u8) {
    dictionary: bool = false,
    reserved: bool = false,
    content_checksum: bool = false,
    content_size: bool = false,
    block_checksum: bool = false,
    block_independent: bool = true,
    version: u2 = 1,
};

const Frame = struct {
    flags: Flags,
    block_size_max: usize,
    content_size: ?u64,
    /// Of the header, from the magic number to its checksum.
    size: usize,
};

/// Returns how many bytes the content has, all of them in `target`.
pub fn decompress(source: []const u8, target: []u8) Error!usize {
    const frame = try read_header(source);
    if (frame.content_size) |size| {
        // The limit comes first: it is what a caller can act on.
        if (size > target.len) return error.TooSmall;
    }
    var walk: Walk = .{ .source = source, .at = frame.size, .frame = frame };
    var count: usize = 0;
    while (try walk.next()) |block| {
        count = if (block.stored)
            try copy_stored(block.bytes, target, count)
        else
            try unpack(block.bytes, target, count, frame);
    }
    if (frame.content_size) |size| {
        if (size != count) return error.Malformed;
    }
    if (frame.flags.content_checksum) {
        if (XxHash32.hash(0, target[0..count]) != walk.content_checksum) return error.Malformed;
    }
    return count;
}

/// How many bytes `decompress` will return, if it does; reads the whole input but not its bytes.
/// At most 255 times the input, whatever its header claims.
pub fn decompressed_size(source: []const u8) error{Malformed}!usize {
    const frame = read_header(source) catch return error.Malformed;
    var walk: Walk = .{ .source = source, .at = frame.size, .frame = frame };
    var count: usize = 0;
    while (walk.next() catch return error.Malformed) |block| {
        count += if (block.stored) block.bytes.len else try unpacked_size(block.bytes);
    }
    return count;
}

/// What `compress` may write at most.
pub fn compressed_size_max(size: usize) usize {
    const blocks = std.math.divCeil(usize, size, matches.block_size_max) catch unreachable;
    return frame_header_size_min + blocks * block_header_size + size + block_header_size;
}

/// A frame of independent blocks of 64 KiB, the kind that Kafka's own Java clients write and all
/// read. No content checksum: the batch around it has one.
pub fn compress(source: []const u8, target: []u8) error{TooSmall}!usize {
    if (target.len < compressed_size_max(source.len)) return error.TooSmall;
    const descriptor = [2]u8{ @bitCast(Flags{}), 4 << 4 };
    std.mem.writeInt(u32, target[0..4], magic, .little);
    target[4..6].* = descriptor;
    target[6] = header_checksum(&descriptor);

    var table: matches.Table = undefined;
    var count: usize = frame_header_size_min;
    var rest = source;
    while (rest.len > 0) {
        const block = rest[0..@min(rest.len, matches.block_size_max)];
        rest = rest[block.len..];
        const body = target[count + block_header_size ..];
        // A block that would not shrink is stored.
        const packed_size = pack(block, body[0 .. block.len - 1], &table);
        if (packed_size == null) @memcpy(body[0..block.len], block);
        const size: u32 = @intCast(packed_size orelse block.len);
        const header = size | if (packed_size == null) stored_bit else 0;
        std.mem.writeInt(u32, target[count..][0..block_header_size], header, .little);
        count += block_header_size + size;
    }
    std.mem.writeInt(u32, target[count..][0..block_header_size], 0, .little);
    return count + block_header_size;
}

fn header_checksum(descriptor: []const u8) u8 {
    return @truncate(XxHash32.hash(0, descriptor) >> 8);
}

fn read_header(source: []const u8) Error!Frame {
    if (source.len < frame_header_size_min) return error.Malformed;
    if (matches.load4(source, 0) != magic) return error.Malformed;
    const flags: Flags = @bitCast(source[4]);
    if (flags.version != 1 or flags.reserved or flags.dictionary) return error.Malformed;
    const block_code = source[5];
    // 4 to 7 stand for 64 KiB, 256 KiB, 1 MiB, 4 MiB; the other bits are reserved.
    if (block_code & 0x8f != 0 or block_code < 4 << 4) return error.Malformed;
    const shift: u5 = @intCast(8 + 2 * (block_code >> 4));
    const size = frame_header_size_min + @as(usize, if (flags.content_size) 8 else 0);
    if (source.len < size) return error.Malformed;
    if (header_checksum(source[4 .. size - 1]) != source[size - 1]) return error.Malformed;
    return .{
        .flags = flags,
        .block_size_max = @as(usize, 1) << shift,
        .content_size = if (flags.content_size)
            std.mem.readInt(u64, source[6..14], .little)
        else
            null,
        .size = size,
    };
}

const Block = struct { bytes: []const u8, stored: bool };

/// The blocks of a frame, in order.
const Walk = struct {
    source: []const u8,
    at: usize,
    frame: Frame,
    content_checksum: u32 = 0,

    /// Null behind the last block; then the end was where it has to be.
    fn next(walk: *Walk) error{Malformed}!?Block {
        const header = try walk.word();
        const size = header & ~stored_bit;
        if (header == 0) {
            if (walk.frame.flags.content_checksum) walk.content_checksum = try walk.word();
            if (walk.at != walk.source.len) return error.Malformed;
            return null;
        }
        if (size == 0 or size > walk.frame.block_size_max) return error.Malformed;
        if (size > walk.source.len - walk.at) return error.Malformed;
        const bytes = walk.source[walk.at..][0..size];
        walk.at += size;
        if (walk.frame.flags.block_checksum) {
            if (XxHash32.hash(0, bytes) != try walk.word()) return error.Malformed;
        }
        return .{ .bytes = bytes, .stored = header & stored_bit != 0 };
    }

    fn word(walk: *Walk) error{Malformed}!u32 {
        if (walk.source.len - walk.at < 4) return error.Malformed;
        defer walk.at += 4;

        return matches.load4(walk.source, walk.at);
    }
};

fn copy_stored(bytes: []const u8, target: []u8, start: usize) Error!usize {
    if (bytes.len > target.len - start) return error.TooSmall;
    @memcpy(target[start..][0..bytes.len], bytes);
    return start + bytes.len;
}

/// A block is sequences of: token (sizes of literals and match, 4 bits each, 15 = more bytes
/// follow), literals, distance of the match u16. The last one has only literals.
fn unpack(block: []const u8, target: []u8, start: usize, frame: Frame) Error!usize {
    // Up to here a block may reach; and so far back.
    const end = @min(target.len, start +| frame.block_size_max);
    const overrun: Error = if (end == target.len) error.TooSmall else error.Malformed;
    const low = if (frame.flags.block_independent) start else 0;
    var from: usize = 0;
    var at = start;
    while (from < block.len) {
        const token = block[from];
        from += 1;
        const literals = try run_size(block, &from, token >> 4);
        if (literals > block.len - from) return error.Malformed;
        if (literals > end - at) return overrun;
        matches.copy_literals(target, at, block, from, literals);
        from += literals;
        at += literals;
        if (from == block.len) return at;

        if (block.len - from < 2) return error.Malformed;
        const distance = std.mem.readInt(u16, block[from..][0..2], .little);
        from += 2;
        const size = match_size_min + try run_size(block, &from, token & 15);
        if (distance == 0 or distance > at - low) return error.Malformed;
        if (size > end - at) return overrun;
        matches.copy_match(target, at, distance, size);
        at += size;
    }
    return error.Malformed; // ends behind a match
}

fn unpacked_size(block: []const u8) error{Malformed}!usize {
    var from: usize = 0;
    var count: usize = 0;
    while (from < block.len) {
        const token = block[from];
        from += 1;
        const literals = try run_size(block, &from, token >> 4);
        if (literals > block.len - from) return error.Malformed;
        from += literals;
        count += literals;
        if (from == block.len) return count;
        if (block.len - from < 2) return error.Malformed;
        from += 2;
        count += match_size_min + try run_size(block, &from, token & 15);
    }
    return error.Malformed;
}

inline fn run_size(block: []const u8, from: *usize, nibble: u8) error{Malformed}!usize {
    var size: usize = nibble;
    if (nibble < 15) return size;
    while (true) {
        if (from.* == block.len) return error.Malformed;
        const more = block[from.*];
        from.* += 1;
        size += more;
        if (more < 255) return size;
    }
}

/// Greedy: takes the first match it finds. Null if the result does not fit in `target`.
fn pack(block: []const u8, target: []u8, table: *matches.Table) ?usize {
    assert(block.len > 0 and block.len <= matches.block_size_max);
    var out: Sequences = .{ .target = target };
    var anchor: usize = 0;
    if (block.len > match_start_margin) {
        const shift = table.clear(block.len);
        const match_start_end = block.len - match_start_margin;
        var at: usize = 0;
        while (find(block, &at, match_start_end, table, shift)) |found| {
            var match = found;
            while (at > anchor and match > 0 and block[at - 1] == block[match - 1]) {
                at -= 1;
                match -= 1;
            }
            const size = matches.common_size(block, match, at, block.len - literals_last);
            assert(size >= match_size_min);
            if (!out.put(block[anchor..at], at - match, size)) return null;
            at += size;
            anchor = at;
            if (at <= match_start_end) _ = table.exchange(block, at - 2, shift);
        }
    }
    return out.finish(block[anchor..]);
}

/// Moves `at` to the next position that has a match and returns the match. The longer none comes,
/// the larger the steps: bytes that do not compress are passed quickly.
inline fn find(
    block: []const u8,
    at: *usize,
    end: usize,
    table: *matches.Table,
    shift: u5,
) ?usize {
    var attempts: usize = 64;
    while (at.* <= end) : (attempts += 1) {
        const match = table.exchange(block, at.*, shift);
        if (match < at.* and matches.load4(block, match) == matches.load4(block, at.*)) {
            return match;
        }
        at.* += attempts >> 6;
    }
    return null;
}

const Sequences = struct {
    target: []u8,
    count: usize = 0,

    /// False if there is no room.
    inline fn put(out: *Sequences, literals: []const u8, distance: usize, size: usize) bool {
        const more = size - match_size_min;
        const room = out.target.len - out.count;
        if (room < 3 + literals.len + literals.len / 255 + 1 + more / 255 + 1) return false;
        const token = out.count;
        out.count += 1;
        const high = out.put_run(literals.len);
        out.put_literals(literals);
        std.mem.writeInt(u16, out.target[out.count..][0..2], @intCast(distance), .little);
        out.count += 2;
        out.target[token] = high << 4 | out.put_run(more);
        return true;
    }

    fn finish(out: *Sequences, literals: []const u8) ?usize {
        const room = out.target.len - out.count;
        if (room < 1 + literals.len + literals.len / 255 + 1) return null;
        const token = out.count;
        out.count += 1;
        out.target[token] = out.put_run(literals.len) << 4;
        out.put_literals(literals);
        return out.count;
    }

    inline fn put_literals(out: *Sequences, literals: []const u8) void {
        @memcpy(out.target[out.count..][0..literals.len], literals);
        out.count += literals.len;
    }

    /// Returns the nibble and writes the bytes that follow it.
    inline fn put_run(out: *Sequences, size: usize) u8 {
        if (size < 15) return @intCast(size);
        var rest = size - 15;
        while (rest >= 255) : (rest -= 255) {
            out.target[out.count] = 255;
            out.count += 1;
        }
        out.target[out.count] = @intCast(rest);
        out.count += 1;
        return 15;
    }
};

const testing = std.testing;
const content = @import("testing/content.zig");

/// Made by the reference implementation (1.9.4): five times one sentence, without anything
/// optional, and with linked blocks, content size and both kinds of checksum.
const sentence = "the quick brown fox jumps over the lazy dog; ";
const reference_plain = "04224d1860408239000000f01074686520717569636b2062726f776e20666f78206a7" ++
    "56d7073206f766572201f00916c617a7920646f673b0e000f2d009850646f673b2000000000";
const reference_full = "04224d187c40e1000000000000001039000000f01074686520717569636b206272" ++
    "6f776e20666f78206a756d7073206f766572201f00916c617a7920646f673b0e000f2d009850646f673b20" ++
    "4193654d00000000f820579d";

fn bytes_of(hex: []const u8, buffer: []u8) []u8 {
    return std.fmt.hexToBytes(buffer, hex) catch unreachable;
}

test "lz4: frames of the reference implementation" {
    for ([_][]const u8{ reference_plain, reference_full }) |hex| {
        var buffer: [256]u8 = undefined;
        var target: [sentence.len * 5]u8 = undefined;
        const frame = bytes_of(hex, &buffer);
        try testing.expectEqual(target.len, try decompressed_size(frame));
        try testing.expectEqual(target.len, try decompress(frame, &target));
        for (0..5) |i| try testing.expectEqualStrings(sentence, target[i * sentence.len ..][0..45]);
        try testing.expectError(error.TooSmall, decompress(frame, target[0 .. target.len - 1]));
    }
    const empty = "\x04\x22\x4d\x18\x60\x40\x82\x00\x00\x00\x00";
    try testing.expectEqual(0, try decompress(empty, &.{}));
}

test "lz4: every changed or missing byte of a frame with checksums is noticed" {
    var buffer: [256]u8 = undefined;
    var target: [1024]u8 = undefined;
    const frame = bytes_of(reference_full, &buffer);
    for (0..frame.len) |at| {
        try testing.expectError(error.Malformed, decompress(frame[0..at], &target));
        for (0..8) |bit| {
            frame[at] ^= @as(u8, 1) << @intCast(bit);
            defer frame[at] ^= @as(u8, 1) << @intCast(bit);

            try testing.expect(if (decompress(frame, &target)) |_| false else |_| true);
        }
    }
}

test "lz4: a block cannot reach in front of itself or the frame" {
    // One literal, then a match of 4 at distance 2.
    const frame = "\x04\x22\x4d\x18\x60\x40\x82\x06\x00\x00\x00\x10a\x02\x00\x10b\x00\x00\x00\x00";
    var target: [64]u8 = undefined;
    try testing.expectError(error.Malformed, decompress(frame, &target));
    var patched: [frame.len]u8 = frame.*;
    patched[13] = 1;
    try testing.expectEqual(6, try decompress(&patched, &target));
    try testing.expectEqualStrings("aaaaab", target[0..6]);
}

test "lz4: what is compressed comes back (5 kinds, sizes 0 to 300000)" {
    var prng: std.Random.DefaultPrng = .init(0x6c7a34);
    const random = prng.random();
    const allocator = testing.allocator;
    const size_max = 300_000;
    const source = try allocator.alloc(u8, size_max);
    defer allocator.free(source);

    const frame = try allocator.alloc(u8, compressed_size_max(size_max));
    defer allocator.free(frame);

    const target = try allocator.alloc(u8, size_max);
    defer allocator.free(target);

    for (std.enums.values(content.Kind)) |kind| {
        for (0..60) |round| {
            const size = if (round < 30) round else random.uintAtMost(usize, size_max);
            const room = compressed_size_max(size);
            content.fill(random, kind, source[0..size]);
            const packed_size = try compress(source[0..size], frame[0..room]);
            const short = frame[0 .. room - 1];
            try testing.expectError(error.TooSmall, compress(source[0..size], short));
            try testing.expectEqual(size, try decompressed_size(frame[0..packed_size]));
            try testing.expectEqual(size, try decompress(frame[0..packed_size], target[0..size]));
            try testing.expectEqualSlices(u8, source[0..size], target[0..size]);
            if (kind == .words and size > 1000) try testing.expect(packed_size < size / 2);
        }
    }
}
