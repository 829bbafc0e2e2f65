//! What the engine needs of threads and memory and the standard library lacks: locks without
//! `std.Io`, blocked signals, copies that check their lengths, an allocator with an end.

const std = @import("std");
const builtin = @import("builtin");
const assert = std.debug.assert;
const c = std.c;

const windows = builtin.os.tag == .windows;

/// Not recursive. Zero-initialised, never moved once used.
pub const Mutex = struct {
    raw: if (windows) WindowsLock else c.pthread_mutex_t = .{},

    pub fn lock(mutex: *Mutex) void {
        if (windows) return kernel32.AcquireSRWLockExclusive(&mutex.raw);
        assert(c.pthread_mutex_lock(&mutex.raw) == .SUCCESS);
    }

    pub fn unlock(mutex: *Mutex) void {
        if (windows) return kernel32.ReleaseSRWLockExclusive(&mutex.raw);
        assert(c.pthread_mutex_unlock(&mutex.raw) == .SUCCESS);
    }
};

/// `init` before the first use: only there can the clock of `timedwait` be chosen. Wake-ups may
/// be spurious, so every wait stands in a loop over its condition.
pub const Condition = struct {
    raw: if (windows) WindowsLock else c.pthread_cond_t = .{},

    pub fn init(condition: *Condition) void {
        condition.raw = .{};
        if (builtin.os.tag != .linux) return;
        // The default clock is the wall clock, which people set.
        var attributes: libc.Attributes = undefined;
        assert(libc.pthread_condattr_init(&attributes) == 0);
        assert(libc.pthread_condattr_setclock(&attributes, c.CLOCK.MONOTONIC) == 0);
        assert(libc.pthread_cond_init(&condition.raw, &attributes) == 0);
        assert(libc.pthread_condattr_destroy(&attributes) == 0);
    }

    pub fn deinit(condition: *Condition) void {
        if (!windows) assert(c.pthread_cond_destroy(&condition.raw) == .SUCCESS);
        condition.* = undefined;
    }

    pub fn wait(condition: *Condition, mutex: *Mutex) void {
        if (windows) {
            const infinite = std.math.maxInt(u32);
            const rc = kernel32.SleepConditionVariableSRW(
                &condition.raw,
                &mutex.raw,
                infinite,
                0,
            );
            return assert(rc != 0);
        }
        assert(c.pthread_cond_wait(&condition.raw, &mutex.raw) == .SUCCESS);
    }

    /// Returns after a signal or after `timeout_ns`; which of the two, only the caller's own
    /// condition tells.
    pub fn timedwait(condition: *Condition, mutex: *Mutex, timeout_ns: u64) void {
        if (windows) {
            const timeout_ms = timeout_ns / std.time.ns_per_ms + 1;
            const timeout: u32 = @intCast(@min(timeout_ms, std.math.maxInt(u32) - 1));
            _ = kernel32.SleepConditionVariableSRW(&condition.raw, &mutex.raw, timeout, 0);
            return;
        }
        if (builtin.os.tag.isDarwin()) {
            const relative = timespec_of(timeout_ns);
            const rc = libc.pthread_cond_timedwait_relative_np(
                &condition.raw,
                &mutex.raw,
                &relative,
            );
            return assert(rc == .SUCCESS or rc == .TIMEDOUT);
        }
        var now: c.timespec = undefined;
        assert(c.clock_gettime(.MONOTONIC, &now) == 0);
        const now_ns = @as(u64, @intCast(now.sec)) * std.time.ns_per_s +
            @as(u64, @intCast(now.nsec));
        const deadline = timespec_of(now_ns +| timeout_ns);
        const rc = c.pthread_cond_timedwait(&condition.raw, &mutex.raw, &deadline);
        assert(rc == .SUCCESS or rc == .TIMEDOUT);
    }

    pub fn signal(condition: *Condition) void {
        if (windows) return kernel32.WakeConditionVariable(&condition.raw);
        assert(c.pthread_cond_signal(&condition.raw) == .SUCCESS);
    }

    pub fn broadcast(condition: *Condition) void {
        if (windows) return kernel32.WakeAllConditionVariable(&condition.raw);
        assert(c.pthread_cond_broadcast(&condition.raw) == .SUCCESS);
    }
};

fn timespec_of(ns: u64) c.timespec {
    return .{
        .sec = @intCast(ns / std.time.ns_per_s),
        .nsec = @intCast(ns % std.time.ns_per_s),
    };
}

/// First line of every thread that we start: signals belong to the thread of the event loop.
pub fn block_signals() void {
    if (windows) return;
    var all: c.sigset_t = undefined;
    var old: c.sigset_t = undefined;
    _ = c.sigfillset(&all);
    assert(c.pthread_sigmask(c.SIG.BLOCK, &all, &old) == 0);
}

/// For a person who looks for the process that holds a file.
pub fn process_id() u32 {
    if (windows) return kernel32.GetCurrentProcessId();
    return @intCast(c.getpid());
}

const WindowsLock = extern struct { pointer: ?*anyopaque = null };

const kernel32 = struct {
    extern "kernel32" fn GetCurrentProcessId() callconv(.winapi) u32;
    extern "kernel32" fn AcquireSRWLockExclusive(lock: *WindowsLock) callconv(.winapi) void;
    extern "kernel32" fn ReleaseSRWLockExclusive(lock: *WindowsLock) callconv(.winapi) void;
    extern "kernel32" fn WakeConditionVariable(variable: *WindowsLock) callconv(.winapi) void;
    extern "kernel32" fn WakeAllConditionVariable(variable: *WindowsLock) callconv(.winapi) void;
    extern "kernel32" fn SleepConditionVariableSRW(
        variable: *WindowsLock,
        lock: *WindowsLock,
        timeout_ms: u32,
        flags: u32,
    ) callconv(.winapi) c_int;
};

