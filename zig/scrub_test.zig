//! The scrub over the disk in memory: what it says of a sound store, of one bit that is wrong, of
//! a block that the medium refuses, and when a segment is recycled under it.

const std = @import("std");
const testing = std.testing;
const abi = @import("abi_types.zig");
const batches = @import("testing/batches.zig");
const data_dir = @import("data_dir.zig");
const frame = @import("frame.zig");
const io_zig = @import("io.zig");
const limits = @import("limits.zig");
const memory = @import("memory.zig");
const model_zig = @import("testing/model.zig");
const store_test = @import("store_test.zig");
const Model = model_zig.Model;
const Status = @import("status.zig").Status;
const Store = model_zig.Store;
const Scrub = Store.Scrub;

fn build(model: *Model, seed: u64) !*Store {
    try model.init(seed);
    errdefer model.deinit();

    model.appends_only = true;
    model.scrubbed = true;
    try testing.expectEqual(.ok, model.start());
    try model.begin();
    for (0..250) |_| try model.step();
    settle(model, 40);
    model.dir.log.scrub = .{ .next_ns = 1 };
    model.dir.log.counters = .{};
    return &model.dir.log;
}

/// Everything but the scrub.
fn settle(model: *Model, steps: u32) void {
    model.dir.log.scrub.next_ns = limits.never_ns;
    for (0..steps) |_| {
        _ = Store.Writer.step(&model.dir.log);
        _ = Store.Flusher.step(&model.dir.log);
        _ = Store.Settler.step(&model.dir.log);
        model.disk.clock_ns += std.time.ns_per_ms;
    }
}

/// The rest of a pass.
fn finish(store: *Store) !void {
    const before = store.counters.scrub_passes.load(.monotonic);
    for (0..10_000) |_| {
        store.scrub.next_ns = 1;
        _ = try Scrub.step(store);
        if (store.counters.scrub_passes.load(.monotonic) > before) return;
    }
    return error.PassWithoutEnd;
}

const Reports = struct {
    all: [64]abi.Completion = undefined,
    count: u32 = 0,

    fn take(reports: *Reports, store: *Store) !void {
        var out: abi.Poll = undefined;
        reports.count = 0;
        var some: [64]abi.Completion = undefined;
        try testing.expectEqual(.ok, store.poll(&out, &some));
        for (some[0..out.completions]) |completion| {
            if (completion.kind != @backingInt(abi.CompletionKind.damage)) continue;
            reports.all[reports.count] = completion;
            reports.count += 1;
        }
    }

    fn only(reports: *const Reports) !abi.Completion {
        try testing.expectEqual(1, reports.count);
        return reports.all[0];
    }
};

fn counted(store: *Store, comptime name: []const u8) u64 {
    return @field(store.counters, name).load(.monotonic);
}

fn path_of(buffer: []u8, slot: u32, comptime end: []const u8) ![:0]u8 {
    return std.fmt.bufPrintSentinel(buffer, "/data/log/{d:0>10}." ++ end, .{slot}, 0);
}

/// Some batch in a sealed segment.
fn sealed_frame(model: *Model, random: std.Random) ?struct { slot: u32, offset: u32, stream: u32, base: i64, end: i64, bytes: u32 } {
    const store = &model.dir.log;
    var met: usize = 0;
    var chosen: ?model_zig.Frame = null;
    for (&model.streams) |*stream| {
        if (!stream.live) continue;
        for (stream.frames.items) |one| {
            const segment = store.segment_at(one.start()) orelse continue;
            if (segment.state != .sealed) continue;
            met += 1;
            if (random.uintLessThan(usize, met) == 0) chosen = one;
        }
    }
    const one = chosen orelse return null;
    const segment = store.segment_at(one.start()).?;
    return .{
        .slot = segment.slot,
        .offset = @intCast(one.start() - segment.first_position),
        .stream = one.op.stream,
        .base = one.op.base,
        .end = one.op.base + one.op.count,
        .bytes = 64 + 61 + one.op.body,
    };
}

test "scrub: a sound store is read to its end, and nothing is told (seeds 0 to 19)" {
    for (0..20) |seed| {
        var model: Model = undefined;
        const store = try build(&model, seed);
        defer model.deinit();

        try finish(store);
        var reports: Reports = .{};
        try reports.take(store);
        try testing.expectEqual(0, reports.count);
        try testing.expectEqual(0, counted(store, "scrub_damage") + counted(store, "scrub_errors"));
        var used: u64 = 0;
        for (store.segments.segments[0..store.segments.slots]) |*segment| {
            if (segment.state == .sealed) used += segment.used;
        }
        try testing.expect(used > 0);
        try testing.expect(counted(store, "scrubbed_bytes") >= used);
        // The next one is not due before a day has passed.
        try testing.expect(store.scrub.next_ns > model.disk.clock_ns + 23 * std.time.ns_per_hour);
    }
}

