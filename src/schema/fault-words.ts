/** What a value should have been, in a person's words and not in those of JSON Schema. */

/** What the checker of schemas (typebox) reports. */
export interface ShapeFault {
  readonly keyword: string;
  readonly message: string;
  readonly params: object;
}

const types: Readonly<Record<string, string>> = {
  string: "must be a text: put it in quotes",
  boolean: "must be true or false",
  integer: "must be a whole number",
  number: "must be a number",
  object: "must be an object",
  array: "must be a list",
};

/** `form`: what the value should be, where its schema says so. */
export function describeFault({ keyword, message, params }: ShapeFault, form?: string): string {
  const said: Readonly<Record<string, unknown>> = { ...params };
  const limit = String(said["limit"]);
  switch (keyword) {
    case "type":
      return types[String(said["type"])] ?? message;
    case "enum": {
      const allowed = said["allowedValues"];
      return Array.isArray(allowed) ? `must be one of ${allowed.map(String).join(", ")}` : message;
    }
    case "minimum":
      return `must be at least ${limit}`;
    case "maximum":
      return `must be at most ${limit}`;
    case "maxLength":
      return `must have at most ${limit} characters`;
    case "minLength":
      return limit === "1" ? "must not be empty" : `must have at least ${limit} characters`;
    case "maxItems":
      return `must have at most ${limit} entries`;
    case "minItems":
    case "minProperties":
      return limit === "1" ? "must not be empty" : `must have at least ${limit} entries`;
    case "pattern":
      return form === undefined ? message : `must be ${form}`;
    default:
      return message;
  }
}
