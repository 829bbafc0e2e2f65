//! Sidecars as they are read: the newest one of a stream gives its producer state at an offset, so
//! that only the batches from there on have to be looked at.
//!
//! A sidecar keeps no segment alive. Its position is valid while a live segment holds it: log
//! positions are never used again, so one that points into a recycled segment finds nothing.

const std = @import("std");
const abi = @import("abi_types.zig");
const crc32c = @import("crc32c.zig").crc32c;
const frame = @import("frame.zig");
const io_layer = @import("io.zig");
const stdx = @import("stdx.zig");
const streams = @import("streams.zig");
const Status = @import("status.zig").Status;

const head_bytes = @sizeOf(frame.SidecarHead);

pub fn SidecarType(comptime Store: type) type {
    return struct {
        const Answer = Store.Reader.Answer;

        pub const Place = struct { position: u64, slot: u32, generation: u32, offset: u32 };

        /// The newest sidecar whose segment is still there. Under the lock.
        pub fn newest(store: *Store, stream: *const streams.Stream) ?Place {
            const position = stream.sidecar;
            if (position == 0) return null;
            const segment = store.segment_at(position) orelse return null;
            return .{
                .position = position,
                .slot = segment.slot,
                .generation = segment.generation,
                .offset = @intCast(position - segment.first_position),
            };
        }

        /// State and offset of the newest one. `absent`: there is none; `damaged`: it is not what
        /// was written. In both cases the batches themselves say all.
        pub fn serve(store: *Store, id: u32, target: []u8, scratch: []u8, answer: *Answer) Status {
            store.lock.lock();
            const stream = store.streams.get(id) orelse {
                store.lock.unlock();
                return .stale;
            };
            const place = newest(store, stream) orelse {
                store.lock.unlock();
                return .absent;
            };
            const segment = &store.segments.segments[place.slot];
            answer.position = place.position;
            answer.segment = place.slot;
            if (segment.ring_cursor) |start| if (store.ring.holds(start + place.offset)) {
                defer store.lock.unlock();
                return take_staged(store, start + place.offset, target, answer);
            };
            // Without its file the segment is known as damage.
            if (segment.state == .lost) {
                store.lock.unlock();
                return .damaged;
            }
            segment.pins += 1;
            store.lock.unlock();
            defer store.unpin(place.slot);

            return take_written(store, id, place, target, scratch, answer) catch .io;
        }

        /// Under the lock.
        fn take_staged(store: *Store, cursor: u64, target: []u8, answer: *Answer) Status {
            const header = store.ring.header(cursor);
            const payload = store.ring.slice(cursor, header.frame_bytes())[frame.header_bytes..];
            answer.bytes = header.length - head_bytes;
            if (answer.bytes > target.len) return .too_small;
            stdx.copy(target[0..answer.bytes], payload[head_bytes..header.length]);
            return found(answer, header);
        }

        /// In a pinned segment.
        fn take_written(
            store: *Store,
            id: u32,
            place: Place,
            target: []u8,
            scratch: []u8,
            answer: *Answer,
        ) io_layer.Error!Status {
            const entry = try Store.Files.acquire(store, .segment, place.slot, place.generation);
            defer Store.Files.release(store, entry);

            const start = scratch[0 .. frame.header_bytes + head_bytes];
            if (try store.io.pread(entry.file.?, start, place.offset) != start.len) {
                return damaged(store, answer);
            }
            const header = frame.as_header(@alignCast(start));
            if (!header.valid(store.seed, place.generation, place.offset)) {
                header.* = header.mended(store.seed, place.generation, place.offset) orelse
                    return damaged(store, answer);
                _ = store.counters.headers_rebuilt.fetchAdd(1, .monotonic);
            }
            if (header.kind != .sidecar or header.stream != id) return damaged(store, answer);
            if (header.length < head_bytes) return damaged(store, answer);
            answer.bytes = header.length - head_bytes;
            if (answer.bytes > target.len) return .too_small;
            const state = target[0..answer.bytes];
            if (try store.io.pread(entry.file.?, state, place.offset + start.len) != state.len) {
                return damaged(store, answer);
            }
            _ = store.counters.cold_bytes.fetchAdd(start.len + state.len, .monotonic);
            const crc = crc32c(crc32c(0, start[frame.header_bytes..]), state);
            if (crc != header.payload_crc) return damaged(store, answer);
            return found(answer, header);
        }

        fn found(answer: *Answer, header: *const frame.Header) Status {
            answer.first = header.base;
            answer.next = header.base;
            answer.batches = 1;
            return .ok;
        }

        fn damaged(store: *Store, answer: *Answer) Status {
            answer.bytes = 0;
            _ = store.counters.damaged_frames.fetchAdd(1, .monotonic);
            return .damaged;
        }
    };
}
