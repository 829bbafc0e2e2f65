//! The background thread of a store. In the order of urgency: snapshots, sorted directories of
//! closed segments, the next segment, checkpoints, dead segments, retention, zeros ahead of the
//! writer, the scrub. Each step is one bounded piece of work. An error of the background is no error of the
//! log: it is tried again later.

const std = @import("std");
const assert = std.debug.assert;
const arrival = @import("arrival.zig");
const blocks = @import("blocks.zig");
const io_layer = @import("io.zig");
const limits = @import("limits.zig");
const memory = @import("memory.zig");
const segments = @import("segments.zig");
const slots = @import("slots.zig");
const stdx = @import("stdx.zig");

const retry_after_ns: u64 = std.time.ns_per_s;
const patience_ns: u64 = 100 * std.time.ns_per_ms;

pub fn SettlerType(comptime Store: type) type {
    return struct {
        const Settler = @This();
        const Slots = slots.SlotsType(Store);

        /// Indexes of runs in sorted order, and blocks on their way to a file.
        order: []u32 = &.{},
        buffer: []blocks.Block = &.{},
        /// Runs of a segment whose directory is built again.
        spare: arrival.Table = .{},
        /// One frame and a block more, at the start of a page.
        scan_buffer: []align(8) u8 = &.{},
        /// Nothing that failed is tried again before.
        retry_ns: u64 = 0,
        failure_told: bool = false,

        pub fn init(
            settler: *Settler,
            entries_max: u32,
            states_max: u32,
            scan_bytes: u32,
        ) error{OutOfMemory}!void {
            settler.* = .{};
            errdefer settler.deinit();

            settler.order = try memory.reserve(u32, entries_max);
            settler.buffer = try memory.reserve(blocks.Block, 64);
            settler.spare.runs = try memory.reserve(arrival.Run, entries_max);
            settler.spare.states = try memory.reserve(u32, states_max);
            settler.scan_buffer = @alignCast(try memory.reserve(
                u8,
                scan_bytes + io_layer.direct_bytes,
            ));
        }

        pub fn deinit(settler: *Settler) void {
            memory.release(u32, settler.order);
            memory.release(blocks.Block, settler.buffer);
            memory.release(arrival.Run, settler.spare.runs);
            memory.release(u32, settler.spare.states);
            memory.release(u8, settler.scan_buffer);
            settler.* = .{};
        }

        pub fn run(store: *Store) void {
            stdx.block_signals();
            while (!store.stopping.load(.seq_cst)) {
                if (step(store)) continue;
                store.settler_bell.prepare();
                if (store.stopping.load(.seq_cst)) return;
                store.settler_bell.sleep(nap_ns(store));
            }
        }

        fn nap_ns(store: *Store) u64 {
            const times = .{ Store.Fill.next_time(store), Store.Scrub.next_time(store) };
            const next = @min(times[0] orelse limits.never_ns, times[1] orelse limits.never_ns);
            return std.math.clamp(next -| store.io.now_ns(), 1, patience_ns);
        }

        /// One piece of work; false when there is none.
        pub fn step(store: *Store) bool {
            const settler = &store.settler;
            if (store.failed()) return tell_failure(store);
            if (Store.Snapshots.step(store)) return true;
            if (settler.retry_ns != 0) {
                if (store.io.now_ns() < settler.retry_ns) return false;
                settler.retry_ns = 0;
            }
            return work(store) catch |failure| {
                if (failure == error.NoSpace and make_room(store)) return true;
                settler.retry_ns = store.io.now_ns() + retry_after_ns;
                return false;
            };
        }

        fn make_room(store: *Store) bool {
            // The disk is full all the same when its reserve cannot be removed.
            if (store.reserve_file.release() catch false) return true;
            // A segment that gets no directory delays the next one.
            return refuse(store);
        }

        fn tell_failure(store: *Store) bool {
            if (store.settler.failure_told) return false;
            store.settler.failure_told = true;
            if (store.options.failed) |told| told.call(told.context);
            return true;
        }

        fn work(store: *Store) io_layer.Error!bool {
            if (try seal(store)) return true;
            if (try prepare_next(store)) return true;
            if (try Store.Checkpoint.place(store)) return true;
            if (Store.Checkpoint.due(store)) {
                try Store.Checkpoint.take(store, store.settler.buffer);
                return true;
            }
            if (try Store.Recycle.step(store)) return true;
            if (Store.Survey.step(store)) return true;
            if (try rebuild(store)) return true;
            if (try Store.Recycle.shrink(store)) return true;
            if (try store.reserve_file.restore()) return true;
            if (try Store.Fill.step(store)) return true;
            return Store.Scrub.step(store);
        }

        /// Writes the sorted directory of the oldest closed segment, once all of it is durable.
        fn seal(store: *Store) io_layer.Error!bool {
            store.lock.lock();
            const slot = oldest_closed(store);
            store.lock.unlock();
            const segment = &store.segments.segments[slot orelse return false];
            if (store.durable.load(.seq_cst) < segment.end_position()) return false;
            // The writer may still be on its way to the next segment.
            if (store.written.load(.seq_cst) <= segment.end_position()) return false;
            // So may the flusher be with its file.
            store.lock.lock();
            const flushing = store.flusher.slot == slot;
            store.lock.unlock();
            if (flushing) return false;
            const table = &store.directory.tables[segment.table];
            try Store.Sealed.write(store, slot.?, table, store.settler.order, store.settler.buffer);
            store.lock.lock();
            const file = segment.file.?;
            segment.file = null;
            segment.state = .sealed;
            store.checkpoint.sealed_since += 1;
            store.lock.unlock();
            store.io.close(file);
            return true;
        }

        fn oldest_closed(store: *Store) ?u32 {
            const table = &store.segments;
            for (table.live[0..table.live_count]) |slot| {
                if (table.segments[slot].state == .closed) return slot;
            }
            return null;
        }

        /// A directory that cannot be read any more is found again in its segment.
        fn rebuild(store: *Store) io_layer.Error!bool {
            const settler = &store.settler;
            store.lock.lock();
            const slot = for (store.segments.live[0..store.segments.live_count]) |slot| {
                const segment = &store.segments.segments[slot];
                if (segment.state == .sealed and segment.directory_damaged) break slot;
            } else {
                store.lock.unlock();
                return false;
            };
            const segment = &store.segments.segments[slot];
            segment.pins += 1;
            store.lock.unlock();
            defer store.unpin(slot);

            try Store.Replay.fill_table(store, slot, &settler.spare);
            try Store.Sealed.write(store, slot, &settler.spare, settler.order, settler.buffer);
            Store.Files.expire(store, slot);
            store.lock.lock();
            defer store.lock.unlock();

            segment.directory_damaged = false;
            segment.witness = 0;
            return true;
        }

        fn prepare_next(store: *Store) io_layer.Error!bool {
            store.lock.lock();
            if (store.next_slot != null or !may_open_more(store)) {
                store.lock.unlock();
                return false;
            }
            var slot = store.segments.first_in(.free);
            // Only this thread makes a free slot something else.
            const fresh = slot == null;
            store.lock.unlock();
            if (fresh and !try space_left(store)) return refuse(store);
            store.lock.lock();
            slot = slot orelse store.segments.first_absent();
            const chosen = slot orelse {
                store.lock.unlock();
                return refuse(store);
            };
            claim_slot(store, chosen);
            store.lock.unlock();
            Slots.prepare(store, chosen) catch |failure| {
                give_up_slot(store, chosen, fresh);
                if (failure != error.NoSpace) return failure;
                // The log of the partitions leaves the reserve to what frees the disk.
                if (store.options.which == .log) return refuse(store);
                return try store.reserve_file.release() or refuse(store);
            };
            store.lock.lock();
            defer store.notify();
            defer store.lock.unlock();

            const segment = &store.segments.segments[chosen];
            const table = store.directory.take().?;
            _ = store.directory.assign(table, segment.generation, chosen, segment.first_position);
            segment.table = table;
            segment.state = .ready;
            store.next_slot = chosen;
            store.space_refused = false;
            return true;
        }

        /// A start has to walk the segments without a directory, so there are few; and a table
        /// in memory has to be free.
        fn may_open_more(store: *Store) bool {
            if (store.segments.count_in(.closed) + 1 >= limits.segments_unsealed_max) return false;
            return (store.directory.take() orelse release_table(store)) != null;
        }

        /// The oldest sealed segment needs its table least: its file has the same.
        fn release_table(store: *Store) ?u32 {
            const live = &store.segments;
            for (live.live[0..live.live_count]) |slot| {
                const segment = &live.segments[slot];
                if (segment.state != .sealed or segment.table == segments.table_none) continue;
                const table = segment.table;
                store.directory.release(table);
                segment.table = segments.table_none;
                return table;
            }
            return null;
        }

        fn claim_slot(store: *Store, slot: u32) void {
            const open = &store.segments.segments[store.open_slot];
            const segment = store.segments.at(slot);
            const filled = segment.filled;
            const bytes = segment.bytes;
            segment.* = .blank(slot);
            segment.state = .preparing;
            segment.generation = open.generation + 1;
            segment.first_position = open.first_position + open.bytes;
            segment.bytes = store.options.segment_bytes;
            segment.filled = if (bytes == segment.bytes) filled else 0;
        }

        /// A new file goes. An old one may carry the new generation by now, or not: it stays
        /// aside until the next start has looked at it.
        fn give_up_slot(store: *Store, slot: u32, fresh: bool) void {
            var buffer: Store.PathBuffer = undefined;
            const path = store.path_of(&buffer, "{d:0>10}.seg", .{slot});
            var gone = false;
            if (fresh) {
                gone = if (store.io.unlink(path)) true else |failure| failure == error.NotFound;
            }
            store.lock.lock();
            defer store.lock.unlock();

            const segment = &store.segments.segments[slot];
            segment.* = .blank(slot);
            if (!gone) segment.state = .foreign;
        }

        fn refuse(store: *Store) bool {
            store.lock.lock();
            if (store.next_slot != null) {
                store.lock.unlock();
                return false;
            }
            const news = !store.space_refused;
            store.space_refused = true;
            // What is dead now frees the disk, if a checkpoint lets it.
            if (store.staged.load(.acquire) != store.checkpoint.position) {
                store.checkpoint.wanted = true;
            }
            store.lock.unlock();
            if (news) store.notify();
            return false;
        }

        /// Only the log of the partitions keeps away from the last bytes of a disk.
        fn space_left(store: *Store) io_layer.Error!bool {
            if (store.options.which == .meta) return true;
            var buffer: Store.PathBuffer = undefined;
            const space = try store.io.free_space(store.path_z(&buffer));
            const least = limits.free_least(space.total);
            // Once refused, more has to be free than when it was.
            const margin = if (store.space_refused) store.options.segment_bytes else 0;
            store.lock.lock();
            defer store.lock.unlock();

            // What has to be free for writes to go on once they were refused.
            store.stats.space_least = @floatFromInt(least + store.options.segment_bytes);
            return space.free >= least + margin;
        }
    };
}

comptime {
    assert(retry_after_ns > patience_ns);
}
