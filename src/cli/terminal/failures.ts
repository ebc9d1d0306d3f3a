/**
 * Tells a person at the command line what went wrong: the error, what is wrong with each field, and what to do about
 * it. The hints of errors/table.ts are for callers of the API. If the command line has other words for the same thing, such
 * as a flag or a command, they are here.
 */
import { CicadaError } from "../../errors.ts";
import { errorTable, type ErrorCode } from "../../errors/table.ts";
import { asInvoked } from "../program.ts";
import { paint, plain, type Terminal } from "./terminal.ts";

const sameVersion = "The peer and this command may be of different versions: `cicada doctor` shows both.";

const hints: Partial<Record<ErrorCode, string>> = {
  INVALID_JOB: "Nothing was changed. `cicada jobs create --help` shows every field.",
  INVALID_OBJECT: "Nothing was changed. `cicada export` shows objects of each kind as they are written.",
  INVALID_CHANNEL: "Nothing was changed. `cicada channels set --help` shows every flag.",
  INVALID_SCHEDULE:
    "Write five cron fields such as '0 3 * * *', @daily, @every 90s, 'rate(5 minutes)' or '@at 2026-12-24T18:00:00Z'.",
  LOG_NOT_FOUND: "`cicada jobs why JOB` says what happened to a tick.",
  UNAUTHORISED:
    "Give --token TOKEN or, for a peer on this machine, --data DIR (its token is in DIR/admin.token).",
  FORBIDDEN: "Give another token (--token), or ask an admin for one: `cicada token create NAME --role ROLE`.",
  FOREIGN_HOST: "Use the address that the peer printed when it started.",
  NOT_FOUND: sameVersion,
  METHOD_NOT_ALLOWED: sameVersion,
  UNSUPPORTED_MEDIA_TYPE: sameVersion,
  JOB_EXISTS: "Choose another id, or replace the job with --update.",
  REVISION_CONFLICT: "Someone else has changed it: read it again and repeat your change.",
  JOB_PAUSED: "Use --force to run it anyway.",
  CHANNEL_IN_USE:
    "Take it out of their `notify` (`cicada jobs edit`), or remove it with --force: their notices are then not sent.",
  LAST_ADMIN:
    "Make another one first, or use --force: then only the admin.token files of the peers are left.",
  SCRIPT_NOT_FOUND: "No peer in reach has it: `cicada jobs create ID --script FILE` uploads it.",
  UNCONFIRMED_PEERS:
    "Nothing was changed. Leave an intruder out with --without NAME, which also forgets it. Confirm the others with " +
    "`cicada peers confirm NAME`, or give all of them the key with --yes.",
  UNCONFIRMED_RECIPIENTS:
    "Nothing was changed. Name the peers that are to have the secret with --peers. Otherwise confirm those that belong here " +
    "(`cicada peers confirm NAME`), and wait until each has been here for a day; `cicada peers ls` shows since when.",
  BAD_JSON: sameVersion,
  SPLIT_NOT_FOUND: "A peer's page lists the splits that it remembers.",
  KEY_REUSED: sameVersion,
  NOT_READY: "`cicada doctor` says why; any other peer answers the same calls (--peer URL).",
  PEER_UNREACHABLE:
    "Is it running? --peer URL names another peer, --data DIR the folder of a peer on this machine.",
};

/** Prints what went wrong in two or three lines, and returns the exit code. `usage`: where the command's usage is shown. */
export function explain(terminal: Terminal, error: unknown, usage: string): number {
  const known = error instanceof CicadaError ? error : unexpected(error);
  printFailure(terminal, "error:", known);
  const hint = asInvoked(isOfUsage(known.code) ? usage : (hints[known.code] ?? known.hint), terminal.env);
  terminal.notify(`${paint(terminal, "cyan", "hint:")}  ${hint}`);
  if (known.code === "INTERNAL" && error instanceof Error) terminal.notify(error.stack ?? "");
  return known.exit;
}

function isOfUsage(code: ErrorCode): boolean {
  return code === "USAGE" || code === "BAD_REQUEST" || code === "UNPROCESSABLE";
}

/**
 * Prints one line, and one more for each problem. With several problems the error's own detail names only the first.
 */
export function printFailure(terminal: Terminal, before: string, error: CicadaError): void {
  const what = error.problems.length === 0 ? error.message : errorTable[error.code].title;
  terminal.notify(`${paint(terminal, "red", before)} ${plain(asInvoked(what, terminal.env))}`);
  for (const { pointer, message } of error.problems) {
    terminal.notify(`  ${pointer === "" ? "" : `${plain(pointer)}: `}${plain(message)}`);
  }
}

function unexpected(error: unknown): CicadaError {
  return new CicadaError("INTERNAL", error instanceof Error ? error.message : String(error));
}
