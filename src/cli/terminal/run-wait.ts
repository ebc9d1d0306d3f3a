/**
 * Waits until a run has ended, and returns the exit code for the command: the job's own, as a shell would give it.
 *
 * A tick may take several attempts, and in a split several peers may each have run it. The API is asked for the run
 * that counts for the tick, and an end only counts when the peer calls it final.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { constants } from "node:os";
import { CicadaError } from "../../errors.ts";
import { parseRunReference } from "../../schema/ids.ts";
import { isFinal } from "../../schema/run-states.ts";
import type { RunAnswer } from "./answers.ts";
import type { Client } from "./client.ts";
import { show, type Output } from "./output.ts";
import { exitText, runState } from "./run-words.ts";
import { plain, type Terminal } from "./terminal.ts";

/** How often to ask, ms. More ends the wait later; less asks the peer more often than necessary. */
const pollEveryMs = 300;
/** How long an order may have no record, ms: the peer was just asked, and the runner claims at once. Then its tick must wait. */
const appearWithinMs = 60_000;
/** How often to ask for a run whose tick waits, for example for a peer that its job needs, ms. */
const pollWaitingEveryMs = 2_000;

/** A run that has not appeared by then waits for something that a person should know. Unit: ms. */
const explainAfterMs = 2_000;

/** There is no such job or tick (INTERFACE, exit codes). */
const exitOfNotFound = 3;
/** The exit code of `timeout(1)`. */
const timeoutExit = 124;
const signalBase = 128;

export function pathOfRun(run: string, call = ""): string {
  return `/v1/runs/${encodeURIComponent(run)}${call}`;
}

export async function waitForRun(
  client: Client,
  reference: string,
  output: Output,
  terminal: Terminal,
): Promise<number> {
  const ended = await ending(client, reference, terminal);
  show(terminal, output, ended, () => {
    const exit = exitText(ended);
    const state = runState(terminal, ended.state, ended.reason);
    terminal.notify(`${plain(ended.id)} ${state}${exit === "" ? "" : `, ${exit}`}`);
  });
  return exitCodeOf(ended);
}

async function ending(client: Client, reference: string, terminal: Terminal): Promise<RunAnswer> {
  const since = terminal.now();
  let named = reference;
  let hasExplained = false;
  for (;;) {
    try {
      const run = await client.ask<RunAnswer>(pathOfRun(named));
      const isOver = isFinal(run.state) && run.state !== "withdrawn";
      if (isOver && (await isWholeOver(client, named, run))) return run;
      // Another run may become the job's last one meanwhile.
      if (!named.includes("@")) named = `${run.job}@${run.tick}`;
    } catch (error) {
      const isYoung = terminal.now() - since < appearWithinMs;
      if (!(error instanceof CicadaError && error.code === "RUN_NOT_FOUND")) throw error;
      if (!isYoung && !(await isPending(client, named))) throw error;
      if (!hasExplained && terminal.now() - since >= explainAfterMs) {
        hasExplained = true;
        await explainDelay(client, named, terminal);
      }
      if (!isYoung) await sleep(pollWaitingEveryMs);
    }
    await sleep(pollEveryMs);
  }
}

/** Whether the tick is due and undecided: its run is to come, however long that takes. */
async function isPending(client: Client, named: string): Promise<boolean> {
  const reference = parseRunReference(named);
  if (reference === undefined) return false;
  const { job, tick } = reference;
  const path = `/v1/jobs/${encodeURIComponent(job)}/why?tick=${encodeURIComponent(tick)}`;
  try {
    return (await client.ask<{ state: string }>(path)).state === "pending";
  } catch (error) {
    if (error instanceof CicadaError && error.exit === exitOfNotFound) return false;
    throw error;
  }
}

/** Says what keeps the run from starting, such as a target that no living peer has. */
async function explainDelay(client: Client, named: string, terminal: Terminal): Promise<void> {
  const [job = ""] = named.split(/[@~]/);
  const { obstacles } = await client.ask<{ obstacles: string[] }>(`/v1/jobs/${encodeURIComponent(job)}/why`);
  const [first] = obstacles;
  if (first !== undefined) terminal.notify(`It has not started: ${plain(first)}`);
}

/** A tick with several runs is over when all of them are. */
async function isWholeOver(
  client: Client,
  named: string,
  { job, tick, slots = 1 }: RunAnswer,
): Promise<boolean> {
  if (slots === 1 || named.includes("~")) return true;
  const path = `/v1/jobs/${encodeURIComponent(job)}/why?tick=${encodeURIComponent(tick)}`;
  return (await client.ask<{ state: string }>(path)).state !== "pending";
}

/** The job's own exit code; 124 after a timeout, 128+n after a signal, 1 when there was no run. */
export function exitCodeOf(run: RunAnswer): number {
  if (run.state === "succeeded") return run.exitCode ?? 0;
  if (run.state === "skipped" && run.exitCode !== null) return run.exitCode;
  if (run.state === "timeout") return timeoutExit;
  const signal = Object.entries(constants.signals).find(([name]) => name === run.signal)?.[1];
  if (signal !== undefined) return signalBase + signal;
  return run.exitCode === null || run.exitCode === 0 ? 1 : run.exitCode;
}
