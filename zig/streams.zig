//! The stream table: what a store knows of each stream, 136 bytes each, reserved at open and
//! resident when touched. The store's lock guards it.

const std = @import("std");
const assert = std.debug.assert;
const memory = @import("memory.zig");

pub const link_none: u32 = std.math.maxInt(u32);
pub const base_none: i64 = -1;
pub const base_unknown: i64 = -2;

pub const Flags = packed struct(u32) {
    used: bool = false,
    /// Its topic is gone; the id waits until no segment holds a frame of it.
    deleted: bool = false,
    damaged: bool = false,
    /// A frame came below the end: a gap in a newer segment may be filled in an older one.
    backfilled: bool = false,
    /// Its runs in the arrival directories do not stand in order of offsets.
    unordered: bool = false,
    /// All frames of `epoch` were cut, so an older epoch holds the end.
    epoch_vacant: bool = false,
    /// `bytes` counts frames below the log start: the settler counts anew.
    bytes_stale: bool = false,
    unused: u25 = 0,
};

pub const Stream = extern struct {
    topic_id: [16]u8,
    partition: u32,
    flags: u32,
    /// Epoch of the newest frame, and the lowest that is still taken.
    epoch: u32,
    fence: u32,
    log_start: i64,
    /// The offset behind the last frame.
    end: i64,
    high_watermark: i64,
    /// Bytes of its frames at or above the log start.
    bytes: u64,
    /// No frame has a higher one; -1 none.
    max_timestamp: i64,
    /// Base offset of the batch that holds it, or `base_none`, or `base_unknown`.
    max_timestamp_base: i64,
    /// Base offset of the first frame of `epoch`.
    epoch_start: i64,
    /// -1: no limit.
    retention_ms: i64,
    retention_bytes: i64,
    /// Log position up to which the fields above are true; only while recovering. For a deleted
    /// stream the position of its deletion.
    ticket: u64,
    /// Position of the newest sidecar; 0 none. It is void once its segment is gone: positions are
    /// never used again.
    sidecar: u64,
    /// Newest run in the arrival directories, valid while its table has this generation.
    chain: u32,
    chain_generation: u32,
    bucket_next: u32,
    cuts: u32,

    pub fn flag(stream: *const Stream) Flags {
        return @bitCast(stream.flags);
    }

    pub fn set(stream: *Stream, comptime name: []const u8, value: bool) void {
        var flags = stream.flag();
        @field(flags, name) = value;
        stream.flags = @bitCast(flags);
    }

    pub fn live(stream: *const Stream) bool {
        return stream.flag().used and !stream.flag().deleted;
    }

    pub const BatchFacts = struct {
        epoch: u32,
        base: i64,
        count: u32,
        high_watermark: i64,
        bytes: u32,
        max_timestamp: i64,
    };

    /// The change that a batch frame makes, when appended and when replayed.
    pub fn apply_batch(stream: *Stream, facts: BatchFacts) void {
        if (facts.base < stream.end) stream.set("backfilled", true);
        if (facts.epoch > stream.epoch or stream.flag().epoch_vacant) {
            stream.epoch = facts.epoch;
            stream.epoch_start = facts.base;
            stream.set("epoch_vacant", false);
        }
        stream.end = @max(stream.end, facts.base + facts.count);
        stream.high_watermark = @max(stream.high_watermark, facts.high_watermark);
        stream.bytes += facts.bytes;
        if (facts.max_timestamp > stream.max_timestamp) {
            stream.max_timestamp = facts.max_timestamp;
            stream.max_timestamp_base = facts.base;
        }
    }

    pub fn apply_trim(stream: *Stream, offset: i64) void {
        if (offset <= stream.log_start) return;
        stream.log_start = offset;
        stream.end = @max(stream.end, offset);
        stream.high_watermark = @max(stream.high_watermark, offset);
        stream.set("bytes_stale", true);
        if (stream.max_timestamp_base < offset) stream.forget_timestamp();
    }

    /// Frames of `epoch` at or above `offset` are gone. The end moves when no newer epoch holds
    /// it. Callers cut several epochs from the newest to the oldest.
    pub fn apply_truncate(stream: *Stream, epoch: u32, offset: i64) void {
        const newest = epoch >= stream.epoch or stream.flag().epoch_vacant;
        if (!newest or offset >= stream.end) return;
        stream.end = @max(offset, stream.log_start);
        stream.high_watermark = @min(stream.high_watermark, stream.end);
        if (offset <= stream.epoch_start) stream.set("epoch_vacant", true);
        stream.set("bytes_stale", true);
        if (stream.max_timestamp_base >= offset) stream.forget_timestamp();
    }

    /// The batch that held it is gone; which of the others does, only a pass over them tells.
    fn forget_timestamp(stream: *Stream) void {
        if (stream.log_start >= stream.end) {
            stream.max_timestamp = -1;
            stream.max_timestamp_base = base_none;
        } else if (stream.max_timestamp_base != base_none) {
            stream.max_timestamp_base = base_unknown;
        }
    }
};

