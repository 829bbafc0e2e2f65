//! The ABI: the only file with exports. The tables at the end are its one declaration; TypeScript
//! bindings, C header and hash are generated from them.
//!
//! Handles are numbers into tables, so a stale one is a status. Integers above 32 bits arrive as
//! f64 and must be whole and below 2^53. The caller owns every buffer that it passes; nothing is
//! kept when the call returns.

const std = @import("std");
const assert = std.debug.assert;
const builtin = @import("builtin");
const types = @import("abi_types.zig");
const batch_zig = @import("batch.zig");
const data_dir = @import("data_dir.zig");
const io_zig = @import("io.zig");
const limits = @import("limits.zig");
const lz4 = @import("lz4.zig");
const memory = @import("memory.zig");
const reader_zig = @import("reader.zig");
const snappy = @import("snappy.zig");
const status_zig = @import("status.zig");
const stdx = @import("stdx.zig");

pub const Status = status_zig.Status;
pub const OpenOptions = types.OpenOptions;
pub const Opened = types.Opened;
pub const StreamEntry = types.StreamEntry;
pub const StreamName = types.StreamName;
pub const StreamPage = types.StreamPage;
pub const Appended = types.Appended;
pub const ReadResult = types.ReadResult;
pub const Poll = types.Poll;
pub const Completion = types.Completion;
pub const Stats = types.Stats;
pub const Snapshot = types.Snapshot;
pub const ByteCount = types.ByteCount;

/// The default reserves 256 KiB of thread-local signal stack for every thread of the process.
pub const std_options: std.Options = .{
    .signal_stack_size = null,
    .enable_segfault_handler = false,
};

pub const panic = std.debug.FullPanic(panic_now);

/// Bun's own report follows; ours has to say that the engine stopped the process.
fn panic_now(message: []const u8, _: ?usize) noreturn {
    const prefix = "pyralog storage engine: ";
    if (builtin.os.tag != .windows) {
        _ = std.c.write(2, prefix, prefix.len);
        _ = std.c.write(2, message.ptr, message.len);
        _ = std.c.write(2, "\n", 1);
    }
    std.c.abort();
}

const DataDir = data_dir.DataDirType(io_zig.Real);
const Store = DataDir.Store;

/// A directory's memory stays while the process lives, so a late call meets a closed store and
/// never freed memory.
const Slot = struct {
    state: enum { free, opening, open, closing } = .free,
    /// Part of the handle: an old handle does not fit a new directory.
    life: u32 = 0,
    dir: *DataDir = undefined,
    /// Calls inside that hold no lock of the store.
    users: u32 = 0,
};

var slots: [limits.data_dirs_max]Slot = @splat(.{});
var slots_lock: stdx.Mutex = .{};

/// Handles: life * 16 + slot * 4 + part; part 0 the directory, 1 the log, 2 the metadata.
const Part = enum(u32) { dir = 0, log = 1, meta = 2 };

comptime {
    assert(limits.data_dirs_max <= 4);
}

fn handle_of(index: u32, life: u32, part: Part) u32 {
    return (life << 4) | (index << 2) | @backingInt(part);
}

fn store_of(handle: u32) ?*Store {
    const index = (handle >> 2) & 3;
    const slot = &slots[index];
    // A closed store answers for itself, under its own lock.
    if (@atomicLoad(u32, &slot.life, .acquire) != handle >> 4 or handle >> 4 == 0) return null;
    return switch (handle & 3) {
        @backingInt(Part.log) => &slot.dir.log,
        @backingInt(Part.meta) => &slot.dir.meta,
        else => null,
    };
}

const whole_max: f64 = 1 << 53;

/// A whole number from 0 below 2^53.
fn whole(value: f64) ?i64 {
    if (!(value >= 0 and value < whole_max)) return null;
    if (@floor(value) != value) return null;
    return @trunc(value);
}

/// The same, or a negative number, which stands for "none".
fn whole_or_none(value: f64) ?i64 {
    if (value < 0 and value > -whole_max) return -1;
    return whole(value);
}

/// A timestamp: whole, of either sign.
fn whole_signed(value: f64) ?i64 {
    if (!(value > -whole_max and value < whole_max)) return null;
    if (@floor(value) != value) return null;
    return @trunc(value);
}

