//! The file layer on Windows, over kernel32. Same methods and meanings as in io.zig.

const std = @import("std");
const assert = std.debug.assert;
const layer = @import("io.zig");
const Error = layer.Error;
const File = layer.File;
const Mode = layer.Mode;
const Space = layer.Space;
const Mapping = layer.Mapping;

const path_units_max = 1024;
const chunk_size_max: usize = 1 << 30;

pub const Real = struct {
    /// The system's number of the last failure of any thread, for reports only.
    errno_last: std.atomic.Value(i32) = .init(0),

    pub fn open(io: *Real, path: [:0]const u8, mode: Mode) Error!File {
        var buffer: Path = undefined;
        const wide = try widen(path, &buffer);
        const generic_read = 0x8000_0000;
        const generic_write = 0x4000_0000;
        const reads = mode == .read or mode == .read_direct;
        const access: u32 = generic_read | if (reads) 0 else @as(u32, generic_write);
        const share_all = 7; // a file that is open can be renamed and removed, as on POSIX
        const disposition: u32 = switch (mode) {
            .read, .read_direct, .read_write => 3, // OPEN_EXISTING
            .create_exclusive => 1, // CREATE_NEW
            .create_or_open => 4, // OPEN_ALWAYS
        };
        const no_buffering = 0x2000_0000;
        const attributes: u32 = 0x80 | if (mode == .read_direct) @as(u32, no_buffering) else 0;
        const raw = kernel32.CreateFileW(wide, access, share_all, null, disposition, attributes, null);
        if (raw == invalid_handle) return io.failure();
        return .{ .fd = @truncate(@as(i64, @bitCast(@intFromPtr(raw)))) };
    }

    pub fn close(_: *Real, file: File) void {
        _ = kernel32.CloseHandle(handle(file));
    }

    pub fn pread(io: *Real, file: File, buffer: []u8, position: u64) Error!usize {
        var done: usize = 0;
        while (done < buffer.len) {
            const rest = buffer[done..];
            var overlapped: Overlapped = .at(position + done);
            var count: u32 = 0;
            const size_chunk: u32 = @intCast(@min(rest.len, chunk_size_max));
            if (kernel32.ReadFile(handle(file), rest.ptr, size_chunk, &count, &overlapped) == 0) {
                const handle_eof = 38;
                if (kernel32.GetLastError() == handle_eof) break;
                return io.failure();
            }
            if (count == 0) break;
            done += count;
        }
        return done;
    }

    pub fn pwrite(io: *Real, file: File, bytes: []const u8, position: u64) Error!void {
        var done: usize = 0;
        while (done < bytes.len) {
            const rest = bytes[done..];
            var overlapped: Overlapped = .at(position + done);
            var count: u32 = 0;
            const size_chunk: u32 = @intCast(@min(rest.len, chunk_size_max));
            const rc = kernel32.WriteFile(handle(file), rest.ptr, size_chunk, &count, &overlapped);
            if (rc == 0) return io.failure();
            if (count == 0) return error.Io;
            done += count;
        }
    }

    pub fn sync_data(io: *Real, file: File) Error!void {
        return io.sync(file);
    }

    pub fn sync(io: *Real, file: File) Error!void {
        if (kernel32.FlushFileBuffers(handle(file)) == 0) return io.failure();
    }

    /// NTFS reserves the clusters when the end of the file moves.
    pub fn allocate(io: *Real, file: File, size_new: u64) Error!void {
        if (try io.size(file) < size_new) try io.truncate(file, size_new);
    }

    pub fn size(io: *Real, file: File) Error!u64 {
        var result: i64 = 0;
        if (kernel32.GetFileSizeEx(handle(file), &result) == 0) return io.failure();
        return @intCast(result);
    }

    pub fn truncate(io: *Real, file: File, size_new: u64) Error!void {
        const end_of_file_class = 6;
        var end: i64 = @intCast(size_new);
        const rc = kernel32.SetFileInformationByHandle(
            handle(file),
            end_of_file_class,
            &end,
            @sizeOf(i64),
        );
        if (rc == 0) return io.failure();
    }

    pub fn rename(io: *Real, from: [:0]const u8, to: [:0]const u8) Error!void {
        var buffer_from: Path = undefined;
        var buffer_to: Path = undefined;
        const wide_from = try widen(from, &buffer_from);
        const wide_to = try widen(to, &buffer_to);
        const replace_write_through = 1 | 8;
        if (kernel32.MoveFileExW(wide_from, wide_to, replace_write_through) == 0) {
            return io.failure();
        }
    }

    pub fn unlink(io: *Real, path: [:0]const u8) Error!void {
        var buffer: Path = undefined;
        if (kernel32.DeleteFileW(try widen(path, &buffer)) == 0) return io.failure();
    }

    pub fn make_dir(io: *Real, path: [:0]const u8) Error!void {
        var buffer: Path = undefined;
        if (kernel32.CreateDirectoryW(try widen(path, &buffer), null) == 0) return io.failure();
    }

    /// NTFS journals names, and `rename` above writes through: there is nothing left to do.
    pub fn sync_dir(_: *Real, path: [:0]const u8) Error!void {
        assert(path.len > 0);
    }

    pub fn lock(io: *Real, file: File) Error!void {
        const exclusive_immediately = 2 | 1;
        // One byte far behind any content: locks are mandatory here.
        var overlapped: Overlapped = .at(1 << 62);
        const rc = kernel32.LockFileEx(handle(file), exclusive_immediately, 0, 1, 0, &overlapped);
        if (rc == 0) {
            const lock_violation = 33;
            const io_pending = 997;
            switch (kernel32.GetLastError()) {
                lock_violation, io_pending => return error.Locked,
                else => return io.failure(),
            }
        }
    }

    pub fn list(
        io: *Real,
        path: [:0]const u8,
        context: anytype,
        comptime callback: fn (@TypeOf(context), [:0]const u8) void,
    ) Error!void {
        var pattern: [path_units_max]u8 = undefined;
        const text = std.fmt.bufPrintSentinel(&pattern, "{s}\\*", .{path}, 0) catch
            return error.NotFound;
        var buffer: Path = undefined;
        var entry: FindData = undefined;
        const search = kernel32.FindFirstFileW(try widen(text, &buffer), &entry);
        if (search == invalid_handle) return io.failure();
        defer _ = kernel32.FindClose(search);

        while (true) {
            const wide = std.mem.sliceTo(&entry.name, 0);
            var name: [entry.name.len * 3 + 1]u8 = undefined;
            const len = std.unicode.wtf16LeToWtf8(&name, wide);
            name[len] = 0;
            const dots = len <= 2 and std.mem.allEqual(u8, name[0..len], '.');
            if (!dots) callback(context, name[0..len :0]);
            if (kernel32.FindNextFileW(search, &entry) == 0) {
                const no_more_files = 18;
                if (kernel32.GetLastError() == no_more_files) return;
                return io.failure();
            }
        }
    }

    pub fn free_space(io: *Real, path: [:0]const u8) Error!Space {
        var buffer: Path = undefined;
        var space: Space = undefined;
        const wide = try widen(path, &buffer);
        if (kernel32.GetDiskFreeSpaceExW(wide, &space.free, &space.total, null) == 0) {
            return io.failure();
        }
        return space;
    }

    pub fn map_read(io: *Real, file: File, len: usize) Error!Mapping {
        assert(len > 0);
        const page_read_only = 2;
        const section = kernel32.CreateFileMappingW(
            handle(file),
            null,
            page_read_only,
            @truncate(@as(u64, len) >> 32),
            @truncate(@as(u64, len)),
            null,
        ) orelse return io.failure();
        defer _ = kernel32.CloseHandle(section);

        const file_map_read = 4;
        const address = kernel32.MapViewOfFile(section, file_map_read, 0, 0, len) orelse
            return io.failure();
        const bytes: [*]align(std.heap.page_size_min) const u8 = @ptrCast(@alignCast(address));
        return bytes[0..len];
    }

    pub fn unmap(_: *Real, mapping: Mapping) void {
        const rc = kernel32.UnmapViewOfFile(mapping.ptr);
        assert(rc != 0);
    }

    pub fn random(_: *Real, buffer: []u8) void {
        const rc = bcryptprimitives.ProcessPrng(buffer.ptr, buffer.len);
        assert(rc != 0);
    }

    pub fn now_ns(_: *Real) u64 {
        var ticks: i64 = 0;
        var ticks_per_s: i64 = 0;
        assert(kernel32.QueryPerformanceCounter(&ticks) != 0);
        assert(kernel32.QueryPerformanceFrequency(&ticks_per_s) != 0);
        return @intCast(@divTrunc(@as(i128, ticks) * std.time.ns_per_s, ticks_per_s));
    }

    /// Windows has no number for it: zeros, which never prove that the system kept running.
    pub fn boot_id(_: *Real, out: *[16]u8) void {
        out.* = @splat(0);
    }

    fn failure(io: *Real) Error {
        const code = kernel32.GetLastError();
        io.errno_last.store(@bitCast(code), .monotonic);
        return switch (code) {
            2, 3 => error.NotFound,
            4 => error.TooManyFiles,
            5, 32 => error.Access,
            19 => error.ReadOnly,
            33 => error.Locked,
            39, 112 => error.NoSpace,
            80, 145, 183 => error.Exists,
            267 => error.NotDirectory,
            else => error.Io,
        };
    }
};

