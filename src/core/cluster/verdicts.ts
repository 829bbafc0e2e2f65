// What planning returns.

import type { Outcome, Verdict } from "../base/commands.ts";
import { ErrorCode } from "../base/error_code.ts";
import type { MetadataRecord } from "../../../proto/records/metadata.ts";

export interface Plan<O extends Outcome = Outcome> {
  /** To be appended together, in this order; empty when nothing changes. */
  readonly records: readonly MetadataRecord[];
  readonly outcome: O;
}

export const done: Verdict = { code: ErrorCode.NONE, message: null };

export function refusal(code: number, message: string): Verdict {
  return { code, message };
}
