//! Zeros for new segment files. Blocks that were only reserved cost every sync a change of the
//! file's extents, so a new file is written once, a little ahead of the writer, at a limited rate
//! and only while the log grows slowly and nothing waits for the medium: a loaded writer has large
//! groups, to which the extents are nothing and the zeros half of the bandwidth. The writer never
//! waits: it only must not meet the piece that is being written, and the pieces lie far ahead.

const std = @import("std");
const assert = std.debug.assert;
const io_layer = @import("io.zig");
const limits = @import("limits.zig");
const memory = @import("memory.zig");
const stdx = @import("stdx.zig");

const piece_bytes: u32 = 256 << 10;
/// A store that was just opened has better things to do.
const rest_ns: u64 = std.time.ns_per_s;
/// With bytes on their way to the medium it is tried again after this long.
const retry_ns: u64 = 5 * std.time.ns_per_ms;
/// The growth of the log is judged over this long: between two bursts it would seem to stand still.
const window_ns: u64 = 100 * std.time.ns_per_ms;
/// Growth of the log in bytes per millisecond beyond which nothing is filled.
const growth_max: u64 = 16 << 10;
/// How far ahead of the writer zeros reach, and how near to it they may start.
const ahead_bytes: u32 = 2 * limits.fill_step_bytes;
const distance_bytes: u32 = limits.fill_step_bytes;

pub fn FillType(comptime Store: type) type {
    return struct {
        const Fill = @This();

        zeros: []u8 = &.{},
        next_ns: u64 = 0,
        /// End of the log when its growth was judged last, and when that was.
        seen: u64 = 0,
        seen_ns: u64 = 0,
        grows: bool = false,
        /// Held while a piece is written.
        lock: stdx.Mutex = .{},
        busy: std.atomic.Value(bool) = .init(false),
        /// The piece; the store's lock guards it.
        slot: u32 = 0,
        start: u32 = 0,
        end: u32 = 0,

        pub fn init(fill: *Fill) error{OutOfMemory}!void {
            fill.* = .{ .zeros = try memory.reserve(u8, piece_bytes) };
        }

        pub fn deinit(fill: *Fill) void {
            memory.release(u8, fill.zeros);
        }

        /// One piece; false when nothing is to be filled now.
        pub fn step(store: *Store) io_layer.Error!bool {
            const fill = &store.fill;
            if (store.options.fill_bytes_per_s == 0) return false;
            const now = store.io.now_ns();
            if (fill.next_ns == 0) fill.next_ns = now + rest_ns;
            if (now < fill.next_ns) return false;
            const staged = store.staged.load(.acquire);
            if (now >= fill.seen_ns + window_ns) {
                const spent_ms = (now - fill.seen_ns) / std.time.ns_per_ms;
                fill.grows = staged - fill.seen > growth_max * spent_ms;
                fill.seen = staged;
                fill.seen_ns = now;
            }
            if (fill.grows or store.durable.load(.acquire) != staged) {
                fill.next_ns = now + retry_ns;
                return false;
            }
            fill.lock.lock();
            defer fill.lock.unlock();

            const file = claim(store) orelse return false;
            defer fill.busy.store(false, .seq_cst);

            const bytes = fill.zeros[0 .. fill.end - fill.start];
            try store.io.pwrite(file, bytes, fill.start);
            // Otherwise the writer's next sync would have to carry them.
            try store.io.sync_data(file);
            fill.next_ns = now + bytes.len * std.time.ns_per_s / store.options.fill_bytes_per_s;
            store.lock.lock();
            defer store.lock.unlock();

            store.segments.segments[fill.slot].filled = fill.end;
            store.stats.filled_bytes += @floatFromInt(bytes.len);
            return true;
        }

        /// When the next piece may be written; null: none is wanted.
        pub fn next_time(store: *Store) ?u64 {
            if (store.options.fill_bytes_per_s == 0) return null;
            store.lock.lock();
            defer store.lock.unlock();

            return if (wanted(store) != null) store.fill.next_ns else null;
        }

        const Wanted = struct { slot: u32, start: u32 };

        fn wanted(store: *Store) ?Wanted {
            const open = &store.segments.segments[store.open_slot];
            if (open.filled < open.bytes) {
                const near = open.used + distance_bytes;
                const start = if (open.filled >= open.used + distance_bytes / 4)
                    open.filled
                else
                    std.mem.alignForward(u32, near, piece_bytes);
                if (start < open.bytes and start < open.used + ahead_bytes) {
                    return .{ .slot = store.open_slot, .start = start };
                }
            }
            const next_slot = store.next_slot orelse return null;
            const next = &store.segments.segments[next_slot];
            if (open.bytes - open.used > 2 * ahead_bytes) return null;
            if (next.filled >= @min(next.bytes, ahead_bytes)) return null;
            return .{ .slot = next_slot, .start = @max(next.filled, 4096) };
        }

        /// A file that stays open while the piece is written: the writer's own.
        fn claim(store: *Store) ?io_layer.File {
            const fill = &store.fill;
            store.lock.lock();
            defer store.lock.unlock();

            const found = wanted(store) orelse return null;
            const segment = &store.segments.segments[found.slot];
            fill.slot = found.slot;
            fill.start = found.start;
            fill.end = @min(segment.bytes, std.mem.alignForward(u32, found.start + 1, piece_bytes));
            assert(segment.state == .ready or fill.start >= segment.used + distance_bytes / 4);
            fill.busy.store(true, .seq_cst);
            return segment.file.?;
        }

        /// The writer is about to write there. It looks after it knows what it will write: a
        /// piece that is claimed later starts behind everything that was staged before.
        pub fn clear_way(store: *Store, slot: u32, start: u32, end: u32) void {
            const fill = &store.fill;
            if (!fill.busy.load(.seq_cst)) return;
            store.lock.lock();
            const meets = fill.slot == slot and fill.start < end and fill.end > start;
            store.lock.unlock();
            if (!meets) return;
            fill.lock.lock();
            fill.lock.unlock();
        }
    };
}
