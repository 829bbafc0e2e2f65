//! The staging ring, which is also the tail cache. Frames are addressed by a cursor that only
//! grows. A frame lies in one piece: the one that crosses the ring's end runs into an overhang
//! behind it, so nothing is wasted and a frame is always one slice. Appending is under the
//! store's lock; the writer reads what was published before.

const std = @import("std");
const assert = std.debug.assert;
const frame = @import("frame.zig");
const limits = @import("limits.zig");
const memory = @import("memory.zig");

/// Cursors of a segment's frames equal its offsets modulo this, so that writes can be aligned.
pub const alignment = 4096;

pub const Ring = struct {
    memory: []align(std.heap.page_size_min) u8,
    size: u64,
    /// Where the next frame goes.
    head: u64 = 0,
    /// Nothing below was ever in this ring.
    start: u64 = 0,
    /// Frames below have been written and may be overwritten.
    written: std.atomic.Value(u64) = .init(0),

    pub fn init(size: u64) error{OutOfMemory}!Ring {
        assert(size % alignment == 0 and size > 0);
        const overhang = overhang_bytes(size);
        const bytes = try memory.reserve(u8, size + overhang);
        return .{ .memory = @alignCast(bytes), .size = size };
    }

    pub fn deinit(ring: *Ring) void {
        memory.release(u8, ring.memory);
        ring.* = undefined;
    }

    /// The largest payload of a ring: two such frames always fit in it.
    pub fn payload_max(size: u64) u32 {
        return @intCast(@min(limits.payload_bytes_max, size / 4));
    }

    fn overhang_bytes(size: u64) u64 {
        return std.mem.alignForward(u64, frame.bytes_of(payload_max(size)), alignment);
    }

    /// Before the first frame.
    pub fn begin(ring: *Ring, cursor: u64) void {
        assert(cursor % 8 == 0);
        ring.head = cursor;
        ring.start = cursor;
        ring.written.store(cursor, .release);
    }

    pub fn free(ring: *const Ring) u64 {
        const used = ring.head - ring.written.load(.acquire);
        assert(used <= ring.size);
        return ring.size - used;
    }

    /// Whether a frame that starts at the cursor is still whole.
    pub fn holds(ring: *const Ring, cursor: u64) bool {
        if (cursor < ring.start or cursor >= ring.head) return false;
        return cursor + ring.size >= ring.head;
    }

    pub fn slice(ring: *Ring, cursor: u64, bytes: u64) []align(8) u8 {
        const start: usize = @intCast(cursor % ring.size);
        assert(start % 8 == 0);
        return @alignCast(ring.memory[start..][0..@intCast(bytes)]);
    }

    pub fn header(ring: *Ring, cursor: u64) *frame.Header {
        return frame.as_header(ring.slice(cursor, frame.header_bytes));
    }

    /// Whether what follows a piece that ends at the cursor lies elsewhere in memory.
    pub fn crosses(ring: *const Ring, start: u64, end: u64) bool {
        assert(start < end);
        return start / ring.size != end / ring.size;
    }
};
