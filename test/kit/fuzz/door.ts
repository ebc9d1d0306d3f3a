/**
 * What a fuzzed door is, and how inputs are put through it: one after the other, each with a time limit, with a look at
 * the heap in between. An exception, a hang, or a state that changed or grew is a fault. It is reported with the seed
 * and number that reproduce it.
 */

/** How much CPU time one input may take, ms. */
const coreLimitMs = 1_000;
/** How long one input may take by the clock, on a busy machine, ms. */
const clockLimitMs = 30_000;
/** Something that a door must not let happen. */
export class Fault extends Error {
  override readonly name = "Fault";
}

export interface OpenDoor {
  /** Draws one input, puts it through, and throws if something happens that must not. */
  one(): void | Promise<void>;
  /** The last input, for the report. */
  last(): string;
  /** Checks after a round of inputs that everything still holds. */
  checkRound?(): void | Promise<void>;
  close?(): void | Promise<void>;
}

export interface Door {
  name: string;
  /** its share of a hunt's inputs, relative to the other doors */
  share: number;
  /** inputs in one round, after which everything is made anew */
  round: number;
  /** CPU time for one input, if it is not the usual limit, ms */
  limitMs?: number;
  open(seed: string): OpenDoor | Promise<OpenDoor>;
}

export interface Finding {
  door: string;
  seed: string;
  /** the input's number within its round, from 0; -1: the end of the round */
  input: number;
  kind: "fault" | "crash" | "hang";
  what: string;
  last: string;
}

export interface RoundResult {
  inputs: number;
  /** CPU time of the slowest input */
  slowestMs: number;
  finding: Finding | undefined;
}

/**
 * Runs one round of a door, which ends with the first finding. `stopAt`: the `performance.now()` at which time is up.
 */
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
    await open.checkRound?.();
  } catch (error) {
    found(-1, error);
  } finally {
    await open?.close?.();
  }
  return result;
}
