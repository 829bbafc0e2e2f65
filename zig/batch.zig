//! The check of one record batch (Kafka's RecordBatch v2): header, CRC-32C and, where the records
//! are not compressed, a walk over all of them. It reports facts and judges nothing; which of them
//! refuse a batch is decided in TypeScript, which reads them as 16 numbers.

const std = @import("std");
const assert = std.debug.assert;
const crc32c = @import("crc32c.zig").crc32c;

/// Numbers instead of integers: TypeScript reads them as a Float64Array, where a 64-bit integer
/// would cost an object. src/wire/batch.ts is the plain twin: same bytes, same numbers. With `size`
/// set only the flaws are filled; with `magic` or `crc` set no record is looked at.
pub const Facts = extern struct {
    /// Bits of `Flaws`; 0 = every check holds.
    flaws: f64,
    /// Bytes of the batch with its 12-byte head, as its length field says.
    bytes: f64,
    attributes: f64,
    last_offset_delta: f64,
    base_timestamp: f64,
    max_timestamp: f64,
    producer_id: f64,
    producer_epoch: f64,
    base_sequence: f64,
    records_count: f64,
    /// Lowest and highest timestamp of the records; base and maximum of the header where there is
    /// no record to look at.
    lowest_timestamp: f64,
    highest_timestamp: f64,
    /// Index of the first record without a key; -1 = all have one, or compressed.
    first_without_key: f64,
    partition_leader_epoch: f64,
    base_offset: f64,
    /// Index of the record that ended the walk, else of the first one with attributes; -1 = none.
    first_bad_record: f64,

    comptime {
        assert(@sizeOf(Facts) == 16 * 8);
    }

    const none: Facts = blk: {
        var facts: Facts = undefined;
        for (@typeInfo(Facts).@"struct".field_names) |name| @field(facts, name) = 0;
        facts.first_without_key = -1;
        facts.first_bad_record = -1;
        break :blk facts;
    };
};

pub const Flaws = packed struct(u32) {
    /// Fewer than 61 bytes, or a length field that is below 49 or reaches past the end.
    size: bool = false,
    magic: bool = false,
    crc: bool = false,
    /// Bytes follow the batch: another one, or rubbish.
    several_batches: bool = false,
    /// A record is malformed, the records do not fill the batch exactly, their count is not the
    /// header's, or their offset deltas are not 0, 1, 2, ...
    records: bool = false,
    /// A timestamp, the producer id or the base offset is 2^53 or more in either direction.
    unsafe_int64: bool = false,
    /// A record has attributes, to which no version of Kafka gave a meaning.
    record_attributes: bool = false,
    pad: u25 = 0,
};

/// The head, which the length field does not count: base offset and the length itself.
pub const head_size = 12;
pub const header_size = 61;
/// The checksum covers everything from the attributes on.
pub const crc_start = 21;
const magic_at = 16;
const magic = 2;
const codec_mask = 7;
const safe_max = (1 << 53) - 1;

pub fn check(bytes: []const u8, facts: *Facts) void {
    facts.* = .none;
    const flaws = check_batch(bytes, facts);
    facts.flaws = @floatFromInt(@as(u32, @bitCast(flaws)));
}

fn check_batch(bytes: []const u8, facts: *Facts) Flaws {
    var flaws: Flaws = .{ .magic = bytes.len > magic_at and bytes[magic_at] != magic };
    const size: i64 = if (bytes.len < header_size)
        0
    else
        @as(i64, int(i32, bytes[0..header_size], 8)) + head_size;
    if (size < header_size or size > bytes.len) {
        flaws.size = true;
        return flaws;
    }
    const batch = bytes[0..@intCast(size)];
    const header = batch[0..header_size];
    flaws.several_batches = bytes.len > batch.len;
    flaws.crc = crc32c(0, batch[crc_start..]) != int(u32, header, 17);
    facts.bytes = @floatFromInt(size);
    read_header(header, facts, &flaws);

    const compressed = int(u16, header, 21) & codec_mask != 0;
    if (!compressed and !flaws.magic and !flaws.crc) {
        var walk: Walk = .{ .records_count = int(i32, header, 57) };
        walk.run(batch[header_size..], &flaws);
        walk.report(int(i64, header, 27), facts, &flaws);
    }
    return flaws;
}

