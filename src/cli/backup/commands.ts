/**
 * `cicada backup` writes a peer's data into one file while the peer runs; `cicada restore` makes the data folder of a new peer
 * out of it. Both work on this machine's folder, as the user who owns it.
 *
 * The new peer has an identity of its own, so that it doesn't stand in for the one that made the backup. In a mesh that is
 * still alive it starts drained: it learns what has happened since, deletions included, before it runs anything.
 */
import type { Command } from "commander";
import { existsSync, rmSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { CicadaError } from "../../errors.ts";
import type { Backup } from "../../real/backup.ts";
import { asInvoked, quoted } from "../program.ts";
import { readVersion } from "../version.ts";
import { dataFolder, readReady } from "../terminal/client.ts";
import { table } from "../terminal/table.ts";
import { confirm, plain, type Terminal } from "../terminal/terminal.ts";
import { relative, utc } from "../terminal/times.ts";
import type { CatchUp, Contents } from "./contents.ts";

interface BackupOptions {
  data?: string;
  force?: true;
}

interface RestoreOptions {
  data?: string;
  newMesh?: true;
  dryRun?: true;
  yes?: true;
}

export function backupCommands(program: Command, terminal: Terminal): void {
  program
    .command("backup")
    .argument("<file>")
    .option("--data <dir>", "the peer's data folder (CICADA_DATA)")
    .option("--force", "replace the file if it exists")
    .addHelpText(
      "after",
      "\nThe file is readable by its owner only. It holds no key, no token in clear, no secret's value, and no output\nover 4 KiB; but what jobs have in their commands and env, it shows.",
    )
    .action((file: string, options: BackupOptions) => backup(file, options, terminal));

  program
    .command("restore")
    .argument("<file>")
    .option("--data <dir>", "the new peer's data folder, which must be empty or not there yet (CICADA_DATA)")
    .option(
      "--new-mesh",
      "no peer of the mesh is left: begin a new one with this peer. Without it, the peer joins the mesh and starts drained",
    )
    .option("--dry-run", "only show what the backup holds and what would be caught up")
    .option("--yes", "don't ask before a new mesh is made that would catch up ticks")
    .action((file: string, options: RestoreOptions) => restore(file, options, terminal));
}

async function backup(file: string, options: BackupOptions, terminal: Terminal): Promise<void> {
  const folder = dataFolder(options, terminal);
  if (existsSync(file) && options.force !== true)
    throw new CicadaError("BAD_FILE", `${file} exists: give another name, or --force to replace it`);
  const { makeBackup, openBackup } = await import("../../real/backup.ts");
  const { contentsOf } = await import("./contents.ts");
  const ready = readReady(folder);
  const peer = ready === undefined ? undefined : { id: ready.peerId, name: ready.name };
  makeBackup(folder, file, { madeAt: terminal.now(), version: readVersion(), peer });
  using made = openBackup(file);
  const { jobs } = contentsOf(made);
  terminal.print(
    `${file}: ${inWords(made, jobs.length)}, ${size(statSync(file).size)}, readable by you only`,
  );
  terminal.notify(
    "It holds no key and no secret's value, but the env and commands of the jobs are in it as they are.",
  );
}

async function restore(file: string, options: RestoreOptions, terminal: Terminal): Promise<void> {
  const { openBackup, restoreInto } = await import("../../real/backup.ts");
  const { contentsOf } = await import("./contents.ts");
  const folder = resolve(dataFolder(options, terminal));
  using found = openBackup(file);
  const isNewMesh = options.newMesh === true;
  const catchUp = describe(file, found, contentsOf(found), isNewMesh, terminal);
  if (options.dryRun === true) return;
  refuseUsed(folder);
  if (isNewMesh && catchUp.some(({ ticks, byHand }) => ticks.length + byHand > 0))
    await confirmCatchUp(options, terminal);
  const { openFolder } = await import("../../real/folder.ts");
  const { openLog } = await import("../../real/log.ts");
  const { generateClusterKey, generatePeerKey, peerIdOf } = await import("../../real/keys.ts");
  const { formatClusterKey } = await import("../../identity/cluster-key.ts");
  const opened = openFolder(folder, await openLog({ level: "warn", format: "pretty" }));
  const keys = ["peer.key"];
  try {
    const peerKey = opened.peerKey(generatePeerKey);
    if (isNewMesh && opened.clusterKey() === undefined) {
      opened.keepClusterKey(formatClusterKey(generateClusterKey(), peerIdOf(peerKey)));
      keys.push("cluster.key");
    }
    restoreInto(folder, file, isNewMesh ? undefined : { by: "restore", at: terminal.now() });
  } catch (error) {
    // A restore that failed, for example on a full disk, can then be repeated.
    for (const key of keys) rmSync(join(folder, key), { force: true });
    throw error;
  } finally {
    opened.close();
  }
  printNextSteps(folder, isNewMesh, terminal);
}

/** Prints what is in the backup and what would be caught up, and returns the latter. */
function describe(
  file: string,
  found: Backup,
  contents: Contents,
  isNewMesh: boolean,
  terminal: Terminal,
): CatchUp[] {
  const { madeAt, peer } = found.about;
  const now = terminal.now();
  const by = peer === undefined ? "" : ` at ${plain(peer.name)}`;
  terminal.print(
    `${file} was made ${relative(madeAt, now)}${by}, ${utc(madeAt)}: ${inWords(found, contents.jobs.length)}`,
  );
  const tokens = contents.tokens(now);
  if (isNewMesh && tokens.length > 0) {
    terminal.print(
      `These tokens are valid again in the new mesh, even those that were revoked since: ${tokens.map(plain).join(", ")}.`,
    );
    terminal.print(asInvoked("`cicada token rm NAME` revokes one.", terminal.env));
  }
  const catchUp = contents.catchUp(now);
  if (catchUp.length === 0) {
    terminal.print("Nothing in it has come due since then.");
    return catchUp;
  }
  terminal.print(
    isNewMesh
      ? "What came due since then, as far as the backup knows. The new peer catches this up when it starts:"
      : "What came due since then, as far as the backup knows. What the mesh has run or decided meanwhile is not run again:",
  );
  const rows = catchUp.map(({ job, ticks, byHand, missed }) => [
    plain(job),
    [ticksText(ticks), byHand === 0 ? "" : `${byHand} by hand`].filter((text) => text !== "").join(", ") ||
      "-",
    missed === 0 ? "-" : String(missed),
  ]);
  table(terminal, [{ title: "JOB", cut: "front", min: 12 }, { title: "WOULD RUN", min: 20 }, "MISSED"], rows);
  return catchUp;
}

const ticksShown = 3;

function ticksText(ticks: readonly number[]): string {
  const shown = ticks.slice(0, ticksShown).map(utc).join(" ");
  return ticks.length > ticksShown ? `${shown} and ${ticks.length - ticksShown} more` : shown;
}

async function confirmCatchUp({ yes }: RestoreOptions, terminal: Terminal): Promise<void> {
  if (yes === true) return;
  if (terminal.ask === undefined)
    throw new CicadaError("USAGE", "the new peer would run these ticks: repeat it with --yes");
  await confirm(terminal.ask, "Make a peer that runs these when it starts?");
}

function refuseUsed(folder: string): void {
  // A key alone is a peer too: a new one must not take over its identity without its votes.
  if (!["cicada.db", "peer.key"].some((name) => existsSync(join(folder, name)))) return;
  throw new CicadaError(
    "DATA_FOLDER_IN_USE",
    `${folder} belongs to a peer already; a restored peer is a new one: give it a folder of its own with --data`,
  );
}

function printNextSteps(folder: string, isNewMesh: boolean, terminal: Terminal): void {
  const data = ` --data ${quoted(folder)}`;
  const print = (text: string) => terminal.print(asInvoked(text, terminal.env));
  terminal.print("");
  terminal.print(`${folder} is the folder of a new peer.`);
  if (isNewMesh) {
    print(`Start it, a mesh of its own: \`cicada start${data}\``);
    print("Secrets have to be set again: the backup's were sealed to peers that are gone.");
    return;
  }
  print(`Start it with what \`cicada peers invite\` prints at a member: \`cicada start${data} --join -\``);
  print(
    "It is drained: it learns from the mesh what has happened since, and runs nothing until `cicada peers undrain NAME`.",
  );
}

function inWords({ runs, scripts }: Backup, jobs: number): string {
  const parts = [counted(jobs, "job"), counted(runs, "record")];
  return [...parts, ...(scripts === 0 ? [] : [counted(scripts, "script")])].join(", ");
}

function counted(count: number, word: string): string {
  return `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;
}

const mebibyte = 1_048_576;

function size(bytes: number): string {
  return bytes < mebibyte ? `${Math.ceil(bytes / 1_024)} KiB` : `${(bytes / mebibyte).toFixed(1)} MiB`;
}
