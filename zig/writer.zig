//! The writer: everything that arrived goes out in one write and, when a frame of it asks for
//! that, one sync; then progress is published. One group is at work at a time and no timer delays
//! it: at low load a group is one frame, at high load it grows by itself.
//!
//! A group lies in one segment and in one piece of the ring. Its frames get their durable mark
//! and their checksum here, because only now it is known what the last sync covered.
//!
//! A failed write or sync is final: what the medium holds since the last good sync is unknown,
//! and a second sync could succeed without the lost pages.

const std = @import("std");
const assert = std.debug.assert;
const abi = @import("abi_types.zig");
const frame = @import("frame.zig");
const io_layer = @import("io.zig");
const limits = @import("limits.zig");
const stdx = @import("stdx.zig");

pub fn WriterType(comptime Store: type) type {
    return struct {
        const Writer = @This();

        slot: u32 = 0,
        file: io_layer.File = .{ .fd = -1 },
        generation: u32 = 0,
        first_position: u64 = 0,
        segment_bytes: u32 = 0,
        ring_cursor: u64 = 0,
        /// Offset in the segment of the next frame to write.
        offset: u32 = 0,
        /// Position up to which marks in durable frames prove what is durable.
        proven: u64 = 0,
        /// When the oldest bytes were written that no sync covers and no request names.
        unsynced_since_ns: ?u64 = null,
        /// When the last group was done.
        idle_since_ns: u64 = 0,
        counters: Counters = .{},

        /// Written by the writer's thread, read by others: only for reports.
        const Counters = struct {
            groups: std.atomic.Value(u64) = .init(0),
            syncs: std.atomic.Value(u64) = .init(0),
            written_bytes: std.atomic.Value(u64) = .init(0),
            sync_ns_total: std.atomic.Value(u64) = .init(0),
            sync_ns_max: std.atomic.Value(u64) = .init(0),
            write_ns_total: std.atomic.Value(u64) = .init(0),
        };

        pub const Outcome = enum { worked, idle, failed };

        pub fn run(store: *Store) void {
            stdx.block_signals();
            while (true) {
                switch (step(store)) {
                    .worked => continue,
                    .failed => if (store.stopping.load(.seq_cst)) return,
                    .idle => if (store.stopping.load(.seq_cst) and quiet(store)) return,
                }
                store.writer_bell.prepare();
                if (pending(store) or store.stopping.load(.seq_cst)) {
                    store.writer_bell.cancel();
                    if (store.failed()) return;
                    continue;
                }
                store.writer_bell.sleep(patience_ns(store));
            }
        }

        /// Nothing is staged and nothing unsynced.
        fn quiet(store: *Store) bool {
            const staged = store.staged.load(.seq_cst);
            return store.durable.load(.monotonic) == staged;
        }

        fn pending(store: *Store) bool {
            if (store.failed()) return false;
            return store.staged.load(.seq_cst) != store.written.load(.monotonic);
        }

        /// How long to sleep when no frame comes.
        fn patience_ns(store: *Store) ?u64 {
            const writer = &store.writer;
            if (store.failed()) return null;
            // The flusher rings when it is done.
            if (Store.Flusher.busy(store)) return null;
            const now = store.io.now_ns();
            if (writer.unsynced_since_ns) |since| {
                return (since + store.options.flush_interval_ns) -| now + 1;
            }
            if (writer.proven < store.durable.load(.monotonic)) {
                return (writer.idle_since_ns + limits.mark_idle_ns) -| now + 1;
            }
            return null;
        }

        /// One group, or what is due while nothing arrives.
        pub fn step(store: *Store) Outcome {
            if (store.failed()) return .failed;
            if (pending(store)) {
                group(store) catch |failure| {
                    store.fail(failure);
                    return .failed;
                };
                return .worked;
            }
            return idle_step(store) catch |failure| {
                store.fail(failure);
                return .failed;
            };
        }

        fn idle_step(store: *Store) io_layer.Error!Outcome {
            const writer = &store.writer;
            const now = store.io.now_ns();
            const stopping = store.stopping.load(.seq_cst);
            const written = store.written.load(.monotonic);
            if (stopping and store.durable.load(.monotonic) < written) {
                try sync(store);
                store.notify();
                return .worked;
            }
            if (Store.Flusher.busy(store)) return .idle;
            if (store.durable.load(.monotonic) >= written) writer.unsynced_since_ns = null;
            if (writer.unsynced_since_ns) |since| {
                if (now < since + store.options.flush_interval_ns) return .idle;
                writer.unsynced_since_ns = null;
                Store.Flusher.request(store, written);
                return .worked;
            }
            if (stopping or writer.proven >= store.durable.load(.monotonic)) return .idle;
            if (now < writer.idle_since_ns + limits.mark_idle_ns) return .idle;
            const ticket = Store.Append.mark(store) orelse {
                // No room: the newest group stays unproven until something is appended.
                writer.proven = store.durable.load(.monotonic);
                return .idle;
            };
            // Whatever this group holds beside the mark is proven later.
            try group(store);
            if (store.durable.load(.monotonic) == ticket) writer.proven = ticket;
            return .worked;
        }

        /// Up to one mebibyte of frames: stamped, written, synced where one of them asks for it.
        fn group(store: *Store) io_layer.Error!void {
            const writer = &store.writer;
            if (!try position_writer(store)) return;
            const closed = close_group(store);
            const start_ns = store.io.now_ns();
            const bytes = store.ring.slice(writer.ring_cursor + writer.offset, closed.bytes);
            Store.Fill.clear_way(store, writer.slot, writer.offset, writer.offset + closed.bytes);
            try store.io.pwrite(writer.file, bytes, writer.offset);
            const written_ns = store.io.now_ns();
            writer.offset += closed.bytes;
            const ticket = writer.first_position + writer.offset;
            store.ring.written.store(writer.ring_cursor + writer.offset, .release);
            store.written.store(ticket, .seq_cst);
            writer.proven = @max(writer.proven, closed.marked);
            add(&writer.counters.groups, 1);
            add(&writer.counters.written_bytes, closed.bytes);
            add(&writer.counters.write_ns_total, written_ns - start_ns);
            if (writer.unsynced_since_ns == null) writer.unsynced_since_ns = written_ns;
            try sync_due(store, closed.sync, written_ns);
            writer.idle_since_ns = store.io.now_ns();
            store.notify();
        }

        /// A frame that waits for it is synced here; what nobody waits for is left to the flusher,
        /// as long as that keeps up.
        fn sync_due(store: *Store, waited_for: bool, now: u64) io_layer.Error!void {
            const writer = &store.writer;
            const ticket = writer.first_position + writer.offset;
            const unsynced = ticket - store.durable.load(.monotonic);
            if (waited_for or unsynced >= limits.unsynced_bytes_max) return sync(store);
            if (Store.Flusher.busy(store)) return;
            const overdue = now >= writer.unsynced_since_ns.? + store.options.flush_interval_ns;
            if (!overdue and unsynced < limits.unsynced_bytes_max / 4) return;
            writer.unsynced_since_ns = null;
            Store.Flusher.request(store, ticket);
        }

        fn sync(store: *Store) io_layer.Error!void {
            const writer = &store.writer;
            const start_ns = store.io.now_ns();
            try store.io.sync_data(writer.file);
            const spent_ns = store.io.now_ns() - start_ns;
            writer.unsynced_since_ns = null;
            store.raise_durable(writer.first_position + writer.offset);
            add(&writer.counters.syncs, 1);
            add(&writer.counters.sync_ns_total, spent_ns);
            const max = writer.counters.sync_ns_max.load(.monotonic);
            writer.counters.sync_ns_max.store(@max(max, spent_ns), .monotonic);
        }

        /// Moves to the next segment when this one is written to its end. False: nothing staged
        /// lies there yet.
        fn position_writer(store: *Store) io_layer.Error!bool {
            const writer = &store.writer;
            const staged = store.staged.load(.acquire);
            if (staged <= writer.first_position + writer.segment_bytes) {
                return staged > writer.first_position + writer.offset;
            }
            store.lock.lock();
            const used = store.segments.segments[writer.slot].used;
            store.lock.unlock();
            if (writer.offset < used) return true;
            // Frames of the next segment must not outlive unsynced ones of this.
            const end = writer.first_position + writer.offset;
            if (store.durable.load(.seq_cst) < end) try sync(store);
            store.lock.lock();
            defer store.lock.unlock();

            enter(store, store.segments.by_generation(writer.generation + 1).?);
            const start = writer.first_position + writer.offset;
            store.ring.written.store(writer.ring_cursor + writer.offset, .release);
            store.written.store(start, .seq_cst);
            store.raise_durable(start);
            return staged > start;
        }

        /// Under the lock, or before the threads start.
        pub fn enter(store: *Store, slot: u32) void {
            const segment = &store.segments.segments[slot];
            const writer = &store.writer;
            writer.slot = slot;
            writer.file = segment.file.?;
            writer.generation = segment.generation;
            writer.first_position = segment.first_position;
            writer.segment_bytes = segment.bytes;
            writer.ring_cursor = segment.ring_cursor.?;
            writer.offset = frame.segment_header_bytes;
        }

        const Closed = struct { bytes: u32, sync: bool, marked: u64 };

        /// Walks the staged frames to the end of the group and stamps each.
        fn close_group(store: *Store) Closed {
            const writer = &store.writer;
            const staged = store.staged.load(.acquire);
            var end: u32 = undefined;
            if (staged <= writer.first_position + writer.segment_bytes) {
                end = @intCast(staged - writer.first_position);
            } else {
                store.lock.lock();
                end = store.segments.segments[writer.slot].used;
                store.lock.unlock();
            }
            const durable = store.durable.load(.monotonic);
            var closed: Closed = .{ .bytes = 0, .sync = false, .marked = 0 };
            const start = writer.ring_cursor + writer.offset;
            while (writer.offset + closed.bytes < end) {
                const cursor = start + closed.bytes;
                const header = store.ring.header(cursor);
                const bytes = header.frame_bytes();
                const large = closed.bytes + bytes > limits.group_bytes_max;
                if (closed.bytes > 0 and large) break;
                assert(header.generation == writer.generation);
                assert(header.offset == writer.offset + closed.bytes);
                const distance = writer.first_position + header.offset - durable;
                header.mark = if (distance < frame.mark_none) @intCast(distance) else frame.mark_none;
                header.seal(store.seed);
                closed.sync = closed.sync or header.flag().sync;
                closed.bytes += bytes;
                if (store.ring.crosses(cursor, cursor + bytes)) break;
            }
            assert(closed.bytes > 0);
            closed.marked = durable;
            return closed;
        }

        fn add(counter: *std.atomic.Value(u64), more: u64) void {
            counter.store(counter.load(.monotonic) + more, .monotonic);
        }

        pub fn stats_add(store: *const Store, out: *abi.Stats) void {
            const counters = &store.writer.counters;
            inline for (.{
                "groups",      "syncs",          "written_bytes", "sync_ns_total",
                "sync_ns_max", "write_ns_total",
            }) |name| {
                const value = @field(counters, name).load(.monotonic);
                @field(out, name) = @floatFromInt(value);
            }
            const flusher = &store.flusher;
            out.syncs += @floatFromInt(flusher.syncs.load(.monotonic));
            out.sync_ns_total += @floatFromInt(flusher.sync_ns_total.load(.monotonic));
            const max: f64 = @floatFromInt(flusher.sync_ns_max.load(.monotonic));
            out.sync_ns_max = @max(out.sync_ns_max, max);
        }
    };
}
