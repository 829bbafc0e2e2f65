//! A disk in memory that knows what a power cut takes away: for every file what was written and
//! what was synced, for every directory the names that were not synced yet.
//!
//! Content is lost or kept in pieces of one sector, any subset of those written since the last
//! successful sync. Names are lost from the end: file systems journal them in order.

const std = @import("std");
const assert = std.debug.assert;
const Allocator = std.mem.Allocator;

pub const block_size = 4096;
/// A disk writes a sector whole or not at all.
pub const sector_size = 512;
const sectors_per_block = block_size / sector_size;

const Bytes = [block_size]u8;

/// A block that was never written has no memory and reads as zeros. Both sides share memory until
/// a write separates them.
const Block = struct {
    now: ?*Bytes = null,
    durable: ?*Bytes = null,
    /// One bit per sector that was written since the last sync.
    dirty: u8 = 0,
};

pub const View = enum { now, durable };

pub const Inode = struct {
    allocator: Allocator,
    /// The name it was created under; plans of faults select by its end.
    name: []const u8,
    blocks: std.ArrayList(Block) = .empty,
    size_now: u64 = 0,
    size_durable: u64 = 0,
    /// The descriptor that holds the lock.
    locked_by: ?i32 = null,
    /// A block that the medium does not give any more.
    refused: ?u64 = null,

    pub fn deinit(inode: *Inode) void {
        for (inode.blocks.items) |*block| inode.free(block);
        inode.blocks.deinit(inode.allocator);
        inode.allocator.free(inode.name);
        inode.allocator.destroy(inode);
    }

    fn free(inode: *Inode, block: *Block) void {
        if (block.now) |bytes| inode.allocator.destroy(bytes);
        if (block.durable) |bytes| {
            if (block.now != bytes) inode.allocator.destroy(bytes);
        }
        block.* = .{};
    }

    /// Whether the block that is refused lies in a read.
    pub fn refuses(inode: *const Inode, position: u64, count: usize) bool {
        const block = inode.refused orelse return false;
        return block >= position / block_size and block * block_size < position + count;
    }

    pub fn read(inode: *const Inode, view: View, buffer: []u8, position: u64) usize {
        const size = if (view == .now) inode.size_now else inode.size_durable;
        if (position >= size) return 0;
        const count: usize = @intCast(@min(buffer.len, size - position));
        var done: usize = 0;
        while (done < count) {
            const at = position + done;
            const start: usize = @intCast(at % block_size);
            const piece = buffer[done..][0..@min(count - done, block_size - start)];
            const block = inode.blocks.items[@intCast(at / block_size)];
            const source = if (view == .now) block.now else block.durable;
            if (source) |bytes| {
                @memcpy(piece, bytes[start..][0..piece.len]);
            } else {
                @memset(piece, 0);
            }
            done += piece.len;
        }
        return count;
    }

    pub fn write(inode: *Inode, bytes: []const u8, position: u64) Allocator.Error!void {
        if (bytes.len == 0) return;
        try inode.grow(@max(inode.size_now, position + bytes.len));
        var done: usize = 0;
        while (done < bytes.len) {
            const at = position + done;
            const start: usize = @intCast(at % block_size);
            const piece = bytes[done..][0..@min(bytes.len - done, block_size - start)];
            const block = &inode.blocks.items[@intCast(at / block_size)];
            done += piece.len;
            const untouched = block.now == null and block.durable == null;
            if (untouched and std.mem.allEqual(u8, piece, 0)) continue;
            const target = try inode.separate(block);
            @memcpy(target[start..][0..piece.len], piece);
            const end = start + piece.len - 1;
            for (start / sector_size..end / sector_size + 1) |sector| {
                block.dirty |= @as(u8, 1) << @intCast(sector);
            }
        }
    }

    /// Changes one bit as a failing medium does, whatever was synced.
    pub fn flip_bit(inode: *Inode, position: u64, bit: u3) Allocator.Error!void {
        assert(position < inode.size_now);
        const block = &inode.blocks.items[@intCast(position / block_size)];
        const at: usize = @intCast(position % block_size);
        const mask = @as(u8, 1) << bit;
        if (block.now == block.durable) {
            if (block.now == null) {
                block.now = try inode.allocator.create(Bytes);
                block.now.?.* = @splat(0);
                block.durable = block.now;
            }
            block.now.?[at] ^= mask;
        } else {
            if (block.now) |bytes| bytes[at] ^= mask;
            if (block.durable) |bytes| bytes[at] ^= mask;
        }
    }

    pub fn resize(inode: *Inode, size: u64) Allocator.Error!void {
        if (size >= inode.size_now) return inode.grow(size);
        // What is cut off reads as zeros if the file grows again.
        const first: usize = @intCast(size / block_size);
        for (inode.blocks.items[first..], first..) |*block, i| {
            if (block.now == null) continue;
            const start: usize = if (i == first) @intCast(size % block_size) else 0;
            const target = try inode.separate(block);
            @memset(target[start..], 0);
            block.dirty = 0xff;
        }
        inode.size_now = size;
    }

    fn grow(inode: *Inode, size: u64) Allocator.Error!void {
        const count: usize = @intCast(std.math.divCeil(u64, size, block_size) catch unreachable);
        if (count > inode.blocks.items.len) {
            try inode.blocks.appendNTimes(inode.allocator, .{}, count - inode.blocks.items.len);
        }
        inode.size_now = size;
    }

    fn separate(inode: *Inode, block: *Block) Allocator.Error!*Bytes {
        if (block.now) |bytes| {
            if (block.durable != bytes) return bytes;
        }
        const fresh = try inode.allocator.create(Bytes);
        if (block.now) |bytes| fresh.* = bytes.* else fresh.* = @splat(0);
        block.now = fresh;
        return fresh;
    }

    pub fn sync(inode: *Inode) void {
        inode.size_durable = inode.size_now;
        for (inode.blocks.items) |*block| inode.settle(block, .now);
    }

    /// Both sides become one of them.
    fn settle(inode: *Inode, block: *Block, view: View) void {
        block.dirty = 0;
        if (block.now == block.durable) return;
        const kept, const dropped = switch (view) {
            .now => .{ block.now, block.durable },
            .durable => .{ block.durable, block.now },
        };
        if (dropped) |bytes| inode.allocator.destroy(bytes);
        block.now = kept;
        block.durable = kept;
    }

    /// A sync that fails: some sectors reached the medium, the rest will never be written, since
    /// the kernel forgets that they were dirty. From then on reads tell what the medium holds.
    pub fn sync_failed(inode: *Inode, random: std.Random) void {
        inode.cut(.subset, random);
    }

    /// What a power cut leaves.
    pub fn cut(inode: *Inode, keep: Keep, random: std.Random) void {
        const size_now = inode.size_now;
        const size = switch (keep) {
            .none => inode.size_durable,
            .all => size_now,
            .subset => if (random.boolean()) size_now else inode.size_durable,
        };
        for (inode.blocks.items, 0..) |*block, index| {
            if (block.now == block.durable) {
                block.dirty = 0;
                continue;
            }
            const position = @as(u64, index) * block_size;
            const drop = keep == .none or (keep == .subset and position >= size_now);
            if (!drop and keep == .subset) inode.mix(block, random);
            inode.settle(block, if (drop) .durable else .now);
        }
        inode.size_now = size;
        inode.size_durable = size;
        inode.clear_behind(size);
    }

    /// Replaces a random half of the dirty sectors by what the medium had.
    fn mix(_: *Inode, block: *Block, random: std.Random) void {
        const now = block.now orelse return;
        for (0..sectors_per_block) |sector| {
            if (block.dirty & @as(u8, 1) << @intCast(sector) == 0) continue;
            if (random.boolean()) continue;
            const target = now[sector * sector_size ..][0..sector_size];
            if (block.durable) |bytes| {
                @memcpy(target, bytes[sector * sector_size ..][0..sector_size]);
            } else {
                @memset(target, 0);
            }
        }
    }

    fn clear_behind(inode: *Inode, size: u64) void {
        const whole: usize = @intCast(size / block_size);
        for (inode.blocks.items[@min(whole, inode.blocks.items.len)..], whole..) |*block, index| {
            const start: usize = if (index == whole) @intCast(size % block_size) else 0;
            assert(block.now == block.durable);
            if (block.now) |bytes| @memset(bytes[start..], 0);
        }
    }

    fn hash(inode: *const Inode, seed: u64) u64 {
        var state = seed;
        for ([_]u64{ inode.size_now, inode.size_durable }) |size| {
            state = std.hash.Wyhash.hash(state, std.mem.asBytes(&size));
        }
        for (inode.blocks.items, 0..) |block, index| {
            for ([_]?*Bytes{ block.now, block.durable }) |side| {
                const bytes = side orelse continue;
                if (std.mem.allEqual(u8, bytes, 0)) continue;
                state = std.hash.Wyhash.hash(state +% index, bytes);
            }
        }
        return state;
    }
};

