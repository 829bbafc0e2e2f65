// Which names topics may have (Kafka's rules).

import { topicNameMax } from "../base/limits.ts";

const legal = /^[a-zA-Z0-9._-]+$/;

/** Why this is no name for a topic, in words; null when it is one. */
export function topicNameProblem(name: string): string | null {
  if (name === "") return "Topic name is invalid: the empty string is not allowed";
  if (name === "." || name === "..") return `Topic name is invalid: '${name}' is not allowed`;
  if (name.length > topicNameMax) {
    return `Topic name is invalid: it is longer than the max allowed length ${topicNameMax}`;
  }
  if (!legal.test(name)) {
    return `Topic name is invalid: '${name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'`;
  }
  return null;
}

/** Two names that differ in "." and "_" only collide, because metric names know one of them. */
export function collisionKey(name: string): string {
  return name.replaceAll(".", "_");
}

export function canCollide(name: string): boolean {
  return name.includes(".") || name.includes("_");
}

const internalTopics: ReadonlySet<string> = new Set([
  "__consumer_offsets",
  "__transaction_state",
  "__share_group_state",
]);

/** Topics that the nodes write themselves: clients read and describe them, nothing else. */
export function isInternalTopic(name: string): boolean {
  return internalTopics.has(name);
}
