/**
 * What went wrong, said to a person at the command line: what it was, what was wrong with each field, and what to do
 * about it. The hints of errors.ts are written for callers of the API; where the command line has words of its own for
 * the same thing (a flag, a command), they are here.
 */
import { CicadaError, errorTable, type ErrorCode } from "../../errors.ts";
import { asCalled } from "../program.ts";
import { paint, plain, type Terminal } from "./terminal.ts";

const sameVersion = "The peer and this command may be of different versions: `cicada doctor` shows both.";

const hints: Partial<Record<ErrorCode, string>> = {
  BAD_REQUEST: "--help behind a command shows what it takes.",
  INVALID_JOB: "Nothing was changed. `cicada jobs create --help` shows every field.",
  UNAUTHORISED:
    "Give --token TOKEN; for a peer of this machine, --data DIR (its token is in DIR/admin.token).",
  FOREIGN_HOST: "Use the address that the peer printed when it started.",
  NOT_FOUND: sameVersion,
  METHOD_NOT_ALLOWED: sameVersion,
  UNSUPPORTED_MEDIA_TYPE: sameVersion,
  JOB_EXISTS: "Choose another id, or replace the job with --update.",
  REVISION_CONFLICT: "Somebody has changed it meanwhile: look at it again and repeat your change.",
  JOB_PAUSED: "--force runs it all the same.",
  KEY_REUSED: sameVersion,
  NOT_READY: "`cicada doctor` says why; any other peer answers the same calls (--peer URL).",
  PEER_UNREACHABLE:
    "Is it running? --peer URL names another one, --data DIR the folder of one on this machine.",
};

/** Says what went wrong in two or three lines, and returns the exit code. */
export function explain(terminal: Terminal, error: unknown): number {
  const known = error instanceof CicadaError ? error : unexpected(error);
  tellFailure(terminal, "error:", known);
  const hint = asCalled(hints[known.code] ?? known.hint, terminal.env);
  terminal.tell(`${paint(terminal, "cyan", "hint:")}  ${hint}`);
  if (known.code === "INTERNAL" && error instanceof Error) terminal.tell(error.stack ?? "");
  return known.exit;
}

/** One line, and one more for each problem: the detail of several problems is only the first of them. */
export function tellFailure(terminal: Terminal, before: string, error: CicadaError): void {
  const what = error.problems.length === 0 ? error.message : errorTable[error.code].title;
  terminal.tell(`${paint(terminal, "red", before)} ${plain(asCalled(what, terminal.env))}`);
  for (const { pointer, message } of error.problems) {
    terminal.tell(`  ${pointer === "" ? "" : `${plain(pointer)}: `}${plain(message)}`);
  }
}

function unexpected(error: unknown): CicadaError {
  return new CicadaError("INTERNAL", error instanceof Error ? error.message : String(error));
}
