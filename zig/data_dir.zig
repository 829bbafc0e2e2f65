//! One data directory: one process at a time, the identity of the disk, the record of starts,
//! and the two stores in it.

const std = @import("std");
const assert = std.debug.assert;
const abi = @import("abi_types.zig");
const crc32c = @import("crc32c.zig").crc32c;
const io_layer = @import("io.zig");
const limits = @import("limits.zig");
const status = @import("status.zig");
const stdx = @import("stdx.zig");
const store_zig = @import("store.zig");
const Status = status.Status;

const format_version: u32 = 1;

/// Written once, twice in a file, so that no single block takes it away.
const IdentityFile = extern struct {
    magic: [8]u8 = magic_expected,
    version: u32 = format_version,
    /// Set by the cluster later; all ones: not yet.
    node_id: u32 = std.math.maxInt(u32),
    cluster_id: [16]u8,
    /// Random, never used for another disk: frames and segments carry it.
    disk_id: [16]u8,
    unused: [12]u8 = @splat(0),
    crc: u32 = 0,

    const magic_expected = "PYRIDEN\n".*;

    fn follows(_: *const IdentityFile, _: *const IdentityFile) bool {
        return false;
    }
};

const BootFile = extern struct {
    magic: [8]u8 = magic_expected,
    version: u32 = format_version,
    flags: u32,
    disk_id: [16]u8,
    /// Of the operating system: tells a crash of the process from one of the machine.
    boot_id: [16]u8,
    starts: u64,
    log_tail: u64,
    meta_tail: u64,
    unused: u32 = 0,
    crc: u32 = 0,

    const magic_expected = "PYRBOOT\n".*;
    const clean: u32 = 1;
    const failed: u32 = 2;

    /// A power cut between the two copies leaves one of the start before.
    fn follows(record: *const BootFile, other: *const BootFile) bool {
        return record.starts > other.starts;
    }
};

comptime {
    assert(@sizeOf(IdentityFile) == 64);
    assert(@sizeOf(BootFile) == 80);
}

const copies = [_]u64{ 0, 4096 };
const file_bytes = 8192;

fn seal(record: anytype) void {
    const bytes = std.mem.asBytes(record);
    record.crc = crc32c(0, bytes[0 .. bytes.len - 4]);
}

fn sound(record: anytype, expected: *const [8]u8) bool {
    const bytes = std.mem.asBytes(record);
    if (!std.mem.eql(u8, &record.magic, expected)) return false;
    return record.crc == crc32c(0, bytes[0 .. bytes.len - 4]);
}

pub const Site = enum(u32) {
    none = 0,
    lock = 1,
    identity = 2,
    boot = 3,
    log = 4,
    meta = 5,
    threads = 6,
    directory = 7,
};

