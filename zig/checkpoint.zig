//! The checkpoint: a copy of the stream table, of the cuts and of the list of segments. A start
//! begins there and replays what lies behind it.
//!
//! It is taken while writes go on. Each stream's record carries the log position up to which it
//! is true, so a replay skips what the record covers. The file is put in place only when
//! everything that a record covers is durable: it never knows more than the log.
//!
//! Every block stands in the file twice, in two halves, so that no single block takes it away:
//! names of streams may lie nowhere else any more.

const std = @import("std");
const assert = std.debug.assert;
const blocks = @import("blocks.zig");
const damage = @import("damage.zig");
const frame = @import("frame.zig");
const io_layer = @import("io.zig");
const limits = @import("limits.zig");
const streams = @import("streams.zig");

const FileHeader = extern struct {
    magic: [8]u8 = magic_expected,
    version: u32 = frame.format_version,
    store: u32,
    cluster_id: [16]u8,
    disk_id: [16]u8,
    /// A replay starts here.
    position: u64,
    streams_count: u32,
    cuts_count: u32,
    segments_count: u32,
    damages_count: u32,
    /// Ids of streams up to here have been given out.
    ids_count: u32,
    unused: u32 = 0,

    const magic_expected = "PYRCHKP\n".*;
};

const StreamRecord = extern struct {
    id: u32,
    partition: u32,
    topic_id: [16]u8,
    flags: u32,
    epoch: u32,
    fence: u32,
    unused_a: u32 = 0,
    log_start: i64,
    end: i64,
    high_watermark: i64,
    bytes: u64,
    max_timestamp: i64,
    max_timestamp_base: i64,
    epoch_start: i64,
    retention_ms: i64,
    retention_bytes: i64,
    ticket: u64,
    /// Log start up to which trims have been taken off `bytes`.
    counted: i64,
    /// Position of its newest sidecar; 0 none.
    sidecar: u64,
};

const CutRecord = extern struct {
    stream: u32,
    epoch: u32,
    base: i64,
    position: u64,
};

const SegmentRecord = extern struct {
    slot: u32,
    generation: u32,
    first_position: u64,
    used: u32,
    bytes: u32,
    /// 1: dead, and no stream counts its bytes any more.
    taken: u32,
    unused: u32 = 0,
};

const Section = struct {
    const file: u16 = 11;
    const streams: u16 = 12;
    const cuts: u16 = 13;
    const segments: u16 = 14;
    const damages: u16 = 15;
};

comptime {
    assert(@sizeOf(FileHeader) == 80);
    assert(@sizeOf(StreamRecord) == 136);
    assert(@offsetOf(StreamRecord, "sidecar") == 128);
    assert(@sizeOf(CutRecord) == 24);
    assert(@sizeOf(SegmentRecord) == 32);
}

/// A segment that was live when the checkpoint was taken.
pub const Listed = SegmentRecord;

