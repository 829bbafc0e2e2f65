//! What lies in a segment: its own header, and the header of a frame. All numbers little-endian.
//!
//! Layout of a segment: 4 KiB with the segment header twice, then frames back to back, each a
//! 64-byte header and a payload padded to 8 bytes. A frame's position in the log is the first
//! position of its segment plus its offset in the file, the 4 KiB included.

const std = @import("std");
const builtin = @import("builtin");
const assert = std.debug.assert;
const crc32c = @import("crc32c.zig").crc32c;
const limits = @import("limits.zig");

comptime {
    // Headers are copied from memory to the medium as they stand.
    assert(builtin.cpu.arch.endian() == .little);
}

pub const format_version: u32 = 1;
pub const header_bytes: u32 = 64;
pub const segment_header_bytes: u32 = 4096;
/// Distance of the two copies of a segment header: they never share a sector.
pub const segment_header_copy: u32 = 2048;
/// The mark of a frame whose group closed too far behind the last sync, or before the first.
pub const mark_none: u32 = std.math.maxInt(u32);

pub const Kind = enum(u8) {
    /// A Kafka RecordBatch v2, byte for byte as it is served.
    batch = 1,
    /// Topic id and partition of a stream id, before the stream's first frame.
    stream = 2,
    /// The lowest epoch that the stream still takes.
    fence = 3,
    /// The log start offset, in `base`.
    trim = 4,
    /// Frames of `epoch` at or above `base` that lie before this one are gone.
    truncate = 5,
    /// Nothing but its mark.
    mark = 6,
    /// The rest of the segment is not used.
    padding = 7,
    /// The topic of the stream is gone, and all its frames before this one.
    delete = 8,
    /// Producer state of the stream at the offset in `base`: what all its batches below that lie
    /// before this frame amount to. 10 and 11 are kept for Raft.
    sidecar = 9,
    _,
};

pub const Flags = packed struct(u8) {
    first_of_block: bool = false,
    /// Its acknowledgement waits for a sync, so the end of its group was one.
    sync: bool = false,
    unused: u6 = 0,
};

pub const Header = extern struct {
    /// Low bits of the count of starts. Behind a tail that a start found, an older count is void.
    starts: u16,
    kind: Kind,
    flags: u8,
    /// CRC-32C of the other 60 bytes, seeded with that of the disk id: a frame of another disk
    /// is no frame here.
    crc: u32,
    /// Dense local number for topic id and partition. 0: of no stream.
    stream: u32,
    epoch: u32,
    /// Generation and offset in the segment tell a frame from one that belongs elsewhere or to
    /// a former life of the segment.
    generation: u32,
    offset: u32,
    base: i64,
    /// The high watermark when the frame was appended.
    high_watermark: i64,
    /// Last offset delta + 1.
    count: u32,
    /// Of the payload, without padding.
    length: u32,
    /// For a batch its own, repeated: tells the payload from an old one of the same place.
    payload_crc: u32,
    /// Bytes back to the position up to which a sync had finished when the group closed.
    mark: u32,
    /// Stream and payload length of the frame before this one: they name what a damaged header
    /// stood for.
    link_stream: u32,
    link_length: u32,

    pub fn seal(header: *Header, seed: u32) void {
        header.crc = header.checksum(seed);
    }

    /// Whether these are the bytes that were written for this place of this disk.
    pub fn valid(header: *const Header, seed: u32, generation: u32, offset: u32) bool {
        return header.generation == generation and header.offset == offset and header.whole(seed);
    }

    /// Whether these are the bytes of a header of this disk, of whatever place and life.
    pub fn whole(header: *const Header, seed: u32) bool {
        if (header.length > limits.payload_bytes_max) return false;
        return header.crc == header.checksum(seed);
    }

    /// What stood here before one bit changed. CRC-32C keeps headers at least 6 bits apart (up to
    /// 5243 bits: Koopman 2002), so no harm to fewer than 5 bits is taken for another header. No
    /// other harm is put right: a batch's own checksum covers neither its base offset nor its
    /// epoch, so without the header nothing proves them.
    pub fn mended(header: *const Header, seed: u32, generation: u32, offset: u32) ?Header {
        const strange = @popCount(header.generation ^ generation) + @popCount(header.offset ^ offset);
        if (strange > 1) return null;
        var copy = header.*;
        const bytes: *[header_bytes]u8 = @ptrCast(&copy);
        for (0..header_bytes * 8) |bit| {
            const mask = @as(u8, 1) << @intCast(bit % 8);
            bytes[bit / 8] ^= mask;
            if (copy.valid(seed, generation, offset)) return copy;
            bytes[bit / 8] ^= mask;
        }
        return null;
    }

    pub fn checksum(header: *const Header, seed: u32) u32 {
        const bytes: *const [header_bytes]u8 = @ptrCast(header);
        return crc32c(crc32c(seed, bytes[0..4]), bytes[8..]);
    }

    pub fn frame_bytes(header: *const Header) u32 {
        return bytes_of(header.length);
    }

    /// The end of the offsets that the frame holds, exclusive.
    pub fn end(header: *const Header) i64 {
        return header.base + header.count;
    }

    pub fn flag(header: *const Header) Flags {
        return @bitCast(header.flags);
    }
};

