/** A run of a program that does nothing, as an executor gets it. */
import type { RunSpec } from "../../src/ports.ts";
import { runId, tickAt, type JobId, type PeerId } from "../../src/schema/ids.ts";

export function runSpecOf(job: JobId, instant: number, peer: PeerId, fields: Partial<RunSpec> = {}): RunSpec {
  const tick = tickAt(instant);
  return {
    run: runId({ job, tick, attempt: 1, slot: "0", peer }),
    job,
    tick,
    action: {
      kind: "process",
      argv: ["true"],
      stdin: "",
      cwd: "",
      user: "",
      umask: 0o77,
      killGraceMs: 1_000,
    },
    hostEnv: {},
    env: {},
    timeoutMs: 0,
    logCapBytes: 1_024,
    notAfter: Infinity,
    ...fields,
  };
}