const libc = struct {
    /// pthread_condattr_t: 4 bytes in glibc (8 on some targets) and in musl.
    const Attributes = extern struct { bytes: [16]u8 align(8) };
    extern "c" fn pthread_condattr_init(attributes: *Attributes) c_int;
    extern "c" fn pthread_condattr_setclock(attributes: *Attributes, clock: c.clockid_t) c_int;
    extern "c" fn pthread_condattr_destroy(attributes: *Attributes) c_int;
    extern "c" fn pthread_cond_init(
        condition: *c.pthread_cond_t,
        attributes: *const Attributes,
    ) c_int;
    extern "c" fn pthread_cond_timedwait_relative_np(
        condition: *c.pthread_cond_t,
        mutex: *c.pthread_mutex_t,
        timeout: *const c.timespec,
    ) c.E;
};

/// `target` and `source` have one length and do not overlap.
pub fn copy(target: []u8, source: []const u8) void {
    assert(target.len == source.len);
    assert(disjoint(target, source));
    @memcpy(target, source);
}

/// Copies to the start of `target` and returns what is left of it.
pub fn copy_prefix(target: []u8, source: []const u8) []u8 {
    copy(target[0..source.len], source);
    return target[source.len..];
}

pub fn disjoint(a: []const u8, b: []const u8) bool {
    const a_start = @intFromPtr(a.ptr);
    const b_start = @intFromPtr(b.ptr);
    return a_start + a.len <= b_start or b_start + b.len <= a_start;
}

/// Memory is taken while a store opens and given back while it closes. In between an allocation
/// is a bug and stops the process: it would make a limit depend on traffic.
pub const StaticAllocator = struct {
    parent: std.mem.Allocator,
    state: State = .init,

    const State = enum { init, static, deinit };

    pub fn allocator(static: *StaticAllocator) std.mem.Allocator {
        return .{ .ptr = static, .vtable = &.{
            .alloc = alloc,
            .resize = resize,
            .remap = remap,
            .free = free,
        } };
    }

    pub fn transition_to_static(static: *StaticAllocator) void {
        assert(static.state == .init);
        static.state = .static;
    }

    pub fn transition_to_deinit(static: *StaticAllocator) void {
        assert(static.state != .deinit);
        static.state = .deinit;
    }

    const Alignment = std.mem.Alignment;

    fn alloc(raw: *anyopaque, len: usize, alignment: Alignment, address: usize) ?[*]u8 {
        const static: *StaticAllocator = @ptrCast(@alignCast(raw));
        assert(static.state == .init);
        return static.parent.rawAlloc(len, alignment, address);
    }

    fn resize(raw: *anyopaque, memory: []u8, alignment: Alignment, len: usize, at: usize) bool {
        const static: *StaticAllocator = @ptrCast(@alignCast(raw));
        assert(static.state == .init);
        return static.parent.rawResize(memory, alignment, len, at);
    }

    fn remap(raw: *anyopaque, memory: []u8, alignment: Alignment, len: usize, at: usize) ?[*]u8 {
        const static: *StaticAllocator = @ptrCast(@alignCast(raw));
        assert(static.state == .init);
        return static.parent.rawRemap(memory, alignment, len, at);
    }

    /// Also while opening: an open that fails half-way gives back what it took.
    fn free(raw: *anyopaque, memory: []u8, alignment: Alignment, address: usize) void {
        const static: *StaticAllocator = @ptrCast(@alignCast(raw));
        assert(static.state != .static);
        static.parent.rawFree(memory, alignment, address);
    }
};

const testing = std.testing;

test "stdx: a signalled condition wakes its waiter, a timed one ends alone" {
    var shared: struct {
        mutex: Mutex = .{},
        condition: Condition = .{},
        turn: u32 = 0,

        fn run(self: *@This()) void {
            block_signals();
            self.mutex.lock();
            defer self.mutex.unlock();

            while (self.turn != 1) self.condition.wait(&self.mutex);
            self.turn = 2;
            self.condition.broadcast();
        }
    } = .{};
    shared.condition.init();
    defer shared.condition.deinit();

    const options: std.Thread.SpawnConfig = .{ .stack_size = 1 << 20 };
    const thread = try std.Thread.spawn(options, @TypeOf(shared).run, .{&shared});
    shared.mutex.lock();
    // Nobody signals yet, so only the timeout can end this.
    shared.condition.timedwait(&shared.mutex, 1000);
    shared.turn = 1;
    shared.condition.signal();
    while (shared.turn != 2) shared.condition.timedwait(&shared.mutex, std.time.ns_per_s);
    shared.mutex.unlock();
    thread.join();
    try testing.expectEqual(2, shared.turn);
}

test "stdx: the static allocator gives and takes back in its states" {
    var static: StaticAllocator = .{ .parent = testing.allocator };
    const allocator = static.allocator();
    const kept = try allocator.alloc(u8, 100);
    allocator.free(try allocator.alloc(u64, 10));
    static.transition_to_static();
    static.transition_to_deinit();
    allocator.free(kept);
}

test "stdx: copies fill the target and return its rest" {
    var target: [5]u8 = @splat('-');
    const rest = copy_prefix(&target, "abc");
    try testing.expectEqual(2, rest.len);
    copy(rest, "de");
    try testing.expectEqualStrings("abcde", &target);
    try testing.expect(disjoint(target[0..2], target[2..]));
    try testing.expect(!disjoint(target[0..3], target[2..]));
}
