//! CRC-32C (Castagnoli, RFC 3720 appendix B.4: reflected, initial and final value all ones), the
//! checksum of Kafka's record batches and of everything that the engine writes.
//!
//! The module is compiled for a baseline CPU; what this one can do is asked once at run time.
//! Hardware computes three independent streams at once, because the instruction takes a new word
//! each cycle but answers only after three, and joins them by carry-less multiplication
//! (V. Gopal et al., Fast CRC Computation for iSCSI Polynomial Using CRC32 Instruction, Intel
//! 2011). Without such instructions: slicing-by-8 (M. Kounavis and F. Berry, 2005).

const std = @import("std");
const builtin = @import("builtin");
const assert = std.debug.assert;

/// The checksum of what gave `seed` followed by `bytes`; `seed` is 0 at the start.
pub fn crc32c(seed: u32, bytes: []const u8) u32 {
    return ~switch (path()) {
        .table => update_table(~seed, bytes),
        .one_stream => update_hardware(false, ~seed, bytes),
        .three_streams => update_hardware(true, ~seed, bytes),
        .vectors => if (builtin.cpu.arch == .x86_64) update_vectors(~seed, bytes) else unreachable,
    };
}

const Path = enum(u8) {
    table,
    /// The checksum instruction without the multiplication that joins streams.
    one_stream,
    three_streams,
    /// Beside the streams, carry-less multiplication of 256-bit vectors (x86-64).
    vectors,
};

/// What this CPU can do, plus one; 0 before anybody asked. Unordered: every thread that finds 0
/// computes the same answer.
var path_cache: std.atomic.Value(u8) = .init(0);

inline fn path() Path {
    const cached = path_cache.load(.monotonic);
    if (cached != 0) return @fromBackingInt(cached - 1);
    return path_detect();
}

fn path_detect() Path {
    @branchHint(.cold);
    const found = detect();
    path_cache.store(@backingInt(found) + 1, .monotonic);
    return found;
}

fn detect() Path {
    switch (builtin.cpu.arch) {
        .x86_64 => {
            // Leaf 1, ECX: bit 20 SSE4.2, bit 1 PCLMULQDQ.
            const basic = cpuid(1);
            if (basic.ecx & (1 << 20) == 0) return .table;
            if (basic.ecx & (1 << 1) == 0) return .one_stream;
            return if (has_vectors(basic)) .vectors else .three_streams;
        },
        .aarch64 => switch (builtin.os.tag) {
            .linux => {
                // HWCAP (auxiliary vector entry 16): bit 7 CRC32, bit 4 PMULL.
                const capabilities = std.c.getauxval(16);
                if (capabilities & (1 << 7) == 0) return .table;
                return if (capabilities & (1 << 4) == 0) .one_stream else .three_streams;
            },
            .windows => {
                // PF_ARM_V8_CRC32_INSTRUCTIONS_AVAILABLE, PF_ARM_V8_CRYPTO_INSTRUCTIONS_AVAILABLE.
                if (IsProcessorFeaturePresent(31) == 0) return .table;
                return if (IsProcessorFeaturePresent(30) == 0) .one_stream else .three_streams;
            },
            // Every Apple CPU of this kind has both.
            else => return if (builtin.os.tag.isDarwin()) .three_streams else .table,
        },
        else => return .table,
    }
}

const Leaf = struct { eax: u32, ebx: u32, ecx: u32 };

fn cpuid(leaf: u32) Leaf {
    var eax: u32 = 0;
    var ebx: u32 = 0;
    var ecx: u32 = 0;
    asm volatile ("cpuid"
        : [eax] "={eax}" (eax),
          [ebx] "={ebx}" (ebx),
          [ecx] "={ecx}" (ecx),
        : [leaf] "{eax}" (leaf),
          [subleaf] "{ecx}" (@as(u32, 0)),
        : .{ .edx = true });
    return .{ .eax = eax, .ebx = ebx, .ecx = ecx };
}

fn has_vectors(basic: Leaf) bool {
    // OSXSAVE and AVX, and the operating system keeps the 256-bit registers (XCR0 bits 1 and 2).
    if (basic.ecx & (1 << 27) == 0 or basic.ecx & (1 << 28) == 0) return false;
    var xcr0: u32 = 0;
    asm volatile ("xgetbv"
        : [low] "={eax}" (xcr0),
        : [register] "{ecx}" (@as(u32, 0)),
        : .{ .edx = true });
    if (xcr0 & 6 != 6) return false;
    // Leaf 7: AVX2 is bit 5 of EBX, VPCLMULQDQ bit 10 of ECX.
    if (cpuid(0).eax < 7) return false;
    const extended = cpuid(7);
    return extended.ebx & (1 << 5) != 0 and extended.ecx & (1 << 10) != 0;
}

