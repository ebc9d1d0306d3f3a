/**
 * Counts the steps of a piece of work: how often a function or a block of this program, or of the packages that it hands bytes
 * to, is entered, as V8 counts it for coverage. The count is the same on a slow and on a busy machine. What a single native call
 * does (JSON.parse, a sort) is one step: those are linear, or nearly so.
 *
 * V8 counts the blocks of a function only if it was told to before the function's first call. So counting begins when this file
 * is imported, and lasts as long as the thread, which makes it somewhat slower.
 */
import { Session, type Profiler } from "node:inspector";

const session = new Session();
session.connect();
session.post("Profiler.enable");
session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });

/** The steps of what is done in the call, which must be synchronous. */
export function countSteps(work: () => void): number {
  takeSteps();
  work();
  return takeSteps();
}

/** Steps since the last call. */
function takeSteps(): number {
  let steps = 0;
  session.post("Profiler.takePreciseCoverage", (error, { result }) => {
    if (error !== null) throw error;
    for (const script of result) if (isCounted(script)) steps += stepsIn(script);
  });
  return steps;
}

function isCounted({ url }: Profiler.ScriptCoverage): boolean {
  return url.startsWith("file:") && !url.includes("/test/");
}

function stepsIn({ functions }: Profiler.ScriptCoverage): number {
  let steps = 0;
  for (const { ranges } of functions) for (const { count } of ranges) steps += count;
  return steps;
}
