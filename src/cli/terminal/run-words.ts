/**
 * A run in words: its state in colour, how it ended, and its line on the peer's terminal.
 */
import { paint, plain, type Colour, type Terminal } from "./terminal.ts";
import { durationText } from "./times.ts";

/** Runs, and decisions not to run, that went wrong: what `--failed` lists. */
export const statesFailed = "failed,timeout,lost,missed";

/** A run without its peer, which has a column of its own, and without its attempt if that is the first one. */
export function shortRunId(id: string): string {
  return id.replace(/(?:~1)?@[^@#]+(#[^#]*)?$/, "");
}

/** `exit code 3` or `SIGKILL`; empty if there is neither. */
export function exitText(run: { exitCode: number | null; signal: string | null }): string {
  if (run.signal !== null) return plain(run.signal);
  return run.exitCode === null ? "" : `exit code ${run.exitCode}`;
}

const colours: Readonly<Record<string, Colour>> = {
  succeeded: "green",
  running: "cyan",
  failed: "red",
  timeout: "red",
  lost: "red",
  missed: "yellow",
  cancelled: "yellow",
};

/** `skipped(overlap)` */
export function runState(terminal: Terminal, state: string, reason: string | null = null): string {
  const because = reason === null || reason === "" ? "" : `(${plain(reason)})`;
  const colour = colours[state];
  const text = `${plain(state)}${because}`;
  return colour === undefined ? text : paint(terminal, colour, text);
}

/** What the line of a run shows; instants in ms. */
export interface RunLine {
  id: string;
  state: string;
  reason: string | null;
  startedAt: number | null;
  finishedAt: number | null;
  exitCode: number | null;
  signal: string | null;
}

/** `14:05:10  succeeded  hello@2026-11-20T14:05:10Z~1@abcd1234  in 12ms` */
export function runLine(terminal: Terminal, run: RunLine): string {
  const at = new Date(run.finishedAt ?? run.startedAt ?? terminal.now());
  const clock = [at.getHours(), at.getMinutes(), at.getSeconds()].map((part) =>
    String(part).padStart(2, "0"),
  );
  const length =
    run.startedAt === null || run.finishedAt === null
      ? ""
      : `in ${durationText(run.finishedAt - run.startedAt)}`;
  const exit = run.state === "succeeded" && run.exitCode === 0 ? "" : exitText(run);
  const words = [length, exit].filter((word) => word !== "").join(", ");
  const state =
    runState(terminal, run.state, run.reason) + " ".repeat(Math.max(0, stateWidth - run.state.length));
  return `${paint(terminal, "dim", clock.join(":"))}  ${state} ${plain(run.id)}  ${words}`.trimEnd();
}
const stateWidth = "succeeded".length;
