/**
 * Compares the published package with the clone that it was made of: size, time to start and memory. The clone runs its bundle if
 * that is current, and otherwise its sources (touch a source to see what they cost). The bench starts the two in turns, after one
 * start of each that fills its cache of compiled code.
 *
 * `npm run bench:package -- --starts 7`
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as passes } from "node:timers/promises";
import { parseArgs } from "node:util";
import { freePort, plainEnv, readReadyFile, root, Started, until } from "../test/kit/cluster.ts";
import { mib } from "./report.ts";
import { pssOf } from "./usage.ts";

/** How long it takes until an idle peer has given back the memory that its start needed. */
const calmAfterMs = 10_000;
const readyLimitMs = 60_000;

interface Figures {
  versionMs: number;
  readyMs: number;
  peerBytes: number;
  launcherBytes: number;
}

const { values } = parseArgs({ options: { starts: { type: "string", default: "7" } } });
const folder = mkdtempSync(path.join(tmpdir(), "cicada-package-"));
try {
  const tarball = pack();
  const programs = {
    clone: path.join(root, "src", "cicada.mjs"),
    package: path.join(folder, "node_modules", "cicada-cron", "src", "cicada.mjs"),
  };
  console.log(`tarball: ${(statSync(tarball).size / 1e6).toFixed(2)} MB`);
  const all = new Map<string, Figures[]>(Object.keys(programs).map((name) => [name, []]));
  for (let turn = 0; turn <= Number(values.starts); turn++) {
    for (const [name, program] of Object.entries(programs)) {
      const figures = await measure(program, path.join(folder, `data-${turn}-${path.basename(name)}`));
      if (turn > 0) all.get(name)?.push(figures);
    }
  }
  for (const [name, figures] of all) console.log(`${name}: ${lineOf(figures)}`);
} finally {
  rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
}

function pack(): string {
  const [name = ""] = execFileSync("npm", ["pack", "--silent", "--pack-destination", folder], {
    cwd: root,
    encoding: "utf8",
  })
    .trim()
    .split("\n")
    .slice(-1);
  const tarball = path.join(folder, name);
  writeFileSync(path.join(folder, "package.json"), "{}");
  execFileSync("npm", ["install", "--silent", "--no-audit", "--no-fund", tarball], { cwd: folder });
  return tarball;
}

async function measure(program: string, data: string): Promise<Figures> {
  const env = plainEnv({ XDG_CACHE_HOME: path.join(folder, "caches"), NODE_OPTIONS: "" });
  mkdirSync(path.join(folder, "caches"), { recursive: true, mode: 0o700 });
  const askedAt = performance.now();
  await new Started(process.execPath, [program, "--version"], env).ended;
  const versionMs = performance.now() - askedAt;

  const flags = [`--data=${data}`, "--http=127.0.0.1:0", `--listen=127.0.0.1:${await freePort()}`];
  const startedAt = performance.now();
  const peer = new Started(process.execPath, [program, "start", ...flags], env);
  try {
    await until("the peer is ready", readyLimitMs, () => readReadyFile(data));
    const readyMs = performance.now() - startedAt;
    await passes(calmAfterMs);
    const { own, children } = pssOf(peer.pid);
    return { versionMs, readyMs, peerBytes: own, launcherBytes: children };
  } finally {
    peer.kill("SIGTERM");
    await peer.ended;
  }
}

function lineOf(figures: readonly Figures[]): string {
  const median = (of: (one: Figures) => number): number =>
    figures.map(of).toSorted((a, b) => a - b)[Math.floor(figures.length / 2)] ?? Number.NaN;
  return [
    `--version ${median((one) => one.versionMs).toFixed(0)} ms`,
    `ready after ${median((one) => one.readyMs).toFixed(0)} ms`,
    `PSS ${mib(median((one) => one.peerBytes + one.launcherBytes))} MiB`,
    `of which the launcher ${mib(median((one) => one.launcherBytes))} MiB`,
  ].join(", ");
}
