//! One pass over the frames of a stream in the order of offsets, from whatever holds them: the
//! staging ring, segments whose directory is in memory, sealed segments. A frame that comes from
//! a file is judged in full before it is handed out.

const std = @import("std");
const assert = std.debug.assert;
const arrival = @import("arrival.zig");
const frame = @import("frame.zig");
const io_layer = @import("io.zig");
const segments = @import("segments.zig");
const stdx = @import("stdx.zig");
const streams = @import("streams.zig");
const tail = @import("tail.zig");

pub fn WalkType(comptime Store: type) type {
    return struct {
        const Walk = @This();

        pub const Found = struct { header: *const frame.Header, payload: []const u8 };
        pub const Outcome = enum {
            going,
            /// The offset is the end, or the batch that holds it reaches beyond the limit.
            empty,
            absent,
            out_of_range,
            stale,
            damaged,
            fault,
        };

        store: *Store,
        want: tail.Want,
        next_offset: i64,
        outcome: Outcome = .going,
        damage: struct {
            first: i64 = 0,
            end: i64 = 0,
            position: u64 = 0,
            segment: u32 = 0,
        } = .{},
        /// Runs whose highest timestamp is lower may be passed over.
        minimum_timestamp: i64 = std.math.minInt(i64),
        scratch: []align(8) u8,
        piece: Piece = .{},
        /// Where the last piece was looked for: it must have brought the walk forward.
        planned_offset: i64 = -1,
        /// Bytes of the piece in `scratch`, and how many of them have been walked.
        loaded: u32 = 0,
        at: u32 = 0,

        const Piece = struct {
            slot: u32 = 0,
            generation: u32 = 0,
            first_position: u64 = 0,
            offset: u32 = 0,
            length: u32 = 0,
            /// Frames from here on are cut.
            visible_end: i64 = 0,
            /// The end of the offsets of its runs.
            end: i64 = 0,
            in_ring: bool = false,
            /// The handle of a segment that is not sealed yet.
            file: ?io_layer.File = null,
        };

        pub fn init(store: *Store, want: tail.Want, scratch: []u8) Walk {
            return .{
                .store = store,
                .want = want,
                .next_offset = want.offset,
                .scratch = @alignCast(scratch),
            };
        }

        pub fn deinit(walk: *Walk) void {
            walk.* = undefined;
        }

        /// The header and payload live until the next call. Null: `outcome` says why.
        pub fn next(walk: *Walk) ?Found {
            while (walk.outcome == .going) {
                if (walk.at < walk.loaded) {
                    if (walk.frame_next()) |found| return found;
                } else {
                    walk.load();
                }
            }
            return null;
        }

        fn frame_next(walk: *Walk) ?Found {
            const piece = &walk.piece;
            const rest = walk.scratch[walk.at..walk.loaded];
            const offset = piece.offset + walk.at;
            if (rest.len < frame.header_bytes) return walk.damaged(offset);
            const header = frame.as_header(@alignCast(rest));
            if (!piece.in_ring) {
                if (!header.valid(walk.store.seed, piece.generation, offset)) {
                    return walk.damaged(offset);
                }
                if (header.frame_bytes() > rest.len) return walk.damaged(offset);
                if (header.stream != walk.want.stream) return walk.damaged(offset);
            }
            walk.at += header.frame_bytes();
            if (header.kind != .batch) return walk.damaged(offset);
            if (header.end() <= walk.next_offset) return null;
            if (header.base >= piece.visible_end) {
                walk.at = walk.loaded;
                return null;
            }
            if (header.end() > walk.want.limit) {
                walk.outcome = if (header.base >= walk.want.limit) .absent else .empty;
                return null;
            }
            const payload = rest[frame.header_bytes..][0..header.length];
            if (!piece.in_ring and !frame.payload_valid(header, payload)) {
                walk.at -= header.frame_bytes();
                return walk.damaged(offset);
            }
            walk.next_offset = header.end();
            return .{ .header = header, .payload = payload };
        }

        /// The frame at `offset` is not what was written there. What is lost reaches to the next
        /// good frame of the piece, or to its end.
        fn damaged(walk: *Walk, offset: u32) ?Found {
            const piece = &walk.piece;
            walk.outcome = .damaged;
            walk.damage = .{
                .first = walk.next_offset,
                .end = @max(piece.end, walk.next_offset + 1),
                .position = piece.first_position + offset,
                .segment = piece.slot,
            };
            var at = offset - piece.offset + 8;
            while (at + frame.header_bytes <= walk.loaded) : (at += 8) {
                const header = frame.as_header(@alignCast(walk.scratch[at..]));
                if (!header.valid(walk.store.seed, piece.generation, piece.offset + at)) continue;
                if (header.base > walk.next_offset) walk.damage.end = header.base;
                break;
            }
            return null;
        }

        fn load(walk: *Walk) void {
            const store = walk.store;
            store.lock.lock();
            const planned = walk.plan();
            if (planned) {
                if (walk.piece.in_ring) {
                    walk.copy_from_ring();
                    store.lock.unlock();
                    return;
                }
                store.segments.segments[walk.piece.slot].pins += 1;
            }
            store.lock.unlock();
            if (!planned) return;
            walk.read_file() catch {
                walk.outcome = .fault;
                walk.damage.position = walk.piece.first_position + walk.piece.offset;
                walk.damage.segment = walk.piece.slot;
            };
            store.lock.lock();
            store.segments.segments[walk.piece.slot].pins -= 1;
            store.lock.unlock();
        }

        /// Under the lock: where the next frames lie. False: nowhere, the outcome is set.
        fn plan(walk: *Walk) bool {
            const store = walk.store;
            walk.at = 0;
            walk.loaded = 0;
            const stream = store.streams.get(walk.want.stream) orelse return walk.finish(.stale);
            // The runs said that something is there, but all of it is cut.
            if (walk.planned_offset == walk.next_offset) return walk.finish(.absent);
            walk.planned_offset = walk.next_offset;
            var want = walk.want;
            want.offset = walk.next_offset;
            switch (tail.range_of(stream, &want)) {
                .outside => return walk.finish(.out_of_range),
                .empty => return walk.finish(.empty),
                .inside => {},
            }
            switch (Store.Tail.locate(store, stream, walk.next_offset)) {
                .run => |place| walk.plan_run(stream, place),
                .nothing => return walk.finish(.absent),
                .unknown => {
                    const place = store.directory.oldest(stream) orelse
                        return walk.finish(.absent);
                    walk.plan_run(stream, place);
                },
            }
            return true;
        }

        fn finish(walk: *Walk, outcome: Outcome) bool {
            walk.outcome = outcome;
            return false;
        }

        /// A piece that starts with a run of a directory in memory.
        fn plan_run(walk: *Walk, stream: *const streams.Stream, first: arrival.Place) void {
            const store = walk.store;
            const table = first.table;
            const segment = &store.segments.segments[table.slot];
            assert(segment.generation == table.generation);
            walk.piece = .{
                .slot = table.slot,
                .generation = table.generation,
                .first_position = table.first_position,
                .offset = first.run.position,
                .length = first.run.length,
                .visible_end = Store.Tail.visible_end(store, stream, first),
                .end = first.run.end(),
                .file = segment.file,
            };
            if (table.ring_cursor) |start| {
                walk.piece.in_ring = store.ring.holds(start + first.run.position);
            }
            if (walk.piece.in_ring or stream.flag().unordered) return;
            if (stream.cuts != streams.link_none) return;
            walk.join_runs(first);
        }

        /// Adjacent runs of the stream are read in one piece, as far as they are written.
        fn join_runs(walk: *Walk, first: arrival.Place) void {
            const store = walk.store;
            const written = store.written.load(.acquire);
            var place = first;
            while (store.directory.next(place)) |behind| {
                if (behind.table != first.table) break;
                if (behind.run.position != walk.piece.offset + walk.piece.length) break;
                const length = walk.piece.length + behind.run.length;
                if (length > walk.scratch.len) break;
                if (walk.piece.first_position + walk.piece.offset + length > written) break;
                if (walk.piece.length >= walk.want.bytes_max) break;
                walk.piece.length = length;
                walk.piece.end = behind.run.end();
                place = behind;
            }
            walk.piece.visible_end = std.math.maxInt(i64);
        }

        fn copy_from_ring(walk: *Walk) void {
            const store = walk.store;
            const piece = &walk.piece;
            const start = store.segments.segments[piece.slot].ring_cursor.?;
            while (walk.loaded < piece.length) {
                const cursor = start + piece.offset + walk.loaded;
                const bytes = store.ring.header(cursor).frame_bytes();
                if (walk.loaded + bytes > walk.scratch.len) break;
                stdx.copy(
                    walk.scratch[walk.loaded..][0..bytes],
                    store.ring.slice(cursor, bytes),
                );
                walk.loaded += bytes;
            }
        }

        fn read_file(walk: *Walk) io_layer.Error!void {
            const store = walk.store;
            const piece = &walk.piece;
            const target = walk.scratch[0..piece.length];
            var done: usize = undefined;
            if (piece.file) |file| {
                done = try store.io.pread(file, target, piece.offset);
            } else {
                const entry = try Store.Files.acquire(store, .segment, piece.slot, piece.generation);
                defer Store.Files.release(store, entry);

                done = try store.io.pread(entry.file.?, target, piece.offset);
            }
            @memset(target[done..], 0);
            walk.loaded = piece.length;
        }

        /// The highest timestamp of the stream's visible frames; null: none, or a fault.
        pub fn highest_timestamp(walk: *Walk) ?i64 {
            const store = walk.store;
            store.lock.lock();
            const stream = store.streams.get(walk.want.stream);
            const known: ?i64 = if (stream) |s|
                (if (s.max_timestamp_base >= 0) s.max_timestamp else null)
            else
                null;
            store.lock.unlock();
            if (known) |timestamp| return timestamp;
            var highest: ?i64 = null;
            while (walk.next()) |found| {
                const timestamp = frame.Batch.max_timestamp(found.payload);
                highest = @max(highest orelse timestamp, timestamp);
            }
            if (walk.outcome == .damaged or walk.outcome == .fault) return null;
            if (highest == null) return null;
            walk.outcome = .going;
            walk.next_offset = walk.want.offset;
            walk.planned_offset = -1;
            walk.at = walk.loaded;
            return highest;
        }
    };
}
