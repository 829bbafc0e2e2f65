// `pyralog group ...`: list, describe with lag, delete.

import { type Target, withClient } from "./connect.ts";
import { count } from "./format.ts";
import { confirm, type Format, show, talk } from "./terminal.ts";

export async function list(target: Target, format: Format): Promise<void> {
  await withClient(target, async (client) => {
    const { groups } = client.admin;
    const rows = [];
    for (const summary of await groups.list()) {
      const lag = await groups.lag(summary.group);
      rows.push({ ...summary, lag: lag.reduce((sum, each) => sum + each.lag, 0) });
    }
    await show(format, rows, rows, [
      { head: "GROUP", value: ({ group }) => group },
      { head: "STATE", value: ({ state }) => state },
      { head: "LAG", value: ({ lag }) => lag },
      { head: "TYPE", value: ({ type }) => type, wide: true },
      { head: "PROTOCOL", value: ({ protocol }) => protocol, wide: true },
    ]);
  });
}

export async function describe(target: Target, format: Format, name: string): Promise<void> {
  await withClient(target, async (client) => {
    const { groups } = client.admin;
    const group = await groups.describe(name);
    const lag = await groups.lag(name);
    const memberOf = new Map(
      group.members.flatMap((member) =>
        member.assigned.map(({ topic, partition }) => [`${topic}/${partition}`, member] as const),
      ),
    );
    const partitions = lag.map((each) => {
      const member = memberOf.get(`${each.topic}/${each.partition}`);
      return { ...each, clientId: member?.clientId ?? "", host: member?.host ?? "" };
    });
    const total = lag.reduce((sum, each) => sum + each.lag, 0);
    if (format === "table" || format === "wide") {
      const { members, state } = group;
      talk(`${name} · ${state} · ${members.length} members · lag ${count(total)}`);
    }
    await show(format, { ...group, lag: total, partitions }, partitions, [
      { head: "TOPIC", value: ({ topic }) => topic },
      { head: "PARTITION", value: ({ partition }) => partition },
      { head: "OFFSET", value: ({ offset }) => offset },
      { head: "END", value: ({ end }) => end },
      { head: "LAG", value: (row) => row.lag },
      { head: "CLIENT", value: ({ clientId }) => clientId },
      { head: "HOST", value: ({ host }) => host, wide: true },
    ]);
  });
}

export async function remove(
  target: Target,
  names: readonly string[],
  { yes }: { readonly yes?: boolean },
): Promise<void> {
  await withClient(target, async (client) => {
    for (const name of names) await client.admin.groups.describe(name);
    await confirm(`Delete ${names.join(", ")} with all offsets?`, yes ?? false);
    for (const name of names) {
      await client.admin.groups.delete(name);
      talk(`group ${name} is deleted`);
    }
  });
}
