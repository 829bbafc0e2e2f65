//! The store against its model, over clean stops, kills and power cuts.

const std = @import("std");
const testing = std.testing;
const faulty = @import("testing/io.zig");
const model_zig = @import("testing/model.zig");
const Model = model_zig.Model;
const seeds = model_zig.seeds;

const History = struct { scrubbed_bytes: u64 = 0, switches: u64 = 0, hash: u64 = 0 };

fn run(seed: u64, lives: u32, steps: u32) !History {
    var model: Model = undefined;
    try model.init(seed);
    defer model.deinit();

    errdefer std.debug.print("seed {d}\n", .{seed});
    model.scrubbed = seed % 2 == 1;
    model.interleaved = true;
    var history: History = .{};
    for (0..lives) |_| {
        try model.start_and_check();
        try live(&model, steps, &history);
    }
    try model.start_and_check();
    history.switches = model.switches;
    history.hash = model.disk.hash();
    return history;
}

/// Half of the lives end with the power, at some call; no later than the others.
fn live(model: *Model, steps: u32, history: *History) !void {
    const random = model.order.random();
    const sites = [_]faulty.Site{ .pwrite, .sync_data, .sync, .rename, .unlink, .sync_dir };
    model.tolerant = random.boolean();
    if (model.tolerant) model.disk.plan(.{
        .site = sites[random.uintLessThan(usize, sites.len)],
        .fault = .power_off,
        .nth = random.uintLessThan(u64, 60),
    });
    for (0..steps) |_| {
        try model.step();
        if (!model.disk.power) break;
    }
    model.disk.heal();
    model.tolerant = false;
    if (!model.disk.power) {
        model.abandon();
        return model.disk.power_cut(if (random.boolean()) .subset else .none);
    }
    const counters = &model.dir.log.counters;
    history.scrubbed_bytes += counters.scrubbed_bytes.load(.monotonic);
    try testing.expectEqual(0, counters.scrub_damage.load(.monotonic));
    try testing.expectEqual(0, counters.scrub_errors.load(.monotonic));
    try testing.expect(!model.log().failed());
    try model.crash();
}

test "model: the store is what the arrays are, over stops, kills and power cuts (seeds 0 to 39)" {
    const range = seeds(0, 40);
    var scrubbed_bytes: u64 = 0;
    var switches: u64 = 0;
    for (range[0]..range[1]) |seed| {
        const history = try run(seed, 6, 200);
        scrubbed_bytes += history.scrubbed_bytes;
        switches += history.switches;
    }
    if (range[1] - range[0] < 40) return;
    // A run without either would prove less than it says.
    try testing.expect(scrubbed_bytes > 0);
    try testing.expect(switches > 100 * (range[1] - range[0]));
}

test "model: one seed has one history, whatever runs beside it" {
    for (0..4) |seed| {
        const history = try run(seed, 3, 150);
        try testing.expectEqual(history, try run(seed, 3, 150));
    }
}
