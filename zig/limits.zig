//! Every maximum of the engine, by name, with the relations that the code relies on.

const std = @import("std");

/// Largest payload of a frame, and so the largest batch that a store keeps.
pub const payload_bytes_max: u32 = 8 << 20;
/// A group commit closes at this size, or with one frame that is larger. Beyond it the curve of
/// bytes per second is flat and the latency of the group's first frame grows.
pub const group_bytes_max: u32 = 1 << 20;
/// Bytes that may wait for a sync: `os` durability syncs by time and by this.
pub const unsynced_bytes_max: u64 = 64 << 20;
/// How far a start looks behind a bad frame: as far as unsynced bytes can reach.
pub const tail_window_bytes: u32 = unsynced_bytes_max + 2 * payload_bytes_max;
/// Segments that one store can hold at a time: 16 TiB of segments of 256 MiB.
pub const segments_max: u32 = 1 << 16;
/// Entries of one segment's directory. An index into a table takes this many bits of a link.
pub const directory_entries_max: u32 = 1 << 20;
/// Segments that wait for their sorted directory. Start-up walks the headers of this many.
pub const segments_unsealed_max: u32 = 3;
/// Free segments kept for their extents; more are removed, so that the disk gets room back.
pub const segments_free_max: u32 = 8;
/// Streams that a store may hold, whatever the options ask for.
pub const streams_max: u32 = 1 << 20;
/// Cuts (truncations that hide frames) that a store remembers.
pub const cuts_max: u32 = 1 << 16;
/// Damaged ranges that a store remembers; beyond it, a store does not open.
pub const damaged_ranges_max: u32 = 4096;
/// Offsets that a lost batch may have held behind the end that its stream has without it.
pub const offsets_guessed_max: i64 = 1 << 24;
/// Reader threads of one store, and requests in flight.
pub const readers_max: u32 = 16;
pub const read_slots_max: u32 = 4096;
/// Bytes that a reader takes from a file at a time, or one frame that is larger.
pub const read_piece_bytes: u32 = 1 << 20;
/// Log that one request for headers walks before it gives its thread to others.
pub const headers_page_bytes: u64 = 16 << 20;
/// Completions of a store that nobody has polled yet, beside those of its read requests.
pub const events_max: u32 = 1024;
/// Places of sequential readers in sealed segments.
pub const places_max: u32 = 1024;
/// Open files of segments and directories that readers share.
pub const files_cached_max: u32 = 64;
/// Bytes of a segment kept for state frames when no further segment can be had.
pub const state_reserve_bytes: u32 = 1 << 20;
/// Ring bytes kept for state frames.
pub const state_ring_bytes: u32 = 256 << 10;
/// A disk is nearly full below this much, or below five percent, whichever is smaller.
pub const free_bytes_min: u64 = 5 << 30;

/// What the log of the partitions leaves free.
pub fn free_least(total: u64) u64 {
    return @min(total / 20, free_bytes_min);
}

/// A newest group becomes provable by a mark frame when nothing followed for this long.
pub const mark_idle_ns: u64 = 5 * std.time.ns_per_ms;
/// Zero fill runs in steps of this size.
pub const fill_step_bytes: u32 = 16 << 20;
/// A checkpoint is taken after this many sealed segments or this much time with changes.
pub const checkpoint_segments: u32 = 16;
/// Dead segments ask for one, not more often than this.
pub const checkpoint_interval_min_ns: u64 = std.time.ns_per_s;
pub const checkpoint_interval_ns: u64 = 60 * std.time.ns_per_s;
/// What the scrub reads at a time, or one frame that is larger.
pub const scrub_piece_bytes: u32 = 1 << 20;
/// Reads and writes keep a piece away for this long at most.
pub const scrub_patience_ns: u64 = std.time.ns_per_s;
/// From an open to the first pass, and from the start of a pass to the start of the next.
pub const scrub_rest_ns: u64 = 10 * std.time.ns_per_min;
pub const scrub_interval_ns: u64 = 24 * std.time.ns_per_hour;
/// The file that makes room on a full disk.
pub const reserve_bytes: u64 = 16 << 20;
/// Longest path of a data directory.
pub const path_bytes_max: usize = 2048;
/// Directories that one process may hold open.
pub const data_dirs_max: u32 = 4;
/// A time that does not come.
pub const never_ns: u64 = std.math.maxInt(u64);
pub const thread_stack_bytes: usize = 1 << 20;

comptime {
    std.debug.assert(group_bytes_max < payload_bytes_max);
    std.debug.assert(std.math.isPowerOfTwo(directory_entries_max));
}
