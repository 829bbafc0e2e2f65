//! The root of `zig build fuzz`. With --fuzz=COUNT it searches; the exit code is 0 also where it
//! found something, so a gate looks for a FUZZING REPORT and for .zig-cache/f/crash.

test {
    _ = @import("batch_fuzz.zig");
    _ = @import("lz4_fuzz.zig");
    _ = @import("snappy_fuzz.zig");
}