fn read_header(header: *const [header_size]u8, facts: *Facts, flaws: *Flaws) void {
    const base_timestamp = int(i64, header, 27);
    const max_timestamp = int(i64, header, 35);
    const producer_id = int(i64, header, 43);
    facts.base_offset = @floatFromInt(int(i64, header, 0));
    facts.partition_leader_epoch = @floatFromInt(int(i32, header, 12));
    facts.attributes = @floatFromInt(int(u16, header, 21));
    facts.last_offset_delta = @floatFromInt(int(i32, header, 23));
    facts.base_timestamp = @floatFromInt(base_timestamp);
    facts.max_timestamp = @floatFromInt(max_timestamp);
    facts.producer_id = @floatFromInt(producer_id);
    facts.producer_epoch = @floatFromInt(int(i16, header, 51));
    facts.base_sequence = @floatFromInt(int(i32, header, 53));
    facts.records_count = @floatFromInt(int(i32, header, 57));
    facts.lowest_timestamp = facts.base_timestamp;
    facts.highest_timestamp = facts.max_timestamp;
    for ([_]i64{ int(i64, header, 0), base_timestamp, max_timestamp, producer_id }) |value| {
        if (!safe(value)) flaws.unsafe_int64 = true;
    }
}

inline fn int(comptime T: type, header: *const [header_size]u8, comptime at: usize) T {
    return std.mem.readInt(T, header[at..][0..@sizeOf(T)], .big);
}

inline fn safe(value: i128) bool {
    return value >= -safe_max and value <= safe_max;
}

/// One pass over the records of an uncompressed batch.
const Walk = struct {
    records_count: i32,
    /// Of the records seen; the lowest is above the highest before the first.
    timestamp_delta_lowest: i64 = std.math.maxInt(i64),
    timestamp_delta_highest: i64 = std.math.minInt(i64),
    without_key: i32 = -1,
    bad: i32 = -1,

    noinline fn run(walk: *Walk, records: []const u8, flaws: *Flaws) void {
        var at: usize = 0;
        var index: i32 = 0;
        // Ends with the bytes at the latest: a record takes at least one.
        while (index < walk.records_count) : (index += 1) {
            const rest = records[at..];
            at += walk.usual(rest, index) orelse walk.any(rest, index, flaws) catch {
                walk.bad = index;
                flaws.records = true;
                break;
            };
        } else if (at != records.len) flaws.records = true;
    }

    /// The record at the start of `rest` when it is as nearly all are: no attributes, no headers, all
    /// numbers short. Returns its size; null for any other, which may be malformed.
    inline fn usual(walk: *Walk, rest: []const u8, index: i32) ?usize {
        if (rest.len < 16) return null;
        var head: Word = .{ .bytes = load(u64, rest[0..8]) };
        const length = head.size() orelse return null;
        const end = head.used + length;
        if (head.byte() != 0) return null;
        var word: Word = .{ .bytes = load(u64, rest[head.used..][0..8]) };
        const timestamp_delta = word.number() orelse return null;
        const offset_delta = word.number() orelse return null;
        if (offset_delta != index << 1) return null;
        const key = word.number() orelse return null;
        // Three numbers may end behind the word: then the last of them is none.
        if (word.used > 8) return null;
        const value_at = head.used + word.used + (size_of(key) orelse return null);
        if (end > rest.len or value_at + 2 > end) return null;
        var tail: Word = .{ .bytes = load(u16, rest[value_at..][0..2]) };
        const value = tail.number() orelse return null;
        if (tail.used > 2) return null;
        const headers_at = value_at + tail.used + (size_of(value) orelse return null);
        if (headers_at + 1 != end or rest[headers_at] != 0) return null;
        walk.see(index, zigzag(i64, timestamp_delta), key != null_size);
        return end;
    }

    noinline fn any(walk: *Walk, rest: []const u8, index: i32, flaws: *Flaws) Malformed!usize {
        var cursor: Cursor = .{ .bytes = rest };
        var record: Cursor = .{ .bytes = try cursor.slice(try cursor.varint(i32)) };
        const attributes = try record.byte();
        const timestamp_delta = try record.varint(i64);
        if (try record.varint(i32) != index) return error.Malformed;
        const key_size = try record.varint(i32);
        if (key_size != -1) _ = try record.slice(key_size);
        const value_size = try record.varint(i32);
        if (value_size != -1) _ = try record.slice(value_size);
        try walk_headers(&record);
        if (record.at != record.bytes.len) return error.Malformed;

        if (attributes != 0 and !flaws.record_attributes) {
            flaws.record_attributes = true;
            walk.bad = index;
        }
        walk.see(index, timestamp_delta, key_size != -1);
        return cursor.at;
    }

    inline fn see(walk: *Walk, index: i32, timestamp_delta: i64, has_key: bool) void {
        if (!has_key and walk.without_key == -1) walk.without_key = index;
        walk.timestamp_delta_lowest = @min(walk.timestamp_delta_lowest, timestamp_delta);
        walk.timestamp_delta_highest = @max(walk.timestamp_delta_highest, timestamp_delta);
    }

    fn report(walk: *const Walk, timestamp_base: i64, facts: *Facts, flaws: *Flaws) void {
        facts.first_without_key = @floatFromInt(walk.without_key);
        facts.first_bad_record = @floatFromInt(walk.bad);
        if (walk.timestamp_delta_lowest > walk.timestamp_delta_highest) return;
        // The sums are judged and not their parts: the base may be far off and a sum right.
        const lowest = @as(i128, timestamp_base) + walk.timestamp_delta_lowest;
        const highest = @as(i128, timestamp_base) + walk.timestamp_delta_highest;
        facts.lowest_timestamp = @floatFromInt(lowest);
        facts.highest_timestamp = @floatFromInt(highest);
        if (!safe(lowest) or !safe(highest)) flaws.unsafe_int64 = true;
    }
};

