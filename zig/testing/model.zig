//! The store beside plain arrays that say what it holds: random appends, trims, cuts, deletions and
//! reads over the disk that a seed drives. No threads: the steps of writer, flusher, settler and
//! readers run in the order of the seed, and where one of them waits for the medium others run
//! meanwhile, and appends go on.
//!
//! What must hold after any end of a process: the log that is found is a prefix of what was
//! appended, at least up to what was called durable, and every read gives exactly what the arrays
//! say for that prefix.

const std = @import("std");
const assert = std.debug.assert;
const testing = std.testing;
const abi = @import("../abi_types.zig");
const batches = @import("batches.zig");
const data_dir = @import("../data_dir.zig");
const faulty = @import("io.zig");
const memory = @import("../memory.zig");
const Status = @import("../status.zig").Status;

const DataDir = data_dir.DataDirType(faulty.Faulty);
pub const Store = DataDir.Store;

const segment_bytes = 64 << 10;

const options: abi.OpenOptions = .{
    .log_segment_bytes = segment_bytes,
    .meta_segment_bytes = segment_bytes,
    .log_ring_bytes = 64 << 10,
    .meta_ring_bytes = 64 << 10,
    .streams_max = 40,
    .index_interval = 1024,
    .readers = 1,
    .read_slots = 4,
    .read_slot_bytes = 20 << 10,
    .flags = 0,
    .flush_interval_ms = 5,
    .fill_bytes_per_s_mib = 1,
    .retention_check_ms = 10,
};

const Op = struct {
    ticket: u64,
    stream: u32,
    kind: enum { create, append, sidecar, trim, truncate, delete, fence },
    epoch: u32 = 0,
    base: i64 = 0,
    count: u32 = 0,
    body: u32 = 0,
    timestamp: i64 = 0,
    producer_id: i64 = -1,
    control: bool = false,
    seed: u64 = 0,
};

pub const Frame = struct {
    op: Op,
    hidden: bool = false,

    /// Position of the first byte; the ticket is that behind the last.
    pub fn start(frame: *const Frame) u64 {
        return frame.op.ticket - Store.Append.cost(61 + frame.op.body);
    }
};

const Stream = struct {
    /// Number of the topic; the store's id; live.
    topic: u32 = 0,
    id: u32 = 0,
    live: bool = false,
    epoch: u32 = 1,
    log_start: i64 = 0,
    end: i64 = 0,
    fence: u32 = 0,
    frames: std.ArrayList(Frame) = .empty,
    /// Those that no cut has made void; the newest counts.
    sidecars: std.ArrayList(Op) = .empty,
};

const streams_max = 6;

/// Those of the engine.
const Thread = enum { writer, flusher, settler, reader };

