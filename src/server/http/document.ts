// The OpenAPI document of all routes. @elysiajs/swagger gathers it from an Elysia that has the routes
// and serves nothing; what it and TypeBox write beyond OpenAPI 3.0 is put into its words here.

import { swagger } from "@elysiajs/swagger";
import type { TSchema } from "@sinclair/typebox";
import { Elysia } from "elysia";
import type { Answer, Route } from "./routes.ts";
import { problemSchema } from "./schemas.ts";
import { propertiesOf } from "./shape.ts";

type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json };
type Members = Readonly<Record<string, Json>>;

const rawPath = "/openapi.raw.json";
/** Any route may refuse its query, and any may meet a node that stops or is full. */
const problemsOfAll = [422, 503];

/** The text of the document. */
export async function documentOf(routes: readonly Route[], version: string): Promise<string> {
  const app = new Elysia().use(
    swagger({
      specPath: rawPath,
      path: "/page",
      documentation: {
        info: {
          title: "Pyralog",
          version,
          description: "Records, topics and groups of a Pyralog cluster over HTTP.",
          license: { name: "Apache-2.0" },
        },
        servers: [{ url: "/" }],
      },
    }),
  );
  for (const each of routes) {
    if (each.tag === null) continue;
    app.route(each.method, each.path, () => "", { parse: "none", detail: detailOf(each) });
  }
  await app.modules;
  const answer = await app.handle(new Request(`http://localhost${rawPath}`));
  const raw = (await answer.json()) as Members; // proof: the plugin answers with its document
  return JSON.stringify(normal(raw));
}

/** What the plugin merges into the operation. */
function detailOf(route: Route): object {
  const { method, path, tag, summary, description, headers = {}, body, answers } = route;
  const names = [...path.matchAll(/:([a-z]+)/g)].map((match) => match[1] ?? "");
  const parameters = [
    ...names.map((name) => ({ name, in: "path", required: true, schema: pathSchema(name) })),
    ...Object.entries(propertiesOf(route.query.schema)).map(([name, schema]) => ({
      name,
      in: "query",
      required: requiredOf(route.query.schema).includes(name),
      schema,
    })),
    ...Object.entries(headers).map(([name, schema]) => ({
      name,
      in: "header",
      required: false,
      schema,
    })),
  ];
  const known = Object.entries(answers).map(([status, answer]): [string, object] => [
    status,
    responseOf(answer),
  ]);
  const ofBody = body === undefined ? [] : [400, 408];
  const no = new Set([...ofBody, ...problemsOfAll, ...(route.problems ?? [])]);
  const problems = [...no]
    .filter((status) => answers[status] === undefined)
    .map((status): [string, object] => [String(status), problemResponse]);
  return {
    tags: [tag],
    summary,
    operationId: `${method.toLowerCase()}${path.replace(/[:/]+(\w)/g, (_, c: string) => c.toUpperCase())}`,
    ...(description !== undefined && { description }),
    parameters,
    ...(body !== undefined && { requestBody: { required: true, content: contentOf(body) } }),
    responses: Object.fromEntries([...known, ...problems]),
  };
}

function pathSchema(name: string): Members {
  if (name === "partition" || name === "node") return { type: "integer", minimum: 0 };
  if (name === "offset") return { type: "integer", minimum: 0 };
  return { type: "string", minLength: 1 };
}

function requiredOf(schema: TSchema): readonly unknown[] {
  const required: unknown = schema["required"];
  return Array.isArray(required) ? required : [];
}

function contentOf(content: Readonly<Record<string, TSchema>>): object {
  return Object.fromEntries(Object.entries(content).map(([media, schema]) => [media, { schema }]));
}

function responseOf({ description, content = {} }: Answer): object {
  return { description, content: contentOf(content) };
}

const problemResponse = {
  description: "What is wrong, and what to do next.",
  content: { "application/problem+json": { schema: problemSchema } },
};

/** JSON Schema of TypeBox in the words of OpenAPI 3.0. */
function normal(json: Json): Json {
  if (isList(json)) return json.map(normal);
  if (!isMembers(json)) return json;
  const anyOf = json["anyOf"];
  if (isList(anyOf)) return union(json, anyOf);
  return Object.fromEntries(
    Object.entries(json).flatMap(([name, value]): [string, Json][] => {
      if (name === "const") return [["enum", [value]]];
      if (name === "examples" && isList(value)) return [["example", value[0] ?? null]];
      if (name === "patternProperties" && typeof value === "object" && value !== null)
        return [["additionalProperties", normal(Object.values(value)[0] ?? {})]];
      return [[name, normal(value)]];
    }),
  );
}

function union(members: Members, all: readonly Json[]): Json {
  const rest = Object.fromEntries(Object.entries(members).filter(([name]) => name !== "anyOf"));
  const isNull = (each: Json): boolean => isMembers(each) && each["type"] === "null";
  const others = all.filter((each) => !isNull(each)).map(normal);
  const nullable: Members = others.length < all.length ? { nullable: true } : {};
  const plain = normal(rest) as Members; // proof: of an object an object is made
  const values = others.flatMap((each) => constantsOf(each));
  if (values.length === others.length)
    return { ...plain, ...nullable, type: "string", enum: values };
  const only = others[0];
  if (others.length === 1 && isMembers(only)) return { ...only, ...plain, ...nullable };
  return { ...plain, ...nullable, anyOf: others };
}

/** The one text that a schema allows. */
function constantsOf(schema: Json): readonly Json[] {
  const values = isMembers(schema) ? schema["enum"] : undefined;
  return isList(values) && values.length === 1 ? values : [];
}

function isMembers(json: Json | undefined): json is Members {
  return typeof json === "object" && json !== null && !Array.isArray(json);
}

function isList(json: Json | undefined): json is readonly Json[] {
  return Array.isArray(json);
}