pub fn CheckpointType(comptime Store: type) type {
    return struct {
        const Checkpoint = @This();
        const Writer = blocks.WriterType(Store.Io);
        const Reader = blocks.ReaderType(Store.Io);

        /// Position of the newest one in place, and when it was put there.
        position: u64 = 0,
        taken_ns: u64 = 0,
        count: u32 = 0,
        sealed_since: u32 = 0,
        /// Written under its other name, waiting until the log is durable up to `waits_for`.
        pending: bool = false,
        pending_position: u64 = 0,
        waits_for: u64 = 0,
        /// Somebody waits for one: dead segments, or a stop.
        wanted: bool = false,

        pub fn due(store: *Store) bool {
            const checkpoint = &store.checkpoint;
            if (checkpoint.pending) return false;
            if (checkpoint.sealed_since >= limits.checkpoint_segments) return true;
            const age_ns = store.io.now_ns() -% checkpoint.taken_ns;
            if (checkpoint.wanted) {
                return store.space_refused or age_ns >= limits.checkpoint_interval_min_ns;
            }
            if (store.staged.load(.acquire) == checkpoint.position) return false;
            return age_ns >= limits.checkpoint_interval_ns;
        }

        /// Takes one as far as it goes without waiting.
        pub fn take(store: *Store, buffer: []blocks.Block) io_layer.Error!void {
            const checkpoint = &store.checkpoint;
            var path_buffer: Store.PathBuffer = undefined;
            const new = store.path_of(&path_buffer, "checkpoint.new", .{});
            const file = try store.io.open(new, .create_or_open);
            defer store.io.close(file);

            try store.io.truncate(file, 0);
            store.lock.lock();
            const position = store.staged.load(.acquire);
            const ids_count = store.streams.count;
            store.lock.unlock();
            var writer: Writer = .{
                .io = store.io,
                .file = file,
                .seed = store.seed,
                .generation = 1,
                .buffer = buffer,
            };
            try write_half(store, &writer, position, ids_count);
            try copy_half(store, file, writer.written, buffer);
            try store.io.sync(file);
            checkpoint.pending = true;
            checkpoint.pending_position = position;
            checkpoint.waits_for = store.staged.load(.acquire);
            checkpoint.wanted = false;
            // A stop has no later frame that would bring a sync about.
            store.writer_bell.ring();
        }

        fn write_half(store: *Store, writer: *Writer, position: u64, ids_count: u32) io_layer.Error!void {
            var counts: [4]u32 = @splat(0);
            try write_records(store, writer, ids_count, &counts, .count);
            try writer.put(Section.file, &FileHeader{
                .store = @backingInt(store.options.which),
                .cluster_id = store.identity.cluster_id,
                .disk_id = store.identity.disk_id,
                .position = position,
                .streams_count = counts[0],
                .cuts_count = counts[1],
                .segments_count = counts[2],
                .damages_count = counts[3],
                .ids_count = ids_count,
            });
            var written: [4]u32 = counts;
            try write_records(store, writer, ids_count, &written, .write);
            try writer.finish();
        }

        /// The second half is the first again, under the numbers of its own blocks.
        fn copy_half(
            store: *Store,
            file: io_layer.File,
            half: u32,
            buffer: []blocks.Block,
        ) io_layer.Error!void {
            var done: u32 = 0;
            while (done < half) {
                const count = @min(half - done, buffer.len);
                const bytes = std.mem.sliceAsBytes(buffer[0..count]);
                const position = @as(u64, done) * blocks.block_bytes;
                if (try store.io.pread(file, bytes, position) != bytes.len) return error.Io;
                for (buffer[0..count]) |*block| {
                    const head = &block.head;
                    // What does not come back as it was written is no copy.
                    if (!block.valid(store.seed, 1, head.index, head.kind)) return error.Io;
                    head.index += half;
                    block.seal(store.seed);
                }
                const target = @as(u64, half) * blocks.block_bytes + position;
                try store.io.pwrite(file, bytes, target);
                done += @intCast(count);
            }
        }

        const Mode = enum { count, write };

        /// Counted first and then written: what appears in between is left to the replay.
        fn write_records(
            store: *Store,
            writer: *Writer,
            ids_count: u32,
            counts: *[4]u32,
            mode: Mode,
        ) io_layer.Error!void {
            var left = counts.*;
            var id: u32 = 1;
            while (id <= ids_count) : (id += 1) {
                store.lock.lock();
                const record = record_of(store, id);
                store.lock.unlock();
                const found = record orelse continue;
                switch (mode) {
                    .count => counts[0] += 1,
                    .write => {
                        if (left[0] == 0) break;
                        left[0] -= 1;
                        try writer.put(Section.streams, &found);
                    },
                }
            }
            if (mode == .write) try pad(writer, StreamRecord, Section.streams, left[0]);
            var at: u32 = 0;
            while (next_cut(store, &at)) |cut| {
                switch (mode) {
                    .count => counts[1] += 1,
                    .write => {
                        if (left[1] == 0) break;
                        left[1] -= 1;
                        try writer.put(Section.cuts, &cut);
                    },
                }
            }
            if (mode == .write) try pad(writer, CutRecord, Section.cuts, left[1]);
            at = 0;
            while (next_segment(store, &at)) |segment| {
                switch (mode) {
                    .count => counts[2] += 1,
                    .write => {
                        if (left[2] == 0) break;
                        left[2] -= 1;
                        try writer.put(Section.segments, &segment);
                    },
                }
            }
            if (mode == .write) try pad(writer, SegmentRecord, Section.segments, left[2]);
            at = 0;
            while (next_damage(store, &at)) |range| {
                switch (mode) {
                    .count => counts[3] += 1,
                    .write => {
                        if (left[3] == 0) break;
                        left[3] -= 1;
                        try writer.put(Section.damages, &range);
                    },
                }
            }
            if (mode == .write) try pad(writer, damage.Range, Section.damages, left[3]);
        }

        /// What was counted may have gone since.
        fn pad(writer: *Writer, comptime Record: type, kind: u16, count: u32) io_layer.Error!void {
            for (0..count) |_| try writer.put(kind, &std.mem.zeroes(Record));
        }

        fn record_of(store: *Store, id: u32) ?StreamRecord {
            const stream = store.streams.known(id) orelse return null;
            return .{
                .id = id,
                .partition = stream.partition,
                .topic_id = stream.topic_id,
                .flags = stream.flags,
                .epoch = stream.epoch,
                .fence = stream.fence,
                .log_start = stream.log_start,
                .end = stream.end,
                .high_watermark = stream.high_watermark,
                .bytes = stream.bytes,
                .max_timestamp = stream.max_timestamp,
                .max_timestamp_base = stream.max_timestamp_base,
                .epoch_start = stream.epoch_start,
                .retention_ms = stream.retention_ms,
                .retention_bytes = stream.retention_bytes,
                .ticket = if (stream.flag().deleted)
                    stream.ticket
                else
                    store.staged.load(.acquire),
                .counted = store.survey.accounts[id].counted,
                .sidecar = if (Store.Sidecar.newest(store, stream)) |newest| newest.position else 0,
            };
        }

        fn next_cut(store: *Store, at: *u32) ?CutRecord {
            store.lock.lock();
            defer store.lock.unlock();

            while (at.* < store.cuts.count) {
                const cut = &store.cuts.cuts[at.*];
                at.* += 1;
                if (cut.stream == 0) continue;
                return .{
                    .stream = cut.stream,
                    .epoch = cut.epoch,
                    .base = cut.base,
                    .position = cut.position,
                };
            }
            return null;
        }

        fn next_damage(store: *Store, at: *u32) ?damage.Range {
            store.lock.lock();
            defer store.lock.unlock();

            if (at.* >= store.damage.count) return null;
            at.* += 1;
            return store.damage.ranges[at.* - 1];
        }

        fn next_segment(store: *Store, at: *u32) ?SegmentRecord {
            store.lock.lock();
            defer store.lock.unlock();

            if (at.* >= store.segments.live_count) return null;
            const slot = store.segments.live[at.*];
            at.* += 1;
            const segment = &store.segments.segments[slot];
            return .{
                .slot = slot,
                .generation = segment.generation,
                .first_position = segment.first_position,
                .used = segment.used,
                .bytes = segment.bytes,
                .taken = @intFromBool(segment.taken),
            };
        }

        /// The value of `count` when one will be in place that is taken from now on.
        pub fn count_next(store: *const Store) u32 {
            return store.checkpoint.count + @intFromBool(store.checkpoint.pending);
        }

        /// Puts a written one in place once the log is durable as far as its records go. True:
        /// it is in place.
        pub fn place(store: *Store) io_layer.Error!bool {
            const checkpoint = &store.checkpoint;
            if (!checkpoint.pending) return false;
            if (store.durable.load(.seq_cst) < checkpoint.waits_for) return false;
            var buffers: [2]Store.PathBuffer = undefined;
            const new = store.path_of(&buffers[0], "checkpoint.new", .{});
            try store.io.rename(new, store.path_of(&buffers[1], "checkpoint", .{}));
            try store.io.sync_dir(store.path_z(&buffers[0]));
            store.lock.lock();
            defer store.lock.unlock();

            checkpoint.pending = false;
            checkpoint.position = checkpoint.pending_position;
            checkpoint.taken_ns = store.io.now_ns();
            checkpoint.sealed_since = 0;
            checkpoint.count += 1;
            store.stats.checkpoints += 1;
            return true;
        }

        pub const ReadError = io_layer.Error || error{ Damaged, Format, OutOfMemory };

        /// Fills streams and cuts and hands the listed segments out. Null: there is none.
        pub fn read(
            store: *Store,
            context: anytype,
            comptime listed: fn (@TypeOf(context), Listed) ReadError!void,
        ) ReadError!?u64 {
            var buffer: Store.PathBuffer = undefined;
            const path = store.path_of(&buffer, "checkpoint", .{});
            const file = store.io.open(path, .read) catch |failure| {
                return if (failure == error.NotFound) null else failure;
            };
            defer store.io.close(file);

            const size = try store.io.size(file);
            if (size == 0 or size % (2 * blocks.block_bytes) != 0) return error.Damaged;
            var halves: Halves = .{
                .reader = .{ .io = store.io, .file = file, .seed = store.seed, .generation = 1 },
                .half = @intCast(size / 2 / blocks.block_bytes),
            };
            const header = (try halves.record(FileHeader, Section.file, 0, 0)).*;
            if (!std.mem.eql(u8, &header.magic, &FileHeader.magic_expected)) return error.Damaged;
            if (header.version != frame.format_version) return error.Format;
            if (!std.mem.eql(u8, &header.disk_id, &store.identity.disk_id)) return error.Damaged;
            if (header.store != @backingInt(store.options.which)) return error.Damaged;
            if (header.ids_count >= store.streams.streams.len) return error.OutOfMemory;
            var first: u32 = 1;
            for (0..header.streams_count) |nth| {
                const record = try halves.record(StreamRecord, Section.streams, first, @intCast(nth));
                if (!restore(store, record)) return error.Damaged;
            }
            store.streams.count = @max(store.streams.count, header.ids_count);
            first += blocks.blocks_of(StreamRecord, header.streams_count);
            for (0..header.cuts_count) |nth| {
                const record = try halves.record(CutRecord, Section.cuts, first, @intCast(nth));
                if (!restore_cut(store, record)) return error.Damaged;
            }
            first += blocks.blocks_of(CutRecord, header.cuts_count);
            for (0..header.segments_count) |nth| {
                const record = try halves.record(SegmentRecord, Section.segments, first, @intCast(nth));
                if (record.generation != 0) try listed(context, record.*);
            }
            first += blocks.blocks_of(SegmentRecord, header.segments_count);
            for (0..header.damages_count) |nth| {
                const range = try halves.record(damage.Range, Section.damages, first, @intCast(nth));
                if (range.end == 0) continue;
                if (!store.damage.add(range.*)) return error.Damaged;
            }
            store.checkpoint.position = header.position;
            store.checkpoint.taken_ns = store.io.now_ns();
            return header.position;
        }

        /// Reads each block from the half in which it is sound.
        const Halves = struct {
            reader: Reader,
            half: u32,

            fn record(
                halves: *Halves,
                comptime Record: type,
                kind: u16,
                first: u32,
                nth: u32,
            ) Reader.Error!*const Record {
                const block = first + nth / blocks.per_block(Record);
                if (block >= halves.half) return error.Damaged;
                return halves.reader.record(Record, kind, first, nth) catch |failure| {
                    if (failure == error.NotFound) return failure;
                    return halves.reader.record(Record, kind, first + halves.half, nth);
                };
            }
        };

        fn restore(store: *Store, record: *const StreamRecord) bool {
            if (record.id == 0) return true;
            if (record.id >= store.streams.streams.len) return false;
            const flags: streams.Flags = @bitCast(record.flags);
            if (flags.deleted) {
                return store.streams.place_deleted(record.id, record.ticket);
            }
            if (!store.streams.place(record.id, &record.topic_id, record.partition)) return false;
            const stream = &store.streams.streams[record.id];
            var kept = flags;
            kept.unordered = false;
            stream.flags = @bitCast(kept);
            stream.epoch = record.epoch;
            stream.fence = record.fence;
            stream.log_start = record.log_start;
            stream.end = record.end;
            stream.high_watermark = record.high_watermark;
            stream.bytes = record.bytes;
            stream.max_timestamp = record.max_timestamp;
            stream.max_timestamp_base = record.max_timestamp_base;
            stream.epoch_start = record.epoch_start;
            stream.retention_ms = record.retention_ms;
            stream.retention_bytes = record.retention_bytes;
            stream.ticket = record.ticket;
            stream.sidecar = record.sidecar;
            store.survey.accounts[record.id].counted = record.counted;
            return true;
        }

        fn restore_cut(store: *Store, record: *const CutRecord) bool {
            const stream = store.streams.get(record.stream) orelse return true;
            return store.cuts.add(&stream.cuts, .{
                .stream = record.stream,
                .epoch = record.epoch,
                .base = record.base,
                .position = record.position,
                .next = streams.link_none,
            });
        }
    };
}
