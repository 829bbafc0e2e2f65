//! Rot: one bit of a file changes, while the store is closed or while it is open. Of a single bit
//! at most one batch is lost, and the answer for its offsets is damage: never other bytes, never
//! "nothing stored". Everything else reads as before.

const std = @import("std");
const testing = std.testing;
const faulty = @import("testing/io.zig");
const model_zig = @import("testing/model.zig");
const Model = model_zig.Model;

const Chosen = struct { path: []const u8, position: u64, bit: u3 };

/// A bit that means something: of a file that the store reads, within what it wrote there.
fn choose(model: *Model, random: std.Random) !?Chosen {
    var total: u64 = 0;
    for (model.disk.names.now.items) |name| total += weight(&name);
    if (total == 0) return null;
    var at = random.uintLessThan(u64, total);
    for (model.disk.names.now.items) |name| {
        const bytes = weight(&name);
        if (at >= bytes) {
            at -= bytes;
            continue;
        }
        const path = try testing.allocator.dupe(u8, name.path);
        return .{ .path = path, .position = at, .bit = random.int(u3) };
    }
    unreachable;
}

fn weight(name: anytype) u64 {
    const inode = name.inode orelse return 0;
    for ([_][]const u8{ ".new", "LOCK", "reserve" }) |other| {
        if (std.mem.endsWith(u8, name.path, other)) return 0;
    }
    // Behind the last block that was ever written there are zeros that nobody reads.
    var blocks = inode.blocks.items.len;
    while (blocks > 0 and inode.blocks.items[blocks - 1].now == null) blocks -= 1;
    return @min(inode.size_now, blocks * 4096);
}

fn build(model: *Model, seed: u64, steps: u32) !void {
    try model.init(seed);
    errdefer model.deinit();

    try testing.expectEqual(.ok, model.start());
    try model.begin();
    for (0..steps) |_| try model.step();
}

/// Directories that were found damaged are built again in the background.
fn settle(model: *Model) void {
    for (0..40) |_| {
        _ = model_zig.Store.Writer.step(&model.dir.log);
        _ = model_zig.Store.Flusher.step(&model.dir.log);
        _ = model_zig.Store.Settler.step(&model.dir.log);
        model.disk.clock_ns += std.time.ns_per_ms;
    }
}

/// A sorted directory that cannot be read answers damage for all that it speaks of, until it is
/// built again.
fn check_before_rebuild(model: *Model, path: []const u8) !void {
    const lost_max: u32 = if (std.mem.endsWith(u8, path, ".dir")) std.math.maxInt(u32) else 1;
    try model.check_damaged(lost_max);
}

fn rot_closed(seed: u64) !void {
    var model: Model = undefined;
    try build(&model, seed, 150);
    defer model.deinit();

    var random = std.Random.DefaultPrng.init(seed ^ 0xb17);
    try testing.expectEqual(.ok, model.dir.close(true));
    model.open = false;
    const chosen = try choose(&model, random.random()) orelse return;
    defer testing.allocator.free(chosen.path);

    errdefer std.debug.print("seed {d} {s} position {d} bit {d}\n", .{
        seed, chosen.path, chosen.position, chosen.bit,
    });
    model.disk.flip_bit(chosen.path, chosen.position, chosen.bit);
    try testing.expectEqual(.ok, model.start());
    try check_before_rebuild(&model, chosen.path);
    settle(&model);
    try model.check_damaged(1);
    // What was found is known over another start.
    try testing.expectEqual(.ok, model.dir.close(true));
    try testing.expectEqual(.ok, model.start());
    try model.check_damaged(1);
}

fn rot_open(seed: u64) !void {
    var model: Model = undefined;
    try build(&model, seed, 200);
    defer model.deinit();

    var random = std.Random.DefaultPrng.init(seed ^ 0xb17);
    const chosen = try choose(&model, random.random()) orelse return;
    defer testing.allocator.free(chosen.path);

    errdefer std.debug.print("seed {d} {s} position {d} bit {d}\n", .{
        seed, chosen.path, chosen.position, chosen.bit,
    });
    model.disk.flip_bit(chosen.path, chosen.position, chosen.bit);
    try check_before_rebuild(&model, chosen.path);
    settle(&model);
    try model.check_damaged(1);
}

const Harm = enum { sector, block, tail, file };

