/**
 * The log's lines about this peer's runs, if no terminal shows them: one when a run ends, or a tick without one, and at `debug`
 * one when a run starts.
 */
import type { Log } from "../../ports.ts";
import type { Control } from "../../ports/control.ts";
import { runId, type PeerId } from "../../schema/ids.ts";
import { isFinal } from "../../schema/run-states.ts";

export function logRuns(log: Log, control: Pick<Control, "subscribe">, self: PeerId): void {
  /** A running record moves more than once, for example when its output grows. */
  const begun = new Set<string>();
  control.subscribe((event) => {
    if (event.kind !== "run" || event.record.peer !== self) return;
    const { state, trigger, startedAt, finishedAt, exitCode, signal, reason } = event.record;
    const run = runId(event.record);
    if (state === "running" && !begun.has(run)) {
      begun.add(run);
      log.debug("a run has started", { run, trigger });
    }
    if (!isFinal(state)) return;
    begun.delete(run);
    if (state === "withdrawn") return;
    const tookMs =
      startedAt === undefined || finishedAt === undefined ? undefined : Math.round(finishedAt - startedAt);
    // What was skipped or missed has a record as well.
    const what = startedAt === undefined ? "a tick has ended without a run" : "a run has ended";
    log.info(what, { run, state, exitCode, signal, reason, tookMs });
  });
}
