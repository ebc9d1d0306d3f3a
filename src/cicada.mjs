#!/usr/bin/env node
/**
 * The door of the program, in plain JavaScript that any Node can read: a Node that is too old gets a polite word
 * instead of a syntax error in the first TypeScript file.
 */
import { existsSync, mkdirSync, statSync } from "node:fs";
import module from "node:module";
import { homedir } from "node:os";
import { join } from "node:path";

const oldestMajor = 24;
const major = Number(process.versions.node.split(".")[0]);

if (major < oldestMajor) {
  process.stderr.write(
    `cicada needs Node ${oldestMajor} or newer; this is ${process.versions.node}, at ${process.execPath}.\n` +
      "In a clone, `npm ci` brings the right one along: use `npm start -- FLAGS` or `npm run cicada -- ARGS`.\n",
  );
  process.exitCode = 1;
} else {
  keepCompiled();
  const { main } = await import("./main.ts");
  await main(process.argv.slice(2));
}

/**
 * Keeps what Node makes of the TypeScript files for the next start, which then takes half the time and, without the
 * compiler in it, a third of the memory: what a launcher's every fork has to copy. Code is believed only out of a
 * folder that nobody else can write to; where there is none, each start compiles anew.
 */
function keepCompiled() {
  const caches = process.env.XDG_CACHE_HOME || join(homedir(), ".cache");
  const folder = join(caches, "cicada");
  try {
    for (const path of [caches, folder]) if (!existsSync(path)) mkdirSync(path, { mode: 0o700 });
    const { uid, mode } = statSync(folder);
    if (uid === process.getuid?.() && (mode & 0o022) === 0) module.enableCompileCache(folder);
  } catch {
    // A home that can't be written to.
  }
}
