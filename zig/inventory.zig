//! Which files of a store are segments of its log: by their names, their headers and the list of
//! the checkpoint. Afterwards the live ones stand in the table in the order of the log, as closed;
//! what was made ready and never used is `ready`.

const std = @import("std");
const checkpoint_zig = @import("checkpoint.zig");
const damage_zig = @import("damage.zig");
const frame = @import("frame.zig");
const io_layer = @import("io.zig");
const slots = @import("slots.zig");

pub fn InventoryType(comptime Store: type) type {
    return struct {
        const Slots = slots.SlotsType(Store);
        const OpenError = Store.OpenError;

        /// Position of the checkpoint: what lies below is known. 0: there is none.
        pub fn take(store: *Store) OpenError!u64 {
            try find_files(store);
            const position = try Store.Checkpoint.read(store, store, listed_segment);
            try adopt_headless(store);
            if (position) |checkpoint| {
                drop_unlisted(store, checkpoint);
                return checkpoint;
            }
            // Without one, every segment from the first on has to be there.
            for (store.segments.live[0..store.segments.live_count], 1..) |slot, generation| {
                if (store.segments.segments[slot].generation != generation) return error.Damaged;
            }
            return 0;
        }

        fn find_files(store: *Store) OpenError!void {
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
            for (0..store.segments.slots) |slot| try find_file(store, @intCast(slot));
        }

        fn find_file(store: *Store, slot: u32) OpenError!void {
            const segment = &store.segments.segments[slot];
            if (segment.state != .preparing) return;
            var buffer: Store.PathBuffer = undefined;
            const path = store.path_of(&buffer, "{d:0>10}.seg", .{slot});
            const file = try store.io.open(path, .read_write);
            defer store.io.close(file);

            segment.state = .foreign;
            const size = try store.io.size(file);
            segment.bytes = @intCast(@min(size, std.math.maxInt(u32)));
            switch (try Slots.read_header(store, file)) {
                .good => |header| {
                    if (!std.mem.eql(u8, &header.disk_id, &store.identity.disk_id)) return;
                    if (header.slot != slot) return;
                    if (header.store != @backingInt(store.options.which)) return;
                    segment.filled = segment.bytes;
                    if (header.state == .free) {
                        segment.state = .free;
                        return;
                    }
                    try add_live(store, slot, .{
                        .slot = slot,
                        .generation = header.generation,
                        .first_position = header.first_position,
                        .used = 0,
                        .bytes = @intCast(header.segment_bytes),
                        .taken = 0,
                    });
                },
                .newer => return error.Format,
                .empty, .bad => segment.state = .headless,
            }
        }

        fn add_live(store: *Store, slot: u32, listed: checkpoint_zig.Listed) OpenError!void {
            const segment = &store.segments.segments[slot];
            segment.generation = listed.generation;
            segment.first_position = listed.first_position;
            segment.bytes = listed.bytes;
            segment.used = frame.segment_header_bytes;
            segment.state = .ready;
            // Two files for one generation: one of them was given up while it was made ready.
            if (store.segments.by_generation(listed.generation)) |other| {
                if (!try has_frames(store, slot, listed)) return;
                store.segments.live_remove(other);
                store.segments.segments[other].state = .ready;
            }
            segment.state = .closed;
            store.segments.live_add(slot);
        }

        fn has_frames(store: *Store, slot: u32, listed: checkpoint_zig.Listed) OpenError!bool {
            var buffer: Store.PathBuffer = undefined;
            const path = store.path_of(&buffer, "{d:0>10}.seg", .{slot});
            const file = store.io.open(path, .read) catch |failure| {
                return if (failure == error.NotFound) false else failure;
            };
            defer store.io.close(file);

            var block: [frame.header_bytes]u8 align(8) = @splat(0);
            _ = try store.io.pread(file, &block, frame.segment_header_bytes);
            const header = frame.as_header(&block);
            return header.valid(store.seed, listed.generation, frame.segment_header_bytes);
        }

        /// What was live below the checkpoint is in its list. A file that claims such a place and
        /// is not listed was made ready once and never used.
        fn drop_unlisted(store: *Store, checkpoint: u64) void {
            const table = &store.segments;
            var nth: u32 = 0;
            while (nth < table.live_count) {
                const segment = &table.segments[table.live[nth]];
                if (segment.listed or segment.first_position >= checkpoint) {
                    nth += 1;
                } else {
                    segment.state = .ready;
                    table.live_remove(table.live[nth]);
                }
            }
        }

        /// A segment that was live when the checkpoint was taken. Since then it may have been
        /// recycled, which its header says; otherwise its file or header is lost.
        fn listed_segment(
            store: *Store,
            listed: checkpoint_zig.Listed,
        ) Store.Checkpoint.ReadError!void {
            if (store.segments.by_generation(listed.generation)) |slot| {
                store.segments.segments[slot].listed = true;
                store.segments.segments[slot].taken = listed.taken != 0;
                return;
            }
            if (listed.slot >= store.segments.segments.len) return error.Damaged;
            const segment = store.segments.at(listed.slot);
            switch (segment.state) {
                .absent => {},
                .headless => {},
                // Somebody put another file in its place: what it held is lost.
                .foreign => return add_lost(store, listed),
                // Recycled since, or in its next life.
                else => return,
            }
            add_live(store, listed.slot, listed) catch |failure| return switch (failure) {
                error.OutOfMemory => error.OutOfMemory,
                error.Format => error.Format,
                error.Damaged => error.Damaged,
                else => |other| @as(io_layer.Error, @errorCast(other)),
            };
            segment.used = listed.used;
            segment.listed = true;
            segment.taken = listed.taken != 0;
        }

        fn add_lost(store: *Store, listed: checkpoint_zig.Listed) error{Damaged}!void {
            const known = store.damage.add(.{
                .position = listed.first_position + frame.segment_header_bytes,
                .end = listed.first_position + @max(listed.used, frame.segment_header_bytes + 1),
                .end_offset = damage_zig.end_unknown,
                .stream = 0,
                .segment = listed.slot,
            });
            if (!known) return error.Damaged;
        }

        /// Segments whose header is lost and which are younger than the checkpoint: their frames
        /// tell the generation, the segment before them tells the position.
        fn adopt_headless(store: *Store) OpenError!void {
            const table = &store.segments;
            var found = true;
            while (found) {
                found = false;
                for (0..table.slots) |nth| {
                    const slot: u32 = @intCast(nth);
                    if (table.segments[slot].state != .headless) continue;
                    const generation = try first_generation(store, slot) orelse continue;
                    const before = table.by_generation(generation -| 1) orelse continue;
                    if (table.by_generation(generation) != null) continue;
                    const last = &table.segments[before];
                    try add_live(store, slot, .{
                        .slot = slot,
                        .generation = generation,
                        .first_position = last.first_position + last.bytes,
                        .used = 0,
                        .bytes = table.segments[slot].bytes,
                        .taken = 0,
                    });
                    found = true;
                }
            }
            for (table.segments[0..table.slots], 0..) |*segment, slot| {
                if (segment.state != .headless) continue;
                // Made by a start or a roll that ended before the header was there.
                segment.state = if (try is_blank(store, @intCast(slot))) .free else .foreign;
            }
        }

        fn is_blank(store: *Store, slot: u32) OpenError!bool {
            var buffer: Store.PathBuffer = undefined;
            const path = store.path_of(&buffer, "{d:0>10}.seg", .{slot});
            const file = try store.io.open(path, .read);
            defer store.io.close(file);

            return try Slots.read_header(store, file) == .empty;
        }

        fn first_generation(store: *Store, slot: u32) OpenError!?u32 {
            var buffer: Store.PathBuffer = undefined;
            const path = store.path_of(&buffer, "{d:0>10}.seg", .{slot});
            const file = try store.io.open(path, .read);
            defer store.io.close(file);

            var block: [frame.header_bytes]u8 align(8) = @splat(0);
            _ = try store.io.pread(file, &block, frame.segment_header_bytes);
            const header = frame.as_header(&block);
            const generation = header.generation;
            if (!header.valid(store.seed, generation, frame.segment_header_bytes)) return null;
            return generation;
        }
    };
}
