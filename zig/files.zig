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
            mapping: ?io_layer.Mapping = null,
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
            close(store, entry);
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
                close(store, entry);
            }
        }

        /// The slot's directory was replaced: whoever asks next opens the new file.
        pub fn expire(store: *Store, slot: u32) void {
            store.files.lock.lock();
            defer store.files.lock.unlock();

            for (&store.files.entries) |*entry| {
                if (entry.file == null or entry.slot != slot or entry.kind != .directory) continue;
                entry.generation = 0;
                entry.used_last = 0;
            }
        }

        fn close(store: *Store, entry: *Entry) void {
            if (entry.mapping) |mapping| store.io.unmap(mapping);
            if (entry.file) |file| store.io.close(file);
            entry.* = .{};
        }

        /// A view of a sealed segment, where the options ask for it; null: read it. The segment is
        /// pinned and the entry in use, so neither file nor view changes.
        pub fn map(store: *Store, entry: *Entry) io_layer.Error!?io_layer.Mapping {
            if (!store.options.mmap) return null;
            store.lock.lock();
            const segment = store.segments.segments[entry.slot];
            store.lock.unlock();
            if (segment.state != .sealed) return null;
            store.files.lock.lock();
            defer store.files.lock.unlock();

            if (entry.mapping == null) {
                // Behind the end of a file that somebody cut short a read would be a signal.
                if (try store.io.size(entry.file.?) < segment.bytes) return null;
                entry.mapping = try store.io.map_read(entry.file.?, segment.bytes);
            }
            return entry.mapping;
        }

        pub fn close_all(files: *Files, store: *Store) void {
            for (&files.entries) |*entry| {
                assert(entry.users == 0);
                close(store, entry);
            }
        }
    };
}

comptime {
    std.debug.assert(limits.files_cached_max >= 2 * (limits.readers_max + 2));
}