test "scrub: a bit of a sealed segment that nobody reads is found where it is (seeds 0 to 59)" {
    for (0..60) |seed| {
        var model: Model = undefined;
        const store = try build(&model, seed);
        defer model.deinit();

        errdefer std.debug.print("seed {d}\n", .{seed});
        var prng = std.Random.DefaultPrng.init(seed ^ 0x5c2b);
        const random = prng.random();
        const hit = sealed_frame(&model, random) orelse continue;
        const at = hit.offset + random.uintLessThan(u32, hit.bytes);
        var buffer: [64]u8 = undefined;
        model.disk.flip_bit(try path_of(&buffer, hit.slot, "seg"), at, random.int(u3));
        try finish(store);
        var reports: Reports = .{};
        try reports.take(store);
        const told = try reports.only();
        try testing.expectEqual(@backingInt(Status.damaged), told.status);
        try testing.expectEqual(hit.slot, told.segment);
        try testing.expectEqual(hit.offset, told.file_offset);
        try testing.expectEqual(@backingInt(abi.DamagedFile.segment), told.file);
        const first_position = store.segments.segments[hit.slot].first_position;
        try testing.expectEqual(@as(f64, @floatFromInt(first_position + hit.offset)), told.position);
        try testing.expectEqual(hit.stream, told.stream);
        try testing.expectEqual(@as(f64, @floatFromInt(hit.base)), told.first_offset);
        try testing.expectEqual(@as(f64, @floatFromInt(hit.end)), told.next_offset);
        try testing.expectEqual(1, counted(store, "scrub_damage"));
        try testing.expectEqual(0, counted(store, "scrub_errors"));
    }
}

test "scrub: a frame whose header is lost is told with its stream (seeds 0 to 29)" {
    for (0..30) |seed| {
        var model: Model = undefined;
        const store = try build(&model, seed);
        defer model.deinit();

        errdefer std.debug.print("seed {d}\n", .{seed});
        var prng = std.Random.DefaultPrng.init(seed ^ 0x5c2b);
        const hit = sealed_frame(&model, prng.random()) orelse continue;
        var buffer: [64]u8 = undefined;
        const path = try path_of(&buffer, hit.slot, "seg");
        for (0..64) |nth| model.disk.flip_bit(path, hit.offset + nth, 3);
        try finish(store);
        var reports: Reports = .{};
        try reports.take(store);
        const told = try reports.only();
        try testing.expectEqual(hit.offset, told.file_offset);
        try testing.expectEqual(hit.stream, told.stream);
        try testing.expectEqual(-1, told.first_offset);
    }
}

test "scrub: a segment's header is told, and a directory is built again" {
    for ([_]u32{ 0, frame.segment_header_copy }) |copy| {
        var model: Model = undefined;
        const store = try build(&model, 3);
        defer model.deinit();

        var prng = std.Random.DefaultPrng.init(11);
        const hit = sealed_frame(&model, prng.random()).?;
        var buffer: [64]u8 = undefined;
        model.disk.flip_bit(try path_of(&buffer, hit.slot, "seg"), copy + 40, 1);
        try finish(store);
        var reports: Reports = .{};
        try reports.take(store);
        const told = try reports.only();
        try testing.expectEqual(hit.slot, told.segment);
        try testing.expectEqual(copy, told.file_offset);
        try testing.expectEqual(0, told.stream);

        model.disk.flip_bit(try path_of(&buffer, hit.slot, "dir"), 4096 + 100, 1);
        store.scrub = .{};
        try finish(store);
        try reports.take(store);
        // The header was told just before.
        const told_now = try reports.only();
        try testing.expectEqual(@backingInt(abi.DamagedFile.directory), told_now.file);
        try testing.expectEqual(4096, told_now.file_offset);
        try testing.expect(store.segments.segments[hit.slot].directory_damaged);
        settle(&model, 10);
        try testing.expect(!store.segments.segments[hit.slot].directory_damaged);
        store.scrub = .{};
        try finish(store);
        try reports.take(store);
        try testing.expectEqual(copy, (try reports.only()).file_offset);
    }
}

