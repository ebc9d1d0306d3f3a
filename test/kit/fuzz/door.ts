/**
 * What a fuzzed door is, and how inputs are put through it: one after the other, each with a limit of time, and with
 * the heap looked at in between. Whatever a door lets happen that it must not (an exception, a hang, a state that
 * moved or grew) is a fault, told with the seed and number by which it is had again.
 */

/** One input may take so long of a core, ms … */
const coreLimitMs = 1_000;
/** … and so long by the clock, on a machine that has other things to do. */
const clockLimitMs = 30_000;
/** What a door must not let happen. */
export class Fault extends Error {
  override readonly name = "Fault";
}

export interface OpenDoor {
  /** Draws one input, puts it through, and throws when something happens that must not. */
  one(): void | Promise<void>;
  /** The last input, for the report. */
  last(): string;
  /** After a round of inputs: what must hold still holds. */
  settle?(): void | Promise<void>;
  close?(): void | Promise<void>;
}

export interface Door {
  name: string;
  /** how many of a hunt's inputs go through it, in proportion to the others */
  share: number;
  /** inputs in one round, after which all is made anew */
  round: number;
  /** of a core, where it is not the usual; ms */
  limitMs?: number;
  open(seed: string): OpenDoor | Promise<OpenDoor>;
}

export interface Finding {
  door: string;
  seed: string;
  /** within its round, from 0; -1: when the round was closed */
  input: number;
  kind: "fault" | "crash" | "hang";
  what: string;
  last: string;
}

export interface RoundResult {
  inputs: number;
  /** of a core */
  slowestMs: number;
  finding: Finding | undefined;
}

/** One round of a door; it ends with the first finding. `stopAt`: `performance.now()` when there is no more time. */
export async function runRound(
  door: Door,
  seed: string,
  inputs = door.round,
  beat: (input: number) => void = () => undefined,
  stopAt = Infinity,
): Promise<RoundResult> {
  const result: RoundResult = { inputs: 0, slowestMs: 0, finding: undefined };
  let open: OpenDoor | undefined;
  const found = (input: number, error: unknown): void => {
    const kind = error instanceof Fault ? "fault" : "crash";
    const what = error instanceof Error ? (error.stack ?? error.message) : String(error);
    result.finding ??= { door: door.name, seed, input, kind, what, last: open?.last() ?? "" };
  };
  try {
    open = await door.open(seed);
    for (let input = 0; input < inputs && performance.now() < stopAt; input++) {
      beat(input);
      const began = performance.now();
      const coreBegan = process.threadCpuUsage();
      try {
        // oxlint-disable-next-line no-await-in-loop -- one input after the other
        await open.one();
      } catch (error) {
        found(input, error);
        return result;
      }
      result.inputs++;
      const tookMs = performance.now() - began;
      const { user, system } = process.threadCpuUsage(coreBegan);
      const coreMs = (user + system) / 1_000;
      result.slowestMs = Math.max(result.slowestMs, coreMs);
      if (coreMs < (door.limitMs ?? coreLimitMs) && tookMs < clockLimitMs) continue;
      const what = `it took ${Math.round(tookMs)} ms, ${Math.round(coreMs)} of them of a core`;
      result.finding = { door: door.name, seed, input, kind: "hang", what, last: open.last() };
      return result;
    }
    await open.settle?.();
  } catch (error) {
    found(-1, error);
  } finally {
    await open?.close?.();
  }
  return result;
}
