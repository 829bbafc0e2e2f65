//! A file that takes up room so that a full disk can be freed: sorted directories, checkpoints,
//! snapshots and segments of the metadata need room before a trim or a deletion can give any back.
//! It is removed when one of them finds no space, and made again when there is plenty. The start
//! and both stores of a directory share it.

const std = @import("std");
const io_layer = @import("io.zig");
const limits = @import("limits.zig");
const stdx = @import("stdx.zig");

pub fn ReserveType(comptime IO: type) type {
    return struct {
        const Reserve = @This();

        io: *IO,
        path_buffer: [limits.path_bytes_max]u8 = undefined,
        path_len: usize,
        lock: stdx.Mutex = .{},
        /// Known to be there; a start that has not looked yet says no.
        there: bool = false,
        next_ns: u64 = 0,

        pub fn init(reserve: *Reserve, io: *IO, name: [:0]const u8) void {
            reserve.* = .{ .io = io, .path_len = name.len };
            @memcpy(reserve.path_buffer[0..name.len], name);
            reserve.path_buffer[name.len] = 0;
        }

        /// True: there is room now that was not there before. An error is none of room: whether
        /// the file is there is not known then.
        pub fn release(reserve: *Reserve) io_layer.Error!bool {
            reserve.lock.lock();
            defer reserve.lock.unlock();

            reserve.there = false;
            reserve.io.unlink(reserve.path()) catch |failure| {
                return if (failure == error.NotFound) false else failure;
            };
            // File systems give the blocks back when the name is gone for good.
            var buffer: [limits.path_bytes_max]u8 = undefined;
            try reserve.io.sync_dir(reserve.parent(&buffer));
            return true;
        }

        /// True: made now. Looked at once a second.
        pub fn restore(reserve: *Reserve) io_layer.Error!bool {
            reserve.lock.lock();
            defer reserve.lock.unlock();

            if (reserve.there) return false;
            const now = reserve.io.now_ns();
            if (now < reserve.next_ns) return false;
            reserve.next_ns = now + std.time.ns_per_s;
            var buffer: [limits.path_bytes_max]u8 = undefined;
            if (!affordable(try reserve.io.free_space(reserve.parent(&buffer)))) return false;
            try reserve.create();
            reserve.there = true;
            return true;
        }

        /// Also when it is there already: a start may have ended half-way.
        fn create(reserve: *Reserve) io_layer.Error!void {
            const file = try reserve.io.open(reserve.path(), .create_or_open);
            defer reserve.io.close(file);

            if (try reserve.io.size(file) >= limits.reserve_bytes) return;
            reserve.io.allocate(file, limits.reserve_bytes) catch |failure| {
                reserve.io.unlink(reserve.path()) catch {};
                return failure;
            };
        }

        /// Room for the file, and as much again above what a log leaves free.
        fn affordable(space: io_layer.Space) bool {
            return space.free >= limits.free_least(space.total) + 2 * limits.reserve_bytes;
        }

        fn path(reserve: *const Reserve) [:0]const u8 {
            return reserve.path_buffer[0..reserve.path_len :0];
        }

        fn parent(reserve: *const Reserve, buffer: *[limits.path_bytes_max]u8) [:0]const u8 {
            const above = std.fs.path.dirname(reserve.path()) orelse ".";
            @memcpy(buffer[0..above.len], above);
            buffer[above.len] = 0;
            return buffer[0..above.len :0];
        }
    };
}
