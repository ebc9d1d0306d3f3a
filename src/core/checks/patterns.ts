/**
 * The patterns of a job: over a run's whole output, or over the body of an answer. This file only finds them; RE2 itself is in a
 * worker (real/patterns.ts), because matching takes time.
 */
import type { PatternRule } from "../../ports/patterns.ts";
import { isObject, inside } from "./fields.ts";

interface WithPatterns {
  readonly success?: {
    readonly mustMatch?: string | readonly string[];
    readonly mustNotMatch?: string | readonly string[];
  };
  readonly http?: { readonly expectBody?: string };
}

export function patternRulesOf({ success, http }: WithPatterns): PatternRule[] {
  return [
    ...listOf(http?.expectBody).map(rule("http.expectBody", true, "body")),
    ...listOf(success?.mustMatch).map(rule("success.mustMatch", true, "output")),
    ...listOf(success?.mustNotMatch).map(rule("success.mustNotMatch", false, "output")),
  ];
}

/** The patterns in a value from outside, such as a patch, with the pointer of each. */
export function patternsIn(given: unknown): { pointer: string; pattern: string }[] {
  if (!isObject(given)) return [];
  const found: { pointer: string; pattern: string }[] = [];
  for (const [outer, name] of [
    ["success", "mustMatch"],
    ["success", "mustNotMatch"],
    ["http", "expectBody"],
  ] as const) {
    const value = inside(given, outer)[name];
    const isList = Array.isArray(value);
    for (const [index, pattern] of (isList ? value : [value]).entries()) {
      const pointer = `/${outer}/${name}${isList ? `/${index}` : ""}`;
      if (typeof pattern === "string") found.push({ pointer, pattern });
    }
  }
  return found;
}

function listOf(value: string | readonly string[] | undefined): readonly string[] {
  return typeof value === "string" ? [value] : (value ?? []);
}

function rule(field: string, matches: boolean, over: PatternRule["over"]): (pattern: string) => PatternRule {
  return (pattern) => ({ field, pattern, matches, over });
}
