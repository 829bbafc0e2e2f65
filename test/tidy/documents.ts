// Laws about Markdown: titles, links, the parts of an ADR and the way to it.

import { posix } from "node:path";

export interface Tree {
  /** Paths of all files of the repository, relative to its top. */
  readonly paths: ReadonlySet<string>;
  read(path: string): string;
}

function withoutCode(text: string): string {
  return text.replace(/^```[\s\S]*?^```/gm, "").replace(/`[^`\n]*`/g, "");
}

/** What a heading is called in a link, as GitHub makes it. */
function anchorOf(heading: string): string {
  const plain = heading.toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, "");
  return plain.trim().replace(/\s/g, "-");
}

function anchorsOf(text: string): ReadonlySet<string> {
  return new Set([...text.matchAll(/^#+ (.*)$/gm)].map((match) => anchorOf(match[1] ?? "")));
}

function linkLaw(path: string, link: string, tree: Tree): string | null {
  if (/^[a-z]+:/.test(link)) return null;
  const [file = "", anchor] = link.split("#");
  const target = file === "" ? path : posix.join(posix.dirname(path), decodeURI(file));
  const folder = `${target.replace(/\/$/, "")}/`;
  const isFolder = [...tree.paths].some((each) => each.startsWith(folder));
  if (!tree.paths.has(target) && !isFolder) return `dead link '${link}'`;
  if (anchor === undefined || !target.endsWith(".md")) return null;
  return anchorsOf(tree.read(target)).has(anchor) ? null : `link '${link}' names no heading`;
}

const adrParts = ["## Status", "## Context", "## Decision", "## Consequences"];

function adrLaws(path: string, text: string, tree: Tree): readonly string[] {
  const name = path.slice(path.lastIndexOf("/") + 1);
  const wrong: string[] = [];
  if (!/^[0-9]{4}-[a-z0-9-]+\.md$/.test(name))
    wrong.push("an ADR is named 0001-what-it-decides.md");
  const lines = text.split("\n");
  for (const part of adrParts) {
    if (!lines.includes(part)) wrong.push(`an ADR has '${part}'`);
  }
  const map = tree.paths.has("ARCHITECTURE.md") ? tree.read("ARCHITECTURE.md") : "";
  if (!map.includes(`(docs/adr/${name})`)) wrong.push("link the ADR from ARCHITECTURE.md");
  return wrong;
}

export function documentLaws(path: string, tree: Tree): readonly string[] {
  const text = withoutCode(tree.read(path));
  const titles = text.match(/^# /gm)?.length ?? 0;
  const wrong = titles === 1 ? [] : [`${titles} titles; a document has exactly one '# '`];
  for (const match of text.matchAll(/\]\(([^)\s]+)\)/g)) {
    const law = linkLaw(path, match[1] ?? "", tree);
    if (law !== null) wrong.push(law);
  }
  if (path.startsWith("docs/adr/")) wrong.push(...adrLaws(path, text, tree));
  return wrong.map((words) => `${path}: ${words}`);
}