pub const Model = struct {
    disk: faulty.Disk,
    dir: *DataDir,
    prng: std.Random.DefaultPrng,
    ops: std.ArrayList(Op) = .empty,
    streams: [streams_max]Stream = @splat(.{}),
    topics: u32 = 0,
    wall: std.atomic.Value(i64) = .init(0),
    open: bool = false,
    /// Highest position that the store called durable.
    durable: u64 = 0,
    sync_always: bool = true,
    sparse: bool = false,
    opens: u32 = 0,
    /// Reads may fail or find damage; wrong bytes are wrong all the same.
    tolerant: bool = false,
    /// No changes but appends, and no reads while it runs: frames that are lost on the way
    /// leave the arrays and the store with different ends.
    appends_only: bool = false,
    /// The scrub is at work, in the settler's steps.
    scrubbed: bool = false,
    /// Sealed segments are read through maps.
    mapped: bool = false,
    /// While a thread waits for the medium, others run.
    interleaved: bool = false,
    order: std.Random.DefaultPrng,
    /// Threads within a step, the outermost of which runs for the model.
    busy: std.EnumSet(Thread) = .empty,
    /// The model itself is within a call, or compares.
    calling: bool = true,
    /// Steps that ran while another thread waited.
    switches: u64 = 0,
    /// What went wrong meanwhile.
    wrong: ?anyerror = null,
    opened: abi.Opened = .{},

    pub fn init(model: *Model, seed: u64) !void {
        model.* = .{
            .disk = .init(testing.allocator, .{ .seed = seed }),
            .dir = &(try memory.reserve(DataDir, 1))[0],
            .prng = .init(seed ^ 0x5eed),
            .order = .init(seed ^ 0x07de7),
        };
        const random = model.prng.random();
        model.sync_always = random.boolean();
        model.sparse = random.uintLessThan(u8, 3) == 0;
        for (&model.streams) |*stream| {
            model.topics += 1;
            stream.topic = model.topics;
        }
    }

    pub fn deinit(model: *Model) void {
        if (model.open) _ = model.dir.close(true);
        for (&model.streams) |*stream| {
            stream.frames.deinit(testing.allocator);
            stream.sidecars.deinit(testing.allocator);
        }
        model.ops.deinit(testing.allocator);
        memory.release(DataDir, model.dir[0..1]);
        model.disk.deinit();
    }

    pub fn log(model: *Model) *Store {
        return &model.dir.log;
    }

    pub fn start(model: *Model) Status {
        model.dir.io = .{ .disk = &model.disk };
        model.dir.threads = false;
        model.dir.wall_ms = &model.wall;
        model.opened = .{};
        var chosen = options;
        if (model.scrubbed) chosen.scrub_bytes_per_s = 1 << 20;
        if (model.mapped) chosen.flags |= 1;
        model.disk.meanwhile = .{ .context = model, .call = meanwhile };
        const status = model.dir.open("/data", &chosen, &model.opened);
        model.open = status == .ok;
        if (model.open) model.opens += 1;
        return status;
    }

    /// Opens and compares everything with the arrays.
    pub fn start_and_check(model: *Model) !void {
        try testing.expectEqual(.ok, model.start());
        try model.begin();
    }

    /// A life begins with what the last one left.
    pub fn begin(model: *Model) !void {
        const tail: u64 = @trunc(model.opened.log_tail);
        if (tail < model.durable) {
            std.debug.print("tail {d} durable {d}\n", .{ tail, model.durable });
            return error.DurableFramesLost;
        }
        if (model.opened.damaged_ranges > 0) {
            const damage = &model.log().damage;
            std.debug.print("kind {d} damage {any}\n", .{
                model.opened.boot_kind,
                damage.ranges[0..damage.count],
            });
            model.dump_segments();
        }
        try testing.expectEqual(0, model.opened.damaged_ranges);
        try model.rewind(tail);
        model.durable = tail;
        try model.check_all();
    }

    /// What lay behind the tail that was found never was.
    pub fn rewind(model: *Model, tail: u64) !void {
        var kept: usize = 0;
        while (kept < model.ops.items.len and model.ops.items[kept].ticket <= tail) kept += 1;
        model.ops.shrinkRetainingCapacity(kept);
        for (&model.streams) |*stream| {
            const topic = stream.topic;
            stream.frames.clearRetainingCapacity();
            stream.sidecars.clearRetainingCapacity();
            stream.* = .{
                .topic = topic,
                .frames = stream.frames,
                .sidecars = stream.sidecars,
            };
        }
        for (model.ops.items) |op| try model.apply(op);
    }

    fn by_id(model: *Model, id: u32) *Stream {
        for (&model.streams) |*stream| {
            if (stream.live and stream.id == id) return stream;
        }
        unreachable;
    }

    fn apply(model: *Model, op: Op) !void {
        if (op.kind == .create) {
            const stream = &model.streams[op.count];
            stream.id = op.stream;
            stream.topic = op.body;
            stream.live = true;
            stream.log_start = 0;
            stream.end = 0;
            stream.epoch = 1;
            stream.fence = 0;
            stream.frames.clearRetainingCapacity();
            stream.sidecars.clearRetainingCapacity();
            return;
        }
        const stream = model.by_id(op.stream);
        switch (op.kind) {
            .create => unreachable,
            .append => {
                try stream.frames.append(testing.allocator, .{ .op = op });
                stream.end = @max(stream.end, op.base + op.count);
                stream.epoch = @max(stream.epoch, op.epoch);
            },
            .trim => if (op.base > stream.log_start) {
                stream.log_start = op.base;
                stream.end = @max(stream.end, op.base);
            },
            .sidecar => try stream.sidecars.append(testing.allocator, op),
            .truncate => {
                stream.sidecars.clearRetainingCapacity();
                for (stream.frames.items) |*frame| {
                    if (frame.op.epoch == op.epoch and frame.op.base >= op.base) frame.hidden = true;
                }
                if (op.epoch >= stream.epoch) stream.end = @max(stream.log_start, @min(stream.end, op.base));
            },
            .fence => stream.fence = @max(stream.fence, op.epoch),
            .delete => stream.live = false,
        }
    }

    fn record(model: *Model, op: Op) !void {
        try model.ops.append(testing.allocator, op);
        try model.apply(op);
    }

    /// A thread waits: up to a few steps of others, and appends if nobody is within a call.
    fn meanwhile(context: *anyopaque) void {
        const model: *Model = @ptrCast(@alignCast(context));
        if (!model.interleaved or model.busy.count() == 0) return;
        const store = model.log();
        model.durable = @max(model.durable, store.durable.load(.seq_cst));
        // The writer would wait for the piece that is being filled.
        if (store.fill.busy.load(.seq_cst)) return;
        const random = model.order.random();
        if (random.uintLessThan(u8, 3) > 0) return;
        // A sync may take as long as others need for a whole segment.
        const long = model.busy.count() == 1 and random.uintLessThan(u8, 8) == 0;
        const steps: usize = if (long) 150 else random.uintLessThan(usize, 10);
        for (0..steps) |_| {
            if (model.calling or random.uintLessThan(u8, 3) > 0) {
                model.run_thread(random.enumValue(Thread));
            } else {
                model.calling = true;
                defer model.calling = false;

                // Now and then more than the ring has room for.
                const appends: usize = if (random.uintLessThan(u8, 32) == 0) 150 else 1;
                for (0..appends) |_| model.append_one() catch |failure| {
                    model.wrong = failure;
                };
            }
        }
    }

    /// One step, unless the thread is within one.
    pub fn run_thread(model: *Model, thread: Thread) void {
        if (model.busy.contains(thread)) return;
        model.switches += @intFromBool(model.busy.count() > 0);
        model.busy.insert(thread);
        defer model.busy.remove(thread);

        switch (thread) {
            .writer => _ = Store.Writer.step(model.log()),
            .flusher => _ = Store.Flusher.step(model.log()),
            .settler => _ = Store.Settler.step(model.log()),
            .reader => _ = Store.Reader.step(model.log(), 0),
        }
    }

    /// The model waits for nothing.
    fn run_threads(model: *Model, rounds: u32) void {
        model.calling = false;
        defer model.calling = true;

        for (0..rounds) |_| {
            for ([_]Thread{ .writer, .flusher, .settler }) |thread| model.run_thread(thread);
        }
    }

    fn run_one(model: *Model, thread: Thread) void {
        model.calling = false;
        defer model.calling = true;

        model.run_thread(thread);
    }

    pub fn step(model: *Model) !void {
        const random = model.prng.random();
        const what = random.uintLessThan(u8, 100);
        const other = (what >= 42 and what < 56) or (what >= 85 and what < 95);
        switch (if (model.appends_only and other) 0 else what) {
            0...41 => try model.append_one(),
            42...44 => try model.sidecar_one(),
            45...49 => try model.trim_one(),
            50...52 => try model.truncate_one(),
            53...53 => try model.delete_one(),
            54...55 => try model.fence_one(),
            56...72 => model.run_one(.writer),
            73...74 => model.run_one(.flusher),
            75...84 => model.run_one(.settler),
            85...94 => try model.check_one(),
            95...97 => model.disk.clock_ns += random.uintLessThan(u64, 20) * std.time.ns_per_ms,
            98 => model.disk.clock_ns += if (model.scrubbed) 11 * std.time.ns_per_min else 61 * std.time.ns_per_s,
            else => model.run_threads(20),
        }
        if (model.wrong) |failure| return failure;
        model.durable = @max(model.durable, model.log().durable.load(.seq_cst));
    }

    fn pick(model: *Model) !?*Stream {
        const random = model.prng.random();
        const index = random.uintLessThan(usize, streams_max);
        const stream = &model.streams[index];
        if (stream.live) return stream;
        var entry: abi.StreamEntry = undefined;
        var topic_id: [16]u8 = @splat(1);
        model.topics += 1;
        std.mem.writeInt(u32, topic_id[0..4], model.topics, .little);
        const status = Store.Append.open_stream(model.log(), &topic_id, 0, &entry);
        if (status == .full or status == .disk_full or status == .failed) return null;
        try testing.expectEqual(.ok, status);
        try testing.expectEqual(1, entry.flags & 1);
        try model.record(.{
            .ticket = model.log().staged.load(.seq_cst),
            .stream = entry.stream,
            .kind = .create,
            .count = @intCast(index),
            .body = model.topics,
        });
        return stream;
    }

    fn expect_append(model: *Model, status: Status) !bool {
        switch (status) {
            .ok => return true,
            .full, .disk_full => return false,
            .failed => if (model.log().failed()) return false,
            else => {},
        }
        try testing.expectEqual(.ok, status);
        return false;
    }

    fn append_one(model: *Model) !void {
        const random = model.prng.random();
        const stream = try model.pick() orelse return;
        const body = if (random.uintLessThan(u8, 12) == 0)
            random.uintLessThan(u32, 12 << 10)
        else
            random.uintLessThan(u32, 400);
        if (random.uintLessThan(u8, 30) == 0) stream.epoch += 1;
        var base = stream.end;
        const count = 1 + random.uintLessThan(u32, 5);
        if (model.sparse and random.boolean()) {
            // A gap, or a gap that is filled later.
            base += random.uintLessThan(u8, 20);
            if (random.uintLessThan(u8, 3) == 0) base = model.gap(stream, count) orelse base;
        }
        const op: Op = .{
            .ticket = 0,
            .stream = stream.id,
            .kind = .append,
            .epoch = stream.epoch,
            .base = base,
            .count = count,
            .body = body,
            .timestamp = 1000 + @as(i64, @intCast(model.ops.items.len)) + random.uintLessThan(u8, 50),
            .producer_id = if (random.boolean()) random.uintLessThan(u32, 3) else -1,
            .control = random.uintLessThan(u8, 8) == 0,
            .seed = random.int(u64),
        };
        var buffer: [16 << 10]u8 = undefined;
        var appended: abi.Appended = undefined;
        var poll: abi.Poll = undefined;
        const credit = if (model.log().poll(&poll, &.{}) == .ok) poll.credit else 0;
        const status = Store.Append.append(model.log(), .{
            .stream = stream.id,
            .epoch = op.epoch,
            .needs_sync = model.sync_always or random.boolean(),
            .count = op.count,
            .base = op.base,
            .high_watermark = stream.log_start,
            .bytes = batches.batch(&buffer, .{
                .count = op.count,
                .body = op.body,
                .max_timestamp = op.timestamp,
                .producer_id = op.producer_id,
                .control = op.control,
                .seed = op.seed,
            }),
        }, &appended);
        const cost: f64 = @floatFromInt(Store.Append.cost(61 + op.body));
        // The frame that named the stream may be among those that were lost.
        if (model.appends_only and status == .stale) return;
        // An append within the credit cannot be refused.
        if (credit >= cost) try testing.expect(status == .ok or model.log().failed());
        if (!try model.expect_append(status)) return;
        var done = op;
        done.ticket = @trunc(appended.ticket);
        try model.record(done);
    }

    fn sidecar_one(model: *Model) !void {
        const random = model.prng.random();
        const stream = try model.pick() orelse return;
        const op: Op = .{
            .ticket = 0,
            .stream = stream.id,
            .kind = .sidecar,
            .base = stream.end,
            .body = random.uintLessThan(u32, if (random.boolean()) 100 else 4000),
            .seed = random.int(u64),
        };
        var buffer: [4096]u8 = undefined;
        var appended: abi.Appended = undefined;
        const status = Store.Append.sidecar(model.log(), .{
            .stream = op.stream,
            .at = op.base,
            .state = state_of(op, &buffer),
        }, &appended);
        if (!try model.expect_append(status)) return;
        var done = op;
        done.ticket = @trunc(appended.ticket);
        try model.record(done);
    }

    fn state_of(op: Op, buffer: []u8) []u8 {
        var prng = std.Random.DefaultPrng.init(op.seed);
        prng.random().bytes(buffer[0..op.body]);
        return buffer[0..op.body];
    }

    /// The newest sidecar is found as it was written, unless its segment is gone.
    pub fn check_sidecar(model: *Model, stream: *Stream) !void {
        var bytes: [20 << 10]u8 = undefined;
        const answer = try model.read_sidecar(stream, &bytes);
        const status: Status = @fromBackingInt(answer.status);
        if (model.tolerant and (status == .io or status == .damaged)) return;
        const newest = stream.sidecars.getLastOrNull() orelse
            return testing.expectEqual(.absent, status);
        var buffer: [4096]u8 = undefined;
        const want = state_of(newest, &buffer);
        const position = newest.ticket - 64 - std.mem.alignForward(u64, 16 + want.len, 8);
        const is_live = model.log().segment_at(position) != null;
        // Recycled behind the reader's back.
        const raced = !is_live and model.interleaved and status == .ok;
        if (!is_live and !raced) return testing.expectEqual(.absent, status);
        try testing.expectEqual(.ok, status);
        try testing.expectEqual(@as(f64, @floatFromInt(newest.base)), answer.first_offset);
        try testing.expectEqualSlices(u8, want, bytes[0..answer.bytes]);
    }

    /// After damage: one of those that were written, or none; never other bytes.
    fn check_sidecar_wild(model: *Model, stream: *Stream) !void {
        var bytes: [20 << 10]u8 = undefined;
        const answer = try model.read_sidecar(stream, &bytes);
        switch (@as(Status, @fromBackingInt(answer.status))) {
            .absent, .damaged, .io => {},
            .ok => for (stream.sidecars.items) |written| {
                var buffer: [4096]u8 = undefined;
                if (@as(f64, @floatFromInt(written.base)) != answer.first_offset) continue;
                if (std.mem.eql(u8, state_of(written, &buffer), bytes[0..answer.bytes])) break;
            } else return error.SidecarOfNobody,
            else => |status| try testing.expectEqual(.ok, status),
        }
    }

    fn read_sidecar(model: *Model, stream: *Stream, bytes: []u8) !abi.Completion {
        return model.later(.sidecar, .{
            .stream = stream.id,
            .offset = 0,
            .limit = 0,
            .bytes_max = 0,
            .first_always = false,
        }, .timestamp, 0, bytes);
    }

    /// A hole in the offsets with room for `count`.
    fn gap(_: *Model, stream: *Stream, count: u32) ?i64 {
        for (stream.frames.items) |*frame| {
            const end = frame.op.base + frame.op.count;
            if (frame.hidden or end < stream.log_start) continue;
            var next: i64 = stream.end;
            for (stream.frames.items) |*other| {
                if (other.hidden or other.op.base < end) continue;
                next = @min(next, other.op.base);
            }
            if (next - end >= count) return end;
        }
        return null;
    }

    fn trim_one(model: *Model) !void {
        const random = model.prng.random();
        const stream = try model.pick() orelse return;
        const offset = random.intRangeAtMost(i64, stream.log_start, stream.end);
        var appended: abi.Appended = undefined;
        const status = Store.Append.trim(model.log(), stream.id, offset, &appended);
        if (!try model.expect_append(status)) return;
        try model.record(.{
            .ticket = @trunc(appended.ticket),
            .stream = stream.id,
            .kind = .trim,
            .base = offset,
        });
    }

    /// Whatever is sealed is dead then, but for what the open segment says.
    pub fn trim_all(model: *Model) !void {
        for (&model.streams) |*stream| {
            if (!stream.live) continue;
            var appended: abi.Appended = undefined;
            const status = Store.Append.trim(model.log(), stream.id, stream.end, &appended);
            if (!try model.expect_append(status)) continue;
            try model.record(.{
                .ticket = @trunc(appended.ticket),
                .stream = stream.id,
                .kind = .trim,
                .base = stream.end,
            });
        }
    }

    /// Cuts at the base of a frame of the newest epoch.
    fn truncate_one(model: *Model) !void {
        const random = model.prng.random();
        const stream = try model.pick() orelse return;
        if (stream.frames.items.len == 0) return;
        const nth = random.uintLessThan(usize, stream.frames.items.len);
        const frame = &stream.frames.items[nth];
        if (frame.hidden or frame.op.epoch != stream.epoch) return;
        for (stream.frames.items) |*other| {
            if (other.op.epoch < stream.epoch and other.op.base >= frame.op.base) return;
            if (!other.hidden and other.op.base < frame.op.base and
                other.op.base + other.op.count > frame.op.base) return;
        }
        var appended: abi.Appended = undefined;
        const status = Store.Append.truncate(model.log(), stream.id, stream.epoch, frame.op.base, &appended);
        if (!try model.expect_append(status)) return;
        try model.record(.{
            .ticket = @trunc(appended.ticket),
            .stream = stream.id,
            .kind = .truncate,
            .epoch = stream.epoch,
            .base = frame.op.base,
        });
    }

    fn delete_one(model: *Model) !void {
        const stream = try model.pick() orelse return;
        const status = Store.Append.delete_stream(model.log(), stream.id);
        if (!try model.expect_append(status)) return;
        try model.record(.{
            .ticket = model.log().staged.load(.seq_cst),
            .stream = stream.id,
            .kind = .delete,
        });
    }

    fn fence_one(model: *Model) !void {
        const stream = try model.pick() orelse return;
        var appended: abi.Appended = undefined;
        const status = Store.Append.fence(model.log(), stream.id, stream.epoch + 1, &appended);
        if (!try model.expect_append(status)) return;
        try model.record(.{
            .ticket = @trunc(appended.ticket),
            .stream = stream.id,
            .kind = .fence,
            .epoch = stream.epoch + 1,
        });
        stream.epoch += 1;
    }

    pub fn check_all(model: *Model) !void {
        for (&model.streams) |*stream| {
            if (!stream.live) continue;
            var entry: abi.StreamEntry = undefined;
            try testing.expectEqual(.ok, model.log().stream_read(stream.id, &entry));
            try testing.expectEqual(@as(f64, @floatFromInt(stream.log_start)), entry.log_start);
            try testing.expectEqual(@as(f64, @floatFromInt(stream.end)), entry.end);
            try testing.expect(entry.fence >= stream.fence);
            var bytes_min: u64 = 0;
            var bytes_max: u64 = 0;
            for (stream.frames.items) |*frame| {
                const bytes = Store.Append.cost(61 + frame.op.body);
                bytes_max += bytes;
                if (frame.hidden or frame.op.base + frame.op.count <= stream.log_start) continue;
                bytes_min += bytes;
            }
            // Fewer would let retention by bytes keep too much, more take too much.
            try testing.expect(entry.bytes >= @as(f64, @floatFromInt(bytes_min)));
            try testing.expect(entry.bytes <= @as(f64, @floatFromInt(bytes_max)));
            try model.check_from(stream, stream.log_start, std.math.maxInt(usize));
            try model.check_sidecar(stream);
        }
    }

    /// Everything is right but for at most `lost_max` batches, whose offsets answer damage.
    pub fn check_damaged(model: *Model, lost_max: u32) !void {
        var lost: u32 = 0;
        for (&model.streams) |*stream| {
            if (!stream.live) continue;
            var entry: abi.StreamEntry = undefined;
            try testing.expectEqual(.ok, model.log().stream_read(stream.id, &entry));
            try testing.expectEqual(@as(f64, @floatFromInt(stream.log_start)), entry.log_start);
            try testing.expectEqual(@as(f64, @floatFromInt(stream.end)), entry.end);
            try model.check_sidecar_wild(stream);
            var offset = stream.log_start;
            while (offset < stream.end) {
                var bytes: [20 << 10]u8 = undefined;
                const got = try model.read(stream, offset, &bytes);
                const want = model.expected(stream, offset);
                if (got.status == .damaged) {
                    const unbounded = lost_max == std.math.maxInt(u32);
                    const frame = want orelse {
                        if (unbounded) break;
                        return error.DamageWhereNothingWas;
                    };
                    lost += 1;
                    const frame_end = frame.op.base + frame.op.count;
                    if (got.next > frame_end and !unbounded) {
                        model.dump(stream, offset);
                        return error.DamageTooWide;
                    }
                    offset = frame_end;
                    continue;
                }
                if (want == null) {
                    try testing.expectEqual(.absent, got.status);
                    break;
                }
                if (got.status != .ok) model.dump(stream, offset);
                try testing.expectEqual(.ok, got.status);
                offset = try model.compare(stream, offset, bytes[0..got.bytes]);
            }
        }
        try testing.expect(lost <= lost_max);
    }

    /// After any damage: right bytes or the answer that they are damaged; the end may only be
    /// lower where the store knows of damage.
    pub fn check_wild(model: *Model) !void {
        for (&model.streams) |*stream| {
            if (!stream.live) continue;
            var entry: abi.StreamEntry = undefined;
            const known = model.log().stream_read(stream.id, &entry);
            if (known == .stale) {
                // Its name is lost: something must say so.
                if (model.log().damage.count == 0) {
                    model.dump_segments();
                    std.debug.print("stream {d} kind {d} life {d} streams {any}\n", .{ stream.id, model.opened.boot_kind, model.opens, model.log().streams.streams[stream.id] });
                    for (stream.frames.items) |frame| std.debug.print("  {d}+{d} epoch {d} ticket {d}\n", .{ frame.op.base, frame.op.count, frame.op.epoch, frame.op.ticket });
                    for (model.ops.items) |op| if (op.kind == .create) std.debug.print("create {any}\n", .{op});
                }
                try testing.expect(model.log().damage.count > 0);
                continue;
            }
            try testing.expectEqual(.ok, known);
            const end: i64 = @trunc(entry.end);
            if (end < stream.end and model.log().damage.count == 0) {
                model.dump(stream, end);
                std.debug.print("kind {d} life {d} end {d} want {d} stream {d}\n", .{ model.opened.boot_kind, model.opens, end, stream.end, stream.id });
            }
            if (end < stream.end) try testing.expect(model.log().damage.count > 0);
            try model.check_sidecar_wild(stream);
            var offset = @max(stream.log_start, @as(i64, @trunc(entry.log_start)));
            while (offset < @min(stream.end, end)) {
                var bytes: [20 << 10]u8 = undefined;
                const got = try model.read(stream, offset, &bytes);
                const want = model.expected(stream, offset);
                switch (got.status) {
                    .ok => offset = try model.compare(stream, offset, bytes[0..got.bytes]),
                    .damaged, .io => {
                        try testing.expect(got.status == .io or got.next > offset);
                        const frame = want orelse break;
                        offset = frame.op.base + frame.op.count;
                    },
                    .absent => {
                        if (want) |_| model.dump(stream, offset);
                        if (want) |_| return error.DamageTakenForNothing;
                        break;
                    },
                    else => try testing.expectEqual(.ok, got.status),
                }
            }
        }
    }

    fn check_one(model: *Model) !void {
        const random = model.prng.random();
        const stream = &model.streams[random.uintLessThan(usize, streams_max)];
        if (!stream.live) return;
        const offset = random.intRangeAtMost(i64, stream.log_start, stream.end);
        switch (random.uintLessThan(u8, 4)) {
            0 => try model.check_from(stream, offset, 3),
            1 => try model.check_lookup(stream),
            2 => try model.check_sidecar(stream),
            else => try model.check_headers(stream, offset),
        }
    }

    /// The visible frame that holds the offset, or the next one.
    fn expected(_: *Model, stream: *Stream, offset: i64) ?*Frame {
        var best: ?*Frame = null;
        for (stream.frames.items) |*frame| {
            if (frame.hidden or frame.op.base + frame.op.count <= offset) continue;
            if (best == null or frame.op.base < best.?.op.base) best = frame;
        }
        return best;
    }

    fn check_from(model: *Model, stream: *Stream, from: i64, reads_max: usize) !void {
        var offset = from;
        for (0..reads_max) |_| {
            if (offset >= stream.end) return;
            var bytes: [20 << 10]u8 = undefined;
            const got = try model.read(stream, offset, &bytes);
            if (model.tolerant and (got.status == .io or got.status == .damaged)) return;
            const want = model.expected(stream, offset);
            if (want == null) {
                try testing.expectEqual(.absent, got.status);
                return;
            }
            if (got.status != .ok) {
                model.dump(stream, offset);
            }
            try testing.expectEqual(.ok, got.status);
            try testing.expect(got.bytes > 0);
            offset = try model.compare(stream, offset, bytes[0..got.bytes]);
        }
    }

    fn dump(model: *Model, stream: *Stream, offset: i64) void {
        const entry = model.log().streams.get(stream.id).?;
        std.debug.print("boot {d} offset {d} start {d} end {d} flags {any}\n", .{
            model.opened.boot_kind, offset, entry.log_start, entry.end, entry.flag(),
        });
        for (stream.frames.items) |frame| {
            std.debug.print("  {d}+{d} epoch {d} ticket {d} hidden {any}\n", .{
                frame.op.base, frame.op.count, frame.op.epoch, frame.op.ticket, frame.hidden,
            });
        }
        model.dump_segments();
    }

    fn dump_segments(model: *Model) void {
        const store = model.log();
        std.debug.print("{any} checkpoint {d}\n", .{ store.start, store.checkpoint.position });
        for (store.segments.segments[0..store.segments.slots], 0..) |*segment, slot| {
            std.debug.print("  slot {d} {any} generation {d} first {d} used {d}\n", .{
                slot, segment.state, segment.generation, segment.first_position, segment.used,
            });
        }
    }

    const Got = struct { status: Status, bytes: u32, next: i64 };

    fn read(model: *Model, stream: *Stream, offset: i64, bytes: []u8) !Got {
        const random = model.prng.random();
        const store = model.log();
        var result: abi.ReadResult = undefined;
        const want: @import("../tail.zig").Want = .{
            .stream = stream.id,
            .offset = offset,
            .limit = stream.end,
            .bytes_max = 100 + random.uintLessThan(u32, 16 << 10),
            .first_always = true,
        };
        if (random.uintLessThan(u8, 4) > 0) {
            const status = Store.Tail.read(store, want, bytes, &result);
            if (status != .cold) return .{
                .status = status,
                .bytes = result.bytes,
                .next = @trunc(result.next_offset),
            };
        }
        const answer = try model.later(.read, want, .timestamp, 0, bytes);
        return .{
            .status = @fromBackingInt(answer.status),
            .bytes = answer.bytes,
            .next = @trunc(answer.next_offset),
        };
    }

    fn later(
        model: *Model,
        kind: @import("../reader.zig").Kind,
        want: @import("../tail.zig").Want,
        by: @import("../reader.zig").By,
        value: i64,
        bytes: []u8,
    ) !abi.Completion {
        const store = model.log();
        try testing.expectEqual(.ok, Store.Reader.submit(store, kind, 5, want, by, value));
        if (model.interleaved) {
            // The request waits for its turn.
            const random = model.order.random();
            while (store.reader.queue_count > 0) model.run_thread(random.enumValue(Thread));
        } else try testing.expect(Store.Reader.step(store, 0));
        while (true) {
            var poll: abi.Poll = undefined;
            var completions: [1]abi.Completion = undefined;
            try testing.expectEqual(.ok, store.poll(&poll, &completions));
            try testing.expectEqual(1, poll.completions);
            if (abi.is_event(completions[0].kind)) continue;
            try testing.expectEqual(5, completions[0].request);
            try testing.expectEqual(.ok, Store.Reader.take_slot(store, completions[0].slot, bytes));
            return completions[0];
        }
    }

    fn compare(model: *Model, stream: *Stream, from: i64, bytes: []const u8) !i64 {
        var offset = from;
        var at: usize = 0;
        while (at < bytes.len) {
            const frame = model.expected(stream, offset) orelse return error.MoreThanWasWritten;
            var buffer: [16 << 10]u8 = undefined;
            const want = bytes_of(frame, &buffer);
            const rest = bytes[at..];
            if (rest.len < want.len or !std.mem.eql(u8, want, rest[0..want.len])) {
                std.debug.print("wanted {d}, got {d}\n", .{
                    frame.op.base, std.mem.readInt(i64, rest[0..8], .big),
                });
                model.dump(stream, offset);
                return error.WrongBytes;
            }
            at += want.len;
            offset = frame.op.base + frame.op.count;
        }
        return offset;
    }

    fn bytes_of(frame: *const Frame, buffer: []u8) []u8 {
        const want = batches.batch(buffer, .{
            .count = frame.op.count,
            .body = frame.op.body,
            .max_timestamp = frame.op.timestamp,
            .producer_id = frame.op.producer_id,
            .control = frame.op.control,
            .seed = frame.op.seed,
        });
        std.mem.writeInt(i64, want[0..8], frame.op.base, .big);
        std.mem.writeInt(u32, want[12..16], frame.op.epoch, .big);
        return want;
    }

    /// The headers of a page: all batches of producers that start at or behind the offset, as they
    /// are served, and where the next page starts.
    fn check_headers(model: *Model, stream: *Stream, from: i64) !void {
        var bytes: [20 << 10]u8 = undefined;
        const answer = try model.later(.headers, .{
            .stream = stream.id,
            .offset = from,
            .limit = stream.end,
            .bytes_max = std.math.maxInt(u32),
            .first_always = true,
        }, .timestamp, 0, &bytes);
        const status: Status = @fromBackingInt(answer.status);
        if (model.tolerant and (status == .io or status == .damaged)) return;
        try testing.expectEqual(.ok, status);
        const next: i64 = @trunc(answer.next_offset);
        if (!model.tolerant) try testing.expectEqual(stream.end, next);
        var at: usize = 0;
        var offset = from;
        while (model.expected(stream, offset)) |frame| {
            if (frame.op.base >= next) break;
            offset = frame.op.base + frame.op.count;
            // One that only holds the offset starts before it.
            if (frame.op.base < from or frame.op.producer_id < 0 or frame.op.control) continue;
            var buffer: [16 << 10]u8 = undefined;
            const want = bytes_of(frame, &buffer);
            try testing.expectEqualSlices(u8, want[0..61], bytes[at..][0..61]);
            at += 61;
        }
        try testing.expectEqual(at, answer.bytes);
    }

    /// The first batch at or above a time, and the one with the highest.
    fn check_lookup(model: *Model, stream: *Stream) !void {
        const random = model.prng.random();
        const by_time = random.boolean();
        const value: i64 = 1000 + random.uintLessThan(u32, 500);
        const from = if (random.boolean()) 0 else random.intRangeAtMost(i64, 0, stream.end);
        const lowest = @max(stream.log_start, from);
        var want: ?*Frame = null;
        for (stream.frames.items) |*frame| {
            if (frame.hidden or frame.op.base + frame.op.count <= lowest) continue;
            if (frame.op.base + frame.op.count > stream.end) continue;
            if (by_time) {
                if (frame.op.timestamp < value) continue;
                if (want == null or frame.op.base < want.?.op.base) want = frame;
            } else {
                if (want == null or frame.op.timestamp > want.?.op.timestamp) want = frame;
            }
        }
        var bytes: [20 << 10]u8 = undefined;
        const answer = try model.later(.lookup, .{
            .stream = stream.id,
            .offset = from,
            .limit = stream.end,
            .bytes_max = std.math.maxInt(u32),
            .first_always = true,
        }, if (by_time) .timestamp else .max_timestamp, value, &bytes);
        const status: Status = @fromBackingInt(answer.status);
        if (model.tolerant and (status == .io or status == .damaged)) return;
        try testing.expectEqual(.ok, status);
        if (want == null) return testing.expectEqual(0, answer.bytes);
        try testing.expect(answer.bytes > 0);
        if (by_time) {
            var buffer: [16 << 10]u8 = undefined;
            try testing.expectEqualSlices(u8, bytes_of(want.?, &buffer), bytes[0..answer.bytes]);
        } else {
            const found = @import("../frame.zig").Batch.max_timestamp(bytes[0..answer.bytes]);
            try testing.expectEqual(want.?.op.timestamp, found);
        }
    }

    /// The process ends, one way or another.
    pub fn crash(model: *Model) !void {
        const random = model.prng.random();
        switch (random.uintLessThan(u8, 4)) {
            0 => {
                const status = model.dir.close(true);
                if (status == .ok) model.durable = model.ops_end();
            },
            1 => {
                model.abandon();
                model.disk.process_kill();
            },
            2 => {
                model.abandon();
                model.disk.power_cut(.subset);
            },
            else => {
                model.abandon();
                model.disk.power_cut(.none);
            },
        }
        model.open = false;
    }

    /// After a clean stop everything that was appended is there.
    fn ops_end(model: *Model) u64 {
        if (model.ops.items.len == 0) return model.durable;
        return @max(model.durable, model.ops.items[model.ops.items.len - 1].ticket);
    }

    /// What a process leaves that is gone: nothing is written any more.
    pub fn abandon(model: *Model) void {
        model.open = false;
        model.dir.log.deinit();
        model.dir.meta.deinit();
    }
};

/// `PYRALOG_SEEDS=first:count` runs others than the ones that every run takes.
pub fn seeds(first: u64, count: u64) [2]u64 {
    const text = std.mem.span(std.c.getenv("PYRALOG_SEEDS") orelse return .{ first, first + count });
    var parts = std.mem.splitScalar(u8, text, ':');
    const start = std.fmt.parseInt(u64, parts.first(), 10) catch return .{ first, first + count };
    const more = std.fmt.parseInt(u64, parts.rest(), 10) catch 1;
    return .{ start, start + more };
}
