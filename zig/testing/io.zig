//! The file layer of the tests: a disk in memory that fails, lies and loses power as a seed says.
//! Same methods as `Real` of ../io.zig. The disk outlives what is opened on it:
//!
//!     var disk = Disk.init(allocator, .{ .seed = 42 });
//!     var io: Faulty = .{ .disk = &disk };
//!     disk.plan(.{ .site = .pwrite, .nth = 3, .fault = .no_space });
//!     ... open a store over io, use it, end its threads ...
//!     disk.power_cut(.subset);
//!     ... open it again, look ...
//!
//! One seed and the same calls in the same order give the same disk, byte for byte.

const std = @import("std");
const assert = std.debug.assert;
const layer = @import("../io.zig");
const model = @import("disk.zig");
const stdx = @import("../stdx.zig");
const Allocator = std.mem.Allocator;
const Error = layer.Error;
const File = layer.File;
const Inode = model.Inode;

pub const Keep = model.Keep;

pub const Site = enum {
    open,
    pread,
    pwrite,
    sync_data,
    sync,
    allocate,
    size,
    truncate,
    rename,
    unlink,
    make_dir,
    sync_dir,
    lock,
    list,
    free_space,
    map_read,
};

pub const Fault = enum {
    /// The call fails. A failed sync leaves any subset of the sectors, for good.
    io,
    no_space,
    /// A part is written, then the call fails.
    short_write,
    /// One bit of what is written or read is wrong.
    bit_flip,
    /// The bytes land elsewhere in the same file.
    misdirected,
    /// The call succeeds and nothing is written.
    lost,
    /// What was durable before the last sync is read.
    stale,
    /// From now on every call fails, until `power_cut`.
    power_off,

    pub fn applies(fault: Fault, site: Site) bool {
        return switch (fault) {
            .io, .power_off => true,
            .no_space => switch (site) {
                .open, .pwrite, .sync_data, .sync, .allocate, .make_dir, .rename => true,
                else => false,
            },
            .short_write, .misdirected, .lost => site == .pwrite,
            .bit_flip => site == .pwrite or site == .pread,
            .stale => site == .pread,
        };
    }
};

/// A fault that strikes once.
pub const Plan = struct {
    site: Site,
    fault: Fault,
    /// How many calls that match pass before.
    nth: u64 = 0,
    /// Matches only files that were created under a name with this end; "" = all.
    suffix: []const u8 = "",
};

pub const Count = struct { calls: u64 = 0, faults: u64 = 0 };

pub const Options = struct {
    seed: u64,
    /// Bytes that all files together may have.
    capacity: u64 = 1 << 30,
};

const plans_max = 16;
const Rates = std.EnumArray(Fault, u32);

pub const Meanwhile = struct {
    context: *anyopaque,
    call: *const fn (context: *anyopaque) void,
};

