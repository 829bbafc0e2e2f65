//! A sleeping thread and those who wake it. Ringing costs one atomic exchange while the thread
//! works; only a sleeper costs a system call.
//!
//! No ring is lost: the sleeper says that it sleeps and then looks once more for work; the ringer
//! publishes its work and then asks whether somebody sleeps. Both orders need sequential
//! consistency.

const std = @import("std");
const stdx = @import("stdx.zig");

pub const Bell = struct {
    asleep: std.atomic.Value(bool) = .init(false),
    mutex: stdx.Mutex = .{},
    condition: stdx.Condition = .{},
    rung: bool = false,

    pub fn init(bell: *Bell) void {
        bell.* = .{};
        bell.condition.init();
    }

    pub fn deinit(bell: *Bell) void {
        bell.condition.deinit();
        bell.* = undefined;
    }

    pub fn ring(bell: *Bell) void {
        if (!bell.asleep.load(.seq_cst)) return;
        if (!bell.asleep.swap(false, .seq_cst)) return;
        bell.mutex.lock();
        bell.rung = true;
        bell.condition.signal();
        bell.mutex.unlock();
    }

    /// Before the last look for work. With work found: `cancel`, else: `sleep`.
    pub fn prepare(bell: *Bell) void {
        bell.asleep.store(true, .seq_cst);
    }

    pub fn cancel(bell: *Bell) void {
        bell.asleep.store(false, .seq_cst);
    }

    pub fn sleep(bell: *Bell, timeout_ns: ?u64) void {
        bell.mutex.lock();
        defer bell.mutex.unlock();

        if (!bell.rung) {
            if (timeout_ns) |timeout| {
                bell.condition.timedwait(&bell.mutex, timeout);
            } else {
                bell.condition.wait(&bell.mutex);
            }
        }
        bell.rung = false;
        bell.asleep.store(false, .seq_cst);
    }
};

test "bell: a ring between the last look and the sleep is not lost" {
    var bell: Bell = undefined;
    bell.init();
    defer bell.deinit();

    bell.prepare();
    bell.ring();
    bell.sleep(null);
    bell.ring();
    bell.prepare();
    bell.cancel();
    bell.prepare();
    bell.sleep(1000);
}
