//! The file layer. Every file of the engine takes `comptime IO: type` and `io: *IO`; production
//! passes `Real`, tests pass `Faulty` of testing/io.zig, which has the same methods.
//!
//! Calls block. An interrupted call is always retried, short reads and writes are completed here.
//! After any failed `sync` or `sync_data` the content of that file since the last successful one
//! is unknown (the kernel may have marked lost pages clean), so the caller must never retry it.

const std = @import("std");
const builtin = @import("builtin");
const assert = std.debug.assert;
const c = std.c;

pub const Error = error{
    NotFound,
    Exists,
    NoSpace,
    ReadOnly,
    Access,
    TooManyFiles,
    Locked,
    Io,
    NotDirectory,
};

/// An open file. On Windows a HANDLE, which fits in 32 bits by that system's own promise.
pub const File = struct { fd: i32 };

pub const Mode = enum {
    read,
    /// Past the page cache, where the file system can. Positions, lengths and places in memory are
    /// multiples of `direct_bytes`.
    read_direct,
    read_write,
    create_exclusive,
    create_or_open,
};

pub const direct_bytes: u32 = 4096;

pub const Space = struct {
    /// Bytes that this process may still allocate.
    free: u64,
    total: u64,
};

pub const Mapping = []align(std.heap.page_size_min) const u8;

pub const Real = if (builtin.os.tag == .windows)
    @import("io_windows.zig").Real
else
    Posix;

/// Stops the build where a file layer lacks a method of `Real`: generic code is only analysed
/// where it is used, so a missing method would otherwise show up late.
pub fn assert_surface(comptime IO: type) void {
    for (.{
        "open", "close",  "pread",      "pwrite",   "sync_data", "sync",   "allocate",
        "size", "unlink", "truncate",   "rename",   "make_dir",  "unmap",  "sync_dir",
        "lock", "list",   "free_space", "map_read", "random",    "now_ns", "boot_id",
    }) |name| {
        if (!@hasDecl(IO, name)) @compileError(@typeName(IO) ++ " has no " ++ name);
    }
}

comptime {
    assert_surface(Real);
}

/// One read or write call moves at most this much: macOS refuses 2 GiB and more.
const chunk_size_max: usize = 1 << 30;

