//! The time that this thread had a processor: a shared machine's other work is not the bench's cost.

const std = @import("std");
const assert = std.debug.assert;

pub fn cpu_ns() u64 {
    var time: std.c.timespec = undefined;
    assert(std.c.clock_gettime(.THREAD_CPUTIME_ID, &time) == 0);
    return @as(u64, @intCast(time.sec)) * std.time.ns_per_s + @as(u64, @intCast(time.nsec));
}
