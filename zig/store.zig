//! One log of segments shared by all streams: state, life and progress of a store. Its parts:
//! append.zig puts frames into the staging ring, tail.zig reads them there, writer.zig writes and
//! syncs groups, reader.zig serves requests from files, settler.zig prepares, seals, checkpoints
//! and recycles, scrub.zig reads again what nobody reads, inventory.zig and recovery.zig find the state again.
//!
//! Threads and what they share:
//! * `lock` guards streams, cuts, directories, segments, requests and completions. It is never
//!   held across I/O.
//! * `staged` (release by an append, acquire by the writer): frames below are whole in the ring.
//! * `written`, `durable` (by the writer): progress of the medium. They and `armed` are
//!   sequentially consistent, so that no wake is lost: the writer stores progress, then exchanges
//!   `armed`; a poll stores `armed`, then loads progress.
//! * The writer alone touches mark and checksum of staged frames; nobody else reads them there.

const std = @import("std");
const assert = std.debug.assert;
const abi = @import("abi_types.zig");
const arrival = @import("arrival.zig");
const bell = @import("bell.zig");
const crc32c = @import("crc32c.zig").crc32c;
const damage = @import("damage.zig");
const search = @import("search.zig");
const cuts = @import("cuts.zig");
const frame = @import("frame.zig");
const io_layer = @import("io.zig");
const limits = @import("limits.zig");
const segments = @import("segments.zig");
const status = @import("status.zig");
const stdx = @import("stdx.zig");
const streams = @import("streams.zig");
const Ring = @import("ring.zig").Ring;
const Status = status.Status;

pub const Which = enum(u32) { log = 0, meta = 1 };

pub const Options = struct {
    which: Which,
    segment_bytes: u32,
    ring_bytes: u64,
    streams_max: u32,
    index_interval: u32 = 4096,
    readers: u32 = 1,
    read_slots: u32 = 16,
    read_slot_bytes: u32 = 1 << 20,
    mmap: bool = false,
    flush_interval_ns: u64 = 1000 * std.time.ns_per_ms,
    fill_bytes_per_s: u64 = 0,
    retention_check_ns: u64 = 10 * std.time.ns_per_s,
    /// 0: no scrub.
    scrub_bytes_per_s: u64 = 0,
    segments_max: u32 = limits.segments_max,
    directory_entries_max: u32 = limits.directory_entries_max,
    /// Told once when the store has failed, by one of its threads.
    failed: ?Failed = null,
    /// Unix time for a store without a clock of its own: tests.
    wall_ms: ?*const std.atomic.Value(i64) = null,
    /// Without threads somebody calls the steps.
    threads: bool = true,
};

/// What every file of one data directory carries.
pub const Identity = struct {
    cluster_id: [16]u8,
    disk_id: [16]u8,

    pub fn seed(identity: *const Identity) u32 {
        return crc32c(0, &identity.disk_id);
    }
};

/// How the process before this one ended, and this start's number.
pub const Start = struct {
    starts: u64,
    /// The tail that the start before found, and its number: what lies behind it with a lower
    /// count was cut.
    tail_before: u64,
    starts_before: u64,
    /// The tail is where the log ends: everything was synced, and nothing came behind.
    clean: bool,
    /// Unsynced writes may have survived in any subset.
    power_cut: bool,
};

pub const Failed = struct {
    context: *anyopaque,
    call: *const fn (context: *anyopaque) void,
};

pub const Wake = *const fn () callconv(.c) void;

