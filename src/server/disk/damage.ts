// How damage is told in the log of the node: what is wrong, in which file and where.

import { type Completion, damagedDirectory, Status } from "../../storage/storage.ts";

/** Digits in the name of a segment's file, which is its slot. */
const slotDigits = 10;

interface DamageFields {
  readonly cause: "checksum" | "io-error";
  readonly file: string;
  readonly fileOffset: number;
  /** Of the log of all partitions. */
  readonly position: number;
  /** Offsets that are lost; -1: nobody knows. */
  readonly firstOffset: number;
  readonly nextOffset: number;
}

/** `store` is the directory of the log below the data directory. */
export function damageFields(store: "log" | "meta", at: Completion): DamageFields {
  const suffix = at.file === damagedDirectory ? "dir" : "seg";
  return {
    cause: at.status === Status.io ? "io-error" : "checksum",
    file: `${store}/${String(at.segment).padStart(slotDigits, "0")}.${suffix}`,
    fileOffset: at.fileOffset,
    position: at.position,
    firstOffset: at.firstOffset,
    nextOffset: at.nextOffset,
  };
}
