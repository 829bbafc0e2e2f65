//! Record batches for tests: right in everything that the engine looks at, with a body of bytes
//! that no one decodes.

const std = @import("std");
const crc32c = @import("../crc32c.zig").crc32c;

pub const Shape = struct {
    count: u32 = 1,
    body: u32 = 32,
    max_timestamp: i64 = 1000,
    seed: u64 = 0,
    /// -1: not of an idempotent producer.
    producer_id: i64 = -1,
    /// Bit 5 of the attributes.
    control: bool = false,
};

/// Fills the start of `buffer` and returns it.
pub fn batch(buffer: []u8, shape: Shape) []u8 {
    const bytes = buffer[0 .. 61 + shape.body];
    @memset(bytes[0..61], 0);
    std.mem.writeInt(u32, bytes[8..12], @intCast(bytes.len - 12), .big);
    bytes[16] = 2;
    std.mem.writeInt(i32, bytes[23..27], @intCast(shape.count - 1), .big);
    std.mem.writeInt(i64, bytes[27..35], shape.max_timestamp, .big);
    std.mem.writeInt(i64, bytes[35..43], shape.max_timestamp, .big);
    std.mem.writeInt(i64, bytes[43..51], shape.producer_id, .big);
    if (shape.control) bytes[22] |= 0x20;
    std.mem.writeInt(u32, bytes[57..61], shape.count, .big);
    var prng = std.Random.DefaultPrng.init(shape.seed);
    prng.random().bytes(bytes[61..]);
    std.mem.writeInt(u32, bytes[17..21], crc32c(0, bytes[21..]), .big);
    return bytes;
}
