//! Where a walk finds its next piece: first in the directories in memory, then in those of the
//! sealed segments.
//!
//! A stream is *ordered* when no frame of it ever came below its end: then the segments hold its
//! offsets in their own order and the first hit is the answer. A stream that was backfilled, or
//! that was cut and written again, is looked for everywhere and the lowest offset counts, of two
//! copies the later one.

const std = @import("std");
const assert = std.debug.assert;
const arrival = @import("arrival.zig");
const limits = @import("limits.zig");
const sealed = @import("sealed.zig");
const segments = @import("segments.zig");
const streams = @import("streams.zig");
const tail = @import("tail.zig");
const Piece = @import("walk.zig").Piece;
const damage_zig = @import("damage.zig");

const timestamp_any = std.math.minInt(i64);

/// Where the last piece of a stream was found in a sealed segment: the next one of a sequential
/// reader lies there or behind.
pub const Places = struct {
    const Place = struct { stream: u32 = 0, generation: u32 = 0, offset: i64 = 0 };

    places: [limits.places_max]Place = @splat(.{}),

    fn of(places: *Places, stream: u32, offset: i64) *Place {
        const mixed = (@as(u64, stream) << 32 ^ @as(u64, @bitCast(offset))) *% 0x9e3779b97f4a7c15;
        return &places.places[(mixed >> 40) % limits.places_max];
    }

    pub fn remember(places: *Places, stream: u32, offset: i64, generation: u32) void {
        places.of(stream, offset).* = .{
            .stream = stream,
            .offset = offset,
            .generation = generation,
        };
    }

    pub fn find(places: *Places, stream: u32, offset: i64) ?u32 {
        const place = places.of(stream, offset);
        return if (place.stream == stream and place.offset == offset) place.generation else null;
    }
};