/// One load, where `std.mem.readInt` puts the bytes together one by one.
inline fn load(comptime T: type, bytes: *const [@sizeOf(T)]u8) T {
    const word: *align(1) const T = @ptrCast(bytes);
    return std.mem.littleToNative(T, word.*);
}

/// The zig-zag form of -1, which stands for null where a size is expected.
const null_size = 1;

/// The bytes of a key or value, 0 for null; null when the size is negative.
inline fn size_of(number: u32) ?usize {
    if (number == null_size) return 0;
    return if (number & 1 == 0) number >> 1 else null;
}

/// Up to eight bytes in a register, taken from the front. What lies behind them reads as zeros, so
/// `used` is to be looked at before the last number is believed.
const Word = struct {
    bytes: u64,
    used: usize = 0,

    inline fn byte(word: *Word) u8 {
        defer word.skip(1);

        return @truncate(word.bytes);
    }

    inline fn size(word: *Word) ?usize {
        const value = word.number() orelse return null;
        return if (value & 1 == 0) value >> 1 else null;
    }

    /// A varint of at most three bytes, still in its zig-zag form.
    inline fn number(word: *Word) ?u32 {
        const bytes: u32 = @truncate(word.bytes);
        if (bytes & 0x80 == 0) {
            word.skip(1);
            return bytes & 0x7f;
        }
        const two = (bytes & 0x7f) | ((bytes >> 1) & 0x3f80);
        if (bytes & 0x8000 == 0) {
            word.skip(2);
            return two;
        }
        if (bytes & 0x80_0000 != 0) return null;
        word.skip(3);
        return two | ((bytes >> 2) & 0x1f_c000);
    }

    inline fn skip(word: *Word, comptime count: usize) void {
        word.bytes >>= 8 * count;
        word.used += count;
    }
};