const Posix = struct {
    /// The system's number of the last failure of any thread, for reports only: another thread
    /// may have failed since.
    errno_last: std.atomic.Value(i32) = .init(0),

    pub fn open(io: *Posix, path: [:0]const u8, mode: Mode) Error!File {
        var flags: c.O = .{ .ACCMODE = .RDWR, .CLOEXEC = true };
        switch (mode) {
            .read => flags.ACCMODE = .RDONLY,
            .read_direct => {
                flags.ACCMODE = .RDONLY;
                if (@hasField(c.O, "DIRECT")) flags.DIRECT = true;
            },
            .read_write => {},
            .create_exclusive => {
                flags.CREAT = true;
                flags.EXCL = true;
            },
            .create_or_open => flags.CREAT = true,
        }
        // The mode is variadic in C, so it needs the type that C promotes it to.
        while (true) {
            const fd = c.open(path, flags, @as(c_uint, 0o640));
            if (fd >= 0) {
                if (mode == .read_direct and builtin.os.tag.isDarwin()) no_cache(fd);
                return .{ .fd = fd };
            }
            if (mode == .read_direct and c.errno(fd) == .INVAL) return io.open(path, .read);
            try io.check(fd);
        }
    }

    /// A system that cannot only caches what it reads.
    fn no_cache(fd: c.fd_t) void {
        _ = c.fcntl(fd, c.F.NOCACHE, @as(c_int, 1));
    }

    /// An error of close is no news: what matters was synced before.
    pub fn close(_: *Posix, file: File) void {
        assert(file.fd >= 0);
        _ = c.close(file.fd);
    }

    /// Fewer bytes than asked for only at the end of the file.
    pub fn pread(io: *Posix, file: File, buffer: []u8, position: u64) Error!usize {
        var done: usize = 0;
        while (done < buffer.len) {
            const rest = buffer[done..];
            const size_chunk = @min(rest.len, chunk_size_max);
            const rc = c.pread(file.fd, rest.ptr, size_chunk, @intCast(position + done));
            if (rc < 0) {
                try io.check(rc);
                continue;
            }
            if (rc == 0) break;
            done += @intCast(rc);
        }
        return done;
    }

    /// After an error any part of the bytes may have been written.
    pub fn pwrite(io: *Posix, file: File, bytes: []const u8, position: u64) Error!void {
        var done: usize = 0;
        while (done < bytes.len) {
            const rest = bytes[done..];
            const size_chunk = @min(rest.len, chunk_size_max);
            const rc = c.pwrite(file.fd, rest.ptr, size_chunk, @intCast(position + done));
            if (rc < 0) {
                try io.check(rc);
                continue;
            }
            // No progress without an error: POSIX leaves it open, a loop would never end.
            if (rc == 0) return error.Io;
            done += @intCast(rc);
        }
    }

    /// Content, and the metadata needed to read it back, are on the medium.
    pub fn sync_data(io: *Posix, file: File) Error!void {
        if (builtin.os.tag.isDarwin()) return io.sync(file);
        while (true) {
            const rc = c.fdatasync(file.fd);
            if (rc == 0) return;
            try io.check(rc);
        }
    }

    pub fn sync(io: *Posix, file: File) Error!void {
        while (true) {
            // fsync of macOS stops at the drive's cache; F_FULLFSYNC does not. Network file
            // systems lack it.
            if (builtin.os.tag.isDarwin()) {
                const rc = c.fcntl(file.fd, c.F.FULLFSYNC, @as(c_int, 0));
                if (rc == 0) return;
                switch (c.errno(rc)) {
                    .OPNOTSUPP, .NOTTY, .INVAL => {},
                    else => {
                        try io.check(rc);
                        continue;
                    },
                }
            }
            const rc = c.fsync(file.fd);
            if (rc == 0) return;
            try io.check(rc);
        }
    }

    /// Reserves blocks up to `size_new` and extends the file to it; never shrinks it. Where the
    /// file system cannot reserve, the file only grows and a later write may find no space.
    pub fn allocate(io: *Posix, file: File, size_new: u64) Error!void {
        if (builtin.os.tag == .linux) {
            while (true) {
                const rc = c.fallocate(file.fd, 0, 0, @intCast(size_new));
                if (rc == 0) return;
                switch (c.errno(rc)) {
                    .OPNOTSUPP, .NOSYS => break,
                    else => try io.check(rc),
                }
            }
        }
        const size_old = try io.size(file);
        if (size_old >= size_new) return;
        if (builtin.os.tag.isDarwin()) try io.preallocate(file, size_new - size_old);
        try io.truncate(file, size_new);
    }

    pub fn size(io: *Posix, file: File) Error!u64 {
        // The position that this moves is never used: all access is positioned.
        const rc = c.lseek(file.fd, 0, c.SEEK.END);
        if (rc < 0) {
            try io.check(rc);
            return error.Io;
        }
        return @intCast(rc);
    }

    pub fn truncate(io: *Posix, file: File, size_new: u64) Error!void {
        while (true) {
            const rc = c.ftruncate(file.fd, @intCast(size_new));
            if (rc == 0) return;
            try io.check(rc);
        }
    }

    /// Replaces `to`. Durable only after `sync_dir` of the directory.
    pub fn rename(io: *Posix, from: [:0]const u8, to: [:0]const u8) Error!void {
        while (true) {
            const rc = c.rename(from, to);
            if (rc == 0) return;
            try io.check(rc);
        }
    }

    pub fn unlink(io: *Posix, path: [:0]const u8) Error!void {
        while (true) {
            const rc = c.unlink(path);
            if (rc == 0) return;
            try io.check(rc);
        }
    }

    pub fn make_dir(io: *Posix, path: [:0]const u8) Error!void {
        while (true) {
            const rc = c.mkdir(path, 0o750);
            if (rc == 0) return;
            try io.check(rc);
        }
    }

    /// Names created, renamed and removed in `path` are on the medium.
    pub fn sync_dir(io: *Posix, path: [:0]const u8) Error!void {
        const flags: c.O = .{ .ACCMODE = .RDONLY, .DIRECTORY = true, .CLOEXEC = true };
        while (true) {
            const fd = c.open(path, flags);
            if (fd >= 0) {
                const file: File = .{ .fd = fd };
                defer io.close(file);

                return io.sync(file);
            }
            try io.check(fd);
        }
    }

    /// One process per file, until it is closed or the process ends; `error.Locked` if another
    /// open file holds it.
    pub fn lock(io: *Posix, file: File) Error!void {
        while (true) {
            const rc = c.flock(file.fd, c.LOCK.EX | c.LOCK.NB);
            if (rc == 0) return;
            if (c.errno(rc) == .AGAIN) return error.Locked;
            try io.check(rc);
        }
    }

    /// Calls `callback(context, name: [:0]const u8)` for each name in the directory, in no
    /// order. The name lives as long as the call. Names that are created or removed meanwhile
    /// may or may not be seen, so the callback should only collect.
    pub fn list(
        io: *Posix,
        path: [:0]const u8,
        context: anytype,
        comptime callback: fn (@TypeOf(context), [:0]const u8) void,
    ) Error!void {
        const dir = while (true) {
            if (c.opendir(path)) |dir| break dir;
            try io.check(-1);
        };
        defer _ = c.closedir(dir);

        while (true) {
            c._errno().* = 0; // the only way to tell an error from the end
            const entry = c.readdir(dir) orelse {
                if (c._errno().* == 0) return;
                try io.check(-1);
                continue;
            };
            const name = std.mem.span(@as([*:0]const u8, @ptrCast(&entry.name)));
            if (std.mem.eql(u8, name, ".") or std.mem.eql(u8, name, "..")) continue;
            callback(context, name);
        }
    }

    pub fn free_space(io: *Posix, path: [:0]const u8) Error!Space {
        while (true) {
            var result: VolumeStatus = undefined;
            const rc = volume_status(path, &result);
            if (rc == 0) {
                const unit: u64 = result.unit;
                return .{ .free = result.available * unit, .total = result.blocks * unit };
            }
            try io.check(rc);
        }
    }

    /// A shared read-only view of the first `len` bytes. Only over files that are never truncated
    /// while it lives: a read behind the end of the file is a signal that ends the process.
    pub fn map_read(io: *Posix, file: File, len: usize) Error!Mapping {
        assert(len > 0);
        const address = c.mmap(null, len, .{ .READ = true }, .{ .TYPE = .SHARED }, file.fd, 0);
        if (address == c.MAP_FAILED) {
            try io.check(-1);
            return error.Io;
        }
        const bytes: [*]align(std.heap.page_size_min) const u8 = @ptrCast(@alignCast(address));
        return bytes[0..len];
    }

    pub fn unmap(_: *Posix, mapping: Mapping) void {
        assert(mapping.len > 0);
        const rc = c.munmap(@ptrCast(@constCast(mapping.ptr)), mapping.len);
        assert(rc == 0);
    }

    /// Unpredictable bytes.
    pub fn random(_: *Posix, buffer: []u8) void {
        if (builtin.os.tag != .linux) return c.arc4random_buf(buffer.ptr, buffer.len);
        // By number: the name is younger than the oldest glibc that we support.
        const linux = std.os.linux;
        var done: usize = 0;
        while (done < buffer.len) {
            const rc = linux.getrandom(buffer[done..].ptr, buffer.len - done, 0);
            switch (linux.errno(rc)) {
                .SUCCESS => done += rc,
                .INTR => {},
                else => @panic("the kernel has no getrandom"),
            }
        }
    }

    /// Since some moment before the start of the process; never falls.
    pub fn now_ns(_: *Posix) u64 {
        var time: c.timespec = undefined;
        const rc = c.clock_gettime(.MONOTONIC, &time);
        assert(rc == 0);
        return @as(u64, @intCast(time.sec)) * std.time.ns_per_s + @as(u64, @intCast(time.nsec));
    }

    /// Differs from one start of the operating system to the next; zeros where it has no such
    /// number.
    pub fn boot_id(io: *Posix, out: *[16]u8) void {
        var text: [64]u8 = @splat(0);
        var len: usize = 0;
        if (builtin.os.tag == .linux) {
            if (io.open("/proc/sys/kernel/random/boot_id", .read)) |file| {
                defer io.close(file);

                len = io.pread(file, &text, 0) catch 0;
            } else |_| {}
        } else if (builtin.os.tag.isDarwin()) {
            len = text.len;
            const rc = c.sysctlbyname("kern.bootsessionuuid", &text, &len, null, 0);
            if (rc != 0) len = 0;
        }
        uuid_bytes(text[0..len], out);
    }

    fn preallocate(io: *Posix, file: File, size_more: u64) Error!void {
        // fstore_t of <sys/fcntl.h>: all of it or nothing, from the physical end of the file.
        var request: extern struct {
            flags: c_uint = 4,
            position_mode: c_int = 3,
            offset: i64 = 0,
            length: i64,
            allocated: i64 = 0,
        } = .{ .length = @intCast(size_more) };
        while (true) {
            const rc = c.fcntl(file.fd, c.F.PREALLOCATE, &request);
            if (rc != -1) return;
            switch (c.errno(rc)) {
                .OPNOTSUPP, .NOTTY, .INVAL => return,
                else => try io.check(rc),
            }
        }
    }

    /// Returns where the call was interrupted and is to be repeated.
    fn check(io: *Posix, rc: anytype) Error!void {
        assert(rc == -1);
        const code = c.errno(rc);
        if (code == .INTR) return;
        io.errno_last.store(@backingInt(code), .monotonic);
        return switch (code) {
            .NOENT => error.NotFound,
            .EXIST, .NOTEMPTY => error.Exists,
            .NOSPC, .DQUOT, .FBIG => error.NoSpace,
            .ROFS => error.ReadOnly,
            .ACCES, .PERM => error.Access,
            .MFILE, .NFILE => error.TooManyFiles,
            .NOTDIR => error.NotDirectory,
            else => error.Io,
        };
    }
};