fn abi_hash_fn() callconv(.c) u32 {
    return abi_hash;
}

fn dir_open(
    path: [*]const u8,
    path_length: usize,
    options: *const OpenOptions,
    out: *Opened,
) callconv(.c) Status {
    out.* = .{};
    if (!options_valid(options)) return .invalid;
    slots_lock.lock();
    const index: u32 = for (&slots, 0..) |*slot, index| {
        if (slot.state == .free) break @intCast(index);
    } else {
        slots_lock.unlock();
        return .busy;
    };
    const slot = &slots[index];
    slot.state = .opening;
    const first_life = slot.life == 0;
    slots_lock.unlock();
    if (first_life) {
        const dirs = memory.reserve(DataDir, 1) catch return release_slot(slot, .no_memory);
        slot.dir = &dirs[0];
    }
    slot.dir.io = .{};
    slot.dir.threads = true;
    slot.dir.wall_ms = null;
    const answer = slot.dir.open(path[0..path_length], options, out);
    if (answer != .ok) {
        if (first_life) memory.release(DataDir, slot.dir[0..1]);
        return release_slot(slot, answer);
    }
    const life = (slot.life + 1) & 0x0fff_ffff;
    out.dir = handle_of(index, life, .dir);
    out.log = handle_of(index, life, .log);
    out.meta = handle_of(index, life, .meta);
    slots_lock.lock();
    slot.state = .open;
    @atomicStore(u32, &slot.life, life, .release);
    slots_lock.unlock();
    return .ok;
}

fn release_slot(slot: *Slot, answer: Status) Status {
    slots_lock.lock();
    defer slots_lock.unlock();

    slot.state = .free;
    return answer;
}

fn options_valid(options: *const OpenOptions) bool {
    const segment_min: f64 = 1 << 20;
    const segment_max: f64 = 1 << 31;
    const ring_max: f64 = 1 << 34;
    for ([_]f64{ options.log_segment_bytes, options.meta_segment_bytes }) |bytes| {
        const count = whole(bytes) orelse return false;
        if (bytes < segment_min or bytes >= segment_max or @mod(count, 4096) != 0) return false;
    }
    for ([_]f64{ options.log_ring_bytes, options.meta_ring_bytes }) |bytes| {
        const count = whole(bytes) orelse return false;
        if (bytes < segment_min or bytes > ring_max or @mod(count, 4096) != 0) return false;
    }
    if (options.streams_max == 0 or options.streams_max > limits.streams_max) return false;
    if (options.index_interval < 64 or options.index_interval > 1 << 20) return false;
    if (options.readers == 0 or options.readers > limits.readers_max) return false;
    if (options.read_slots == 0 or options.read_slots > limits.read_slots_max) return false;
    return options.read_slot_bytes >= 1 << 20 and options.read_slot_bytes <= 1 << 28;
}

fn dir_close(dir: u32, clean: u32) callconv(.c) Status {
    const index = (dir >> 2) & 3;
    if (dir & 3 != @backingInt(Part.dir)) return .stale;
    const slot = &slots[index];
    slots_lock.lock();
    if (slot.state != .open or slot.life != dir >> 4) {
        slots_lock.unlock();
        return .stale;
    }
    slot.state = .closing;
    slots_lock.unlock();
    return release_slot(slot, slot.dir.close(clean != 0));
}

fn store_attach(store: u32, wake: *const fn () callconv(.c) void) callconv(.c) Status {
    const target = store_of(store) orelse return .stale;
    return target.attach(wake);
}

fn store_detach(store: u32) callconv(.c) Status {
    const target = store_of(store) orelse return .stale;
    target.detach();
    return .ok;
}

fn store_poll(
    store: u32,
    out: *Poll,
    completions: [*]u8,
    completions_length: usize,
) callconv(.c) Status {
    const target = store_of(store) orelse return .stale;
    if (@intFromPtr(completions) % @alignOf(Completion) != 0) return .invalid;
    const items: [*]Completion = @ptrCast(@alignCast(completions));
    return target.poll(out, items[0 .. completions_length / @sizeOf(Completion)]);
}

