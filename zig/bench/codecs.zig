//! The rate of LZ4 and Snappy over a batch of lines, in bytes of content.

const std = @import("std");
const content = @import("../testing/content.zig");
const cpu_ns = @import("clock.zig").cpu_ns;
const Io = @import("../io.zig").Real;

const codecs = .{
    .{ "lz4", @import("../lz4.zig") },
    .{ "snappy", @import("../snappy.zig") },
};
const size = 1 << 20;
const ns_min = 200 * std.time.ns_per_ms;

pub fn run(_: *Io, allocator: std.mem.Allocator, out: *std.Io.Writer) !void {
    var prng: std.Random.DefaultPrng = .init(1);
    const source = try allocator.alloc(u8, size);
    defer allocator.free(source);

    const compressed = try allocator.alloc(u8, 2 * size);
    defer allocator.free(compressed);

    const target = try allocator.alloc(u8, size);
    defer allocator.free(target);

    content.fill(prng.random(), .mixed, source);
    try out.writeAll("{\"bench\":\"codecs\",\"unit\":\"MB/s\",\"best_of\":5");
    inline for (codecs) |codec| {
        const compressed_size = try codec[1].compress(source, compressed);
        var best: [2]f64 = .{ 0, 0 };
        for (0..5) |_| {
            best[0] = @max(best[0], try rate(codec[1].compress, source, compressed));
            best[1] = @max(best[1], try rate(
                codec[1].decompress,
                compressed[0..compressed_size],
                target,
            ));
        }
        const ratio = @as(f64, size) / @as(f64, @floatFromInt(compressed_size));
        try out.print(",\"{s}_compress\":{d:.0},\"{s}_decompress\":{d:.0},\"{s}_ratio\":{d:.2}", .{
            codec[0], best[0], codec[0], best[1], codec[0], ratio,
        });
    }
    try out.writeAll("}\n");
}

fn rate(comptime code: anytype, source: []const u8, target: []u8) !f64 {
    var total: u64 = 0;
    const start = cpu_ns();
    while (true) {
        std.mem.doNotOptimizeAway(try code(source, target));
        total += size;
        const elapsed = cpu_ns() - start;
        if (elapsed >= ns_min) {
            return 1000 * @as(f64, @floatFromInt(total)) / @as(f64, @floatFromInt(elapsed));
        }
    }
}
