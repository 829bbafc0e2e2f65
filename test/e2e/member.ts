// A member of a classic group down to the bytes: it joins again whenever it is told to, works off
// the partitions that it was assigned from their committed offsets, and writes down every code.

import { code, fetchPartition } from "../harness/apis.ts";
import { readBatches } from "../harness/batch.ts";
import { Connection } from "../harness/connection.ts";
import {
  heartbeat,
  joinGroup,
  leaveGroup,
  offsetCommit,
  offsetFetch,
  syncGroup,
} from "../harness/groups.ts";

/** A stretch of a partition that a member read and whose commit was accepted. */
export interface Worked {
  readonly partition: number;
  readonly start: number;
  readonly end: number;
}

export interface Job {
  readonly address: string;
  readonly group: string;
  readonly topic: string;
  readonly partitions: number;
}

export class GroupMember {
  readonly #job: Job;
  readonly #connection: Connection;
  #memberId = "";
  #stopping = false;
  readonly #loop: Promise<void>;
  generation = -1;
  assigned: readonly number[] = [];
  readonly worked: Worked[] = [];
  /** API name and error code of every answer that was not 0. */
  readonly errors: string[] = [];

  private constructor(job: Job, connection: Connection) {
    this.#job = job;
    this.#connection = connection;
    this.#loop = this.#run();
  }

  static async start(job: Job): Promise<GroupMember> {
    return new GroupMember(job, await Connection.open(job.address));
  }

  async leave(): Promise<void> {
    this.#stopping = true;
    await this.#loop;
    await leaveGroup(this.#connection, this.#job.group, this.#memberId);
    this.#connection.close();
  }

  #note(api: string, error: number): number {
    if (error !== code.none) this.errors.push(`${api} ${error}`);
    return error;
  }

  async #run(): Promise<void> {
    while (!this.#stopping) {
      if (await this.#join()) {
        while (!this.#stopping && (await this.#beat())) await this.#work();
      }
    }
  }

  async #join(): Promise<boolean> {
    this.assigned = [];
    const { group, topic, partitions } = this.#job;
    const joined = await joinGroup(this.#connection, group, {
      memberId: this.#memberId,
      topics: [topic],
    });
    if (this.#note("JoinGroup", joined.error) !== code.none) return false;
    this.#memberId = joined.memberId;
    const assignments = new Map<string, Uint8Array>();
    for (const [index, { id }] of joined.members.entries()) {
      const mine = Array.from({ length: partitions }, (_, each) => each).filter(
        (each) => each % joined.members.length === index,
      );
      assignments.set(id, Uint8Array.from(mine));
    }
    const { generation } = joined;
    const synced = await syncGroup(
      this.#connection,
      group,
      generation,
      this.#memberId,
      assignments,
    );
    if (this.#note("SyncGroup", synced.error) !== code.none) return false;
    this.generation = generation;
    this.assigned = [...(synced.assignment ?? [])];
    return true;
  }

  async #beat(): Promise<boolean> {
    const { group } = this.#job;
    const error = await heartbeat(this.#connection, group, this.generation, this.#memberId);
    return this.#note("Heartbeat", error) === code.none;
  }

  /** One small step for each partition: what is read counts once its commit was accepted. */
  async #work(): Promise<void> {
    const { group, topic } = this.#job;
    if (this.assigned.length === 0) return;
    const { commits } = await offsetFetch(this.#connection, group, topic, this.assigned);
    for (const { partition, offset } of commits) {
      const start = Math.max(0, offset);
      const found = await fetchPartition(this.#connection, topic, partition, start, {
        partitionMaxBytes: 1, // one batch
      });
      const end = (readBatches(found.bytes)[0]?.lastOffset ?? start - 1) + 1;
      if (end === start) continue;
      const committer = { group, generation: this.generation, memberId: this.#memberId };
      const commit = { partition, offset: end, metadata: "" };
      const codes = await offsetCommit(this.#connection, committer, topic, [commit]);
      const error = this.#note("OffsetCommit", codes.get(partition) ?? code.none);
      if (error === code.none) this.worked.push({ partition, start, end });
    }
  }
}
