//! The list of every file with unit tests. The last test compares it with the directory, so that
//! a new file cannot be forgotten.

test {
    _ = @import("abi_gen.zig");
    _ = @import("abi_test.zig");
    _ = @import("arrival.zig");
    _ = @import("batch.zig");
    _ = @import("batch_fuzz.zig");
    _ = @import("bell.zig");
    _ = @import("crc32c.zig");
    _ = @import("cuts.zig");
    _ = @import("damage.zig");
    _ = @import("fault_test.zig");
    _ = @import("format_test.zig");
    _ = @import("frame.zig");
    _ = @import("fuzz.zig");
    _ = @import("golden_test.zig");
    _ = @import("io.zig");
    _ = @import("lz4.zig");
    _ = @import("lz4_fuzz.zig");
    _ = @import("matches.zig");
    _ = @import("memory.zig");
    _ = @import("model_test.zig");
    _ = @import("rot_test.zig");
    _ = @import("scrub_test.zig");
    _ = @import("segments.zig");
    _ = @import("sidecar_test.zig");
    _ = @import("slots.zig");
    _ = @import("snappy.zig");
    _ = @import("snappy_fuzz.zig");
    _ = @import("stdx.zig");
    _ = @import("space_test.zig");
    _ = @import("store_test.zig");
    _ = @import("streams.zig");
    _ = @import("stress_test.zig");
    _ = @import("wall_clock.zig");
    _ = @import("testing/io_test.zig");
}

const std = @import("std");
const Io = @import("io.zig").Real;

const Listing = struct {
    io: *Io,
    directory: []const u8,
    missing: u32 = 0,
    found: u32 = 0,

    /// A file with a test that is not imported above would never be compiled.
    fn see(listing: *Listing, name: [:0]const u8) void {
        if (!std.mem.endsWith(u8, name, ".zig")) return;
        var buffer: [256]u8 = undefined;
        const import = std.fmt.bufPrint(&buffer, "@import(\"{s}{s}\")", .{
            listing.directory,
            name,
        }) catch unreachable;
        const listed = std.mem.find(u8, @embedFile("tests.zig"), import) != null;
        listing.found += @intFromBool(listed);
        if (listed or std.mem.eql(u8, name, "tests.zig")) return;
        if (listing.has_tests(name) catch true) {
            std.debug.print("zig/tests.zig does not import {s}{s}\n", .{ listing.directory, name });
            listing.missing += 1;
        }
    }

    fn has_tests(listing: *Listing, name: [:0]const u8) !bool {
        var path: [256]u8 = undefined;
        const full = try std.fmt.bufPrintSentinel(&path, "zig/{s}{s}", .{
            listing.directory,
            name,
        }, 0);
        const file = try listing.io.open(full, .read);
        defer listing.io.close(file);

        var content: [256 * 1024]u8 = undefined;
        const size = try listing.io.pread(file, &content, 0);
        return std.mem.find(u8, content[0..size], "\ntest ") != null;
    }
};

test "zig: every file with tests is in this list" {
    var io: Io = .{};
    var found: u32 = 0;
    const places = .{ .{ "zig", "" }, .{ "zig/testing", "testing/" }, .{ "zig/bench", "bench/" } };
    inline for (places) |place| {
        var listing: Listing = .{ .io = &io, .directory = place[1] };
        try io.list(place[0], &listing, Listing.see);
        try std.testing.expectEqual(0, listing.missing);
        found += listing.found;
    }
    const listed = std.mem.count(u8, @embedFile("tests.zig"), "\n    _ = @import(");
    try std.testing.expectEqual(listed, found);
}