pub fn SearchType(comptime Store: type) type {
    return struct {
        const Walk = Store.Reader.Walk;
        const Plan = enum { piece, finished, search };

        /// Under the lock: what memory alone can say.
        pub fn plan(walk: *Walk) Plan {
            const store = walk.store;
            const stream = store.streams.get(walk.want.stream) orelse return finish(walk, .stale);
            var want = walk.want;
            want.offset = walk.next_offset;
            switch (tail.range_of(stream, &want)) {
                .outside => return finish(walk, .out_of_range),
                .empty => return finish(walk, .empty),
                .inside => {},
            }
            if (!is_ordered(stream)) return .search;
            const floor = store.directory.floor(stream, walk.next_offset) orelse return .search;
            // Older segments end where this run starts, or before.
            var at: ?arrival.Place = floor;
            while (at) |place| : (at = store.directory.next(place)) {
                if (place.run.max_timestamp < walk.minimum_timestamp) continue;
                const key = @max(place.run.base, walk.next_offset);
                if (Store.Tail.visible_end(store, stream, place) > key) break;
            }
            const found = at orelse return conclude(walk, stream);
            if (found.run.base > walk.next_offset) {
                if (is_damaged(walk, found.run.base)) return .finished;
            }
            walk.take_run(stream, found);
            return .piece;
        }

        fn finish(walk: *Walk, outcome: Walk.Outcome) Plan {
            walk.finish(outcome);
            return .finished;
        }

        fn is_ordered(stream: *const streams.Stream) bool {
            return !stream.flag().unordered and !stream.flag().backfilled;
        }

        /// A gap in front of what is stored next may be a hole that damage tore.
        fn is_damaged(walk: *Walk, next: i64) bool {
            // Runs that were passed over for their timestamps are no gap.
            if (walk.minimum_timestamp != timestamp_any) return false;
            const range = walk.store.damage.covers(walk.want.stream, walk.next_offset) orelse
                return false;
            walk.finish_damaged(range, @min(next, range.end_offset));
            return true;
        }

        /// Nothing is stored at or behind the offset.
        fn conclude(walk: *Walk, stream: *const streams.Stream) Plan {
            if (is_damaged(walk, stream.end)) return .finished;
            return finish(walk, .absent);
        }

        /// Of an ordered stream all runs in memory lie behind the offset.
        fn memory_oldest(walk: *const Walk, stream: *const streams.Stream) ?arrival.Place {
            const store = walk.store;
            var at = store.directory.oldest(stream);
            while (at) |place| : (at = store.directory.next(place)) {
                if (place.run.max_timestamp < walk.minimum_timestamp) continue;
                const key = @max(place.run.base, walk.next_offset);
                if (Store.Tail.visible_end(store, stream, place) > key) return place;
            }
            return null;
        }

        /// The lowest run in memory that counts; of two that hold the offset the newer one.
        fn memory_best(walk: *const Walk, stream: *const streams.Stream) ?arrival.Place {
            const store = walk.store;
            if (is_ordered(stream)) return memory_oldest(walk, stream);
            var best: ?arrival.Place = null;
            var best_key: i64 = std.math.maxInt(i64);
            var at = store.directory.newest(stream);
            while (at) |place| : (at = store.directory.previous(place)) {
                if (place.run.max_timestamp < walk.minimum_timestamp) continue;
                const visible = Store.Tail.visible_end(store, stream, place);
                const key = @max(place.run.base, walk.next_offset);
                if (visible <= key or key >= best_key) continue;
                best = place;
                best_key = key;
            }
            return best;
        }

        const Scan = struct {
            walk: *Walk,
            ordered: bool,
            best: ?Piece = null,
            best_key: i64 = std.math.maxInt(i64),
            best_pinned: bool = false,
            /// The best one is a run of a directory in memory.
            best_in_memory: bool = false,
        };

        /// Without the lock. True: `walk.piece` is set and pinned, its bytes lie in a file.
        pub fn run(walk: *Walk) bool {
            const store = walk.store;
            while (true) {
                store.lock.lock();
                const stream = store.streams.get(walk.want.stream) orelse {
                    store.lock.unlock();
                    walk.finish(.stale);
                    return false;
                };
                var scan: Scan = .{ .walk = walk, .ordered = is_ordered(stream) };
                if (memory_best(walk, stream)) |place| {
                    walk.take_run(stream, place);
                    scan.best = walk.piece;
                    scan.best_key = @max(walk.piece.?.base, walk.next_offset);
                    scan.best_in_memory = true;
                    walk.piece = null;
                }
                const nearer_start = walk.next_offset - stream.log_start < stream.end - walk.next_offset;
                const place = store.places.find(walk.want.stream, walk.next_offset);
                store.lock.unlock();
                const fine = if (scan.ordered and walk.minimum_timestamp == timestamp_any and
                    (place != null or nearer_start))
                    upwards(&scan, place orelse 0)
                else
                    downwards(&scan);
                if (!fine) return false;
                switch (settle(&scan)) {
                    .done => return walk.pinned,
                    .again => {},
                }
            }
        }

        /// From old to new: the first hit of an ordered stream is the lowest.
        fn upwards(scan: *Scan, start: u32) bool {
            var generation = start;
            while (pin_from(scan, generation)) |slot| {
                const segment = &scan.walk.store.segments.segments[slot];
                generation = segment.generation + 1;
                if (!look(scan, slot)) return false;
                if (scan.best != null and !scan.best_in_memory) return true;
            }
            return true;
        }

        /// From new to old: the newest copy of what holds the offset.
        fn downwards(scan: *Scan) bool {
            const walk = scan.walk;
            var generation: u32 = std.math.maxInt(u32);
            while (pin_below(scan, generation)) |slot| {
                const segment = &walk.store.segments.segments[slot];
                generation = segment.generation;
                if (!look(scan, slot)) return false;
                if (walk.minimum_timestamp != timestamp_any) continue;
                if (scan.best_key == walk.next_offset) return true;
                if (scan.ordered and scan.walk.all_below) return true;
            }
            return true;
        }

        /// The next segment at or above a generation that only its sorted directory speaks for.
        fn pin_from(scan: *Scan, generation: u32) ?u32 {
            const store = scan.walk.store;
            store.lock.lock();
            defer store.lock.unlock();

            const table = &store.segments;
            for (table.live[table.live_from(generation)..table.live_count]) |slot| {
                if (pin(store, slot)) return slot;
            }
            return null;
        }

        fn pin_below(scan: *Scan, generation: u32) ?u32 {
            const store = scan.walk.store;
            store.lock.lock();
            defer store.lock.unlock();

            const table = &store.segments;
            var nth = table.live_from(generation);
            while (nth > 0) {
                nth -= 1;
                if (pin(store, table.live[nth])) return table.live[nth];
            }
            return null;
        }

        fn pin(store: *Store, slot: u32) bool {
            const segment = &store.segments.segments[slot];
            if (segment.state != .sealed or segment.table != segments.table_none) return false;
            segment.pins += 1;
            return true;
        }

        /// Looks into one pinned segment; keeps the pin if what it found is the best so far.
        /// False: its directory cannot be read, and nobody knows what it holds.
        fn look(scan: *Scan, slot: u32) bool {
            const walk = scan.walk;
            const store = walk.store;
            const segment = &store.segments.segments[slot];
            const answer = Store.Sealed.find(store, slot, segment.generation, segment.first_position, .{
                .stream = walk.want.stream,
                .offset = walk.next_offset,
                .minimum_timestamp = walk.minimum_timestamp,
                .bytes_max = @intCast(@min(walk.scratch.len, walk.want.bytes_max)),
            }) catch |failure| {
                if (scan.best_pinned) store.unpin(scan.best.?.slot);
                directory_fault(walk, slot, failure == error.Damaged);
                store.unpin(slot);
                return false;
            };
            walk.all_below = answer.all_below();
            const found = answer.found orelse {
                store.unpin(slot);
                return true;
            };
            if (found.key >= scan.best_key) {
                store.unpin(slot);
                return true;
            }
            if (scan.best_pinned) store.unpin(scan.best.?.slot);
            scan.best = .{
                .slot = slot,
                .generation = segment.generation,
                .first_position = segment.first_position,
                .offset = found.position,
                .length = found.length,
                .epoch = found.epoch,
                .base = found.base,
                .end = found.end,
                .visible_end = found.visible_end,
            };
            scan.best_key = found.key;
            scan.best_pinned = true;
            scan.best_in_memory = false;
            return true;
        }

        fn directory_fault(walk: *Walk, slot: u32, damaged: bool) void {
            const store = walk.store;
            store.lock.lock();
            defer store.lock.unlock();

            const segment = &store.segments.segments[slot];
            if (damaged) segment.directory_damaged = true;
            const end = if (store.streams.get(walk.want.stream)) |stream| stream.end else 0;
            walk.finish_damaged(.{
                .position = segment.first_position,
                .end = segment.end_position(),
                .end_offset = end,
                .stream = walk.want.stream,
                .segment = slot,
            }, end);
            walk.damage.file = .directory;
            if (!damaged) walk.outcome = .fault;
            store.settler_bell.ring();
        }

        /// Takes the best piece, unless its segment went away meanwhile.
        fn settle(scan: *Scan) enum { done, again } {
            const walk = scan.walk;
            const store = walk.store;
            store.lock.lock();
            defer store.lock.unlock();

            const piece = scan.best orelse {
                if (store.streams.get(walk.want.stream)) |stream| {
                    _ = conclude(walk, stream);
                } else {
                    walk.finish(.stale);
                }
                return .done;
            };
            const segment = &store.segments.segments[piece.slot];
            if (!scan.best_pinned and segment.generation != piece.generation) return .again;
            if (scan.best_key > walk.next_offset and is_damaged(walk, scan.best_key)) {
                if (scan.best_pinned) segment.pins -= 1;
                return .done;
            }
            if (!scan.best_pinned) {
                switch (segment.state) {
                    .open, .closed, .sealed => {},
                    else => return .again,
                }
                walk.piece = piece;
                if (segment.ring_cursor) |start| {
                    walk.piece.?.in_ring = store.ring.holds(start + piece.offset);
                }
                if (walk.piece.?.in_ring) {
                    walk.copy_from_ring();
                    return .done;
                }
                segment.pins += 1;
            }
            walk.piece = piece;
            walk.pinned = true;
            return .done;
        }
    };
}
