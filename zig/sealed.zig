//! The sorted directory of a sealed segment, a file beside it: one header per stream and epoch
//! with its range, then the runs sorted by stream, epoch and offset, the places of the frames
//! that are no batches, and the damaged ranges that are known.
//!
//! Everything in it can be found again by a walk over the segment, so a damaged directory is
//! rebuilt; what it lacks then is only the high watermarks of its streams.

const std = @import("std");
const assert = std.debug.assert;
const arrival = @import("arrival.zig");
const blocks = @import("blocks.zig");
const damage_zig = @import("damage.zig");
const frame = @import("frame.zig");
const io_layer = @import("io.zig");

pub const FileHeader = extern struct {
    magic: [8]u8 = magic_expected,
    version: u32 = frame.format_version,
    slot: u32,
    cluster_id: [16]u8,
    disk_id: [16]u8,
    generation: u32,
    /// Offset behind the segment's last frame.
    used: u32,
    first_position: u64,
    headers_count: u32,
    entries_count: u32,
    states_count: u32,
    damages_count: u32,

    pub const magic_expected = "PYRDIRC\n".*;

    pub fn headers_block(_: *const FileHeader) u32 {
        return 1;
    }

    pub fn entries_block(header: *const FileHeader) u32 {
        return 1 + blocks.blocks_of(Header, header.headers_count);
    }

    pub fn states_block(header: *const FileHeader) u32 {
        return header.entries_block() + blocks.blocks_of(Entry, header.entries_count);
    }

    pub fn damages_block(header: *const FileHeader) u32 {
        return header.states_block() + blocks.blocks_of(u32, header.states_count);
    }

    pub fn blocks_count(header: *const FileHeader) u32 {
        return header.damages_block() + blocks.blocks_of(damage_zig.Range, header.damages_count);
    }

    /// What block `index` holds.
    pub fn kind_of(header: *const FileHeader, index: u32) u16 {
        if (index < header.headers_block()) return Section.file;
        if (index < header.entries_block()) return Section.headers;
        if (index < header.states_block()) return Section.entries;
        return if (index < header.damages_block()) Section.states else Section.damages;
    }
};

/// All runs of one stream and epoch in the segment. A stream whose offsets span more than 32
/// bits here has several.
pub const Header = extern struct {
    stream: u32,
    epoch: u32,
    first: i64,
    end: i64,
    max_timestamp: i64,
    /// Base offset of the run that holds it.
    max_timestamp_base: i64,
    high_watermark: i64,
    /// Of payloads and frame headers.
    bytes: u32,
    entry_first: u32,
    entry_count: u32,
    /// 1: runs overlap, so their ends do not stand in order.
    overlaps: u32,
};

pub const Entry = extern struct {
    /// From the header's first offset.
    base_delta: u32,
    extent: u32,
    position: u32,
    length: u32,
    max_timestamp: i64,
};

pub const Section = struct {
    pub const file: u16 = 1;
    pub const headers: u16 = 2;
    pub const entries: u16 = 3;
    pub const states: u16 = 4;
    pub const damages: u16 = 5;
};

comptime {
    assert(@sizeOf(FileHeader) == 80);
    assert(@sizeOf(Header) == 64);
    assert(@sizeOf(Entry) == 24);
}

/// What a look-up found: a run, and those that follow it in the file without a gap.
pub const Found = struct {
    /// The lowest offset at or above the one looked for that it holds.
    key: i64,
    base: i64,
    end: i64,
    visible_end: i64,
    position: u32,
    length: u32,
    epoch: u32,
};

pub const Query = struct {
    stream: u32,
    offset: i64,
    /// Runs with a lower highest timestamp do not count.
    minimum_timestamp: i64 = std.math.minInt(i64),
    /// How many bytes of following runs are worth joining.
    bytes_max: u32,
};

pub const Answer = struct {
    found: ?Found = null,
    /// The stream has runs here; some of them, perhaps cut, reach beyond the offset.
    here: bool = false,
    reaches: bool = false,

    pub fn all_below(answer: *const Answer) bool {
        return answer.here and !answer.reaches;
    }
};