const VolumeStatus = struct { unit: u64, blocks: u64, available: u64 };

fn volume_status(path: [:0]const u8, out: *VolumeStatus) c_int {
    if (builtin.os.tag.isDarwin()) {
        var raw: DarwinStatfs = undefined;
        const rc = darwin_statfs(path, &raw);
        if (rc == 0) out.* = .{
            .unit = raw.block_size,
            .blocks = raw.blocks,
            .available = raw.blocks_available,
        };
        return rc;
    }
    var raw: Statvfs = undefined;
    const rc = libc.statvfs(path, &raw);
    if (rc == 0) out.* = .{
        .unit = raw.fragment_size,
        .blocks = raw.blocks,
        .available = raw.blocks_available,
    };
    return rc;
}

/// The common head of glibc's and musl's 64-bit struct statvfs; what follows is not read.
const Statvfs = extern struct {
    block_size: c_ulong,
    fragment_size: c_ulong,
    blocks: u64,
    blocks_free: u64,
    blocks_available: u64,
    rest: [128]u8,
};

/// The head of struct statfs with 64-bit inodes. (Its statvfs counts blocks in 32 bits.)
const DarwinStatfs = extern struct {
    block_size: u32,
    transfer_size: i32,
    blocks: u64,
    blocks_free: u64,
    blocks_available: u64,
    rest: [2168 - 32]u8,
};

