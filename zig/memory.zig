//! Memory that is reserved when a store opens and becomes resident page by page when touched:
//! ring, tables, read slots. Fresh pages are zero.

const std = @import("std");
const assert = std.debug.assert;

/// `std.mem.Allocator.alloc` writes a pattern over what it returns, which would make every page
/// resident; the raw call does not.
pub fn reserve(comptime T: type, count: usize) error{OutOfMemory}![]T {
    assert(count > 0);
    comptime assert(@alignOf(T) <= std.heap.page_size_min);
    const bytes = std.math.mul(usize, count, @sizeOf(T)) catch return error.OutOfMemory;
    const raw = std.heap.page_allocator.rawAlloc(bytes, page_alignment, 0) orelse
        return error.OutOfMemory;
    const items: [*]T = @ptrCast(@alignCast(raw));
    return items[0..count];
}

pub fn release(comptime T: type, items: []T) void {
    if (items.len == 0) return;
    const bytes: []u8 = std.mem.sliceAsBytes(items);
    std.heap.page_allocator.rawFree(bytes, page_alignment, 0);
}

const page_alignment = std.mem.Alignment.fromByteUnits(std.heap.page_size_min);

test "memory: a reservation is zero and given back" {
    const words = try reserve(u64, 1 << 20);
    defer release(u64, words);

    try std.testing.expectEqual(0, words[0] + words[words.len - 1]);
    words[words.len - 1] = 1;
}