inline fn walk_headers(record: *Cursor) Malformed!void {
    var headers_left = try record.varint(i32);
    if (headers_left < 0) return error.Malformed;
    // Ends with the record at the latest: a header takes at least two bytes.
    while (headers_left > 0) : (headers_left -= 1) {
        // The key is never null, the value may be.
        _ = try record.slice(try record.varint(i32));
        const value_size = try record.varint(i32);
        if (value_size != -1) _ = try record.slice(value_size);
    }
}

const Malformed = error{Malformed};

const Cursor = struct {
    bytes: []const u8,
    at: usize = 0,

    inline fn byte(cursor: *Cursor) Malformed!u8 {
        if (cursor.at == cursor.bytes.len) return error.Malformed;
        defer cursor.at += 1;

        return cursor.bytes[cursor.at];
    }

    inline fn slice(cursor: *Cursor, size: i32) Malformed![]const u8 {
        if (size < 0) return error.Malformed;
        const count: usize = @intCast(size);
        if (count > cursor.bytes.len - cursor.at) return error.Malformed;
        defer cursor.at += count;

        return cursor.bytes[cursor.at..][0..count];
    }

    /// Zig-zag, at most 5 bytes for 32 bits and 10 for 64. A form longer than its value needs is
    /// taken, as Kafka takes it; bits beyond the width are not.
    fn varint(cursor: *Cursor, comptime T: type) Malformed!T {
        const bits = @bitSizeOf(T);
        const U = @Int(.unsigned, bits);
        const size_max = comptime std.math.divCeil(usize, bits, 7) catch unreachable;
        const last_max = (1 << (bits - 7 * (size_max - 1))) - 1;
        const rest = cursor.bytes[cursor.at..];
        var value: U = 0;
        for (rest[0..@min(rest.len, size_max)], 0..) |group, i| {
            value |= @as(U, group & 0x7f) << @intCast(7 * i);
            if (group < 0x80) {
                if (i == size_max - 1 and group > last_max) return error.Malformed;
                cursor.at += i + 1;
                return zigzag(T, value);
            }
        }
        return error.Malformed;
    }
};

inline fn zigzag(comptime T: type, value: @Int(.unsigned, @bitSizeOf(T))) T {
    return @bitCast((value >> 1) ^ (0 -% (value & 1)));
}

const testing = std.testing;

/// Builds batches byte by byte.
const Builder = struct {
    buffer: [8192]u8 = undefined,
    len: usize = header_size,

    const Record = struct {
        attributes: u8 = 0,
        timestamp_delta: i64 = 0,
        offset_delta: i32 = 0,
        key: ?[]const u8 = "k",
        value: ?[]const u8 = "value",
        headers: []const [2]?[]const u8 = &.{},
    };

    const Header = struct {
        base_offset: i64 = 0,
        leader_epoch: i32 = -1,
        attributes: u16 = 0,
        last_offset_delta: i32 = 0,
        base_timestamp: i64 = 1_700_000_000_000,
        max_timestamp: i64 = 1_700_000_000_999,
        producer_id: i64 = -1,
        producer_epoch: i16 = -1,
        base_sequence: i32 = -1,
        records_count: i32 = 1,
    };

    fn byte(builder: *Builder, value: u8) void {
        builder.buffer[builder.len] = value;
        builder.len += 1;
    }

    fn bytes(builder: *Builder, value: []const u8) void {
        @memcpy(builder.buffer[builder.len..][0..value.len], value);
        builder.len += value.len;
    }

    fn varint(builder: *Builder, value: i64) void {
        var rest: u64 = @bitCast((value << 1) ^ (value >> 63));
        while (rest >= 0x80) : (rest >>= 7) builder.byte(@as(u8, @truncate(rest)) | 0x80);
        builder.byte(@intCast(rest));
    }

    fn optional(builder: *Builder, value: ?[]const u8) void {
        const present = value orelse return builder.varint(-1);
        builder.varint(@intCast(present.len));
        builder.bytes(present);
    }

    fn add(builder: *Builder, record: Record) void {
        var body: Builder = .{ .len = 0 };
        body.byte(record.attributes);
        body.varint(record.timestamp_delta);
        body.varint(record.offset_delta);
        body.optional(record.key);
        body.optional(record.value);
        body.varint(@intCast(record.headers.len));
        for (record.headers) |header| {
            body.optional(header[0]);
            body.optional(header[1]);
        }
        builder.varint(@intCast(body.len));
        builder.bytes(body.buffer[0..body.len]);
    }

    fn finish(builder: *Builder, header: Header) []u8 {
        const batch = builder.buffer[0..builder.len];
        put(i64, batch, 0, header.base_offset);
        put(i32, batch, 8, @intCast(batch.len - head_size));
        put(i32, batch, 12, header.leader_epoch);
        batch[16] = 2;
        put(u16, batch, 21, header.attributes);
        put(i32, batch, 23, header.last_offset_delta);
        put(i64, batch, 27, header.base_timestamp);
        put(i64, batch, 35, header.max_timestamp);
        put(i64, batch, 43, header.producer_id);
        put(i16, batch, 51, header.producer_epoch);
        put(i32, batch, 53, header.base_sequence);
        put(i32, batch, 57, header.records_count);
        seal(batch);
        return batch;
    }

    fn put(comptime T: type, batch: []u8, at: usize, value: T) void {
        std.mem.writeInt(T, batch[at..][0..@sizeOf(T)], value, .big);
    }

    fn seal(batch: []u8) void {
        put(u32, batch, 17, crc32c(0, batch[crc_start..]));
    }
};

