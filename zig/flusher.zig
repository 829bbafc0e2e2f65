//! Syncs what nobody waits for. Frames of `os` durability are acknowledged when they are written;
//! their sync comes later and must not stop the writer, which goes on writing meanwhile.
//!
//! One request is at work at a time. It names a position that is written; when the sync returns,
//! the log is durable up to there, because the writer syncs a segment before it leaves it.

const std = @import("std");
const assert = std.debug.assert;
const bell_zig = @import("bell.zig");
const io_layer = @import("io.zig");
const stdx = @import("stdx.zig");

pub fn FlusherType(comptime Store: type) type {
    return struct {
        const Flusher = @This();

        bell: bell_zig.Bell = .{},
        /// Position to sync up to; 0: none. Set by the writer, cleared here when it is done.
        wanted: std.atomic.Value(u64) = .init(0),
        /// The segment whose file is in use, or none. The store's lock guards it.
        slot: ?u32 = null,
        syncs: std.atomic.Value(u64) = .init(0),
        sync_ns_total: std.atomic.Value(u64) = .init(0),
        sync_ns_max: std.atomic.Value(u64) = .init(0),

        pub fn init(flusher: *Flusher) void {
            flusher.* = .{};
            flusher.bell.init();
        }

        pub fn deinit(flusher: *Flusher) void {
            flusher.bell.deinit();
        }

        pub fn busy(store: *const Store) bool {
            return store.flusher.wanted.load(.acquire) != 0;
        }

        /// By the writer, while no request is at work.
        pub fn request(store: *Store, position: u64) void {
            assert(position > 0);
            const before = store.flusher.wanted.swap(position, .seq_cst);
            assert(before == 0);
            store.flusher.bell.ring();
        }

        pub fn run(store: *Store) void {
            stdx.block_signals();
            const flusher = &store.flusher;
            while (true) {
                if (step(store)) continue;
                if (store.stopping.load(.seq_cst)) return;
                flusher.bell.prepare();
                if (busy(store) or store.stopping.load(.seq_cst)) {
                    flusher.bell.cancel();
                } else {
                    flusher.bell.sleep(null);
                }
            }
        }

        /// False when nothing is wanted.
        pub fn step(store: *Store) bool {
            const flusher = &store.flusher;
            const position = flusher.wanted.load(.acquire);
            if (position == 0) return false;
            if (!store.failed()) {
                sync(store, position) catch |failure| store.fail(failure);
            }
            flusher.wanted.store(0, .seq_cst);
            store.writer_bell.ring();
            store.notify();
            return true;
        }

        fn sync(store: *Store, position: u64) io_layer.Error!void {
            const flusher = &store.flusher;
            if (store.durable.load(.seq_cst) >= position) return;
            const file = blk: {
                store.lock.lock();
                defer store.lock.unlock();

                // The last byte: a position is the end of a frame.
                const segment = store.segment_at(position - 1) orelse return;
                flusher.slot = segment.slot;
                // Sealed since: then it was durable before.
                break :blk segment.file orelse {
                    flusher.slot = null;
                    return;
                };
            };
            defer {
                store.lock.lock();
                flusher.slot = null;
                store.lock.unlock();
            }

            const start_ns = store.io.now_ns();
            try store.io.sync_data(file);
            const spent_ns = store.io.now_ns() - start_ns;
            store.raise_durable(position);
            _ = flusher.syncs.fetchAdd(1, .monotonic);
            _ = flusher.sync_ns_total.fetchAdd(spent_ns, .monotonic);
            _ = flusher.sync_ns_max.fetchMax(spent_ns, .monotonic);
        }
    };
}
