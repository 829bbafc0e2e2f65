//! Tests of the disk that fails: a fault that does nothing would let every test of the engine pass.

const std = @import("std");
const faulty = @import("io.zig");
const layer = @import("../io.zig");
const model = @import("disk.zig");
const Disk = faulty.Disk;
const Faulty = faulty.Faulty;
const Fault = faulty.Fault;
const File = layer.File;
const Keep = faulty.Keep;
const Site = faulty.Site;
const testing = std.testing;

fn content(io: *Faulty, path: [:0]const u8, buffer: []u8) ![]u8 {
    const file = try io.open(path, .read);
    defer io.close(file);

    return buffer[0..try io.pread(file, buffer, 0)];
}

fn make_file(io: *Faulty, path: [:0]const u8, bytes: []const u8) !File {
    const file = try io.open(path, .create_exclusive);
    try io.pwrite(file, bytes, 0);
    return file;
}

test "disk: a power cut takes what was not synced, content and names" {
    var disk: Disk = .init(testing.allocator, .{ .seed = 1 });
    defer disk.deinit();

    var io: Faulty = .{ .disk = &disk };
    try io.make_dir("d");
    try io.sync_dir("");
    const kept = try make_file(&io, "d/kept", "first");
    try io.sync_data(kept);
    try io.sync_dir("d");
    try io.pwrite(kept, "second, longer", 0);
    _ = try make_file(&io, "d/lost", "x");
    const replacing = try make_file(&io, "d/new", "y");
    try io.sync(replacing);
    try io.rename("d/new", "d/kept");

    var buffer: [64]u8 = undefined;
    try testing.expectEqualStrings("y", try content(&io, "d/kept", &buffer));
    disk.power_cut(.none);
    try testing.expectError(error.Io, io.pread(kept, &buffer, 0));
    try testing.expectError(error.NotFound, io.open("d/lost", .read));
    try testing.expectError(error.NotFound, io.open("d/new", .read));
    try testing.expectEqualStrings("first", try content(&io, "d/kept", &buffer));
}

test "disk: a power cut may keep any subset of the sectors (200 seeds)" {
    const sectors = 24;
    var seen: [sectors][2]bool = @splat(@splat(false));
    for (0..200) |seed| {
        var disk: Disk = .init(testing.allocator, .{ .seed = seed });
        defer disk.deinit();

        var io: Faulty = .{ .disk = &disk };
        var bytes: [sectors * model.sector_size]u8 = @splat('a');
        const file = try make_file(&io, "f", &bytes);
        try io.sync_data(file);
        try io.sync_dir("");
        @memset(&bytes, 'b');
        try io.pwrite(file, bytes[100..], 100);
        disk.power_cut(.subset);
        const after = try content(&io, "f", &bytes);
        try testing.expectEqual(bytes.len, after.len);
        for (0..sectors) |sector| {
            const piece = after[sector * model.sector_size ..][0..model.sector_size];
            const last = piece[piece.len - 1];
            try testing.expect(last == 'a' or last == 'b');
            // Whole or not at all; the first sector was written from byte 100 on.
            const start: usize = if (sector == 0) 100 else 0;
            try testing.expect(std.mem.allEqual(u8, piece[start..], last));
            seen[sector][@intFromBool(last == 'b')] = true;
        }
    }
    for (seen) |both| try testing.expect(both[0] and both[1]);
}

test "disk: the end of a process keeps what was written and frees its locks" {
    var disk: Disk = .init(testing.allocator, .{ .seed = 1 });
    defer disk.deinit();

    var io: Faulty = .{ .disk = &disk };
    const file = try make_file(&io, "LOCK", "17");
    try io.lock(file);
    const other = try io.open("LOCK", .read_write);
    try testing.expectError(error.Locked, io.lock(other));
    var ids: [2][16]u8 = undefined;
    io.boot_id(&ids[0]);
    disk.process_kill();
    io.boot_id(&ids[1]);
    try testing.expectEqual(ids[0], ids[1]);
    var buffer: [8]u8 = undefined;
    try testing.expectEqualStrings("17", try content(&io, "LOCK", &buffer));
    try io.lock(try io.open("LOCK", .read_write));
    disk.power_cut(.all);
    io.boot_id(&ids[1]);
    try testing.expect(!std.mem.eql(u8, &ids[0], &ids[1]));
}

test "disk: a failed sync loses sectors for good, a later one cannot save them (100 seeds)" {
    var lost: u32 = 0;
    for (0..100) |seed| {
        var disk: Disk = .init(testing.allocator, .{ .seed = seed });
        defer disk.deinit();

        var io: Faulty = .{ .disk = &disk };
        var bytes: [4096]u8 = @splat('a');
        const file = try make_file(&io, "f", &bytes);
        try io.sync_dir("");
        disk.plan(.{ .site = .sync_data, .fault = .io, .suffix = "f" });
        try testing.expectError(error.Io, io.sync_data(file));
        try io.sync_data(file);
        disk.power_cut(.none);
        const after = try content(&io, "f", &bytes);
        if (after.len < bytes.len or !std.mem.allEqual(u8, after, 'a')) lost += 1;
    }
    try testing.expect(lost > 50);
}

