import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { messageBytesMax, requestBytesMax } from "../core/base/limits.ts";
import { type AnyApi, apis } from "./apis.ts";
import {
  decodeRequestHeader,
  decodeResponseHeader,
  encodeRequestFrame,
  encodeResponseFrame,
  frameSize,
} from "./frame.ts";
import { isRefused } from "./refusal.ts";
import { Writer } from "./writer.ts";

function headerOf(bytes: readonly number[]): ReturnType<typeof decodeRequestHeader> {
  return decodeRequestHeader(Uint8Array.from(bytes), 0, bytes.length);
}

test("wire: a frame's length is judged before anything waits for it", () => {
  const size = (bytes: readonly number[], bytesMax: number) =>
    frameSize(Uint8Array.from(bytes), 0, bytes.length, bytesMax);
  expect(size([], 100)).toBe(0);
  expect(size([0, 0, 0], 100)).toBe(0);
  expect(size([0, 0, 0, 0], 100)).toBe(-1);
  expect(size([0, 0, 0, 1], 100)).toBe(5);
  expect(size([0, 0, 0, 100], 100)).toBe(104);
  expect(size([0, 0, 0, 101], 100)).toBe(-1);
  expect(size([0x80, 0, 0, 0], 2 ** 31 - 1)).toBe(-1);
  expect(size([0xff, 0xff, 0xff, 0xff], 2 ** 31 - 1)).toBe(-1);
  expect(size([0x7f, 0xff, 0xff, 0xff], 2 ** 31 - 1)).toBe(2 ** 31 + 3);
  expect(size([0x01, 0, 0, 1], requestBytesMax)).toBe(-1);
  expect(frameSize(Uint8Array.from([9, 0, 0, 0, 7]), 1, 5, 100)).toBe(11);
});

describe("wire: request headers", () => {
  test("wire: a header of v1 carries no tags (Metadata v8, client id and none)", () => {
    const named = headerOf([0, 3, 0, 8, 0, 0, 0, 5, 0, 2, 0x61, 0x62, 9]);
    expect(named).toMatchObject({ apiKey: 3, apiVersion: 8, correlationId: 5, clientId: "ab" });
    expect(named).toMatchObject({ api: apis.Metadata, versionKnown: true, bodyStart: 12 });
    const unnamed = headerOf([0, 3, 0, 8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    expect(unnamed).toMatchObject({ correlationId: -1, clientId: null, bodyStart: 10 });
  });

  test("wire: a header of v2 carries tags, which are skipped (Metadata v9)", () => {
    expect(headerOf([0, 3, 0, 9, 0, 0, 0, 5, 0, 0, 0])).toMatchObject({ bodyStart: 11 });
    expect(headerOf([0, 3, 0, 9, 0, 0, 0, 5, 0, 0, 1, 7, 2, 1, 1])).toMatchObject({
      bodyStart: 15,
    });
    expect(isRefused(headerOf([0, 3, 0, 9, 0, 0, 0, 5, 0, 0]))).toBe(true);
    expect(isRefused(headerOf([0, 3, 0, 9, 0, 0, 0, 5, 0, 0, 1, 7, 9, 1]))).toBe(true);
  });

  test("wire: an unknown key or version is told, not refused, so that it can be answered", () => {
    expect(headerOf([0x7f, 0, 0, 0, 0, 0, 0, 5, 0, 0])).toMatchObject({
      apiKey: 0x7f00,
      api: null,
      versionKnown: false,
    });
    expect(headerOf([0, 18, 0, 99, 0, 0, 0, 5, 0, 0])).toMatchObject({
      api: apis.ApiVersions,
      apiVersion: 99,
      versionKnown: false,
      correlationId: 5,
    });
    expect(headerOf([0, 0, 0, 2, 0, 0, 0, 5, 0, 0])).toMatchObject({
      api: apis.Produce,
      versionKnown: false,
    });
    expect(headerOf([0, 0, 0xff, 0xff, 0, 0, 0, 5, 0, 0])).toMatchObject({ versionKnown: false });
  });

  test("wire: any bytes are a header or a refusal", () => {
    const property = fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      const header = decodeRequestHeader(bytes, 0, bytes.length);
      if (!isRefused(header)) expect(header.bodyStart).toBeLessThanOrEqual(bytes.length);
    });
    fc.assert(property, { seed: 8, numRuns: 5000 });
  });
});

