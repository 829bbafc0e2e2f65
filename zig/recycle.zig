//! Dead segments and what becomes of them. A sealed segment is dead when every stream in it is
//! trimmed past its range or deleted, and when the checkpoint is newer, so that its state frames
//! are not needed. It remembers one live range as witness and looks for another only when that
//! one has died.
//!
//! Its bytes are taken off its streams first, and a checkpoint is taken: were they counted again
//! after a start, retention would take live batches for them.
//!
//! Order then: the header says *free* and is synced, then the directory file goes, then the file takes
//! the next generation. A reader's pin delays it.

const std = @import("std");
const assert = std.debug.assert;
const io_layer = @import("io.zig");
const limits = @import("limits.zig");
const segments = @import("segments.zig");
const slots = @import("slots.zig");

pub fn RecycleType(comptime Store: type) type {
    return struct {
        const Recycle = @This();
        const Slots = slots.SlotsType(Store);

        /// Streams changed (trims, deletions) and checkpoints when the last look was taken.
        changes_seen: u64 = std.math.maxInt(u64),
        checkpoints_seen: u32 = 0,
        /// The look goes on here.
        generation: u32 = 0,
        looking: bool = false,

        /// One segment looked at or recycled; false when there is nothing to do.
        pub fn step(store: *Store) io_layer.Error!bool {
            const recycle = &store.recycle;
            // A survey counts what trims have taken from segments that are still there.
            if (store.survey.generation != 0) return false;
            if (!recycle.looking) {
                const changes = store.changes.load(.acquire);
                const checkpoints = store.checkpoint.count;
                if (recycle.changes_seen == changes and recycle.checkpoints_seen == checkpoints) {
                    return false;
                }
                store.lock.lock();
                const position = store.change_position;
                store.lock.unlock();
                if (store.durable.load(.seq_cst) < position) return false;
                recycle.changes_seen = changes;
                recycle.checkpoints_seen = checkpoints;
                recycle.looking = true;
                recycle.generation = 0;
            }
            const slot = next_sealed(store) orelse {
                recycle.looking = false;
                finish_look(store);
                return true;
            };
            recycle.generation = store.segments.segments[slot].generation + 1;
            defer store.unpin(slot);

            if (!try dead(store, slot)) return true;
            const segment = &store.segments.segments[slot];
            if (!segment.taken) {
                if (!settled(store)) return true;
                // Bytes that are counted wrong are no reason to keep a dead segment.
                take_bytes(store, slot) catch {};
                segment.taken = true;
                segment.taken_at = Store.Checkpoint.count_next(store);
            }
            if (segment.taken_at >= store.checkpoint.count) {
                store.checkpoint.wanted = true;
                return true;
            }
            assert(segment.end_position() <= store.checkpoint.position);
            if (claim(store, slot)) try free(store, slot);
            return true;
        }

        /// Whether everything that killed a segment is durable: a trim that a power cut may still
        /// take has not killed anything.
        fn settled(store: *Store) bool {
            store.lock.lock();
            defer store.lock.unlock();

            if (store.durable.load(.seq_cst) >= store.change_position) return true;
            store.recycle.changes_seen = std.math.maxInt(u64);
            return false;
        }

        /// Streams that live on lose the bytes that they had here, as far as no survey has taken
        /// them yet.
        fn take_bytes(store: *Store, slot: u32) Store.Sealed.Reader.Error!void {
            const generation = store.segments.segments[slot].generation;
            const entry = try Store.Files.acquire(store, .directory, slot, generation);
            defer Store.Files.release(store, entry);

            var walk = try Store.Sealed.HeaderWalk.init(store, slot, generation, entry.file.?);
            var entries = try Store.Sealed.HeaderWalk.init(store, slot, generation, entry.file.?);
            while (try walk.next()) |header| {
                const counted = store.survey.accounts[header.stream].counted;
                if (header.end <= counted) continue;
                var bytes: u64 = 0;
                for (0..header.entry_count) |nth| {
                    const found = try entries.entry(&header, @intCast(nth));
                    const end = header.first + found.base_delta + found.extent;
                    if (end > counted) bytes += found.length;
                }
                store.lock.lock();
                defer store.lock.unlock();

                if (store.streams.get(header.stream)) |stream| stream.bytes -|= bytes;
            }
        }

        fn next_sealed(store: *Store) ?u32 {
            store.lock.lock();
            defer store.lock.unlock();

            const table = &store.segments;
            for (table.live[table.live_from(store.recycle.generation)..table.live_count]) |slot| {
                const segment = &table.segments[slot];
                if (segment.state != .sealed) continue;
                segment.pins += 1;
                return slot;
            }
            return null;
        }

        /// Ids of deleted streams and cuts may go when nothing older than them is left.
        fn finish_look(store: *Store) void {
            store.lock.lock();
            defer store.lock.unlock();

            const table = &store.segments;
            const oldest = table.segments[table.live[0]].first_position;
            store.streams.free_deleted(oldest);
            for (0..store.cuts.count) |index| {
                const cut = &store.cuts.cuts[index];
                if (cut.stream == 0 or cut.position > oldest) continue;
                const stream = store.streams.get(cut.stream) orelse continue;
                store.cuts.forget(&stream.cuts, oldest);
            }
        }

        fn dead(store: *Store, slot: u32) io_layer.Error!bool {
            const segment = &store.segments.segments[slot];
            {
                store.lock.lock();
                defer store.lock.unlock();

                if (segment.directory_damaged) return false;
                if (!damage_dead(store, segment)) return false;
                if (segment.witness_stream != 0 and
                    live(store, segment.witness_stream, segment.witness_end)) return false;
            }
            return look(store, slot) catch |failure| switch (failure) {
                error.Damaged => {
                    store.lock.lock();
                    defer store.lock.unlock();

                    segment.directory_damaged = true;
                    return false;
                },
                else => |other| return other,
            };
        }

        fn live(store: *Store, id: u32, end: i64) bool {
            const stream = store.streams.get(id) orelse return false;
            return end > stream.log_start;
        }

        /// Whether nobody may ask any more for what lay in the damaged ranges of the segment.
        fn damage_dead(store: *Store, segment: *const segments.Segment) bool {
            const start = segment.first_position;
            const end = start + segment.bytes;
            for (store.damage.ranges[0..store.damage.count]) |*range| {
                if (range.position < start or range.position >= end) continue;
                if (range.stream == 0) return false;
                const stream = store.streams.get(range.stream) orelse continue;
                if (range.end_offset > stream.log_start) return false;
            }
            return true;
        }

        /// Reads on from the witness to the next range that lives.
        fn look(store: *Store, slot: u32) Store.Sealed.Reader.Error!bool {
            const segment = &store.segments.segments[slot];
            const entry = try Store.Files.acquire(store, .directory, slot, segment.generation);
            defer Store.Files.release(store, entry);

            var walk = try Store.Sealed.HeaderWalk.init(store, slot, segment.generation, entry.file.?);
            walk.nth = segment.witness;
            while (try walk.next()) |header| {
                store.lock.lock();
                defer store.lock.unlock();

                const stream = store.streams.get(header.stream) orelse continue;
                const position = segment.end_position();
                const end = store.cuts.visible_end(stream.cuts, header.epoch, header.end, position);
                if (end <= header.first or end <= stream.log_start) continue;
                segment.witness = walk.nth - 1;
                segment.witness_stream = header.stream;
                segment.witness_end = end;
                return false;
            }
            segment.witness = walk.nth;
            segment.witness_stream = 0;
            return true;
        }

        /// Takes the segment out of the readers' sight; ours is the only pin.
        fn claim(store: *Store, slot: u32) bool {
            store.lock.lock();
            defer store.lock.unlock();

            const segment = &store.segments.segments[slot];
            if (segment.pins > 1) {
                store.recycle.changes_seen = std.math.maxInt(u64);
                return false;
            }
            if (segment.table != segments.table_none) {
                store.directory.release(segment.table);
                segment.table = segments.table_none;
            }
            store.damage.forget_within(
                segment.first_position,
                segment.first_position + segment.bytes,
            );
            segment.state = .recycling;
            store.segments.live_remove(slot);
            return true;
        }

        fn free(store: *Store, slot: u32) io_layer.Error!void {
            const segment = &store.segments.segments[slot];
            Store.Files.forget(store, slot);
            try Slots.write_free(store, slot);
            var buffer: Store.PathBuffer = undefined;
            try remove(store, store.path_of(&buffer, "{d:0>10}.dir", .{slot}));
            store.lock.lock();
            defer store.lock.unlock();

            segment.state = .free;
            segment.used = 0;
            // One that is written but not in place may list it still.
            segment.freed_at = Store.Checkpoint.count_next(store);
            store.stats.segments_recycled += 1;
        }

        fn remove(store: *Store, path: [:0]const u8) io_layer.Error!void {
            store.io.unlink(path) catch |failure| {
                if (failure != error.NotFound) return failure;
            };
            var buffer: Store.PathBuffer = undefined;
            try store.io.sync_dir(store.path_z(&buffer));
        }

        /// Gives the file of one free segment too many back to the disk. Not before a checkpoint
        /// that does not list it: a listed file that is missing is damage.
        pub fn shrink(store: *Store) io_layer.Error!bool {
            store.lock.lock();
            const slot = surplus(store) orelse {
                store.lock.unlock();
                return false;
            };
            store.segments.segments[slot].state = .recycling;
            store.lock.unlock();
            var buffer: Store.PathBuffer = undefined;
            try remove(store, store.path_of(&buffer, "{d:0>10}.seg", .{slot}));
            store.lock.lock();
            defer store.lock.unlock();

            store.segments.segments[slot] = .blank(slot);
            return true;
        }

        fn surplus(store: *Store) ?u32 {
            const table = &store.segments;
            if (table.count_in(.free) <= limits.segments_free_max) return null;
            var slot = table.slots;
            while (slot > 0) {
                slot -= 1;
                const segment = &table.segments[slot];
                if (segment.state != .free) continue;
                if (segment.freed_at < store.checkpoint.count) return slot;
            }
            return null;
        }
    };
}