/// Bytes that a frame with a payload of `length` takes.
pub fn bytes_of(length: u32) u32 {
    return header_bytes + std.mem.alignForward(u32, length, 8);
}

pub fn as_header(bytes: []align(8) u8) *Header {
    return @ptrCast(bytes[0..header_bytes]);
}

/// Whether two low counts of starts stand in order; they wrap.
pub fn starts_ordered(before: u16, after: u16) bool {
    return @as(i16, @bitCast(after -% before)) >= 0;
}

/// The payload of a `stream` frame.
pub const StreamName = extern struct {
    topic_id: [16]u8,
    partition: u32,
    /// Of the fields above, seeded with the disk's: the name stands without its frame header.
    crc: u32,

    pub fn init(topic_id: *const [16]u8, partition: u32, seed: u32) StreamName {
        var name: StreamName = .{ .topic_id = topic_id.*, .partition = partition, .crc = 0 };
        name.crc = name.checksum(seed);
        return name;
    }

    /// The name in a payload, if it is one.
    pub fn of(payload: []const u8, seed: u32) ?*const StreamName {
        if (payload.len != @sizeOf(StreamName)) return null;
        const name: *const StreamName = @ptrCast(@alignCast(payload.ptr));
        return if (name.crc == name.checksum(seed)) name else null;
    }

    fn checksum(name: *const StreamName, seed: u32) u32 {
        return crc32c(seed, std.mem.asBytes(name)[0..20]);
    }
};

/// The payload of a trim, truncate, fence or delete frame: what its header says, once more.
pub const StateCopy = extern struct {
    base: i64,
    stream: u32,
    epoch: u32,
    kind: Kind,
    unused: [3]u8 = @splat(0),
    /// Of the fields above, seeded with the disk's.
    crc: u32,

    pub fn init(kind: Kind, stream: u32, epoch: u32, base: i64, seed: u32) StateCopy {
        var copy: StateCopy = .{ .base = base, .stream = stream, .epoch = epoch, .kind = kind, .crc = 0 };
        copy.crc = copy.checksum(seed);
        return copy;
    }

    /// The copy in a payload, if it is one.
    pub fn of(payload: []const u8, seed: u32) ?*const StateCopy {
        if (payload.len != @sizeOf(StateCopy)) return null;
        const copy: *const StateCopy = @ptrCast(@alignCast(payload.ptr));
        return if (copy.crc == copy.checksum(seed)) copy else null;
    }

    fn checksum(copy: *const StateCopy, seed: u32) u32 {
        // A name of a stream has the same size: their checksums never agree.
        return crc32c(~seed, std.mem.asBytes(copy)[0..20]);
    }
};

/// What the payload of a sidecar frame begins with. The log is one sequence, so a sidecar that was
/// found has all the batches before it that it speaks of.
pub const SidecarHead = extern struct {
    base: i64,
    stream: u32,
    /// Of the fields above and of the state, seeded with the disk's: it names the payload without
    /// its frame header, of which then nothing is lost.
    crc: u32,

    pub fn init(base: i64, stream: u32, state: []const u8, seed: u32) SidecarHead {
        var head: SidecarHead = .{ .base = base, .stream = stream, .crc = 0 };
        head.crc = head.checksum(state, seed);
        return head;
    }

    /// The head of a payload, if it is the payload of a sidecar.
    pub fn of(payload: []const u8, seed: u32) ?*const SidecarHead {
        if (payload.len < @sizeOf(SidecarHead)) return null;
        const head: *const SidecarHead = @ptrCast(@alignCast(payload.ptr));
        const state = payload[@sizeOf(SidecarHead)..];
        return if (head.crc == head.checksum(state, seed)) head else null;
    }

    fn checksum(head: *const SidecarHead, state: []const u8, seed: u32) u32 {
        return crc32c(crc32c(seed, std.mem.asBytes(head)[0..12]), state);
    }
};