pub const Disk = struct {
    allocator: Allocator,
    options: Options,
    mutex: stdx.Mutex = .{},
    prng: std.Random.DefaultPrng,
    names: model.Namespace,
    inodes: std.ArrayList(*Inode) = .empty,
    /// By descriptor; null = closed, also by a power cut. Descriptors are never used again.
    descriptors: std.ArrayList(?*Inode) = .empty,
    /// Faults per million calls.
    rates: std.EnumArray(Site, Rates) = .initFill(.initFill(0)),
    plans: [plans_max]Plan = undefined,
    plans_count: usize = 0,
    counts: std.EnumArray(Site, Count) = .initFill(.{}),
    power: bool = true,
    power_cuts: u32 = 0,
    /// Called before a thread waits for the medium: what others do in the meantime.
    meanwhile: ?Meanwhile = null,
    clock_ns: u64 = std.time.ns_per_s,

    pub fn init(allocator: Allocator, options: Options) Disk {
        return .{
            .allocator = allocator,
            .options = options,
            .prng = .init(options.seed),
            .names = .{ .arena = .init(allocator) },
        };
    }

    pub fn deinit(disk: *Disk) void {
        for (disk.inodes.items) |inode| inode.deinit();
        disk.inodes.deinit(disk.allocator);
        disk.descriptors.deinit(disk.allocator);
        disk.names.deinit();
    }

    pub fn plan(disk: *Disk, what: Plan) void {
        assert(what.fault.applies(what.site));
        disk.plans[disk.plans_count] = what;
        disk.plans_count += 1;
    }

    pub fn set_rate(disk: *Disk, site: Site, fault: Fault, per_million: u32) void {
        assert(fault.applies(site));
        disk.rates.getPtr(site).set(fault, per_million);
    }

    /// No fault from here on; what is damaged stays so.
    pub fn heal(disk: *Disk) void {
        disk.rates = .initFill(.initFill(0));
        disk.plans_count = 0;
    }

    /// The machine stops and starts again: descriptors and locks are gone, and of what was not
    /// synced only what `keep` says is left. Nothing may be using the disk.
    pub fn power_cut(disk: *Disk, keep: Keep) void {
        disk.mutex.lock();
        defer disk.mutex.unlock();

        const random = disk.prng.random();
        disk.names.cut(keep, random) catch @panic("out of memory");
        for (disk.inodes.items) |inode| inode.cut(keep, random);
        disk.close_all();
        disk.power = true;
        disk.power_cuts += 1;
    }

    /// The process ends without a word: the page cache and so every write survives.
    pub fn process_kill(disk: *Disk) void {
        disk.mutex.lock();
        defer disk.mutex.unlock();

        disk.close_all();
    }

    fn close_all(disk: *Disk) void {
        @memset(disk.descriptors.items, null);
        for (disk.inodes.items) |inode| inode.locked_by = null;
        disk.collect();
    }

    /// Changes one bit of a file, as if the medium had.
    pub fn flip_bit(disk: *Disk, path: []const u8, position: u64, bit: u3) void {
        disk.mutex.lock();
        defer disk.mutex.unlock();

        const inode = disk.names.find(path).?.inode.?;
        inode.flip_bit(position, bit) catch @panic("out of memory");
    }

    /// One block of a file cannot be read any more; null: all can.
    pub fn refuse_block(disk: *Disk, path: []const u8, position: ?u64) void {
        disk.mutex.lock();
        defer disk.mutex.unlock();

        const inode = disk.names.find(path).?.inode.?;
        inode.refused = if (position) |at| at / model.block_size else null;
    }

    pub fn hash(disk: *Disk) u64 {
        disk.mutex.lock();
        defer disk.mutex.unlock();

        return disk.names.hash();
    }

    fn used(disk: *const Disk) u64 {
        var total: u64 = 0;
        for (disk.inodes.items) |inode| total += inode.size_now;
        return total;
    }

    /// Frees files that no name and no descriptor knows any more.
    fn collect(disk: *Disk) void {
        var index: usize = 0;
        while (index < disk.inodes.items.len) {
            const inode = disk.inodes.items[index];
            const open = std.mem.findScalar(?*Inode, disk.descriptors.items, inode) != null;
            if (open or disk.names.refers(inode)) {
                index += 1;
            } else {
                inode.deinit();
                _ = disk.inodes.orderedRemove(index);
            }
        }
    }

    /// Counts a call and says what goes wrong with it; the call itself fails where it is an error.
    fn enter(disk: *Disk, site: Site, name: []const u8) Error!?Fault {
        if (!disk.power) return error.Io;
        const count = disk.counts.getPtr(site);
        count.calls += 1;
        const fault = disk.planned(site, name) orelse disk.drawn(site) orelse return null;
        count.faults += 1;
        switch (fault) {
            .power_off => {
                disk.power = false;
                return error.Io;
            },
            .no_space => return error.NoSpace,
            .io => if (site != .sync and site != .sync_data) return error.Io,
            .short_write, .bit_flip, .misdirected, .lost, .stale => {},
        }
        return fault;
    }

    fn planned(disk: *Disk, site: Site, name: []const u8) ?Fault {
        for (disk.plans[0..disk.plans_count], 0..) |*entry, index| {
            if (entry.site != site or !std.mem.endsWith(u8, name, entry.suffix)) continue;
            if (entry.nth > 0) {
                entry.nth -= 1;
                continue;
            }
            const fault = entry.fault;
            disk.plans_count -= 1;
            disk.plans[index] = disk.plans[disk.plans_count];
            return fault;
        }
        return null;
    }

    fn drawn(disk: *Disk, site: Site) ?Fault {
        const rates = disk.rates.getPtr(site);
        for (std.enums.values(Fault)) |fault| {
            const rate = rates.get(fault);
            if (rate == 0) continue;
            if (disk.prng.random().uintLessThan(u32, 1_000_000) < rate) return fault;
        }
        return null;
    }

    fn inode_of(disk: *Disk, file: File) Error!*Inode {
        if (file.fd < 0 or file.fd >= disk.descriptors.items.len) return error.Io;
        return disk.descriptors.items[@intCast(file.fd)] orelse error.Io;
    }

    fn room_for(disk: *Disk, inode: *const Inode, size: u64) Error!void {
        if (size <= inode.size_now) return;
        if (disk.used() + (size - inode.size_now) > disk.options.capacity) return error.NoSpace;
    }
};

