// Bugs of replication that others have had, or that our rules exclude, each as a change of one or two
// lines of the sources. The simulator has to find every one: that is its measure.
//
//   bun test/sim/replication/planted.ts [--bug NAME] [--seeds 2000]    which seed finds which bug
//
// A bug is planted in a copy of the sources and run there.

import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

const root = join(import.meta.dir, "../../..");
const core = "src/core/replication";
const sim = "test/sim/replication";

type Edit = readonly [file: string, right: string, wrong: string];

export interface Planted {
  readonly name: string;
  readonly what: string;
  readonly edits: readonly Edit[];
  /** Invariants that may break, as the judge names them, or the words of an assertion. */
  readonly found: RegExp;
  /** Seeds within which it is found. */
  readonly seeds: number;
  /** Rates that bring it about more often than chance does. */
  readonly knobs: readonly string[];
}

/** Bugs that need rare meetings of faults. */
const knobs: Readonly<Record<string, readonly string[]>> = {
  "damage-is-absence": ["damage=40", "assign=80"],
  "no-sync-at-start": ["crash=40", "powerCut=40", "survive=0", "slowSync=300", "os=0"],
  "loss-unflagged": ["os=1", "powerCutAll=30", "survive=0"],
  "wait-for-the-lost": ["os=1", "powerCutAll=30", "survive=0"],
  "give-up-when-preempted": ["os=1", "powerCutAll=30", "assign=80"],
  "answer-of-a-former-life": ["diskLoss=40", "delay=80", "metadataDelay=1", "metadataStall=0"],
  "votes-outlive-registration": [
    "diskLoss=40",
    "drop=200",
    "delay=80",
    "metadataDelay=1",
    "slowSync=100",
  ],
  "recover-below-log-start": ["trim=150", "assign=80", "crash=40"],
  "recovering-is-learned": ["assign=80", "metadataDelay=60", "metadataStall=5"],
};

function bug(
  name: string,
  what: string,
  found: RegExp,
  seeds: number,
  ...edits: readonly Edit[]
): Planted {
  return { name, what, edits, found, seeds, knobs: knobs[name] ?? [] };
}