pub const SegmentState = enum(u32) { log = 1, free = 2, _ };

pub const SegmentHeader = extern struct {
    magic: [8]u8 = magic_expected,
    version: u32 = format_version,
    state: SegmentState,
    cluster_id: [16]u8,
    disk_id: [16]u8,
    /// Number in the file's name: tells a file that was copied to another name.
    slot: u32,
    /// Number of the segment in the log's sequence, never used again.
    generation: u32,
    /// Log position of the file's first byte.
    first_position: u64,
    segment_bytes: u64,
    /// 0 the log of the partitions, 1 the log of the metadata.
    store: u32,
    crc: u32 = 0,

    pub const magic_expected = "PYRSEGM\n".*;

    pub fn seal(header: *SegmentHeader) void {
        header.crc = header.checksum();
    }

    fn checksum(header: *const SegmentHeader) u32 {
        const bytes: *const [@sizeOf(SegmentHeader)]u8 = @ptrCast(header);
        return crc32c(0, bytes[0 .. bytes.len - 4]);
    }

    pub const Judgement = enum { good, empty, newer, bad };

    /// `newer` only for a sound header: a flipped bit in the version is damage.
    pub fn judge(header: *const SegmentHeader) Judgement {
        const bytes: *const [@sizeOf(SegmentHeader)]u8 = @ptrCast(header);
        if (std.mem.allEqual(u8, bytes, 0)) return .empty;
        if (!std.mem.eql(u8, &header.magic, &magic_expected)) return .bad;
        if (header.crc != header.checksum()) return .bad;
        if (header.version != format_version) return .newer;
        return .good;
    }
};

comptime {
    assert(@sizeOf(Header) == header_bytes);
    assert(@offsetOf(Header, "kind") == 2);
    assert(@offsetOf(Header, "crc") == 4);
    assert(@offsetOf(Header, "stream") == 8);
    assert(@offsetOf(Header, "offset") == 20);
    assert(@offsetOf(Header, "base") == 24);
    assert(@offsetOf(Header, "high_watermark") == 32);
    assert(@offsetOf(Header, "payload_crc") == 48);
    assert(@offsetOf(Header, "mark") == 52);
    assert(@offsetOf(Header, "link_length") == 60);
    assert(@sizeOf(StreamName) == 24);
    assert(@sizeOf(StateCopy) == 24);
    assert(@sizeOf(SidecarHead) == 16);
    assert(@sizeOf(SegmentHeader) == 80);
    assert(@sizeOf(SegmentHeader) <= segment_header_copy);
}

/// Fields of a RecordBatch v2, big-endian, by their place (KIP-98).
pub const Batch = struct {
    pub const header_bytes: u32 = 61;
    const crc_start = 21;

    pub fn stamp_place(bytes: []u8, base: i64, epoch: u32) void {
        std.mem.writeInt(i64, bytes[0..8], base, .big);
        std.mem.writeInt(u32, bytes[12..16], epoch, .big);
    }

    /// LogAppendTime: bit 3 of the attributes and the time as highest timestamp. They lie under
    /// the batch's CRC, so it is taken anew.
    pub fn stamp_time(bytes: []u8, time_ms: i64) void {
        bytes[22] |= 0x08;
        std.mem.writeInt(i64, bytes[35..43], time_ms, .big);
        std.mem.writeInt(u32, bytes[17..21], crc32c(0, bytes[crc_start..]), .big);
    }

    pub fn crc(bytes: []const u8) u32 {
        return std.mem.readInt(u32, bytes[17..21], .big);
    }

    pub fn base_offset(bytes: []const u8) i64 {
        return std.mem.readInt(i64, bytes[0..8], .big);
    }

    pub fn leader_epoch(bytes: []const u8) u32 {
        return std.mem.readInt(u32, bytes[12..16], .big);
    }

    pub fn offset_count(bytes: []const u8) i64 {
        return @as(i64, std.mem.readInt(i32, bytes[23..27], .big)) + 1;
    }

    pub fn max_timestamp(bytes: []const u8) i64 {
        return std.mem.readInt(i64, bytes[35..43], .big);
    }

    /// Whether a producer id stands in it, and a client has written it: it is no control batch.
    pub fn idempotent(bytes: []const u8) bool {
        return std.mem.readInt(i64, bytes[43..51], .big) >= 0 and bytes[22] & 0x20 == 0;
    }

    /// Whether the length in the batch is its length, and the format is the one that we keep.
    pub fn shaped(bytes: []const u8) bool {
        if (bytes.len < Batch.header_bytes) return false;
        if (std.mem.readInt(u32, bytes[8..12], .big) != bytes.len - 12) return false;
        return bytes[16] == 2;
    }

    pub fn sound(bytes: []const u8) bool {
        return shaped(bytes) and crc32c(0, bytes[crc_start..]) == crc(bytes);
    }
};