fn store_stats(store: u32, out: *Stats) callconv(.c) Status {
    const target = store_of(store) orelse return .stale;
    return target.stats_read(out);
}

fn stream_open(
    store: u32,
    topic_id: [*]const u8,
    topic_id_length: usize,
    partition: u32,
    out: *StreamEntry,
) callconv(.c) Status {
    const target = store_of(store) orelse return .stale;
    if (topic_id_length != 16) return .invalid;
    return Store.Append.open_stream(target, topic_id[0..16], partition, out);
}

fn stream_entry(store: u32, stream: u32, out: *StreamEntry) callconv(.c) Status {
    const target = store_of(store) orelse return .stale;
    return target.stream_read(stream, out);
}

fn stream_list(
    store: u32,
    from: u32,
    names: [*]u8,
    names_length: usize,
    out: *StreamPage,
) callconv(.c) Status {
    const target = store_of(store) orelse return .stale;
    if (@intFromPtr(names) % @alignOf(StreamName) != 0) return .invalid;
    const count = names_length / @sizeOf(StreamName);
    if (count == 0) return .too_small;
    const places: [*]StreamName = @ptrCast(@alignCast(names));
    return target.stream_list(from, places[0..count], out);
}

fn stream_configure(
    store: u32,
    stream: u32,
    retention_ms: f64,
    retention_bytes: f64,
) callconv(.c) Status {
    const target = store_of(store) orelse return .stale;
    const ms = whole_or_none(retention_ms) orelse return .invalid;
    const bytes = whole_or_none(retention_bytes) orelse return .invalid;
    return target.stream_configure(stream, ms, bytes);
}

fn stream_delete(store: u32, stream: u32) callconv(.c) Status {
    const target = store_of(store) orelse return .stale;
    return Store.Append.delete_stream(target, stream);
}

fn append(
    store: u32,
    stream: u32,
    epoch: u32,
    flags: u32,
    count: u32,
    base: f64,
    high_watermark: f64,
    log_append_time: f64,
    batch: [*]const u8,
    batch_length: usize,
    out: *Appended,
) callconv(.c) Status {
    const target = store_of(store) orelse return .stale;
    return Store.Append.append(target, .{
        .stream = stream,
        .epoch = epoch,
        .needs_sync = flags & 1 != 0,
        .first_of_block = flags & 2 != 0,
        .count = count,
        .base = whole(base) orelse return .invalid,
        .high_watermark = whole(high_watermark) orelse return .invalid,
        .log_append_time = whole_or_none(log_append_time) orelse return .invalid,
        .bytes = batch[0..batch_length],
    }, out);
}

fn sidecar(
    store: u32,
    stream: u32,
    offset: f64,
    state: [*]const u8,
    state_length: usize,
    out: *Appended,
) callconv(.c) Status {
    const target = store_of(store) orelse return .stale;
    return Store.Append.sidecar(target, .{
        .stream = stream,
        .at = whole(offset) orelse return .invalid,
        .state = state[0..state_length],
    }, out);
}

fn trim(store: u32, stream: u32, offset: f64, out: *Appended) callconv(.c) Status {
    const target = store_of(store) orelse return .stale;
    const at = whole(offset) orelse return .invalid;
    return Store.Append.trim(target, stream, at, out);
}

fn truncate(store: u32, stream: u32, epoch: u32, offset: f64, out: *Appended) callconv(.c) Status {
    const target = store_of(store) orelse return .stale;
    const at = whole(offset) orelse return .invalid;
    return Store.Append.truncate(target, stream, epoch, at, out);
}

fn fence(store: u32, stream: u32, epoch: u32, out: *Appended) callconv(.c) Status {
    const target = store_of(store) orelse return .stale;
    return Store.Append.fence(target, stream, epoch, out);
}

fn want_of(
    stream: u32,
    offset: f64,
    limit: f64,
    bytes_max: u32,
    flags: u32,
) ?@import("tail.zig").Want {
    return .{
        .stream = stream,
        .offset = whole(offset) orelse return null,
        .limit = whole(limit) orelse return null,
        .bytes_max = bytes_max,
        .first_always = flags & 1 != 0,
    };
}

