//! The list of every file with unit tests. The last test compares it with the directory, so that
//! a new file cannot be forgotten.

test {
    _ = @import("abi_gen.zig");
    _ = @import("arrival.zig");
    _ = @import("batch.zig");
    _ = @import("bell.zig");
    _ = @import("crc32c.zig");
    _ = @import("cuts.zig");
    _ = @import("frame.zig");
    _ = @import("io.zig");
    _ = @import("memory.zig");
    _ = @import("segments.zig");
    _ = @import("slots.zig");
    _ = @import("stdx.zig");
    _ = @import("store_test.zig");
    _ = @import("streams.zig");
}