const Path = [path_units_max:0]u16;
const Handle = *anyopaque;

const invalid_handle: ?Handle = @ptrFromInt(std.math.maxInt(usize));

fn handle(file: File) ?Handle {
    return @ptrFromInt(@as(usize, @bitCast(@as(isize, file.fd))));
}

fn widen(path: [:0]const u8, buffer: *Path) Error![*:0]const u16 {
    // One UTF-16 unit needs at least one byte of UTF-8.
    if (path.len > path_units_max) return error.NotFound;
    const len = std.unicode.wtf8ToWtf16Le(buffer, path) catch return error.NotFound;
    buffer[len] = 0;
    return buffer[0..len :0];
}

const Overlapped = extern struct {
    internal: usize = 0,
    internal_high: usize = 0,
    offset_low: u32,
    offset_high: u32,
    event: ?Handle = null,

    fn at(position: u64) Overlapped {
        return .{ .offset_low = @truncate(position), .offset_high = @truncate(position >> 32) };
    }
};

/// WIN32_FIND_DATAW.
const FindData = extern struct {
    attributes: u32,
    times: [6]u32,
    size: [2]u32,
    reserved: [2]u32,
    name: [260]u16,
    name_short: [14]u16,
};

const kernel32 = struct {
    extern "kernel32" fn GetLastError() callconv(.winapi) u32;
    extern "kernel32" fn CreateFileW(
        path: [*:0]const u16,
        access: u32,
        share: u32,
        security: ?*anyopaque,
        disposition: u32,
        attributes: u32,
        template: ?Handle,
    ) callconv(.winapi) ?Handle;
    extern "kernel32" fn CloseHandle(handle: ?Handle) callconv(.winapi) c_int;
    extern "kernel32" fn ReadFile(
        handle: ?Handle,
        buffer: [*]u8,
        len: u32,
        count: *u32,
        overlapped: *Overlapped,
    ) callconv(.winapi) c_int;
    extern "kernel32" fn WriteFile(
        handle: ?Handle,
        bytes: [*]const u8,
        len: u32,
        count: *u32,
        overlapped: *Overlapped,
    ) callconv(.winapi) c_int;
    extern "kernel32" fn FlushFileBuffers(handle: ?Handle) callconv(.winapi) c_int;
    extern "kernel32" fn GetFileSizeEx(handle: ?Handle, size: *i64) callconv(.winapi) c_int;
    extern "kernel32" fn SetFileInformationByHandle(
        handle: ?Handle,
        class: c_int,
        value: *const anyopaque,
        len: u32,
    ) callconv(.winapi) c_int;
    extern "kernel32" fn MoveFileExW(
        from: [*:0]const u16,
        to: [*:0]const u16,
        flags: u32,
    ) callconv(.winapi) c_int;
    extern "kernel32" fn DeleteFileW(path: [*:0]const u16) callconv(.winapi) c_int;
    extern "kernel32" fn CreateDirectoryW(
        path: [*:0]const u16,
        security: ?*anyopaque,
    ) callconv(.winapi) c_int;
    extern "kernel32" fn LockFileEx(
        handle: ?Handle,
        flags: u32,
        reserved: u32,
        len_low: u32,
        len_high: u32,
        overlapped: *Overlapped,
    ) callconv(.winapi) c_int;
    extern "kernel32" fn FindFirstFileW(
        pattern: [*:0]const u16,
        out: *FindData,
    ) callconv(.winapi) ?Handle;
    extern "kernel32" fn FindNextFileW(search: ?Handle, out: *FindData) callconv(.winapi) c_int;
    extern "kernel32" fn FindClose(search: ?Handle) callconv(.winapi) c_int;
    extern "kernel32" fn GetDiskFreeSpaceExW(
        path: [*:0]const u16,
        available: *u64,
        total: *u64,
        free: ?*u64,
    ) callconv(.winapi) c_int;
    extern "kernel32" fn CreateFileMappingW(
        file: ?Handle,
        security: ?*anyopaque,
        protection: u32,
        size_high: u32,
        size_low: u32,
        name: ?[*:0]const u16,
    ) callconv(.winapi) ?Handle;
    extern "kernel32" fn MapViewOfFile(
        section: Handle,
        access: u32,
        offset_high: u32,
        offset_low: u32,
        len: usize,
    ) callconv(.winapi) ?*anyopaque;
    extern "kernel32" fn UnmapViewOfFile(address: *const anyopaque) callconv(.winapi) c_int;
    extern "kernel32" fn QueryPerformanceCounter(out: *i64) callconv(.winapi) c_int;
    extern "kernel32" fn QueryPerformanceFrequency(out: *i64) callconv(.winapi) c_int;
};

const bcryptprimitives = struct {
    extern "bcryptprimitives" fn ProcessPrng(buffer: [*]u8, len: usize) callconv(.winapi) c_int;
};