test "disk: each fault of a write and a read does what it says" {
    var disk: Disk = .init(testing.allocator, .{ .seed = 3, .capacity = 64 * 1024 });
    defer disk.deinit();

    var io: Faulty = .{ .disk = &disk };
    var zeros: [8192]u8 = @splat(0);
    const file = try make_file(&io, "f", &zeros);
    try io.sync(file);
    const ones: [512]u8 = @splat(1);
    var buffer: [8192]u8 = undefined;

    disk.plan(.{ .site = .pwrite, .fault = .lost });
    try io.pwrite(file, &ones, 0);
    try testing.expect(std.mem.allEqual(u8, try content(&io, "f", &buffer), 0));

    disk.plan(.{ .site = .pwrite, .fault = .short_write });
    try testing.expectError(error.Io, io.pwrite(file, &ones, 0));
    const short = std.mem.count(u8, try content(&io, "f", &buffer), "\x01");
    try testing.expect(short < ones.len);

    try io.pwrite(file, &zeros, 0);
    disk.plan(.{ .site = .pwrite, .fault = .misdirected });
    try io.pwrite(file, &ones, 0);
    const found = std.mem.findScalar(u8, try content(&io, "f", &buffer), 1).?;
    try testing.expectEqual(0, found % model.sector_size);

    disk.plan(.{ .site = .pread, .fault = .stale });
    try testing.expect(std.mem.allEqual(u8, try content(&io, "f", &buffer), 0));

    try io.pwrite(file, &zeros, 0);
    disk.plan(.{ .site = .pwrite, .fault = .bit_flip });
    try io.pwrite(file, &ones, 0);
    try testing.expectEqual(511, std.mem.count(u8, try content(&io, "f", &buffer), "\x01"));

    try testing.expectError(error.NoSpace, io.allocate(file, 64 * 1024 + 1));
    try io.allocate(file, 64 * 1024);
    try testing.expectEqual(0, (try io.free_space("")).free);
    try testing.expectEqual(7, disk.counts.get(.pwrite).calls);
    try testing.expectEqual(4, disk.counts.get(.pwrite).faults);

    disk.plan(.{ .site = .pwrite, .fault = .power_off });
    try testing.expectError(error.Io, io.pwrite(file, &ones, 0));
    try testing.expectError(error.Io, io.pread(file, &buffer, 0));
    try testing.expectError(error.Io, io.open("f", .read));
}

test "disk: a mapping shows the file, a flipped bit is on the medium" {
    var disk: Disk = .init(testing.allocator, .{ .seed = 9 });
    defer disk.deinit();

    var io: Faulty = .{ .disk = &disk };
    const file = try make_file(&io, "f", "abcd");
    try io.sync(file);
    try io.sync_dir("");
    disk.flip_bit("f", 1, 0);
    const mapping = try io.map_read(file, 4);
    defer io.unmap(mapping);

    try testing.expectEqualStrings("accd", mapping);
    disk.power_cut(.none);
    var buffer: [8]u8 = undefined;
    try testing.expectEqualStrings("accd", try content(&io, "f", &buffer));
}

/// Random use of a few files with random faults; what it does depends on the seed alone.
fn storm(seed: u64) !u64 {
    var disk: Disk = .init(testing.allocator, .{ .seed = seed, .capacity = 1 << 20 });
    defer disk.deinit();

    var io: Faulty = .{ .disk = &disk };
    for (std.enums.values(Site)) |site| {
        for (std.enums.values(Fault)) |fault| {
            if (fault != .power_off and fault.applies(site)) disk.set_rate(site, fault, 20_000);
        }
    }
    var prng: std.Random.DefaultPrng = .init(seed ^ 0x5354_4f52);
    const rng = prng.random();
    const paths = [_][:0]const u8{ "a", "b", "c" };
    var buffer: [16_384]u8 = undefined;
    for (0..300) |step| {
        rng.bytes(buffer[0..64]);
        if (step % 100 == 99) disk.power_cut(rng.enumValue(Keep));
        const path = paths[rng.uintLessThan(usize, paths.len)];
        if (rng.uintLessThan(u8, 8) == 0) {
            io.rename(path, paths[rng.uintLessThan(usize, paths.len)]) catch {};
            io.sync_dir("") catch {};
            continue;
        }
        const file = io.open(path, .create_or_open) catch continue;
        defer io.close(file);

        const start = rng.uintLessThan(u64, 100_000);
        const bytes = buffer[0..rng.uintLessThan(usize, buffer.len)];
        switch (rng.uintLessThan(u8, 4)) {
            0 => io.pwrite(file, bytes, start) catch {},
            1 => _ = io.pread(file, bytes, start) catch {},
            2 => io.sync_data(file) catch {},
            else => io.truncate(file, start) catch {},
        }
    }
    return disk.hash();
}

test "disk: one seed gives one disk, another seed another (20 seeds)" {
    for (0..20) |seed| {
        const first = try storm(seed);
        try testing.expectEqual(first, try storm(seed));
        try testing.expect(first != try storm(seed + 1000));
    }
}
