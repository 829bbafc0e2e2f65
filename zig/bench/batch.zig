//! The rate of the batch check over uncompressed batches of records of several sizes.

const std = @import("std");
const batch = @import("../batch.zig");
const crc32c = @import("../crc32c.zig").crc32c;
const cpu_ns = @import("clock.zig").cpu_ns;
const Io = @import("../io.zig").Real;

const batch_size_max = 1 << 20;
const ns_min = 200 * std.time.ns_per_ms;

pub fn run(_: *Io, allocator: std.mem.Allocator, out: *std.Io.Writer) !void {
    const buffer = try allocator.alloc(u8, batch_size_max);
    defer allocator.free(buffer);

    try out.writeAll("{\"bench\":\"batch\",\"unit\":\"M records/s\",\"best_of\":5");
    inline for (.{
        .{ "10x1000", 10, 1000 },
        .{ "100x100", 100, 100 },
        .{ "100x1000", 100, 1000 },
        .{ "1000x16", 1000, 16 },
        .{ "1000x1000", 1000, 1000 },
    }) |shape| {
        const bytes = build(buffer, shape[1], shape[2]);
        var best: f64 = 0;
        for (0..5) |_| best = @max(best, try rate(bytes, shape[2]));
        try out.print(",\"{s}\":{d:.2}", .{ shape[0], best });
    }
    try out.writeAll("}\n");
}

/// A batch of `count` records without key whose value has `value_size` bytes.
fn build(buffer: []u8, value_size: u32, count: u32) []u8 {
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

fn rate(bytes: []const u8, count: u32) !f64 {
    var facts: batch.Facts = undefined;
    const rounds = @max(1, (4 << 20) / bytes.len);
    var total: u64 = 0;
    const start = cpu_ns();
    while (true) {
        for (0..rounds) |_| {
            batch.check(bytes, &facts);
            if (facts.flaws != 0) return error.BenchBatchRefused;
        }
        total += rounds * count;
        const elapsed = cpu_ns() - start;
        if (elapsed >= ns_min) {
            return 1000 * @as(f64, @floatFromInt(total)) / @as(f64, @floatFromInt(elapsed));
        }
    }
}