fn facts_of(bytes: []const u8) Facts {
    var facts: Facts = undefined;
    check(bytes, &facts);
    return facts;
}

fn flaws_of(bytes: []const u8) Flaws {
    return @bitCast(@as(u32, @intFromFloat(facts_of(bytes).flaws)));
}

fn expect_flaws(expected: Flaws, bytes: []const u8) !void {
    try testing.expectEqual(expected, flaws_of(bytes));
}

test "batch: the facts of a good batch" {
    var builder: Builder = .{};
    builder.add(.{ .timestamp_delta = 5 });
    builder.add(.{ .timestamp_delta = -3, .offset_delta = 1, .headers = &.{.{ "h", null }} });
    builder.add(.{ .offset_delta = 2, .key = null, .value = null });
    builder.add(.{ .offset_delta = 3, .timestamp_delta = 300_000, .key = null });
    const batch = builder.finish(.{
        .base_offset = 77,
        .leader_epoch = 9,
        .attributes = 0x18,
        .last_offset_delta = 3,
        .producer_id = 1 << 40,
        .producer_epoch = 4,
        .base_sequence = 1000,
        .records_count = 4,
    });
    try testing.expectEqual(Facts{
        .flaws = 0,
        .bytes = @floatFromInt(batch.len),
        .attributes = 0x18,
        .last_offset_delta = 3,
        .base_timestamp = 1_700_000_000_000,
        .max_timestamp = 1_700_000_000_999,
        .producer_id = 1 << 40,
        .producer_epoch = 4,
        .base_sequence = 1000,
        .records_count = 4,
        .lowest_timestamp = 1_700_000_000_000 - 3,
        .highest_timestamp = 1_700_000_000_000 + 300_000,
        .first_without_key = 2,
        .partition_leader_epoch = 9,
        .base_offset = 77,
        .first_bad_record = -1,
    }, facts_of(batch));
}

test "batch: size, magic, checksum and a second batch" {
    var builder: Builder = .{};
    builder.add(.{});
    const batch = builder.finish(.{});
    try expect_flaws(.{}, batch);
    for (0..batch.len) |len| try expect_flaws(.{ .size = true }, batch[0..len]);
    try expect_flaws(.{ .several_batches = true }, builder.buffer[0 .. batch.len + 1]);
    for ([_]i32{ -1, 0, 48, std.math.maxInt(i32), std.math.minInt(i32) }) |length| {
        Builder.put(i32, batch, 8, length);
        try expect_flaws(.{ .size = true }, batch);
    }
    Builder.put(i32, batch, 8, @intCast(batch.len - head_size));
    for (crc_start..batch.len) |at| {
        batch[at] ^= 0x10;
        try testing.expect(flaws_of(batch).crc);
        batch[at] ^= 0x10;
    }
    batch[16] = 1;
    try expect_flaws(.{ .magic = true }, batch);
}

