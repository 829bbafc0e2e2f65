//! The structs that cross to TypeScript. No padding; numbers above 32 bits as f64 below 2^53.

pub const OpenOptions = extern struct {
    log_segment_bytes: f64,
    meta_segment_bytes: f64,
    log_ring_bytes: f64,
    meta_ring_bytes: f64,
    streams_max: u32,
    index_interval: u32,
    readers: u32,
    read_slots: u32,
    /// A batch larger than a slot takes the one big slot.
    read_slot_bytes: u32,
    /// Bit 0 enable_mmap.
    flags: u32,
    flush_interval_ms: u32,
    fill_bytes_per_s_mib: u32,
    retention_check_ms: u32,
    /// 0: no scrub.
    scrub_bytes_per_s: u32 = 0,
};

pub const Opened = extern struct {
    dir: u32 = 0,
    log: u32 = 0,
    meta: u32 = 0,
    /// 0 first start, 1 clean, 2 process crash, 3 power cut, 4 after a failed write or sync.
    boot_kind: u32 = 0,
    starts: f64 = 0,
    log_tail: f64 = 0,
    meta_tail: f64 = 0,
    damaged_ranges: u32 = 0,
    torn_bytes: u32 = 0,
    disk_id: [16]u8 = @splat(0),
    cluster_id: [16]u8 = @splat(0),
    /// Where an open failed.
    error_position: f64 = 0,
    error_segment: u32 = 0,
    error_number: i32 = 0,
    lock_pid: u32 = 0,
    error_site: u32 = 0,
};

pub const StreamEntry = extern struct {
    stream: u32,
    epoch: u32,
    log_start: f64,
    end: f64,
    high_watermark: f64,
    bytes: f64,
    /// -1: none.
    max_timestamp: f64,
    max_timestamp_offset: f64,
    fence: u32,
    /// Bit 0 newly created, bit 1 has damage.
    flags: u32,
};

pub const Appended = extern struct {
    ticket: f64,
    credit: f64,
};

pub const ReadResult = extern struct {
    bytes: u32 = 0,
    batches: u32 = 0,
    first_offset: f64 = 0,
    next_offset: f64 = 0,
    max_timestamp: f64 = -1,
};

pub const Poll = extern struct {
    written: f64,
    durable: f64,
    tail: f64,
    credit: f64,
    /// 0 takes writes, 1 refuses: full, 2 failed.
    disk_state: u32,
    completions: u32,
    more: u32,
    /// The system's number of the error that failed the store.
    failure: i32,
};

pub const Completion = extern struct {
    /// A `CompletionKind`.
    kind: u32,
    status: i32,
    request: u32,
    slot: u32,
    stream: u32,
    bytes: u32,
    first_offset: f64,
    next_offset: f64,
    position: f64,
    segment: u32,
    batches: u32,
    /// The highest of what was read; -1 none.
    max_timestamp: f64 = -1,
    /// Of damage: a `DamagedFile`, and the place in it.
    file: u32 = 0,
    file_offset: u32 = 0,
};

pub const DamagedFile = enum(u32) {
    segment = 0,
    /// The sorted directory of the segment.
    directory = 1,
};

pub const CompletionKind = enum(u32) {
    read = 1,
    lookup = 2,
    headers = 3,
    trim_due = 4,
    snapshot = 5,
    damage = 6,
    sidecar = 7,
};

/// Whether a completion answers no read request.
pub fn is_event(kind: u32) bool {
    const known: CompletionKind = @fromBackingInt(kind);
    return switch (known) {
        .read, .lookup, .headers, .sidecar => false,
        .trim_due, .snapshot, .damage => true,
    };
}

/// `slot` of a completion without bytes to take.
pub const slot_none: u32 = 0xffff_ffff;

pub const Stats = extern struct {
    appends: f64 = 0,
    append_bytes: f64 = 0,
    groups: f64 = 0,
    syncs: f64 = 0,
    written_bytes: f64 = 0,
    ring_hits: f64 = 0,
    ring_misses: f64 = 0,
    segments_live: u32 = 0,
    segments_free: u32 = 0,
    streams: u32 = 0,
    read_queue: u32 = 0,
    sync_ns_total: f64 = 0,
    sync_ns_max: f64 = 0,
    write_ns_total: f64 = 0,
    segments_recycled: f64 = 0,
    damaged_frames: f64 = 0,
    torn_bytes: f64 = 0,
    disk_bytes: f64 = 0,
    segments_unsealed: u32 = 0,
    files_foreign: u32 = 0,
    headers_rebuilt: f64 = 0,
    checkpoints: f64 = 0,
    filled_bytes: f64 = 0,
    cold_bytes: f64 = 0,
    marks: f64 = 0,
    /// What has to be free on the file system before a new segment is made.
    space_least: f64 = 0,
    scrubbed_bytes: f64 = 0,
    scrub_passes: f64 = 0,
    scrub_damage: f64 = 0,
    scrub_errors: f64 = 0,
};

/// One live stream, for who goes through all of them.
pub const StreamName = extern struct {
    topic_id: [16]u8,
    partition: u32,
    stream: u32,
};

pub const StreamPage = extern struct {
    count: u32 = 0,
    /// The id that the next page starts at; 0: there is none.
    next: u32 = 0,
};

pub const Snapshot = extern struct {
    index: f64 = 0,
    bytes: f64 = 0,
};

pub const ByteCount = extern struct {
    bytes: u32,
    pad: u32 = 0,
};