extern "kernel32" fn IsProcessorFeaturePresent(feature: u32) callconv(.winapi) c_int;

// Below, `state` is the inverted checksum, the register of the division.

/// The polynomial, bit-reflected: bit i is the coefficient of x^(31 - i).
const polynomial: u32 = 0x82f63b78;

/// table[k][b]: the state after byte b and k zero bytes, from state 0.
const table: [8][256]u32 = blk: {
    @setEvalBranchQuota(40_000);
    var result: [8][256]u32 = undefined;
    for (0..256) |byte| {
        var state: u32 = byte;
        for (0..8) |_| state = (state >> 1) ^ (polynomial & (0 -% (state & 1)));
        result[0][byte] = state;
    }
    for (1..8) |zeros| {
        for (0..256) |byte| {
            const before = result[zeros - 1][byte];
            result[zeros][byte] = (before >> 8) ^ result[0][before & 0xff];
        }
    }
    break :blk result;
};

fn update_table(state_before: u32, bytes: []const u8) u32 {
    var state = state_before;
    var rest = bytes;
    while (rest.len >= 8) : (rest = rest[8..]) {
        const word = std.mem.readInt(u64, rest[0..8], .little) ^ state;
        state = 0;
        inline for (0..8) |i| {
            state ^= table[7 - i][@as(u8, @truncate(word >> (8 * i)))];
        }
    }
    for (rest) |byte| state = (state >> 8) ^ table[0][@as(u8, @truncate(state)) ^ byte];
    return state;
}

/// Bytes per stream of one round, largest first. A round joins three streams, which costs about as
/// much as 60 bytes; three sizes keep what is left for the single stream below 96 bytes.
const stream_sizes = [_]usize{ 4096, 256, 32 };

inline fn update_hardware(comptime streams: bool, state_before: u32, bytes: []const u8) u32 {
    var state = state_before;
    var at = bytes.ptr;
    var size = bytes.len;
    if (streams) {
        inline for (stream_sizes) |size_stream| {
            while (size >= 3 * size_stream) {
                state = round(size_stream, state, at[0 .. 3 * size_stream]);
                at += 3 * size_stream;
                size -= 3 * size_stream;
            }
        }
    }
    while (size >= 8) {
        state = step8(state, load8(at));
        at += 8;
        size -= 8;
    }
    if (size >= 4) {
        state = step4(state, std.mem.readInt(u32, at[0..4], .little));
        at += 4;
        size -= 4;
    }
    while (size > 0) {
        state = step1(state, at[0]);
        at += 1;
        size -= 1;
    }
    return state;
}

inline fn round(
    comptime size_stream: usize,
    state: u32,
    bytes: *const [3 * size_stream]u8,
) u32 {
    comptime assert(size_stream % 32 == 0);
    var a = state;
    var b: u32 = 0;
    var c: u32 = 0;
    var at: [*]const u8 = bytes;
    for (0..size_stream / 32) |_| {
        inline for (.{ 0, 8, 16, 24 }) |i| {
            a = step8(a, load8(at + i));
            b = step8(b, load8(at + i + size_stream));
            c = step8(c, load8(at + i + 2 * size_stream));
        }
        at += 32;
    }
    const shift_b = comptime shift_factor(size_stream);
    const shift_a = comptime shift_factor(2 * size_stream);
    return step8(0, multiply(a, shift_a) ^ multiply(b, shift_b)) ^ c;
}

/// Turns of the loop below in one round, largest first.
const vector_turns = [_]usize{ 128, 32, 16 };

inline fn update_vectors(state_before: u32, bytes: []const u8) u32 {
    var state = state_before;
    var rest = bytes;
    inline for (vector_turns) |turns| {
        const size = comptime vector_round_size(turns);
        while (rest.len >= size) : (rest = rest[size..]) {
            state = vector_round(turns, state, rest[0..size]);
        }
    }
    return update_hardware(true, state, rest);
}

const stream_step = 40;
const vector_step = 128;

fn vector_round_size(comptime turns: usize) usize {
    return 3 * stream_step * turns + vector_step * (turns + 1);
}