/// Larger harm: sectors that read as zeros, files cut short, files that are gone.
fn harm_closed(seed: u64) !void {
    var model: Model = undefined;
    try build(&model, seed, 300);
    defer model.deinit();

    var prng = std.Random.DefaultPrng.init(seed ^ 0xbad);
    const random = prng.random();
    try testing.expectEqual(.ok, model.dir.close(true));
    model.open = false;
    const chosen = try choose(&model, random) orelse return;
    defer testing.allocator.free(chosen.path);

    const harm = random.enumValue(Harm);
    errdefer std.debug.print("seed {d} {any} of {s} at {d}\n", .{
        seed, harm, chosen.path, chosen.position,
    });
    const path = try testing.allocator.dupeSentinel(u8, chosen.path, 0);
    defer testing.allocator.free(path);

    const io = &model.dir.io;
    {
        const file = try io.open(path, .read_write);
        defer io.close(file);

        const zeros: [4096]u8 = @splat(0);
        switch (harm) {
            .sector => try io.pwrite(file, zeros[0..512], chosen.position & ~@as(u64, 511)),
            .block => try io.pwrite(file, &zeros, chosen.position & ~@as(u64, 4095)),
            .tail => try io.truncate(file, chosen.position),
            .file => try io.unlink(path),
        }
    }
    const status = model.start();
    switch (status) {
        .ok => {},
        // A directory that lost what only one file knew is not opened as another, or as empty.
        .damaged_directory => return,
        else => try testing.expectEqual(.ok, status),
    }
    try model.check_wild();
    settle(&model);
    try model.check_wild();
    try testing.expectEqual(.ok, model.dir.close(true));
    try testing.expectEqual(.ok, model.start());
    try model.check_wild();
}

test "rot: lost sectors, ends and files are damage, never other bytes (seeds 0 to 149)" {
    const range = model_zig.seeds(0, 150);
    for (range[0]..range[1]) |seed| try harm_closed(seed);
}

/// Writes to segments that land elsewhere, nowhere, or with a bit changed, and the disk says that
/// all is well; reads that bring what was there before.
fn lies(seed: u64) !void {
    var model: Model = undefined;
    try model.init(seed);
    defer model.deinit();

    errdefer std.debug.print("seed {d}\n", .{seed});
    var prng = std.Random.DefaultPrng.init(seed ^ 0x11e5);
    const random = prng.random();
    model.appends_only = true;
    for (0..3) |_| {
        switch (model.start()) {
            .ok => {},
            // Recovery may find less than the record of the last start promises.
            .damaged_directory, .io => return,
            else => |status| try testing.expectEqual(.ok, status),
        }
        try model.rewind(@trunc(model.opened.log_tail));
        try model.check_wild();
        for (0..1 + random.uintLessThan(usize, 2)) |_| {
            const fault = ([_]faulty.Fault{ .misdirected, .lost, .bit_flip })[random.uintLessThan(usize, 3)];
            model.disk.plan(.{
                .site = .pwrite,
                .fault = fault,
                .nth = random.uintLessThan(u64, 40),
                .suffix = ".seg",
            });
        }
        model.disk.plan(.{
            .site = .pread,
            .fault = if (random.boolean()) .stale else .bit_flip,
            .nth = random.uintLessThan(u64, 30),
            .suffix = ".seg",
        });
        for (0..150) |_| try model.step();
        model.disk.heal();
        try model.check_wild();
        model.abandon();
        if (random.boolean()) model.disk.power_cut(.subset) else model.disk.process_kill();
    }
}

test "rot: a disk that lies about writes is found out (seeds 0 to 149, 2326, 4681)" {
    const range = model_zig.seeds(0, 150);
    for (range[0]..range[1]) |seed| try lies(seed);
    for ([_]u64{ 2326, 4681 }) |seed| try lies(seed);
}

const Overwritten = enum { base, epoch, all };

