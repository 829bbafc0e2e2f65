// Majorities of a configuration, joint or not.

import type { MemberId } from "../base/ids.ts";
import type { Configuration } from "./contract.ts";

export const nobody: Configuration = { voters: [], outgoing: [], learners: [], removed: [] };

export function isJoint(configuration: Configuration): boolean {
  return configuration.outgoing.length > 0;
}

export function isVoter(configuration: Configuration, member: MemberId): boolean {
  return configuration.voters.includes(member) || configuration.outgoing.includes(member);
}

/** Everybody who gets the log, each once, voters first. */
export function membersOf(configuration: Configuration): readonly MemberId[] {
  const { voters, outgoing, learners } = configuration;
  return [...new Set([...voters, ...outgoing, ...learners])];
}

export function votersOf(configuration: Configuration): readonly MemberId[] {
  return [...new Set([...configuration.voters, ...configuration.outgoing])];
}

function majority(voters: readonly MemberId[], says: (member: MemberId) => boolean): boolean {
  let count = 0;
  for (const voter of voters) if (says(voter)) count += 1;
  return count * 2 > voters.length;
}

/** Both majorities say so. Nobody decides for an empty configuration. */
export function decides(
  configuration: Configuration,
  says: (member: MemberId) => boolean,
): boolean {
  if (!majority(configuration.voters, says)) return false;
  return !isJoint(configuration) || majority(configuration.outgoing, says);
}

function majorityReached(
  voters: readonly MemberId[],
  reached: (member: MemberId) => number,
): number {
  const sorted = voters.map(reached).sort((a, b) => b - a);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

/** The highest number that a majority (each majority) has reached; 0 for an empty configuration. */
export function reachedByQuorum(
  configuration: Configuration,
  reached: (member: MemberId) => number,
): number {
  const incoming = majorityReached(configuration.voters, reached);
  if (!isJoint(configuration)) return incoming;
  return Math.min(incoming, majorityReached(configuration.outgoing, reached));
}