test "batch: a malformed record is found, with its index" {
    const cases = [_]struct { Builder.Record, Flaws, f64 }{
        .{ .{ .offset_delta = 1 }, .{}, -1 },
        .{ .{ .offset_delta = 2 }, .{ .records = true }, 1 },
        .{ .{ .offset_delta = 0 }, .{ .records = true }, 1 },
        .{ .{ .offset_delta = 1, .attributes = 1 }, .{ .record_attributes = true }, 1 },
        .{ .{ .offset_delta = 1, .headers = &.{.{ null, "v" }} }, .{ .records = true }, 1 },
        .{ .{ .offset_delta = 1, .headers = &.{.{ "", null }} }, .{}, -1 },
        .{
            .{ .offset_delta = 1, .timestamp_delta = (1 << 53) - 1_700_000_000_000 - 1 },
            .{},
            -1,
        },
        .{
            .{ .offset_delta = 1, .timestamp_delta = (1 << 53) - 1_700_000_000_000 },
            .{ .unsafe_int64 = true },
            -1,
        },
        .{
            .{ .offset_delta = 1, .timestamp_delta = std.math.maxInt(i64) },
            .{ .unsafe_int64 = true },
            -1,
        },
    };
    for (cases) |case| {
        var builder: Builder = .{};
        builder.add(.{});
        builder.add(case[0]);
        const batch = builder.finish(.{ .last_offset_delta = 1, .records_count = 2 });
        try expect_flaws(case[1], batch);
        try testing.expectEqual(case[2], facts_of(batch).first_bad_record);
    }
}

test "batch: the records fill the batch exactly (counts -1 to 3, two records)" {
    var builder: Builder = .{};
    builder.add(.{});
    builder.add(.{ .offset_delta = 1 });
    const batch = builder.finish(.{ .last_offset_delta = 1, .records_count = 2 });
    for ([_]i32{ -1, 0, 1, 2, 3 }) |count| {
        Builder.put(i32, batch, 57, count);
        Builder.seal(batch);
        try expect_flaws(.{ .records = count != 2 }, batch);
    }
    // Compressed records are opaque.
    Builder.put(u16, batch, 21, 3);
    Builder.seal(batch);
    try expect_flaws(.{}, batch);
}

test "batch: header fields beyond 2^53 are told" {
    for (0..8) |case| {
        var builder: Builder = .{};
        builder.add(.{});
        const batch = builder.finish(.{});
        const at = ([_]usize{ 0, 27, 35, 43 })[case / 2];
        Builder.put(i64, batch, at, if (case % 2 == 0) 1 << 53 else -(1 << 53));
        // The base timestamp drags its record along; that is one flaw.
        Builder.seal(batch);
        try expect_flaws(.{ .unsafe_int64 = true }, batch);
        Builder.put(i64, batch, at, safe_max);
        Builder.seal(batch);
        try expect_flaws(.{}, batch);
    }
}

test "batch: varints end with their width" {
    const maximum = std.math.maxInt(i32);
    const cases = [_]struct { []const u8, ?i32 }{
        .{ &.{0x00}, 0 },
        .{ &.{0x01}, -1 },
        .{ &.{ 0x80, 0x01 }, 64 },
        .{ &.{ 0x80, 0x00 }, 0 },
        .{ &.{ 0xfe, 0xff, 0xff, 0xff, 0x0f }, maximum },
        .{ &.{ 0xfe, 0xff, 0xff, 0xff, 0x1f }, null },
        .{ &.{ 0x80, 0x80, 0x80, 0x80, 0x80, 0x00 }, null },
        .{ &.{0x80}, null },
        .{ &.{}, null },
    };
    for (cases) |case| {
        var cursor: Cursor = .{ .bytes = case[0] };
        if (case[1]) |value| {
            try testing.expectEqual(value, try cursor.varint(i32));
            try testing.expectEqual(case[0].len, cursor.at);
        } else {
            try testing.expectError(error.Malformed, cursor.varint(i32));
        }
    }
    var wide: Cursor = .{ .bytes = &(@as([9]u8, @splat(0xff)) ++ [_]u8{0x01}) };
    try testing.expectEqual(std.math.minInt(i64), try wide.varint(i64));
    var over: Cursor = .{ .bytes = &(@as([9]u8, @splat(0xff)) ++ [_]u8{0x02}) };
    try testing.expectError(error.Malformed, over.varint(i64));
}

