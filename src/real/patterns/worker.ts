/**
 * The worker that compiles and matches patterns (re2js). It may take long, or all its memory: the peer ends it then.
 *
 * The output is matched as bytes, so that it is held only once. Where an output was cut, what is between its head and its
 * tail is cicada's own line, which is left out.
 */
import { readFileSync } from "node:fs";
import { parentPort } from "node:worker_threads";
import { RE2JS } from "re2js";
import type { PatternRule } from "../../ports/patterns.ts";
import { notKeptLine } from "../executor/output.ts";
import { begun, type PatternAnswer, type PatternTask } from "./protocol.ts";

function answer(task: PatternTask): PatternAnswer {
  if (task.kind === "check") return { problems: task.patterns.map(problemOf) };
  let output: Uint8Array;
  try {
    output = readOutput(task.file, task.isCut);
  } catch (error) {
    return {
      unreadable: `the output can't be read: ${error instanceof Error ? error.message : String(error)}`,
    };
  }
  const broken = task.rules.find((rule) =>
    isBroken(rule, rule.over === "body" ? output.subarray(task.bodyFrom) : output),
  );
  return { broken: broken === undefined ? null : describe(broken) };
}

function problemOf(pattern: string): string | null {
  try {
    RE2JS.compile(pattern);
    return null;
  } catch (error) {
    return error instanceof Error ? error.message.replace(/^error parsing regexp: /, "") : String(error);
  }
}

function isBroken({ pattern, matches }: PatternRule, bytes: Uint8Array): boolean {
  return RE2JS.compile(pattern).matcher(bytes).find() !== matches;
}

function describe({ field, pattern, matches, over }: PatternRule): string {
  const shown = JSON.stringify(pattern.length > 100 ? `${pattern.slice(0, 100)}…` : pattern);
  return `${field}: the ${over} ${matches ? "doesn't match" : "matches"} ${shown}`;
}

function readOutput(file: string, isCut: boolean): Uint8Array {
  const bytes = readFileSync(file);
  if (!isCut) return bytes;
  const line = notKeptLine.exec(bytes.toString("latin1"));
  if (line === null) return bytes;
  return Buffer.concat([
    bytes.subarray(0, line.index),
    Buffer.from("\n"),
    bytes.subarray(line.index + line[0].length),
  ]);
}

parentPort?.on("message", (task: PatternTask) => {
  parentPort?.postMessage(begun);
  parentPort?.postMessage(answer(task));
});