test "scrub: a block that the medium refuses is an I/O error, and never clean (seeds 0 to 29)" {
    for (0..30) |seed| {
        var model: Model = undefined;
        const store = try build(&model, seed);
        defer model.deinit();

        errdefer std.debug.print("seed {d}\n", .{seed});
        var prng = std.Random.DefaultPrng.init(seed ^ 0x5c2b);
        const hit = sealed_frame(&model, prng.random()) orelse continue;
        var buffer: [64]u8 = undefined;
        model.disk.refuse_block(try path_of(&buffer, hit.slot, "seg"), hit.offset + hit.bytes / 2);
        try finish(store);
        var reports: Reports = .{};
        try reports.take(store);
        try testing.expect(reports.count > 0);
        for (reports.all[0..reports.count]) |told| {
            try testing.expectEqual(@backingInt(Status.io), told.status);
            try testing.expectEqual(hit.slot, told.segment);
        }
        try testing.expect(counted(store, "scrub_errors") >= reports.count);
        try testing.expectEqual(0, counted(store, "scrub_damage"));
        // One that nothing lies in any more is nobody's.
        model.disk.refuse_block(try path_of(&buffer, hit.slot, "seg"), null);
        store.scrub = .{};
        try finish(store);
        try reports.take(store);
        try testing.expectEqual(0, reports.count);
    }
}

test "scrub: files that cannot be read or are gone are told, and the pass goes on" {
    for ([_][]const u8{ "seg", "dir" }) |end| {
        for ([_]?u64{ 0, null }) |block| {
            var model: Model = undefined;
            const store = try build(&model, 3);
            defer model.deinit();

            var prng = std.Random.DefaultPrng.init(11);
            const hit = sealed_frame(&model, prng.random()).?;
            var buffer: [64]u8 = undefined;
            const path = try std.fmt.bufPrintSentinel(&buffer, "/data/log/{d:0>10}.{s}", .{ hit.slot, end }, 0);
            if (block) |position| {
                model.disk.refuse_block(path, position);
            } else {
                try model.dir.io.unlink(path);
            }
            try finish(store);
            var reports: Reports = .{};
            try reports.take(store);
            const told = try reports.only();
            const status: Status = if (block == null) .damaged else .io;
            try testing.expectEqual(@backingInt(status), told.status);
            try testing.expectEqual(hit.slot, told.segment);
            try testing.expectEqual(@intFromBool(end[0] == 'd'), told.file);
            if (block == null) _ = try model.dir.io.open(path, .create_or_open);
        }
    }
}

test "scrub: a bit that only one read has wrong is no damage" {
    for (0..20) |nth| {
        var model: Model = undefined;
        const store = try build(&model, 5);
        defer model.deinit();

        model.disk.plan(.{ .site = .pread, .fault = .bit_flip, .nth = 3 * nth + 1, .suffix = ".seg" });
        try finish(store);
        try testing.expectEqual(0, counted(store, "scrub_errors"));
        // Of headers there is only one look.
        try testing.expect(counted(store, "scrub_damage") <= 1);
        model.disk.heal();
    }
}

test "scrub: a segment that is recycled under it is left alone (seeds 0 to 19)" {
    var recycled: u32 = 0;
    for (0..20) |seed| {
        var model: Model = undefined;
        const store = try build(&model, seed);
        defer model.deinit();

        errdefer std.debug.print("seed {d}\n", .{seed});
        // Its headers are read, and perhaps its frames.
        for (0..1 + seed % 3) |_| {
            store.scrub.next_ns = 1;
            _ = try Scrub.step(store);
        }
        const generation = store.scrub.generation;
        try testing.expect(generation > 0);
        for (&model.streams) |*stream| {
            var appended: abi.Appended = undefined;
            if (!stream.live) continue;
            while (Store.Append.trim(store, stream.id, stream.end, &appended) == .full) settle(&model, 10);
            stream.log_start = stream.end;
        }
        // Checkpoints keep a distance.
        for (0..4) |_| {
            settle(&model, 60);
            model.disk.clock_ns += std.time.ns_per_min;
        }
        recycled += @intFromBool(store.segments.by_generation(generation) == null);
        // The files are written again.
        for (0..150) |_| try model.step();
        settle(&model, 40);
        try finish(store);
        var reports: Reports = .{};
        try reports.take(store);
        try testing.expectEqual(0, reports.count);
        try testing.expectEqual(0, counted(store, "scrub_damage") + counted(store, "scrub_errors"));
    }
    try testing.expect(recycled > 10);
}

test "scrub: reads and writes go first, for a while" {
    var model: Model = undefined;
    const store = try build(&model, 3);
    defer model.deinit();

    const stream = for (&model.streams) |*one| {
        if (one.live and one.end > 0) break one;
    } else unreachable;
    try testing.expectEqual(.ok, Store.Reader.submit(store, .read, 9, .{
        .stream = stream.id,
        .offset = 0,
        .limit = stream.end,
        .bytes_max = 100,
        .first_always = true,
    }, .timestamp, 0));
    store.scrub.next_ns = 1;
    for (0..20) |_| {
        try testing.expect(!try Scrub.step(store));
        model.disk.clock_ns += std.time.ns_per_s / 40;
    }
    try testing.expectEqual(0, counted(store, "scrubbed_bytes"));
    model.disk.clock_ns += limits.scrub_patience_ns;
    try testing.expect(try Scrub.step(store));
    // One piece, and the rate holds.
    try testing.expect(!try Scrub.step(store));
    try testing.expect(Store.Reader.step(store, 0));
}

