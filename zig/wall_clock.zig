//! The wall clock, for retention. Nothing that must be safe looks at it.

const std = @import("std");
const builtin = @import("builtin");
const assert = std.debug.assert;
const c = std.c;

const windows = builtin.os.tag == .windows;

/// Unix time in milliseconds.
pub fn now_ms() i64 {
    if (windows) {
        // 100 ns since 1601.
        var raw: u64 = 0;
        kernel32.GetSystemTimeAsFileTime(&raw);
        const unix_start = 116_444_736_000_000_000;
        return @intCast((raw -| unix_start) / 10_000);
    }
    var time: c.timespec = undefined;
    const rc = c.clock_gettime(.REALTIME, &time);
    assert(rc == 0);
    return @as(i64, time.sec) * 1000 + @divFloor(@as(i64, time.nsec), 1_000_000);
}

const kernel32 = struct {
    extern "kernel32" fn GetSystemTimeAsFileTime(out: *align(4) u64) callconv(.winapi) void;
};

test "wall_clock: it is later than this was written" {
    try std.testing.expect(now_ms() > 1_700_000_000_000);
}
