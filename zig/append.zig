//! Frames on their way into the staging ring: batches, and the frames that change a stream.
//!
//! A frame is taken only when the ring has room and when file space behind it is already there,
//! so a frame that was taken never meets a full disk. What a caller may append without being
//! refused is its credit.

const std = @import("std");
const assert = std.debug.assert;
const abi = @import("abi_types.zig");
const frame = @import("frame.zig");
const limits = @import("limits.zig");
const segments = @import("segments.zig");
const stdx = @import("stdx.zig");
const streams = @import("streams.zig");
const ring_zig = @import("ring.zig");
const crc32c = @import("crc32c.zig").crc32c;
const link_none = streams.link_none;
const Status = @import("status.zig").Status;

pub const Batch = struct {
    stream: u32,
    epoch: u32,
    needs_sync: bool,
    first_of_block: bool = false,
    count: u32,
    base: i64,
    high_watermark: i64,
    /// -1: the times in the batch stay.
    log_append_time: i64 = -1,
    bytes: []const u8,
};

pub fn AppendType(comptime Store: type) type {
    return struct {
        const Refusal = error{ Full, DiskFull };
        const Class = enum { batch, state };
        const Claim = struct {
            header: *frame.Header,
            bytes: []align(8) u8,
            segment: *segments.Segment,
            offset: u32,
        };

        pub fn append(store: *Store, batch: Batch, out: *abi.Appended) Status {
            const length: u32 = @intCast(@min(batch.bytes.len, std.math.maxInt(u32)));
            if (!frame.Batch.shaped(batch.bytes)) return .invalid;
            if (length > ring_zig.Ring.payload_max(store.options.ring_bytes)) return .invalid;
            if (frame.Batch.offset_count(batch.bytes) != batch.count) return .invalid;
            store.lock.lock();
            defer store.lock.unlock();

            if (refused(store)) |answer| return answer;
            const stream = store.streams.get(batch.stream) orelse return .stale;
            const claim = claim_frame(store, frame.bytes_of(length), .batch) catch |refusal|
                return status_of(refusal);
            const payload = claim.bytes[frame.header_bytes..][0..length];
            stdx.copy(payload, batch.bytes);
            frame.Batch.stamp_place(payload, batch.base, batch.epoch);
            if (batch.log_append_time >= 0) {
                frame.Batch.stamp_time(payload, batch.log_append_time);
            }
            claim.header.* = .{
                .starts = @truncate(store.start.starts),
                .kind = .batch,
                .flags = @bitCast(frame.Flags{
                    .first_of_block = batch.first_of_block,
                    .sync = batch.needs_sync,
                }),
                .crc = 0,
                .stream = batch.stream,
                .epoch = batch.epoch,
                .generation = claim.segment.generation,
                .offset = claim.offset,
                .base = batch.base,
                .high_watermark = batch.high_watermark,
                .count = batch.count,
                .length = length,
                .payload_crc = frame.Batch.crc(payload),
                .mark = frame.mark_none,
                .link_stream = store.link_stream,
                .link_length = store.link_length,
            };
            const max_timestamp = frame.Batch.max_timestamp(payload);
            store.directory.add(claim.segment.table, batch.stream, stream, .{
                .epoch = batch.epoch,
                .base = batch.base,
                .count = batch.count,
                .offset = claim.offset,
                .bytes = @intCast(claim.bytes.len),
                .max_timestamp = max_timestamp,
            });
            stream.apply_batch(.{
                .epoch = batch.epoch,
                .base = batch.base,
                .count = batch.count,
                .high_watermark = batch.high_watermark,
                .bytes = @intCast(claim.bytes.len),
                .max_timestamp = max_timestamp,
            });
            store.stats.appends += 1;
            store.stats.append_bytes += @floatFromInt(length);
            publish(store, claim, out);
            return .ok;
        }

        pub const Sidecar = struct { stream: u32, at: i64, state: []const u8 };

        /// The producer state that the batches below `at` amount to, all of which were appended
        /// before. It takes no offsets, and nobody waits for its sync.
        pub fn sidecar(store: *Store, wanted: Sidecar, out: *abi.Appended) Status {
            const head_bytes = @sizeOf(frame.SidecarHead);
            const payload_max = ring_zig.Ring.payload_max(store.options.ring_bytes);
            if (wanted.state.len > payload_max - head_bytes) return .invalid;
            const length: u32 = @intCast(head_bytes + wanted.state.len);
            store.lock.lock();
            defer store.lock.unlock();

            if (refused(store)) |answer| return answer;
            if (store.streams.get(wanted.stream) == null) return .stale;
            const claim = claim_frame(store, frame.bytes_of(length), .batch) catch |refusal|
                return status_of(refusal);
            const head: frame.SidecarHead =
                .init(wanted.at, wanted.stream, wanted.state, store.seed);
            const payload = claim.bytes[frame.header_bytes..];
            stdx.copy(payload[0..head_bytes], std.mem.asBytes(&head));
            stdx.copy(payload[head_bytes..length], wanted.state);
            state_frame(store, claim, .{
                .kind = .sidecar,
                .stream = wanted.stream,
                .base = wanted.at,
                .length = length,
                .sync = false,
            }, out);
            return .ok;
        }

        pub fn open_stream(
            store: *Store,
            topic_id: *const [16]u8,
            partition: u32,
            out: *abi.StreamEntry,
        ) Status {
            store.lock.lock();
            defer store.lock.unlock();

            if (!store.open) return .closed;
            if (store.streams.find(topic_id, partition)) |id| {
                describe(store, id, false, out);
                return .ok;
            }
            if (refused(store)) |answer| return answer;
            if (store.streams.full()) return .too_many_streams;
            const name: frame.StreamName = .init(topic_id, partition, store.seed);
            const bytes = frame.bytes_of(@sizeOf(frame.StreamName));
            const claim = claim_frame(store, bytes, .state) catch |refusal|
                return status_of(refusal);
            const id = store.streams.create(topic_id, partition).?;
            store.survey.meet_new(id);
            stdx.copy(claim.bytes[frame.header_bytes..], std.mem.asBytes(&name));
            var appended: abi.Appended = undefined;
            state_frame(store, claim, .{
                .kind = .stream,
                .stream = id,
                .length = @sizeOf(frame.StreamName),
            }, &appended);
            describe(store, id, true, out);
            return .ok;
        }

        pub fn describe(store: *Store, id: u32, created: bool, out: *abi.StreamEntry) void {
            const stream = &store.streams.streams[id];
            out.* = .{
                .stream = id,
                .epoch = stream.epoch,
                .log_start = @floatFromInt(stream.log_start),
                .end = @floatFromInt(stream.end),
                .high_watermark = @floatFromInt(stream.high_watermark),
                .bytes = @floatFromInt(stream.bytes),
                .max_timestamp = @floatFromInt(stream.max_timestamp),
                .max_timestamp_offset = @floatFromInt(@max(stream.max_timestamp_base, streams.base_none)),
                .fence = stream.fence,
                .flags = @as(u32, @intFromBool(created)) |
                    @as(u32, @intFromBool(stream.flag().damaged)) << 1,
            };
        }

        pub fn trim(store: *Store, id: u32, offset: i64, out: *abi.Appended) Status {
            return change(store, .{ .kind = .trim, .stream = id, .base = offset }, out);
        }

        pub fn truncate(store: *Store, id: u32, epoch: u32, offset: i64, out: *abi.Appended) Status {
            return change(store, .{
                .kind = .truncate,
                .stream = id,
                .epoch = epoch,
                .base = offset,
            }, out);
        }

        pub fn fence(store: *Store, id: u32, epoch: u32, out: *abi.Appended) Status {
            return change(store, .{ .kind = .fence, .stream = id, .epoch = epoch }, out);
        }

        pub fn delete_stream(store: *Store, id: u32) Status {
            var appended: abi.Appended = undefined;
            return change(store, .{ .kind = .delete, .stream = id }, &appended);
        }

        const StateFrame = struct {
            kind: frame.Kind,
            stream: u32 = 0,
            epoch: u32 = 0,
            base: i64 = 0,
            /// Of the payload, without padding.
            length: u32 = @sizeOf(frame.StateCopy),
            sync: bool = true,
        };

        fn change(store: *Store, wanted: StateFrame, out: *abi.Appended) Status {
            store.lock.lock();
            defer store.lock.unlock();

            if (refused(store)) |answer| return answer;
            if (store.streams.get(wanted.stream) == null) return .stale;
            if (wanted.kind == .truncate and store.cuts.full()) return .full;
            const bytes = frame.bytes_of(@sizeOf(frame.StateCopy));
            const claim = claim_frame(store, bytes, .state) catch |refusal|
                return status_of(refusal);
            const copy: frame.StateCopy = .init(
                wanted.kind,
                wanted.stream,
                wanted.epoch,
                wanted.base,
                store.seed,
            );
            stdx.copy(claim.bytes[frame.header_bytes..], std.mem.asBytes(&copy));
            state_frame(store, claim, wanted, out);
            return .ok;
        }

        /// An empty frame that carries the durable mark of everything before it. Null: the store
        /// takes no frames now, and the newest group stays unproven for longer.
        pub fn mark(store: *Store) ?u64 {
            store.lock.lock();
            defer store.lock.unlock();

            const claim = claim_frame(store, frame.header_bytes, .state) catch return null;
            var appended: abi.Appended = undefined;
            state_frame(store, claim, .{ .kind = .mark, .length = 0 }, &appended);
            store.stats.marks += 1;
            return @trunc(appended.ticket);
        }

        fn refused(store: *Store) ?Status {
            if (!store.open) return .closed;
            if (store.failed()) return .failed;
            return null;
        }

        fn status_of(refusal: Refusal) Status {
            return switch (refusal) {
                error.Full => .full,
                error.DiskFull => .disk_full,
            };
        }

        fn state_frame(store: *Store, claim: Claim, wanted: StateFrame, out: *abi.Appended) void {
            const payload = claim.bytes[frame.header_bytes..][0..wanted.length];
            claim.header.* = .{
                .starts = @truncate(store.start.starts),
                .kind = wanted.kind,
                .flags = @bitCast(frame.Flags{ .sync = wanted.sync }),
                .crc = 0,
                .stream = wanted.stream,
                .epoch = wanted.epoch,
                .generation = claim.segment.generation,
                .offset = claim.offset,
                .base = wanted.base,
                .high_watermark = 0,
                .count = 0,
                .length = wanted.length,
                .payload_crc = crc32c(0, payload),
                .mark = frame.mark_none,
                .link_stream = store.link_stream,
                .link_length = store.link_length,
            };
            store.directory.add_state(claim.segment.table, claim.offset);
            const position = claim.segment.first_position + claim.offset;
            apply_state(store, claim.header, position);
            publish(store, claim, out);
        }

        /// The change that a frame makes which is no batch, when appended and when replayed.
        pub fn apply_state(store: *Store, header: *const frame.Header, position: u64) void {
            if (header.kind == .sidecar) {
                if (store.streams.get(header.stream)) |stream| stream.sidecar = position;
                return; // it kills nothing
            }
            store.change_position = position + header.frame_bytes();
            _ = store.changes.fetchAdd(1, .release);
            switch (header.kind) {
                .fence => if (store.streams.get(header.stream)) |stream| {
                    stream.fence = @max(stream.fence, header.epoch);
                },
                .trim => if (store.streams.get(header.stream)) |stream| {
                    stream.apply_trim(header.base);
                },
                .truncate => if (store.streams.get(header.stream)) |stream| {
                    const kept = store.cuts.add(&stream.cuts, .{
                        .stream = header.stream,
                        .epoch = header.epoch,
                        .base = header.base,
                        .position = position,
                        .next = link_none,
                    });
                    assert(kept); // the caller looked for room
                    // It may speak of what was cut.
                    stream.sidecar = 0;
                    stream.apply_truncate(header.epoch, header.base);
                },
                .delete => {
                    if (store.streams.get(header.stream)) |stream| {
                        store.cuts.forget(&stream.cuts, std.math.maxInt(u64));
                    }
                    store.streams.delete(header.stream, position);
                },
                else => {},
            }
        }

        fn publish(store: *Store, claim: Claim, out: *abi.Appended) void {
            const header = claim.header;
            store.link_stream = header.stream;
            store.link_length = header.length;
            claim.segment.used = claim.offset + @as(u32, @intCast(claim.bytes.len));
            store.ring.head += claim.bytes.len;
            const ticket = claim.segment.end_position();
            out.* = .{
                .ticket = @floatFromInt(ticket),
                .credit = @floatFromInt(credit(store)),
            };
            store.staged.store(ticket, .seq_cst);
            store.writer_bell.ring();
        }

        /// Room for a frame, in the ring and in a file; nothing has changed when it is refused.
        fn claim_frame(store: *Store, bytes: u32, class: Class) Refusal!Claim {
            assert(bytes % 8 == 0);
            var segment = &store.segments.segments[store.open_slot];
            var ring_bytes: u64 = bytes;
            const rolls = !fits(store, segment, bytes, class);
            if (rolls) {
                if (store.next_slot == null) {
                    return if (store.space_refused) error.DiskFull else error.Full;
                }
                ring_bytes += frame.header_bytes + ring_zig.alignment;
            }
            const ring_reserve = if (class == .batch) state_ring_bytes(store) else 0;
            // A run whose start the ring has lost must be written to its end: then a reader
            // finds it whole in the file.
            ring_bytes += store.options.index_interval;
            if (ring_bytes + ring_reserve > store.ring.free()) return error.Full;
            if (rolls) {
                roll(store);
                segment = &store.segments.segments[store.open_slot];
                assert(fits(store, segment, bytes, class));
            }
            const place = store.ring.slice(store.ring.head, bytes);
            // The padding of the payload; everything else is written by the caller.
            @memset(place[bytes - 8 ..], 0);
            return .{
                .header = frame.as_header(place),
                .bytes = place,
                .segment = segment,
                .offset = segment.used,
            };
        }

        /// Each segment keeps room for the frame that ends it, and the last one that can be had
        /// keeps room for state frames: trims are what frees the disk.
        fn fits(store: *Store, segment: *const segments.Segment, bytes: u32, class: Class) bool {
            if (store.directory.tables[segment.table].full()) return false;
            var room: u64 = segment.bytes - segment.used;
            room -|= frame.header_bytes;
            if (class == .batch and store.next_slot == null) room -|= state_reserve(store);
            return bytes <= room;
        }

        fn state_reserve(store: *const Store) u32 {
            return @min(limits.state_reserve_bytes, store.options.segment_bytes / 8);
        }

        fn state_ring_bytes(store: *const Store) u64 {
            return @min(limits.state_ring_bytes, store.options.ring_bytes / 16);
        }

        /// Ends the open segment with a padding frame and goes on in the next.
        fn roll(store: *Store) void {
            const old = &store.segments.segments[store.open_slot];
            const header = store.ring.header(store.ring.head);
            header.* = std.mem.zeroes(frame.Header);
            header.starts = @truncate(store.start.starts);
            header.kind = .padding;
            header.flags = @bitCast(frame.Flags{});
            header.generation = old.generation;
            header.offset = old.used;
            header.payload_crc = crc32c(0, "");
            header.mark = frame.mark_none;
            header.link_stream = store.link_stream;
            header.link_length = store.link_length;
            store.link_stream = 0;
            store.link_length = 0;
            old.used += frame.header_bytes;
            old.state = .closed;
            store.ring.head += frame.header_bytes;

            const slot = store.next_slot.?;
            const new = &store.segments.segments[slot];
            assert(new.state == .ready);
            assert(new.generation == old.generation + 1);
            assert(new.first_position == old.first_position + old.bytes);
            const head = std.mem.alignForward(u64, store.ring.head, ring_zig.alignment);
            store.ring.head = head;
            new.ring_cursor = head - frame.segment_header_bytes;
            new.used = frame.segment_header_bytes;
            new.state = .open;
            store.directory.tables[new.table].ring_cursor = new.ring_cursor;
            store.segments.live_add(slot);
            store.open_slot = slot;
            store.next_slot = null;
            store.settler_bell.ring();
        }

        /// Bytes of batches that can be appended now, counting each as `cost` does.
        pub fn credit(store: *const Store) u64 {
            if (!store.open or store.failed()) return 0;
            const segment = &store.segments.segments[store.open_slot];
            const table = &store.directory.tables[segment.table];
            const table_rest = @min(
                table.runs.len - table.count,
                table.states.len - table.states_count,
            );
            const rest = @min(
                @as(u64, segment.bytes - segment.used) -| frame.header_bytes,
                table_rest * frame.header_bytes,
            );
            const rolls_max = 2;
            const ring_waste = state_ring_bytes(store) + store.options.index_interval +
                rolls_max * (frame.header_bytes + ring_zig.alignment);
            const in_ring = store.ring.free() -| ring_waste;
            // With a next segment a frame that does not fit here fits there.
            const in_files = if (store.next_slot != null)
                @max(rest, store.options.segment_bytes - frame.segment_header_bytes -
                    frame.header_bytes - state_reserve(store))
            else
                rest -| state_reserve(store);
            return @min(in_ring, in_files);
        }

        /// What a batch takes of the credit.
        pub fn cost(length: u32) u32 {
            return frame.bytes_of(length);
        }
    };
}
