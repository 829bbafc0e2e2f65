//! Latency of single-record Produce requests on one connection, open loop: requests leave on a fixed
//! schedule whatever the answers do, and a latency counts from the intended time of sending, so a
//! stall of the server is charged to every request that it delays.
//!
//!   open_loop ADDRESS TOPIC SIZE_BYTES RATE_PER_S COUNT WARMUP_COUNT [--spread TOPICS PARTITIONS |
//!     --nats]
//!
//! `--spread`: the last character of TOPIC counts from 0 to TOPICS - 1, and each topic has that many
//! partitions. Most requests go round all partitions in an order that is far from ascending, one in
//! five to the hot hundredth of them. `--nats`: publishes to JetStream, subject TOPIC.
//!
//! One thread sends and receives. It sleeps in ppoll until 50 us before the next request is due and
//! spins from there, because a sleeping thread wakes up that much late. One JSON line on stdout.

const std = @import("std");
const assert = std.debug.assert;
const c = std.c;
const measure = @import("measure.zig");
const Histogram = measure.Histogram;
const now_ns = measure.now_ns;
const printf = measure.printf;

const ns_per_s = std.time.ns_per_s;
const spin_ns = 50 * std.time.ns_per_us;
/// Requests on the way; a server that falls further behind is sent to later, and that counts.
const in_flight_max = 65_536;
const answer_wait_ns = 30 * ns_per_s;
const record_size_max = 8_192;

extern "c" fn dprintf(fd: c_int, format: [*:0]const u8, ...) c_int;

fn fail(words: [*:0]const u8) noreturn {
    _ = dprintf(2, "open_loop: %s\n", words);
    std.process.exit(1);
}

var latency: Histogram = .{};
/// How late a request left: what the generator itself adds.
var lateness: Histogram = .{};
/// Intended times of the requests on the way, by correlation id modulo the size.
var intended_ns: [in_flight_max]u64 = undefined;

/// Grows from the front; everything on the wire is big-endian.
const Writer = struct {
    bytes: []u8,
    size: usize = 0,

    fn int(writer: *Writer, comptime T: type, value: T) void {
        const size = @divExact(@bitSizeOf(T), 8);
        std.mem.writeInt(T, writer.bytes[writer.size..][0..size], value, .big);
        writer.size += size;
    }

    fn raw(writer: *Writer, bytes: []const u8) void {
        @memcpy(writer.bytes[writer.size..][0..bytes.len], bytes);
        writer.size += bytes.len;
    }

    fn string(writer: *Writer, bytes: []const u8) void {
        writer.int(i16, @intCast(bytes.len));
        writer.raw(bytes);
    }

    /// Zig-zag: -1 is 1, n is 2 n.
    fn varint(writer: *Writer, value: i32) void {
        var rest: u32 = @as(u32, @abs(value)) * 2 - @intFromBool(value < 0);
        while (rest >= 0x80) : (rest >>= 7) writer.int(u8, @truncate(rest | 0x80));
        writer.int(u8, @truncate(rest));
    }
};

fn varint_size(value: usize) usize {
    var size: usize = 1;
    var rest = value * 2;
    while (rest >= 0x80) : (rest >>= 7) size += 1;
    return size;
}

const correlation_at = 8;
const client_id = "open_loop";
/// Behind the header: transactional id, acks, timeout, count of topics, the size of the name.
const topic_at = correlation_at + 4 + 2 + client_id.len + 2 + 2 + 4 + 4 + 2;

/// Half random, half constant: neither a best nor a worst case for anything that compresses.
fn fill_value(value: []u8) void {
    var random = std.Random.DefaultPrng.init(value.len);
    random.random().bytes(value[0 .. value.len / 2]);
    @memset(value[value.len / 2 ..], 'a');
}