comptime {
    assert(@sizeOf(Stream) == 136);
}

pub const Table = struct {
    /// Index 0 is never used: stream id 0 says "no stream".
    streams: []Stream,
    buckets: []u32,
    /// Ids from 1 to `count` have been given out at some time.
    count: u32 = 0,
    live_count: u32 = 0,
    deleted_count: u32 = 0,
    free_first: u32 = 0,

    pub fn init(streams_max: u32) error{OutOfMemory}!Table {
        const streams = try memory.reserve(Stream, streams_max + 1);
        const buckets = memory.reserve(u32, std.math.ceilPowerOfTwoAssert(u32, streams_max)) catch {
            memory.release(Stream, streams);
            return error.OutOfMemory;
        };
        return .{ .streams = streams, .buckets = buckets };
    }

    pub fn deinit(table: *Table) void {
        memory.release(Stream, table.streams);
        memory.release(u32, table.buckets);
        table.* = undefined;
    }

    fn bucket(table: *Table, topic_id: *const [16]u8, partition: u32) *u32 {
        // Topic ids are random; the partition is spread over the bits that it shares with them.
        const low = std.mem.readInt(u64, topic_id[0..8], .little);
        const high = std.mem.readInt(u64, topic_id[8..16], .little);
        const mixed = (low ^ high ^ partition) *% 0x9e3779b97f4a7c15;
        return &table.buckets[(mixed >> 32) & (table.buckets.len - 1)];
    }

    pub fn find(table: *Table, topic_id: *const [16]u8, partition: u32) ?u32 {
        var id = table.bucket(topic_id, partition).*;
        while (id != 0) {
            const stream = &table.streams[id];
            const same = std.mem.eql(u8, &stream.topic_id, topic_id);
            if (same and stream.partition == partition) return id;
            id = stream.bucket_next;
        }
        return null;
    }

    pub fn get(table: *Table, id: u32) ?*Stream {
        if (id == 0 or id > table.count) return null;
        const stream = &table.streams[id];
        return if (stream.live()) stream else null;
    }

    /// Also a deleted one: its frames may still be met in a segment.
    pub fn known(table: *Table, id: u32) ?*Stream {
        if (id == 0 or id > table.count) return null;
        const stream = &table.streams[id];
        return if (stream.flag().used) stream else null;
    }

    pub fn full(table: *const Table) bool {
        return table.free_first == 0 and table.count + 1 >= table.streams.len;
    }

    /// Null when the table is full.
    pub fn create(table: *Table, topic_id: *const [16]u8, partition: u32) ?u32 {
        assert(table.find(topic_id, partition) == null);
        if (table.full()) return null;
        var id = table.free_first;
        if (id != 0) {
            table.free_first = table.streams[id].bucket_next;
        } else {
            table.count += 1;
            id = table.count;
        }
        table.fill(id, topic_id, partition);
        return id;
    }

    /// Recovery puts a stream where its frames say it is; false when the place is not free.
    pub fn place(table: *Table, id: u32, topic_id: *const [16]u8, partition: u32) bool {
        if (id == 0 or id >= table.streams.len) return false;
        if (table.known(id)) |stream| {
            if (!stream.flag().deleted) return false;
            table.deleted_count -= 1;
        }
        if (table.find(topic_id, partition) != null) return false;
        table.count = @max(table.count, id);
        table.fill(id, topic_id, partition);
        return true;
    }

    /// Keeps an id from being given out while a segment may hold frames of it.
    pub fn place_deleted(table: *Table, id: u32, position: u64) bool {
        if (id == 0 or id >= table.streams.len or table.known(id) != null) return false;
        table.count = @max(table.count, id);
        const stream = &table.streams[id];
        stream.* = std.mem.zeroes(Stream);
        stream.flags = @bitCast(Flags{ .used = true, .deleted = true });
        stream.chain = link_none;
        stream.cuts = link_none;
        stream.ticket = position;
        table.deleted_count += 1;
        return true;
    }

    fn fill(table: *Table, id: u32, topic_id: *const [16]u8, partition: u32) void {
        const head = table.bucket(topic_id, partition);
        table.streams[id] = .{
            .topic_id = topic_id.*,
            .partition = partition,
            .flags = @bitCast(Flags{ .used = true }),
            .epoch = 0,
            .fence = 0,
            .log_start = 0,
            .end = 0,
            .high_watermark = 0,
            .bytes = 0,
            .max_timestamp = -1,
            .max_timestamp_base = base_none,
            .epoch_start = 0,
            .retention_ms = -1,
            .retention_bytes = -1,
            .ticket = 0,
            .sidecar = 0,
            .chain = link_none,
            .chain_generation = 0,
            .bucket_next = head.*,
            .cuts = link_none,
        };
        head.* = id;
        table.live_count += 1;
    }

    /// The name is free again at once, the id is not.
    pub fn delete(table: *Table, id: u32, position: u64) void {
        const stream = table.get(id) orelse return;
        var place_of = table.bucket(&stream.topic_id, stream.partition);
        while (place_of.* != id) place_of = &table.streams[place_of.*].bucket_next;
        place_of.* = stream.bucket_next;
        stream.bucket_next = 0;
        stream.set("deleted", true);
        stream.bytes = 0;
        stream.ticket = position;
        table.live_count -= 1;
        table.deleted_count += 1;
    }

    /// Ids whose deletion lies before `position`, below which no segment exists any more.
    pub fn free_deleted(table: *Table, position: u64) void {
        if (table.deleted_count == 0) return;
        for (table.streams[1 .. table.count + 1], 1..) |*stream, id| {
            if (!stream.flag().used or !stream.flag().deleted) continue;
            if (stream.ticket > position) continue;
            stream.flags = 0;
            stream.bucket_next = table.free_first;
            table.free_first = @intCast(id);
            table.deleted_count -= 1;
        }
    }

    /// After recovery: ids below `count` that no frame named are free.
    pub fn collect_free(table: *Table) void {
        table.free_first = 0;
        var id = table.count;
        while (id > 0) : (id -= 1) {
            const stream = &table.streams[id];
            if (stream.flag().used) continue;
            stream.bucket_next = table.free_first;
            table.free_first = id;
        }
    }
};

