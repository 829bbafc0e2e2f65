// A node with its HTTP address, and requests to it. curl is the client where HTTP/2 matters: Bun's
// own speaks it over TLS only.

import { needTool } from "../../bench/tools.ts";
import { node } from "../harness/node.ts";
import { Server, type ServerOptions } from "../harness/server.ts";

export interface HttpServer {
  readonly server: Server;
  /** http://127.0.0.1:PORT of the last start. */
  readonly base: () => string;
}

export async function startHttp(options: ServerOptions = {}): Promise<HttpServer> {
  const server = await Server.start(options, node);
  const base = () => /HTTP\s+(http:\/\/\S+)/.exec(server.logTail())?.[1] ?? "";
  return { server, base };
}

export const jsonType = { "content-type": "application/json" };
export const linesType = {
  "content-type": "application/x-ndjson",
  accept: "application/x-ndjson",
};

export interface Told {
  readonly status: number;
  readonly headers: Headers;
  /** Text, or what the JSON means: tests look into it by name. */
  readonly body: ReturnType<typeof JSON.parse>;
}

async function told(response: Response): Promise<Told> {
  const text = await response.text();
  const isJson = response.headers.get("content-type")?.includes("json") === true;
  const isOne = isJson && !text.includes("}\n{") && text !== "";
  const body = isOne ? JSON.parse(text) : text;
  return { status: response.status, headers: response.headers, body };
}

export async function send(
  url: string,
  method: string,
  body?: unknown,
  headers: Record<string, string> = jsonType,
): Promise<Told> {
  if (body === undefined) return told(await fetch(url, { method, headers }));
  const isText = typeof body === "string" || body instanceof Uint8Array;
  const bytes = Buffer.from(isText ? body : JSON.stringify(body));
  return told(await fetch(url, { method, headers, body: bytes }));
}

export async function get(url: string, headers: Record<string, string> = {}): Promise<Told> {
  return told(await fetch(url, { headers }));
}

/** curl with its own arguments; the body and, behind it, status and HTTP version. */
export async function curl(args: readonly string[], input = ""): Promise<readonly string[]> {
  const command = [needTool("curl", "curl"), "-sS", "-w", "\n%{http_code} %{http_version}"];
  const child = Bun.spawn([...command, ...args], {
    stdin: Buffer.from(input),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [text, words, exit] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (exit !== 0) throw new Error(`curl ${args.join(" ")}: exit code ${exit}\n${words}`);
  const at = text.lastIndexOf("\n");
  return [text.slice(0, at), ...text.slice(at + 1).split(" ")];
}

/** The slug of a problem, and that it says what to do next. */
export function slugOf({ headers, body }: Told): string {
  if (headers.get("content-type") !== "application/problem+json") return "no problem document";
  return typeof body.detail === "string" && /\. [A-Z].*\.?/.test(body.detail)
    ? String(body.type).slice("https://pyralog.dev/problems/".length)
    : `no next step in: ${body.detail}`;
}