/// A frame in the open segment is lost with its header. The batch's own checksum holds although its
/// base offset or its epoch is another one; or it filled an older gap, of which its place in the
/// log says nothing.
fn overwrite(seed: u64, what: Overwritten) !void {
    var model: Model = undefined;
    try model.init(seed);
    defer model.deinit();

    model.appends_only = true;
    model.sparse = true;
    try testing.expectEqual(.ok, model.start());
    try model.begin();
    for (0..150) |_| try model.step();
    settle(&model);

    var prng = std.Random.DefaultPrng.init(seed ^ 0x0fe7);
    const random = prng.random();
    const store = &model.dir.log;
    const open = &store.segments.segments[store.open_slot];
    const first = open.first_position;
    const frame = lost: {
        // Not the last one: a frame behind it must say that there was one.
        const end = store.written.load(.seq_cst);
        var kept: usize = 0;
        var lost: ?model_zig.Frame = null;
        for (&model.streams) |*stream| {
            var stream_end: i64 = 0;
            for (stream.frames.items) |one| {
                const fills = one.op.base < stream_end;
                stream_end = @max(stream_end, one.op.base + one.op.count);
                if (one.start() < first + 4096 or one.op.ticket >= end) continue;
                if (what == .all and !fills) continue;
                kept += 1;
                if (random.uintLessThan(usize, kept) == 0) lost = one;
            }
        }
        break :lost lost orelse return;
    };
    errdefer std.debug.print("seed {d} {any} of the frame at {d}\n", .{ seed, what, frame.start() });
    var path_buffer: [64]u8 = undefined;
    const path = try std.fmt.bufPrintSentinel(&path_buffer, "/data/log/{d:0>10}.seg", .{open.slot}, 0);
    model.abandon();
    model.disk.process_kill();
    {
        const io = &model.dir.io;
        const file = try io.open(path, .read_write);
        defer io.close(file);

        var bytes: [16 << 10]u8 = @splat(0);
        const length: usize = @intCast(frame.op.ticket - frame.start());
        const position = frame.start() - first;
        if (what != .all) _ = try io.pread(file, bytes[0..length], position);
        random.bytes(bytes[0..64]);
        switch (what) {
            .base => random.bytes(bytes[64..72]),
            .epoch => random.bytes(bytes[76..80]),
            .all => {},
        }
        try io.pwrite(file, bytes[0..length], position);
    }
    for (0..2) |_| {
        try testing.expectEqual(.ok, model.start());
        try model.check_wild();
        settle(&model);
        try model.check_wild();
        try testing.expectEqual(.ok, model.dir.close(true));
        model.open = false;
    }
}

test "rot: what no checksum proves of a lost frame is not believed (seeds 0 to 49)" {
    const range = model_zig.seeds(0, 50);
    for (range[0]..range[1]) |seed| {
        for (std.enums.values(Overwritten)) |what| try overwrite(seed, what);
    }
}

test "rot: a bit of a closed store costs at most one batch (seeds 0 to 149)" {
    const range = model_zig.seeds(0, 150);
    for (range[0]..range[1]) |seed| try rot_closed(seed);
}

test "rot: a bit of an open store costs at most one batch (seeds 0 to 149)" {
    const range = model_zig.seeds(0, 150);
    for (range[0]..range[1]) |seed| try rot_open(seed);
}

/// A bit below what marks prove, and then the power goes: damage, and never a torn tail.
fn rot_cut(seed: u64) !void {
    var model: Model = undefined;
    try build(&model, seed, 200);
    defer model.deinit();

    var prng = std.Random.DefaultPrng.init(seed ^ 0xb17);
    const random = prng.random();
    const store = &model.dir.log;
    // Marks of frames that no sync covered may be gone as well.
    const synced = store.durable.load(.seq_cst) == store.written.load(.seq_cst);
    // The mark frame that proves the last group is proven by none itself.
    const proven = store.writer.proven -| 64;
    // In the open segment: others have their directories, and no walk.
    const open = &store.segments.segments[store.open_slot];
    const first = open.first_position + 4096;
    var path_buffer: [64]u8 = undefined;
    const path = try std.fmt.bufPrint(&path_buffer, "/data/log/{d:0>10}.seg", .{open.slot});
    const position = open.first_position;
    model.abandon();
    if (random.boolean()) model.disk.power_cut(.subset) else model.disk.process_kill();
    if (!model.sync_always or !synced or proven <= first) return;
    const at = first + random.uintLessThan(u64, proven - first);
    errdefer std.debug.print("seed {d} {s} position {d}\n", .{ seed, path, at - position });
    model.disk.flip_bit(path, at - position, random.int(u3));
    try testing.expectEqual(.ok, model.start());
    const tail: u64 = @trunc(model.opened.log_tail);
    try testing.expect(tail >= model.durable);
    try model.rewind(tail);
    try model.check_damaged(1);
}

test "rot: below the durable mark nothing is cut, whatever the boot (seeds 0 to 149)" {
    const range = model_zig.seeds(0, 150);
    for (range[0]..range[1]) |seed| try rot_cut(seed);
}
