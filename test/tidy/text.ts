// Laws about the text of one file: casts and assertions, words of unfinished work, paths of one
// machine. Words are looked for in everything, casts and assertions in code without its comments and
// the insides of its strings.

/** A dot in the middle keeps these lists from breaking the laws that they state. */
function words(dotted: readonly string[]): string {
  return dotted.map((each) => each.replaceAll("·", "")).join("|");
}

const unfinished = words(["TO·DO", "FIX·ME", "not imple·mented", "place·holder", "for n·ow"]);
const machine = words(["/wo·rk/", "/ro·ot/", "/ho·me/", "/tm·p/", "\\.\\./sha·red/"]);
const registries = words(["registry\\.npm·js", "python·hosted\\.org", "repo1\\.mav·en"]);
const organisation = words(["iss·ue #?[0-9]+", "sess·ion [0-9]+"]);
const silenced = words(["@ts-ig·nore", "@ts-no·check", "oxlint-dis·able", "biome-ig·nore"]);

interface WordLaw {
  readonly pattern: RegExp;
  readonly cure: string;
}

const wordLaws: readonly WordLaw[] = [
  { pattern: new RegExp(`\\b(${unfinished})\\b`, "i"), cure: "finish it or leave it out" },
  {
    pattern: new RegExp(`(^|[^\\w.])(${machine})`),
    cure: "a path of one machine; use a relative one",
  },
  { pattern: new RegExp(registries), cure: "registries are reached through their clients" },
  { pattern: new RegExp(`\\b(${organisation})\\b`, "i"), cure: "say the reason itself" },
  { pattern: new RegExp(silenced), cure: "mend what the tool says" },
];

/** Laws for every text file of the repository. */
export function wordLawsOf(path: string, text: string): readonly string[] {
  const errors: string[] = [];
  for (const [index, line] of text.split("\n").entries()) {
    for (const { pattern, cure } of wordLaws) {
      const found = pattern.exec(line);
      if (found !== null) errors.push(`${path}:${index + 1}: '${found[0].trim()}': ${cure}`);
    }
  }
  return errors;
}

