//! Requests that need a file, served by a small pool of threads: batches, headers of batches with a
//! producer id, sidecars, and look-ups by time. A request holds one slot of memory from its
//! submission until the caller takes the bytes.

const std = @import("std");
const assert = std.debug.assert;
const abi = @import("abi_types.zig");
const frame = @import("frame.zig");
const limits = @import("limits.zig");
const memory = @import("memory.zig");
const stdx = @import("stdx.zig");
const Want = @import("tail.zig").Want;
const range_of = @import("tail.zig").range_of;
const ring_zig = @import("ring.zig");
const Status = @import("status.zig").Status;

pub const Kind = enum { read, lookup, headers, sidecar };
pub const By = enum { timestamp, max_timestamp };

const none: u32 = std.math.maxInt(u32);

pub fn ReaderType(comptime Store: type) type {
    return struct {
        const Reader = @This();
        pub const Walk = @import("walk.zig").WalkType(Store);

        requests: []Request,
        free_first: u32,
        /// Slots in the order of their submission.
        queue: []u32,
        queue_head: u32,
        queue_count: u32,
        slots: []u8,
        slot_bytes: u32,
        /// For one batch that is larger than a slot.
        big: []u8,
        big_taken: bool,
        /// One piece of a file for each thread.
        scratch: []u8,
        scratch_bytes: u32,

        const Request = struct {
            state: enum { free, queued, running, done },
            kind: Kind,
            number: u32,
            want: Want,
            by: By,
            value: i64,
            needs_big: bool,
            holds_big: bool,
            bytes: u32,
            next: u32,
        };

        pub fn init(reader: *Reader, options: anytype) error{OutOfMemory}!void {
            const payload_max = ring_zig.Ring.payload_max(options.ring_bytes);
            reader.requests = try memory.reserve(Request, options.read_slots);
            errdefer memory.release(Request, reader.requests);

            reader.queue = try memory.reserve(u32, options.read_slots);
            errdefer memory.release(u32, reader.queue);

            const slots_bytes = @as(usize, options.read_slots) * options.read_slot_bytes;
            reader.slots = try memory.reserve(u8, slots_bytes);
            errdefer memory.release(u8, reader.slots);

            reader.big = try memory.reserve(u8, @max(payload_max, 4096));
            errdefer memory.release(u8, reader.big);

            reader.scratch_bytes = @max(
                std.mem.alignForward(u32, frame.bytes_of(payload_max), 4096),
                limits.read_piece_bytes,
            );
            reader.scratch = try memory.reserve(u8, @as(usize, options.readers) * reader.scratch_bytes);
            reader.slot_bytes = options.read_slot_bytes;
            reader.queue_head = 0;
            reader.queue_count = 0;
            reader.big_taken = false;
            reader.free_first = 0;
            for (reader.requests, 1..) |*request, next| {
                request.state = .free;
                request.next = if (next == reader.requests.len) none else @intCast(next);
            }
        }

        pub fn deinit(reader: *Reader) void {
            memory.release(Request, reader.requests);
            memory.release(u32, reader.queue);
            memory.release(u8, reader.slots);
            memory.release(u8, reader.big);
            memory.release(u8, reader.scratch);
        }

        pub fn submit(
            store: *Store,
            kind: Kind,
            number: u32,
            want: Want,
            by: By,
            value: i64,
        ) Status {
            store.lock.lock();
            defer store.lock.unlock();

            if (!store.open) return .closed;
            const reader = &store.reader;
            const stream = store.streams.get(want.stream) orelse return .stale;
            const slot = reader.free_first;
            if (slot == none) return .busy;
            const request = &reader.requests[slot];
            reader.free_first = request.next;
            request.* = .{
                .state = .queued,
                .kind = kind,
                .number = number,
                .want = want,
                .by = by,
                .value = value,
                .needs_big = false,
                .holds_big = false,
                .bytes = 0,
                .next = none,
            };
            if (kind == .lookup) request.want.offset = @max(want.offset, stream.log_start);
            push(reader, slot);
            store.readers_condition.signal();
            return .ok;
        }

        fn push(reader: *Reader, slot: u32) void {
            const capacity: u32 = @intCast(reader.queue.len);
            assert(reader.queue_count < capacity);
            reader.queue[(reader.queue_head + reader.queue_count) % capacity] = slot;
            reader.queue_count += 1;
        }

        /// The oldest request that can run: one that needs the big slot waits until it is given
        /// back, and others pass it.
        fn pop(reader: *Reader) ?u32 {
            const capacity: u32 = @intCast(reader.queue.len);
            for (0..reader.queue_count) |nth| {
                const at = (reader.queue_head + @as(u32, @intCast(nth))) % capacity;
                const slot = reader.queue[at];
                if (reader.requests[slot].needs_big and reader.big_taken) continue;
                var hole = at;
                while (hole != reader.queue_head) {
                    const before = (hole + capacity - 1) % capacity;
                    reader.queue[hole] = reader.queue[before];
                    hole = before;
                }
                reader.queue_head = (reader.queue_head + 1) % capacity;
                reader.queue_count -= 1;
                return slot;
            }
            return null;
        }

        pub fn run(store: *Store, index: u32) void {
            stdx.block_signals();
            while (true) {
                if (step(store, index)) continue;
                store.lock.lock();
                defer store.lock.unlock();

                if (store.stopping.load(.seq_cst)) return;
                if (store.reader.queue_count == 0 or !runnable(&store.reader)) {
                    store.readers_condition.wait(&store.lock);
                }
            }
        }

        fn runnable(reader: *Reader) bool {
            for (0..reader.queue_count) |nth| {
                const at = (reader.queue_head + nth) % reader.queue.len;
                if (!reader.requests[reader.queue[at]].needs_big or !reader.big_taken) return true;
            }
            return false;
        }

        /// Serves one request; false when there is none.
        pub fn step(store: *Store, index: u32) bool {
            const reader = &store.reader;
            store.lock.lock();
            const slot = pop(reader) orelse {
                store.lock.unlock();
                return false;
            };
            const request = &reader.requests[slot];
            request.state = .running;
            if (request.needs_big) {
                reader.big_taken = true;
                request.holds_big = true;
            }
            store.lock.unlock();

            var answer: Answer = .{ .next = request.want.offset };
            var target = reader.slots[@as(usize, slot) * reader.slot_bytes ..][0..reader.slot_bytes];
            if (request.holds_big) target = reader.big;
            const scratch = reader.scratch[@as(usize, index) * reader.scratch_bytes ..];
            answer.status = serve(store, request, target, scratch[0..reader.scratch_bytes], &answer);

            store.lock.lock();
            defer store.notify();
            defer store.lock.unlock();

            if (answer.status == .too_small and answer.bytes <= reader.big.len and !request.holds_big) {
                request.needs_big = true;
                request.state = .queued;
                push(reader, slot);
                store.readers_condition.signal();
                return true;
            }
            request.bytes = if (answer.status == .ok) answer.bytes else 0;
            request.state = .done;
            store.complete(.{
                .kind = @backingInt(@as(abi.CompletionKind, switch (request.kind) {
                    .read => .read,
                    .lookup => .lookup,
                    .headers => .headers,
                    .sidecar => .sidecar,
                })),
                .status = @backingInt(answer.status),
                .request = request.number,
                .slot = slot,
                .stream = request.want.stream,
                .bytes = answer.bytes,
                .first_offset = @floatFromInt(answer.first),
                .next_offset = @floatFromInt(answer.next),
                .position = @floatFromInt(answer.position),
                .segment = answer.segment,
                .batches = answer.batches,
            });
            return true;
        }

        pub const Answer = struct {
            status: Status = .ok,
            bytes: u32 = 0,
            batches: u32 = 0,
            first: i64 = 0,
            next: i64,
            /// Where the damage lies.
            position: u64 = 0,
            segment: u32 = 0,
        };

        fn serve(
            store: *Store,
            request: *const Request,
            target: []u8,
            scratch: []u8,
            answer: *Answer,
        ) Status {
            if (request.kind == .sidecar) {
                return Store.Sidecar.serve(store, request.want.stream, target, scratch, answer);
            }
            var walk: Walk = .init(store, request.want, scratch);
            defer walk.deinit();

            switch (request.kind) {
                .sidecar => unreachable,
                .read => return serve_batches(&walk, request, target, answer),
                .headers => return serve_headers(&walk, target, answer),
                .lookup => return serve_lookup(&walk, request, target, answer),
            }
        }

        /// What the walk ended with; `fine` when it is no fault or when something was found
        /// before it.
        fn ended(walk: *const Walk, answer: *Answer) Status {
            if (answer.batches > 0) return .ok;
            switch (walk.outcome) {
                .damaged => {
                    // A range that was known before is told of as well: its reader is answered an
                    // error, and the log has to say why.
                    walk.store.report_damage(walk.want.stream, walk.damage);
                    answer.first = walk.damage.first;
                    answer.next = walk.damage.end;
                    answer.position = walk.damage.position;
                    answer.segment = walk.damage.segment;
                    return .damaged;
                },
                .fault => {
                    answer.position = walk.damage.position;
                    answer.segment = walk.damage.segment;
                    return .io;
                },
                .out_of_range => return .out_of_range,
                .stale => return .stale,
                .empty => return .ok,
                .absent => return .absent,
                .going => unreachable,
            }
        }

        fn serve_batches(
            walk: *Walk,
            request: *const Request,
            target: []u8,
            answer: *Answer,
        ) Status {
            const want = &request.want;
            answer.first = want.offset;
            var rest = target[0..@min(target.len, want.bytes_max)];
            while (walk.next()) |found| {
                const batch = found.payload;
                if (batch.len > rest.len) {
                    if (answer.batches > 0) return .ok;
                    answer.first = found.header.base;
                    if (!want.first_always) return .ok;
                    if (batch.len > target.len) {
                        answer.bytes = found.header.length;
                        return .too_small;
                    }
                    rest = target[0..batch.len];
                }
                rest = stdx.copy_prefix(rest, batch);
                take(answer, found, found.header.length);
            }
            return ended(walk, answer);
        }

        fn take(answer: *Answer, found: Walk.Found, bytes: u32) void {
            if (answer.batches == 0) answer.first = found.header.base;
            answer.batches += 1;
            answer.bytes += bytes;
            answer.next = found.header.end();
        }

        /// One page: as many headers as fit, of as many bytes of log as one request may hold up
        /// others for. `next` is where the next page starts; the limit, when there is none.
        fn serve_headers(walk: *Walk, target: []u8, answer: *Answer) Status {
            var rest = target;
            var walked: u64 = 0;
            answer.first = walk.want.offset;
            while (rest.len >= frame.Batch.header_bytes and walked < limits.headers_page_bytes) {
                const found = walk.next() orelse {
                    const whole = walk.outcome == .empty or walk.outcome == .absent;
                    // What lies in front of damage is a page, and the next one tells of it.
                    if (!whole) return ended(walk, answer);
                    answer.next = @max(walk.want.limit, walk.want.offset);
                    return .ok;
                };
                walked += found.header.frame_bytes();
                answer.next = found.header.end();
                // A batch that only contains the offset was told before.
                if (found.header.base < walk.want.offset) continue;
                if (!frame.Batch.idempotent(found.payload)) continue;
                rest = stdx.copy_prefix(rest, found.payload[0..frame.Batch.header_bytes]);
                take(answer, found, frame.Batch.header_bytes);
            }
            return .ok;
        }

        fn serve_lookup(
            walk: *Walk,
            request: *const Request,
            target: []u8,
            answer: *Answer,
        ) Status {
            const minimum = switch (request.by) {
                .timestamp => request.value,
                .max_timestamp => walk.highest_timestamp() orelse
                    return lookup_ended(walk, answer),
            };
            walk.restart();
            walk.minimum_timestamp = minimum;
            while (walk.next()) |found| {
                if (frame.Batch.max_timestamp(found.payload) < minimum) continue;
                answer.first = found.header.base;
                if (found.payload.len > target.len) {
                    answer.bytes = found.header.length;
                    return .too_small;
                }
                stdx.copy(target[0..found.payload.len], found.payload);
                take(answer, found, found.header.length);
                return .ok;
            }
            return lookup_ended(walk, answer);
        }

        /// No batch is an answer of its own.
        fn lookup_ended(walk: *const Walk, answer: *Answer) Status {
            const answered = ended(walk, answer);
            return if (answered == .absent) .ok else answered;
        }

        /// Copies the bytes of a completed request and gives its slot back.
        pub fn take_slot(store: *Store, slot: u32, destination: []u8) Status {
            store.lock.lock();
            defer store.lock.unlock();

            if (!store.open) return .closed;
            const reader = &store.reader;
            if (slot >= reader.requests.len) return .stale;
            const request = &reader.requests[slot];
            if (request.state != .done) return .stale;
            if (destination.len > 0) {
                if (destination.len < request.bytes) return .too_small;
                const start = @as(usize, slot) * reader.slot_bytes;
                const source = if (request.holds_big) reader.big else reader.slots[start..];
                stdx.copy(destination[0..request.bytes], source[0..request.bytes]);
            }
            if (request.holds_big) {
                reader.big_taken = false;
                store.readers_condition.signal();
            }
            request.state = .free;
            request.next = reader.free_first;
            reader.free_first = slot;
            return .ok;
        }
    };
}
