/**
 * Judges starts by what the job itself wrote: a line `TICK PEER MS` for each start, where MS is the wall clock in the
 * job. What cicada says about the runs doesn't count.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { until } from "./cluster.ts";

export interface Start {
  tick: string;
  peer: string;
  /** wall clock in the job itself, ms */
  at: number;
}

/** The command of a job that writes these lines. */
export function recordingCommand(file: string): string {
  return `echo "$CICADA_TICK $CICADA_PEER_NAME $(date +%s%3N)" >> ${file}`;
}

export function readStarts(file: string): Start[] {
  const lines = readFileSync(file, "utf8").split("\n").filter(Boolean);
  return lines.map((line) => {
    const [tick = "", peer = "", at = ""] = line.split(" ");
    return { tick, peer, at: Number(at) };
  });
}

/** The ticks of an `@every` schedule, anchored to the epoch, from ≤ tick ≤ to. */
export function ticksOf(periodMs: number, from: number, to: number): string[] {
  const first = Math.ceil(from / periodMs) * periodMs;
  const count = Math.max(0, Math.floor((to - first) / periodMs) + 1);
  return Array.from({ length: count }, (_, i) =>
    new Date(first + i * periodMs).toISOString().replace(".000", ""),
  );
}

/** Asserts that each tick of the span started once, not early and at most `limitMs` late. */
export function assertEachOnce(
  starts: readonly Start[],
  periodMs: number,
  span: { from: number; to: number },
  limitMs: number,
): void {
  const wanted = ticksOf(periodMs, span.from, span.to);
  assert.ok(wanted.length > 0, "there is no tick to judge");
  const seen = starts
    .filter(({ tick }) => wanted.includes(tick))
    .toSorted((a, b) => (a.tick < b.tick ? -1 : 1));
  assert.deepEqual(
    seen.map(({ tick }) => tick),
    wanted,
  );
  for (const { tick, peer, at } of seen) {
    const lateMs = at - Date.parse(tick);
    assert.ok(lateMs >= 0 && lateMs <= limitMs, `${tick} on ${peer} started ${lateMs} ms after its tick`);
  }
}

/** Waits for the line of a tick, or of a later one. */
export function untilTick(file: string, tick: string, limitMs: number): Promise<true> {
  return until(`a start of ${tick}`, limitMs, () => readStarts(file).some((start) => start.tick >= tick));
}

/**
 * Waits until each tick of the span has started. One may start after those that follow it, when another peer has to step in, and
 * is no missed tick then.
 */
export function untilEachStarted(
  file: string,
  periodMs: number,
  span: { from: number; to: number },
  limitMs: number,
): Promise<true> {
  const wanted = ticksOf(periodMs, span.from, span.to);
  return until(`a start of each of ${wanted[0] ?? "no tick"} to ${wanted.at(-1) ?? ""}`, limitMs, () => {
    const started = new Set(readStarts(file).map(({ tick }) => tick));
    return wanted.every((tick) => started.has(tick));
  });
}
