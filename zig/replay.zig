//! What frames say about streams and directories, read again: at a start, and when a directory is
//! built anew.

const std = @import("std");
const assert = std.debug.assert;
const arrival = @import("arrival.zig");
const damage_zig = @import("damage.zig");
const frame = @import("frame.zig");
const limits = @import("limits.zig");
const scan_zig = @import("scan.zig");
const sealed = @import("sealed.zig");
const segments = @import("segments.zig");
const streams = @import("streams.zig");

pub const Link = struct { stream: u32 = 0, length: u32 = 0 };

pub fn ReplayType(comptime Store: type) type {
    return struct {
        const Replay = @This();
        pub const Scan = scan_zig.ScanType(Store.Io);
        pub const Error = error{Damaged};

        store: *Store,
        slot: u32,
        scan: Scan,
        /// Frames below are covered by the checkpoint, frames from here on do not exist.
        from: u64,
        end: u64,
        /// Runs go here; null: into the arrival directory, with their chains.
        spare: ?*arrival.Table = null,
        /// The frame before the one at hand.
        link: Link = .{},

        /// Everything in the segment below `end`.
        pub fn run(replay: *Replay) Error!void {
            const segment = replay.at();
            segment.used = @max(segment.used, frame.segment_header_bytes);
            defer replay.count_rebuilt(replay.scan.mended);
            while (segment.first_position + replay.scan.offset < replay.end) {
                switch (replay.scan.next()) {
                    .frame => |found| {
                        const header = found.*;
                        segment.used = @max(segment.used, header.offset + header.frame_bytes());
                        try replay.apply(&header);
                    },
                    .bad => |bad| try replay.meet_damage(bad.offset, bad.end),
                    .end => break,
                }
            }
        }

        fn count_rebuilt(replay: *Replay, more: u32) void {
            _ = replay.store.counters.headers_rebuilt.fetchAdd(more, .monotonic);
        }

        fn at(replay: *const Replay) *segments.Segment {
            return &replay.store.segments.segments[replay.slot];
        }

        fn apply(replay: *Replay, header: *const frame.Header) Error!void {
            replay.link = .{ .stream = header.stream, .length = header.length };
            switch (header.kind) {
                .batch => {
                    const head = replay.scan.payload_at(header.offset, frame.Batch.header_bytes);
                    try replay.apply_batch(header, frame.Batch.max_timestamp(head));
                },
                .padding => replay.link = .{},
                else => try replay.apply_state(header),
            }
        }

        fn apply_batch(replay: *Replay, header: *const frame.Header, max_timestamp: i64) Error!void {
            const store = replay.store;
            const segment = replay.at();
            const position = segment.first_position + header.offset;
            const placed: arrival.Frame = .{
                .epoch = header.epoch,
                .base = header.base,
                .count = header.count,
                .offset = header.offset,
                .bytes = header.frame_bytes(),
                .max_timestamp = max_timestamp,
            };
            if (replay.spare) |table| {
                if (table.full()) return error.Damaged;
                _ = store.directory.add_loose(table, header.stream, placed);
                return;
            }
            const stream = store.streams.get(header.stream) orelse {
                if (store.streams.known(header.stream) == null) try replay.unknown_stream(header);
                return;
            };
            if (segment.table != segments.table_none) {
                if (store.directory.tables[segment.table].full()) return error.Damaged;
                store.directory.add(segment.table, header.stream, stream, placed);
            }
            if (position < replay.from or position < stream.ticket) return;
            stream.apply_batch(.{
                .epoch = header.epoch,
                .base = header.base,
                .count = header.count,
                .high_watermark = header.high_watermark,
                .bytes = header.frame_bytes(),
                .max_timestamp = max_timestamp,
            });
            stream.fence = @max(stream.fence, header.epoch);
        }

        /// The frame that named the stream is lost. Its id must not be given out again.
        fn unknown_stream(replay: *Replay, header: *const frame.Header) Error!void {
            const store = replay.store;
            const position = replay.at().first_position + header.offset;
            if (!store.streams.place_deleted(header.stream, position)) return error.Damaged;
            try replay.add_damage(header.offset, header.offset + header.frame_bytes(), .{});
        }

        fn apply_state(replay: *Replay, header: *const frame.Header) Error!void {
            const store = replay.store;
            const segment = replay.at();
            const position = segment.first_position + header.offset;
            if (replay.spare) |table| {
                if (table.full()) return error.Damaged;
                table.states[table.states_count] = header.offset;
                table.states_count += 1;
                return;
            }
            if (segment.table != segments.table_none) {
                if (store.directory.tables[segment.table].full()) return error.Damaged;
                store.directory.add_state(segment.table, header.offset);
            }
            if (position < replay.from) return;
            if (store.streams.known(header.stream)) |stream| {
                if (position < stream.ticket) return;
            }
            if (header.kind == .stream) {
                const payload = replay.scan.payload_at(header.offset, header.length);
                if (frame.StreamName.of(payload, store.seed)) |name| {
                    replay.name_stream(header.stream, name);
                }
                return;
            }
            if (header.kind == .truncate and store.cuts.full()) return error.Damaged;
            Store.Append.apply_state(store, header, position);
        }

        /// The header is lost, what it said is not.
        fn apply_copy(replay: *Replay, offset: u32, copy: *const frame.StateCopy) Error!void {
            var header = std.mem.zeroes(frame.Header);
            header.kind = copy.kind;
            header.stream = copy.stream;
            header.epoch = copy.epoch;
            header.base = copy.base;
            header.offset = offset;
            header.length = @sizeOf(frame.StateCopy);
            return replay.apply_state(&header);
        }

        fn name_stream(replay: *Replay, id: u32, name: *const frame.StreamName) void {
            const store = replay.store;
            if (store.streams.get(id) != null) return;
            if (store.streams.place(id, &name.topic_id, name.partition)) {
                store.survey.meet_new(id);
            }
        }

        /// No good header from `offset` to `end`, where one stands that names the stream and the
        /// length of the frame before it. What has a checksum over all that it says stands
        /// without its header; a batch has none.
        fn meet_damage(replay: *Replay, offset: u32, end: u32) Error!void {
            const store = replay.store;
            const behind = replay.scan.header_at(end).?;
            const link: Link = .{ .stream = behind.link_stream, .length = behind.link_length };
            const single = frame.bytes_of(link.length) == end - offset;
            if (!single) return replay.add_damage(offset, end, .{});
            if (link.stream == 0) {
                // A mark: nothing but what other marks say as well.
                return replay.count_rebuilt(1);
            }
            // The payload is of that frame, too.
            if (replay.scan.is_stray(offset)) return replay.add_damage(offset, end, .{ .link = link });
            const payload = replay.scan.payload_at(offset, link.length);
            if (frame.StreamName.of(payload, store.seed)) |name| {
                replay.count_rebuilt(1);
                if (replay.spare == null) replay.name_stream(link.stream, name);
                return;
            }
            if (frame.StateCopy.of(payload, store.seed)) |copy| if (copy.stream == link.stream) {
                replay.count_rebuilt(1);
                return replay.apply_copy(offset, copy);
            };
            if (frame.SidecarHead.of(payload, store.seed) != null) {
                // The one before it, or none, says the same with more batches to look at.
                return replay.count_rebuilt(1);
            }
            return replay.add_damage(offset, end, .{ .link = link, .payload = payload });
        }

        const Clue = struct { link: Link = .{}, payload: []const u8 = "" };

        fn add_damage(replay: *Replay, offset: u32, end: u32, clue: Clue) Error!void {
            const store = replay.store;
            const first_position = replay.at().first_position;
            var range: damage_zig.Range = .{
                .position = first_position + offset,
                .end = first_position + end,
                .end_offset = damage_zig.end_unknown,
                .stream = clue.link.stream,
                .segment = replay.slot,
            };
            if (replay.spare != null) store.lock.lock();
            defer if (replay.spare != null) store.lock.unlock();

            if (store.streams.get(clue.link.stream)) |stream| {
                stream.set("damaged", true);
                // Offsets that were given out are not given out again.
                if (replay.spare != null) {
                    range.end_offset = damage_zig.end_of_lost(stream.end);
                } else if (range.position >= replay.from) {
                    const before = replay.end_before(stream);
                    stream.end = @max(stream.end, guess_end(before, clue.payload) orelse 0);
                }
            } else {
                range.stream = 0;
            }
            if (!store.damage.add(range)) return error.Damaged;
        }

        /// The stream's end at this place of the log, or something below it.
        fn end_before(replay: *Replay, stream: *const streams.Stream) i64 {
            const store = replay.store;
            var at_run = store.directory.newest(stream);
            while (at_run) |place| : (at_run = store.directory.previous(place)) {
                const visible = Store.Tail.visible_end(store, stream, place);
                if (visible > place.run.base) return visible;
            }
            return stream.log_start;
        }

        /// The end that the damaged batch claims, where the claim fits to what came before.
        fn guess_end(first: i64, payload: []const u8) ?i64 {
            if (!frame.Batch.shaped(payload)) return null;
            if (frame.Batch.base_offset(payload) != first) return null;
            const count = frame.Batch.offset_count(payload);
            if (count <= 0 or count > limits.offsets_guessed_max) return null;
            return first + count;
        }

        /// A sealed segment that is newer than the checkpoint: its directory stands for its
        /// frames, except where the order of frames matters.
        pub fn run_sealed(replay: *Replay, walk: *Store.Sealed.HeaderWalk) !void {
            const segment = replay.at();
            var position: u32 = 0;
            while (position < walk.file.states_count) : (position += 1) {
                const header = replay.scan.header_at(try walk.state(position)) orelse
                    return replay.run();
                // What follows a cut in the same segment counts, what lies before it does not.
                if (header.kind == .truncate) return replay.run();
            }
            // Names first: batches need them; trims and fences only ever rise.
            for (0..walk.file.states_count) |nth| {
                const header = replay.scan.header_at(try walk.state(@intCast(nth))).?.*;
                if (header.kind == .stream) try replay.apply_state(&header);
            }
            while (try walk.next()) |header| try replay.apply_header(walk, &header);
            for (0..walk.file.states_count) |nth| {
                const header = replay.scan.header_at(try walk.state(@intCast(nth))).?.*;
                if (header.kind != .stream) try replay.apply_state(&header);
            }
            assert(segment.used >= frame.segment_header_bytes);
        }

        fn apply_header(
            replay: *Replay,
            walk: *Store.Sealed.HeaderWalk,
            header: *const sealed.Header,
        ) !void {
            const store = replay.store;
            const segment = replay.at();
            const stream = store.streams.get(header.stream) orelse {
                if (store.streams.known(header.stream) != null) return;
                if (!store.streams.place_deleted(header.stream, segment.first_position)) {
                    return error.Damaged;
                }
                return replay.add_damage(frame.segment_header_bytes, segment.used, .{});
            };
            if (stream.ticket >= segment.end_position()) return;
            const since = @max(stream.ticket, replay.from);
            if (since > segment.first_position) {
                for (0..header.entry_count) |nth| {
                    const entry = try walk.entry(header, @intCast(nth));
                    // A run may have grown after the checkpoint copied its stream.
                    const position = segment.first_position + entry.position;
                    const end = position + entry.length;
                    if (end <= since) continue;
                    apply_range(stream, header, .{
                        .base = header.first + entry.base_delta,
                        .end = header.first + entry.base_delta + entry.extent,
                        .bytes = @intCast(end - @max(position, since)),
                        .max_timestamp = entry.max_timestamp,
                        .max_timestamp_base = header.first + entry.base_delta,
                    });
                }
                return;
            }
            apply_range(stream, header, .{
                .base = header.first,
                .end = header.end,
                .bytes = header.bytes,
                .max_timestamp = header.max_timestamp,
                .max_timestamp_base = header.max_timestamp_base,
            });
        }

        const Span = struct {
            base: i64,
            end: i64,
            bytes: u32,
            max_timestamp: i64,
            max_timestamp_base: i64,
        };

        fn apply_range(stream: *streams.Stream, header: *const sealed.Header, span: Span) void {
            if (header.overlaps != 0) stream.set("backfilled", true);
            const known_timestamp = stream.max_timestamp;
            stream.apply_batch(.{
                .epoch = header.epoch,
                .base = span.base,
                .count = 0,
                .high_watermark = header.high_watermark,
                .bytes = span.bytes,
                .max_timestamp = -1,
            });
            stream.end = @max(stream.end, span.end);
            stream.fence = @max(stream.fence, header.epoch);
            if (span.max_timestamp > known_timestamp) {
                stream.max_timestamp = span.max_timestamp;
                stream.max_timestamp_base = span.max_timestamp_base;
            }
        }

        /// The runs of a sealed segment, for its directory; streams stay as they are.
        pub fn fill_table(store: *Store, slot: u32, table: *arrival.Table) !void {
            const segment = &store.segments.segments[slot];
            const entry = try Store.Files.acquire(store, .segment, slot, segment.generation);
            defer Store.Files.release(store, entry);

            table.generation = segment.generation;
            table.slot = slot;
            table.first_position = segment.first_position;
            table.count = 0;
            table.states_count = 0;
            var replay: Replay = .{
                .store = store,
                .slot = slot,
                .scan = .{
                    .io = store.io,
                    .file = entry.file.?,
                    .seed = store.seed,
                    .generation = segment.generation,
                    .first_position = segment.first_position,
                    .bytes = segment.bytes,
                    .rule = store.rule(),
                    .window = segment.bytes,
                    .offset = frame.segment_header_bytes,
                    .buffer = store.settler.scan_buffer,
                },
                .from = 0,
                .end = segment.end_position(),
                .spare = table,
            };
            replay.run() catch return error.Io;
        }
    };
}
