//! `zig build bench [-- NAME...]`: what the parts of the engine cost, all that are timed without a
//! name. One JSON line per bench. `instructions` counts under valgrind and is what CI holds to.

const std = @import("std");
const instructions = @import("bench/instructions.zig");
const Io = @import("io.zig").Real;

const benches = .{
    .{ "crc", @import("bench/crc.zig") },
    .{ "batch", @import("bench/batch.zig") },
    .{ "codecs", @import("bench/codecs.zig") },
    .{ "engine", @import("bench/engine.zig") },
};

pub fn main(init: std.process.Init) !u8 {
    var io: Io = .{};
    var buffer: [4096]u8 = undefined;
    var writer = std.Io.File.stdout().writerStreaming(init.io, &buffer);
    const out = &writer.interface;

    const arguments = try init.minimal.args.toSlice(init.arena.allocator());
    if (arguments.len == 3 and std.mem.eql(u8, arguments[1], "piece")) {
        try instructions.run_piece(arguments[2]);
        return 0;
    }
    if (arguments.len < 2) {
        inline for (benches) |bench| {
            try bench[1].run(&io, init.gpa, out);
            try out.flush();
        }
    }
    for (arguments[1..]) |name| {
        const known = inline for (benches) |bench| {
            if (std.mem.eql(u8, bench[0], name)) {
                try bench[1].run(&io, init.gpa, out);
                break true;
            }
        } else std.mem.eql(u8, name, "instructions");
        if (!known) return usage();
        if (std.mem.eql(u8, name, "instructions")) try instructions.run(init.io, init.gpa, out);
        try out.flush();
    }
    return 0;
}

fn usage() u8 {
    std.debug.print("usage: zig build bench [-- NAME...]; names: instructions", .{});
    inline for (benches) |bench| std.debug.print(" {s}", .{bench[0]});
    std.debug.print("\n", .{});
    return 2;
}