/// Three streams and, behind them, four 256-bit vectors, which are busy in other parts of the CPU:
/// each turn takes 120 and 128 bytes. A vector is two remainders of 128 bits; one step multiplies
/// them by x^1024, their distance to the bytes that they meet next (V. Gopal et al., Fast CRC
/// Computation for Generic Polynomials Using PCLMULQDQ Instruction, Intel 2009).
fn vector_round(
    comptime turns: usize,
    state: u32,
    bytes: *const [vector_round_size(turns)]u8,
) u32 {
    const size_stream = stream_step * turns;
    const size_vectors = comptime vector_step * (turns + 1);
    // By 1024 bits, then to join the vectors by 256.
    const factors: [4]u64 align(16) = comptime .{
        fold_factor(1024 + 64), fold_factor(1024),
        fold_factor(256 + 64),  fold_factor(256),
    };
    var remainders: [4]u64 = undefined;
    var a: u64 = state;
    var b: u64 = 0;
    var c: u64 = 0;
    var stream: [*]const u8 = bytes;
    var vectors: [*]const u8 = bytes[3 * size_stream ..];
    var turns_left: usize = turns;
    asm volatile (
        \\vbroadcasti128 (%[factors]), %%ymm8
        \\vmovdqu (%[vectors]), %%ymm0
        \\vmovdqu 32(%[vectors]), %%ymm1
        \\vmovdqu 64(%[vectors]), %%ymm2
        \\vmovdqu 96(%[vectors]), %%ymm3
        \\.p2align 5
        \\1:
        \\vpclmulqdq $0x00, %%ymm8, %%ymm0, %%ymm4
        \\crc32q (%[stream]), %[a]
        \\crc32q (%[stream],%[size]), %[b]
        \\crc32q (%[stream],%[size],2), %[c]
        \\vpclmulqdq $0x11, %%ymm8, %%ymm0, %%ymm0
        \\vpxor 128(%[vectors]), %%ymm4, %%ymm4
        \\vpclmulqdq $0x00, %%ymm8, %%ymm1, %%ymm5
        \\crc32q 8(%[stream]), %[a]
        \\crc32q 8(%[stream],%[size]), %[b]
        \\crc32q 8(%[stream],%[size],2), %[c]
        \\vpclmulqdq $0x11, %%ymm8, %%ymm1, %%ymm1
        \\vpxor 160(%[vectors]), %%ymm5, %%ymm5
        \\vpxor %%ymm4, %%ymm0, %%ymm0
        \\vpclmulqdq $0x00, %%ymm8, %%ymm2, %%ymm6
        \\crc32q 16(%[stream]), %[a]
        \\crc32q 16(%[stream],%[size]), %[b]
        \\crc32q 16(%[stream],%[size],2), %[c]
        \\vpclmulqdq $0x11, %%ymm8, %%ymm2, %%ymm2
        \\vpxor 192(%[vectors]), %%ymm6, %%ymm6
        \\vpxor %%ymm5, %%ymm1, %%ymm1
        \\vpclmulqdq $0x00, %%ymm8, %%ymm3, %%ymm7
        \\crc32q 24(%[stream]), %[a]
        \\crc32q 24(%[stream],%[size]), %[b]
        \\crc32q 24(%[stream],%[size],2), %[c]
        \\vpclmulqdq $0x11, %%ymm8, %%ymm3, %%ymm3
        \\vpxor 224(%[vectors]), %%ymm7, %%ymm7
        \\vpxor %%ymm6, %%ymm2, %%ymm2
        \\crc32q 32(%[stream]), %[a]
        \\crc32q 32(%[stream],%[size]), %[b]
        \\crc32q 32(%[stream],%[size],2), %[c]
        \\vpxor %%ymm7, %%ymm3, %%ymm3
        \\add $40, %[stream]
        \\add $128, %[vectors]
        \\dec %[turns]
        \\jnz 1b
        \\vbroadcasti128 16(%[factors]), %%ymm8
        \\vpclmulqdq $0x00, %%ymm8, %%ymm0, %%ymm4
        \\vpclmulqdq $0x11, %%ymm8, %%ymm0, %%ymm0
        \\vpxor %%ymm4, %%ymm1, %%ymm1
        \\vpxor %%ymm0, %%ymm1, %%ymm1
        \\vpclmulqdq $0x00, %%ymm8, %%ymm1, %%ymm4
        \\vpclmulqdq $0x11, %%ymm8, %%ymm1, %%ymm1
        \\vpxor %%ymm4, %%ymm2, %%ymm2
        \\vpxor %%ymm1, %%ymm2, %%ymm2
        \\vpclmulqdq $0x00, %%ymm8, %%ymm2, %%ymm4
        \\vpclmulqdq $0x11, %%ymm8, %%ymm2, %%ymm2
        \\vpxor %%ymm4, %%ymm3, %%ymm3
        \\vpxor %%ymm2, %%ymm3, %%ymm3
        \\vmovdqu %%ymm3, (%[remainders])
        \\vzeroupper
        : [a] "+r" (a),
          [b] "+r" (b),
          [c] "+r" (c),
          [stream] "+r" (stream),
          [vectors] "+r" (vectors),
          [turns] "+r" (turns_left),
        : [size] "r" (size_stream),
          [factors] "r" (&factors),
          [remainders] "r" (&remainders),
        : .{
          .memory = true,
          .cc = true,
          .xmm0 = true,
          .xmm1 = true,
          .xmm2 = true,
          .xmm3 = true,
          .xmm4 = true,
          .xmm5 = true,
          .xmm6 = true,
          .xmm7 = true,
          .xmm8 = true,
        });
    var vector_state: u32 = 0;
    for (remainders) |word| vector_state = step8(vector_state, word);

    const joined = multiply(@truncate(a), comptime shift_factor(2 * size_stream + size_vectors)) ^
        multiply(@truncate(b), comptime shift_factor(size_stream + size_vectors)) ^
        multiply(@truncate(c), comptime shift_factor(size_vectors));
    return step8(0, joined) ^ vector_state;
}

