/** The parts of JSON Schema that the job's schema uses, and how a field of a form goes with each. */

export interface Schema {
  type?: string;
  enum?: string[];
  const?: unknown;
  anyOf?: Schema[];
  items?: Schema;
  properties?: Record<string, Schema>;
  patternProperties?: Record<string, Schema>;
  required?: string[];
  description?: string;
  minimum?: number;
  maximum?: number;
  maxLength?: number;
}

export type Kind =
  | "text"
  | "number"
  | "switch"
  | "choice"
  | "several"
  | "lines"
  | "pairs"
  | "parts"
  | "list"
  | "map"
  | "written";

/** `list` and `map`: of objects; `written`: a shape that no field can hold; it is edited in the YAML. */
export function kindOf(schema: Schema): Kind {
  const { type, anyOf, items, properties, patternProperties } = schema;
  if (schema.enum !== undefined) return "choice";
  if (anyOf !== undefined) {
    const kinds = new Set(anyOf.map(kindOf));
    if (kinds.has("lines")) return "lines";
    return kinds.has("text") ? "text" : "written";
  }
  if (type === "boolean") return "switch";
  if (type === "integer" || type === "number") return "number";
  if (type === "string" || schema.const !== undefined) return "text";
  if (type === "array" && items !== undefined) {
    if (items.enum !== undefined) return "several";
    if (items.properties !== undefined) return "list";
    return isPlain(items) ? "lines" : "written";
  }
  if (properties !== undefined) return "parts";
  const [values] = Object.values(patternProperties ?? {});
  if (values?.properties !== undefined) return "map";
  return values?.type === "string" ? "pairs" : "written";
}

function isPlain({ type }: Schema): boolean {
  return type === "string" || type === "integer";
}

/**
 * Narrows a field with several types to the one that the object's own field `type` names, for example for the default of a
 * parameter.
 */
export function narrowed(schema: Schema, parent: unknown): Schema {
  const named = isObject(parent) ? parent["type"] : undefined;
  const types = schema.anyOf?.map(({ type }) => type) ?? [];
  if (typeof named !== "string" || !types.includes("string") || !types.includes("boolean")) return schema;
  return schema.anyOf?.find(({ type }) => type === named) ?? { type: "string" };
}

/** An object with the first choice of each choice that it must have. */
export function firstOf({ required = [], properties = {} }: Schema): Record<string, unknown> {
  return Object.fromEntries(
    required.flatMap((name) => {
      const [first] = properties[name]?.enum ?? [];
      return first === undefined ? [] : [[name, first]];
    }),
  );
}

/** What a text of a field stands for: a number where the schema has one and the text is one. */
export function valueOf(text: string, schema: Schema): unknown {
  const takesNumber = [schema, ...(schema.anyOf ?? [])].some(
    ({ type }) => type === "integer" || type === "number",
  );
  return takesNumber && /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text;
}

/** A value without a field, or with it changed; an empty object is left out by its parent. */
export function withField(value: unknown, name: string, field: unknown): Record<string, unknown> | undefined {
  const before = isObject(value) ? value : {};
  const { [name]: _, ...others } = before;
  if (field === undefined) return Object.keys(others).length === 0 ? undefined : others;
  // The order in which a person wrote the fields stays.
  return Object.hasOwn(before, name) ? { ...before, [name]: field } : { ...others, [name]: field };
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
