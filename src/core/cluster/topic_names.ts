// Which names topics may have (Kafka's rules).

import { topicNameMax } from "../base/limits.ts";

const legal = /^[a-zA-Z0-9._-]+$/;

/** Why this is no name for a topic, in words; null when it is one. */
export function topicNameProblem(name: string): string | null {
  if (name === "") return "a topic has a name";
  if (name === "." || name === "..") return `a topic cannot be named ${name}`;
  if (name.length > topicNameMax) {
    return `a topic's name has at most ${topicNameMax} characters`;
  }
  if (!legal.test(name)) {
    return `a topic's name has letters, digits, ".", "_" and "-" only: ${name}`;
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