const libc = struct {
    extern "c" fn statvfs(path: [*:0]const u8, out: *Statvfs) c_int;
    extern "c" fn statfs(path: [*:0]const u8, out: *DarwinStatfs) c_int;
    extern "c" fn @"statfs$INODE64"(path: [*:0]const u8, out: *DarwinStatfs) c_int;
};

const darwin_statfs = if (builtin.cpu.arch == .x86_64) libc.@"statfs$INODE64" else libc.statfs;

comptime {
    assert(@sizeOf(c_ulong) == 8 or builtin.os.tag == .windows);
    assert(@sizeOf(Statvfs) >= 112); // both C libraries write 112 bytes
    assert(@sizeOf(DarwinStatfs) == 2168);
}

/// The 32 hexadecimal digits of `text` as bytes, whatever stands between them; zeros if there
/// are not 32.
fn uuid_bytes(text: []const u8, out: *[16]u8) void {
    out.* = @splat(0);
    var bytes: [16]u8 = @splat(0);
    var digits: usize = 0;
    for (text) |character| {
        const digit = std.fmt.charToDigit(character, 16) catch continue;
        if (digits == 32) return;
        bytes[digits / 2] = (bytes[digits / 2] << 4) | digit;
        digits += 1;
    }
    if (digits == 32) out.* = bytes;
}

const testing = std.testing;

