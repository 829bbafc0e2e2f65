//! Files of records in blocks of 4 KiB, each with its own checksum and its place in it: the
//! sorted directory of a segment, the checkpoint. A record never spans two blocks.

const std = @import("std");
const assert = std.debug.assert;
const crc32c = @import("crc32c.zig").crc32c;
const io_layer = @import("io.zig");
const stdx = @import("stdx.zig");

pub const block_bytes = 4096;
pub const body_bytes = block_bytes - @sizeOf(Head);

pub const Head = extern struct {
    /// Of the rest of the block, seeded with the disk's.
    crc: u32,
    /// Place in the file, and the life of the file: a block of another one is no block here.
    index: u32,
    generation: u32,
    kind: u16,
    /// Records in the block.
    count: u16,
};

pub const Block = extern struct {
    head: Head,
    body: [body_bytes]u8 align(8),

    pub fn seal(block: *Block, seed: u32) void {
        block.head.crc = block.checksum(seed);
    }

    fn checksum(block: *const Block, seed: u32) u32 {
        return crc32c(seed, std.mem.asBytes(block)[4..]);
    }

    pub fn valid(block: *const Block, seed: u32, generation: u32, index: u32, kind: u16) bool {
        if (block.head.index != index or block.head.generation != generation) return false;
        return block.head.kind == kind and block.head.crc == block.checksum(seed);
    }

    pub fn records(block: *const Block, comptime Record: type) []const Record {
        const count = @min(block.head.count, per_block(Record));
        const all: [*]const Record = @ptrCast(@alignCast(&block.body));
        return all[0..count];
    }
};

comptime {
    assert(@sizeOf(Block) == block_bytes);
}

pub fn per_block(comptime Record: type) u32 {
    return body_bytes / @sizeOf(Record);
}

pub fn blocks_of(comptime Record: type, count: u32) u32 {
    return std.math.divCeil(u32, count, per_block(Record)) catch unreachable; // never by zero
}

/// Fills blocks in memory and writes them in larger pieces.
pub fn WriterType(comptime IO: type) type {
    return struct {
        const Writer = @This();

        io: *IO,
        file: io_layer.File,
        seed: u32,
        generation: u32,
        buffer: []Block,
        /// Blocks of the file that have been written, and those full in the buffer.
        written: u32 = 0,
        filled: u32 = 0,
        kind: u16 = 0,
        count: u16 = 0,

        pub fn put(writer: *Writer, kind: u16, record: anytype) io_layer.Error!void {
            const Record = @typeInfo(@TypeOf(record)).pointer.child;
            comptime assert(body_bytes >= @sizeOf(Record));
            if (writer.kind != kind or writer.count == per_block(Record)) try writer.end_block();
            if (writer.count == 0) {
                writer.kind = kind;
                @memset(&writer.buffer[writer.filled].body, 0);
            }
            const place = writer.buffer[writer.filled].body[writer.count * @sizeOf(Record) ..];
            stdx.copy(place[0..@sizeOf(Record)], std.mem.asBytes(record));
            writer.count += 1;
        }

        pub fn end_block(writer: *Writer) io_layer.Error!void {
            if (writer.count == 0) return;
            const block = &writer.buffer[writer.filled];
            block.head = .{
                .crc = 0,
                .index = writer.written + writer.filled,
                .generation = writer.generation,
                .kind = writer.kind,
                .count = writer.count,
            };
            block.seal(writer.seed);
            writer.count = 0;
            writer.filled += 1;
            if (writer.filled == writer.buffer.len) try writer.flush();
        }

        pub fn flush(writer: *Writer) io_layer.Error!void {
            if (writer.filled == 0) return;
            const bytes = std.mem.sliceAsBytes(writer.buffer[0..writer.filled]);
            try writer.io.pwrite(writer.file, bytes, @as(u64, writer.written) * block_bytes);
            writer.written += writer.filled;
            writer.filled = 0;
        }

        pub fn finish(writer: *Writer) io_layer.Error!void {
            try writer.end_block();
            try writer.flush();
        }
    };
}

/// Reads records in their order, a block at a time.
pub fn ReaderType(comptime IO: type) type {
    return struct {
        const Reader = @This();
        pub const Error = io_layer.Error || error{Damaged};

        io: *IO,
        file: io_layer.File,
        seed: u32,
        generation: u32,
        block: Block = undefined,
        /// The block that is in memory.
        loaded: ?u32 = null,

        pub fn load(reader: *Reader, index: u32, kind: u16) Error!*const Block {
            if (reader.loaded == index) {
                return if (reader.block.head.kind == kind) &reader.block else error.Damaged;
            }
            reader.loaded = null;
            const bytes = std.mem.asBytes(&reader.block);
            const position = @as(u64, index) * block_bytes;
            const done = try reader.io.pread(reader.file, bytes, position);
            if (done != block_bytes) return error.Damaged;
            if (!reader.block.valid(reader.seed, reader.generation, index, kind)) {
                return error.Damaged;
            }
            reader.loaded = index;
            return &reader.block;
        }

        /// Record `nth` of a section that starts at block `first`.
        pub fn record(
            reader: *Reader,
            comptime Record: type,
            kind: u16,
            first: u32,
            nth: u32,
        ) Error!*const Record {
            const block = try reader.load(first + nth / per_block(Record), kind);
            const place = nth % per_block(Record);
            if (place >= block.head.count) return error.Damaged;
            return &block.records(Record)[place];
        }
    };
}
