/** What `doctor` can see on this host alone: Node, the data folder and its disk, the key, and the peer's process. */
import { readFileSync, statfsSync, statSync } from "node:fs";
import { join } from "node:path";
import { descriptorsWanted } from "../../config/descriptors.ts";
import { limitIn } from "../../schema/process-limits.ts";
import { formatError, isSystemError } from "../terminal/client.ts";
import { failure, ok, unknown, warning, type Finding } from "./finding.ts";

const oldestNode = 24;
const mebibyte = 1_048_576;
/** Below this a peer may soon be unable to store anything, and then takes no ticks. */
const diskFailureBytes = 64 * mebibyte;
const diskWarningBytes = 1_024 * mebibyte;
const inodesFailure = 100;
const inodesWarning = 10_000;

export function checkNode(): Finding {
  const { node, tz } = process.versions;
  if (Number(node.split(".")[0]) < oldestNode)
    return failure("node", `${node}; ${oldestNode} or newer is needed`, `install Node ${oldestNode}`);
  return ok("node", `${node}, time zone data ${tz ?? "unknown"}`);
}

export function checkFolder(folder: string): Finding[] {
  try {
    const mode = statSync(folder).mode & 0o777;
    const found =
      (mode & 0o077) === 0
        ? ok("folder", folder)
        : warning(
            "folder",
            `other users can open ${folder} (mode ${mode.toString(8)})`,
            `chmod 700 ${folder}`,
          );
    return [found, checkKey(join(folder, "cluster.key")), ...checkDisk(folder)];
  } catch (error) {
    if (isSystemError(error) && error.code === "ENOENT")
      return [warning("folder", `${folder} doesn't exist yet`, "`cicada start` creates it")];
    return [
      failure("folder", `${folder}: ${formatError(error)}`, "run this as the user who owns it, or as root"),
    ];
  }
}

function checkKey(file: string): Finding {
  const found = statSync(file, { throwIfNoEntry: false });
  if (found === undefined)
    return warning("key", `${file} doesn't exist`, "nothing, if --cluster-key names another file");
  if ((found.mode & 0o077) === 0) return ok("key", file);
  return failure(
    "key",
    `other users can read ${file} and then run commands on every peer`,
    `chmod 600 ${file}`,
  );
}

function checkDisk(folder: string): Finding[] {
  const { bavail, blocks, bsize, ffree, files } = statfsSync(folder);
  const free = bavail * bsize;
  const share = blocks === 0 ? 0 : Math.round((bavail / blocks) * 100);
  const found = `${sizeText(free)} free (${share} %)`;
  const mend = `free some space on the disk of ${folder}, or give the peer a smaller --history-max`;
  const disk =
    free < diskFailureBytes
      ? failure("disk", `${found}: soon the peer can store nothing more`, mend)
      : free < diskWarningBytes
        ? warning("disk", found, mend)
        : ok("disk", found);
  return [disk, checkInodes(ffree, files, folder)];
}

function checkInodes(free: number, all: number, folder: string): Finding {
  if (all === 0) return ok("inodes", "this file system has no limit of files");
  const found = `${free.toLocaleString("en")} more files possible`;
  const mend = `remove files on the file system of ${folder} that are not needed`;
  if (free < inodesFailure) return failure("inodes", found, mend);
  return free < inodesWarning ? warning("inodes", found, mend) : ok("inodes", found);
}

/** The limits of the peer's own process, which may differ from those of this shell. `capacity`: of its runs at once. */
export function checkLimits(pid: number, capacity: number | null): Finding {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/limits`, "utf8");
  } catch (error) {
    return unknown(
      "limits",
      `those of process ${pid}: ${formatError(error)}`,
      "run this as the peer's user, or as root",
    );
  }
  const files = limitIn(text, "Max open files") ?? Infinity;
  const processes = limitIn(text, "Max processes") ?? Infinity;
  const wanted = descriptorsWanted(capacity ?? 0);
  const found = `${limitText(files)} open files, ${limitText(processes)} processes`;
  if (files >= wanted && processes >= wanted) return ok("limits", found);
  return warning(
    "limits",
    `${found}, which may be too few for ${capacity ?? "?"} runs at once`,
    `LimitNOFILE= and LimitNPROC= in the unit, or ulimit -n and -u before the start: ${wanted} or more; or a smaller --capacity`,
  );
}

function limitText(limit: number): string {
  return limit === Infinity ? "any number of" : limit.toLocaleString("en");
}

function sizeText(bytes: number): string {
  return bytes < 10_240 * mebibyte
    ? `${Math.round(bytes / mebibyte).toLocaleString("en")} MiB`
    : `${Math.round(bytes / mebibyte / 1_024).toLocaleString("en")} GiB`;
}
