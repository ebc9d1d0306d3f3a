/**
 * Why a run could not be started, in words for a person, and whose fault that is. A fault of the host (no room for a
 * process, too many open files, a full disk under the peer's own files) says nothing about the job, which can run on
 * another peer. A missing program or folder is the job's.
 */
import { statSync } from "node:fs";
import type { ChildOutcome } from "../../ports.ts";
import { isSystemError } from "../folder/files.ts";

export type NotStarted = Extract<ChildOutcome, { kind: "not-started" }>;

/** Whatever the program, the host could not start it. */
const hostReasons: Readonly<Record<string, string>> = {
  EAGAIN: "this host has no room for another process (limit of processes)",
  ENOMEM: "this host has no memory for another process",
  EMFILE: "too many files are open in the launcher",
  ENFILE: "too many files are open on this host",
};

const fileReasons: Readonly<Record<string, string>> = {
  ENOSPC: "the disk is full",
  EDQUOT: "the disk quota is used up",
  EROFS: "the file system is read-only",
  ENOENT: "its folder is not there",
  ENOTDIR: "its folder is not a folder",
  EACCES: "this peer may not write there",
};

const programReasons: Readonly<Record<string, string>> = {
  E2BIG: "the arguments and the environment are larger than this host takes",
  ENOEXEC: "it is not a program that this host can run",
};

/** True of an error that says that the host has no room now. */
export function isHostFault(error: unknown): boolean {
  return hostReasons[codeOf(error)] !== undefined;
}

/** A file of the peer's own, for the run's output or input, could not be made. */
export function ownFileFault(error: unknown): NotStarted {
  const code = codeOf(error);
  const path = isSystemError(error) ? (error.path ?? "a file of the peer's own") : "a file of the peer's own";
  const why = fileReasons[code] ?? messageOf(error);
  const reason = hostReasons[code] ?? `${path} can't be written: ${why}`;
  return { kind: "not-started", why: "host", reason };
}

/** The host refused to start the program in its folder. */
export function spawnFault(error: unknown, program: string, cwd: string): NotStarted {
  const ofHost = hostReasons[codeOf(error)];
  if (ofHost !== undefined) return { kind: "not-started", why: "host", reason: ofHost };
  return { kind: "not-started", why: "error", reason: describeSpawnError(error, program, cwd) };
}

function describeSpawnError(error: unknown, program: string, cwd: string): string {
  const code = codeOf(error);
  const folder = folderAt(cwd);
  if (code === "ENOENT" && folder === "missing") return `the folder ${cwd} is not there`;
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
    // A folder above it may not be entered, or is a file.
    return "unknown";
  }
}

function codeOf(error: unknown): string {
  return isSystemError(error) ? (error.code ?? "") : "";
}

/** The first line: what a tool prints may have many. */
function messageOf(error: unknown): string {
  const [line = ""] = (error instanceof Error ? error.message : String(error)).trim().split("\n");
  return line;
}