export const bugs: readonly Planted[] = [
  bug(
    "cut-at-high-watermark",
    "a recovery ends where the members' high watermarks end (KIP-101)",
    /I2|I6/,
    25,
    [`${core}/recovery.ts`, "this.end = verdict.end;", "this.end = from;"],
    [`${core}/recovery.ts`, "this.tailFrom(from, verdict.end)", "this.tailFrom(from, from)"],
  ),
  bug(
    "end-at-last-stored",
    "a recovery starts and ends at the highest offset that anybody stored",
    /I2|I6|I13/,
    25,
    [
      `${core}/recovery.ts`,
      "const from = this.lowestEnd();",
      `let from = this.lowestEnd();
    for (const { digest } of this.answers.values())
      for (let i = 0; i < digest.length; i += digestStride)
        from = Math.max(from, (digest[i] ?? 0) + (digest[i + 1] ?? 0));`,
    ],
  ),
  bug(
    "resume-epoch",
    "a process goes on with the epoch that its former life led",
    /I1|I2|I7|never falls|leave no hole/,
    25,
    [
      `${core}/replicator.ts`,
      "const isMine = current.leader === this.node && current.leaderIncarnation === this.incarnation;",
      "const isMine = current.leader === this.node;",
    ],
  ),
  bug(
    "acknowledge-out-of-order",
    "a batch is acknowledged before the ones below it",
    /I2|I3/,
    25,
    [
      `${core}/leader.ts`,
      "    this.flight.ack(index, position);",
      `    const had = bitsOf(this.flight.acksOf(index));
    this.flight.ack(index, position);
    const { writeQuorum } = this.flight.placementOf(index);
    if (!this.frozen && had < writeQuorum && bitsOf(this.flight.acksOf(index)) >= writeQuorum)
      this.flight.producingOf(index)?.committed(this.slot, message.base, this.flight.endOf(index));`,
    ],
    [`${core}/leader.ts`, "producing?.committed(this.slot, base, end);", "void producing;"],
    [`${core}/leader.ts`, "?.failed(this.slot);", ";"],
  ),
  bug(
    "seal-without-fence",
    "a member answers a seal and goes on taking batches of the old epoch",
    /I8|I3|I2/,
    100,
    [`${core}/member.ts`, "    this.raise(slot, by);\n", ""],
  ),
  bug("fence-on-half", "some members answer a seal and go on taking batches", /I8|I3|I2/, 100, [
    `${core}/member.ts`,
    "this.raise(slot, by);",
    "if (this.node % 2 === 0) this.raise(slot, by);",
  ]),
  bug(
    "fence-at-receipt",
    "a seal overtakes what is staged, and the fence is not compared at the answer (BookKeeper #4701)",
    /I8|I3|I2/,
    25,
    [`${core}/member.ts`, "        if (epoch < fence)\n", "        if (epoch < 0)\n"],
    [
      `${core}/member.ts`,
      "if (ticket <= this.durableTicket) this.surveyTail",
      "if (ticket >= 0) this.surveyTail",
    ],
  ),
  bug(
    "recovery-answer-below-fence",
    "a copy of a recovery that was overtaken is answered as if it counted",
    /I8/,
    300,
    [
      `${core}/member.ts`,
      `      case "recovery-stored":
        if (this.isPreempted(to, slot, by, effects)) return;`,
      `      case "recovery-stored":`,
    ],
  ),
  bug(
    "fence-forgotten",
    "a disk that was lost takes the fence with it",
    /I8|I3|I2/,
    500,
    [`${core}/member.ts`, "    this.raise(slot, current + 1);\n", ""],
    [`${core}/member.ts`, "    this.raise(slot, epochs.current);\n", ""],
    [`${core}/member.ts`, "if ((this.limbos[slot] ?? 0) >= epoch) {", "if (epoch < 0) {"],
  ),
  bug(
    "commit-before-repair",
    "the end is set before the batches below it have W copies",
    /I13|I2/,
    25,
    [
      `${core}/recovery.ts`,
      "if (batch.holders.size >= this.target.placement.writeQuorum) continue;",
      "if (batch.holders.size >= 1) continue;",
    ],
  ),
  bug("one-denial", "one absent answer proves a hole", /I2|I6/, 25, [
    `${core}/recovery.ts`,
    "absent >= negativeQuorum(placement)",
    "absent >= 1",
  ]),
  bug(
    "commit-while-frozen",
    "a leader goes on committing while its bump is under way (BookKeeper #1591)",
    /I2|I3/,
    25,
    [`${core}/leader.ts`, "while (!this.frozen && ", "while ("],
  ),
  bug(
    "bump-at-next",
    "a bump ends the epoch at the next offset instead of the high watermark (BookKeeper #4651)",
    /I13|I6/,
    25,
    [`${core}/leader.ts`, "end: this.committedTo,", "end: this.end,"],
  ),
  bug(
    "trust-a-lossy-restart",
    "a node that may have lost copies denies them (BP-46)",
    /I2|I10|I6/,
    25,
    [
      `${core}/replicator.ts`,
      "if (this.isLimbo) this.member.enterLimbo",
      "if (false) this.member.enterLimbo",
    ],
  ),
  bug(
    "damage-is-absence",
    "a seal lists what is readable and denies the rest (BookKeeper #2908)",
    /I2|I6|I13|I20/,
    2000,
    [
      `${core}/member.ts`,
      "limbo: !isCertain || (this.limbos[slot] ?? 0) >= target,",
      "limbo: (this.limbos[slot] ?? 0) >= target,",
    ],
  ),
  bug("unreadable-is-absent", "a read of a damaged copy says that there is none", /I10/, 200, [
    `${core}/member.ts`,
    `outcome.kind === "absent" && !mayBeLost`,
    "!mayBeLost",
  ]),
  bug("limbo-read-is-absent", "a read of what a disk lost says that there is none", /I10/, 25, [
    `${core}/member.ts`,
    `outcome.kind === "absent" && !mayBeLost`,
    `outcome.kind === "absent"`,
  ]),
  bug(
    "trimmed-is-absent",
    "a read below the log start says that there is nothing",
    /I10|has an owner/,
    25,
    [
      `${core}/member.ts`,
      'if (at < epochs.logStart) return { kind: "trimmed", logStart: epochs.logStart };',
      "",
    ],
    [
      `${core}/member.ts`,
      "if (epochs !== undefined && at < epochs.logStart)",
      "if (epochs === undefined && at < 0)",
    ],
    [
      `${core}/member.ts`,
      'return { kind: "trimmed", logStart: epochs.logStart };',
      'return { kind: "unknown" };',
    ],
  ),
  bug("retry-elsewhere", "a batch is sent again to other nodes than its row's", /I11/, 25, [
    `${core}/leader.ts`,
    "const to = memberAt(placement.table, row, position);\n      if ((acks",
    `const other = isFirst ? row : (row + 1) % (placement.table.members.length / placement.table.width);
      const to = memberAt(placement.table, other, position);
      if ((acks`,
  ]),
  bug(
    "row-of-newest-table",
    "a recovery looks for the copies where the newest table says",
    /I2|I6|I11|I13|I20/,
    25,
    [
      `${core}/recovery.ts`,
      "this.target = target;",
      "this.target = { ...target, placement: of.placement };",
    ],
  ),
  bug(
    "place-before-commit",
    "a leader uses a new table before its epoch is bumped (BookKeeper #1591)",
    /I11/,
    25,
    [
      `${core}/leader.ts`,
      "if (!samePlacement(epochs.placement, this.placement)) this.freeze(this.node, now, effects);",
      "this.placement = epochs.placement;",
    ],
  ),
  bug(
    "commit-unguarded",
    "the metadata takes the end that a stale recovery proposes",
    /set once|I2|I5|never goes back|I6|I7/,
    25,
    [
      `${sim}/metadata.ts`,
      `if (partition.current !== by || current.state !== "recovering") return false;
    if (ended === undefined || ended.start < 0 || ended.end >= 0 || end < ended.start) return false;
    if (unsealedEpoch(partition) !== ended) return false;`,
      "if (ended === undefined) return false;",
    ],
  ),
  bug(
    "high-watermark-without-epochs",
    "a member adopts a high watermark before it knows the epochs below it",
    /I12|I7|has an owner/,
    500,
    [
      `${core}/member.ts`,
      "if (epochs === undefined || epoch > epochs.current) return false;",
      "return true;",
    ],
  ),
  bug(
    "recovering-is-learned",
    "a member takes an epoch for known that has only been named",
    /I12|I7|I6|has an owner/,
    500,
    [
      `${core}/member.ts`,
      `return epoch < epochs.current || epochRecord(epochs, epoch)?.state === "open";`,
      "return true;",
    ],
  ),
  bug(
    "high-watermark-of-a-client",
    "a member believes the high watermark that a client names",
    /I12|I2|I6|I7|has an owner|I13|I20|stays|hole/,
    25,
    [`${core}/member.ts`, "if (isTrusted && ", "if ("],
  ),
  bug(
    "resend-is-stored",
    "a resend is answered while the first copy is only staged",
    /I4|I13|I2/,
    300,
    [`${sim}/copies.ts`, "return had.ticket as Ticket;", "return this.durable as Ticket;"],
    [
      `${core}/ack_queue.ts`,
      "this.newest = Math.max(this.newest, ticket);",
      "this.newest = ticket;",
    ],
  ),
  bug(
    "no-sync-at-start",
    "copies found in the page cache after a crash count as durable",
    /I4|I13|I2|I6/,
    300,
    [`${sim}/copies.ts`, "    this.durable = this.last;\n", ""],
    [`${sim}/copies.ts`, `level === "os" ? this.written : this.durable;`, "this.written;"],
    [
      `${sim}/host.ts`,
      "replicator.appended(written as Ticket, durable as Ticket, this);",
      "void durable; replicator.appended(written as Ticket, written as Ticket, this);",
    ],
  ),
  bug(
    "seal-lists-what-is-staged",
    "a seal is answered before its fence and the copies that it lists are durable",
    /I13|I2|I6/,
    100,
    [
      `${core}/member.ts`,
      "if (ticket <= this.durableTicket) this.surveyTail",
      "if (ticket >= 0) this.surveyTail",
    ],
    [
      `${sim}/copies.ts`,
      `level === "os" ? this.written : this.durable;`,
      `level === "os" ? this.last : this.last;`,
    ],
  ),
  bug("acknowledge-what-is-written", "a copy counts as stored before it is synced", /I4/, 25, [
    `${core}/member.ts`,
    `this.known.get(ack.slot)?.durability === "os";`,
    "true;",
  ]),
  bug(
    "loss-unflagged",
    "what a recovery gives up is cut as if nobody had ever had it",
    /I2|I6/,
    300,
    [`${core}/recovery.ts`, "lossPossible: this.isGivenUp,", "lossPossible: false,"],
  ),
  bug(
    "wait-for-the-lost",
    "a row that lost everything is waited for, after a power cut of all nodes",
    /I20/,
    25,
    [`${core}/recovery.ts`, `this.durability === "os" || this.lossAccepted`, "this.lossAccepted"],
  ),
  bug(
    "give-up-when-preempted",
    "a recovery that meets the fence of a lossy restart gives up and tells nobody",
    /I20/,
    25,
    [
      `${core}/recovery.ts`,
      `        this.resigns = true;
        effects.propose({ kind: "resign", slot: this.slot, epoch: leaderEpoch(this.by) });`,
      "        return;",
    ],
  ),
  bug(
    "wait-for-a-silent-holder",
    "a recovery waits for the one holder of a batch that the rest of its row denies",
    /I20/,
    1000,
    [`${core}/recovery.ts`, "copy === null && asks >= asksMax", "copy === null && asks < 0"],
  ),
  bug("wait-for-all", "a recovery waits for every member (BookKeeper #1067)", /I20/, 300, [
    `${core}/recovery.ts`,
    "    const verdict = this.judgeTail(from);",
    `    if (this.answers.size < nodesetOf(this.target.placement.table).length) return;
    const verdict = this.judgeTail(from);`,
  ]),
  bug("commit-with-all", "a batch is committed when all members of its row have it", /I20/, 300, [
    `${core}/leader.ts`,
    "if (bitsOf(flight.acksOf(index)) < writeQuorum) break;",
    "if (bitsOf(flight.acksOf(index)) < Math.max(writeQuorum, flight.placementOf(index).table.width)) break;",
  ]),
  bug("count-answers", "two answers of one member count as two members", /I4/, 25, [
    `${core}/flight.ts`,
    "(this.acks[at] ?? 0) | (1 << position)",
    "((this.acks[at] ?? 0) << 1) | (position >= 0 ? 1 : 0)",
  ]),
  bug(
    "answer-of-a-former-life",
    "a vote of a node counts after it registered anew without its copies",
    /I4|I2|I13/,
    2000,
    [
      `${core}/replicator.ts`,
      `case "backfilled":
        if (this.incarnations.get(from) !== message.incarnation) return;`,
      `case "backfilled":`,
    ],
  ),
  bug(
    "votes-outlive-registration",
    "votes that a node gave stay when it registers anew without its copies",
    /I4|I2|I13/,
    2000,
    [
      `${core}/leader.ts`,
      "if (position >= 0) this.flight.unack(index, position);",
      "void position;",
    ],
  ),
  bug(
    "recover-below-log-start",
    "a recovery starts below what everybody has trimmed",
    /I2|I6|I13|I20|never goes back|hole/,
    1000,
    [
      `${core}/recovery.ts`,
      "let from = Math.max(this.target.start, this.logStart);",
      "let from: number = this.target.start;",
    ],
    [`${core}/member.ts`, "    this.adopt(slot, epochs.logStart);\n", ""],
  ),
  bug("keep-for-ever", "a leader keeps every batch until the slowest member has it", /I18/, 25, [
    `${core}/leader.ts`,
    "      if (!isLate && this.flight.bytesHeld <= laggingBytesMax) return;",
    "      if (isLate || laggingBytesMax > 0) return;",
  ]),
  bug(
    "no-window",
    "a leader sends without a bound",
    /I18/,
    25,
    [
      `${core}/leader.ts`,
      "this.flight.bytesInFlight + bytes <= bytesInFlightMax",
      "bytes <= bytesInFlightMax",
    ],
    [
      `${core}/leader.ts`,
      "this.flight.count - this.flight.committedCount < batchesInFlightMax &&",
      "batchesInFlightMax > 0 &&",
    ],
    [
      `${core}/leader.ts`,
      "blocks <= blocksInFlightMax &&",
      "blocks <= blocksInFlightMax * 1000 &&",
    ],
  ),
  bug(
    "forget-the-parked",
    "batches that waited for an epoch are dropped without a word",
    /I20/,
    25,
    [
      `${core}/replicator.ts`,
      "for (const { producing } of line.batches) producing?.failed(slot);",
      "",
    ],
  ),
  bug(
    "leave-limbo-early",
    "a node that lost its disk denies again before it has pulled everything",
    /I10|I2|I6|I20/,
    25,
    [
      `${core}/replicator.ts`,
      "if (!this.repair.isWhole(slot, this.member.inLimbo(slot), epochs)) return;",
      "",
    ],
  ),
  bug("no-repair", "what a member missed stays away", /I20/, 25, [
    `${core}/repair.ts`,
    "for (const [base, holders] of job.wanted) {",
    "job.wanted.clear();\n    for (const [base, holders] of job.wanted) {",
  ]),
];

