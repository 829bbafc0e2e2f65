//! Walks the frames of one segment by their headers, as a start does. One flipped bit of a header
//! is put right; where a header is bad beyond that, the next good one is looked for at every
//! eighth byte.

const std = @import("std");
const assert = std.debug.assert;
const frame = @import("frame.zig");
const io_layer = @import("io.zig");

/// Which count of starts a frame must carry to count.
pub const Rule = struct {
    /// Frames at or behind this position are of the last start, or they are void.
    tail_before: u64,
    starts_before: u16,
};

pub fn ScanType(comptime IO: type) type {
    return struct {
        const Scan = @This();

        pub const Step = union(enum) {
            frame: *const frame.Header,
            /// No good header from `offset` to `end`; a good one stands at `end`.
            bad: struct { offset: u32, end: u32 },
            /// Nothing good from here to the end of the segment or of the window.
            end,
        };

        io: *IO,
        file: io_layer.File,
        seed: u32,
        generation: u32,
        first_position: u64,
        bytes: u32,
        rule: Rule,
        /// How far to look for a good header.
        window: u32,
        /// Where the next frame starts, and the count of starts of the one before.
        offset: u32,
        starts: ?u16 = null,
        /// After a padding frame nothing follows.
        finished: bool = false,
        /// Headers of which one bit was put right.
        mended: u32 = 0,
        buffer: []align(8) u8,
        buffer_offset: u32 = 0,
        buffer_bytes: u32 = 0,
        /// Blocks that the medium refused to give, as positions; their bytes read as zeros.
        unreadable: ?struct { first: u64, last: u64 } = null,
        /// The file is open for reads past the page cache, and payloads are read as well: whole
        /// blocks, into a buffer that has room for one more than the largest frame.
        direct: bool = false,
        /// Bytes that were asked for.
        read_bytes: u64 = 0,

        /// Bytes of the frame before: behind large frames a walk reads headers only.
        frame_bytes: u32 = 0,

        const chunk_bytes = 256 << 10;
        const chunk_bytes_sparse = 4096;
        const frame_bytes_large = 32 << 10;

        pub fn next(scan: *Scan) Step {
            if (scan.finished or scan.offset + frame.header_bytes > scan.bytes) return .end;
            if (scan.header_at(scan.offset) orelse scan.mended_at(scan.offset)) |header| {
                scan.frame_bytes = header.frame_bytes();
                scan.offset += scan.frame_bytes;
                scan.starts = header.starts;
                scan.finished = header.kind == .padding;
                return .{ .frame = header };
            }
            const start = scan.offset;
            scan.frame_bytes = 0;
            const limit = @min(scan.bytes, start +| scan.window);
            const place = scan.find(start + 8, limit) orelse return .end;
            scan.offset = place;
            return .{ .bad = .{ .offset = start, .end = place } };
        }

        /// The next good header below `limit`. Nearly every eighth byte is none and most show it by
        /// two words, so these are looked at without the bookkeeping of `header_at`.
        fn find(scan: *Scan, start: u32, limit: u32) ?u32 {
            const at_generation = @offsetOf(frame.Header, "generation");
            const at_offset = @offsetOf(frame.Header, "offset");
            var place = start;
            while (place + frame.header_bytes <= limit) {
                _ = scan.bytes_at(place, frame.header_bytes);
                const held = scan.buffer[0..scan.buffer_bytes];
                const first = scan.buffer_offset;
                const last = @min(limit, first + scan.buffer_bytes) - frame.header_bytes;
                while (place <= last) : (place += 8) {
                    const words = held[place - first ..][0..frame.header_bytes];
                    const generation = std.mem.readInt(u32, words[at_generation..][0..4], .little);
                    if (generation != scan.generation) continue;
                    const offset = std.mem.readInt(u32, words[at_offset..][0..4], .little);
                    if (offset == place and scan.header_at(place) != null) return place;
                }
            }
            return null;
        }

        /// The header at an offset when it is good; lives until the next call.
        pub fn header_at(scan: *Scan, offset: u32) ?*const frame.Header {
            const header = frame.as_header(@alignCast(scan.bytes_at(offset, frame.header_bytes)));
            if (header.generation != scan.generation or header.offset != offset) return null;
            if (!header.valid(scan.seed, scan.generation, offset)) return null;
            if (header.frame_bytes() > scan.bytes - offset) return null;
            if (scan.first_position + offset >= scan.rule.tail_before) {
                if (header.starts != scan.rule.starts_before) return null;
            } else if (scan.starts) |before| {
                if (!frame.starts_ordered(before, header.starts)) return null;
            }
            return header;
        }

        fn mended_at(scan: *Scan, offset: u32) ?*const frame.Header {
            const header = frame.as_header(@alignCast(scan.bytes_at(offset, frame.header_bytes)));
            header.* = header.mended(scan.seed, scan.generation, offset) orelse return null;
            const good = scan.header_at(offset) orelse return null;
            scan.mended += 1;
            return good;
        }

        /// Whether a frame stands at `offset` that does not belong there.
        pub fn is_stray(scan: *Scan, offset: u32) bool {
            const bytes = scan.bytes_at(offset, frame.header_bytes);
            return frame.as_header(@alignCast(bytes)).whole(scan.seed);
        }

        /// What comes next is read again, and whether it can be read is open again.
        pub fn forget(scan: *Scan) void {
            scan.buffer_bytes = 0;
            scan.unreadable = null;
        }

        /// The payload of a frame that starts at `offset`; lives until the next call.
        pub fn payload_at(scan: *Scan, offset: u32, length: u32) []const u8 {
            return scan.bytes_at(offset + frame.header_bytes, length);
        }

        fn bytes_at(scan: *Scan, offset: u32, length: u32) []u8 {
            assert(length <= scan.buffer.len);
            const held = offset >= scan.buffer_offset and
                offset + length <= scan.buffer_offset + scan.buffer_bytes;
            if (!held) scan.fill(offset, length);
            return scan.buffer[offset - scan.buffer_offset ..][0..length];
        }

        fn fill(scan: *Scan, offset: u32, length: u32) void {
            const unit: u32 = if (scan.direct) io_layer.direct_bytes else 8;
            const start = offset - offset % unit;
            const sparse = scan.frame_bytes >= frame_bytes_large and !scan.direct;
            const chunk: u32 = if (sparse) chunk_bytes_sparse else chunk_bytes;
            const wanted = std.mem.alignForward(u32, @max(length + offset - start, chunk), unit);
            const size: u32 = @intCast(@min(wanted, scan.buffer.len));
            assert(size >= length + offset - start);
            scan.read_bytes += size;
            const target = scan.buffer[0..size];
            const done = scan.io.pread(scan.file, target, start) catch blk: {
                scan.fill_by_block(target, start);
                break :blk size;
            };
            @memset(target[done..], 0);
            scan.buffer_offset = start;
            scan.buffer_bytes = size;
        }

        /// Saves what a failing medium still gives.
        fn fill_by_block(scan: *Scan, target: []u8, offset: u32) void {
            var done: u32 = 0;
            while (done < target.len) {
                const block = 4096 - (offset + done) % 4096;
                const piece = target[done..][0..@min(block, target.len - done)];
                const count = scan.io.pread(scan.file, piece, offset + done) catch blk: {
                    const place = scan.first_position + offset + done;
                    const first = if (scan.unreadable) |known| known.first else place;
                    scan.unreadable = .{ .first = first, .last = place };
                    break :blk 0;
                };
                @memset(piece[count..], 0);
                done += @intCast(piece.len);
            }
        }
    };
}
