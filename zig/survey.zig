//! One pass over all directories, from the oldest segment to the newest: what retention makes due,
//! and how many bytes trims have taken from a stream.
//!
//! A stream's due point lies behind its last whole run that is too old or too many, as long as
//! every run before it is due as well; the open segment takes part. The pass only reports: the
//! log start moves when the trim that it leads to is applied.

const std = @import("std");
const abi = @import("abi_types.zig");
const memory = @import("memory.zig");
const sealed = @import("sealed.zig");
const segments = @import("segments.zig");
const Status = @import("status.zig").Status;

/// What the pass knows of one stream.
const Account = extern struct {
    /// Log start when the pass began, and when bytes were last taken off.
    log_start: i64,
    counted: i64,
    due: i64,
    /// The first offset that must stay.
    stop: i64,
    /// Bytes above the limit that have not been met yet.
    excess: i64,
    removed: u64,

    /// Takes no part in the pass.
    const absent: Account = .{
        .log_start = 0,
        .counted = 0,
        .due = -1,
        .stop = -1,
        .excess = 0,
        .removed = 0,
    };
};

pub fn SurveyType(comptime Store: type) type {
    return struct {
        const Survey = @This();

        accounts: []Account = &.{},
        next_ns: u64 = 0,
        now_ms: i64 = 0,
        /// The pass stands before this generation; 0: no pass is under way.
        generation: u32 = 0,
        streams_count: u32 = 0,

        pub fn init(survey: *Survey, streams_max: u32) error{OutOfMemory}!void {
            survey.* = .{ .accounts = try memory.reserve(Account, streams_max + 1) };
        }

        pub fn deinit(survey: *Survey) void {
            memory.release(Account, survey.accounts);
        }

        /// The id has a new stream: what a pass under way knows is of another one.
        pub fn meet_new(survey: *Survey, id: u32) void {
            survey.accounts[id] = .absent;
        }

        /// One segment; false when no pass is due.
        pub fn step(store: *Store) bool {
            const survey = &store.survey;
            if (survey.generation == 0) {
                const now = store.io.now_ns();
                if (now < survey.next_ns) return false;
                survey.next_ns = now + store.options.retention_check_ns;
                if (!begin(store)) return false;
            }
            store.lock.lock();
            const table = &store.segments;
            const nth = table.live_from(survey.generation);
            if (nth == table.live_count) {
                store.lock.unlock();
                finish(store);
                survey.generation = 0;
                return true;
            }
            const slot = table.live[nth];
            const segment = &table.segments[slot];
            survey.generation = segment.generation + 1;
            if (segment.taken) {
                store.lock.unlock();
                return true;
            }
            segment.pins += 1;
            const in_memory = segment.table != segments.table_none;
            store.lock.unlock();
            defer store.unpin(slot);

            if (in_memory) {
                walk_memory(store, slot);
            } else {
                // What cannot be read is not due, and the look of a reader or of the recycler
                // has the directory built again.
                walk_file(store, slot) catch stop_all(survey);
            }
            return true;
        }

        /// False when no stream has a limit or a trim to account for.
        fn begin(store: *Store) bool {
            const survey = &store.survey;
            store.lock.lock();
            defer store.lock.unlock();

            survey.now_ms = store.wall_ms();
            survey.streams_count = store.streams.count;
            var wanted = false;
            for (store.streams.streams[1 .. survey.streams_count + 1], 1..) |*stream, id| {
                const account = &survey.accounts[id];
                if (!stream.live()) {
                    account.* = .absent;
                    continue;
                }
                const counted = account.counted;
                account.* = .{
                    .log_start = stream.log_start,
                    .counted = counted,
                    .due = -1,
                    .stop = std.math.maxInt(i64),
                    .excess = 0,
                    .removed = 0,
                };
                if (stream.retention_bytes >= 0 and !stream.flag().bytes_stale) {
                    const bytes: i64 = @intCast(stream.bytes);
                    account.excess = @max(0, bytes - stream.retention_bytes);
                }
                if (stream.retention_ms < 0 and account.excess == 0) account.stop = -1;
                wanted = wanted or account.stop >= 0 or stream.flag().bytes_stale;
            }
            if (wanted) survey.generation = 1;
            return wanted;
        }

        fn stop_all(survey: *Survey) void {
            for (survey.accounts[1 .. survey.streams_count + 1]) |*account| {
                account.stop = @min(account.stop, account.due);
            }
        }

        const chunk_runs = 512;

        /// The lock is given back between chunks: appends go on.
        fn walk_memory(store: *Store, slot: u32) void {
            var at: u32 = 0;
            while (true) {
                store.lock.lock();
                defer store.lock.unlock();

                const segment = &store.segments.segments[slot];
                // Sealed and given up meanwhile: the rest waits for the next pass.
                if (segment.table == segments.table_none) return stop_all(&store.survey);
                const table = &store.directory.tables[segment.table];
                const end = @min(at + chunk_runs, table.count);
                for (table.runs[at..end]) |*run| {
                    visit(store, run.stream, run.base, run.end(), run.length, run.max_timestamp);
                }
                at = end;
                if (at == table.count) return;
            }
        }

        fn walk_file(store: *Store, slot: u32) Store.Sealed.Reader.Error!void {
            const segment = &store.segments.segments[slot];
            const generation = segment.generation;
            const entry = try Store.Files.acquire(store, .directory, slot, generation);
            defer Store.Files.release(store, entry);

            var walk = try Store.Sealed.HeaderWalk.init(store, slot, generation, entry.file.?);
            // Entries lie in another section: a second reader keeps the header's block loaded.
            var entries = try Store.Sealed.HeaderWalk.init(store, slot, generation, entry.file.?);
            while (try walk.next()) |header| {
                store.lock.lock();
                const split = visit_header(store, &header);
                store.lock.unlock();
                if (!split) continue;
                for (0..header.entry_count) |nth| {
                    const found = try entries.entry(&header, @intCast(nth));
                    const base = header.first + found.base_delta;
                    store.lock.lock();
                    defer store.lock.unlock();

                    const end = base + found.extent;
                    visit(store, header.stream, base, end, found.length, found.max_timestamp);
                }
            }
        }

        /// Judges all runs of a header at once where they agree; true: they have to be looked at.
        fn visit_header(store: *Store, header: *const sealed.Header) bool {
            const survey = &store.survey;
            if (header.stream > survey.streams_count) return false;
            const account = &survey.accounts[header.stream];
            if (header.end <= account.log_start) {
                if (header.end <= account.counted) return false;
                if (header.first < account.counted) return true;
                account.removed += header.bytes;
                return false;
            }
            if (header.first < account.log_start and account.counted < account.log_start) return true;
            if (account.stop <= header.first) return false;
            if (account.excess > 0) return true;
            const stream = store.streams.get(header.stream) orelse return false;
            if (stream.retention_ms < 0) return false;
            if (expired(survey, stream.retention_ms, header.max_timestamp)) {
                account.due = @max(account.due, header.end);
                return false;
            }
            return true;
        }

        fn expired(survey: *const Survey, retention_ms: i64, timestamp: i64) bool {
            return retention_ms >= 0 and timestamp >= 0 and timestamp < survey.now_ms - retention_ms;
        }

        fn visit(store: *Store, id: u32, base: i64, end: i64, bytes: u32, timestamp: i64) void {
            const survey = &store.survey;
            if (id > survey.streams_count) return;
            const account = &survey.accounts[id];
            if (end <= account.log_start) {
                if (end > account.counted) account.removed += bytes;
                return;
            }
            if (account.stop <= base) return;
            const stream = store.streams.get(id) orelse return;
            const over = account.excess >= bytes;
            if (over) account.excess -= bytes;
            if (over or expired(survey, stream.retention_ms, timestamp)) {
                account.due = @max(account.due, end);
                return;
            }
            account.stop = @min(account.stop, base);
        }

        fn finish(store: *Store) void {
            const survey = &store.survey;
            var told = false;
            for (survey.accounts[1 .. survey.streams_count + 1], 1..) |*account, id| {
                if (account.removed == 0 and account.due < 0 and
                    account.counted == account.log_start) continue;
                store.lock.lock();
                defer store.lock.unlock();

                const stream = store.streams.get(@intCast(id)) orelse continue;
                stream.bytes -|= account.removed;
                account.counted = account.log_start;
                if (stream.log_start == account.log_start) stream.set("bytes_stale", false);
                const due = @min(account.due, account.stop);
                if (due <= stream.log_start or store.events_full()) continue;
                tell(store, @intCast(id), due);
                told = true;
            }
            if (told) store.notify();
        }

        fn tell(store: *Store, id: u32, due: i64) void {
            store.complete(.{
                .kind = @backingInt(abi.CompletionKind.trim_due),
                .status = @backingInt(Status.ok),
                .request = 0,
                .slot = abi.slot_none,
                .stream = id,
                .bytes = 0,
                .first_offset = @floatFromInt(store.streams.streams[id].log_start),
                .next_offset = @floatFromInt(due),
                .position = 0,
                .segment = 0,
                .batches = 0,
            });
        }
    };
}
