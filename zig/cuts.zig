//! Cuts: truncations that hide frames. A frame is hidden when a cut of its stream and epoch
//! starts at or below its base offset and lies behind it in the log. A frame that was appended
//! after the cut is seen again (Raft may write an entry, lose it and write it once more).

const std = @import("std");
const assert = std.debug.assert;
const memory = @import("memory.zig");
const link_none = @import("streams.zig").link_none;

pub const Cut = extern struct {
    stream: u32,
    epoch: u32,
    base: i64,
    /// Log position of the truncate frame.
    position: u64,
    next: u32,
    unused: u32 = 0,
};

comptime {
    assert(@sizeOf(Cut) == 32);
}

pub const Table = struct {
    cuts: []Cut,
    count: u32 = 0,
    free_first: u32 = link_none,

    pub fn init(cuts_max: u32) error{OutOfMemory}!Table {
        return .{ .cuts = try memory.reserve(Cut, cuts_max) };
    }

    pub fn deinit(table: *Table) void {
        memory.release(Cut, table.cuts);
        table.* = undefined;
    }

    pub fn full(table: *const Table) bool {
        return table.free_first == link_none and table.count == table.cuts.len;
    }

    pub fn hidden(
        table: *const Table,
        chain: u32,
        epoch: u32,
        base: i64,
        position: u64,
    ) bool {
        var at = chain;
        while (at != link_none) {
            const cut = &table.cuts[at];
            if (cut.epoch == epoch and base >= cut.base and position < cut.position) return true;
            at = cut.next;
        }
        return false;
    }

    /// Where the visible part of frames without gaps from `base` to `end` ends; at or below
    /// `base` when all are hidden.
    pub fn visible_end(
        table: *const Table,
        chain: u32,
        epoch: u32,
        end: i64,
        position: u64,
    ) i64 {
        var visible = end;
        var at = chain;
        while (at != link_none) {
            const cut = &table.cuts[at];
            if (cut.epoch == epoch and position < cut.position) visible = @min(visible, cut.base);
            at = cut.next;
        }
        return visible;
    }

    /// `chain` is the stream's first cut. A newer cut at or below an older one replaces it.
    pub fn add(table: *Table, chain: *u32, cut: Cut) bool {
        var at = chain.*;
        while (at != link_none) {
            const old = &table.cuts[at];
            if (old.epoch == cut.epoch and cut.base <= old.base and cut.position >= old.position) {
                old.base = cut.base;
                old.position = cut.position;
                return true;
            }
            at = old.next;
        }
        if (table.full()) return false;
        var index = table.free_first;
        if (index != link_none) {
            table.free_first = table.cuts[index].next;
        } else {
            index = table.count;
            table.count += 1;
        }
        table.cuts[index] = cut;
        table.cuts[index].next = chain.*;
        chain.* = index;
        return true;
    }

    /// Forgets the cuts of one stream that lie at or before `position`: no frame that they hide
    /// exists any more.
    pub fn forget(table: *Table, chain: *u32, position: u64) void {
        var place = chain;
        while (place.* != link_none) {
            const index = place.*;
            const cut = &table.cuts[index];
            if (cut.position > position) {
                place = &cut.next;
                continue;
            }
            place.* = cut.next;
            cut.stream = 0;
            cut.next = table.free_first;
            table.free_first = index;
        }
    }
};

const testing = std.testing;

test "cuts: a cut hides what came before it and nothing that came later" {
    var table = try Table.init(2);
    defer table.deinit();

    var chain: u32 = link_none;
    try testing.expect(!table.hidden(chain, 3, 10, 100));
    const cut: Cut = .{ .stream = 1, .epoch = 3, .base = 10, .position = 500, .next = 0 };
    try testing.expect(table.add(&chain, cut));
    try testing.expect(table.hidden(chain, 3, 10, 100));
    try testing.expect(!table.hidden(chain, 3, 9, 100));
    try testing.expect(!table.hidden(chain, 4, 10, 100));
    try testing.expect(!table.hidden(chain, 3, 10, 500));
    var deeper = cut;
    deeper.base = 5;
    deeper.position = 600;
    try testing.expect(table.add(&chain, deeper));
    try testing.expectEqual(1, table.count);
    try testing.expect(table.hidden(chain, 3, 9, 550));
    deeper.epoch = 4;
    try testing.expect(table.add(&chain, deeper));
    deeper.epoch = 5;
    try testing.expect(table.full());
    try testing.expect(!table.add(&chain, deeper));
    table.forget(&chain, 600);
    try testing.expectEqual(link_none, chain);
    try testing.expect(!table.full());
}