test "batch: any bytes behind a right checksum are judged, never trusted (20000 mutations)" {
    var random: std.Random.DefaultPrng = .init(0x6261_7463);
    const prng = random.random();
    for (0..20_000) |_| {
        var builder: Builder = .{};
        const count = prng.uintLessThan(u8, 6);
        for (0..count) |i| builder.add(.{
            .offset_delta = @intCast(i),
            .timestamp_delta = prng.int(i64) >> @intCast(prng.uintLessThan(u8, 64)),
            .key = if (prng.boolean()) null else "key",
            .headers = if (prng.boolean()) &.{} else &.{.{ "a", "b" }},
        });
        const batch = builder.finish(.{ .records_count = count });
        for (0..prng.uintLessThan(u8, 4)) |_| {
            batch[prng.intRangeLessThan(usize, 17, batch.len)] = prng.int(u8);
        }
        Builder.seal(batch);
        const facts = facts_of(batch);
        try testing.expect(facts.lowest_timestamp <= facts.highest_timestamp or
            facts.records_count <= 0 or facts.flaws != 0 or facts.attributes != 0);
        try testing.expect(facts.first_bad_record < 6 and facts.first_without_key < 6);
    }
}

/// What `Walk.run` has to find, by the slower of its two ways alone.
fn walk_by_any(records: []const u8, records_count: i32, flaws: *Flaws) Walk {
    var walk: Walk = .{ .records_count = records_count };
    var at: usize = 0;
    var index: i32 = 0;
    while (index < records_count) : (index += 1) {
        at += walk.any(records[at..], index, flaws) catch {
            walk.bad = index;
            flaws.records = true;
            return walk;
        };
    }
    if (at != records.len) flaws.records = true;
    return walk;
}

test "batch: the quick way over a record finds what the other finds (20000 batches, harmed or not)" {
    var random: std.Random.DefaultPrng = .init(0x7175_6963);
    const prng = random.random();
    const filler: [300]u8 = @splat('v');
    for (0..20_000) |_| {
        var builder: Builder = .{ .len = 0 };
        const count = prng.uintLessThan(u8, 80);
        for (0..count) |i| {
            const sizes = [_]usize{ 0, 1, 2, 9, 31, 32, 63, 64, 65 };
            builder.add(.{
                .attributes = @intFromBool(prng.uintLessThan(u8, 50) == 0),
                .offset_delta = @intCast(i),
                .timestamp_delta = prng.int(i64) >> @intCast(prng.intRangeAtMost(u8, 30, 63)),
                .key = if (prng.boolean()) null else filler[0..prng.uintLessThan(usize, 3)],
                .value = if (prng.uintLessThan(u8, 9) == 0)
                    null
                else
                    filler[0..sizes[prng.uintLessThan(usize, sizes.len)]],
                .headers = if (prng.uintLessThan(u8, 9) == 0) &.{.{ "a", null }} else &.{},
            });
        }
        const records = builder.buffer[0..builder.len];
        if (records.len > 0) {
            for (0..prng.uintLessThan(u8, 3)) |_| {
                const at = prng.uintLessThan(usize, records.len);
                const harm = [_]u8{ 0, 1, 0x80, 0x81, 0xff, prng.int(u8) };
                records[at] = harm[prng.uintLessThan(usize, harm.len)];
            }
        }
        var walk: Walk = .{ .records_count = count };
        var flaws: Flaws = .{};
        walk.run(records, &flaws);
        var flaws_expected: Flaws = .{};
        try testing.expectEqual(walk_by_any(records, count, &flaws_expected), walk);
        try testing.expectEqual(flaws_expected, flaws);
    }
}
