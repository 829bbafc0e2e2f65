//! The answers of the engine. Numbers are part of the ABI: one that is removed stays unused.

const io = @import("io.zig");

pub const Status = enum(i32) {
    ok = 0,
    /// A bad argument.
    invalid = -1,
    /// An unknown handle, or one of something that is gone.
    stale = -2,
    /// No credit in the staging ring.
    full = -3,
    /// Not in the staging ring: ask the readers.
    cold = -4,
    /// Below the log start or above the end.
    out_of_range = -5,
    /// Nothing is stored at or after the offset below the limit.
    absent = -6,
    damaged = -7,
    /// The destination is too small; `bytes` says what is needed.
    too_small = -8,
    /// No free request slot.
    busy = -9,
    disk_full = -10,
    io = -11,
    /// A write or sync failed; final for this store.
    failed = -12,
    /// Another process holds the directory.
    locked = -13,
    /// An unknown newer format, or a file of another node.
    format = -14,
    damaged_directory = -15,
    no_memory = -16,
    exists = -17,
    not_found = -18,
    read_only = -19,
    too_many_streams = -20,
    closed = -21,
    access = -22,
};

pub fn of_io(failure: io.Error) Status {
    return switch (failure) {
        error.NotFound => .not_found,
        error.Exists => .exists,
        error.NoSpace => .disk_full,
        error.ReadOnly => .read_only,
        error.Access => .access,
        error.Locked => .locked,
        error.TooManyFiles, error.Io, error.NotDirectory => .io,
    };
}
