//! Reads that memory can answer: whole batches out of the staging ring, in the call.

const std = @import("std");
const assert = std.debug.assert;
const abi = @import("abi_types.zig");
const arrival = @import("arrival.zig");
const frame = @import("frame.zig");
const stdx = @import("stdx.zig");
const streams = @import("streams.zig");
const Status = @import("status.zig").Status;

/// What a reader asks for: whole batches from the one that contains `offset`, or the next one
/// that is stored, whose offsets all lie below `limit`.
pub const Want = struct {
    stream: u32,
    offset: i64,
    limit: i64,
    bytes_max: u32,
    /// The first batch also when it is larger than `bytes_max`.
    first_always: bool,
};

pub const Range = enum { inside, empty, outside };

pub fn range_of(stream: *const streams.Stream, want: *const Want) Range {
    if (want.offset < stream.log_start or want.offset > stream.end) return .outside;
    if (want.offset == stream.end or want.offset >= want.limit) return .empty;
    return .inside;
}

pub fn TailType(comptime Store: type) type {
    return struct {
        pub fn read(store: *Store, want: Want, destination: []u8, out: *abi.ReadResult) Status {
            store.lock.lock();
            defer store.lock.unlock();

            out.* = .{
                .first_offset = @floatFromInt(want.offset),
                .next_offset = @floatFromInt(want.offset),
            };
            if (!store.open) return .closed;
            const stream = store.streams.get(want.stream) orelse return .stale;
            switch (range_of(stream, &want)) {
                .outside => return .out_of_range,
                .empty => return .ok,
                .inside => {},
            }
            const answer = copy_batches(store, stream, want, destination, out);
            if (answer == .cold) store.stats.ring_misses += 1;
            if (answer == .ok) store.stats.ring_hits += 1;
            return answer;
        }

        fn copy_batches(
            store: *Store,
            stream: *const streams.Stream,
            want: Want,
            destination: []u8,
            out: *abi.ReadResult,
        ) Status {
            var place = switch (locate(store, stream, want.offset)) {
                .run => |run| run,
                .nothing => return .absent,
                .unknown => return .cold,
            };
            const ordered = !stream.flag().unordered;
            var next_offset = want.offset;
            var rest = destination[0..@min(destination.len, want.bytes_max)];
            while (true) {
                const start = place.table.ring_cursor orelse return ended(out);
                var at = place.run.position;
                const end = place.run.position + place.run.length;
                while (at < end) {
                    if (!store.ring.holds(start + at)) return ended(out);
                    const header = store.ring.header(start + at);
                    const offset = at;
                    at += header.frame_bytes();
                    if (header.end() <= next_offset) continue;
                    if (hidden(store, stream, place, header, offset)) continue;
                    if (header.end() > want.limit) {
                        if (out.batches == 0 and header.base >= want.limit) return .absent;
                        return .ok;
                    }
                    const payload = store.ring.slice(start + offset, header.frame_bytes());
                    const batch = payload[frame.header_bytes..][0..header.length];
                    if (batch.len > rest.len) {
                        if (out.batches > 0) return .ok;
                        out.first_offset = @floatFromInt(header.base);
                        if (!want.first_always) return .ok;
                        if (batch.len > destination.len) {
                            out.bytes = header.length;
                            return .too_small;
                        }
                        rest = destination[0..batch.len];
                    }
                    rest = stdx.copy_prefix(rest, batch);
                    next_offset = header.end();
                    count(out, header, batch);
                }
                if (!ordered) {
                    return if (out.batches > 0) .ok else .cold;
                }
                place = store.directory.next(place) orelse break;
                if (place.run.base > next_offset and gaps_unsure(store, stream)) return ended(out);
            }
            if (out.batches > 0) return .ok;
            // Everything from the run on is hidden, or lies below the offset.
            return if (gaps_unsure(store, stream)) .cold else .absent;
        }

        /// A gap in the runs may be filled by an older segment, or torn by damage.
        fn gaps_unsure(store: *const Store, stream: *const streams.Stream) bool {
            return stream.flag().backfilled or store.damage.count > 0;
        }

        fn ended(out: *const abi.ReadResult) Status {
            return if (out.batches > 0) .ok else .cold;
        }

        pub fn count(out: *abi.ReadResult, header: *const frame.Header, batch: []const u8) void {
            if (out.batches == 0) out.first_offset = @floatFromInt(header.base);
            out.batches += 1;
            out.bytes += header.length;
            out.next_offset = @floatFromInt(header.end());
            const max_timestamp: f64 = @floatFromInt(frame.Batch.max_timestamp(batch));
            out.max_timestamp = @max(out.max_timestamp, max_timestamp);
        }

        pub fn hidden(
            store: *const Store,
            stream: *const streams.Stream,
            place: arrival.Place,
            header: *const frame.Header,
            offset: u32,
        ) bool {
            if (stream.cuts == streams.link_none) return false;
            const position = place.table.first_position + offset;
            return store.cuts.hidden(stream.cuts, header.epoch, header.base, position);
        }

        pub const Located = union(enum) {
            /// The run to start in: nothing in memory or in older segments comes before it.
            run: arrival.Place,
            /// Nothing at or behind the offset is stored at all.
            nothing,
            /// An older segment may hold it.
            unknown,
        };

        pub fn locate(store: *Store, stream: *const streams.Stream, offset: i64) Located {
            const directory = &store.directory;
            if (stream.flag().unordered) return locate_unordered(store, stream, offset);
            const place = directory.floor(stream, offset) orelse return .unknown;
            if (place.run.end() > offset) return .{ .run = place };
            if (gaps_unsure(store, stream)) return .unknown;
            if (directory.next(place)) |behind| return .{ .run = behind };
            return .nothing;
        }

        /// Runs may overlap after a cut or a backfill; the newest one that holds the offset counts.
        fn locate_unordered(store: *Store, stream: *const streams.Stream, offset: i64) Located {
            var at = store.directory.newest(stream);
            while (at) |place| : (at = store.directory.previous(place)) {
                if (place.run.base > offset) continue;
                if (visible_end(store, stream, place) > offset) return .{ .run = place };
            }
            return .unknown;
        }

        pub fn visible_end(store: *Store, stream: *const streams.Stream, place: arrival.Place) i64 {
            const run = place.run;
            if (stream.cuts == streams.link_none) return run.end();
            const position = place.table.first_position + run.position;
            return store.cuts.visible_end(stream.cuts, run.epoch, run.end(), position);
        }
    };
}
