/** The API's control, which refuses a job with an invalid pattern, and names its place, before anything is written. */
import { CicadaError } from "../../errors.ts";
import { patternsIn } from "../../core/checks/patterns.ts";
import type { Command } from "../../ports/command.ts";
import type { Control } from "../../ports/control.ts";

type Check = (patterns: readonly string[]) => Promise<(string | undefined)[] | { unchecked: string }>;

export function withCheckedPatterns(control: Control, check: Check): Control {
  return {
    ...control,
    async ask(command) {
      const refused = await refusalOf(command, check);
      return refused === undefined ? control.ask(command) : { kind: "refused", error: refused };
    },
  };
}

function specsIn(command: Command): { spec: object; at: string }[] {
  if (command.kind === "put-job") return [{ spec: command.spec, at: "" }];
  if (command.kind === "patch-job") return [{ spec: command.patch, at: "" }];
  if (command.kind !== "apply") return [];
  return command.changes.flatMap((change) =>
    change.kind === "job" ? [{ spec: change.spec, at: change.at }] : [],
  );
}

async function refusalOf(command: Command, check: Check): Promise<CicadaError | undefined> {
  const patterns = specsIn(command).flatMap(({ spec, at }) =>
    patternsIn(spec).map(({ pointer, pattern }) => ({ pointer: `${at}${pointer}`, pattern })),
  );
  if (patterns.length === 0) return undefined;
  const wrong = await check(patterns.map(({ pattern }) => pattern));
  if ("unchecked" in wrong)
    return new CicadaError("NOT_READY", `its patterns could not be checked here: ${wrong.unchecked}`);
  const problems = patterns.flatMap(({ pointer, pattern }, index) => {
    const why = wrong[index];
    if (why === undefined) return [];
    return [{ pointer, message: `${JSON.stringify(pattern)} is not a pattern of RE2's syntax: ${why}` }];
  });
  const [first] = problems;
  if (first === undefined) return undefined;
  return new CicadaError("INVALID_JOB", `${first.pointer}: ${first.message}`, problems);
}
