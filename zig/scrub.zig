//! The scrub: sealed segments are read again from the medium, slowly, so that rot in what nobody
//! reads is found while there are other copies of it. A pass judges both headers of each file, its
//! frames with their payloads, and its sorted directory, by their checksums.
//!
//! It belongs to the settler, which alone recycles segments and replaces directories: within a
//! step nothing changes under it, and between two steps it finds its segment again by generation.
//! Reads go past the page cache, so they see the medium and take no room from readers. A start
//! begins with a new pass.

const std = @import("std");
const abi = @import("abi_types.zig");
const blocks = @import("blocks.zig");
const damage_zig = @import("damage.zig");
const frame = @import("frame.zig");
const io_layer = @import("io.zig");
const limits = @import("limits.zig");
const sealed = @import("sealed.zig");
const slots = @import("slots.zig");
const stdx = @import("stdx.zig");

/// While others use the medium it is looked at again after this long.
const retry_ns: u64 = 20 * std.time.ns_per_ms;
/// How far a good header is looked for behind a bad one, in one step.
const window_bytes: u32 = frame.bytes_of(limits.payload_bytes_max) + frame.header_bytes;

pub fn ScrubType(comptime Store: type) type {
    return struct {
        const Scrub = @This();
        const Scan = Store.Replay.Scan;
        const Slots = slots.SlotsType(Store);

        /// The pass stands in the first sealed segment from this generation on; 0: none is under
        /// way.
        generation: u32 = 0,
        part: enum { headers, frames, directory } = .headers,
        /// In the file of the part.
        offset: u32 = 0,
        /// Count of starts of the frame before.
        starts: ?u16 = null,
        pass_ns: u64 = 0,
        next_ns: u64 = 0,
        /// Since when others have been let pass; null: not now.
        yielding_ns: ?u64 = null,

        const Target = struct {
            slot: u32,
            generation: u32,
            first_position: u64,
            bytes: u32,
            used: u32,
            directory_damaged: bool,

            fn position(target: *const Target, offset: u32) u64 {
                return target.first_position + offset;
            }
        };

        /// What is wrong with `bytes` of a file. Nobody knows the offsets of a lost header.
        const Harm = struct {
            file: abi.DamagedFile = .segment,
            offset: u32,
            unreadable: bool = false,
            stream: u32 = 0,
            first: i64 = -1,
            end: i64 = -1,
        };

        /// One piece; false when nothing is to be read now.
        pub fn step(store: *Store) io_layer.Error!bool {
            const scrub = &store.scrub;
            const rate = store.options.scrub_bytes_per_s;
            if (rate == 0) return false;
            const now = store.io.now_ns();
            if (scrub.next_ns == 0) scrub.next_ns = now + limits.scrub_rest_ns;
            if (now < scrub.next_ns or !may_read(store, now)) return false;
            if (scrub.generation == 0) {
                scrub.generation = 1;
                scrub.pass_ns = now;
            }
            const target = find(store) orelse {
                scrub.generation = 0;
                scrub.next_ns = @max(now, scrub.pass_ns + limits.scrub_interval_ns);
                count(store, "scrub_passes", 1);
                return true;
            };
            if (target.generation != scrub.generation) scrub.enter(target.generation);
            const bytes = try piece(store, &target);
            count(store, "scrubbed_bytes", bytes);
            scrub.next_ns = now + bytes * std.time.ns_per_s / rate;
            return true;
        }

        /// When the next piece may be read; null: another time than the settler's own will do.
        pub fn next_time(store: *const Store) ?u64 {
            if (store.options.scrub_bytes_per_s == 0 or store.scrub.next_ns == 0) return null;
            return store.scrub.next_ns;
        }

        /// Requests and writes go first, but they do not keep it away for good.
        fn may_read(store: *Store, now: u64) bool {
            const scrub = &store.scrub;
            store.lock.lock();
            const reads = store.reader.queue_count > 0;
            const told = !store.events_full();
            store.lock.unlock();
            const writes = store.durable.load(.acquire) != store.staged.load(.acquire);
            const since = scrub.yielding_ns orelse now;
            if (told and (!(reads or writes) or now >= since + limits.scrub_patience_ns)) {
                scrub.yielding_ns = null;
                return true;
            }
            scrub.yielding_ns = since;
            scrub.next_ns = now + retry_ns;
            return false;
        }

        fn enter(scrub: *Scrub, generation: u32) void {
            scrub.generation = generation;
            scrub.part = .headers;
            scrub.offset = 0;
            scrub.starts = null;
        }

        fn find(store: *Store) ?Target {
            store.lock.lock();
            defer store.lock.unlock();

            const table = &store.segments;
            const from = table.live_from(store.scrub.generation);
            for (table.live[from..table.live_count]) |slot| {
                const segment = &table.segments[slot];
                if (segment.state != .sealed) continue;
                return .{
                    .slot = slot,
                    .generation = segment.generation,
                    .first_position = segment.first_position,
                    .bytes = segment.bytes,
                    .used = segment.used,
                    .directory_damaged = segment.directory_damaged,
                };
            }
            return null;
        }

        /// The bytes that were read.
        fn piece(store: *Store, target: *const Target) io_layer.Error!u64 {
            const scrub = &store.scrub;
            // It will be built again.
            if (scrub.part == .directory and target.directory_damaged) {
                scrub.enter(target.generation + 1);
                return 0;
            }
            var buffer: Store.PathBuffer = undefined;
            const path = switch (scrub.part) {
                .headers, .frames => store.path_of(&buffer, "{d:0>10}.seg", .{target.slot}),
                .directory => store.path_of(&buffer, "{d:0>10}.dir", .{target.slot}),
            };
            const file = store.io.open(path, .read_direct) catch |failure| {
                // This says nothing of the medium.
                if (failure == error.TooManyFiles) return failure;
                return refused(store, target, failure);
            };
            defer store.io.close(file);

            return switch (scrub.part) {
                .headers => headers(store, target, file),
                .frames => frames(store, target, file),
                .directory => directory(store, target, file),
            } catch |failure| return refused(store, target, failure);
        }

        /// A file that is gone, or of which a part that everything else hangs on cannot be read.
        fn refused(store: *Store, target: *const Target, failure: io_layer.Error) u64 {
            const scrub = &store.scrub;
            const is_directory = scrub.part == .directory;
            report(store, target, .{
                .file = if (is_directory) .directory else .segment,
                .offset = 0,
                .unreadable = failure != error.NotFound,
            });
            if (is_directory and failure == error.NotFound) build_again(store, target);
            scrub.part = .directory;
            scrub.offset = 0;
            if (is_directory) scrub.enter(target.generation + 1);
            return 0;
        }

        fn headers(store: *Store, target: *const Target, file: io_layer.File) io_layer.Error!u64 {
            const scrub = &store.scrub;
            const block = store.settler.scan_buffer[0..frame.segment_header_bytes];
            const done = try store.io.pread(file, block, 0);
            @memset(block[done..], 0);
            for ([_]u32{ 0, frame.segment_header_copy }) |offset| {
                const header: *const frame.SegmentHeader = @ptrCast(@alignCast(block[offset..]));
                const good = header.judge() == .good and header.state == .log and
                    header.slot == target.slot and header.generation == target.generation;
                if (!good) report(store, target, .{ .offset = offset });
            }
            scrub.part = .frames;
            scrub.offset = frame.segment_header_bytes;
            return block.len;
        }

        fn frames(store: *Store, target: *const Target, file: io_layer.File) io_layer.Error!u64 {
            const scrub = &store.scrub;
            const size = std.mem.alignBackward(u64, try store.io.size(file), blocks.block_bytes);
            var scan: Scan = .{
                .io = store.io,
                .file = file,
                .seed = store.seed,
                .generation = target.generation,
                .first_position = target.first_position,
                // What lies behind the end of a file that was cut short is lost.
                .bytes = @intCast(@min(target.bytes, size)),
                .rule = store.rule(),
                .window = window_bytes,
                .offset = scrub.offset,
                .starts = scrub.starts,
                .direct = true,
                .buffer = store.settler.scan_buffer,
            };
            const start = scrub.offset;
            const end = @min(target.used, start +| limits.scrub_piece_bytes);
            while (scan.offset < end and !scan.finished and !full(store)) {
                try look_twice(store, target, &scan);
            }
            scrub.offset = scan.offset;
            scrub.starts = scan.starts;
            if (scan.finished or scan.offset >= target.used) {
                scrub.part = .directory;
                scrub.offset = 0;
            }
            return scan.offset - start;
        }

        fn full(store: *Store) bool {
            store.lock.lock();
            defer store.lock.unlock();

            return store.events_full();
        }

        /// The frame at hand. What is wrong is read once more before it is told: harm on the way
        /// from the medium is none to what lies there.
        fn look_twice(store: *Store, target: *const Target, scan: *Scan) io_layer.Error!void {
            const offset = scan.offset;
            const starts = scan.starts;
            const first = look(target, scan);
            if (first == null and !unreadable(target, scan)) return;
            scan.offset = offset;
            scan.starts = starts;
            scan.finished = false;
            scan.forget();
            const second = look(target, scan);
            const refusal = unreadable(target, scan);
            if (second == null and !refusal) return;
            var harm: Harm = second orelse .{ .offset = offset };
            harm.unreadable = refusal;
            report(store, target, harm);
            scan.forget();
        }

        /// Whether the medium refused a block of what the scan has passed.
        fn unreadable(target: *const Target, scan: *const Scan) bool {
            const place = scan.unreadable orelse return false;
            return place.first < target.position(scan.offset);
        }

        /// Moves behind the next frame, or behind a part of a gap.
        fn look(target: *const Target, scan: *Scan) ?Harm {
            const start = scan.offset;
            const mended = scan.mended;
            switch (scan.next()) {
                .frame => |found| {
                    const header = found.*;
                    const payload = scan.payload_at(header.offset, header.length);
                    const good = frame.payload_valid(&header, payload);
                    if (good and scan.mended == mended) return null;
                    const is_batch = header.kind == .batch;
                    return .{
                        .offset = start,
                        .stream = header.stream,
                        .first = if (is_batch) header.base else -1,
                        .end = if (is_batch) header.end() else -1,
                    };
                },
                .bad => |bad| return .{ .offset = start, .stream = stream_of(scan, bad.offset, bad.end) },
                .end => {
                    scan.offset = @min(target.used, start +| window_bytes);
                    return .{ .offset = start };
                },
            }
        }

        /// The frame behind a lost one names its stream; nothing names those of several.
        fn stream_of(scan: *Scan, offset: u32, end: u32) u32 {
            const behind = scan.header_at(end) orelse return 0;
            return if (frame.bytes_of(behind.link_length) == end - offset) behind.link_stream else 0;
        }

        fn directory(store: *Store, target: *const Target, file: io_layer.File) io_layer.Error!u64 {
            const scrub = &store.scrub;
            const bytes = store.settler.scan_buffer[0..limits.scrub_piece_bytes];
            // Block 0 says what the others are.
            const head: *blocks.Block = @ptrCast(@alignCast(bytes));
            var header: sealed.FileHeader = undefined;
            const first = try store.io.pread(file, std.mem.asBytes(head), 0);
            if (first == blocks.block_bytes and valid(store, target, head, 0, sealed.Section.file)) {
                stdx.copy(std.mem.asBytes(&header), head.body[0..@sizeOf(sealed.FileHeader)]);
            } else return stale(store, target, 0);
            const start = scrub.offset;
            const end: u32 = header.blocks_count() * blocks.block_bytes;
            const size = @min(end - start, limits.scrub_piece_bytes);
            const done = try store.io.pread(file, bytes[0..size], start);
            @memset(bytes[done..size], 0);
            const read: []const blocks.Block = @ptrCast(@alignCast(bytes[0..size]));
            for (read, start / blocks.block_bytes..) |*block, index| {
                const nth: u32 = @intCast(index);
                if (valid(store, target, block, nth, header.kind_of(nth))) continue;
                return stale(store, target, nth * blocks.block_bytes);
            }
            scrub.offset = start + size;
            if (scrub.offset == end) scrub.enter(target.generation + 1);
            return size;
        }

        fn valid(store: *Store, target: *const Target, block: *const blocks.Block, index: u32, kind: u16) bool {
            return block.valid(store.seed, target.generation, index, kind);
        }

        /// Everything in a directory can be found again in its segment.
        fn stale(store: *Store, target: *const Target, offset: u32) u64 {
            report(store, target, .{ .file = .directory, .offset = offset });
            build_again(store, target);
            store.scrub.enter(target.generation + 1);
            return blocks.block_bytes;
        }

        fn build_again(store: *Store, target: *const Target) void {
            store.lock.lock();
            defer store.lock.unlock();

            store.segments.segments[target.slot].directory_damaged = true;
        }

        fn report(store: *Store, target: *const Target, harm: Harm) void {
            if (harm.unreadable) count(store, "scrub_errors", 1) else count(store, "scrub_damage", 1);
            store.report_damage(harm.stream, damage_zig.Met{
                .first = harm.first,
                .end = harm.end,
                .position = target.position(if (harm.file == .segment) harm.offset else 0),
                .segment = target.slot,
                .file = harm.file,
                .file_offset = harm.offset,
                .unreadable = harm.unreadable,
            });
        }

        fn count(store: *Store, comptime name: []const u8, more: u64) void {
            _ = @field(store.counters, name).fetchAdd(more, .monotonic);
        }
    };
}

comptime {
    std.debug.assert(limits.scrub_piece_bytes % blocks.block_bytes == 0);
    std.debug.assert(limits.scrub_piece_bytes <= limits.read_piece_bytes);
}