test "scrub: it is at rest after a start, and off without a rate" {
    var model: Model = undefined;
    const store = try build(&model, 3);
    defer model.deinit();

    store.scrub = .{};
    try testing.expect(!try Scrub.step(store));
    model.disk.clock_ns += limits.scrub_rest_ns - std.time.ns_per_s;
    try testing.expect(!try Scrub.step(store));
    model.disk.clock_ns += 2 * std.time.ns_per_s;
    try testing.expect(try Scrub.step(store));
    store.options.scrub_bytes_per_s = 0;
    model.disk.clock_ns += std.time.ns_per_hour;
    try testing.expect(!try Scrub.step(store));
}

const RealDir = data_dir.DataDirType(io_zig.Real);

test "scrub: reads past the page cache find a bit (real files)" {
    var place: store_test.Place = .{};
    try place.init();
    defer place.remove();

    const dirs = try memory.reserve(RealDir, 1);
    defer memory.release(RealDir, dirs);

    const dir = &dirs[0];
    dir.io = .{};
    dir.threads = false;
    dir.wall_ms = null;
    var options = store_test.options;
    options.scrub_bytes_per_s = std.math.maxInt(u32);
    var opened: abi.Opened = .{};
    try testing.expectEqual(.ok, dir.open(place.path(), &options, &opened));
    defer _ = dir.close(true);

    const store = &dir.log;
    const id = try fill_real(dir);
    try pass_real(dir);
    try testing.expectEqual(0, store.counters.scrub_damage.load(.monotonic));
    try testing.expect(store.counters.scrubbed_bytes.load(.monotonic) > 2 << 20);
    var buffer: [512]u8 = undefined;
    const path = try std.fmt.bufPrintSentinel(&buffer, "{s}/log/{d:0>10}.seg", .{ place.path(), 1 }, 0);
    const file = try dir.io.open(path, .read_write);
    defer dir.io.close(file);

    var byte: [1]u8 = undefined;
    _ = try dir.io.pread(file, &byte, 700_000);
    byte[0] ^= 4;
    try dir.io.pwrite(file, &byte, 700_000);
    try dir.io.sync(file);
    try pass_real(dir);
    try testing.expectEqual(1, store.counters.scrub_damage.load(.monotonic));
    var out: abi.Poll = undefined;
    var completions: [8]abi.Completion = undefined;
    try testing.expectEqual(.ok, store.poll(&out, &completions));
    try testing.expectEqual(1, out.completions);
    try testing.expectEqual(id, completions[0].stream);
    try testing.expectEqual(1, completions[0].segment);
    try testing.expect(completions[0].file_offset <= 700_000 and completions[0].file_offset > 600_000);
}

/// Four segments of 1 MiB.
fn fill_real(dir: *RealDir) !u32 {
    const store = &dir.log;
    var entry: abi.StreamEntry = undefined;
    try testing.expectEqual(.ok, RealDir.Store.Append.open_stream(store, &@splat(9), 0, &entry));
    var bytes: [70_000]u8 = undefined;
    for (0..4 * 16) |nth| {
        var appended: abi.Appended = undefined;
        while (RealDir.Store.Append.append(store, .{
            .stream = entry.stream,
            .epoch = 1,
            .needs_sync = false,
            .count = 1,
            .base = @intCast(nth),
            .high_watermark = 0,
            .bytes = batches.batch(&bytes, .{ .body = 65_000, .seed = nth }),
        }, &appended) != .ok) {
            _ = RealDir.Store.Writer.step(store);
            _ = RealDir.Store.Settler.step(store);
        }
    }
    while (store.durable.load(.seq_cst) != store.staged.load(.seq_cst) or
        store.segments.count_in(.closed) > 0)
    {
        _ = RealDir.Store.Writer.step(store);
        _ = RealDir.Store.Flusher.step(store);
        _ = RealDir.Store.Settler.step(store);
    }
    return entry.stream;
}

fn pass_real(dir: *RealDir) !void {
    const store = &dir.log;
    store.scrub = .{};
    const before = store.counters.scrub_passes.load(.monotonic);
    while (store.counters.scrub_passes.load(.monotonic) == before) {
        store.scrub.next_ns = 1;
        _ = try RealDir.Store.Scrub.step(store);
    }
}