const testing = std.testing;

test "streams: a stream is found by its name until it is deleted" {
    var table = try Table.init(3);
    defer table.deinit();

    const topic: [16]u8 = @splat(7);
    const first = table.create(&topic, 0).?;
    const second = table.create(&topic, 1).?;
    try testing.expect(first != second);
    try testing.expectEqual(second, table.find(&topic, 1).?);
    table.delete(first, 500);
    try testing.expectEqual(null, table.find(&topic, 0));
    try testing.expectEqual(null, table.get(first));
    try testing.expect(table.known(first) != null);
    const again = table.create(&topic, 0).?;
    try testing.expect(again != first);
    try testing.expect(table.full());
    table.free_deleted(499);
    try testing.expect(table.full());
    table.free_deleted(500);
    try testing.expectEqual(first, table.create(&topic, 2).?);
    try testing.expectEqual(second, table.find(&topic, 1).?);
}

test "streams: the end falls with the newest epoch only, from new to old" {
    var table = try Table.init(1);
    defer table.deinit();

    const stream = table.get(table.create(&@splat(1), 0).?).?;
    for ([_][2]u32{ .{ 3, 0 }, .{ 3, 10 }, .{ 5, 20 }, .{ 5, 30 } }) |at| {
        stream.apply_batch(.{
            .epoch = at[0],
            .base = at[1],
            .count = 10,
            .high_watermark = 0,
            .bytes = 100,
            .max_timestamp = at[1],
        });
    }
    try testing.expectEqual(40, stream.end);
    stream.apply_truncate(3, 10);
    try testing.expectEqual(40, stream.end);
    stream.apply_truncate(5, 30);
    try testing.expectEqual(30, stream.end);
    stream.apply_truncate(5, 10);
    stream.apply_truncate(3, 10);
    try testing.expectEqual(10, stream.end);
    stream.apply_trim(12);
    try testing.expectEqual(12, stream.end);
    try testing.expectEqual(12, stream.log_start);
}