pub const Faulty = struct {
    disk: *Disk,
    errno_last: std.atomic.Value(i32) = .init(0),

    comptime {
        layer.assert_surface(Faulty);
    }

    pub fn open(io: *Faulty, path: [:0]const u8, mode: layer.Mode) Error!File {
        const disk = io.enter();
        defer disk.mutex.unlock();

        _ = try disk.enter(.open, path);
        const found = disk.names.find(path);
        if (found) |name| {
            if (mode == .create_exclusive) return error.Exists;
            if (name.inode == null) return error.Io;
        } else {
            switch (mode) {
                .read, .read_direct, .read_write => return error.NotFound,
                .create_exclusive, .create_or_open => {},
            }
            try check_parent(disk, path);
        }
        const inode = if (found) |name| name.inode.? else create(disk, path) catch unreachable;
        const fd: i32 = @intCast(disk.descriptors.items.len);
        disk.descriptors.append(disk.allocator, inode) catch @panic("out of memory");
        return .{ .fd = fd };
    }

    pub fn close(io: *Faulty, file: File) void {
        const disk = io.enter();
        defer disk.mutex.unlock();

        const inode = disk.inode_of(file) catch return; // closed by a power cut
        disk.descriptors.items[@intCast(file.fd)] = null;
        if (inode.locked_by == file.fd) inode.locked_by = null;
    }

    pub fn pread(io: *Faulty, file: File, buffer: []u8, position: u64) Error!usize {
        io.wait();
        const disk = io.enter();
        defer disk.mutex.unlock();

        const inode = try disk.inode_of(file);
        const fault = try disk.enter(.pread, inode.name);
        if (inode.refuses(position, buffer.len)) return error.Io;
        const count = inode.read(.now, buffer, position);
        if (fault) |what| switch (what) {
            .stale => {
                const count_stale = inode.read(.durable, buffer[0..count], position);
                @memset(buffer[count_stale..count], 0);
            },
            .bit_flip => if (count > 0) {
                const at = disk.prng.random().uintLessThan(usize, count);
                buffer[at] ^= @as(u8, 1) << disk.prng.random().int(u3);
            },
            else => unreachable,
        };
        return count;
    }

    pub fn pwrite(io: *Faulty, file: File, bytes: []const u8, position: u64) Error!void {
        io.wait();
        const disk = io.enter();
        defer disk.mutex.unlock();

        const inode = try disk.inode_of(file);
        const prng = disk.prng.random();
        const fault = try disk.enter(.pwrite, inode.name);
        try disk.room_for(inode, position + bytes.len);
        if (bytes.len == 0) return;
        const what = fault orelse return write(inode, bytes, position);
        switch (what) {
            .short_write => {
                write(inode, bytes[0..prng.uintLessThan(usize, bytes.len)], position);
                return error.Io;
            },
            .bit_flip => {
                write(inode, bytes, position);
                const at = position + prng.uintLessThan(usize, bytes.len);
                inode.flip_bit(at, prng.int(u3)) catch @panic("out of memory");
            },
            .misdirected => {
                const units = inode.size_now / model.sector_size;
                const target = model.sector_size * prng.uintLessThan(u64, @max(units, 1));
                try disk.room_for(inode, target + bytes.len);
                write(inode, bytes, target);
            },
            .lost => {},
            else => unreachable,
        }
    }

    pub fn sync_data(io: *Faulty, file: File) Error!void {
        return io.sync_as(.sync_data, file);
    }

    pub fn sync(io: *Faulty, file: File) Error!void {
        return io.sync_as(.sync, file);
    }

    fn sync_as(io: *Faulty, site: Site, file: File) Error!void {
        io.wait();
        const disk = io.enter();
        defer disk.mutex.unlock();

        const inode = try disk.inode_of(file);
        if (try disk.enter(site, inode.name)) |fault| {
            assert(fault == .io);
            inode.sync_failed(disk.prng.random());
            return error.Io;
        }
        inode.sync();
    }

    pub fn allocate(io: *Faulty, file: File, size_new: u64) Error!void {
        const disk = io.enter();
        defer disk.mutex.unlock();

        const inode = try disk.inode_of(file);
        _ = try disk.enter(.allocate, inode.name);
        try disk.room_for(inode, size_new);
        if (size_new > inode.size_now) inode.resize(size_new) catch @panic("out of memory");
    }

    pub fn size(io: *Faulty, file: File) Error!u64 {
        const disk = io.enter();
        defer disk.mutex.unlock();

        const inode = try disk.inode_of(file);
        _ = try disk.enter(.size, inode.name);
        return inode.size_now;
    }

    pub fn truncate(io: *Faulty, file: File, size_new: u64) Error!void {
        const disk = io.enter();
        defer disk.mutex.unlock();

        const inode = try disk.inode_of(file);
        _ = try disk.enter(.truncate, inode.name);
        try disk.room_for(inode, size_new);
        inode.resize(size_new) catch @panic("out of memory");
    }

    pub fn rename(io: *Faulty, from: [:0]const u8, to: [:0]const u8) Error!void {
        const disk = io.enter();
        defer disk.mutex.unlock();

        _ = try disk.enter(.rename, to);
        if (disk.names.find(from) == null) return error.NotFound;
        disk.names.rename(from, to) catch @panic("out of memory");
    }

    pub fn unlink(io: *Faulty, path: [:0]const u8) Error!void {
        const disk = io.enter();
        defer disk.mutex.unlock();

        _ = try disk.enter(.unlink, path);
        const name = disk.names.find(path) orelse return error.NotFound;
        if (name.inode == null) return error.Io;
        disk.names.remove(path) catch @panic("out of memory");
    }

    pub fn make_dir(io: *Faulty, path: [:0]const u8) Error!void {
        const disk = io.enter();
        defer disk.mutex.unlock();

        _ = try disk.enter(.make_dir, path);
        if (disk.names.find(path) != null) return error.Exists;
        try check_parent(disk, path);
        disk.names.add(path, null) catch @panic("out of memory");
    }

    pub fn sync_dir(io: *Faulty, path: [:0]const u8) Error!void {
        const disk = io.enter();
        defer disk.mutex.unlock();

        _ = try disk.enter(.sync_dir, path);
        try check_directory(disk, path);
        disk.names.sync(path) catch @panic("out of memory");
        disk.collect();
    }

    pub fn lock(io: *Faulty, file: File) Error!void {
        const disk = io.enter();
        defer disk.mutex.unlock();

        const inode = try disk.inode_of(file);
        _ = try disk.enter(.lock, inode.name);
        if (inode.locked_by) |holder| {
            if (holder != file.fd) return error.Locked;
        }
        inode.locked_by = file.fd;
    }

    pub fn list(
        io: *Faulty,
        path: [:0]const u8,
        context: anytype,
        comptime callback: fn (@TypeOf(context), [:0]const u8) void,
    ) Error!void {
        const disk = io.enter();
        defer disk.mutex.unlock();

        _ = try disk.enter(.list, path);
        try check_directory(disk, path);
        for (disk.names.now.items) |name| {
            if (!std.mem.eql(u8, model.parent(name.path), path)) continue;
            var buffer: [256]u8 = undefined;
            const last = std.fs.path.basenamePosix(name.path);
            const text = std.fmt.bufPrintSentinel(&buffer, "{s}", .{last}, 0) catch unreachable;
            callback(context, text);
        }
    }

    pub fn free_space(io: *Faulty, path: [:0]const u8) Error!layer.Space {
        const disk = io.enter();
        defer disk.mutex.unlock();

        _ = try disk.enter(.free_space, path);
        const capacity = disk.options.capacity;
        return .{ .free = capacity -| disk.used(), .total = capacity };
    }

    /// A copy: mapped files are sealed, so nobody can tell.
    pub fn map_read(io: *Faulty, file: File, len: usize) Error!layer.Mapping {
        const disk = io.enter();
        defer disk.mutex.unlock();

        const inode = try disk.inode_of(file);
        _ = try disk.enter(.map_read, inode.name);
        const alignment: std.mem.Alignment = comptime .fromByteUnits(std.heap.page_size_min);
        const bytes = disk.allocator.alignedAlloc(u8, alignment, len) catch @panic("out of memory");
        const count = inode.read(.now, bytes, 0);
        @memset(bytes[count..], 0);
        return bytes;
    }

    pub fn unmap(io: *Faulty, mapping: layer.Mapping) void {
        const disk = io.enter();
        defer disk.mutex.unlock();

        disk.allocator.free(mapping);
    }

    pub fn random(io: *Faulty, buffer: []u8) void {
        const disk = io.enter();
        defer disk.mutex.unlock();

        disk.prng.random().bytes(buffer);
    }

    /// A microsecond passes with every look; tests move `clock_ns` for more.
    pub fn now_ns(io: *Faulty) u64 {
        const disk = io.enter();
        defer disk.mutex.unlock();

        disk.clock_ns += 1000;
        return disk.clock_ns;
    }

    pub fn boot_id(io: *Faulty, out: *[16]u8) void {
        const disk = io.enter();
        defer disk.mutex.unlock();

        out.* = @splat(0);
        std.mem.writeInt(u64, out[0..8], disk.options.seed, .little);
        std.mem.writeInt(u64, out[8..16], 1 + @as(u64, disk.power_cuts), .little);
    }

    fn wait(io: *Faulty) void {
        if (io.disk.meanwhile) |others| others.call(others.context);
    }

    fn enter(io: *Faulty) *Disk {
        io.disk.mutex.lock();
        return io.disk;
    }
};

fn write(inode: *Inode, bytes: []const u8, position: u64) void {
    inode.write(bytes, position) catch @panic("out of memory");
}

fn create(disk: *Disk, path: []const u8) Allocator.Error!*Inode {
    const inode = try disk.allocator.create(Inode);
    inode.* = .{ .allocator = disk.allocator, .name = try disk.allocator.dupe(u8, path) };
    try disk.inodes.append(disk.allocator, inode);
    try disk.names.add(path, inode);
    return inode;
}

fn check_parent(disk: *Disk, path: []const u8) Error!void {
    const directory = model.parent(path);
    if (!model.is_root(directory)) try check_directory(disk, directory);
}

fn check_directory(disk: *Disk, path: []const u8) Error!void {
    if (model.is_root(path)) return;
    const name = disk.names.find(path) orelse return error.NotFound;
    if (name.inode != null) return error.NotDirectory;
}
