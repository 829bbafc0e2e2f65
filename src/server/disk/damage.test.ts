// What the log says of damage.

import { expect, test } from "bun:test";
import {
  type Completion,
  CompletionKind,
  damagedDirectory,
  Status,
} from "../../storage/storage.ts";
import { damageFields } from "./damage.ts";

const met: Completion = {
  kind: CompletionKind.damage,
  status: Status.damaged,
  request: 0,
  slot: 0,
  stream: 4,
  bytes: 0,
  firstOffset: 70,
  nextOffset: 75,
  position: 1_052_672,
  segment: 12,
  file: 0,
  fileOffset: 4096,
};

test("server: damage is told with its file and the place in it", () => {
  expect(damageFields("log", met)).toEqual({
    cause: "checksum",
    file: "log/0000000012.seg",
    fileOffset: 4096,
    position: 1_052_672,
    firstOffset: 70,
    nextOffset: 75,
  });
});

test("server: a directory that the disk refuses to read is no damage of bytes", () => {
  const refused = { ...met, status: Status.io, file: damagedDirectory };
  const { cause, file } = damageFields("meta", refused);
  expect({ cause, file }).toEqual({ cause: "io-error", file: "meta/0000000012.dir" });
});