/** The sources with nothing changed yet; `plant` changes and restores them. */
export class Garden {
  readonly folder = mkdtempSync(join(tmpdir(), "pyralog-planted-"));

  constructor() {
    for (const part of ["src/core", sim, "package.json", "tsconfig.json"])
      cpSync(join(root, part), join(this.folder, part), { recursive: true });
    symlinkSync(join(root, "node_modules"), join(this.folder, "node_modules"));
  }

  /** What the run in the copy says, and with which exit code it ends. */
  async run(planted: Planted, command: readonly string[]): Promise<[number, string]> {
    const files = new Map<string, string>();
    for (const [file, right, wrong] of planted.edits) {
      const source = files.get(file) ?? readFileSync(join(root, file), "utf8");
      if (!source.includes(right))
        throw new Error(`${planted.name}: ${file} does not say: ${right}`);
      files.set(
        file,
        source.replace(right, () => wrong),
      );
    }
    for (const [file, text] of files) writeFileSync(join(this.folder, file), text);
    try {
      const run = Bun.spawn([process.execPath, ...command], {
        cwd: this.folder,
        stdout: "ignore",
        stderr: "pipe",
      });
      const said = await new Response(run.stderr).text();
      return [await run.exited, said];
    } finally {
      for (const file of files.keys())
        writeFileSync(join(this.folder, file), readFileSync(join(root, file), "utf8"));
    }
  }

