// The OpenAPI document and a page to read and try it, which needs no network: the executable carries
// Swagger UI.

import bundle from "swagger-ui-dist/swagger-ui-bundle.js" with { type: "file" };
import style from "swagger-ui-dist/swagger-ui.css" with { type: "file" };
import { noQuery, type Route, route } from "./routes.ts";

const page = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Pyralog HTTP API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/ui.css">
</head>
<body>
<div id="page"></div>
<script src="/docs/ui.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
`;
const start = `SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#page",
  deepLinking: true,
  tryItOutEnabled: true,
  validatorUrl: null,
});
`;
/** Nothing of the page comes from elsewhere, nor could it. */
const policy =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'";

function hidden(path: string, answer: () => Response | Promise<Response>): Route {
  return route("GET", path, noQuery, { tag: null, summary: path, answers: {} }, answer);
}

function file(path: string, media: string): Response {
  const headers = { "content-type": media, "cache-control": "max-age=3600" };
  return new Response(Bun.file(path), { headers });
}

/** `routes` tells all routes, once the document is asked for. */
export function pageRoutes(routes: () => readonly Route[], version: string): readonly Route[] {
  let document: Promise<string> | null = null;
  const write = async (): Promise<string> => {
    const { documentOf } = await import("./document.ts");
    return documentOf(routes(), version);
  };
  return [
    hidden("/openapi.json", async () => {
      document ??= write();
      return new Response(await document, { headers: { "content-type": "application/json" } });
    }),
    hidden("/docs", () => {
      const headers = {
        "content-type": "text/html; charset=utf-8",
        "content-security-policy": policy,
      };
      return new Response(page, { headers });
    }),
    hidden("/docs/start.js", () => {
      return new Response(start, { headers: { "content-type": "text/javascript" } });
    }),
    hidden("/docs/ui.js", () => file(bundle, "text/javascript")),
    hidden("/docs/ui.css", () => file(style, "text/css")),
  ];
}
