//! What the bench's native programs share: the clock, a histogram of times, JSON on stdout.

const std = @import("std");
const assert = std.debug.assert;
const c = std.c;

pub extern "c" fn printf(format: [*:0]const u8, ...) c_int;

pub fn now_ns() u64 {
    var now: c.timespec = undefined;
    assert(c.clock_gettime(.MONOTONIC, &now) == 0);
    return @as(u64, @intCast(now.sec)) * std.time.ns_per_s + @as(u64, @intCast(now.nsec));
}

/// Counts of values in ns, exact to 1 in 1,024: 1,024 buckets for each doubling.
pub const Histogram = struct {
    const sub_bits = 10;
    const sub_count = 1 << sub_bits;
    counts: [(64 - sub_bits + 1) * sub_count]u64 = @splat(0),
    total: u64 = 0,
    max: u64 = 0,

    fn index_of(value: u64) usize {
        if (value < sub_count) return value;
        const shift: u6 = @intCast(63 - @clz(value) - sub_bits);
        return (@as(usize, shift) + 1) * sub_count + (value >> shift) - sub_count;
    }

    /// Largest value that counts into the bucket.
    fn value_of(index: usize) u64 {
        if (index < sub_count) return index;
        const shift: u6 = @intCast(index / sub_count - 1);
        const top: u64 = sub_count + index % sub_count;
        return ((top + 1) << shift) - 1;
    }

    pub fn add(histogram: *Histogram, value: u64) void {
        histogram.counts[index_of(value)] += 1;
        histogram.total += 1;
        histogram.max = @max(histogram.max, value);
    }

    /// The smallest value that is not below `share` of all values.
    pub fn percentile(histogram: *const Histogram, share: f64) u64 {
        const wanted: u64 = @trunc(@ceil(share * @as(f64, @floatFromInt(histogram.total))));
        var seen: u64 = 0;
        for (histogram.counts, 0..) |count, index| {
            seen += count;
            if (seen >= wanted and seen > 0) return @min(value_of(index), histogram.max);
        }
        return histogram.max;
    }

    /// Fields of a JSON object, each with a comma behind it.
    pub fn print_percentiles(histogram: *const Histogram) void {
        print_us("p50_us", histogram.percentile(0.5));
        print_us("p90_us", histogram.percentile(0.9));
        print_us("p99_us", histogram.percentile(0.99));
        print_us("p999_us", histogram.percentile(0.999));
        print_us("max_us", histogram.max);
    }

    /// `[[largest value of the bucket, count], ...]`, ascending, empty buckets left out.
    pub fn print_buckets(histogram: *const Histogram) void {
        _ = printf("[");
        var first = true;
        for (histogram.counts, 0..) |count, index| {
            if (count == 0) continue;
            if (!first) _ = printf(",");
            first = false;
            _ = printf("[%llu,%llu]", value_of(index), count);
        }
        _ = printf("]");
    }
};

pub fn print_us(name: [*:0]const u8, value_ns: u64) void {
    const value: f64 = @floatFromInt(value_ns);
    _ = printf("\"%s\":%.1f,", name, value / 1_000);
}

test "histogram: every value falls into a bucket that is at most 1/1024 above it" {
    var value: u64 = 1;
    while (value < 1 << 62) : (value = value + value / 3 + 1) {
        const bound = Histogram.value_of(Histogram.index_of(value));
        try std.testing.expect(bound >= value);
        try std.testing.expect(bound - value <= value / 1024 + 1);
    }
}

test "histogram: percentiles of 1..1000" {
    var histogram: Histogram = .{};
    for (1..1001) |value| histogram.add(value);
    try std.testing.expectEqual(500, histogram.percentile(0.5));
    try std.testing.expectEqual(990, histogram.percentile(0.99));
    try std.testing.expectEqual(1000, histogram.percentile(1));
}
