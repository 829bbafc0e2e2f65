//! Segment files: their names, their headers, and how one is made ready for a generation.

const std = @import("std");
const frame = @import("frame.zig");
const io_layer = @import("io.zig");
const segments = @import("segments.zig");

pub fn SlotsType(comptime Store: type) type {
    return struct {
        pub fn header_of(store: *const Store, slot: u32, segment: *const segments.Segment) frame.SegmentHeader {
            var header: frame.SegmentHeader = .{
                .state = .log,
                .cluster_id = store.identity.cluster_id,
                .disk_id = store.identity.disk_id,
                .slot = slot,
                .generation = segment.generation,
                .first_position = segment.first_position,
                .segment_bytes = segment.bytes,
                .store = @backingInt(store.options.which),
            };
            header.seal();
            return header;
        }

        /// Both copies, and the rest of the block as zeros.
        pub fn write_header(store: *Store, file: io_layer.File, header: frame.SegmentHeader) io_layer.Error!void {
            var block: [frame.segment_header_bytes]u8 align(8) = @splat(0);
            const bytes = std.mem.asBytes(&header);
            @memcpy(block[0..bytes.len], bytes);
            @memcpy(block[frame.segment_header_copy..][0..bytes.len], bytes);
            try store.io.pwrite(file, &block, 0);
            try store.io.sync(file);
        }

        /// The file of a segment that is no part of the log any more.
        pub fn write_free(store: *Store, slot: u32) io_layer.Error!void {
            var buffer: Store.PathBuffer = undefined;
            const path = store.path_of(&buffer, "{d:0>10}.seg", .{slot});
            const file = try store.io.open(path, .read_write);
            defer store.io.close(file);

            var header = header_of(store, slot, &store.segments.segments[slot]);
            header.state = .free;
            header.seal();
            try write_header(store, file, header);
        }

        pub const Judged = union(enum) { good: frame.SegmentHeader, empty, newer, bad };

        /// The newer of the two copies; one that is bad does not count against the other.
        pub fn read_header(store: *Store, file: io_layer.File) io_layer.Error!Judged {
            var block: [frame.segment_header_bytes]u8 align(8) = @splat(0);
            _ = try store.io.pread(file, &block, 0);
            var best: ?frame.SegmentHeader = null;
            var newer = false;
            var empty: u32 = 0;
            for ([_]usize{ 0, frame.segment_header_copy }) |start| {
                const header: *const frame.SegmentHeader = @ptrCast(@alignCast(block[start..]));
                switch (header.judge()) {
                    .good => if (best == null or after(header, &best.?)) {
                        best = header.*;
                    },
                    .newer => newer = true,
                    .empty => empty += 1,
                    .bad => {},
                }
            }
            if (newer) return .newer;
            if (best) |header| return .{ .good = header };
            return if (empty == 2) .empty else .bad;
        }

        /// A segment goes from log to free and then to a higher generation.
        fn after(header: *const frame.SegmentHeader, before: *const frame.SegmentHeader) bool {
            if (header.generation != before.generation) {
                return header.generation > before.generation;
            }
            return header.state == .free and before.state == .log;
        }

        /// Gives a free or new file the next generation. The segment is `preparing`: nobody else
        /// touches it.
        pub fn prepare(store: *Store, slot: u32) io_layer.Error!void {
            const segment = &store.segments.segments[slot];
            var buffer: Store.PathBuffer = undefined;
            const path = store.path_of(&buffer, "{d:0>10}.seg", .{slot});
            const file = try store.io.open(path, .create_or_open);
            errdefer store.io.close(file);

            const size = try store.io.size(file);
            if (size != segment.bytes) {
                errdefer store.io.unlink(path) catch {};

                if (size > segment.bytes) try store.io.truncate(file, segment.bytes);
                try store.io.allocate(file, segment.bytes);
                segment.filled = 0;
            }
            try write_header(store, file, header_of(store, slot, segment));
            if (size == 0) {
                var directory: Store.PathBuffer = undefined;
                try store.io.sync_dir(store.path_z(&directory));
            }
            segment.file = file;
        }
    };
}

/// The number in a name like 0000000012.seg; null for any other name.
pub fn slot_of(name: []const u8, suffix: []const u8) ?u32 {
    if (name.len != 10 + suffix.len or !std.mem.endsWith(u8, name, suffix)) return null;
    for (name[0..10]) |digit| {
        if (digit < '0' or digit > '9') return null;
    }
    return std.fmt.parseInt(u32, name[0..10], 10) catch null;
}

test "slots: only names of ten digits are ours" {
    const expectEqual = std.testing.expectEqual;
    try expectEqual(12, slot_of("0000000012.seg", ".seg").?);
    try expectEqual(null, slot_of("0000000012.dir", ".seg"));
    try expectEqual(null, slot_of("000000012.seg", ".seg"));
    try expectEqual(null, slot_of("00000000+1.seg", ".seg"));
    try expectEqual(null, slot_of("9999999999.seg", ".seg"));
}
