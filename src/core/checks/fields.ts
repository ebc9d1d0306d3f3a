/** Reads fields of a value from outside, whose shape may be wrong. */

export type Fields = Readonly<Record<string, unknown>>;

export function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The fields of an object inside the job; none if it isn't an object. */
export function inside(fields: Fields, name: string): Fields {
  const value = fields[name];
  return isObject(value) ? value : nothing;
}

const nothing: Fields = Object.freeze({});

/** Undefined also if the field has another type. */
export function text(fields: Fields, name: string): string | undefined {
  const value = fields[name];
  return typeof value === "string" ? value : undefined;
}

export function listOfTexts(value: unknown): string[] | undefined {
  return Array.isArray(value) && value.every((item) => typeof item === "string") ? value : undefined;
}