fn read(
    store: u32,
    stream: u32,
    offset: f64,
    limit: f64,
    bytes_max: u32,
    flags: u32,
    destination: [*]u8,
    destination_length: usize,
    out: *ReadResult,
) callconv(.c) Status {
    const target = store_of(store) orelse return .stale;
    const want = want_of(stream, offset, limit, bytes_max, flags) orelse return .invalid;
    return Store.Tail.read(target, want, destination[0..destination_length], out);
}

fn read_later(
    store: u32,
    request: u32,
    stream: u32,
    offset: f64,
    limit: f64,
    bytes_max: u32,
    flags: u32,
) callconv(.c) Status {
    const target = store_of(store) orelse return .stale;
    const want = want_of(stream, offset, limit, bytes_max, flags) orelse return .invalid;
    return Store.Reader.submit(target, .read, request, want, .timestamp, 0);
}

fn lookup_later(
    store: u32,
    request: u32,
    stream: u32,
    by: u32,
    value: f64,
    offset: f64,
    limit: f64,
) callconv(.c) Status {
    const target = store_of(store) orelse return .stale;
    if (by > 1) return .invalid;
    const timestamp = whole_signed(value) orelse return .invalid;
    const want = want_of(stream, offset, limit, std.math.maxInt(u32), 1) orelse return .invalid;
    const how: reader_zig.By = if (by == 0) .timestamp else .max_timestamp;
    return Store.Reader.submit(target, .lookup, request, want, how, timestamp);
}

fn headers_later(
    store: u32,
    request: u32,
    stream: u32,
    offset: f64,
    limit: f64,
) callconv(.c) Status {
    const target = store_of(store) orelse return .stale;
    const want = want_of(stream, offset, limit, std.math.maxInt(u32), 1) orelse return .invalid;
    return Store.Reader.submit(target, .headers, request, want, .timestamp, 0);
}

fn sidecar_later(store: u32, request: u32, stream: u32) callconv(.c) Status {
    const target = store_of(store) orelse return .stale;
    const want = want_of(stream, 0, 0, std.math.maxInt(u32), 1) orelse return .invalid;
    return Store.Reader.submit(target, .sidecar, request, want, .timestamp, 0);
}

fn slot_take(
    store: u32,
    slot: u32,
    destination: [*]u8,
    destination_length: usize,
) callconv(.c) Status {
    const target = store_of(store) orelse return .stale;
    return Store.Reader.take_slot(target, slot, destination[0..destination_length]);
}

fn batches_check(
    batches: [*]const u8,
    batches_length: usize,
    ranges: [*]const u8,
    ranges_length: usize,
    facts: [*]u8,
    facts_length: usize,
) callconv(.c) Status {
    const count = ranges_length / 8;
    if (facts_length < count * @sizeOf(batch_zig.Facts)) return .too_small;
    if (@intFromPtr(facts) % @alignOf(batch_zig.Facts) != 0) return .invalid;
    const out: [*]batch_zig.Facts = @ptrCast(@alignCast(facts));
    const bytes = batches[0..batches_length];
    for (0..count) |index| {
        const at = ranges[index * 8 ..];
        const position: usize = std.mem.readInt(u32, at[0..4], .little);
        const length: usize = std.mem.readInt(u32, at[4..8], .little);
        if (position + length > batches_length) return .invalid;
        batch_zig.check(bytes[position..][0..length], &out[index]);
    }
    return .ok;
}

fn crc32c(seed: u32, bytes: [*]const u8, bytes_length: usize) callconv(.c) u32 {
    return @import("crc32c.zig").crc32c(seed, bytes[0..bytes_length]);
}

fn lz4_decompress(
    source: [*]const u8,
    source_length: usize,
    target: [*]u8,
    target_length: usize,
    out: *ByteCount,
) callconv(.c) Status {
    return decompress(lz4, source[0..source_length], target[0..target_length], out);
}

fn lz4_compress(
    source: [*]const u8,
    source_length: usize,
    target: [*]u8,
    target_length: usize,
    out: *ByteCount,
) callconv(.c) Status {
    return compress(lz4, source[0..source_length], target[0..target_length], out);
}

