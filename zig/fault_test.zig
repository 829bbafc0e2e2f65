//! The store when calls fail: each kind of call, at each place in a short life. Whatever fails, the
//! next start finds what was durable and nothing else, and a read is right or says that it failed.

const std = @import("std");
const testing = std.testing;
const faulty = @import("testing/io.zig");
const model_test = @import("model_test.zig");
const Model = model_test.Model;
const Fault = faulty.Fault;
const Site = faulty.Site;

const lives = 2;
const steps = 120;

/// One life with the fault, and one behind it.
fn run(seed: u64, site: Site, fault: Fault, nth: u64) !bool {
    var model: Model = undefined;
    try model.init(seed);
    defer model.deinit();

    errdefer std.debug.print("seed {d} site {any} fault {any} nth {d}\n", .{ seed, site, fault, nth });
    model.tolerant = true;
    model.disk.plan(.{ .site = site, .fault = fault, .nth = nth });
    for (0..lives) |_| {
        if (model.start() == .ok) {
            try model.begin();
            for (0..steps) |_| try model.step();
            // The failure is written down before the process ends.
            for (0..4) |_| _ = @TypeOf(model.dir.log).Settler.step(&model.dir.log);
            model.abandon();
        }
        if (!model.disk.power) {
            model.disk.power_cut(.subset);
        } else {
            model.disk.process_kill();
        }
    }
    const struck = model.disk.plans_count == 0;
    model.disk.heal();
    model.tolerant = false;
    try model.start_and_check();
    for (0..steps) |_| try model.step();
    try testing.expect(!model.dir.log.failed());
    return struck;
}

fn sweep(fault: Fault, seed_first: u64, places: u64) !void {
    for (std.enums.values(Site)) |site| {
        if (!fault.applies(site)) continue;
        // Early calls belong to the start, later ones to the life.
        var nth: u64 = 0;
        var place: u64 = 0;
        while (place < places) : (place += 1) {
            const struck = try run(seed_first + place, site, fault, nth);
            if (!struck) break;
            nth += 1 + nth / 3;
        }
        // A fault that never struck would prove nothing.
        const never = switch (site) {
            .truncate, .map_read, .unlink => true,
            else => false,
        };
        try testing.expect(place > 0 or never);
    }
}

test "fault: the power goes at every kind of call" {
    try sweep(.power_off, 1000, 14);
}

test "fault: every kind of call fails once with an I/O error" {
    try sweep(.io, 2000, 14);
}

test "fault: every kind of call finds the disk full once" {
    try sweep(.no_space, 3000, 14);
}

test "fault: a write ends half-way" {
    try sweep(.short_write, 4000, 20);
}