/// A whole Produce v7 request, acks = all, one record of `size` bytes without key.
fn request_frame(buffer: []u8, topic: []const u8, size: usize) []u8 {
    var value: [record_size_max]u8 = undefined;
    fill_value(value[0..size]);

    const body_size = 3 + 1 + varint_size(size) + size + 1;
    const records_size = varint_size(body_size) + body_size;
    const batch_size = 61 + records_size;
    var writer: Writer = .{ .bytes = buffer };
    writer.int(i32, 0); // frame size, filled in below
    writer.int(i16, 0); // Produce
    writer.int(i16, 7);
    assert(writer.size == correlation_at);
    writer.int(i32, 0); // correlation id, one per request
    writer.string(client_id);
    writer.int(i16, -1); // transactional id
    writer.int(i16, -1); // acks
    writer.int(i32, 30_000); // timeout
    writer.int(i32, 1); // topics
    assert(writer.size + 2 == topic_at);
    writer.string(topic);
    writer.int(i32, 1); // partitions
    writer.int(i32, 0); // partition
    writer.int(i32, @intCast(batch_size));

    writer.int(i64, 0); // base offset
    writer.int(i32, @intCast(batch_size - 12));
    writer.int(i32, -1); // leader epoch
    writer.int(u8, 2); // magic
    const crc_at = writer.size;
    writer.int(u32, 0);
    var wall: c.timespec = undefined;
    assert(c.clock_gettime(.REALTIME, &wall) == 0);
    const timestamp_ms: i64 = @intCast(@divTrunc(wall.nsec, 1_000_000) + wall.sec * 1_000);
    writer.int(i16, 0); // attributes
    writer.int(i32, 0); // last offset delta
    writer.int(i64, timestamp_ms);
    writer.int(i64, timestamp_ms);
    writer.int(i64, -1); // producer id
    writer.int(i16, -1); // producer epoch
    writer.int(i32, -1); // base sequence
    writer.int(i32, 1); // record count
    writer.varint(@intCast(body_size));
    writer.raw(&.{ 0, 0, 0 }); // attributes, timestamp delta, offset delta
    writer.varint(-1); // no key
    writer.varint(@intCast(size));
    writer.raw(value[0..size]);
    writer.int(u8, 0); // headers

    const crc = std.hash.crc.@"CRC-32/ISCSI".hash(buffer[crc_at + 4 .. writer.size]);
    std.mem.writeInt(u32, buffer[crc_at..][0..4], crc, .big);
    std.mem.writeInt(i32, buffer[0..4], @intCast(writer.size - 4), .big);
    return buffer[0..writer.size];
}

const inbox = "_INBOX.open_loop";

/// One publish; the answer of the stream comes to the inbox, in the order of the publishes.
fn publish_frame(buffer: []u8, subject: []const u8, size: usize) []u8 {
    const head = std.fmt.bufPrint(buffer, "PUB {s} {s} {d}\r\n", .{ subject, inbox, size }) catch
        fail("TOPIC is too long");
    fill_value(buffer[head.len..][0..size]);
    @memcpy(buffer[head.len + size ..][0..2], "\r\n");
    return buffer[0 .. head.len + size + 2];
}

/// Where the requests go.
const Spread = struct {
    topics: u64,
    /// Of each topic.
    partitions: u64,

    const hot_share = 5;
    /// Prime, so that its multiples go round any smaller number of partitions.
    const stride = 1_000_003;

    fn partition_of(spread: Spread, index: u64) u64 {
        const all = spread.topics * spread.partitions;
        if (index % hot_share == 0) return index / hot_share * stride % @max(1, all / 100);
        return (index - index / hot_share - 1) * stride % all;
    }
};

test "spread: four of five requests go once round all partitions before any comes again" {
    const spread: Spread = .{ .topics = 10, .partitions = 100 };
    var seen: [1000]u8 = @splat(0);
    var hot: u64 = 0;
    for (0..1250) |index| {
        const partition = spread.partition_of(index);
        if (index % 5 == 0) {
            try std.testing.expect(partition < 10);
            hot += 1;
        } else seen[partition] += 1;
    }
    try std.testing.expectEqual(250, hot);
    for (seen) |count| try std.testing.expectEqual(1, count);
}

fn connect_to(address: []const u8) c.fd_t {
    const colon = std.mem.lastIndexOfScalar(u8, address, ':') orelse fail("ADDRESS is host:port");
    const port = std.fmt.parseInt(u16, address[colon + 1 ..], 10) catch fail("no port in ADDRESS");
    var host: [4]u8 = undefined;
    var parts = std.mem.splitScalar(u8, address[0..colon], '.');
    for (&host) |*byte| {
        const part = parts.next() orelse fail("ADDRESS needs an IPv4 address");
        byte.* = std.fmt.parseInt(u8, part, 10) catch fail("ADDRESS needs an IPv4 address");
    }
    const fd = c.socket(c.AF.INET, c.SOCK.STREAM | c.SOCK.CLOEXEC, 0);
    if (fd < 0) fail("no socket");
    const target: c.sockaddr.in = .{
        .port = std.mem.nativeToBig(u16, port),
        .addr = std.mem.readInt(u32, &host, .native),
    };
    if (c.connect(fd, @ptrCast(&target), @sizeOf(c.sockaddr.in)) != 0) fail("cannot connect");
    const on: c_int = 1;
    assert(c.setsockopt(fd, c.IPPROTO.TCP, c.TCP.NODELAY, &on, @sizeOf(c_int)) == 0);
    return fd;
}

