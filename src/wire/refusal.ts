// How decoding says no. Inside a decoder one reused error unwinds the stack; the doors turn it into
// a refusal, and no other exception leaves them, whatever the bytes are.

export type DecodeFault =
  /** The bytes end before the message does, or a length reaches past them. */
  | "truncated"
  /** More array elements than the bytes could hold, or than a message may have. */
  | "count"
  /** Null where the version does not allow it. */
  | "null"
  /** A varint that is longer than its value needs, or too large. */
  | "varint"
  /** A string that is no UTF-8, or longer than Kafka allows. */
  | "string"
  /** Tagged fields that are too many, out of order, or of another size than they say. */
  | "tags"
  /** An int64 of 2^53 or more, in either direction. */
  | "unsafe-int64"
  /** A version that the message does not have. */
  | "version";

export class DecodeRefusal {
  readonly kind = "refused";
  readonly refusal: DecodeFault;

  constructor(refusal: DecodeFault) {
    this.refusal = refusal;
  }
}

export function isRefused(value: unknown): value is DecodeRefusal {
  return value instanceof DecodeRefusal;
}

const refusals: Readonly<Record<DecodeFault, DecodeRefusal>> = {
  truncated: new DecodeRefusal("truncated"),
  count: new DecodeRefusal("count"),
  null: new DecodeRefusal("null"),
  varint: new DecodeRefusal("varint"),
  string: new DecodeRefusal("string"),
  tags: new DecodeRefusal("tags"),
  "unsafe-int64": new DecodeRefusal("unsafe-int64"),
  version: new DecodeRefusal("version"),
};

export function refuse(fault: DecodeFault): DecodeRefusal {
  return refusals[fault];
}

class DecodeError extends Error {
  override readonly name = "DecodeError";
  fault: DecodeFault = "truncated";
}

/** Made once: a new error with its stack costs more than decoding the message. */
const decodeError = new DecodeError("caught at the door of the codec");

export function fail(fault: DecodeFault): never {
  decodeError.fault = fault;
  throw decodeError;
}

/** The refusal behind an exception; every other exception is a bug of ours and goes on. */
export function refusalOf(error: unknown): DecodeRefusal {
  if (error !== decodeError) throw error;
  return refusals[decodeError.fault];
}