pub fn StoreType(comptime IO: type) type {
    return struct {
        const Store = @This();
        pub const Io = IO;
        pub const Append = @import("append.zig").AppendType(Store);
        pub const Tail = @import("tail.zig").TailType(Store);
        pub const Writer = @import("writer.zig").WriterType(Store);
        pub const Flusher = @import("flusher.zig").FlusherType(Store);
        pub const Reader = @import("reader.zig").ReaderType(Store);
        pub const Sidecar = @import("sidecar.zig").SidecarType(Store);
        pub const Settler = @import("settler.zig").SettlerType(Store);
        pub const Replay = @import("replay.zig").ReplayType(Store);
        pub const Checkpoint = @import("checkpoint.zig").CheckpointType(Store);
        pub const Recycle = @import("recycle.zig").RecycleType(Store);
        pub const Survey = @import("survey.zig").SurveyType(Store);
        pub const Scrub = @import("scrub.zig").ScrubType(Store);
        pub const Fill = @import("fill.zig").FillType(Store);
        pub const Reserve = @import("reserve.zig").ReserveType(IO);
        pub const Inventory = @import("inventory.zig").InventoryType(Store);
        pub const Recovery = @import("recovery.zig").RecoveryType(Store);
        pub const Files = @import("files.zig").FilesType(Store);
        pub const Sealed = @import("sealed.zig").SealedType(Store);
        pub const Snapshots = @import("snapshot.zig").SnapshotsType(Store);

        io: *IO,
        options: Options,
        identity: Identity,
        seed: u32,
        start: Start,
        path_buffer: [limits.path_bytes_max]u8,
        path_len: usize,

        lock: stdx.Mutex,
        open: bool,
        stopping: std.atomic.Value(bool),
        /// The system's number of what failed the store, -1 when it has none; 0: nothing failed.
        failure: std.atomic.Value(i32),

        streams: streams.Table,
        cuts: cuts.Table,
        directory: arrival.Directory,
        segments: segments.Table,
        ring: Ring,
        /// Slot of the segment that takes frames, and of the one made ready behind it.
        open_slot: u32,
        next_slot: ?u32,
        /// Why there is no next one: the disk is nearly full. False while there is one.
        space_refused: bool,
        /// Stream and payload length of the newest frame, for the next one's link.
        link_stream: u32,
        link_length: u32,

        staged: std.atomic.Value(u64),
        written: std.atomic.Value(u64),
        durable: std.atomic.Value(u64),

        writer: Writer,
        flusher: Flusher,
        reader: Reader,
        settler: Settler,
        checkpoint: Checkpoint,
        recycle: Recycle,
        survey: Survey,
        scrub: Scrub,
        fill: Fill,
        reserve_file: *Reserve,
        /// Trims, cuts and deletions so far: the recycler looks again when it moved.
        changes: std.atomic.Value(u64),
        /// Position behind the newest of them. The store's lock guards it.
        change_position: u64,
        /// The tail that the start found.
        recovered_end: u64,
        files: Files,
        snapshots: Snapshots,
        damage: damage.Table,
        places: search.Places,
        /// Where the newest damage that was met lies: it is told once.
        damage_newest: damage.Met,
        counters: Counters,

        wake_lock: stdx.Mutex,
        wake: ?Wake,
        armed: std.atomic.Value(u32),
        completions: []abi.Completion,
        completions_head: u32,
        completions_count: u32,
        events_count: u32,

        stats: abi.Stats,
        torn_bytes: u64,

        writer_bell: bell.Bell,
        settler_bell: bell.Bell,
        readers_condition: stdx.Condition,
        threads: [limits.readers_max + 3]?std.Thread,

        /// Counted without the lock.
        pub const Counters = struct {
            damaged_frames: std.atomic.Value(u64) = .init(0),
            headers_rebuilt: std.atomic.Value(u64) = .init(0),
            cold_bytes: std.atomic.Value(u64) = .init(0),
            scrubbed_bytes: std.atomic.Value(u64) = .init(0),
            scrub_passes: std.atomic.Value(u64) = .init(0),
            /// Times that the scrub met other bytes than were written, and that it was refused.
            scrub_damage: std.atomic.Value(u64) = .init(0),
            scrub_errors: std.atomic.Value(u64) = .init(0),
        };

        pub const OpenError = io_layer.Error || error{
            OutOfMemory,
            Format,
            Damaged,
        };

        /// Takes memory, then finds the state on the medium. After an error nothing is held.
        pub fn init(
            store: *Store,
            io: *IO,
            reserve_file: *Reserve,
            directory_path: []const u8,
            options: Options,
            identity: Identity,
            start: Start,
        ) OpenError!void {
            assert(options.segment_bytes % 4096 == 0);
            assert(directory_path.len < limits.path_bytes_max - 64);
            store.zero();
            store.io = io;
            store.reserve_file = reserve_file;
            store.options = options;
            store.identity = identity;
            store.seed = identity.seed();
            store.start = start;
            @memcpy(store.path_buffer[0..directory_path.len], directory_path);
            store.path_len = directory_path.len;
            store.writer_bell.init();
            store.settler_bell.init();
            store.readers_condition.init();
            try store.reserve();
            errdefer store.release();

            try Recovery.run(store);
            store.lock.lock();
            defer store.lock.unlock();

            store.open = true;
        }

        fn zero(store: *Store) void {
            store.lock = .{};
            store.wake_lock = .{};
            store.open = false;
            store.stopping = .init(false);
            store.failure = .init(0);
            store.open_slot = 0;
            store.next_slot = null;
            store.space_refused = false;
            store.link_stream = 0;
            store.link_length = 0;
            store.staged = .init(0);
            store.written = .init(0);
            store.durable = .init(0);
            store.wake = null;
            store.armed = .init(0);
            store.completions_head = 0;
            store.completions_count = 0;
            store.events_count = 0;
            store.stats = .{};
            store.torn_bytes = 0;
            store.damage.count = 0;
            store.places = .{};
            store.damage_newest = .{ .position = std.math.maxInt(u64) };
            store.counters = .{};
            store.threads = @splat(null);
            store.writer = .{};
            store.flusher.init();
            store.files = .{};
            store.settler = .{};
            store.checkpoint = .{};
            store.recycle = .{};
            store.survey = .{};
            store.scrub = .{};
            store.fill = .{};
            store.changes = .init(0);
            store.change_position = 0;
            store.recovered_end = 0;
            store.snapshots = .{};
        }

        fn reserve(store: *Store) error{OutOfMemory}!void {
            const options = &store.options;
            const memory = @import("memory.zig");
            store.streams = try .init(options.streams_max);
            errdefer store.streams.deinit();

            store.cuts = try .init(limits.cuts_max);
            errdefer store.cuts.deinit();

            store.segments = try .init(options.segments_max);
            errdefer store.segments.deinit();

            store.ring = try .init(options.ring_bytes);
            errdefer store.ring.deinit();

            const in_ring = options.ring_bytes / options.segment_bytes;
            const tables: u32 = @intCast(@min(in_ring + limits.segments_unsealed_max + 3, 64));
            const states = options.segment_bytes / frame.header_bytes;
            const entries = @min(options.directory_entries_max, states);
            try store.directory.init(tables, entries, states, options.index_interval);
            errdefer store.directory.deinit();

            try store.reader.init(options);
            errdefer store.reader.deinit();

            try store.settler.init(entries, states, store.reader.scratch_bytes);
            errdefer store.settler.deinit();

            try store.survey.init(options.streams_max);
            errdefer store.survey.deinit();

            try store.fill.init();
            errdefer store.fill.deinit();

            const completions_max = options.read_slots + limits.events_max;
            store.completions = try memory.reserve(abi.Completion, completions_max);
        }

        fn release(store: *Store) void {
            const memory = @import("memory.zig");
            store.files.close_all(store);
            store.snapshots.deinit();
            for (store.segments.segments[0..store.segments.slots]) |*segment| {
                if (segment.file) |file| store.io.close(file);
                segment.file = null;
            }
            memory.release(abi.Completion, store.completions);
            store.fill.deinit();
            store.survey.deinit();
            store.settler.deinit();
            store.reader.deinit();
            store.directory.deinit();
            store.ring.deinit();
            store.segments.deinit();
            store.cuts.deinit();
            store.streams.deinit();
            store.readers_condition.deinit();
            store.settler_bell.deinit();
            store.flusher.deinit();
            store.writer_bell.deinit();
        }

        pub fn threads_start(store: *Store) error{OutOfMemory}!void {
            if (!store.options.threads) return;
            const attributes: std.Thread.SpawnConfig = .{ .stack_size = limits.thread_stack_bytes };
            store.threads[0] = std.Thread.spawn(attributes, Writer.run, .{store}) catch
                return error.OutOfMemory;
            store.threads[1] = std.Thread.spawn(attributes, Settler.run, .{store}) catch
                return error.OutOfMemory;
            store.threads[2] = std.Thread.spawn(attributes, Flusher.run, .{store}) catch
                return error.OutOfMemory;
            for (store.threads[3..][0..store.options.readers], 0..) |*thread, index| {
                thread.* = std.Thread.spawn(attributes, Reader.run, .{ store, @as(u32, @intCast(index)) }) catch
                    return error.OutOfMemory;
            }
        }

        /// Refuses new work, writes what is staged, ends the threads. Returns whether everything
        /// staged is durable.
        pub fn stop(store: *Store) bool {
            store.lock.lock();
            store.open = false;
            store.lock.unlock();
            store.stopping.store(true, .seq_cst);
            store.writer_bell.ring();
            store.settler_bell.ring();
            store.flusher.bell.ring();
            store.lock.lock();
            store.readers_condition.broadcast();
            store.lock.unlock();
            for (&store.threads) |*thread| {
                if (thread.*) |started| started.join();
                thread.* = null;
            }
            if (!store.options.threads) {
                while (Writer.step(store) == .worked or Flusher.step(store)) {}
            }
            store.detach();
            if (store.failed()) return false;
            if (store.durable.load(.seq_cst) != store.staged.load(.seq_cst)) return false;
            store.checkpoint_last();
            return true;
        }

        /// Without one the next start only has more to replay.
        fn checkpoint_last(store: *Store) void {
            if (store.staged.load(.acquire) == store.checkpoint.position) return;
            Checkpoint.take(store, store.settler.buffer) catch return;
            _ = Checkpoint.place(store) catch return;
        }

        /// Unix time in milliseconds, for retention only.
        pub fn wall_ms(store: *const Store) i64 {
            if (store.options.wall_ms) |clock| return clock.load(.monotonic);
            return @import("wall_clock.zig").now_ms();
        }

        pub fn deinit(store: *Store) void {
            store.release();
        }

        pub fn path(store: *const Store) []const u8 {
            return store.path_buffer[0..store.path_len];
        }

        pub fn path_z(store: *const Store, buffer: *PathBuffer) [:0]u8 {
            @memcpy(buffer[0..store.path_len], store.path());
            buffer[store.path_len] = 0;
            return buffer[0..store.path_len :0];
        }

        pub fn path_of(store: *const Store, buffer: *PathBuffer, comptime format: []const u8, args: anytype) [:0]u8 {
            return std.fmt.bufPrintSentinel(buffer, "{s}/" ++ format, .{store.path()} ++ args, 0) catch
                unreachable; // the length of the directory's path was checked at open
        }

        pub const PathBuffer = [limits.path_bytes_max]u8;

        pub fn attach(store: *Store, wake: Wake) Status {
            store.lock.lock();
            defer store.lock.unlock();

            if (!store.open) return .closed;
            store.wake_lock.lock();
            defer store.wake_lock.unlock();

            store.wake = wake;
            return .ok;
        }

        /// Waits for a wake that is being given.
        pub fn detach(store: *Store) void {
            store.wake_lock.lock();
            defer store.wake_lock.unlock();

            store.wake = null;
        }

        /// Called by the engine's own threads after they published something.
        pub fn notify(store: *Store) void {
            if (store.armed.swap(0, .seq_cst) == 0) return;
            store.wake_lock.lock();
            defer store.wake_lock.unlock();

            if (store.wake) |wake| wake();
        }

        pub fn fail(store: *Store, failure: io_layer.Error) void {
            const number: i32 = if (@hasField(IO, "errno_last"))
                store.io.errno_last.load(.monotonic)
            else
                -1;
            _ = status.of_io(failure);
            store.failure.store(if (number == 0) -1 else number, .seq_cst);
            store.settler_bell.ring();
            store.notify();
        }

        /// Everything below has been synced. Writer and flusher both say so, in no order.
        pub fn raise_durable(store: *Store, position: u64) void {
            _ = store.durable.fetchMax(position, .seq_cst);
        }

        pub fn failed(store: *const Store) bool {
            return store.failure.load(.acquire) != 0;
        }

        pub fn poll(store: *Store, out: *abi.Poll, completions: []abi.Completion) Status {
            store.armed.store(1, .seq_cst);
            store.lock.lock();
            defer store.lock.unlock();

            if (!store.open) return .closed;
            const count: u32 = @intCast(@min(completions.len, store.completions_count));
            for (completions[0..count]) |*completion| {
                completion.* = store.completions[store.completions_head];
                store.completions_head = (store.completions_head + 1) %
                    @as(u32, @intCast(store.completions.len));
                if (abi.is_event(completion.kind)) store.events_count -= 1;
            }
            store.completions_count -= count;
            const failure = store.failure.load(.seq_cst);
            out.* = .{
                .written = @floatFromInt(store.written.load(.seq_cst)),
                .durable = @floatFromInt(store.durable.load(.seq_cst)),
                .tail = @floatFromInt(store.staged.load(.seq_cst)),
                .credit = @floatFromInt(Append.credit(store)),
                .disk_state = if (failure != 0) 2 else @intFromBool(store.space_refused),
                .completions = count,
                .more = @intFromBool(store.completions_count > 0),
                .failure = failure,
            };
            return .ok;
        }

        /// Under the lock. Requests have their place by their slot; events ask first.
        pub fn complete(store: *Store, completion: abi.Completion) void {
            assert(store.completions_count < store.completions.len);
            const place = (store.completions_head + store.completions_count) %
                @as(u32, @intCast(store.completions.len));
            store.completions[place] = completion;
            store.completions_count += 1;
            if (abi.is_event(completion.kind)) store.events_count += 1;
        }

        pub fn events_full(store: *const Store) bool {
            return store.events_count == limits.events_max;
        }

        pub fn stats_read(store: *Store, out: *abi.Stats) Status {
            store.lock.lock();
            defer store.lock.unlock();

            if (!store.open) return .closed;
            out.* = store.stats;
            Writer.stats_add(store, out);
            out.segments_live = store.segments.live_count;
            out.segments_free = store.segments.count_in(.free);
            out.segments_unsealed = store.segments.count_in(.closed);
            out.files_foreign = store.segments.count_in(.foreign);
            out.streams = store.streams.live_count;
            out.read_queue = store.reader.queue_count;
            out.torn_bytes = @floatFromInt(store.torn_bytes);
            inline for (@typeInfo(Counters).@"struct".field_names) |name| {
                @field(out, name) = @floatFromInt(@field(store.counters, name).load(.monotonic));
            }
            var bytes: u64 = 0;
            for (store.segments.segments[0..store.segments.slots]) |*segment| bytes += segment.bytes;
            out.disk_bytes = @floatFromInt(bytes);
            return .ok;
        }

        pub fn stream_read(store: *Store, id: u32, out: *abi.StreamEntry) Status {
            store.lock.lock();
            defer store.lock.unlock();

            if (!store.open) return .closed;
            if (store.streams.get(id) == null) return .stale;
            Append.describe(store, id, false, out);
            return .ok;
        }

        /// The live ones among as many ids as fit, from `from` on.
        pub fn stream_list(store: *Store, from: u32, names: []abi.StreamName, out: *abi.StreamPage) Status {
            store.lock.lock();
            defer store.lock.unlock();

            if (!store.open) return .closed;
            out.* = .{};
            var id = @max(from, 1);
            const end = @min(@as(u64, id) + names.len, @as(u64, store.streams.count) + 1);
            while (id < end) : (id += 1) {
                const stream = store.streams.get(id) orelse continue;
                names[out.count] = .{
                    .topic_id = stream.topic_id,
                    .partition = stream.partition,
                    .stream = id,
                };
                out.count += 1;
            }
            if (id <= store.streams.count) out.next = id;
            return .ok;
        }

        pub fn stream_configure(store: *Store, id: u32, retention_ms: i64, retention_bytes: i64) Status {
            store.lock.lock();
            defer store.lock.unlock();

            if (!store.open) return .closed;
            const stream = store.streams.get(id) orelse return .stale;
            stream.retention_ms = retention_ms;
            stream.retention_bytes = retention_bytes;
            return .ok;
        }

        /// Which frames of sealed segments count.
        pub fn rule(store: *const Store) @import("scan.zig").Rule {
            return .{
                .tail_before = store.recovered_end,
                .starts_before = @truncate(store.start.starts),
            };
        }

        pub fn unpin(store: *Store, slot: u32) void {
            store.lock.lock();
            defer store.lock.unlock();

            assert(store.segments.segments[slot].pins > 0);
            store.segments.segments[slot].pins -= 1;
        }

        /// The same, and a sequential reader finds its place again.
        pub fn unpin_at(store: *Store, slot: u32, stream: u32, offset: i64) void {
            store.lock.lock();
            defer store.lock.unlock();

            const segment = &store.segments.segments[slot];
            assert(segment.pins > 0);
            segment.pins -= 1;
            if (segment.state == .sealed) store.places.remember(stream, offset, segment.generation);
        }

        /// Where the visible part of a run ends, for one who does not hold the lock.
        pub fn visible_end(store: *Store, id: u32, epoch: u32, end: i64, position: u64) i64 {
            store.lock.lock();
            defer store.lock.unlock();

            const stream = store.streams.get(id) orelse return end;
            return store.cuts.visible_end(stream.cuts, epoch, end, position);
        }

        /// One event for each place of damage that readers and the scrub meet, as far as there is
        /// room.
        pub fn report_damage(store: *Store, stream: u32, met: damage.Met) void {
            store.lock.lock();
            defer store.lock.unlock();

            if (store.streams.get(stream)) |entry| {
                if (!met.unreadable) entry.set("damaged", true);
            }
            const newest = &store.damage_newest;
            if (newest.position == met.position and newest.file == met.file) return;
            if (store.events_full()) return;
            newest.* = met;
            store.complete(.{
                .kind = @backingInt(abi.CompletionKind.damage),
                .status = @backingInt(if (met.unreadable) Status.io else Status.damaged),
                .request = 0,
                .slot = abi.slot_none,
                .stream = stream,
                .bytes = 0,
                .first_offset = @floatFromInt(met.first),
                .next_offset = @floatFromInt(met.end),
                .position = @floatFromInt(met.position),
                .segment = met.segment,
                .batches = 0,
                .file = @backingInt(met.file),
                .file_offset = met.file_offset,
            });
        }

        /// The segment that holds a log position; null when it is gone.
        pub fn segment_at(store: *Store, position: u64) ?*segments.Segment {
            const table = &store.segments;
            var low: u32 = 0;
            var high = table.live_count;
            while (low < high) {
                const middle = low + (high - low) / 2;
                const segment = &table.segments[table.live[middle]];
                if (segment.first_position + segment.bytes <= position) {
                    low = middle + 1;
                } else {
                    high = middle;
                }
            }
            if (low == table.live_count) return null;
            const segment = &table.segments[table.live[low]];
            return if (segment.first_position <= position) segment else null;
        }
    };
}