/// What to multiply a 64-bit part of a remainder with to move it by `distance` bits: x^(distance -
/// 33) modulo the polynomial; its place in the low half of a 64-bit value adds x^32, the product of
/// reflected values one more x.
fn fold_factor(comptime distance: usize) u64 {
    return power_of_x(distance - 33);
}

/// What to multiply a state with so that `step8(0, product)` is the state after `count` zero
/// bytes: x^(8 count - 33) modulo the polynomial. The instruction itself contributes x^32, and the
/// product of two reflected 32-bit values, read as a reflected 64-bit value, one more x.
fn shift_factor(comptime count: usize) u32 {
    return power_of_x(8 * count - 33);
}

/// x^exponent modulo the polynomial.
fn power_of_x(exponent: usize) u32 {
    @setEvalBranchQuota(1_000_000);
    var power: u32 = 1 << 31; // x^0
    for (0..exponent) |_| {
        power = (power >> 1) ^ (polynomial & (0 -% (power & 1)));
    }
    return power;
}

inline fn load8(at: [*]const u8) u64 {
    return std.mem.littleToNative(u64, @as(*align(1) const u64, @ptrCast(at)).*);
}

inline fn step8(state: u32, word: u64) u32 {
    return switch (builtin.cpu.arch) {
        .x86_64 => @truncate(asm ("crc32q %[word], %[state]"
            : [state] "=r" (-> u64),
            : [word] "r" (word),
              [in] "0" (@as(u64, state)),
        )),
        .aarch64 => asm (
            \\.arch_extension crc
            \\crc32cx %[out:w], %[state:w], %[word]
            : [out] "=r" (-> u32),
            : [word] "r" (word),
              [state] "r" (state),
        ),
        else => unreachable,
    };
}

inline fn step4(state: u32, word: u32) u32 {
    return switch (builtin.cpu.arch) {
        .x86_64 => asm ("crc32l %[word], %[state]"
            : [state] "=r" (-> u32),
            : [word] "r" (word),
              [in] "0" (state),
        ),
        .aarch64 => asm (
            \\.arch_extension crc
            \\crc32cw %[out:w], %[state:w], %[word:w]
            : [out] "=r" (-> u32),
            : [word] "r" (word),
              [state] "r" (state),
        ),
        else => unreachable,
    };
}

inline fn step1(state: u32, byte: u8) u32 {
    return switch (builtin.cpu.arch) {
        .x86_64 => asm ("crc32b %[byte], %[state]"
            : [state] "=r" (-> u32),
            : [byte] "r" (byte),
              [in] "0" (state),
        ),
        .aarch64 => asm (
            \\.arch_extension crc
            \\crc32cb %[out:w], %[state:w], %[byte:w]
            : [out] "=r" (-> u32),
            : [byte] "r" (@as(u32, byte)),
              [state] "r" (state),
        ),
        else => unreachable,
    };
}