const TestDirectory = struct {
    buffer: [256]u8 = undefined,
    len: usize = 0,
    count: u32 = 0,

    fn path(directory: *TestDirectory, io: *Real, name: []const u8, out: *[512]u8) [:0]u8 {
        if (directory.len == 0) {
            var id: [8]u8 = undefined;
            io.random(&id);
            const root = std.mem.span(c.getenv("TMPDIR") orelse "/tmp");
            const text = std.fmt.bufPrint(&directory.buffer, "{s}/pyralog-io-{x}", .{
                root,
                id,
            }) catch unreachable;
            directory.len = text.len;
        }
        return std.fmt.bufPrintSentinel(out, "{s}/{s}", .{
            directory.buffer[0..directory.len],
            name,
        }, 0) catch unreachable;
    }
};

test "io: content, size and names come back (real files)" {
    var io: Real = .{};
    var directory: TestDirectory = .{};
    var buffers: [3][512]u8 = undefined;
    const root = directory.path(&io, "", &buffers[0]);
    const one = directory.path(&io, "one", &buffers[1]);
    const two = directory.path(&io, "two", &buffers[2]);

    try io.make_dir(root);
    defer _ = c.rmdir(root);

    try testing.expectError(error.Exists, io.make_dir(root));
    try testing.expectError(error.NotFound, io.open(one, .read));
    const file = try io.open(one, .create_exclusive);
    defer io.unlink(two) catch {};
    defer io.close(file);

    try testing.expectError(error.Exists, io.open(one, .create_exclusive));
    try io.allocate(file, 65536);
    try testing.expectEqual(65536, try io.size(file));
    try io.allocate(file, 4096);
    try testing.expectEqual(65536, try io.size(file));
    try io.pwrite(file, "hello", 65534);
    try io.sync_data(file);
    try io.sync(file);
    var buffer: [16]u8 = undefined;
    try testing.expectEqual(7, try io.pread(file, &buffer, 65532));
    try testing.expectEqualStrings("\x00\x00hello", buffer[0..7]);
    const mapping = try io.map_read(file, 65539);
    try testing.expectEqualStrings("hello", mapping[65534..]);
    io.unmap(mapping);
    try io.truncate(file, 3);
    try testing.expectEqual(3, try io.size(file));

    try io.rename(one, two);
    try io.sync_dir(root);
    try testing.expectError(error.NotDirectory, io.sync_dir(two));
    var names: struct {
        count: u32 = 0,
        fn add(self: *@This(), name: [:0]const u8) void {
            if (std.mem.eql(u8, name, "two")) self.count += 1 else self.count += 100;
        }
    } = .{};
    try io.list(root, &names, @TypeOf(names).add);
    try testing.expectEqual(1, names.count);

    const space = try io.free_space(root);
    try testing.expect(space.total > 0 and space.free <= space.total);
}

test "io: a locked file refuses a second holder (real files)" {
    var io: Real = .{};
    var directory: TestDirectory = .{};
    var buffers: [2][512]u8 = undefined;
    const root = directory.path(&io, "", &buffers[0]);
    const path = directory.path(&io, "LOCK", &buffers[1]);
    try io.make_dir(root);
    defer _ = c.rmdir(root);

    const first = try io.open(path, .create_or_open);
    defer io.unlink(path) catch {};

    const second = try io.open(path, .read_write);
    defer io.close(second);

    try io.lock(first);
    try testing.expectError(error.Locked, io.lock(second));
    io.close(first);
    try io.lock(second);
}

test "io: the boot id is stable and the clock never falls" {
    var io: Real = .{};
    var ids: [2][16]u8 = undefined;
    io.boot_id(&ids[0]);
    io.boot_id(&ids[1]);
    try testing.expectEqual(ids[0], ids[1]);
    if (builtin.os.tag == .linux) try testing.expect(!std.mem.allEqual(u8, &ids[0], 0));
    const start = io.now_ns();
    try testing.expect(start > 0 and io.now_ns() >= start);
    uuid_bytes("0f0e-0d0c0b0a09080706050403020100\n", &ids[0]);
    try testing.expectEqual(0x0f, ids[0][0]);
    try testing.expectEqual(0x01, ids[0][14]);
    uuid_bytes("0f0e", &ids[0]);
    try testing.expect(std.mem.allEqual(u8, &ids[0], 0));
}
