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
const frame = @import("frame.zig");
const io_layer = @import("io.zig");
const limits = @import("limits.zig");
const scan_zig = @import("scan.zig");
const segments = @import("segments.zig");
const slots = @import("slots.zig");

pub fn RecoveryType(comptime Store: type) type {
    return struct {
        const Recovery = @This();
        const Slots = slots.SlotsType(Store);
        const Scan = scan_zig.ScanType(Store.Io);
        const OpenError = Store.OpenError;

        const Bad = struct { position: u64, end: u64 };

        store: *Store,
        /// Everything below is durable.
        durable: u64 = 0,
        /// Behind the last good frame.
        end: u64 = 0,
        bads: [limits.damaged_ranges_max]Bad = undefined,
        bads_count: u32 = 0,
        link_stream: u32 = 0,
        link_length: u32 = 0,

        pub fn run(store: *Store) OpenError!void {
            const recovery = std.heap.page_allocator.create(Recovery) catch return error.OutOfMemory;
            defer std.heap.page_allocator.destroy(recovery);

            recovery.* = .{ .store = store };
            try recovery.find_files();
            if (store.segments.live_count == 0) return recovery.first_segment();
            recovery.durable = store.start.tail_before;
            try recovery.find_end();
            try recovery.judge();
            try recovery.replay();
            try recovery.finish();
        }

        fn find_files(recovery: *Recovery) OpenError!void {
            const store = recovery.store;
            const Names = struct {
                store: *Store,
                overflow: bool = false,

                fn add(names: *@This(), name: [:0]const u8) void {
                    const slot = slots.slot_of(name, ".seg") orelse return;
                    if (slot >= names.store.segments.segments.len) {
                        names.overflow = true;
                        return;
                    }
                    names.store.segments.at(slot).state = .preparing;
                }
            };
            var names: Names = .{ .store = store };
            var buffer: Store.PathBuffer = undefined;
            try store.io.list(store.path_z(&buffer), &names, Names.add);
            if (names.overflow) return error.Format;
            for (0..store.segments.slots) |slot| try recovery.find_file(@intCast(slot));
        }

        fn find_file(recovery: *Recovery, slot: u32) OpenError!void {
            const store = recovery.store;
            const segment = &store.segments.segments[slot];
            if (segment.state != .preparing) return;
            var buffer: Store.PathBuffer = undefined;
            const file = try store.io.open(store.path_of(&buffer, "{d:0>10}.seg", .{slot}), .read_write);
            defer if (segment.file == null) store.io.close(file);

            segment.state = .foreign;
            const size = try store.io.size(file);
            segment.bytes = @intCast(@min(size, std.math.maxInt(u32)));
            switch (try Slots.read_header(store, file)) {
                .good => |header| {
                    const ours = std.mem.eql(u8, &header.disk_id, &store.identity.disk_id) and
                        header.slot == slot and
                        header.store == @backingInt(store.options.which);
                    if (!ours) return;
                    if (header.state == .free) {
                        segment.state = .free;
                        return;
                    }
                    segment.state = .closed;
                    segment.generation = header.generation;
                    segment.first_position = header.first_position;
                    segment.bytes = @intCast(header.segment_bytes);
                    segment.file = file;
                    store.segments.live_add(slot);
                },
                .empty => segment.state = .free,
                .newer => return error.Format,
                .bad => {},
            }
        }

        fn first_segment(recovery: *Recovery) OpenError!void {
            const store = recovery.store;
            const slot = store.segments.first_in(.free) orelse store.segments.first_absent().?;
            const segment = store.segments.at(slot);
            segment.state = .preparing;
            segment.generation = 1;
            segment.first_position = 0;
            segment.bytes = store.options.segment_bytes;
            try Slots.prepare(store, slot);
            store.segments.live_add(slot);
            recovery.end = frame.segment_header_bytes;
            recovery.open_at(slot, frame.segment_header_bytes);
        }

        fn scan_of(recovery: *Recovery, segment: *const segments.Segment, offset: u32) Scan {
            const store = recovery.store;
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
            recovery.end = recovery.durable;
            for (store.segments.live[0..store.segments.live_count]) |slot| {
                const segment = &store.segments.segments[slot];
                const end = segment.first_position + segment.bytes;
                if (end <= recovery.end) continue;
                var start: u32 = frame.segment_header_bytes;
                if (recovery.end > segment.first_position + start) {
                    start = @intCast(recovery.end - segment.first_position);
                }
                var scan = recovery.scan_of(segment, start);
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
            }
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

        /// Cuts what may be cut; what stays in `bads` is damage.
        fn judge(recovery: *Recovery) OpenError!void {
            const store = recovery.store;
            try recovery.check_payloads();
            std.mem.sort(Bad, recovery.bads[0..recovery.bads_count], {}, bad_before);
            for (recovery.bads[0..recovery.bads_count], 0..) |bad, index| {
                if (bad.position < recovery.durable) continue;
                if (recovery.good_behind(bad.end) and !store.start.power_cut) continue;
                store.torn_bytes += recovery.end - bad.position;
                recovery.end = bad.position;
                recovery.bads_count = @intCast(index);
                break;
            }
            // Synced frames that are no longer there.
            if (recovery.end < recovery.durable) {
                try recovery.add_bad(recovery.end, recovery.durable);
                recovery.end = recovery.durable;
            }
        }

        fn bad_before(_: void, a: Bad, b: Bad) bool {
            return a.position < b.position;
        }

        /// Whether a good frame lies between `position` and the end.
        fn good_behind(recovery: *const Recovery, position: u64) bool {
            var at = position;
            for (recovery.bads[0..recovery.bads_count]) |bad| {
                if (bad.position > at) return true;
                if (bad.end > at and bad.position <= at) at = bad.end;
            }
            return at < recovery.end;
        }

        /// Beyond the durable position also the payloads are in doubt.
        fn check_payloads(recovery: *Recovery) OpenError!void {
            const store = recovery.store;
            for (store.segments.live[0..store.segments.live_count]) |slot| {
                const segment = &store.segments.segments[slot];
                const end = @min(recovery.end, segment.first_position + segment.bytes);
                if (end <= recovery.durable) continue;
                var start: u32 = frame.segment_header_bytes;
                if (recovery.durable > segment.first_position + start) {
                    start = @intCast(recovery.durable - segment.first_position);
                }
                var scan = recovery.scan_of(segment, start);
                while (segment.first_position + scan.offset < end) {
                    switch (scan.next()) {
                        .frame => |header| {
                            const copy = header.*;
                            const payload = scan.payload_at(copy.offset, copy.length);
                            if (frame.payload_valid(&copy, payload)) continue;
                            const position = segment.first_position + copy.offset;
                            try recovery.add_bad(position, position + copy.frame_bytes());
                        },
                        .bad => {},
                        .end => break,
                    }
                }
            }
        }

        /// Rebuilds directories and streams up to the end.
        fn replay(recovery: *Recovery) OpenError!void {
            const store = recovery.store;
            const table = &store.segments;
            var nth: u32 = 0;
            while (nth < table.live_count) {
                const slot = table.live[nth];
                const segment = &table.segments[slot];
                if (segment.first_position >= recovery.end) {
                    recovery.unused(slot);
                    continue;
                }
                nth += 1;
                const index = store.directory.take() orelse return error.Damaged;
                _ = store.directory.assign(index, segment.generation, slot, segment.first_position);
                segment.table = index;
                try recovery.replay_segment(slot);
            }
        }

        /// Made ready for the generation behind the last, or left over from a life that was cut.
        fn unused(recovery: *Recovery, slot: u32) void {
            const store = recovery.store;
            const segment = &store.segments.segments[slot];
            store.segments.live_remove(slot);
            store.io.close(segment.file.?);
            segment.file = null;
            segment.state = .free;
        }

        fn replay_segment(recovery: *Recovery, slot: u32) OpenError!void {
            const store = recovery.store;
            const segment = &store.segments.segments[slot];
            var scan = recovery.scan_of(segment, frame.segment_header_bytes);
            segment.used = frame.segment_header_bytes;
            while (segment.first_position + scan.offset < recovery.end) {
                switch (scan.next()) {
                    .frame => |found| {
                        const header = found.*;
                        segment.used = header.offset + header.frame_bytes();
                        const position = segment.first_position + header.offset;
                        if (recovery.is_bad(position)) continue;
                        try recovery.apply(segment, &header, &scan);
                    },
                    .bad => |bad| try recovery.damage(segment, bad.offset, bad.end),
                    .end => break,
                }
            }
        }

        fn is_bad(recovery: *const Recovery, position: u64) bool {
            for (recovery.bads[0..recovery.bads_count]) |bad| {
                if (position >= bad.position and position < bad.end) return true;
            }
            return false;
        }

        fn damage(recovery: *Recovery, segment: *segments.Segment, offset: u32, end: u32) OpenError!void {
            _ = segment;
            _ = offset;
            _ = end;
            recovery.store.damaged_ranges += 1;
        }

        fn apply(
            recovery: *Recovery,
            segment: *const segments.Segment,
            header: *const frame.Header,
            scan: *Scan,
        ) OpenError!void {
            const store = recovery.store;
            recovery.link_stream = header.stream;
            recovery.link_length = header.length;
            switch (header.kind) {
                .batch => {
                    const stream = store.streams.get(header.stream) orelse return;
                    const payload = scan.payload_at(header.offset, frame.Batch.header_bytes);
                    const max_timestamp = frame.Batch.max_timestamp(payload);
                    if (store.directory.tables[segment.table].full()) return error.Damaged;
                    store.directory.add(segment.table, header.stream, stream, .{
                        .epoch = header.epoch,
                        .base = header.base,
                        .count = header.count,
                        .offset = header.offset,
                        .bytes = header.frame_bytes(),
                        .max_timestamp = max_timestamp,
                    });
                    stream.apply_batch(.{
                        .epoch = header.epoch,
                        .base = header.base,
                        .count = header.count,
                        .high_watermark = header.high_watermark,
                        .bytes = header.length,
                        .max_timestamp = max_timestamp,
                    });
                    stream.fence = @max(stream.fence, header.epoch);
                },
                .padding => {
                    recovery.link_stream = 0;
                    recovery.link_length = 0;
                },
                else => {
                    store.directory.add_state(segment.table, header.offset);
                    const position = segment.first_position + header.offset;
                    if (header.kind == .stream) {
                        const payload = scan.payload_at(header.offset, header.length);
                        const name: *const frame.StreamName = @ptrCast(@alignCast(payload));
                        _ = store.streams.place(header.stream, &name.topic_id, name.partition);
                        return;
                    }
                    if (header.kind == .truncate and store.cuts.full()) return error.Damaged;
                    Store.Append.apply_state(store, header, position);
                },
            }
        }

        /// The tail goes on where the last good frame ends, and is synced before anybody is told
        /// of it: after a crash of the process it may be only in the page cache.
        fn finish(recovery: *Recovery) OpenError!void {
            const store = recovery.store;
            const table = &store.segments;
            const slot = table.live[table.live_count - 1];
            const segment = &table.segments[slot];
            const offset: u32 = @intCast(recovery.end - segment.first_position);
            for (table.live[0..table.live_count]) |live| {
                if (table.segments[live].file) |file| try store.io.sync_data(file);
            }
            recovery.open_at(slot, offset);
        }

        fn open_at(recovery: *Recovery, slot: u32, offset: u32) void {
            const store = recovery.store;
            const segment = &store.segments.segments[slot];
            assert(offset >= frame.segment_header_bytes and offset % 8 == 0);
            if (segment.table == segments.table_none) {
                segment.table = store.directory.take().?;
                _ = store.directory.assign(
                    segment.table,
                    segment.generation,
                    slot,
                    segment.first_position,
                );
            }
            segment.state = .open;
            segment.used = offset;
            segment.ring_cursor = 0;
            store.directory.tables[segment.table].ring_cursor = 0;
            store.ring.begin(offset);
            store.open_slot = slot;
            store.link_stream = recovery.link_stream;
            store.link_length = recovery.link_length;
            store.staged.store(recovery.end, .seq_cst);
            store.written.store(recovery.end, .seq_cst);
            store.durable.store(recovery.end, .seq_cst);
            Store.Writer.enter(store, slot);
            store.writer.offset = offset;
            store.writer.proven = recovery.end;
            store.streams.collect_free();
        }
    };
}