/// Carry-less product.
inline fn multiply(a: u32, b: u32) u64 {
    const Pair = @Vector(2, u64);
    const a_pair: Pair = .{ a, 0 };
    const b_pair: Pair = .{ b, 0 };
    const product: Pair = switch (builtin.cpu.arch) {
        .x86_64 => asm ("pclmulqdq $0, %[b], %[a]"
            : [a] "=x" (-> Pair),
            : [b] "x" (b_pair),
              [in] "0" (a_pair),
        ),
        .aarch64 => asm (
            \\.arch_extension aes
            \\pmull %[out].1q, %[a].1d, %[b].1d
            : [out] "=w" (-> Pair),
            : [a] "w" (a_pair),
              [b] "w" (b_pair),
        ),
        else => unreachable,
    };
    return product[0];
}

const testing = std.testing;

/// Bit by bit from the definition: the oracle.
fn update_bits(state_before: u32, bytes: []const u8) u32 {
    var state = state_before;
    for (bytes) |byte| {
        state ^= byte;
        for (0..8) |_| state = (state >> 1) ^ (polynomial & (0 -% (state & 1)));
    }
    return state;
}

fn update_one_stream(state: u32, bytes: []const u8) u32 {
    return update_hardware(false, state, bytes);
}

fn update_three_streams(state: u32, bytes: []const u8) u32 {
    return update_hardware(true, state, bytes);
}

test "crc32c: the vectors of RFC 3720 B.4 and the check value" {
    var bytes: [48]u8 = @splat(0);
    try testing.expectEqual(0x8a9136aa, crc32c(0, bytes[0..32]));
    @memset(bytes[0..32], 0xff);
    try testing.expectEqual(0x62a8ab43, crc32c(0, bytes[0..32]));
    for (bytes[0..32], 0..) |*byte, i| byte.* = @intCast(i);
    try testing.expectEqual(0x46dd794e, crc32c(0, bytes[0..32]));
    for (bytes[0..32], 0..) |*byte, i| byte.* = @intCast(31 - i);
    try testing.expectEqual(0x113fdb5c, crc32c(0, bytes[0..32]));
    // An iSCSI SCSI Read (10) command.
    @memset(&bytes, 0);
    bytes[0] = 0x01;
    bytes[1] = 0xc0;
    bytes[16] = 0x14;
    bytes[22] = 0x04;
    bytes[27] = 0x14;
    bytes[31] = 0x18;
    bytes[32] = 0x28;
    bytes[40] = 0x02;
    try testing.expectEqual(0xd9963a56, crc32c(0, &bytes));
    try testing.expectEqual(0xe3069283, crc32c(0, "123456789"));
    try testing.expectEqual(0, crc32c(0, ""));
}

test "crc32c: every path agrees with the definition (2400 lengths and offsets)" {
    var bytes: [64 * 1024]u8 = undefined;
    var random: std.Random.DefaultPrng = .init(0x6372_6333);
    random.fill(&bytes);
    const found = detect();
    for (0..2400) |i| {
        // All short lengths, then lengths around the sizes of the rounds, then any.
        const len = switch (i) {
            0...799 => i,
            800...1199 => 12288 - 200 + (i - 800),
            1200...1399 => 2 * 12288 - 100 + (i - 1200),
            else => random.next() % (bytes.len - 64),
        };
        const start = random.next() % 64;
        const seed: u32 = @truncate(random.next());
        const slice = bytes[start..][0..len];
        const expected = update_bits(seed, slice);
        try testing.expectEqual(expected, update_table(seed, slice));
        if (found != .table) try testing.expectEqual(expected, update_one_stream(seed, slice));
        if (found == .three_streams or found == .vectors) {
            try testing.expectEqual(expected, update_three_streams(seed, slice));
        }
        if (builtin.cpu.arch == .x86_64) if (found == .vectors) {
            try testing.expectEqual(expected, update_vectors(seed, slice));
        };
        try testing.expectEqual(~expected, crc32c(~seed, slice));
    }
}

test "crc32c: a checksum goes on where the last one ended" {
    var bytes: [20_000]u8 = undefined;
    var random: std.Random.DefaultPrng = .init(7);
    random.fill(&bytes);
    const whole = crc32c(0, &bytes);
    for (0..200) |_| {
        const cut = random.next() % bytes.len;
        try testing.expectEqual(whole, crc32c(crc32c(0, bytes[0..cut]), bytes[cut..]));
    }
}
