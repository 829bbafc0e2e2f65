// Two messages that use every word of the vocabulary, for what Kafka's own tables lack: uint16 and
// float64, tagged fields of every kind, nullable structs, deep nesting.

import {
  array,
  bool,
  bytes,
  float64,
  int16,
  int32,
  int64,
  int64Saturated,
  int8,
  message,
  offsetOrAbsent,
  records,
  string,
  struct,
  uint16,
  uuid,
  versionMax,
} from "../../proto/schema.ts";

const scalars = {
  bool,
  int8,
  int16,
  uint16,
  int32,
  int64,
  float64,
  saturated: int64Saturated,
  uuid,
};
const sized = {
  string,
  text: string.nullable(),
  bytes,
  blob: bytes.nullable(),
  records,
  batches: records.nullable(),
};

export const Everything = message("Everything", {
  versions: [0, 3],
  flexible: 1,
  fields: {
    scalars: struct(scalars),
    ...sized,
    numbers: array(int64),
    names: array(string).nullable(2),
    ids: array(uuid),
    blobs: array(bytes),
    matrix: array(array(int32)),
    pair: struct({ left: int32, right: string }).nullable(1),
    old: string.until(0).default("before"),
    late: int32.since(3).default(7).ignorable(),
    deep: array({ next: array({ next: array({ next: array({ leaf: bool }) }) }) }),
    taggedScalars: struct(scalars).since(1).tag(0),
    taggedText: string.since(1).tag(1),
    taggedNull: string.since(1).nullable().tag(2),
    taggedList: array({ name: string, value: int32.since(2).default(3).tag(5).ignorable() })
      .since(1)
      .tag(3),
    taggedAbsent: offsetOrAbsent.since(1).default(null).tag(4),
    taggedFar: int32.since(1).default(-1).tag(300),
    taggedPair: struct({ left: int32, right: bytes }).since(1).nullable().tag(6),
  },
});

export const EverythingOld = message("EverythingOld", {
  versions: [0, 1],
  flexible: versionMax,
  fields: {
    scalars: struct(scalars),
    ...sized,
    list: array({ name: string, inner: struct({ value: int16, added: int8.since(1) }) }),
    nothing: array(struct(sized)).nullable(1),
  },
});
