//! A file that takes up room so that the metadata can still be written when the disk is full:
//! removed when the metadata store finds no space, made again when there is plenty.

const std = @import("std");
const io_layer = @import("io.zig");
const limits = @import("limits.zig");

/// Also when it is there already: a start may have ended half-way.
pub fn create(io: anytype, path: [:0]const u8) io_layer.Error!void {
    const file = try io.open(path, .create_or_open);
    defer io.close(file);

    if (try io.size(file) >= limits.reserve_bytes) return;
    io.allocate(file, limits.reserve_bytes) catch |failure| {
        io.unlink(path) catch {};
        return failure;
    };
}

/// Room for the file, and as much again above what a log leaves free.
pub fn affordable(space: io_layer.Space) bool {
    const least = @min(space.total / 20, limits.free_bytes_min);
    return space.free >= least + 2 * limits.reserve_bytes;
}

pub fn ReserveType(comptime Store: type) type {
    return struct {
        const Reserve = @This();

        released: bool = false,
        next_ns: u64 = 0,

        /// True: there is room now that was not there before.
        pub fn release(store: *Store) bool {
            const path = store.options.reserve orelse return false;
            store.io.unlink(path) catch return false;
            sync_parent(store, path) catch return false;
            store.reserve_file.released = true;
            return true;
        }

        /// File systems give the blocks back when the name is gone for good.
        fn sync_parent(store: *Store, path: [:0]const u8) io_layer.Error!void {
            const above = std.fs.path.dirname(path) orelse ".";
            var buffer: Store.PathBuffer = undefined;
            @memcpy(buffer[0..above.len], above);
            buffer[above.len] = 0;
            try store.io.sync_dir(buffer[0..above.len :0]);
        }

        pub fn restore(store: *Store) io_layer.Error!bool {
            const reserve = &store.reserve_file;
            if (!reserve.released) return false;
            const now = store.io.now_ns();
            if (now < reserve.next_ns) return false;
            reserve.next_ns = now + std.time.ns_per_s;
            var buffer: Store.PathBuffer = undefined;
            if (!affordable(try store.io.free_space(store.path_z(&buffer)))) return false;
            try create(store.io, store.options.reserve.?);
            reserve.released = false;
            return true;
        }
    };
}
