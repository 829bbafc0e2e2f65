// `bun run conformance`: librdkafka's own suite against the server under test.
//
//   --class A,B,C   only these classes (default: all)
//   --quick         the runner's -Q; entries that it would empty are left out
//   --entry 0045    only entries whose name starts so; may be repeated
//   --add           write entries that passed for the first time to the allow-list
//
// The gate: every chosen entry of the allow-list passes, and the list lost nothing. Against Apache
// Kafka (PYRALOG_TEST_BROKER=kafka) every chosen entry has to pass.

import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { exitOnSignals } from "../../bench/child.ts";
import { cacheDir } from "../../bench/tools.ts";
import { testsKafka } from "../harness/server.ts";
import {
  allowListPath,
  loadAllowList,
  loadEntries,
  removedFromAllowList,
  runEntries,
  type Outcome,
} from "./librdkafka/suite.ts";

const { values } = parseArgs({
  options: {
    class: { type: "string", default: "A,B,C" },
    quick: { type: "boolean", default: false },
    entry: { type: "string", multiple: true, default: [] },
    add: { type: "boolean", default: false },
  },
});

exitOnSignals();

const classes = values.class.split(",");
const chosen = loadEntries()
  .filter((entry) => classes.includes(entry.class))
  .filter((entry) => !values.quick || entry.quick)
  .filter(
    (entry) =>
      values.entry.length === 0 || values.entry.some((each) => entry.name.startsWith(each)),
  );
if (chosen.length === 0) {
  console.error("no entry of test/conformance/librdkafka/entries.tsv fits");
  process.exit(2);
}

const logFolder = join(cacheDir, "logs");
const outcomes = await runEntries(chosen, { quick: values.quick, logFolder });
const allowed = loadAllowList();
const passed = (outcome: Outcome): boolean => outcome.state === "PASSED";
const due = (outcome: Outcome): boolean => testsKafka || allowed.has(outcome.entry.name);

for (const { entry, state, seconds, tries } of outcomes) {
  const time = `${seconds.toFixed(1).padStart(7)} s`;
  const note = tries > 1 ? "  (second try)" : "";
  console.error(`${entry.class} ${state.padEnd(7)} ${time}  ${entry.name}${note}`);
}
const fresh = outcomes.filter((outcome) => passed(outcome) && !allowed.has(outcome.entry.name));
if (!testsKafka && fresh.length > 0) {
  const names = fresh.map((outcome) => outcome.entry.name);
  if (values.add) appendFileSync(allowListPath, names.map((name) => `${name}\n`).join(""));
  else console.error(`passed and not on the allow-list (--add): ${names.join(" ")}`);
}
const failed = outcomes.filter((outcome) => due(outcome) && !passed(outcome));
for (const { entry, state } of failed) console.error(`${state}: ${entry.name} has to pass`);
const removed = removedFromAllowList();
for (const name of removed) console.error(`${name} was taken off the allow-list, which only grows`);
if (failed.length > 0) console.error(`the runner's words are in ${logFolder}`);

const good = outcomes.filter((outcome) => passed(outcome)).length;
console.log(
  `${outcomes.length} entries: ${good} passed, ${failed.length + removed.length} failed, ` +
    `${outcomes.length - good - failed.length} not due yet`,
);
process.exit(failed.length + removed.length > 0 ? 1 : 0);
