//! Open files of sealed segments and of their directories, shared by all readers of a store: a
//! fixed number of descriptors, the least recently used one makes room. Only threads of the
//! engine come here, so its lock is held while a file opens.

const std = @import("std");
const assert = std.debug.assert;
const io_layer = @import("io.zig");
const limits = @import("limits.zig");
const stdx = @import("stdx.zig");

pub const Kind = enum { segment, directory };

pub fn FilesType(comptime Store: type) type {
    return struct {
        const Files = @This();

        pub const Entry = struct {
            kind: Kind = .segment,
            slot: u32 = 0,
            generation: u32 = 0,
            file: ?io_layer.File = null,
            users: u32 = 0,
            used_last: u64 = 0,
        };

        lock: stdx.Mutex = .{},
        clock: u64 = 0,
        entries: [limits.files_cached_max]Entry = @splat(.{}),

        pub fn acquire(store: *Store, kind: Kind, slot: u32, generation: u32) io_layer.Error!*Entry {
            const files = &store.files;
            files.lock.lock();
            defer files.lock.unlock();

            files.clock += 1;
            var victim: ?*Entry = null;
            for (&files.entries) |*entry| {
                const same = entry.kind == kind and entry.slot == slot and
                    entry.generation == generation;
                if (entry.file != null and same) {
                    entry.users += 1;
                    entry.used_last = files.clock;
                    return entry;
                }
                if (entry.users > 0) continue;
                if (victim == null or entry.used_last < victim.?.used_last) victim = entry;
            }
            // Fewer threads than entries, and a thread holds at most two.
            const entry = victim.?;
            if (entry.file) |file| store.io.close(file);
            entry.file = null;
            entry.used_last = 0;
            var buffer: Store.PathBuffer = undefined;
            const path = switch (kind) {
                .segment => store.path_of(&buffer, "{d:0>10}.seg", .{slot}),
                .directory => store.path_of(&buffer, "{d:0>10}.dir", .{slot}),
            };
            entry.* = .{
                .kind = kind,
                .slot = slot,
                .generation = generation,
                .file = try store.io.open(path, .read),
                .users = 1,
                .used_last = files.clock,
            };
            return entry;
        }

        pub fn release(store: *Store, entry: *Entry) void {
            store.files.lock.lock();
            defer store.files.lock.unlock();

            assert(entry.users > 0);
            entry.users -= 1;
        }

        /// The slot's files are about to change their life. Nobody uses them: its pins are gone.
        pub fn forget(store: *Store, slot: u32) void {
            store.files.lock.lock();
            defer store.files.lock.unlock();

            for (&store.files.entries) |*entry| {
                if (entry.file == null or entry.slot != slot) continue;
                assert(entry.users == 0);
                store.io.close(entry.file.?);
                entry.* = .{};
            }
        }

        pub fn close_all(files: *Files, store: *Store) void {
            for (&files.entries) |*entry| {
                assert(entry.users == 0);
                if (entry.file) |file| store.io.close(file);
                entry.* = .{};
            }
        }
    };
}

comptime {
    std.debug.assert(limits.files_cached_max >= 2 * (limits.readers_max + 2));
}