/// Whether a payload is the one that its (valid) header was written for.
pub fn payload_valid(header: *const Header, payload: []const u8) bool {
    assert(payload.len == header.length);
    switch (header.kind) {
        .batch => {
            if (!Batch.sound(payload)) return false;
            if (Batch.crc(payload) != header.payload_crc) return false;
            if (Batch.base_offset(payload) != header.base) return false;
            return Batch.leader_epoch(payload) == header.epoch;
        },
        else => return crc32c(0, payload) == header.payload_crc,
    }
}

const testing = std.testing;

test "frame: a header is valid for one disk, generation and offset only" {
    var header = std.mem.zeroes(Header);
    header.kind = .fence;
    header.generation = 7;
    header.offset = 4096;
    header.seal(11);
    try testing.expect(header.valid(11, 7, 4096));
    try testing.expect(!header.valid(12, 7, 4096));
    try testing.expect(!header.valid(11, 8, 4096));
    try testing.expect(!header.valid(11, 7, 4160));
}

test "frame: one flipped bit of a header is seen and put right, two are only seen" {
    var header = std.mem.zeroes(Header);
    header.kind = .batch;
    header.generation = 1;
    header.offset = 4096;
    header.base = 76;
    header.seal(3);
    const want = header;
    const bytes: *[header_bytes]u8 = @ptrCast(&header);
    for (0..header_bytes * 8) |bit| {
        flip(bytes, bit);
        try testing.expect(!header.valid(3, 1, 4096));
        const mended = header.mended(3, 1, 4096).?;
        try testing.expectEqualSlices(u8, std.mem.asBytes(&want), std.mem.asBytes(&mended));
        try testing.expectEqual(null, header.mended(4, 1, 4096));
        const other = (bit + 1 + bit * 37 % 511) % 512;
        flip(bytes, other);
        try testing.expectEqual(null, header.mended(3, 1, 4096));
        flip(bytes, other);
        flip(bytes, bit);
    }
    try testing.expect(header.valid(3, 1, 4096));
}

test "frame: a header of another place is not mended into one of this" {
    var header = std.mem.zeroes(Header);
    header.generation = 1;
    header.offset = 4096;
    header.seal(3);
    try testing.expect(header.whole(3));
    // One bit of the offset, and of the generation.
    try testing.expectEqual(null, header.mended(3, 1, 4096 + 64));
    try testing.expectEqual(null, header.mended(3, 3, 4096));
}

fn flip(bytes: []u8, bit: usize) void {
    bytes[bit / 8] ^= @as(u8, 1) << @intCast(bit % 8);
}

test "frame: counts of starts are ordered over their wrap" {
    try testing.expect(starts_ordered(1, 1));
    try testing.expect(starts_ordered(1, 2));
    try testing.expect(!starts_ordered(2, 1));
    try testing.expect(starts_ordered(65535, 3));
    try testing.expect(!starts_ordered(3, 65535));
}

test "frame: a segment header tells empty, newer and bad apart" {
    var header: SegmentHeader = .{
        .state = .log,
        .cluster_id = @splat(1),
        .disk_id = @splat(2),
        .slot = 3,
        .generation = 4,
        .first_position = 5,
        .segment_bytes = 6,
        .store = 0,
    };
    try testing.expectEqual(.bad, header.judge());
    header.seal();
    try testing.expectEqual(.good, header.judge());
    header.version += 1;
    try testing.expectEqual(.bad, header.judge());
    header.seal();
    try testing.expectEqual(.newer, header.judge());
    try testing.expectEqual(.empty, std.mem.zeroes(SegmentHeader).judge());
}