pub fn DataDirType(comptime IO: type) type {
    return struct {
        const DataDir = @This();
        pub const Store = store_zig.StoreType(IO);

        const Failure = io_layer.Error || error{ OutOfMemory, Format, Damaged, Invalid };

        /// Set before `open`.
        io: IO,
        threads: bool = true,
        wall_ms: ?*const std.atomic.Value(i64) = null,
        path_buffer: [limits.path_bytes_max]u8,
        path_len: usize,
        lock_file: io_layer.File,
        identity: store_zig.Identity,
        created: bool,
        starts: u64,
        boot_id: [16]u8,
        reserve: Store.Reserve,
        boot_lock: stdx.Mutex,
        log: Store,
        meta: Store,

        /// Blocks: lock, identity, recovery of both stores, the new boot record, threads.
        pub fn open(
            dir: *DataDir,
            path_bytes: []const u8,
            options: *const abi.OpenOptions,
            out: *abi.Opened,
        ) Status {
            var site: Site = .none;
            dir.boot_lock = .{};
            dir.open_steps(path_bytes, options, out, &site) catch |failure| {
                out.error_site = @backingInt(site);
                out.error_number = dir.io.errno_last.load(.monotonic);
                return switch (failure) {
                    error.OutOfMemory => .no_memory,
                    error.Format => .format,
                    error.Damaged => .damaged_directory,
                    error.Invalid => .invalid,
                    else => |other| status.of_io(@errorCast(other)),
                };
            };
            return .ok;
        }

        fn open_steps(
            dir: *DataDir,
            path_bytes: []const u8,
            options: *const abi.OpenOptions,
            out: *abi.Opened,
            site: *Site,
        ) Failure!void {
            if (path_bytes.len == 0 or path_bytes.len >= limits.path_bytes_max - 64) {
                return error.Invalid;
            }
            @memcpy(dir.path_buffer[0..path_bytes.len], path_bytes);
            dir.path_len = path_bytes.len;
            site.* = .directory;
            var buffer: PathBuffer = undefined;
            try dir.make(dir.root(&buffer));
            // The directory's own name is one of the names that a power cut takes.
            try dir.io.sync_dir(dir.parent(&buffer));
            site.* = .lock;
            try dir.take_lock(out);
            errdefer dir.io.close(dir.lock_file);

            site.* = .identity;
            try dir.find_identity();
            dir.reserve.init(&dir.io, dir.path(&buffer, "reserve", .{}));
            try dir.make(dir.path(&buffer, "log", .{}));
            try dir.make(dir.path(&buffer, "meta", .{}));
            try dir.io.sync_dir(dir.root(&buffer));
            site.* = .boot;
            const before = try dir.read_boot();
            dir.io.boot_id(&dir.boot_id);
            out.boot_kind = dir.boot_kind(before);
            dir.starts = if (before) |boot| boot.starts + 1 else 1;
            site.* = .log;
            try dir.open_store(&dir.log, .log, "log", options, before, out.boot_kind);
            errdefer dir.log.deinit();

            _ = dir.reserve.restore() catch false;
            site.* = .meta;
            try dir.open_store(&dir.meta, .meta, "meta", options, before, out.boot_kind);
            errdefer dir.meta.deinit();

            site.* = .boot;
            try dir.write_boot(0);
            site.* = .threads;
            errdefer dir.stop_threads();

            try dir.log.threads_start();
            try dir.meta.threads_start();
            dir.describe(out);
        }

        /// The next start must know that what was written last may be gone, however this process
        /// ends. Called by a thread of the store that failed.
        fn record_failure(context: *anyopaque) void {
            const dir: *DataDir = @ptrCast(@alignCast(context));
            // A disk that takes nothing any more leaves no other trace than the lack of a clean
            // mark.
            dir.write_boot(BootFile.failed) catch return;
        }

        fn stop_threads(dir: *DataDir) void {
            _ = dir.log.stop();
            _ = dir.meta.stop();
        }

        fn describe(dir: *DataDir, out: *abi.Opened) void {
            out.starts = @floatFromInt(dir.starts);
            out.log_tail = @floatFromInt(dir.log.staged.load(.seq_cst));
            out.meta_tail = @floatFromInt(dir.meta.staged.load(.seq_cst));
            out.damaged_ranges = dir.log.damage.count + dir.meta.damage.count;
            const torn = dir.log.torn_bytes + dir.meta.torn_bytes;
            out.torn_bytes = @intCast(@min(torn, std.math.maxInt(u32)));
            out.disk_id = dir.identity.disk_id;
            out.cluster_id = dir.identity.cluster_id;
        }

        /// `clean` only if everything that was staged is durable.
        pub fn close(dir: *DataDir, clean: bool) Status {
            const log_durable = dir.log.stop();
            const meta_durable = dir.meta.stop();
            const failed = dir.log.failed() or dir.meta.failed();
            var answer: Status = .ok;
            var flags: u32 = 0;
            if (failed) {
                flags = BootFile.failed;
                answer = .failed;
            } else if (clean and log_durable and meta_durable) {
                flags = BootFile.clean;
            }
            if (flags != 0) {
                dir.write_boot(flags) catch |failure| {
                    answer = status.of_io(failure);
                };
            }
            dir.log.deinit();
            dir.meta.deinit();
            dir.io.close(dir.lock_file);
            return answer;
        }

        const PathBuffer = [limits.path_bytes_max]u8;

        fn path(dir: *const DataDir, buffer: *PathBuffer, comptime format: []const u8, args: anytype) [:0]u8 {
            const text = dir.path_buffer[0..dir.path_len];
            return std.fmt.bufPrintSentinel(buffer, "{s}/" ++ format, .{text} ++ args, 0) catch
                unreachable; // the length of the directory's path was checked
        }

        fn root(dir: *const DataDir, buffer: *PathBuffer) [:0]u8 {
            @memcpy(buffer[0..dir.path_len], dir.path_buffer[0..dir.path_len]);
            buffer[dir.path_len] = 0;
            return buffer[0..dir.path_len :0];
        }

        fn parent(dir: *const DataDir, buffer: *PathBuffer) [:0]u8 {
            const above = std.fs.path.dirname(dir.path_buffer[0..dir.path_len]) orelse ".";
            @memcpy(buffer[0..above.len], above);
            buffer[above.len] = 0;
            return buffer[0..above.len :0];
        }

        fn make(dir: *DataDir, path_z: [:0]const u8) io_layer.Error!void {
            dir.io.make_dir(path_z) catch |failure| switch (failure) {
                error.Exists => {},
                else => return failure,
            };
        }

        fn take_lock(dir: *DataDir, out: *abi.Opened) io_layer.Error!void {
            var buffer: PathBuffer = undefined;
            dir.lock_file = try dir.io.open(dir.path(&buffer, "LOCK", .{}), .create_or_open);
            errdefer dir.io.close(dir.lock_file);

            var text: [16]u8 = undefined;
            dir.io.lock(dir.lock_file) catch |failure| {
                if (failure != error.Locked) return failure;
                const length = dir.io.pread(dir.lock_file, &text, 0) catch 0;
                const digits = std.mem.trimEnd(u8, text[0..length], " \n\x00");
                out.lock_pid = std.fmt.parseInt(u32, digits, 10) catch 0;
                return error.Locked;
            };
            const pid = stdx.process_id();
            const line = std.fmt.bufPrint(&text, "{d: <11}\n", .{pid}) catch unreachable; // 10 digits
            // Over the old one, because a full disk may have no room for a new one; it is only for
            // a person to read.
            dir.io.pwrite(dir.lock_file, line, 0) catch |failure| {
                if (failure != error.NoSpace) return failure;
            };
        }

        fn find_identity(dir: *DataDir) Failure!void {
            var buffer: PathBuffer = undefined;
            const file = dir.io.open(dir.path(&buffer, "identity", .{}), .read) catch |failure| {
                if (failure != error.NotFound) return failure;
                return dir.create_identity();
            };
            defer dir.io.close(file);

            dir.created = false;
            const found = try dir.read_copies(IdentityFile, file, &IdentityFile.magic_expected);
            if (found.version != format_version) return error.Format;
            dir.identity = .{ .cluster_id = found.cluster_id, .disk_id = found.disk_id };
        }

        /// Only in a directory that holds no store: one without its identity is damaged.
        fn create_identity(dir: *DataDir) Failure!void {
            var buffer: PathBuffer = undefined;
            const Names = struct {
                found: bool = false,

                fn add(names: *@This(), name: [:0]const u8) void {
                    for ([_][]const u8{ "log", "meta", "boot" }) |ours| {
                        names.found = names.found or std.mem.eql(u8, name, ours);
                    }
                }
            };
            var names: Names = .{};
            try dir.io.list(dir.root(&buffer), &names, Names.add);
            if (names.found) return error.Damaged;
            dir.created = true;
            dir.io.random(&dir.identity.cluster_id);
            dir.io.random(&dir.identity.disk_id);
            var record: IdentityFile = .{
                .cluster_id = dir.identity.cluster_id,
                .disk_id = dir.identity.disk_id,
            };
            seal(&record);
            try dir.replace("identity", std.mem.asBytes(&record));
        }

        /// Null: no start has finished here yet.
        fn read_boot(dir: *DataDir) Failure!?BootFile {
            var buffer: PathBuffer = undefined;
            const file = dir.io.open(dir.path(&buffer, "boot", .{}), .read) catch |failure| {
                if (failure != error.NotFound) return failure;
                return null;
            };
            defer dir.io.close(file);

            const found = try dir.read_copies(BootFile, file, &BootFile.magic_expected);
            if (found.version != format_version) return error.Format;
            if (!std.mem.eql(u8, &found.disk_id, &dir.identity.disk_id)) return error.Damaged;
            return found;
        }

        fn read_copies(
            dir: *DataDir,
            comptime Record: type,
            file: io_layer.File,
            magic: *const [8]u8,
        ) Failure!Record {
            var best: ?Record = null;
            for (copies) |start| {
                var record: Record = undefined;
                const bytes = std.mem.asBytes(&record);
                if (try dir.io.pread(file, bytes, start) != bytes.len) continue;
                if (!sound(&record, magic)) continue;
                if (best) |*other| if (!record.follows(other)) continue;
                best = record;
            }
            return best orelse error.Damaged;
        }

        fn boot_kind(dir: *const DataDir, before: ?BootFile) u32 {
            const boot = before orelse return 0;
            if (boot.flags & BootFile.failed != 0) return 4;
            if (boot.flags & BootFile.clean != 0) return 1;
            const known = !std.mem.allEqual(u8, &boot.boot_id, 0);
            return if (known and std.mem.eql(u8, &boot.boot_id, &dir.boot_id)) 2 else 3;
        }

        fn write_boot(dir: *DataDir, flags: u32) io_layer.Error!void {
            dir.boot_lock.lock();
            defer dir.boot_lock.unlock();

            var record: BootFile = .{
                .flags = flags,
                .disk_id = dir.identity.disk_id,
                .boot_id = dir.boot_id,
                .starts = dir.starts,
                .log_tail = dir.log.durable.load(.seq_cst),
                .meta_tail = dir.meta.durable.load(.seq_cst),
            };
            seal(&record);
            var buffer: PathBuffer = undefined;
            const file = dir.io.open(dir.path(&buffer, "boot", .{}), .read_write) catch |failure| {
                if (failure != error.NotFound) return failure;
                return dir.replace("boot", std.mem.asBytes(&record));
            };
            defer dir.io.close(file);

            // In place, because a full disk has no room for a new file. One copy stays whole.
            for (copies) |start| {
                try dir.io.pwrite(file, std.mem.asBytes(&record), start);
                try dir.io.sync_data(file);
            }
        }

        /// A new file under another name, synced, then renamed over the old one.
        fn replace(dir: *DataDir, name: []const u8, record: []const u8) io_layer.Error!void {
            var block: [file_bytes]u8 = @splat(0);
            for (copies) |start| @memcpy(block[@intCast(start)..][0..record.len], record);
            var buffers: [2]PathBuffer = undefined;
            const new = dir.path(&buffers[0], "{s}.new", .{name});
            const file = try dir.io.open(new, .create_or_open);
            {
                defer dir.io.close(file);

                try dir.io.truncate(file, 0);
                try dir.io.pwrite(file, &block, 0);
                try dir.io.sync(file);
            }
            try dir.io.rename(new, dir.path(&buffers[1], "{s}", .{name}));
            try dir.io.sync_dir(dir.root(&buffers[0]));
        }

        /// What a start has to write (directories of segments, the segment that takes frames) may
        /// need the reserve.
        fn open_store(
            dir: *DataDir,
            store: *Store,
            which: store_zig.Which,
            comptime name: []const u8,
            options: *const abi.OpenOptions,
            before: ?BootFile,
            kind: u32,
        ) Failure!void {
            while (true) {
                return dir.try_store(store, which, name, options, before, kind) catch |failure| {
                    if (failure == error.NoSpace and try dir.reserve.release()) continue;
                    return failure;
                };
            }
        }

        fn try_store(
            dir: *DataDir,
            store: *Store,
            which: store_zig.Which,
            comptime name: []const u8,
            options: *const abi.OpenOptions,
            before: ?BootFile,
            kind: u32,
        ) Failure!void {
            const is_log = which == .log;
            const segment_bytes = if (is_log) options.log_segment_bytes else options.meta_segment_bytes;
            const ring_bytes = if (is_log) options.log_ring_bytes else options.meta_ring_bytes;
            const tail_before = if (before) |boot|
                (if (is_log) boot.log_tail else boot.meta_tail)
            else
                0;
            var buffer: PathBuffer = undefined;
            try store.init(&dir.io, &dir.reserve, dir.path(&buffer, name, .{}), .{
                .which = which,
                .segment_bytes = @trunc(segment_bytes),
                .ring_bytes = @trunc(ring_bytes),
                .streams_max = if (is_log) @min(options.streams_max, limits.streams_max) else 16,
                .index_interval = options.index_interval,
                .readers = if (is_log) options.readers else 1,
                .read_slots = if (is_log) options.read_slots else 4,
                .read_slot_bytes = options.read_slot_bytes,
                .mmap = options.flags & 1 != 0,
                .flush_interval_ns = @as(u64, options.flush_interval_ms) * std.time.ns_per_ms,
                .fill_bytes_per_s = @as(u64, options.fill_bytes_per_s_mib) << 20,
                .retention_check_ns = @as(u64, options.retention_check_ms) * std.time.ns_per_ms,
                .scrub_bytes_per_s = options.scrub_bytes_per_s,
                .threads = dir.threads,
                .wall_ms = dir.wall_ms,
                .failed = .{ .context = dir, .call = record_failure },
            }, dir.identity, .{
                .starts = dir.starts,
                .tail_before = tail_before,
                .starts_before = if (before) |boot| boot.starts else 0,
                .clean = kind == 1,
                .power_cut = kind == 3 or kind == 4,
            });
        }
    };
}
