//! Fuzz of the batch check: any bytes as records behind a right header and checksum.

const std = @import("std");
const batch = @import("batch.zig");
const crc32c = @import("crc32c.zig").crc32c;
const testing = std.testing;

fn check(_: void, smith: *testing.Smith) anyerror!void {
    var buffer: [batch.header_size + 512]u8 = undefined;
    smith.bytes(buffer[0..batch.header_size]);
    const records_size = smith.slice(buffer[batch.header_size..]);
    const bytes = buffer[0 .. batch.header_size + records_size];
    const compressed = smith.value(bool);
    std.mem.writeInt(u32, bytes[8..12], @intCast(bytes.len - batch.head_size), .big);
    bytes[16] = 2;
    if (!compressed) bytes[22] &= 0xf8;
    std.mem.writeInt(u32, bytes[17..21], crc32c(0, bytes[batch.crc_start..]), .big);

    var facts: batch.Facts = undefined;
    batch.check(bytes, &facts);
    const flaws: batch.Flaws = @bitCast(@as(u32, @trunc(facts.flaws)));
    try testing.expect(!flaws.size and !flaws.magic and !flaws.crc and !flaws.several_batches);
    try testing.expectEqual(@as(f64, @floatFromInt(bytes.len)), facts.bytes);
    const records: f64 = @floatFromInt(records_size);
    try testing.expect(facts.first_bad_record <= records);
    try testing.expect(facts.first_without_key <= records);
    if (bytes[22] & 7 != 0) {
        try testing.expect(!flaws.records and !flaws.record_attributes);
    } else if (!flaws.records and facts.records_count > 0) {
        // A record takes at least 7 bytes with its length.
        try testing.expect(facts.records_count * 7 <= records);
        try testing.expect(facts.lowest_timestamp <= facts.highest_timestamp);
    }

    // Any bytes at all.
    batch.check(bytes[0..@min(bytes.len, smith.value(u16))], &facts);
}

/// In the form that Smith reads: the header, the records behind their size, two numbers.
const one_record = @as([60]u8, @splat(0)) ++ "\x01" ++ "\x08\x00\x00\x00" ++
    "\x0e\x00\x00\x00\x01\x02v\x00" ++ @as([16]u8, @splat(0));

test "batch: fuzz of the check" {
    try testing.fuzz({}, check, .{ .corpus = &.{ "", one_record } });
}