  remove(): void {
    rmSync(this.folder, { recursive: true });
  }
}

/** First seed that finds it, or null. Any other end than a violation that it may cause is an error. */
export async function find(
  garden: Garden,
  planted: Planted,
  seeds: number,
): Promise<number | null> {
  const turned = planted.knobs.flatMap((knob) => ["--knob", knob]);
  const command = [`${sim}/run.ts`, "--seeds", String(seeds), ...turned];
  const [code, said] = await garden.run(planted, command);
  if (code === 0) return null;
  const [, seed] = /seed (\d+) \(/.exec(said) ?? [];
  if (seed === undefined || !planted.found.test(said))
    throw new Error(`${planted.name} ends in another way: ${said.slice(0, 2000)}`);
  return Number(seed);
}

/** Exit code 1 when one of them is not found. */
export async function runBugs(
  only: string | undefined,
  seedsMax: string | undefined,
): Promise<void> {
  const chosen = bugs.filter(({ name }) => only === undefined || only === name);
  if (chosen.length === 0) throw new Error(`no bug is named ${only}`);
  const garden = new Garden();
  let missed = 0;
  try {
    for (const planted of chosen) {
      const seeds = seedsMax === undefined ? planted.seeds : Number(seedsMax);
      const seed = await find(garden, planted, seeds).catch((error: unknown) => String(error));
      if (typeof seed !== "number") missed += 1;
      const verdict = typeof seed === "number" ? `seed ${seed}` : (seed ?? "NOT FOUND");
      console.log(`${planted.name}: ${verdict} (of ${seeds}): ${planted.what}`);
    }
  } finally {
    garden.remove();
  }
  console.log(`${chosen.length - missed} of ${chosen.length} found`);
  process.exitCode = missed === 0 ? 0 : 1;
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { bug: { type: "string" }, seeds: { type: "string" } } });
  await runBugs(values.bug, values.seeds);
}
