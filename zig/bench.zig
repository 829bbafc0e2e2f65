//! `zig build bench -- NAME...`: what the parts of the engine cost. One JSON line per bench.

const std = @import("std");
const Io = @import("io.zig").Real;

const benches = .{
    .{ "crc", @import("bench/crc.zig") },
    .{ "batch", @import("bench/batch.zig") },
    .{ "codecs", @import("bench/codecs.zig") },
};

pub fn main(init: std.process.Init) !u8 {
    var io: Io = .{};
    var buffer: [4096]u8 = undefined;
    var writer = std.Io.File.stdout().writerStreaming(init.io, &buffer);
    const out = &writer.interface;

    const arguments = try init.minimal.args.toSlice(init.arena.allocator());
    if (arguments.len < 2) return usage();
    for (arguments[1..]) |name| {
        const known = inline for (benches) |bench| {
            if (std.mem.eql(u8, bench[0], name)) {
                try bench[1].run(&io, init.gpa, out);
                break true;
            }
        } else false;
        if (!known) return usage();
        try out.flush();
    }
    return 0;
}

fn usage() u8 {
    std.debug.print("usage: zig build bench -- NAME...; names:", .{});
    inline for (benches) |bench| std.debug.print(" {s}", .{bench[0]});
    std.debug.print("\n", .{});
    return 2;
}