fn snappy_decompress(
    source: [*]const u8,
    source_length: usize,
    target: [*]u8,
    target_length: usize,
    out: *ByteCount,
) callconv(.c) Status {
    return decompress(snappy, source[0..source_length], target[0..target_length], out);
}

fn snappy_compress(
    source: [*]const u8,
    source_length: usize,
    target: [*]u8,
    target_length: usize,
    out: *ByteCount,
) callconv(.c) Status {
    return compress(snappy, source[0..source_length], target[0..target_length], out);
}

/// `invalid` for bytes that are no such stream; `too_small` with the size where it is known.
fn decompress(comptime codec: type, source: []const u8, target: []u8, out: *ByteCount) Status {
    const size = codec.decompress(source, target) catch |failure| switch (failure) {
        error.Malformed => return .invalid,
        error.TooSmall => {
            out.* = .{ .bytes = saturate(codec.decompressed_size(source) catch 0) };
            return .too_small;
        },
    };
    out.* = .{ .bytes = saturate(size) };
    return .ok;
}

fn compress(comptime codec: type, source: []const u8, target: []u8, out: *ByteCount) Status {
    const size = codec.compress(source, target) catch {
        out.* = .{ .bytes = saturate(codec.compressed_size_max(source.len)) };
        return .too_small;
    };
    out.* = .{ .bytes = saturate(size) };
    return .ok;
}

fn saturate(size: usize) u32 {
    return @intCast(@min(size, std.math.maxInt(u32)));
}

fn snapshot_write(
    store: u32,
    request: u32,
    index: f64,
    bytes: [*]const u8,
    bytes_length: usize,
) callconv(.c) Status {
    const target = store_of(store) orelse return .stale;
    const at = whole(index) orelse return .invalid;
    return Store.Snapshots.write(target, request, @intCast(at), bytes[0..bytes_length]);
}

fn snapshot_open(
    store: u32,
    out: *Snapshot,
    destination: [*]u8,
    destination_length: usize,
) callconv(.c) Status {
    const target = store_of(store) orelse return .stale;
    return Store.Snapshots.read(target, out, destination[0..destination_length]);
}

pub const structs = .{
    .{ "OpenOptions", OpenOptions },
    .{ "Opened", Opened },
    .{ "StreamEntry", StreamEntry },
    .{ "StreamName", StreamName },
    .{ "StreamPage", StreamPage },
    .{ "Appended", Appended },
    .{ "ReadResult", ReadResult },
    .{ "Poll", Poll },
    .{ "Completion", Completion },
    .{ "Stats", Stats },
    .{ "Snapshot", Snapshot },
    .{ "ByteCount", ByteCount },
};

