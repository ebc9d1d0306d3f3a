/**
 * What a peer shows on a terminal: when it is ready, everything that a person needs first; then one line per run.
 */
import type { Config } from "../../config.ts";
import { defaultDataFolder } from "../../config/environment.ts";
import type { Rotation } from "../../identity/cluster-key.ts";
import { encodeJoin } from "../../identity/join.ts";
import { CicadaError } from "../../errors.ts";
import type { Control } from "../../ports/control.ts";
import { runId, type PeerId } from "../../schema/ids.ts";
import type { RunRecord } from "../../schema/run.ts";
import { isFinal } from "../../schema/run-states.ts";
import { invocationOf, quoted } from "../program.ts";
import { invitable, isLoopback, joinLine, newInvitation } from "../peers.ts";
import { runLine } from "../terminal/run-words.ts";
import { paint, plain, type Terminal } from "../terminal/terminal.ts";
import { durationText } from "../terminal/times.ts";

export interface Introduction {
  config: Config;
  peerId: PeerId;
  http: string;
  tokenFile: string;
  /** Where the mesh reaches this peer. */
  listening: readonly string[];
  invitation: { key: Uint8Array; rotation: Rotation | undefined };
}

export function introduce(
  terminal: Terminal,
  { config, peerId, http, tokenFile, ...mesh }: Introduction,
): void {
  const dim = (text: string) => paint(terminal, "dim", text);
  const label = (text: string) => dim(text.padEnd(8));
  const toPaste = (line: string) => terminal.print(`  ${paint(terminal, "cyan", line)}`);
  const called = invocationOf(terminal.env);
  const loopbackOnly = mesh.listening.every(isLoopback);
  const join = encodeJoin({
    key: mesh.invitation.key,
    rotation: mesh.invitation.rotation,
    invitation: newInvitation(peerId),
    addresses: invitable(mesh.listening),
  });

  terminal.print("");
  terminal.print(`${label("peer")}${paint(terminal, "bold", plain(config.name))}  ${dim(peerId)}`);
  terminal.print(`${label("page")}${paint(terminal, "cyan", `${http}/`)}`);
  terminal.print(`${label("API")}${http}/v1  ${dim(`described at ${http}/docs`)}`);
  terminal.print(`${label("token")}${dim("in")} ${tokenFile}`);
  terminal.print(`${label("mesh")}${dim(mesh.listening.join(" "))}`);
  terminal.print("");
  terminal.print(
    "A second peer joins with this line. Keep it secret: anyone who has it can run commands on every peer.",
  );
  toPaste(joinLine(terminal, join));
  if (loopbackOnly) {
    terminal.print(
      dim(
        "  This peer only listens on loopback, so the second one must be on this machine as well, with its own",
      ),
    );
    terminal.print(dim("  --data, --http and --listen."));
  }
  terminal.print("");
  terminal.print("Create a job from another terminal:");
  toPaste(
    `${called.program} jobs create hello --schedule '@every 10s' --command 'echo hello'${dataFlag(config, terminal)}`,
  );
  terminal.print("");
  terminal.print(dim("Ctrl-C stops this peer. Its runs:"));
}

/** Empty if the folder is the default one, which the command line finds by itself. */
function dataFlag(config: Config, terminal: Terminal): string {
  const flag = ` --data ${quoted(config.data)}`;
  try {
    return config.data === defaultDataFolder(terminal.env) ? "" : flag;
  } catch (error) {
    if (error instanceof CicadaError) return flag;
    throw error;
  }
}

/** The start of a run is also shown if the run lasts longer than this. Unit: ms. */
const shownStartAfterMs = 1_000;

/** Prints one line for each run of this peer when it ends, and another for a long run that is in progress. */
export function showRuns(terminal: Terminal, control: Control, self: string): void {
  const young = new Map<string, NodeJS.Timeout>();
  control.subscribe((event) => {
    if (event.kind !== "run" || event.record.peer !== self) return;
    const { record } = event;
    const id = runId(record);
    if (record.state === "running" && !young.has(id)) {
      const print = () => terminal.print(recordLine(terminal, record));
      young.set(id, setTimeout(print, shownStartAfterMs).unref());
    }
    if (!isFinal(record.state)) return;
    clearTimeout(young.get(id));
    young.delete(id);
    if (record.state !== "withdrawn") terminal.print(recordLine(terminal, record));
  });
}

function recordLine(terminal: Terminal, record: RunRecord): string {
  const {
    state,
    reason = null,
    startedAt = null,
    finishedAt = null,
    exitCode = null,
    signal = null,
  } = record;
  return runLine(terminal, { id: runId(record), state, reason, startedAt, finishedAt, exitCode, signal });
}

export function printStopping(terminal: Terminal, runs: number, drainMs: number): void {
  const wait =
    runs === 0 ? "" : `; ${runs === 1 ? "one run has" : `${runs} runs have`} ${durationText(drainMs)} to end`;
  terminal.print("");
  terminal.print(
    paint(
      terminal,
      "dim",
      `Stopping: this peer takes no more ticks${wait}. Press Ctrl-C again to stop at once.`,
    ),
  );
}