const Run = struct {
    fd: c.fd_t,
    frame: []u8,
    topic_size: usize,
    count: u64,
    warmup: u64,
    interval_ns: u64,
    spread: Spread,
    nats: bool,
    sent: u64 = 0,
    answered: u64 = 0,
    start_ns: u64 = 0,
    input: [64 * 1024]u8 = undefined,
    input_size: usize = 0,

    fn go(run: *Run) void {
        run.start_ns = now_ns() + std.time.ns_per_ms;
        var last_answer_ns = run.start_ns;
        while (run.answered < run.count) {
            const now = now_ns();
            const full = run.sent - run.answered >= in_flight_max;
            if (run.sent < run.count and !full and now >= run.due_ns()) run.send(now);
            const answered = run.answered;
            run.receive();
            if (run.answered > answered) {
                last_answer_ns = now_ns();
                continue;
            }
            if (now -| last_answer_ns > answer_wait_ns) fail("no answer for 30 s");
            run.wait();
        }
    }

    fn due_ns(run: *const Run) u64 {
        return run.start_ns + run.sent * run.interval_ns;
    }

    fn send(run: *Run, now: u64) void {
        const due = run.due_ns();
        intended_ns[run.sent % in_flight_max] = due;
        if (run.sent >= run.warmup) lateness.add(now - due);
        if (!run.nats) run.address_request();
        run.send_all(run.frame);
        run.sent += 1;
    }

    fn send_all(run: *Run, bytes: []const u8) void {
        var start: usize = 0;
        while (start < bytes.len) {
            const taken = c.send(run.fd, bytes[start..].ptr, bytes.len - start, 0);
            if (taken <= 0) fail("the server closed the connection");
            start += @intCast(taken);
        }
    }

    /// Correlation id, topic and partition; the checksum of the batch covers none of them.
    fn address_request(run: *Run) void {
        std.mem.writeInt(u32, run.frame[correlation_at..][0..4], @truncate(run.sent), .big);
        if (run.spread.topics * run.spread.partitions == 1) return;
        const partition = run.spread.partition_of(run.sent);
        const name_end = topic_at + run.topic_size;
        run.frame[name_end - 1] = '0' + @as(u8, @intCast(partition / run.spread.partitions));
        const number: u32 = @intCast(partition % run.spread.partitions);
        std.mem.writeInt(u32, run.frame[name_end + 4 ..][0..4], number, .big);
    }

    fn receive(run: *Run) void {
        const room = run.input[run.input_size..];
        const taken = c.recv(run.fd, room.ptr, room.len, c.MSG.DONTWAIT);
        if (taken == 0) fail("the server closed the connection");
        if (taken < 0) return;
        const now = now_ns();
        run.input_size += @intCast(taken);
        const start = if (run.nats) run.take_messages(now) else run.take_answers(now);
        std.mem.copyForwards(u8, &run.input, run.input[start..run.input_size]);
        run.input_size -= start;
    }

    /// Bytes of the whole answers at the start of the input.
    fn take_answers(run: *Run, now: u64) usize {
        var start: usize = 0;
        while (run.input_size - start >= 4) {
            const size: usize = std.mem.readInt(u32, run.input[start..][0..4], .big);
            if (run.input_size - start < 4 + size) break;
            run.take(run.input[start + 4 ..][0..size], now);
            start += 4 + size;
        }
        return start;
    }

    /// NATS: lines, and behind `MSG subject sid size` a body and a line's end.
    fn take_messages(run: *Run, now: u64) usize {
        var start: usize = 0;
        while (true) {
            const rest = run.input[start..run.input_size];
            const end = std.mem.indexOf(u8, rest, "\r\n") orelse return start;
            const line = rest[0..end];
            if (std.mem.startsWith(u8, line, "PING")) run.send_all("PONG\r\n");
            if (std.mem.startsWith(u8, line, "-ERR")) fail("nats answered an error");
            start += end + 2;
            if (!std.mem.startsWith(u8, line, "MSG ")) continue;
            const space = std.mem.lastIndexOfScalar(u8, line, ' ') orelse unreachable;
            const size = std.fmt.parseInt(usize, line[space + 1 ..], 10) catch
                fail("nats sent no size");
            if (rest.len < end + 2 + size + 2) return start - (end + 2);
            const body = rest[end + 2 ..][0..size];
            if (std.mem.indexOf(u8, body, "\"error\"") != null) fail("nats refused a publish");
            start += size + 2;
            run.count_answer(now);
        }
    }

    /// Produce v7 answer: correlation id, one topic, one partition, error code, ...
    fn take(run: *Run, answer: []const u8, now: u64) void {
        const code_at = 4 + 4 + 2 + run.topic_size + 4 + 4;
        if (answer.len < code_at + 2) fail("an answer is too short");
        const id = std.mem.readInt(u32, answer[0..4], .big);
        if (id != @as(u32, @truncate(run.answered))) fail("an answer is out of order");
        const code = std.mem.readInt(i16, answer[code_at..][0..2], .big);
        if (code != 0) {
            _ = dprintf(2, "open_loop: Produce answered error %d\n", @as(c_int, code));
            std.process.exit(1);
        }
        run.count_answer(now);
    }

    fn count_answer(run: *Run, now: u64) void {
        if (run.answered >= run.warmup) {
            latency.add(now - intended_ns[run.answered % in_flight_max]);
        }
        run.answered += 1;
    }

    /// Until an answer comes or the next request is nearly due.
    fn wait(run: *Run) void {
        var pause_ns: u64 = ns_per_s;
        if (run.sent < run.count) {
            const ahead = run.due_ns() -| now_ns();
            if (ahead <= spin_ns) return;
            pause_ns = ahead - spin_ns;
        }
        var fds = [_]c.pollfd{.{ .fd = run.fd, .events = c.POLL.IN, .revents = 0 }};
        const timeout: c.timespec = .{
            .sec = @intCast(pause_ns / ns_per_s),
            .nsec = @intCast(pause_ns % ns_per_s),
        };
        _ = c.ppoll(&fds, 1, &timeout, null);
    }
};

