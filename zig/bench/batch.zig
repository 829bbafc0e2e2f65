//! The rate of the batch check over uncompressed batches of records of several sizes.

const std = @import("std");
const batch = @import("../batch.zig");
const batches = @import("batches.zig");
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
        const bytes = batches.build(buffer, shape[1], shape[2]);
        var best: f64 = 0;
        for (0..5) |_| best = @max(best, try rate(bytes, shape[2]));
        try out.print(",\"{s}\":{d:.2}", .{ shape[0], best });
    }
    try out.writeAll("}\n");
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