pub fn SealedType(comptime Store: type) type {
    return struct {
        pub const Reader = blocks.ReaderType(Store.Io);
        const Writer = blocks.WriterType(Store.Io);

        /// On the settler's thread: `order` and `buffer` are its own.
        pub fn write(
            store: *Store,
            slot: u32,
            table: *const arrival.Table,
            order: []u32,
            buffer: []blocks.Block,
        ) io_layer.Error!void {
            const segment = &store.segments.segments[slot];
            assert(table.generation == segment.generation);
            for (order[0..table.count], 0..) |*place, index| place.* = @intCast(index);
            std.mem.sortUnstable(u32, order[0..table.count], table.runs, run_before);
            var paths: [2]Store.PathBuffer = undefined;
            const new = store.path_of(&paths[0], "{d:0>10}.dir.new", .{slot});
            const file = try store.io.open(new, .create_or_open);
            {
                defer store.io.close(file);

                try store.io.truncate(file, 0);
                var writer: Writer = .{
                    .io = store.io,
                    .file = file,
                    .seed = store.seed,
                    .generation = segment.generation,
                    .buffer = buffer,
                };
                try write_sections(store, slot, table, order[0..table.count], &writer);
                try writer.finish();
                try store.io.sync(file);
            }
            try store.io.rename(new, store.path_of(&paths[1], "{d:0>10}.dir", .{slot}));
            try store.io.sync_dir(store.path_z(&paths[0]));
        }

        fn run_before(runs: []arrival.Run, a: u32, b: u32) bool {
            const left = &runs[a];
            const right = &runs[b];
            if (left.stream != right.stream) return left.stream < right.stream;
            if (left.epoch != right.epoch) return left.epoch < right.epoch;
            if (left.base != right.base) return left.base < right.base;
            return left.position < right.position;
        }

        fn write_sections(
            store: *Store,
            slot: u32,
            table: *const arrival.Table,
            order: []const u32,
            writer: *Writer,
        ) io_layer.Error!void {
            const segment = &store.segments.segments[slot];
            const first_position = segment.first_position;
            store.lock.lock();
            const damages = store.damage.count_within(first_position, segment.end_position());
            store.lock.unlock();
            var groups: Groups = .{ .runs = table.runs, .order = order };
            var headers_count: u32 = 0;
            while (groups.next()) |_| headers_count += 1;
            try writer.put(Section.file, &FileHeader{
                .slot = slot,
                .cluster_id = store.identity.cluster_id,
                .disk_id = store.identity.disk_id,
                .generation = segment.generation,
                .used = segment.used,
                .first_position = first_position,
                .headers_count = headers_count,
                .entries_count = table.count,
                .states_count = table.states_count,
                .damages_count = damages,
            });
            groups.at = 0;
            while (groups.next()) |header| {
                var record = header;
                store.lock.lock();
                if (store.streams.known(header.stream)) |stream| {
                    record.high_watermark = stream.high_watermark;
                }
                store.lock.unlock();
                try writer.put(Section.headers, &record);
            }
            groups.at = 0;
            while (groups.next()) |header| {
                for (order[header.entry_first..][0..header.entry_count]) |index| {
                    const run = &table.runs[index];
                    try writer.put(Section.entries, &Entry{
                        .base_delta = @intCast(run.base - header.first),
                        .extent = run.extent,
                        .position = run.position,
                        .length = run.length,
                        .max_timestamp = run.max_timestamp,
                    });
                }
            }
            for (table.states[0..table.states_count]) |*state| {
                try writer.put(Section.states, state);
            }
            for (0..damages) |nth| {
                store.lock.lock();
                const record = store.damage.within(first_position, segment.end_position(), @intCast(nth));
                store.lock.unlock();
                try writer.put(Section.damages, &record);
            }
        }

        /// Cuts the sorted runs into pieces of one stream and epoch.
        const Groups = struct {
            runs: []const arrival.Run,
            order: []const u32,
            at: u32 = 0,

            fn next(groups: *Groups) ?Header {
                if (groups.at == groups.order.len) return null;
                const first = &groups.runs[groups.order[groups.at]];
                var header: Header = .{
                    .stream = first.stream,
                    .epoch = first.epoch,
                    .first = first.base,
                    .end = first.base,
                    .max_timestamp = first.max_timestamp,
                    .max_timestamp_base = first.base,
                    .high_watermark = 0,
                    .bytes = 0,
                    .entry_first = groups.at,
                    .entry_count = 0,
                    .overlaps = 0,
                };
                while (groups.at < groups.order.len) : (groups.at += 1) {
                    const run = &groups.runs[groups.order[groups.at]];
                    if (run.stream != first.stream or run.epoch != first.epoch) break;
                    if (run.base - first.base > std.math.maxInt(u32)) break;
                    if (run.base < header.end) header.overlaps = 1;
                    header.end = @max(header.end, run.end());
                    header.bytes += run.length;
                    header.entry_count += 1;
                    if (run.max_timestamp > header.max_timestamp) {
                        header.max_timestamp = run.max_timestamp;
                        header.max_timestamp_base = run.base;
                    }
                }
                return header;
            }
        };

        /// Block 0, for the segment that it lies beside.
        pub fn file_header(reader: *Reader, store: *const Store, slot: u32) Reader.Error!FileHeader {
            const found = try reader.record(FileHeader, Section.file, 0, 0);
            if (!std.mem.eql(u8, &found.magic, &FileHeader.magic_expected)) return error.Damaged;
            if (!std.mem.eql(u8, &found.disk_id, &store.identity.disk_id)) return error.Damaged;
            if (found.slot != slot or found.generation != reader.generation) return error.Damaged;
            return found.*;
        }

        pub fn reader_of(store: *Store, file: io_layer.File, generation: u32) Reader {
            return .{ .io = store.io, .file = file, .seed = store.seed, .generation = generation };
        }

        /// Without the lock, in a pinned segment.
        pub fn find(
            store: *Store,
            slot: u32,
            generation: u32,
            first_position: u64,
            query: Query,
        ) Reader.Error!Answer {
            const entry = try Store.Files.acquire(store, .directory, slot, generation);
            defer Store.Files.release(store, entry);

            var reader = reader_of(store, entry.file.?, generation);
            const file = try file_header(&reader, store, slot);
            var nth = try first_header(&reader, &file, query.stream);
            var answer: Answer = .{};
            while (nth < file.headers_count) : (nth += 1) {
                const header = (try reader.record(
                    Header,
                    Section.headers,
                    file.headers_block(),
                    nth,
                )).*;
                if (header.stream != query.stream) break;
                answer.here = true;
                if (header.end <= query.offset) continue;
                answer.reaches = true;
                if (header.max_timestamp < query.minimum_timestamp) continue;
                const found = try find_entry(store, &reader, &file, &header, first_position, query) orelse
                    continue;
                const best = answer.found orelse {
                    answer.found = found;
                    continue;
                };
                // Of two that hold the offset the newer epoch counts.
                if (found.key <= best.key) answer.found = found;
            }
            return answer;
        }

        /// The first header whose stream is not below the one looked for.
        fn first_header(reader: *Reader, file: *const FileHeader, stream: u32) Reader.Error!u32 {
            var low: u32 = 0;
            var high = file.headers_count;
            while (low < high) {
                const middle = low + (high - low) / 2;
                const header = try reader.record(
                    Header,
                    Section.headers,
                    file.headers_block(),
                    middle,
                );
                if (header.stream < stream) low = middle + 1 else high = middle;
            }
            return low;
        }

        fn find_entry(
            store: *Store,
            reader: *Reader,
            file: *const FileHeader,
            header: *const Header,
            first_position: u64,
            query: Query,
        ) Reader.Error!?Found {
            var nth: u32 = 0;
            if (header.overlaps == 0) nth = try entry_behind(reader, file, header, query.offset);
            var best: ?Found = null;
            while (nth < header.entry_count) : (nth += 1) {
                const entry = (try entry_at(reader, file, header, nth)).*;
                const base = header.first + entry.base_delta;
                const end = base + entry.extent;
                if (end <= query.offset or entry.max_timestamp < query.minimum_timestamp) continue;
                const position = first_position + entry.position;
                const visible = store.visible_end(query.stream, header.epoch, end, position);
                if (visible <= @max(base, query.offset)) continue;
                const found: Found = .{
                    .key = @max(base, query.offset),
                    .base = base,
                    .end = end,
                    .visible_end = visible,
                    .position = entry.position,
                    .length = entry.length,
                    .epoch = header.epoch,
                };
                if (header.overlaps == 0) {
                    if (visible < end) return found;
                    return try join(store, reader, file, header, nth, found, query);
                }
                // Of two that hold the offset the one that came later counts.
                const better = if (best) |known|
                    found.key < known.key or
                        (found.key == known.key and found.position > known.position)
                else
                    true;
                if (better) best = found;
            }
            return best;
        }

        /// The first entry that ends behind the offset; ends stand in order.
        fn entry_behind(
            reader: *Reader,
            file: *const FileHeader,
            header: *const Header,
            offset: i64,
        ) Reader.Error!u32 {
            var low: u32 = 0;
            var high = header.entry_count;
            while (low < high) {
                const middle = low + (high - low) / 2;
                const entry = try entry_at(reader, file, header, middle);
                if (header.first + entry.base_delta + entry.extent <= offset) {
                    low = middle + 1;
                } else {
                    high = middle;
                }
            }
            return low;
        }

        fn entry_at(
            reader: *Reader,
            file: *const FileHeader,
            header: *const Header,
            nth: u32,
        ) Reader.Error!*const Entry {
            return reader.record(
                Entry,
                Section.entries,
                file.entries_block(),
                header.entry_first + nth,
            );
        }

        fn join(
            store: *Store,
            reader: *Reader,
            file: *const FileHeader,
            header: *const Header,
            first: u32,
            start: Found,
            query: Query,
        ) Reader.Error!Found {
            var found = start;
            var nth = first + 1;
            while (nth < header.entry_count and found.length < query.bytes_max) : (nth += 1) {
                const entry = (try entry_at(reader, file, header, nth)).*;
                const base = header.first + entry.base_delta;
                if (entry.position != found.position + found.length or base != found.end) break;
                if (found.length + entry.length > query.bytes_max) break;
                const end = base + entry.extent;
                if (store.visible_end(query.stream, header.epoch, end, 0) < end) break;
                found.length += entry.length;
                found.end = end;
                found.visible_end = end;
            }
            return found;
        }

        /// Walks the headers of a sealed segment from `nth` on, for the settler and the start.
        pub const HeaderWalk = struct {
            reader: Reader,
            file: FileHeader,
            nth: u32 = 0,

            pub fn init(store: *Store, slot: u32, generation: u32, handle: io_layer.File) Reader.Error!HeaderWalk {
                var reader = reader_of(store, handle, generation);
                const file = try file_header(&reader, store, slot);
                return .{ .reader = reader, .file = file };
            }

            pub fn next(walk: *HeaderWalk) Reader.Error!?Header {
                if (walk.nth == walk.file.headers_count) return null;
                const header = try walk.reader.record(
                    Header,
                    Section.headers,
                    walk.file.headers_block(),
                    walk.nth,
                );
                walk.nth += 1;
                return header.*;
            }

            pub fn state(walk: *HeaderWalk, nth: u32) Reader.Error!u32 {
                return (try walk.reader.record(u32, Section.states, walk.file.states_block(), nth)).*;
            }

            pub fn damage(walk: *HeaderWalk, nth: u32) Reader.Error!damage_zig.Range {
                return (try walk.reader.record(
                    damage_zig.Range,
                    Section.damages,
                    walk.file.damages_block(),
                    nth,
                )).*;
            }

            pub fn entry(walk: *HeaderWalk, header: *const Header, nth: u32) Reader.Error!Entry {
                return (try entry_at(&walk.reader, &walk.file, header, nth)).*;
            }
        };
    };
}
