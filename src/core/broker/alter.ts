// What AlterConfigs and IncrementalAlterConfigs share: resources become one command, verdicts
// become the answer.
//
// Refusals per resource: 3 unknown topic, 7 the cluster did not take it in time, 17 topic name, 40
// setting, or append to one that is no list, 42 resource or setting named twice, null value,
// resource type or name, setting of a node that cannot change while it runs, 44 too many settings.

import type { ConfigChange, Verdict } from "../base/commands.ts";
import { ErrorCode } from "../base/error_code.ts";
import { changeResources, clipped, duplicatesOf, merged } from "./admin.ts";
import type { Broker } from "./broker.ts";

export interface ResourceToAlter {
  readonly resourceType: number;
  readonly resourceName: string;
  readonly operations: readonly {
    readonly name: string;
    /** Null: the request names an operation that does not exist. */
    readonly operation: "set" | "delete" | "append" | "subtract" | null;
    readonly value: string | null;
  }[];
}

export interface AlteredResource {
  readonly errorCode: number;
  readonly errorMessage: string | null;
  readonly resourceType: number;
  readonly resourceName: string;
}

export function alter(
  broker: Broker,
  asked: readonly ResourceToAlter[],
  replace: boolean,
  validateOnly: boolean,
  reply: (responses: readonly AlteredResource[]) => void,
): void {
  const twice = duplicatesOf(asked.map(keyOf));
  const changes: ConfigChange[] = [];
  const early = asked.map((resource): Verdict | null => {
    if (twice.has(keyOf(resource))) return invalid("the resource is named twice");
    const change = toChange(resource, replace);
    if (typeof change === "string") return invalid(change);
    changes.push(change);
    return null;
  });
  const answer = (verdicts: readonly Verdict[]): void => {
    reply(asked.map((resource, i) => answerOf(resource, verdicts[i])));
  };
  if (changes.length === 0) return answer(merged(early, []));
  broker.propose({ kind: "alter-configs", changes, validateOnly }, (outcome) => {
    const later = outcome.kind === "refused" ? changes.map(() => outcome.verdict) : outcome.changes;
    answer(merged(early, later));
  });
}

function keyOf(resource: ResourceToAlter): string {
  return `${resource.resourceType} ${resource.resourceName}`;
}

function invalid(message: string): Verdict {
  return { code: ErrorCode.INVALID_REQUEST, message };
}

/** The change, or why it is none. */
function toChange(asked: ResourceToAlter, replace: boolean): ConfigChange | string {
  const resource = changeResources.get(asked.resourceType);
  if (resource === undefined)
    return `resource type ${asked.resourceType} has no settings that change`;
  const operations: ConfigChange["operations"][number][] = [];
  for (const { name, operation, value } of asked.operations) {
    if (operation === null) return "there is no such operation";
    operations.push({ name, operation, value });
  }
  return { resource, name: asked.resourceName, replace, operations };
}

function answerOf(asked: ResourceToAlter, verdict: Verdict | undefined): AlteredResource {
  return {
    errorCode: verdict?.code ?? ErrorCode.NONE,
    errorMessage: clipped(verdict?.message ?? null),
    resourceType: asked.resourceType,
    resourceName: asked.resourceName,
  };
}
