//! Snapshots of the metadata: `snapshot-<index>` beside the segments of the store, each written
//! anew, synced and renamed. The newest two stay, so that a damaged one has a predecessor.

const std = @import("std");
const assert = std.debug.assert;
const abi = @import("abi_types.zig");
const crc32c = @import("crc32c.zig").crc32c;
const frame = @import("frame.zig");
const io_layer = @import("io.zig");
const memory = @import("memory.zig");
const Status = @import("status.zig").Status;
const status_of_io = @import("status.zig").of_io;

const kept_count = 2;

const Header = extern struct {
    magic: [8]u8 = magic_expected,
    version: u32 = frame.format_version,
    payload_crc: u32,
    index: u64,
    bytes: u64,
    cluster_id: [16]u8,
    unused: [12]u8 = @splat(0),
    crc: u32 = 0,

    const magic_expected = "PYRSNAP\n".*;

    fn checksum(header: *const Header) u32 {
        const bytes = std.mem.asBytes(header);
        return crc32c(0, bytes[0 .. bytes.len - 4]);
    }
};

comptime {
    assert(@sizeOf(Header) == 64);
}

pub fn SnapshotsType(comptime Store: type) type {
    return struct {
        const Snapshots = @This();

        /// Header and payload of the one that waits to be written. The store's lock guards it.
        pending: ?[]u8 = null,
        writing: bool = false,
        request: u32 = 0,
        index: u64 = 0,

        pub fn write(store: *Store, request: u32, index: u64, payload: []const u8) Status {
            store.lock.lock();
            defer store.lock.unlock();

            if (!store.open) return .closed;
            const snapshots = &store.snapshots;
            if (snapshots.pending != null or snapshots.writing) return .busy;
            const bytes = memory.reserve(u8, @sizeOf(Header) + payload.len) catch return .no_memory;
            var header: Header = .{
                .payload_crc = crc32c(0, payload),
                .index = index,
                .bytes = payload.len,
                .cluster_id = store.identity.cluster_id,
            };
            header.crc = header.checksum();
            @memcpy(bytes[0..@sizeOf(Header)], std.mem.asBytes(&header));
            @memcpy(bytes[@sizeOf(Header)..], payload);
            snapshots.pending = bytes;
            snapshots.request = request;
            snapshots.index = index;
            store.settler_bell.ring();
            return .ok;
        }

        pub fn deinit(snapshots: *Snapshots) void {
            if (snapshots.pending) |bytes| memory.release(u8, bytes);
            snapshots.* = .{};
        }

        /// On the settler's thread; false when nothing waits.
        pub fn step(store: *Store) bool {
            const snapshots = &store.snapshots;
            store.lock.lock();
            const bytes = snapshots.pending orelse {
                store.lock.unlock();
                return false;
            };
            snapshots.pending = null;
            snapshots.writing = true;
            store.lock.unlock();
            defer memory.release(u8, bytes);

            var answer: Status = .ok;
            write_pending(store, bytes) catch |failure| {
                answer = status_of_io(failure);
            };
            if (answer == .ok) remove_old(store);
            store.lock.lock();
            defer store.notify();
            defer store.lock.unlock();

            snapshots.writing = false;
            store.complete(.{
                .kind = @backingInt(abi.CompletionKind.snapshot),
                .status = @backingInt(answer),
                .request = snapshots.request,
                .slot = abi.slot_none,
                .stream = 0,
                .bytes = 0,
                .first_offset = 0,
                .next_offset = @floatFromInt(snapshots.index),
                .position = 0,
                .segment = 0,
                .batches = 0,
            });
            return true;
        }

        fn write_pending(store: *Store, bytes: []const u8) io_layer.Error!void {
            while (true) {
                return replace(store, store.snapshots.index, bytes) catch |failure| {
                    if (failure == error.NoSpace and try store.reserve_file.release()) continue;
                    return failure;
                };
            }
        }

        fn replace(store: *Store, index: u64, bytes: []const u8) io_layer.Error!void {
            var buffers: [2]Store.PathBuffer = undefined;
            const new = store.path_of(&buffers[0], "snapshot.new", .{});
            const file = try store.io.open(new, .create_or_open);
            {
                defer store.io.close(file);

                try store.io.truncate(file, 0);
                try store.io.pwrite(file, bytes, 0);
                try store.io.sync(file);
            }
            const name = store.path_of(&buffers[1], "snapshot-{d:0>16}", .{index});
            try store.io.rename(new, name);
            try store.io.sync_dir(store.path_z(&buffers[0]));
        }

        /// The highest indexes of the directory, from high to low.
        const Newest = struct {
            indexes: [8]u64 = @splat(0),
            count: u32 = 0,
            lowest: ?u64 = null,

            fn add(newest: *Newest, name: [:0]const u8) void {
                const prefix = "snapshot-";
                if (name.len != prefix.len + 16 or !std.mem.startsWith(u8, name, prefix)) return;
                const index = std.fmt.parseInt(u64, name[prefix.len..], 10) catch return;
                newest.lowest = @min(newest.lowest orelse index, index);
                var place: u32 = newest.count;
                while (place > 0 and newest.indexes[place - 1] < index) : (place -= 1) {
                    if (place < newest.indexes.len) {
                        newest.indexes[place] = newest.indexes[place - 1];
                    }
                }
                if (place < newest.indexes.len) newest.indexes[place] = index;
                newest.count = @min(newest.count + 1, newest.indexes.len);
            }
        };

        fn newest_of(store: *Store) io_layer.Error!Newest {
            var newest: Newest = .{};
            var buffer: Store.PathBuffer = undefined;
            try store.io.list(store.path_z(&buffer), &newest, Newest.add);
            return newest;
        }

        /// What cannot be removed now goes with the next one.
        fn remove_old(store: *Store) void {
            const newest = newest_of(store) catch return;
            if (newest.count <= kept_count) return;
            const lowest = newest.lowest orelse return;
            var buffer: Store.PathBuffer = undefined;
            store.io.unlink(store.path_of(&buffer, "snapshot-{d:0>16}", .{lowest})) catch return;
        }

        /// The newest sound snapshot. Reads the file in the call: for the start of a node.
        pub fn read(store: *Store, out: *abi.Snapshot, destination: []u8) Status {
            out.* = .{};
            const newest = newest_of(store) catch |failure| return status_of_io(failure);
            var answer: Status = .not_found;
            for (newest.indexes[0..newest.count]) |index| {
                answer = read_one(store, index, out, destination) catch |failure|
                    status_of_io(failure);
                switch (answer) {
                    .ok, .too_small, .format => return answer,
                    else => {},
                }
            }
            // One was there and none is sound.
            return if (newest.count == 0) .not_found else answer;
        }

        fn read_one(
            store: *Store,
            index: u64,
            out: *abi.Snapshot,
            destination: []u8,
        ) io_layer.Error!Status {
            var buffer: Store.PathBuffer = undefined;
            const path = store.path_of(&buffer, "snapshot-{d:0>16}", .{index});
            const file = try store.io.open(path, .read);
            defer store.io.close(file);

            var header: Header = undefined;
            const header_bytes = std.mem.asBytes(&header);
            if (try store.io.pread(file, header_bytes, 0) != header_bytes.len) return .damaged;
            if (!std.mem.eql(u8, &header.magic, &Header.magic_expected)) return .damaged;
            if (header.crc != header.checksum() or header.index != index) return .damaged;
            if (header.version != frame.format_version) return .format;
            out.* = .{ .index = @floatFromInt(index), .bytes = @floatFromInt(header.bytes) };
            if (header.bytes > destination.len) return .too_small;
            const payload = destination[0..@intCast(header.bytes)];
            if (try store.io.pread(file, payload, header_bytes.len) != payload.len) return .damaged;
            return if (crc32c(0, payload) == header.payload_crc) .ok else .damaged;
        }
    };
}
