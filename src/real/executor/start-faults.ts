/**
 * Says why a run could not be started, in words for a person, and whose fault that is. A fault of the host (no room for
 * a process, too many open files, a full disk under the peer's own files) says nothing about the job, which can run on
 * another peer. A missing program or folder is a fault of the job.
 */
import { statSync } from "node:fs";
import type { ChildOutcome } from "../../ports.ts";
import { isSystemError } from "../folder/files.ts";

export type NotStarted = Extract<ChildOutcome, { kind: "not-started" }>;

/** The bytes on the disk are not those that were uploaded, or there are none: a fault of this host. */
export class ScriptGone extends Error {
  constructor(sha256: string) {
    super(`the script ${sha256.slice(0, 12)}… is missing or damaged on this host`);
  }
}

/** Codes that mean that the host could start no program at all. */
const hostReasons: Readonly<Record<string, string>> = {
  EAGAIN: "this host has reached its limit of processes",
  ENOMEM: "this host has no memory for another process",
  EMFILE: "too many files are open in the launcher",
  ENFILE: "too many files are open on this host",
};

const fileReasons: Readonly<Record<string, string>> = {
  ENOSPC: "the disk is full",
  EDQUOT: "the disk quota is used up",
  EROFS: "the file system is read-only",
  ENOENT: "its folder doesn't exist",
  ENOTDIR: "its folder is not a folder",
  EACCES: "this peer may not write there",
};

const programReasons: Readonly<Record<string, string>> = {
  E2BIG: "the arguments and the environment are too large for this host",
  ENOEXEC: "it is not a program that this host can run",
};

/** True if the error means that the host has no room at the moment. */
export function isHostFault(error: unknown): boolean {
  return hostReasons[codeOf(error)] !== undefined;
}

/** The outcome if the peer could not make one of its own files for the run's output or input. */
export function ownFileFault(error: unknown): NotStarted {
  if (error instanceof ScriptGone) return { kind: "not-started", why: "host", reason: error.message };
  const code = codeOf(error);
  const path = isSystemError(error) ? (error.path ?? "a file of the peer's own") : "a file of the peer's own";
  const why = fileReasons[code] ?? messageOf(error);
  const reason = hostReasons[code] ?? `${path} can't be written: ${why}`;
  return { kind: "not-started", why: "host", reason };
}

/** The outcome if this host could not tell who the run's user is. */
export function accountFault(error: unknown): NotStarted {
  return { kind: "not-started", why: "host", reason: hostReasons[codeOf(error)] ?? messageOf(error) };
}

/** The outcome if the host refused to start the program in its folder. */
export function spawnFault(error: unknown, program: string, cwd: string): NotStarted {
  const ofHost = hostReasons[codeOf(error)];
  if (ofHost !== undefined) return { kind: "not-started", why: "host", reason: ofHost };
  return { kind: "not-started", why: "error", reason: describeSpawnError(error, program, cwd) };
}

function describeSpawnError(error: unknown, program: string, cwd: string): string {
  const code = codeOf(error);
  const folder = folderAt(cwd);
  if (code === "ENOENT" && folder === "missing") return `the folder ${cwd} doesn't exist`;
  if (code === "ENOTDIR" || folder === "file") return `${cwd} is not a folder`;
  if (code === "ENOENT") return `there is no program ${program}`;
  if (code === "EACCES") return `${program} may not be run, or ${cwd} may not be entered`;
  return programReasons[code] ?? messageOf(error);
}

function folderAt(path: string): "folder" | "file" | "missing" | "unknown" {
  try {
    const found = statSync(path, { throwIfNoEntry: false });
    if (found === undefined) return "missing";
    return found.isDirectory() ? "folder" : "file";
  } catch {
    // This user may not enter a folder above it, or one of them is a file.
    return "unknown";
  }
}

function codeOf(error: unknown): string {
  return isSystemError(error) ? (error.code ?? "") : "";
}

/** The first line only, because a tool may print many. */
function messageOf(error: unknown): string {
  const [line = ""] = (error instanceof Error ? error.message : String(error)).trim().split("\n");
  return line;
}
