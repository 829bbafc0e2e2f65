//! Finds the state of a store again.
//!
//! Only bytes that no finished sync covered may be thrown away. Every frame says up to where an
//! earlier sync had finished when its group closed; the highest such mark, the tail that the last
//! start synced, and the checkpoint give the durable position.
//! * A bad frame below it is damage: it stays, and its range is unknown.
//! * A bad frame beyond it with nothing good behind is a torn tail: cut there.
//! * A bad frame beyond it with good ones behind is damage after a mere crash of the process,
//!   because one thread writes in order and the page cache survived; after a power cut, which
//!   keeps any subset of unsynced pieces, it is a torn tail.

const std = @import("std");
const assert = std.debug.assert;
const damage_zig = @import("damage.zig");
const frame = @import("frame.zig");
const io_layer = @import("io.zig");
const limits = @import("limits.zig");
const replay_zig = @import("replay.zig");
const segments = @import("segments.zig");
const slots = @import("slots.zig");

pub fn RecoveryType(comptime Store: type) type {
    return struct {
        const Recovery = @This();
        const Slots = slots.SlotsType(Store);
        const Replay = Store.Replay;
        const Scan = Replay.Scan;
        const OpenError = Store.OpenError;

        const Bad = struct { position: u64, end: u64 };

        store: *Store,
        /// Frames below are covered by the checkpoint.
        checkpoint: u64 = 0,
        /// Everything below is durable.
        durable: u64 = 0,
        /// Behind the last good frame.
        end: u64 = 0,
        /// The highest position that the medium refused to give.
        unreadable: u64 = 0,
        bads: [limits.damaged_ranges_max]Bad = undefined,
        bads_count: u32 = 0,
        link: replay_zig.Link = .{},
        /// The last segment ends with its padding frame.
        padded: bool = false,

        pub fn run(store: *Store) OpenError!void {
            const recovery = std.heap.page_allocator.create(Recovery) catch return error.OutOfMemory;
            defer std.heap.page_allocator.destroy(recovery);

            recovery.* = .{ .store = store };
            recovery.checkpoint = try Store.Inventory.take(store);
            if (store.segments.live_count == 0) return recovery.open_first();
            try recovery.find_directories();
            recovery.durable = @max(store.start.tail_before, recovery.checkpoint);
            if (store.start.clean) {
                recovery.end = recovery.durable;
            } else {
                try recovery.find_end();
                try recovery.judge();
            }
            try recovery.replay_all();
            recovery.bound_damage();
            try recovery.finish();
        }

        /// Segments whose sorted directory is whole need no walk.
        fn find_directories(recovery: *Recovery) OpenError!void {
            const store = recovery.store;
            const table = &store.segments;
            for (table.live[0..table.live_count]) |slot| {
                const segment = &table.segments[slot];
                if (recovery.find_directory(slot)) {
                    segment.state = .sealed;
                    continue;
                } else |failure| switch (failure) {
                    error.NotFound, error.Damaged => {},
                    else => |other| return other,
                }
                try recovery.open_file(slot);
            }
        }

        /// Null as file: a closed segment whose file is lost.
        fn open_file(recovery: *Recovery, slot: u32) OpenError!void {
            const store = recovery.store;
            const segment = &store.segments.segments[slot];
            var buffer: Store.PathBuffer = undefined;
            const path = store.path_of(&buffer, "{d:0>10}.seg", .{slot});
            segment.file = store.io.open(path, .read_write) catch |failure| {
                if (failure == error.NotFound) return;
                return failure;
            };
        }

        fn find_directory(recovery: *Recovery, slot: u32) Store.Sealed.Reader.Error!void {
            const store = recovery.store;
            const segment = &store.segments.segments[slot];
            const entry = try Store.Files.acquire(store, .directory, slot, segment.generation);
            defer Store.Files.release(store, entry);

            var walk = try Store.Sealed.HeaderWalk.init(store, slot, segment.generation, entry.file.?);
            for (0..walk.file.damages_count) |nth| {
                const range = try walk.damage(@intCast(nth));
                if (!store.damage.add(range)) return error.Damaged;
            }
            segment.used = walk.file.used;
        }

        fn scan_of(recovery: *Recovery, slot: u32, offset: u32) Scan {
            const store = recovery.store;
            const segment = &store.segments.segments[slot];
            return .{
                .io = store.io,
                .file = segment.file.?,
                .seed = store.seed,
                .generation = segment.generation,
                .first_position = segment.first_position,
                .bytes = segment.bytes,
                .rule = .{
                    .tail_before = store.start.tail_before,
                    .starts_before = @truncate(store.start.starts_before),
                },
                .window = limits.tail_window_bytes,
                .offset = offset,
                .buffer = @alignCast(store.reader.scratch[0..store.reader.scratch_bytes]),
            };
        }

        /// From the durable position on: the highest mark, the bad ranges, the last good frame.
        fn find_end(recovery: *Recovery) OpenError!void {
            const store = recovery.store;
            const table = &store.segments;
            recovery.end = recovery.durable;
            for (table.live[0..table.live_count]) |slot| {
                const segment = &table.segments[slot];
                if (segment.first_position + segment.bytes <= recovery.end) continue;
                if (segment.state == .sealed) {
                    // Sealed means durable, also when the checkpoint is older.
                    recovery.durable = @max(recovery.durable, segment.end_position());
                    recovery.end = @max(recovery.end, segment.end_position());
                    continue;
                }
                if (segment.file == null) continue;
                var start: u32 = frame.segment_header_bytes;
                if (recovery.end > segment.first_position + start) {
                    start = @intCast(recovery.end - segment.first_position);
                }
                var scan = recovery.scan_of(slot, start);
                while (true) {
                    switch (scan.next()) {
                        .frame => |header| recovery.meet(segment, header),
                        .bad => |bad| try recovery.add_bad(
                            segment.first_position + bad.offset,
                            segment.first_position + bad.end,
                        ),
                        .end => break,
                    }
                }
                if (scan.unreadable) |place| recovery.unreadable = @max(recovery.unreadable, place.last);
            }
            // What cannot be read may be anything: neither a torn tail nor its absence.
            if (recovery.unreadable > 0 and recovery.unreadable >= recovery.durable) return error.Io;
        }

        fn meet(recovery: *Recovery, segment: *const segments.Segment, header: *const frame.Header) void {
            const position = segment.first_position + header.offset;
            recovery.end = position + header.frame_bytes();
            if (header.mark == frame.mark_none) return;
            recovery.durable = @max(recovery.durable, position -| header.mark);
        }

        fn add_bad(recovery: *Recovery, position: u64, end: u64) OpenError!void {
            if (recovery.bads_count == recovery.bads.len) return error.Damaged;
            recovery.bads[recovery.bads_count] = .{ .position = position, .end = end };
            recovery.bads_count += 1;
        }

        /// Finds where the log ends.
        fn judge(recovery: *Recovery) OpenError!void {
            const store = recovery.store;
            try recovery.check_payloads();
            std.mem.sort(Bad, recovery.bads[0..recovery.bads_count], {}, bad_before);
            for (recovery.bads[0..recovery.bads_count]) |bad| {
                if (bad.position < recovery.durable) continue;
                if (recovery.good_behind(bad.end) and !store.start.power_cut) continue;
                store.torn_bytes += recovery.end - bad.position;
                recovery.end = bad.position;
                break;
            }
            // Synced frames that are no longer there: their place stays.
            recovery.end = @max(recovery.end, recovery.durable);
        }

        fn bad_before(_: void, a: Bad, b: Bad) bool {
            return a.position < b.position;
        }

        /// Whether a good frame lies between `position` and the end.
        fn good_behind(recovery: *const Recovery, position: u64) bool {
            var at = position;
            for (recovery.bads[0..recovery.bads_count]) |bad| {
                if (bad.position > at) return true;
                at = @max(at, bad.end);
            }
            return at < recovery.end;
        }

        /// Beyond the durable position also the payloads are in doubt.
        fn check_payloads(recovery: *Recovery) OpenError!void {
            const store = recovery.store;
            const table = &store.segments;
            for (table.live[0..table.live_count]) |slot| {
                const segment = &table.segments[slot];
                if (segment.state == .sealed or segment.file == null) continue;
                const end = @min(recovery.end, segment.first_position + segment.bytes);
                if (end <= recovery.durable) continue;
                var start: u32 = frame.segment_header_bytes;
                if (recovery.durable > segment.first_position + start) {
                    start = @intCast(recovery.durable - segment.first_position);
                }
                var scan = recovery.scan_of(slot, start);
                while (segment.first_position + scan.offset < end) {
                    switch (scan.next()) {
                        .frame => |found| {
                            const header = found.*;
                            const payload = scan.payload_at(header.offset, header.length);
                            if (frame.payload_valid(&header, payload)) continue;
                            const position = segment.first_position + header.offset;
                            try recovery.add_bad(position, position + header.frame_bytes());
                        },
                        .bad => {},
                        .end => break,
                    }
                }
            }
        }

        /// Rebuilds directories and streams up to the end.
        fn replay_all(recovery: *Recovery) OpenError!void {
            const store = recovery.store;
            const table = &store.segments;
            while (table.live_count > 0) {
                const slot = table.live[table.live_count - 1];
                const segment = &table.segments[slot];
                if (segment.state == .sealed or segment.first_position < recovery.end) break;
                // Made ready for the generation behind the last, or of a life that was cut.
                if (segment.file) |file| store.io.close(file);
                segment.file = null;
                segment.state = .ready;
                table.live_remove(slot);
            }
            for (table.live[0..table.live_count], 1..) |slot, nth| {
                switch (table.segments[slot].state) {
                    .sealed => try recovery.replay_sealed(slot),
                    else => try recovery.replay_walked(slot, nth == table.live_count),
                }
            }
        }

        /// The file that is ready to follow the open segment stays so. Of all others the header
        /// must say that they are free: the generation that they claim will be another file's.
        fn settle_ready(recovery: *Recovery) OpenError!void {
            const store = recovery.store;
            const open = &store.segments.segments[store.open_slot];
            const next = recovery.find_ready(open.generation + 1, open.first_position + open.bytes);
            for (0..store.segments.slots) |nth| {
                const slot: u32 = @intCast(nth);
                const segment = &store.segments.segments[slot];
                if (segment.state != .ready) continue;
                if (next == slot) {
                    try recovery.open_file(slot);
                    if (segment.file != null) {
                        recovery.give_table(slot);
                        store.next_slot = slot;
                        continue;
                    }
                }
                try Slots.write_free(store, slot);
                segment.state = .free;
            }
        }

        fn find_ready(recovery: *Recovery, generation: u32, first_position: u64) ?u32 {
            const store = recovery.store;
            for (store.segments.segments[0..store.segments.slots], 0..) |*segment, slot| {
                if (segment.state != .ready or segment.generation != generation) continue;
                if (segment.first_position != first_position) continue;
                if (segment.bytes == store.options.segment_bytes) return @intCast(slot);
            }
            return null;
        }

        fn replay_of(recovery: *Recovery, slot: u32, scan: Scan) Replay {
            return .{
                .store = recovery.store,
                .slot = slot,
                .scan = scan,
                .from = recovery.checkpoint,
                .end = recovery.end,
            };
        }

        fn replay_sealed(recovery: *Recovery, slot: u32) OpenError!void {
            const store = recovery.store;
            const segment = &store.segments.segments[slot];
            if (segment.end_position() <= recovery.checkpoint) return;
            store.checkpoint.sealed_since += 1;
            try recovery.open_file(slot);
            if (segment.file == null) return recovery.lost(slot, frame.segment_header_bytes);
            defer {
                store.io.close(segment.file.?);
                segment.file = null;
            }

            var replay = recovery.replay_of(slot, recovery.scan_of(slot, frame.segment_header_bytes));
            const entry = try Store.Files.acquire(store, .directory, slot, segment.generation);
            defer Store.Files.release(store, entry);

            var walk = try Store.Sealed.HeaderWalk.init(store, slot, segment.generation, entry.file.?);
            replay.run_sealed(&walk) catch |failure| switch (failure) {
                error.Damaged => {
                    // The segment itself says it all.
                    segment.directory_damaged = true;
                    replay.scan = recovery.scan_of(slot, frame.segment_header_bytes);
                    try replay.run();
                },
                else => |other| return other,
            };
        }

        fn replay_walked(recovery: *Recovery, slot: u32, last: bool) OpenError!void {
            const store = recovery.store;
            const segment = &store.segments.segments[slot];
            if (segment.file == null) {
                segment.state = .lost;
                return recovery.lost(slot, frame.segment_header_bytes);
            }
            const index = store.directory.take() orelse return error.Damaged;
            _ = store.directory.assign(index, segment.generation, slot, segment.first_position);
            segment.table = index;
            segment.used = frame.segment_header_bytes;
            var replay = recovery.replay_of(slot, recovery.scan_of(slot, frame.segment_header_bytes));
            if (!last) replay.scan.window = segment.bytes;
            try replay.run();
            recovery.link = replay.link;
            recovery.padded = replay.scan.finished;
            if (replay.scan.finished) return if (last) {} else recovery.seal_early(slot);
            // Frames up to here are known to have been written; the padding frame, too, if
            // another segment follows.
            const known = if (last)
                @min(recovery.end - segment.first_position, segment.bytes)
            else
                segment.bytes;
            if (segment.used < known) {
                try recovery.lost(slot, segment.used);
                segment.used = @intCast(known);
                recovery.link = .{};
            }
            if (!last) try recovery.seal_early(slot);
        }

        /// Nobody knows whose frames lay there.
        fn lost(recovery: *Recovery, slot: u32, offset: u32) OpenError!void {
            const store = recovery.store;
            const segment = &store.segments.segments[slot];
            const known = store.damage.add(.{
                .position = segment.first_position + offset,
                .end = @max(segment.end_position(), segment.first_position + offset + 1),
                .end_offset = damage_zig.end_unknown,
                .stream = 0,
                .segment = slot,
            });
            if (!known) return error.Damaged;
        }

        /// Now that the ends of the streams are known.
        fn bound_damage(recovery: *Recovery) void {
            const store = recovery.store;
            for (store.damage.ranges[0..store.damage.count]) |*range| {
                if (range.end_offset != damage_zig.end_unknown) continue;
                const stream = store.streams.get(range.stream) orelse continue;
                range.end_offset = damage_zig.end_of_lost(stream.end);
            }
        }

        /// A segment whose directory is gone, when others are sealed behind it: what has its
        /// directory in memory only is always newer than what has it in a file.
        fn seal_early(recovery: *Recovery, slot: u32) OpenError!void {
            const store = recovery.store;
            const table_of = &store.segments;
            const newer = table_of.live_from(table_of.segments[slot].generation + 1);
            for (table_of.live[newer..table_of.live_count]) |live| {
                if (table_of.segments[live].state == .sealed) break;
            } else if (table_of.count_in(.closed) < limits.segments_unsealed_max) return;
            const segment = &store.segments.segments[slot];
            const settler = &store.settler;
            const table = &store.directory.tables[segment.table];
            try Store.Sealed.write(store, slot, table, settler.order, settler.buffer);
            store.directory.release(segment.table);
            segment.table = segments.table_none;
            segment.state = .sealed;
            store.io.close(segment.file.?);
            segment.file = null;
        }

        /// The tail goes on where the last good frame ends, and is synced before anybody is told
        /// of it: after a crash of the process it may be only in the page cache.
        fn finish(recovery: *Recovery) OpenError!void {
            const store = recovery.store;
            const table = &store.segments;
            for (table.live[0..table.live_count]) |slot| {
                if (table.segments[slot].file) |file| try store.io.sync_data(file);
            }
            if (table.live_count == 0) return recovery.open_first();
            const slot = table.live[table.live_count - 1];
            const segment = &table.segments[slot];
            const full = recovery.padded or
                recovery.end >= segment.first_position + segment.bytes;
            if (segment.state == .closed and segment.file != null and !full) {
                return recovery.open_at(slot, @intCast(recovery.end - segment.first_position));
            }
            return recovery.open_behind(segment.*);
        }

        fn open_first(recovery: *Recovery) OpenError!void {
            recovery.end = @max(recovery.end, recovery.checkpoint);
            // Everything is gone that the checkpoint or the last tail speaks of.
            if (@max(recovery.end, recovery.store.start.tail_before) > frame.segment_header_bytes) {
                return error.Damaged;
            }
            return recovery.open_new(1, 0);
        }

        /// The segment behind the last one: that is full, sealed, or lost.
        fn open_behind(recovery: *Recovery, last: segments.Segment) OpenError!void {
            var generation = last.generation + 1;
            var first_position = last.first_position + last.bytes;
            const bytes = recovery.store.options.segment_bytes;
            while (first_position + bytes <= recovery.end) {
                generation += 1;
                first_position += bytes;
            }
            return recovery.open_new(generation, first_position);
        }

        fn open_new(recovery: *Recovery, generation: u32, first_position: u64) OpenError!void {
            const store = recovery.store;
            const slot = recovery.find_ready(generation, first_position) orelse
                store.segments.first_in(.free) orelse
                store.segments.first_absent() orelse
                return error.NoSpace;
            const segment = store.segments.at(slot);
            if (segment.state == .ready) {
                try recovery.open_file(slot);
                if (segment.file == null) return error.Damaged;
            } else {
                segment.* = .blank(slot);
                segment.state = .preparing;
                segment.generation = generation;
                segment.first_position = first_position;
                segment.bytes = store.options.segment_bytes;
                try Slots.prepare(store, slot);
            }
            store.segments.live_add(slot);
            const start = first_position + frame.segment_header_bytes;
            if (recovery.end > start) {
                segment.used = @intCast(recovery.end - first_position);
                try recovery.lost(slot, frame.segment_header_bytes);
            }
            recovery.end = @max(recovery.end, start);
            recovery.link = .{};
            return recovery.open_at(slot, @intCast(recovery.end - first_position));
        }

        fn give_table(recovery: *Recovery, slot: u32) void {
            const store = recovery.store;
            const segment = &store.segments.segments[slot];
            if (segment.table != segments.table_none) return;
            segment.table = store.directory.take().?;
            _ = store.directory.assign(
                segment.table,
                segment.generation,
                slot,
                segment.first_position,
            );
        }

        fn open_at(recovery: *Recovery, slot: u32, offset: u32) OpenError!void {
            const store = recovery.store;
            const segment = &store.segments.segments[slot];
            assert(offset >= frame.segment_header_bytes and offset % 8 == 0);
            recovery.give_table(slot);
            segment.state = .open;
            segment.used = offset;
            segment.ring_cursor = 0;
            store.directory.tables[segment.table].ring_cursor = 0;
            store.directory.tables[segment.table].boundary = offset;
            store.ring.begin(offset);
            store.open_slot = slot;
            store.link_stream = recovery.link.stream;
            store.link_length = recovery.link.length;
            store.recovered_end = recovery.end;
            store.staged.store(recovery.end, .seq_cst);
            store.written.store(recovery.end, .seq_cst);
            store.durable.store(recovery.end, .seq_cst);
            Store.Writer.enter(store, slot);
            store.writer.offset = offset;
            store.writer.proven = recovery.end;
            store.streams.collect_free();
            return recovery.settle_ready();
        }
    };
}
