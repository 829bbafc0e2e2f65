//! A store in a folder of its own, over the real file system, for benches of the engine.

const std = @import("std");
const abi = @import("../abi_types.zig");
const data_dir = @import("../data_dir.zig");
const io_zig = @import("../io.zig");
const memory = @import("../memory.zig");
const Place = @import("../store_test.zig").Place;

const DataDir = data_dir.DataDirType(io_zig.Real);
pub const Store = DataDir.Store;

pub const Bed = struct {
    place: Place = .{},
    dir: *DataDir = undefined,
    options: abi.OpenOptions,

    pub const Choice = struct {
        /// Without threads nothing is written until `write` is called.
        threads: bool,
        segment_bytes: u32 = 64 << 20,
        ring_bytes: u32 = 64 << 20,
    };

    pub fn init(choice: Choice) !Bed {
        var bed: Bed = .{ .options = .{
            .log_segment_bytes = choice.segment_bytes,
            .meta_segment_bytes = 1 << 20,
            .log_ring_bytes = choice.ring_bytes,
            .meta_ring_bytes = 1 << 20,
            .streams_max = 1 << 16,
            .index_interval = 4096,
            .readers = 1,
            .read_slots = 4,
            .read_slot_bytes = 1 << 20,
            .flags = 0,
            .flush_interval_ms = 1000,
            .fill_bytes_per_s_mib = 0,
            .retention_check_ms = 10_000,
        } };
        try bed.place.init();
        bed.dir = &(try memory.reserve(DataDir, 1))[0];
        bed.dir.io = .{};
        bed.dir.threads = choice.threads;
        try bed.open();
        return bed;
    }

    pub fn open(bed: *Bed) !void {
        var opened: abi.Opened = .{};
        if (bed.dir.open(bed.place.path(), &bed.options, &opened) != .ok) return error.BenchStore;
    }

    /// The next open has to look for the end.
    pub fn close_dirty(bed: *Bed) void {
        _ = bed.dir.close(false);
    }

    pub fn deinit(bed: *Bed) void {
        _ = bed.dir.close(true);
        const dirs: [*]DataDir = @ptrCast(bed.dir);
        memory.release(DataDir, dirs[0..1]);
        bed.place.remove();
    }

    pub fn log(bed: *Bed) *Store {
        return &bed.dir.log;
    }

    pub fn stream(bed: *Bed, partition: u32) !u32 {
        var entry: abi.StreamEntry = undefined;
        const status = Store.Append.open_stream(bed.log(), &@splat(9), partition, &entry);
        if (status != .ok) return error.BenchStore;
        return entry.stream;
    }

    /// False when the ring is full: the writer has to catch up.
    pub fn append(bed: *Bed, id: u32, base: i64, count: u32, bytes: []const u8) !bool {
        var appended: abi.Appended = undefined;
        const status = Store.Append.append(bed.log(), .{
            .stream = id,
            .epoch = 1,
            .needs_sync = false,
            .count = count,
            .base = base,
            .high_watermark = base,
            .bytes = bytes,
        }, &appended);
        if (status == .full) return false;
        if (status != .ok) return error.BenchStore;
        return true;
    }

    /// Everything that is staged goes to the file, in this thread.
    pub fn write(bed: *Bed) void {
        while (Store.Writer.step(bed.log()) == .worked) {}
    }
};
