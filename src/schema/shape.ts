/** Checks the shape of a small object by its schema, with a pointer for each field that has another shape or isn't known. */
import type { Static, TObject, TSchema } from "typebox";
import { checkOf } from "./check.ts";
import { describeFault } from "./fault-words.ts";
import type { Problem } from "./job.ts";
import { didYouMean } from "./nearest.ts";

export type ShapeCheck<Value> = { ok: true; value: Value } | { ok: false; problems: Problem[] };

export interface Shape<Value> {
  check(input: unknown): ShapeCheck<Value>;
  /** The same without the fields that this version doesn't know. */
  checkKnown(input: unknown): ShapeCheck<Value>;
}

/** `example` completes "it is an object …". */
export function shapeOf<Schema extends TObject>(schema: Schema, example: string): Shape<Static<Schema>> {
  const compiled = checkOf(schema);
  const fields = Object.keys(schema.properties);
  const check = (input: unknown): ShapeCheck<Static<Schema>> => {
    if (!isObject(input))
      return { ok: false, problems: [{ pointer: "", message: `it is an object ${example}` }] };
    const unknown = Object.keys(input).filter((field) => !fields.includes(field));
    if (unknown.length > 0) {
      const problems = unknown.map((field) => ({
        pointer: `/${field}`,
        message: `unknown field${didYouMean(field, fields) || `: the fields are ${fields.join(", ")}`}`,
      }));
      return { ok: false, problems };
    }
    if (compiled.accepts(input)) return { ok: true, value: input };
    const problems = new Map<string, Problem>();
    for (const fault of compiled.errors(input)) {
      const { keyword, instancePath, params } = fault;
      const missing = keyword === "required" ? params.requiredProperties : [""];
      for (const name of missing) {
        const pointer = name === "" ? instancePath : `${instancePath}/${name}`;
        const form = descriptionOf(schema.properties[instancePath.slice(1)]);
        const message = name === "" ? describeFault(fault, form) : "is missing";
        if (!problems.has(pointer)) problems.set(pointer, { pointer, message });
      }
    }
    return { ok: false, problems: [...problems.values()] };
  };
  return {
    check,
    checkKnown: (input) =>
      check(
        isObject(input)
          ? Object.fromEntries(Object.entries(input).filter(([name]) => fields.includes(name)))
          : input,
      ),
  };
}

function descriptionOf(schema: TSchema | undefined): string | undefined {
  return schema !== undefined && "description" in schema ? String(schema.description) : undefined;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