const regexBefore = /(^|[(,=:[!&|?{};+\n]|\b(?:return|case|of|in))\s*$/;

/** End of the piece that starts at `at` and is no code; `at` itself where code goes on. */
function skip(text: string, at: number): number {
  const two = text.slice(at, at + 2);
  if (two === "//") return ending(text, at, "\n");
  if (two === "/*") return ending(text, at + 2, "*/") + 2;
  const quote = text[at];
  if (quote === '"' || quote === "'") return quoted(text, at, quote);
  const before = text.slice(Math.max(0, at - 12), at);
  if (quote === "/" && regexBefore.test(before)) return quoted(text, at, "/");
  return at;
}

function ending(text: string, from: number, mark: string): number {
  const at = text.indexOf(mark, from);
  return at < 0 ? text.length : at;
}

function quoted(text: string, start: number, quote: string): number {
  let inClass = false;
  for (let at = start + 1; at < text.length; at += 1) {
    const char = text[at];
    if (char === "\\") at += 1;
    else if (char === "\n") return at;
    else if (char === "[" && quote === "/") inClass = true;
    else if (char === "]") inClass = false;
    else if (char === quote && !inClass) return at + 1;
  }
  return text.length;
}

/**
 * The code of a file, line by line as it was: comments and the insides of strings and regular
 * expressions are blank. Of a template only the code in its holes is left, after its back-quote.
 */
export function codeOf(text: string): string {
  let code = "";
  /** Depth of braces in each hole of a template that is open, innermost last. */
  const holes: number[] = [];
  let inTemplate = false;
  for (let at = 0; at < text.length; ) {
    const char = text[at] ?? "";
    if (inTemplate) {
      const opens = char === "$" && text[at + 1] === "{";
      if (opens) holes.push(0);
      if (opens || char === "`") inTemplate = false;
      code += char === "\n" ? "\n" : char === "`" || opens ? char : " ";
      at += opens || char === "\\" ? 2 : 1;
      continue;
    }
    const end = skip(text, at);
    if (end > at) {
      const blank = text.slice(at, end).replace(/[^\n]/g, " ");
      code += char === "/" ? blank : char + blank.slice(1);
      at = end;
      continue;
    }
    const depth = holes.at(-1);
    if (char === "`") inTemplate = true;
    else if (depth !== undefined && char === "{") holes[holes.length - 1] = depth + 1;
    else if (depth !== undefined && char === "}") {
      if (depth === 0) inTemplate = holes.pop() !== undefined;
      else holes[holes.length - 1] = depth - 1;
    }
    code += char;
    at += 1;
  }
  return code;
}

/** Files whose purpose is the cast: brands, the vocabulary of messages, codecs, the door to Zig. */
const castFiles = /^(src\/core\/base\/ids\.ts$|proto\/schema\.ts$|src\/(wire|storage)\/)/;
/** A wrong cast in a test makes a test fail; in these folders it makes a node lie. */
const ships = /^(src|proto|release|bench)\//;
const cast = /(?<![.\w*])as\s+(?!const\b)[\w"'{[(]/g;

/** `import { a as b }` renames; it casts nothing. */
function withoutRenames(code: string): string {
  return code.replace(/\b(import|export)\s+(type\s+)?(\{[^}]*\}|\*\s*as\s+\w+)/g, (statement) =>
    statement.replace(/[^\n]/g, " "),
  );
}

function castLaw(path: string, text: string, code: string): readonly string[] {
  if (!ships.test(path) || path.endsWith(".test.ts") || castFiles.test(path)) return [];
  const lines = text.split("\n");
  return [...withoutRenames(code).matchAll(cast)].flatMap(({ index }) => {
    const line = code.slice(0, index).split("\n").length;
    const near = lines.slice(Math.max(0, line - 2), line + 1).join("\n");
    return near.includes("// proof:")
      ? []
      : [`${path}:${line}: a cast without '// proof:' beside it`];
  });
}

function assertLaw(path: string, code: string): readonly string[] {
  // The insides of strings are blank, so a message that is left is a template or an expression.
  return [...code.matchAll(/\bassert\(/g)].flatMap(({ index }) => {
    const line = code.slice(0, index).split("\n").length;
    let depth = 0;
    for (let at = index + "assert".length; at < code.length; at += 1) {
      const char = code[at];
      if (char === "(") depth += 1;
      if (char === ")") depth -= 1;
      if (char === "`")
        return [`${path}:${line}: a template in assert is built even when it holds`];
      if (depth === 0) break;
    }
    return [];
  });
}

const skips = words(["skip", "only", "to·do", "if", "skipIf", "to·doIf", "failing"]);
const skippedTest = new RegExp(
  `\\b(test|it|describe)\\s*\\.\\s*(${skips})\\b|\\bx(it|test|describe)\\(`,
);

function skippedLaw(path: string, code: string): readonly string[] {
  const found = skippedTest.exec(code);
  if (found === null) return [];
  const line = code.slice(0, found.index).split("\n").length;
  return [`${path}:${line}: '${found[0]}': a test runs always, or says in words why it fails`];
}

/** Laws for TypeScript. */
export function codeLawsOf(path: string, text: string): readonly string[] {
  const code = codeOf(text);
  const headed = path.endsWith(".test.ts") || /^\/[/*]/.test(text);
  return [
    ...castLaw(path, text, code),
    ...assertLaw(path, code),
    ...skippedLaw(path, code),
    ...(headed ? [] : [`${path}:1: open the file with a comment that says what it is for`]),
  ];
}

const emptyNames = new Set([
  ...["info", "manager", "util", "utils", "helper", "helpers", "common", "misc"],
  ...["context", "item", "items", "handler", "handlers", "types"],
]);

/** Laws for the names of files: one word if possible, and none that says nothing. */
export function nameLawsOf(path: string): readonly string[] {
  if (!/^(src|proto|zig|test|bench|release)\//.test(path) || !/\.(ts|zig)$/.test(path)) return [];
  const name = path.slice(path.lastIndexOf("/") + 1).replace(/(\.(test|gen|d))?\.(ts|zig)$/, "");
  const errors: string[] = [];
  if (!/^[a-z0-9]+([_.][a-z0-9]+)*$/.test(name))
    errors.push(`${path}: name the file in snake_case`);
  if (emptyNames.has(name))
    errors.push(`${path}: '${name}' says nothing; name what the file is for`);
  return errors;
}