pub const functions = .{
    .{ "abi_hash", .{}, &abi_hash_fn },
    .{ "dir_open", .{ "path", "path_length", "options", "out" }, &dir_open },
    .{ "dir_close", .{ "dir", "clean" }, &dir_close },
    .{ "store_attach", .{ "store", "wake" }, &store_attach },
    .{ "store_detach", .{"store"}, &store_detach },
    .{ "store_poll", .{ "store", "out", "completions", "completions_length" }, &store_poll },
    .{ "store_stats", .{ "store", "out" }, &store_stats },
    .{
        "stream_open",
        .{ "store", "topic_id", "topic_id_length", "partition", "out" },
        &stream_open,
    },
    .{ "stream_entry", .{ "store", "stream", "out" }, &stream_entry },
    .{ "stream_list", .{ "store", "from", "names", "names_length", "out" }, &stream_list },
    .{
        "stream_configure",
        .{ "store", "stream", "retention_ms", "retention_bytes" },
        &stream_configure,
    },
    .{ "stream_delete", .{ "store", "stream" }, &stream_delete },
    .{
        "append",
        .{
            "store",           "stream", "epoch",        "flags", "count", "base", "high_watermark",
            "log_append_time", "batch",  "batch_length", "out",
        },
        &append,
    },
    .{
        "sidecar",
        .{ "store", "stream", "offset", "state", "state_length", "out" },
        &sidecar,
    },
    .{ "trim", .{ "store", "stream", "offset", "out" }, &trim },
    .{ "truncate", .{ "store", "stream", "epoch", "offset", "out" }, &truncate },
    .{ "fence", .{ "store", "stream", "epoch", "out" }, &fence },
    .{
        "read",
        .{
            "store",       "stream",             "offset", "limit", "bytes_max", "flags",
            "destination", "destination_length", "out",
        },
        &read,
    },
    .{
        "read_later",
        .{ "store", "request", "stream", "offset", "limit", "bytes_max", "flags" },
        &read_later,
    },
    .{ "lookup_later", .{ "store", "request", "stream", "by", "value", "offset", "limit" }, &lookup_later },
    .{ "headers_later", .{ "store", "request", "stream", "offset", "limit" }, &headers_later },
    .{ "sidecar_later", .{ "store", "request", "stream" }, &sidecar_later },
    .{ "slot_take", .{ "store", "slot", "destination", "destination_length" }, &slot_take },
    .{
        "batches_check",
        .{ "batches", "batches_length", "ranges", "ranges_length", "facts", "facts_length" },
        &batches_check,
    },
    .{ "crc32c", .{ "seed", "bytes", "bytes_length" }, &crc32c },
    .{
        "lz4_decompress",
        .{ "source", "source_length", "target", "target_length", "out" },
        &lz4_decompress,
    },
    .{
        "lz4_compress",
        .{ "source", "source_length", "target", "target_length", "out" },
        &lz4_compress,
    },
    .{
        "snappy_decompress",
        .{ "source", "source_length", "target", "target_length", "out" },
        &snappy_decompress,
    },
    .{
        "snappy_compress",
        .{ "source", "source_length", "target", "target_length", "out" },
        &snappy_compress,
    },
    .{ "snapshot_write", .{ "store", "request", "index", "bytes", "bytes_length" }, &snapshot_write },
    .{ "snapshot_open", .{ "store", "out", "destination", "destination_length" }, &snapshot_open },
};

comptime {
    @setEvalBranchQuota(100_000);
    for (functions) |function| {
        const signature = @typeInfo(@TypeOf(function[2].*)).@"fn";
        if (function[1].len != signature.param_types.len) @compileError(function[0]);
        @export(function[2], .{ .name = "pyralog_" ++ function[0] });
    }
    for (structs) |entry| {
        const shape = @typeInfo(entry[1]).@"struct";
        var at: usize = 0;
        for (shape.field_names, shape.field_types) |name, T| {
            if (@offsetOf(entry[1], name) != at) @compileError(entry[0] ++ " has padding");
            at += @sizeOf(T);
        }
        if (at != @sizeOf(entry[1])) @compileError(entry[0] ++ " has padding at its end");
    }
    assert(@sizeOf(Completion) == 72);
}

/// Over names, types, offsets and sizes of everything that crosses (FNV-1a). The bindings carry
/// the same number and refuse another library.
pub const abi_hash: u32 = blk: {
    @setEvalBranchQuota(1_000_000);
    var hash: u32 = 0x811c9dc5;
    for (structs) |entry| {
        hash = fnv(hash, entry[0]);
        const shape = @typeInfo(entry[1]).@"struct";
        for (shape.field_names, shape.field_types) |name, T| {
            hash = fnv(hash, name);
            hash = fnv(hash, @typeName(T));
            hash = fnv_number(hash, @offsetOf(entry[1], name));
            hash = fnv_number(hash, @sizeOf(T));
        }
    }
    for (functions) |function| {
        hash = fnv(hash, function[0]);
        for (function[1]) |name| hash = fnv(hash, name);
        hash = fnv(hash, @typeName(@TypeOf(function[2].*)));
    }
    for (@typeInfo(Status).@"enum".field_names) |name| {
        hash = fnv(hash, name);
        hash = fnv_number(hash, @as(u32, @bitCast(@backingInt(@field(Status, name)))));
    }
    break :blk hash;
};

fn fnv(seed: u32, text: []const u8) u32 {
    var hash = seed;
    for (text) |byte| hash = (hash ^ byte) *% 0x01000193;
    return hash;
}

fn fnv_number(seed: u32, number: usize) u32 {
    var hash = seed;
    for (0..4) |n| hash = (hash ^ @as(u8, @truncate(number >> (8 * n)))) *% 0x01000193;
    return hash;
}
