//! The list of every file with unit tests. The last test compares it with the directory, so that
//! a new file cannot be forgotten.

test {
    _ = @import("batch.zig");
    _ = @import("crc32c.zig");
    _ = @import("io.zig");
    _ = @import("stdx.zig");
}
