#!/usr/bin/env node
/**
 * The door of the program, in plain JavaScript that any Node can read. A Node that is too old hands over to the one that
 * `npm ci` brought along; where there is none, it says what is missing instead of failing at the first TypeScript file.
 */
import { existsSync, mkdirSync, readdirSync, statSync } from "node:fs";
import module from "node:module";
import { constants, homedir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const hidesArguments = hideJoinStrings();
// Without a listener of ours, Node opens its debugger on this signal, in which anybody on this machine could run code as us.
process.on("SIGUSR1", () => {});

const oldestMajor = 24;
/** The published package has a bundle in place of the sources. */
const isClone = existsSync(new URL("main.ts", import.meta.url));
const nodePackage = `node-${process.platform}-${process.arch}`;
const major = Number(process.versions.node.split(".")[0]);

if (major >= oldestMajor) {
  if (process.argv[2] === "start" && !hidesArguments) keepSmall();
  keepCompiled();
  try {
    const { main } = await import(isBundleCurrent() ? "../dist/program/main.js" : "./main.ts");
    await main(process.argv.slice(2));
  } catch (error) {
    if (error?.code !== "EMFILE") throw error;
    process.stderr.write(
      "error: The limit of open files is too low: not even the program's own could be read.\n" +
        "hint:  Raise LimitNOFILE= in the unit, or ulimit -n before the start.\n",
    );
    process.exitCode = 1;
  }
} else {
  const bundled = bundledNode();
  if (bundled === undefined) {
    process.stderr.write(
      `error: cicada needs Node ${oldestMajor} or newer; this is ${process.versions.node}, at ${process.execPath}.\n` +
        `hint:  Install Node ${oldestMajor} (https://nodejs.org) and put it first in PATH${orBringAlong()}.\n`,
    );
    process.exitCode = 1;
  } else await handOver(bundled);
}

/**
 * Every user of this machine can read the arguments of a process, and a join string holds the cluster key. Setting the
 * title overwrites the arguments that the system shows; process.argv keeps them. The npm, sudo or shell script in front of
 * this process still shows its own, so start.ts warns as well. Returns whether there was anything to hide.
 */
function hideJoinStrings() {
  const given = ["cicada", ...process.argv.slice(2)].join(" ");
  const shown = given.replaceAll(/cicada-join-\d+:\S*/g, "cicada-join-…");
  if (shown !== given) process.title = shown;
  return shown !== given;
}

/**
 * Starts this process again with settings that V8 and the C library only take when they start. For V8: one thread beside the main
 * one for its own work; for young objects 16 MiB at most, and for old ones four times what is in use before they are collected,
 * because nearly all that a start reads stays in use, and to look through it again and again would take a third of a start with
 * 100,000 jobs; and the function by which the peer gives this room back when it is ready (real/memory.ts). For malloc: one arena
 * for all threads, which gives blocks from 32 KiB on back at once. By itself it would keep what a large table took while it was
 * read, and what a start leaves between smaller blocks. The process keeps its id and takes 30 ms more to start. Not done if
 * arguments have to stay hidden: the new process would show them again for as long.
 */
function keepSmall() {
  const limit = "--max-semi-space-size";
  const given = [...process.execArgv, process.env.NODE_OPTIONS ?? ""];
  if (process.execve === undefined || given.some((option) => option.includes(limit))) return;
  const small = [`${limit}=16`, "--heap-growing-percent=300", "--v8-pool-size=1", "--expose-gc"];
  const flags = [...small, ...process.execArgv];
  const env = { MALLOC_ARENA_MAX: "1", MALLOC_MMAP_THRESHOLD_: "32768", ...process.env };
  process.execve(process.execPath, [process.execPath, ...flags, ...process.argv.slice(1)], env);
}

/**
 * Whether `dist/` is there and as new as the sources. Then a clone runs it as well: it starts in a third of the time and takes half
 * the memory. Once somebody edits a source, or takes another commit, the sources run until the next `npm run build`.
 */
function isBundleCurrent() {
  if (!isClone) return true;
  try {
    const here = fileURLToPath(new URL(".", import.meta.url));
    const builtMs = statSync(join(here, "../dist/program/main.js")).mtimeMs;
    return isOlder(here, builtMs);
  } catch {
    return false;
  }
}

/** Whether no source in the folder is newer. Twice as quick as Node's own way of reading all folders at once. */
function isOlder(folder, builtMs) {
  return readdirSync(folder, { withFileTypes: true }).every((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return isOlder(path, builtMs);
    return !entry.name.endsWith(".ts") || statSync(path).mtimeMs <= builtMs;
  });
}

/** The Node that npm has installed in the clone, or beside the package. */
function bundledNode() {
  const places = ["../node_modules", "../.."].map((place) =>
    fileURLToPath(new URL(`${place}/${nodePackage}/bin/node`, import.meta.url)),
  );
  return places.find((path) => existsSync(path));
}

/** How npm brings the right Node along, if it can: not for a package that is installed for all users. */
function orBringAlong() {
  const folder = fileURLToPath(new URL("..", import.meta.url));
  if (isClone) return `, or run \`npm ci\` in ${folder}`;
  const [project] = folder.split(/[/\\]node_modules[/\\]/);
  return project.endsWith("lib")
    ? ""
    : `, or run \`npm install ${nodePackage}@${oldestMajor}\` in ${project}`;
}

/**
 * Runs this program again under that Node, in this process where the present one can do that (from 22.15 on). Otherwise
 * signals go on to it, and this process ends as that one ends.
 */
async function handOver(node) {
  if (process.execve !== undefined) process.execve(node, [node, ...process.argv.slice(1)], process.env);
  const { spawn } = await import("node:child_process");
  const child = spawn(node, process.argv.slice(1), { stdio: "inherit" });
  // Without us in between, the child alone would have got them. What a terminal sends to both counts once there.
  for (const signal of [
    "SIGTERM",
    "SIGINT",
    "SIGHUP",
    "SIGQUIT",
    "SIGPWR",
    "SIGXCPU",
    "SIGUSR1",
    "SIGUSR2",
  ]) {
    process.on(signal, () => signal !== "SIGINT" && child.kill(signal));
  }
  child.on("error", (error) => {
    process.stderr.write(`${node}: ${error.message}\n`);
    process.exitCode = 1;
  });
  child.on("exit", (code, signal) => {
    process.exitCode = code ?? 128 + (constants.signals[signal] ?? 0);
  });
}

/**
 * Keeps what Node makes of the TypeScript files for the next start, which then takes half the time and, without the
 * compiler in memory, a third of the memory: the launcher's every fork has to copy that. Code is believed only out of a
 * folder that nobody else can write to; without one, each start compiles again.
 */
function keepCompiled() {
  try {
    const caches = process.env.XDG_CACHE_HOME || join(homedir(), ".cache");
    const folder = join(caches, "cicada");
    for (const path of [caches, folder]) if (!existsSync(path)) mkdirSync(path, { mode: 0o700 });
    const { uid, mode } = statSync(folder);
    if (uid === process.getuid?.() && (mode & 0o022) === 0) module.enableCompileCache(folder);
  } catch {
    // No home (a user without an entry in /etc/passwd), or one that can't be written to.
  }
}
