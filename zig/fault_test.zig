//! The store when calls fail: each kind of call, at each place in a short life. Whatever fails, the
//! next start finds what was durable and nothing else, and a read is right or says that it failed.

const std = @import("std");
const testing = std.testing;
const faulty = @import("testing/io.zig");
const model_zig = @import("testing/model.zig");
const Model = model_zig.Model;
const Fault = faulty.Fault;
const Site = faulty.Site;

const lives = 2;
const steps = 120;

/// How often each fault struck each kind of call.
const Struck = std.EnumArray(Site, std.EnumArray(Fault, u32));

/// One life with the fault, and one behind it.
fn run(seed: u64, site: Site, fault: Fault, nth: u64) !bool {
    var model: Model = undefined;
    try model.init(seed);
    defer model.deinit();

    errdefer std.debug.print("seed {d} site {any} fault {any} nth {d}\n", .{ seed, site, fault, nth });
    model.tolerant = true;
    model.interleaved = seed % 2 == 1;
    model.mapped = site == .map_read;
    model.disk.plan(.{ .site = site, .fault = fault, .nth = nth });
    for (0..lives) |_| {
        if (model.start() == .ok) {
            try model.begin();
            try live(&model, site);
            // The failure is written down before the process ends.
            for (0..4) |_| model.run_thread(.settler);
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

fn live(model: *Model, site: Site) !void {
    for (0..steps) |_| try model.step();
    if (site != .unlink) return;
    // Names go when segments do, and segments when a checkpoint has followed their last trim.
    for (0..6) |_| {
        try model.trim_all();
        model.disk.clock_ns += 61 * std.time.ns_per_s;
        for (0..steps) |_| try model.step();
    }
}

fn sweep(fault: Fault, seed_first: u64, places: u64, struck: *Struck) !void {
    for (std.enums.values(Site)) |site| {
        if (!fault.applies(site)) continue;
        // Early calls belong to the start, later ones to the life.
        var nth: u64 = 0;
        for (0..places) |place| {
            if (try run(seed_first + place, site, fault, nth)) {
                struck.getPtr(site).getPtr(fault).* += 1;
                nth += 1 + nth / 3;
            } else if (nth > 0) break;
        }
    }
}

test "fault: every kind of call meets every fault, and what was acknowledged is there" {
    var struck: Struck = .initFill(.initFill(0));
    try sweep(.power_off, 1000, 14, &struck);
    try sweep(.io, 2000, 14, &struck);
    try sweep(.no_space, 3000, 14, &struck);
    try sweep(.short_write, 4000, 20, &struck);
    if (std.c.getenv("PYRALOG_FAULTS") != null) print(&struck);
    // A fault that never struck would prove nothing.
    for (std.enums.values(Site)) |site| {
        for (swept) |fault| {
            if (!fault.applies(site)) continue;
            errdefer std.debug.print("{any} never met {any}\n", .{ site, fault });
            try testing.expect(struck.get(site).get(fault) > 0);
        }
    }
}

const swept = [_]Fault{ .power_off, .io, .no_space, .short_write };

/// The table of sites and faults, for `PYRALOG_FAULTS=1`.
fn print(struck: *const Struck) void {
    std.debug.print("\n{s:<12}", .{"call"});
    for (swept) |fault| std.debug.print("{s:>12}", .{@tagName(fault)});
    for (std.enums.values(Site)) |site| {
        std.debug.print("\n{s:<12}", .{@tagName(site)});
        for (swept) |fault| {
            if (fault.applies(site)) {
                std.debug.print("{d:>12}", .{struck.get(site).get(fault)});
            } else {
                std.debug.print("{s:>12}", .{"-"});
            }
        }
    }
    std.debug.print("\n", .{});
}

/// A file that a roll has made and not yet given a header is nobody's, but only when it was seen.
fn cannot_look(site: Site) !void {
    var model: Model = undefined;
    try model.init(5);
    defer model.deinit();

    try testing.expectEqual(.ok, model.start());
    for (0..50) |_| try model.step();
    try testing.expectEqual(.ok, model.dir.close(true));
    model.open = false;
    const path = "/data/log/0000000077.seg";
    {
        const io = &model.dir.io;
        const file = try io.open(path, .create_exclusive);
        defer io.close(file);

        try io.allocate(file, 64 << 10);
    }
    // It is opened, and read, once for each question: its header, its first frame, its zeros.
    for (0..3) |nth| {
        model.disk.plan(.{ .site = site, .fault = .io, .nth = nth, .suffix = "77.seg" });
        // Reads know a file by the name it was made under, opens by the one that is asked for.
        try testing.expectEqual(.io, model.start());
        try testing.expectEqual(0, model.disk.plans_count);
    }
    try testing.expectEqual(.ok, model.start());
    const state = model.dir.log.segments.segments[77].state;
    try testing.expect(state == .free or state == .ready);
}

test "fault: a file that cannot be looked at is not taken for a blank one" {
    try cannot_look(.open);
    try cannot_look(.pread);
}
