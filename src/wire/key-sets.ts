/**
 * Makes the check for unknown fields quick. Of an object with optional fields typebox tests every key by a regular
 * expression of all the names, which takes longer than the rest of the check; a set of them knows at once.
 */
import { Type, type TSchema } from "typebox";

/** Refuses and accepts the same. For compiling alone: of typebox's own marks on a schema nothing is kept. */
export function withKeySets(schema: TSchema): TSchema {
  const copy: Record<string, unknown> = {};
  for (const [keyword, content] of Object.entries(schema)) copy[keyword] = within(content);
  const { additionalProperties, ...open } = copy;
  const { properties, patternProperties } = copy;
  if (additionalProperties !== false || !isObject(properties) || patternProperties !== undefined) return copy;
  const known = new Set(Object.keys(properties));
  return Type.Refine(open, (value) => isObject(value) && Object.keys(value).every((key) => known.has(key)));
}

function within(content: unknown): unknown {
  if (Array.isArray(content)) return content.map(within);
  return isObject(content) ? withKeySets(content) : content;
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
