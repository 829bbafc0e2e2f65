//! Record batches for benches, right in everything that the batch check looks at.

const std = @import("std");
const batch = @import("../batch.zig");
const crc32c = @import("../crc32c.zig").crc32c;

/// A batch of `count` records without key whose value has `value_size` bytes.
pub fn build(buffer: []u8, value_size: u32, count: u32) []u8 {
    var len: usize = batch.header_size;
    for (0..count) |i| {
        var body: [32]u8 = undefined;
        var body_len: usize = 1;
        body[0] = 0;
        body_len += put_varint(body[body_len..], @intCast(i / 8));
        body_len += put_varint(body[body_len..], @intCast(i));
        body_len += put_varint(body[body_len..], -1);
        body_len += put_varint(body[body_len..], @intCast(value_size));
        len += put_varint(buffer[len..], @intCast(body_len + value_size + 1));
        @memcpy(buffer[len..][0..body_len], body[0..body_len]);
        len += body_len;
        for (buffer[len..][0..value_size], 0..) |*byte, at| byte.* = @truncate(at *% 151 +% i);
        len += value_size;
        buffer[len] = 0; // no headers
        len += 1;
    }
    const bytes = buffer[0..len];
    @memset(bytes[0..batch.header_size], 0);
    std.mem.writeInt(i32, bytes[8..12], @intCast(len - batch.head_size), .big);
    bytes[16] = 2;
    std.mem.writeInt(i32, bytes[23..27], @intCast(count - 1), .big);
    std.mem.writeInt(i64, bytes[43..51], -1, .big);
    std.mem.writeInt(i32, bytes[57..61], @intCast(count), .big);
    std.mem.writeInt(u32, bytes[17..21], crc32c(0, bytes[batch.crc_start..]), .big);
    return bytes;
}

fn put_varint(out: []u8, value: i32) usize {
    var rest: u32 = @bitCast((value << 1) ^ (value >> 31));
    var len: usize = 0;
    while (rest >= 0x80) : (rest >>= 7) {
        out[len] = @as(u8, @truncate(rest)) | 0x80;
        len += 1;
    }
    out[len] = @intCast(rest);
    return len + 1;
}
