/**
 * The files of the dashboard, as src/build/page.ts has made them: `dist/ui/` in a clone and in the published package.
 *
 * All but the page itself have a hash of their content in their names, so browsers keep them for good.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import type { FastifyReply, FastifyRequest } from "fastify";

/** The bundle lies in dist/program/. */
const folder = fileURLToPath(
  new URL(import.meta.url.endsWith(".ts") ? "../../../dist/ui/" : "../ui/", import.meta.url),
);

export interface PageFile {
  content: Buffer;
  /** the same, compressed when it is first asked for */
  gzipped: () => Buffer;
  type: string;
}

const types: Readonly<Record<string, string>> = {
  html: "text/html; charset=utf-8",
  css: "text/css; charset=utf-8",
  js: "text/javascript; charset=utf-8",
};

const unbuilt = Buffer.from(
  '<!doctype html><html lang="en"><title>cicada</title><p>The dashboard has not been built here, because npm ran no scripts ' +
    "when it installed: run <code>npm run build</code> and start this peer again. The API and the command line work without it.</p>",
);

export interface PageFiles {
  page: PageFile;
  /** by name */
  assets: ReadonlyMap<string, PageFile>;
}

/** Call it once, at the start. */
export function readPageFiles(): PageFiles {
  const isBuilt = existsSync(`${folder}index.html`);
  const names = isBuilt ? readdirSync(`${folder}assets`) : [];
  return {
    page: pageFile("index.html", isBuilt ? readFileSync(`${folder}index.html`) : unbuilt),
    assets: new Map(names.map((name) => [name, pageFile(name, readFileSync(`${folder}assets/${name}`))])),
  };
}

function pageFile(name: string, content: Buffer): PageFile {
  const type = types[name.slice(name.lastIndexOf(".") + 1)] ?? "application/octet-stream";
  let gzipped: Buffer | undefined;
  return { content, gzipped: () => (gzipped ??= gzipSync(content, { level: 9 })), type };
}

export function sendFile(
  request: FastifyRequest,
  reply: FastifyReply,
  file: PageFile,
  caching: string,
): FastifyReply {
  reply.type(file.type).header("cache-control", caching).header("vary", "accept-encoding");
  const takesGzip = /\bgzip\b/.test(request.headers["accept-encoding"] ?? "");
  return takesGzip ? reply.header("content-encoding", "gzip").send(file.gzipped()) : reply.send(file.content);
}

/** The sign of cicada: a clock. With a number of jobs in trouble it is red and shows the number. */
export function iconSvg(failing = 0): string {
  const text = failing > 99 ? "99" : String(failing);
  const face =
    failing === 0
      ? '<path d="M16 7v9l6 4" fill="none" stroke="#fff" stroke-width="3" stroke-linecap="round" stroke-linejoin="round"/>'
      : `<text x="16" y="22.5" text-anchor="middle" font-family="system-ui,sans-serif" font-weight="700" font-size="18" fill="#fff">${text}</text>`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><circle cx="16" cy="16" r="14" fill="${failing === 0 ? "#2f6f4f" : "#b3372a"}"/>${face}</svg>`;
}
