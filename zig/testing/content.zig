//! Bytes as records have them, from a seed, for the tests of the codecs.

const std = @import("std");

pub const Kind = enum { zeros, noise, words, lines, mixed };

const words = [_][]const u8{
    "order", "customer", "amount", "timestamp", "eu-central-1", "true", "null", "{\"id\":", "},",
};

pub fn fill(random: std.Random, kind: Kind, bytes: []u8) void {
    switch (kind) {
        .zeros => @memset(bytes, 0),
        .noise => random.bytes(bytes),
        .words => {
            var at: usize = 0;
            while (at < bytes.len) {
                const word = words[random.uintLessThan(usize, words.len)];
                const size = @min(word.len, bytes.len - at);
                @memcpy(bytes[at..][0..size], word[0..size]);
                at += size;
            }
        },
        .lines => for (bytes, 0..) |*byte, i| {
            byte.* = if (i % 64 < 56) "GET /index.html HTTP/1.1 host"[i % 29] else random.int(u8);
        },
        .mixed => {
            var at: usize = 0;
            while (at < bytes.len) {
                const size = @min(1 + random.uintLessThan(usize, 4096), bytes.len - at);
                const part: Kind = switch (random.uintLessThan(u8, 4)) {
                    0 => .zeros,
                    1 => .noise,
                    2 => .words,
                    else => .lines,
                };
                fill(random, part, bytes[at..][0..size]);
                at += size;
            }
        },
    }
}
