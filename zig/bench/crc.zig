//! The rate of CRC-32C over sizes that batches and blocks have.

const std = @import("std");
const crc32c = @import("../crc32c.zig").crc32c;
const cpu_ns = @import("clock.zig").cpu_ns;
const Io = @import("../io.zig").Real;

const size_max = 1 << 20;
const ns_min = 200 * std.time.ns_per_ms;

pub fn run(io: *Io, allocator: std.mem.Allocator, out: *std.Io.Writer) !void {
    const bytes = try allocator.alloc(u8, size_max);
    defer allocator.free(bytes);

    io.random(bytes);
    try out.writeAll("{\"bench\":\"crc\",\"unit\":\"GB/s\",\"best_of\":5");
    inline for (.{
        .{ "60", 60 },
        .{ "128", 128 },
        .{ "1024", 1024 },
        .{ "16384", 16 * 1024 },
        .{ "65536", 64 * 1024 },
        .{ "1048576", size_max },
    }) |size| {
        var best: f64 = 0;
        for (0..5) |_| best = @max(best, rate(bytes[0..size[1]]));
        try out.print(",\"{s}\":{d:.2}", .{ size[0], best });
    }
    try out.writeAll("}\n");
}

/// Bytes per nanosecond.
fn rate(bytes: []const u8) f64 {
    const rounds = @max(1, (16 << 20) / bytes.len);
    var state: u32 = 0;
    var total: u64 = 0;
    const start = cpu_ns();
    while (true) {
        // Each call depends on the last, so none can be left out or overlapped.
        for (0..rounds) |_| state = crc32c(state, bytes);
        total += rounds * bytes.len;
        const elapsed = cpu_ns() - start;
        if (elapsed >= ns_min) {
            std.mem.doNotOptimizeAway(state);
            return @as(f64, @floatFromInt(total)) / @as(f64, @floatFromInt(elapsed));
        }
    }
}