describe("wire: whole frames", () => {
  const writer = new Writer(8);

  test("wire: a request frame reads back (flexible and not, client id and none)", () => {
    for (const version of [0, 3, 8, 9, 12]) {
      for (const clientId of [null, "", "client-1", "ü".repeat(200)]) {
        writer.reset();
        writer.position = 3;
        const request = {
          topics: null,
          allowAutoTopicCreation: true,
          includeClusterAuthorizedOperations: false,
          includeTopicAuthorizedOperations: false,
        };
        const value = version === 0 ? { ...request, topics: [] } : request;
        encodeRequestFrame(apis.Metadata, version, 77, clientId, writer, value);
        const bytes = writer.written();
        expect(frameSize(bytes, 3, bytes.length, 2000)).toBe(bytes.length - 3);
        const header = decodeRequestHeader(bytes, 7, bytes.length);
        expect(header).toMatchObject({
          apiKey: 3,
          apiVersion: version,
          correlationId: 77,
          clientId,
        });
      }
    }
  });

  test("wire: an answer beyond its limit is not appended, and takes no memory beyond it", () => {
    const small = new Writer(64);
    small.position = 10;
    const answer = (topics: number) => ({
      errorCode: 0,
      throttleTimeMs: 0,
      topics: Array.from({ length: topics }, () => ({ name: "a-topic", partitions: [] })),
    });
    const topicBytes = 2 + 7 + 4;
    const whole = 4 + 4 + 2 + 4 + 4 + 10 * topicBytes;
    const encode = (topics: number, bytesMax: number) =>
      encodeResponseFrame(apis.OffsetDelete, 0, 9, small, answer(topics), bytesMax);
    expect(encode(1_000_000, 1000)).toBe(false);
    expect(small.position).toBe(10);
    expect(small.bytes.length).toBeLessThanOrEqual(10 + 1000);
    expect(encode(10, whole - 1)).toBe(false);
    expect(small.position).toBe(10);
    expect(encode(10, whole)).toBe(true);
    expect(small.position).toBe(10 + whole);
    // The limit was that of one answer.
    expect(encode(1000, messageBytesMax)).toBe(true);
    small.reserve(small.position, 1_000_000);
  });

  test("wire: a response header has tags in flexible versions, except that of ApiVersions", () => {
    const cases: readonly (readonly [AnyApi, number, number])[] = [
      [apis.Heartbeat, 3, 8],
      [apis.Heartbeat, 4, 9],
      [apis.OffsetDelete, 0, 8],
    ];
    for (const [api, version, bodyStart] of cases) {
      writer.reset();
      const value = { throttleTimeMs: 0, errorCode: 0, topics: [] };
      encodeResponseFrame(api, version, -2, writer, value);
      const bytes = writer.written();
      expect(frameSize(bytes, 0, bytes.length, 100)).toBe(bytes.length);
      const header = decodeResponseHeader(api, version, bytes, 4, bytes.length);
      expect(header).toEqual({ correlationId: -2, bodyStart });
    }
    writer.reset();
    encodeResponseFrame(apis.ApiVersions, 3, 9, writer, {
      errorCode: 0,
      apiKeys: [],
      throttleTimeMs: 0,
      supportedFeatures: [],
      finalizedFeaturesEpoch: -1,
      finalizedFeatures: [],
      zkMigrationReady: false,
    });
    expect([...writer.written()]).toEqual([0, 0, 0, 12, 0, 0, 0, 9, 0, 0, 1, 0, 0, 0, 0, 0]);
    const bytes = writer.written();
    const header = decodeResponseHeader(apis.ApiVersions, 3, bytes, 4, bytes.length);
    expect(header).toEqual({ correlationId: 9, bodyStart: 8 });
    expect(isRefused(decodeResponseHeader(apis.Heartbeat, 4, bytes, 4, 7))).toBe(true);
    expect(isRefused(decodeResponseHeader(apis.Heartbeat, 4, bytes, 4, 8))).toBe(true);
  });
});
