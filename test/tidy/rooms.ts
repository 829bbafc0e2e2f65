// The rooms of src/ and the laws between them: who may import whom, and what pure means. A change of
// the table is a change of the architecture; STYLE.md says it in words.

/** Room -> rooms that it may import, in dependency order: a room names only rooms above it. */
export const rooms: Readonly<Record<string, readonly string[]>> = {
  base: [],
  proto: [],
  wire: ["base", "proto"],
  raft: ["base"],
  cluster: ["base"],
  replication: ["base"],
  coordinator: ["base"],
  broker: ["base", "wire", "cluster", "replication", "coordinator"],
  node: ["base", "wire", "raft", "cluster", "replication", "coordinator", "broker"],
  storage: ["base"],
  client: ["base", "wire"],
  registry: ["base"],
  tier: ["base"],
  // cluster: the settings of `[kafka]` are declared there, and the configuration judges them.
  server: [
    ...["base", "wire", "cluster", "broker", "node"],
    ...["storage", "client", "registry", "tier"],
  ],
  cli: ["base", "client"],
  console: ["base"],
  main: ["base", "server", "cli", "console"],
};

const core = ["base", "raft", "cluster", "replication", "coordinator", "broker", "node"];
const pure = new Set([...core, "proto", "wire"]);
/** Rooms of small files that are imported directly. */
const doorless = new Set(["base", "proto", "wire"]);
/**
 * Doors of their own: the registry imports every API file, and each of those the front door; what
 * reads a configuration must not load the server.
 */
const sideDoors = new Set(["src/core/broker/apis.ts", "src/server/config_report.ts"]);
/** Rooms that turn records of our own into bytes and back, from their tables, by `wire`. */
const recordRooms = new Set(["broker", "node"]);

const ambient =
  /(?<![.\w$])(Date|performance|crypto|process|console|fetch|Bun|Worker|WeakRef|FinalizationRegistry|globalThis|setTimeout|setInterval|setImmediate|queueMicrotask|async|await|Promise|eval)\b(?!\s*:)|Math\.random|new Function/;

export function roomOf(path: string): string {
  const [top = "", second = "", third = ""] = path.split("/");
  if (top === "proto") return "proto";
  if (path === "src/main.ts") return "main";
  return second === "core" ? third : second;
}

/**
 * Erased imports: branded ids in proto, message types in every room above base, the types of the
 * HTTP API where HTTP is spoken.
 */
function typeOnly(room: string, target: string): boolean {
  if (room === "proto") return target.startsWith("src/core/base/");
  if (target.startsWith("proto/")) return room !== "base";
  return target === "src/server/http/api.ts" && (room === "cli" || room === "console");
}

interface Import {
  readonly spec: string;
  readonly erased: boolean;
}

function importsOf(text: string): readonly Import[] {
  const statement = /^\s*((?:import|export)\s[^;"]*?\bfrom\s*|import\s*)"([^"]+)"/gm;
  const call = /\bimport\s*\(\s*"([^"]+)"/g;
  const statements = [...text.matchAll(statement)].map((match) => ({
    spec: match[2] ?? "",
    erased: /^(import|export)\s+type\b/.test(match[1] ?? ""),
  }));
  const calls = [...text.matchAll(call)].map((match) => ({ spec: match[1] ?? "", erased: false }));
  return [...statements, ...calls];
}

function importLaw(path: string, room: string, { spec, erased }: Import): string | null {
  const isTest = path.endsWith(".test.ts");
  if (!spec.startsWith(".")) {
    if (spec === "bun:ffi" && room !== "storage") return "bun:ffi belongs to storage/";
    const foreign = pure.has(room) && !isTest;
    return foreign ? `a pure room imports package '${spec}'; move it to server/` : null;
  }
  if (!/\.(ts|tsx|json)$/.test(spec)) return `import '${spec}' with its extension`;
  const target = new URL(spec, `file:///${path}`).pathname.slice(1);
  if (!/^(src|proto)\//.test(target)) {
    return isTest || target === "package.json"
      ? null
      : `src imports '${target}', which never ships`;
  }
  const other = roomOf(target);
  if (other === room || (erased && typeOnly(room, target))) return null;
  if (target.startsWith("proto/records/") && recordRooms.has(room)) return null;
  if (!rooms[room]?.includes(other)) {
    return `${room} may not import ${other}; emit an effect or move the type to base/`;
  }
  const door = doorless.has(other) || sideDoors.has(target);
  return door || target.endsWith(`/${other}/${other}.ts`)
    ? null
    : `import ${other} through its front door ${other}/${other}.ts`;
}

/** Judged on the transpiled text: comments and types do not count, template strings do. */
function purityLaw(room: string, text: string): string | null {
  const code = new Bun.Transpiler({ loader: "ts" }).transformSync(text);
  const bare = code.replace(/"(?:\\.|[^"\\])*"/g, '""');
  const token = ambient.exec(room === "wire" ? bare.replaceAll("new Function", "") : bare);
  if (token === null) return null;
  return `'${token[0]}' in a pure room; take it as an argument, an input or an effect`;
}

/** What is wrong with one file of src/ or proto/, each with the way out. */
export function roomLaws(path: string, text: string): readonly string[] {
  const room = roomOf(path);
  if (rooms[room] === undefined) {
    return [`${path}: unknown room '${room}'; add it to test/tidy/rooms.ts and STYLE.md`];
  }
  const wrong = importsOf(text).map((each) => importLaw(path, room, each));
  if (pure.has(room) && !path.endsWith(".test.ts")) wrong.push(purityLaw(room, text));
  return wrong.flatMap((words) => (words === null ? [] : [`${path}: ${words}`]));
}
