/**
 * Makes `dist/`: the program in few files, from which a peer starts in a third of the time and in half the memory. npm runs this
 * after `npm ci`, and before it packs: the published package has no sources, because Node doesn't run TypeScript below
 * node_modules. A clone runs the bundle only while it is as new as the sources (cicada.mjs).
 *
 * `dist/program/` is the bundle, with a file for each process and thread. `dist/ui/` is the dashboard. `dist/static/` are the
 * files of the API's documentation, where Swagger UI looks for them from there. `dist/THIRD-PARTY-NOTICES.txt` holds the
 * licences of everything in it.
 */
import { build, type Plugin } from "esbuild";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { formatNotices, packagesOf } from "./notices.ts";
import { buildPage } from "./page.ts";

const root = join(import.meta.dirname, "..", "..");
/** Built here, and put into its place when it is whole, because peers may be running the earlier one. */
const dist = mkdtempSync(join(root, "dist-"));
const begunAt = new Date();

/** By the names under which the program starts them, seen from the file that starts them. */
const entryPoints = {
  main: "src/main.ts",
  launcher: "src/real/executor/launcher.ts",
  "disk/writer": "src/real/disk/writer.ts",
  "disk/reader": "src/real/disk/reader.ts",
  "patterns/worker": "src/real/patterns/worker.ts",
  "calendars/worker": "src/real/calendars/worker.ts",
};

/** What packages in the CommonJS form expect to find. */
const commonJs =
  'import { createRequire as requireFrom } from "node:module"; ' +
  "const require = requireFrom(import.meta.url), __dirname = import.meta.dirname;";

/**
 * Parts of Node that a package loads at its start and a peer seldom uses, here loaded at their first use. They take 2 MiB.
 */
const seldomUsed: Plugin = {
  name: "seldom used",
  setup(building) {
    building.onResolve({ filter: /^(node:)?(https|http2)$/ }, ({ kind, path }) =>
      kind === "require-call" ? { path, namespace: "seldom used" } : undefined,
    );
    building.onLoad({ filter: /.*/, namespace: "seldom used" }, ({ path }) => ({
      contents: `module.exports = new Proxy({}, { get: (_, name) => process.getBuiltinModule("${path}")[name] });`,
    }));
  },
};

/**
 * What commander loads at each start of the program: node:process, of which an import reads every part, and node:child_process,
 * for subcommands that are programs of their own, which cicada doesn't have.
 */
const seldomUsedByCommander: Plugin = {
  name: "seldom used by commander",
  setup(building) {
    building.onResolve({ filter: /^node:(process|child_process)$/ }, ({ path, importer }) =>
      /\/node_modules\/commander\//.test(importer) ? { path, namespace: "by commander" } : undefined,
    );
    building.onLoad({ filter: /.*/, namespace: "by commander" }, ({ path }) => ({
      contents:
        path === "node:process"
          ? "export default globalThis.process;"
          : "export default { spawn: (...all) => process.getBuiltinModule('node:child_process').spawn(...all) };",
    }));
  },
};

/** What a package loads at its start and a peer never uses. */
const neverUsed: Plugin = {
  name: "never used",
  setup(building) {
    // @fastify/static uses it for folders in which each file is a route of its own.
    building.onResolve({ filter: /^glob$/ }, ({ path }) => ({ path, namespace: "never used" }));
    building.onLoad({ filter: /.*/, namespace: "never used" }, ({ path }) => ({
      contents: `module.exports = new Proxy({}, { get: () => () => { throw new Error("${path} is not in the bundle"); } });`,
    }));
  },
};

const { metafile } = await build({
  absWorkingDir: root,
  entryPoints,
  outdir: join(dist, "program"),
  bundle: true,
  splitting: true,
  format: "esm",
  platform: "node",
  target: "node24",
  banner: { js: commonJs },
  plugins: [seldomUsed, seldomUsedByCommander, neverUsed],
  // Names stay as they are and lines are short, so that the trace of a failure can be read.
  minifyWhitespace: true,
  minifySyntax: true,
  lineLimit: 120,
  legalComments: "none",
  metafile: true,
  logLevel: "warning",
});
const swagger = "node_modules/@fastify/swagger-ui/static";
cpSync(join(root, swagger), join(dist, "static"), {
  recursive: true,
  // The bundle beside it has the same content.
  filter: (path) => basename(path) !== "swagger-ui.js",
});
const packages = packagesOf(root, [...Object.keys(metafile.inputs), ...(await buildPage(join(dist, "ui")))]);
writeFileSync(
  join(dist, "THIRD-PARTY-NOTICES.txt"),
  formatNotices(packages, readFileSync(join(root, "LICENSE"), "utf8")),
);
// A source that was edited meanwhile is newer than the bundle.
utimesSync(join(dist, "program", "main.js"), begunAt, begunAt);
putInPlace(join(root, "dist"));

/** Two builds may end at the same time. Either result will do. */
function putInPlace(place: string): void {
  const earlier = `${dist}-earlier`;
  try {
    if (existsSync(place)) renameSync(place, earlier);
    chmodSync(dist, 0o755);
    renameSync(dist, place);
  } finally {
    for (const left of [dist, earlier]) rmSync(left, { recursive: true, force: true });
  }
}