fn print_result(run: *const Run, elapsed_ns: u64) void {
    _ = printf("{\"count\":%llu,", latency.total);
    const rate = @as(f64, @floatFromInt(run.count * ns_per_s)) / @as(f64, @floatFromInt(elapsed_ns));
    _ = printf("\"requests_per_s\":%.0f,", rate);
    latency.print_percentiles();
    measure.print_us("send_late_p50_us", lateness.percentile(0.5));
    measure.print_us("send_late_p99_us", lateness.percentile(0.99));
    _ = printf("\"histogram_ns\":");
    latency.print_buckets();
    _ = printf("}\n");
}

var run_state: Run = undefined;
var frame_buffer: [record_size_max + 1024]u8 = undefined;

const usage = "ADDRESS TOPIC SIZE_BYTES RATE_PER_S COUNT WARMUP_COUNT " ++
    "[--spread TOPICS PARTITIONS | --nats]";

fn number_of(text: ?[]const u8) u64 {
    return std.fmt.parseInt(u64, text orelse fail(usage), 10) catch fail(usage);
}

pub fn main(init: std.process.Init.Minimal) void {
    var arguments = init.args.iterate();
    _ = arguments.skip();
    const address = arguments.next() orelse fail(usage);
    const topic = arguments.next() orelse fail(usage);
    const size = number_of(arguments.next());
    const rate = number_of(arguments.next());
    const count = number_of(arguments.next());
    const warmup = number_of(arguments.next());
    if (size > record_size_max or rate == 0 or count <= warmup) fail(usage);
    if (topic.len == 0 or topic.len > 249) fail(usage);
    const choice = arguments.next() orelse "";
    const nats = std.mem.eql(u8, choice, "--nats");
    var spread: Spread = .{ .topics = 1, .partitions = 1 };
    if (std.mem.eql(u8, choice, "--spread")) {
        spread = .{
            .topics = number_of(arguments.next()),
            .partitions = number_of(arguments.next()),
        };
        if (spread.topics == 0 or spread.topics > 10 or spread.partitions == 0) fail(usage);
    } else if (choice.len > 0 and !nats) fail(usage);
    run_state = .{
        .fd = connect_to(address),
        .frame = if (nats)
            publish_frame(&frame_buffer, topic, size)
        else
            request_frame(&frame_buffer, topic, size),
        .topic_size = topic.len,
        .count = count,
        .warmup = warmup,
        .interval_ns = ns_per_s / rate,
        .spread = spread,
        .nats = nats,
    };
    if (nats) run_state.send_all("CONNECT {\"verbose\":false}\r\nSUB " ++ inbox ++ " 1\r\n");
    run_state.go();
    print_result(&run_state, now_ns() - run_state.start_ns);
}
