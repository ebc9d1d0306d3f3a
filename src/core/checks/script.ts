/** A job that runs a script: the names of its bytes and of its interpreter. */
import { hash } from "node:crypto";
import type { Problem } from "../../schema/job.ts";
import { inside, listOfTexts, text, type Fields } from "./fields.ts";

/** The name of a script's bytes. */
export function scriptName(bytes: Uint8Array): string {
  return hash("sha256", bytes);
}

/** What is wrong with a job's script; a value of the wrong shape is passed over. */
export function scriptProblems(given: Fields): Problem[] {
  const script = inside(given, "script");
  const problems: Problem[] = [];
  const interpreter = text(script, "interpreter");
  if (interpreter !== undefined && !/^(\/[^\p{Cc}]+|[A-Za-z0-9][A-Za-z0-9._+-]*)$/u.test(interpreter)) {
    const message = `${JSON.stringify(interpreter)} is neither a program's name, such as python3, nor an absolute path`;
    problems.push({ pointer: "/script/interpreter", message });
  }
  for (const [index, argument] of (listOfTexts(script["args"]) ?? []).entries()) {
    if (!argument.includes("\0")) continue;
    const message = "a NUL byte can't be passed to a program: take it out";
    problems.push({ pointer: `/script/args/${index}`, message });
  }
  return problems;
}
