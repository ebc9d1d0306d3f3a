/**
 * The files of the page at `/`, read once at the start. They hold no secrets, so everyone gets them. The page then asks
 * the API for its content, with its cookie.
 */
import { readPageFile } from "../http/page-files.ts";
import type { Api } from "../options.ts";

const scripts = ["ask", "elements", "output", "page", "refreshing", "rows", "words"];

const files = [
  { url: "/", file: "index.html", type: "text/html; charset=utf-8" },
  { url: "/page.css", file: "page.css", type: "text/css; charset=utf-8" },
  { url: "/icon.svg", file: "icon.svg", type: "image/svg+xml" },
  ...scripts.map((name) => ({
    url: `/${name}.js`,
    file: `${name}.js`,
    type: "text/javascript; charset=utf-8",
  })),
];

export function pageRoutes(app: Api): void {
  for (const { url, file, type } of files) {
    const content = readPageFile(file);
    app.get(url, { config: { right: "everyone" }, schema: { hide: true } }, async (_request, reply) =>
      reply.type(type).header("cache-control", "no-cache").send(content),
    );
  }
}
