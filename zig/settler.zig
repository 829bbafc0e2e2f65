//! The background thread of a store: the next segment is made ready before it is needed.

const std = @import("std");
const assert = std.debug.assert;
const frame = @import("frame.zig");
const io_layer = @import("io.zig");
const limits = @import("limits.zig");
const segments = @import("segments.zig");
const slots = @import("slots.zig");
const stdx = @import("stdx.zig");

pub fn SettlerType(comptime Store: type) type {
    return struct {
        const Slots = slots.SlotsType(Store);

        /// When a refused segment is tried again.
        retry_ns: u64 = 0,

        pub fn run(store: *Store) void {
            stdx.block_signals();
            while (!store.stopping.load(.seq_cst)) {
                if (step(store)) continue;
                store.settler_bell.prepare();
                if (store.stopping.load(.seq_cst)) return;
                store.settler_bell.sleep(100 * std.time.ns_per_ms);
            }
        }

        /// One piece of work; false when there is none.
        pub fn step(store: *Store) bool {
            if (store.failed()) return false;
            if (Store.Snapshots.step(store)) return true;
            return prepare_next(store);
        }

        fn prepare_next(store: *Store) bool {
            store.lock.lock();
            const slot = claim_slot(store) orelse {
                store.lock.unlock();
                return false;
            };
            const segment = &store.segments.segments[slot];
            store.lock.unlock();
            Slots.prepare(store, slot) catch {
                store.lock.lock();
                defer store.lock.unlock();

                segment.state = .absent;
                store.space_refused = true;
                return false;
            };
            store.lock.lock();
            defer store.notify();
            defer store.lock.unlock();

            const table = store.directory.take().?;
            _ = store.directory.assign(table, segment.generation, slot, segment.first_position);
            segment.table = table;
            segment.state = .ready;
            store.next_slot = slot;
            store.space_refused = false;
            return true;
        }

        fn claim_slot(store: *Store) ?u32 {
            if (store.next_slot != null) return null;
            if (store.directory.take() == null) return null;
            const slot = store.segments.first_in(.free) orelse
                store.segments.first_absent() orelse return null;
            const open = &store.segments.segments[store.open_slot];
            const segment = store.segments.at(slot);
            segment.* = .none;
            segment.state = .preparing;
            segment.generation = open.generation + 1;
            segment.first_position = open.first_position + open.bytes;
            segment.bytes = store.options.segment_bytes;
            return slot;
        }

        comptime {
            _ = .{ frame, io_layer, limits, segments, assert };
        }
    };
}
