//! One pass over the frames of a stream in the order of offsets, from whatever holds them: the
//! staging ring, segments whose directory is in memory, sealed segments. A frame that comes from
//! a file is judged in full before it is handed out.
//!
//! A walk advances piece by piece: runs that lie side by side. The pinned segment of a piece
//! cannot be recycled.

const std = @import("std");
const assert = std.debug.assert;
const arrival = @import("arrival.zig");
const damage_zig = @import("damage.zig");
const frame = @import("frame.zig");
const io_layer = @import("io.zig");
const search = @import("search.zig");
const stdx = @import("stdx.zig");
const streams = @import("streams.zig");
const tail = @import("tail.zig");

/// Adjacent frames of one stream without gaps in their offsets.
pub const Piece = struct {
    slot: u32,
    generation: u32,
    first_position: u64,
    /// Offset in the segment, and bytes.
    offset: u32,
    length: u32,
    epoch: u32,
    base: i64,
    end: i64,
    /// Frames from here on are cut.
    visible_end: i64,
    in_ring: bool = false,
};

pub fn WalkType(comptime Store: type) type {
    return struct {
        const Walk = @This();
        const Search = search.SearchType(Store);

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
        damage: damage_zig.Met = .{},
        /// Runs whose highest timestamp is lower are passed over.
        minimum_timestamp: i64 = std.math.minInt(i64),
        scratch: []align(8) u8,
        piece: ?Piece = null,
        pinned: bool = false,
        mapped: ?*Store.Files.Entry = null,
        /// What the last look into a sealed directory said of the stream.
        all_below: bool = false,
        /// The bytes of the piece, and how many of them have been walked.
        bytes: []align(8) const u8 = &.{},
        at: u32 = 0,
        /// Base offset of the frame at `at`.
        base_next: i64 = 0,
        mended: frame.Header = undefined,

        pub fn init(store: *Store, want: tail.Want, scratch: []u8) Walk {
            return .{
                .store = store,
                .want = want,
                .next_offset = want.offset,
                .scratch = @alignCast(scratch),
            };
        }

        pub fn deinit(walk: *Walk) void {
            walk.let_go();
            walk.* = undefined;
        }

        /// The header and payload live until the next call. Null: `outcome` says why.
        pub fn next(walk: *Walk) ?Found {
            while (walk.outcome == .going) {
                if (walk.at < walk.bytes.len) {
                    if (walk.frame_next()) |found| return found;
                } else {
                    walk.load();
                }
            }
            return null;
        }

        /// Again from the start, after a pass that only looked.
        pub fn restart(walk: *Walk) void {
            walk.let_go();
            walk.outcome = .going;
            walk.next_offset = walk.want.offset;
        }

        fn let_go(walk: *Walk) void {
            if (walk.mapped) |entry| Store.Files.release(walk.store, entry);
            walk.mapped = null;
            if (walk.pinned) {
                const piece = &walk.piece.?;
                walk.store.unpin_at(piece.slot, walk.want.stream, walk.next_offset);
            }
            walk.pinned = false;
            walk.piece = null;
            walk.bytes = &.{};
            walk.at = 0;
        }

        fn frame_next(walk: *Walk) ?Found {
            const piece = &walk.piece.?;
            const rest = walk.bytes[walk.at..];
            const offset = piece.offset + walk.at;
            if (rest.len < frame.header_bytes) return walk.damaged(offset);
            var header: *const frame.Header = @ptrCast(@alignCast(rest.ptr));
            if (!piece.in_ring and !walk.fits(header, offset)) {
                if (!walk.mend(header, offset)) return walk.damaged(offset);
                header = &walk.mended;
            }
            const payload = rest[frame.header_bytes..][0..header.length];
            if (header.end() <= walk.next_offset) {
                walk.pass(header);
                return null;
            }
            if (header.base >= piece.visible_end) {
                walk.at = @intCast(walk.bytes.len);
                return null;
            }
            if (header.end() > walk.want.limit) {
                walk.outcome = if (header.base >= walk.want.limit) .absent else .empty;
                return null;
            }
            if (!piece.in_ring and !frame.payload_valid(header, payload)) {
                walk.base_next = header.end();
                return walk.damaged(offset);
            }
            walk.pass(header);
            walk.next_offset = header.end();
            return .{ .header = header, .payload = payload };
        }

        fn pass(walk: *Walk, header: *const frame.Header) void {
            walk.at += header.frame_bytes();
            walk.base_next = header.end();
        }

        fn fits(walk: *const Walk, header: *const frame.Header, offset: u32) bool {
            const piece = &walk.piece.?;
            if (!header.valid(walk.store.seed, piece.generation, offset)) return false;
            if (header.frame_bytes() > walk.bytes.len - walk.at) return false;
            return header.kind == .batch and header.stream == walk.want.stream and
                header.base == walk.base_next;
        }

        fn mend(walk: *Walk, header: *const frame.Header, offset: u32) bool {
            const generation = walk.piece.?.generation;
            walk.mended = header.mended(walk.store.seed, generation, offset) orelse return false;
            if (!walk.fits(&walk.mended, offset)) return false;
            _ = walk.store.counters.headers_rebuilt.fetchAdd(1, .monotonic);
            return true;
        }

        /// The frame at `offset` is not what was written there. What is lost reaches to the next
        /// good frame of the piece, or to its end.
        fn damaged(walk: *Walk, offset: u32) ?Found {
            const piece = &walk.piece.?;
            walk.outcome = .damaged;
            walk.damage = .{
                .first = walk.next_offset,
                .end = @max(piece.end, walk.next_offset + 1),
                .position = piece.first_position + offset,
                .segment = piece.slot,
                .file_offset = offset,
            };
            var at = offset - piece.offset + 8;
            while (at + frame.header_bytes <= walk.bytes.len) : (at += 8) {
                const header: *const frame.Header = @ptrCast(@alignCast(walk.bytes[at..].ptr));
                const seed = walk.store.seed;
                if (!header.valid(seed, piece.generation, piece.offset + at)) continue;
                if (header.base > walk.next_offset) walk.damage.end = header.base;
                break;
            }
            _ = walk.store.counters.damaged_frames.fetchAdd(1, .monotonic);
            walk.store.report_damage(walk.want.stream, walk.damage);
            return null;
        }

        fn load(walk: *Walk) void {
            const store = walk.store;
            // The runs said that something is there, but the walk did not get forward.
            if (walk.piece) |piece| {
                if (walk.next_offset < @min(piece.end, piece.visible_end)) {
                    return walk.finish(.absent);
                }
            }
            walk.let_go();
            store.lock.lock();
            const planned = Search.plan(walk);
            if (planned == .piece and walk.piece.?.in_ring) {
                walk.copy_from_ring();
                store.lock.unlock();
                return;
            }
            if (planned == .piece) walk.pin();
            store.lock.unlock();
            switch (planned) {
                .piece => {},
                .finished => return,
                .search => if (!Search.run(walk)) return,
            }
            walk.read_file() catch {
                walk.outcome = .fault;
                walk.damage.position = walk.piece.?.first_position + walk.piece.?.offset;
                walk.damage.segment = walk.piece.?.slot;
            };
        }

        pub fn pin(walk: *Walk) void {
            walk.store.segments.segments[walk.piece.?.slot].pins += 1;
            walk.pinned = true;
        }

        pub fn finish(walk: *Walk, outcome: Outcome) void {
            walk.outcome = outcome;
        }

        /// Under the lock.
        pub fn finish_damaged(walk: *Walk, range: damage_zig.Range, end: i64) void {
            walk.outcome = .damaged;
            _ = walk.store.counters.damaged_frames.fetchAdd(1, .monotonic);
            const first_position = walk.store.segments.segments[range.segment].first_position;
            const file_offset = @min(range.position -| first_position, std.math.maxInt(u32));
            walk.damage = .{
                .first = walk.next_offset,
                .end = @max(end, walk.next_offset + 1),
                .position = range.position,
                .segment = range.segment,
                .file_offset = @intCast(file_offset),
            };
        }

        /// A piece that starts with a run of a directory in memory, joined with those that lie
        /// directly behind it, as far as they are written. Under the lock.
        pub fn take_run(walk: *Walk, stream: *const streams.Stream, first: arrival.Place) void {
            const store = walk.store;
            const table = first.table;
            assert(store.segments.segments[table.slot].generation == table.generation);
            var piece: Piece = .{
                .slot = table.slot,
                .generation = table.generation,
                .first_position = table.first_position,
                .offset = first.run.position,
                .length = first.run.length,
                .epoch = first.run.epoch,
                .base = first.run.base,
                .end = first.run.end(),
                .visible_end = Store.Tail.visible_end(store, stream, first),
            };
            if (table.ring_cursor) |start| {
                piece.in_ring = store.ring.holds(start + first.run.position);
            }
            const written = store.written.load(.acquire);
            assert(piece.in_ring or piece.first_position + piece.offset + piece.length <= written);
            const plain = !stream.flag().unordered and stream.cuts == streams.link_none;
            if (!piece.in_ring and plain) walk.join_runs(&piece, first);
            walk.piece = piece;
        }

        fn join_runs(walk: *Walk, piece: *Piece, first: arrival.Place) void {
            const store = walk.store;
            const written = store.written.load(.acquire);
            var place = first;
            while (store.directory.next(place)) |behind| {
                if (behind.table != first.table) break;
                if (behind.run.position != piece.offset + piece.length) break;
                if (behind.run.epoch != piece.epoch or behind.run.base != piece.end) break;
                const length = piece.length + behind.run.length;
                if (length > walk.scratch.len or piece.length >= walk.want.bytes_max) break;
                if (piece.first_position + piece.offset + length > written) break;
                piece.length = length;
                piece.end = behind.run.end();
                piece.visible_end = piece.end;
                place = behind;
            }
        }

        /// Under the lock.
        pub fn copy_from_ring(walk: *Walk) void {
            const store = walk.store;
            const piece = &walk.piece.?;
            const start = store.segments.segments[piece.slot].ring_cursor.?;
            var done: u32 = 0;
            while (done < piece.length) {
                const cursor = start + piece.offset + done;
                const bytes = store.ring.header(cursor).frame_bytes();
                assert(done + bytes <= walk.scratch.len);
                const source = store.ring.slice(cursor, bytes);
                const target = walk.scratch[done..][0..bytes];
                // Checksum and mark belong to the writer.
                const crc = @offsetOf(frame.Header, "crc");
                const mark = @offsetOf(frame.Header, "mark");
                stdx.copy(target[0..crc], source[0..crc]);
                stdx.copy(target[crc + 4 .. mark], source[crc + 4 .. mark]);
                stdx.copy(target[mark + 4 ..], source[mark + 4 ..]);
                done += bytes;
            }
            walk.start_piece(walk.scratch[0..done]);
        }

        fn start_piece(walk: *Walk, bytes: []align(8) const u8) void {
            walk.bytes = bytes;
            walk.at = 0;
            walk.base_next = walk.piece.?.base;
        }

        /// In a pinned segment.
        fn read_file(walk: *Walk) io_layer.Error!void {
            const store = walk.store;
            const piece = &walk.piece.?;
            assert(walk.pinned and piece.length <= walk.scratch.len);
            const entry = try Store.Files.acquire(store, .segment, piece.slot, piece.generation);
            // A view lives as long as the piece.
            defer if (walk.mapped == null) Store.Files.release(store, entry);

            if (try Store.Files.map(store, entry)) |mapping| {
                walk.mapped = entry;
                walk.start_piece(@alignCast(mapping[piece.offset..][0..piece.length]));
                return;
            }
            const target = walk.scratch[0..piece.length];
            const done = try store.io.pread(entry.file.?, target, piece.offset);
            @memset(target[done..], 0);
            walk.start_piece(target);
            _ = store.counters.cold_bytes.fetchAdd(piece.length, .monotonic);
        }

        /// The highest timestamp of the visible frames of what is wanted; null: none, or a fault.
        pub fn highest_timestamp(walk: *Walk) ?i64 {
            const store = walk.store;
            const end = blk: {
                store.lock.lock();
                defer store.lock.unlock();

                const stream = store.streams.get(walk.want.stream) orelse return null;
                const base = stream.max_timestamp_base;
                if (base >= @max(0, walk.want.offset) and base < walk.want.limit) {
                    return stream.max_timestamp;
                }
                break :blk stream.end;
            };
            // A trim or a cut took the batch that held it, or it is not wanted.
            var highest: ?i64 = null;
            var highest_base: i64 = 0;
            while (walk.next()) |found| {
                const timestamp = frame.Batch.max_timestamp(found.payload);
                if (highest != null and timestamp <= highest.?) continue;
                highest = timestamp;
                highest_base = found.header.base;
            }
            if (walk.outcome == .damaged or walk.outcome == .fault) return null;
            const timestamp = highest orelse return null;
            store.lock.lock();
            defer store.lock.unlock();

            if (store.streams.get(walk.want.stream)) |stream| {
                // Nothing came or went meanwhile: the next look-up need not search.
                const same = stream.end == end and stream.log_start <= highest_base;
                const whole = walk.want.offset <= stream.log_start and walk.want.limit >= end;
                if (same and whole and
                    stream.max_timestamp_base == streams.base_unknown)
                {
                    stream.max_timestamp = timestamp;
                    stream.max_timestamp_base = highest_base;
                }
            }
            return timestamp;
        }
    };
}