pub const Keep = enum {
    /// Nothing that was not synced.
    none,
    /// Any subset of the sectors, any prefix of the names of each directory.
    subset,
    /// Everything: what the end of a process leaves, or a cut right behind a flush.
    all,
};

pub const Name = struct {
    path: []const u8,
    /// Null: a directory.
    inode: ?*Inode,
};

/// A change of names that its directory has not synced.
const Change = struct {
    /// The directory; both names of a rename lie in it.
    parent: []const u8,
    kind: union(enum) {
        add: Name,
        remove: []const u8,
        rename: struct { from: []const u8, to: []const u8 },
    },
};

/// Names with what they stand for. All strings live in the arena.
pub const Namespace = struct {
    arena: std.heap.ArenaAllocator,
    now: std.ArrayList(Name) = .empty,
    durable: std.ArrayList(Name) = .empty,
    changes: std.ArrayList(Change) = .empty,

    pub fn deinit(names: *Namespace) void {
        names.arena.deinit();
    }

    pub fn find(names: *const Namespace, path: []const u8) ?Name {
        for (names.now.items) |name| {
            if (std.mem.eql(u8, name.path, path)) return name;
        }
        return null;
    }

    pub fn add(names: *Namespace, path: []const u8, inode: ?*Inode) Allocator.Error!void {
        assert(names.find(path) == null);
        const name: Name = .{ .path = try names.arena.allocator().dupe(u8, path), .inode = inode };
        try names.record(.{ .parent = parent(name.path), .kind = .{ .add = name } });
    }

    pub fn remove(names: *Namespace, path: []const u8) Allocator.Error!void {
        const name = names.find(path).?;
        try names.record(.{ .parent = parent(name.path), .kind = .{ .remove = name.path } });
    }

    pub fn rename(names: *Namespace, from: []const u8, to: []const u8) Allocator.Error!void {
        assert(std.mem.eql(u8, parent(from), parent(to)));
        const name = names.find(from).?;
        const target = try names.arena.allocator().dupe(u8, to);
        try names.record(.{
            .parent = parent(name.path),
            .kind = .{ .rename = .{ .from = name.path, .to = target } },
        });
    }

    fn record(names: *Namespace, change: Change) Allocator.Error!void {
        try names.changes.append(names.arena.allocator(), change);
        try names.apply(&names.now, change);
    }

    fn apply(names: *Namespace, list: *std.ArrayList(Name), change: Change) Allocator.Error!void {
        switch (change.kind) {
            .add => |name| try list.append(names.arena.allocator(), name),
            .remove => |path| _ = take(list, path),
            .rename => |paths| {
                // The name may be gone: then a later change was synced with another directory.
                const name = take(list, paths.from) orelse return;
                _ = take(list, paths.to);
                const renamed: Name = .{ .path = paths.to, .inode = name.inode };
                try list.append(names.arena.allocator(), renamed);
            },
        }
    }

    fn take(list: *std.ArrayList(Name), path: []const u8) ?Name {
        for (list.items, 0..) |name, index| {
            if (std.mem.eql(u8, name.path, path)) return list.orderedRemove(index);
        }
        return null;
    }

    pub fn sync(names: *Namespace, directory: []const u8) Allocator.Error!void {
        try names.settle(directory, std.math.maxInt(usize));
    }

    /// The first `count` changes of a directory become durable.
    fn settle(names: *Namespace, directory: []const u8, count: usize) Allocator.Error!void {
        var left = count;
        var index: usize = 0;
        while (index < names.changes.items.len and left > 0) {
            const change = names.changes.items[index];
            if (!std.mem.eql(u8, change.parent, directory)) {
                index += 1;
                continue;
            }
            try names.apply(&names.durable, change);
            _ = names.changes.orderedRemove(index);
            left -= 1;
        }
    }

    pub fn cut(names: *Namespace, keep: Keep, random: std.Random) Allocator.Error!void {
        while (names.changes.items.len > 0) {
            const directory = names.changes.items[0].parent;
            var count: usize = 0;
            for (names.changes.items) |change| {
                if (std.mem.eql(u8, change.parent, directory)) count += 1;
            }
            try names.settle(directory, switch (keep) {
                .none => 0,
                .subset => random.uintAtMost(usize, count),
                .all => count,
            });
            var index: usize = 0;
            while (index < names.changes.items.len) {
                const other = names.changes.items[index].parent;
                if (std.mem.eql(u8, other, directory)) {
                    _ = names.changes.orderedRemove(index);
                } else {
                    index += 1;
                }
            }
        }
        names.now.clearRetainingCapacity();
        try names.now.appendSlice(names.arena.allocator(), names.durable.items);
        names.drop_orphans();
    }

    /// A name whose directory was lost is lost too.
    fn drop_orphans(names: *Namespace) void {
        for ([_]*std.ArrayList(Name){ &names.now, &names.durable }) |list| {
            var index: usize = 0;
            while (index < list.items.len) {
                const directory = parent(list.items[index].path);
                const found = is_root(directory) or for (list.items) |name| {
                    if (name.inode == null and std.mem.eql(u8, name.path, directory)) break true;
                } else false;
                if (found) {
                    index += 1;
                } else {
                    _ = list.orderedRemove(index);
                    index = 0;
                }
            }
        }
    }

    pub fn refers(names: *const Namespace, inode: *const Inode) bool {
        for ([_][]const Name{ names.now.items, names.durable.items }) |list| {
            for (list) |name| if (name.inode == inode) return true;
        }
        for (names.changes.items) |change| switch (change.kind) {
            .add => |name| if (name.inode == inode) return true,
            else => {},
        };
        return false;
    }

    pub fn hash(names: *const Namespace) u64 {
        // Names in the order of their paths: the order of creation is not part of a disk.
        var total: u64 = 0;
        for ([_][]const Name{ names.now.items, names.durable.items }, 1..) |list, seed| {
            for (list) |name| {
                const state = std.hash.Wyhash.hash(seed, name.path);
                total +%= if (name.inode) |inode| inode.hash(state) else state;
            }
        }
        return total;
    }
};

pub fn is_root(path: []const u8) bool {
    return path.len == 0 or std.mem.eql(u8, path, "/");
}

/// "" for a name without a directory.
pub fn parent(path: []const u8) []const u8 {
    const slash = std.mem.findScalarLast(u8, path, '/') orelse return "";
    return if (slash == 0) "/" else path[0..slash];
}
