/**
 * Checks what a caller sends. Bodies are checked as they are; query parameters are texts and are first read as numbers
 * and booleans.
 *
 * A parameter or field that a call doesn't know is refused by name: if a misspelt filter were ignored, the list would be wrong.
 */
import type { FastifySchemaCompiler } from "fastify";
import { Type, type TSchema } from "typebox";
import { CicadaError } from "../../errors.ts";
import { checkOf } from "../../schema/check.ts";
import { describeFault, type ShapeFault } from "../../schema/fault-words.ts";
import type { Problem } from "../../schema/job.ts";
import { didYouMean } from "../../schema/nearest.ts";
import { refusal } from "./problems.ts";

export const closed = { additionalProperties: false } as const;
/** For a call that takes no parameters, or an empty body. */
export const none = Type.Object({}, closed);

/** A fault and its place. */
interface Fault extends ShapeFault {
  readonly instancePath: string;
}

export const compileCheck: FastifySchemaCompiler<TSchema> = ({ schema, httpPart }) => {
  const check = checkOf(schema);
  const known = "properties" in schema ? (schema.properties as Record<string, TSchema>) : {};
  return (sent: unknown) => {
    // A missing body counts as an empty object, because most calls need nothing in it.
    const value = httpPart === "body" ? (sent ?? {}) : readTexts(known, sent);
    if (check.accepts(value)) return { value };
    const faults: readonly Fault[] = check.errors(value);
    const repeated = httpPart === "querystring" ? repeatedIn(value, known) : [];
    const problems =
      repeated.length > 0 ? repeated : faults.flatMap((fault) => problemsOf(fault, known, httpPart));
    return { error: refusal("BAD_REQUEST", problems) };
  };
};

/** For a body that core checks; its schema is only shown in /openapi.json. */
export const noCheck: FastifySchemaCompiler<TSchema> = (part) =>
  part.httpPart === "body" ? (value: unknown) => ({ value }) : compileCheck(part);

/** A parameter that stands twice in an address arrives as a list. */
function repeatedIn(value: unknown, known: Record<string, TSchema>): Problem[] {
  return Object.entries(value ?? {}).flatMap(([name, one]) =>
    Array.isArray(one) && name in known && typeOf(known[name]) !== "array"
      ? [{ pointer: `/${name}`, message: "is given twice, and this call takes one" }]
      : [],
  );
}

function problemsOf(fault: Fault, known: Record<string, TSchema>, httpPart: string | undefined): Problem[] {
  const { keyword, instancePath, params } = fault;
  const message = describeFault(fault, descriptionOf(schemaAt(known, instancePath)));
  switch (keyword) {
    // typebox reports an unknown name twice: here, and as "boolean", which says where it is.
    case "additionalProperties":
    case "propertyNames":
      return [];
    // If a field may be one of several things, typebox also reports by itself each one that it isn't.
    case "anyOf":
      return [];
    case "type":
      return "type" in params && params.type === "null" ? [] : [{ pointer: instancePath, message }];
    case "boolean": {
      const what = httpPart === "querystring" ? "parameter" : "field";
      const [, name] = /^\/([^/]*)$/.exec(instancePath) ?? [];
      const hint = name === undefined ? "" : describeKnown(name, Object.keys(known));
      return [{ pointer: instancePath, message: `unknown ${what}${hint}` }];
    }
    case "required":
      return namesIn(params, "requiredProperties").map((name) => ({
        pointer: `${instancePath}/${name}`,
        message: "is missing",
      }));
    default:
      return [{ pointer: instancePath, message }];
  }
}

function namesIn(params: object, name: string): string[] {
  const found: unknown = Object.entries(params).find(([key]) => key === name)?.[1];
  return Array.isArray(found) ? found.map(String) : [];
}

/** The schema of a field, or of the entries of a list. */
function schemaAt(known: Record<string, TSchema>, pointer: string): TSchema | undefined {
  const [name = "", place] = pointer.slice(1).split("/");
  const schema = known[name];
  if (place === undefined || schema === undefined) return schema;
  return "items" in schema ? (schema.items as TSchema) : undefined;
}

/** The description of a field; if the field may also be null, that of the other thing which it may be. */
function descriptionOf(schema: TSchema | undefined): string | undefined {
  if (schema === undefined) return undefined;
  if ("description" in schema && typeof schema.description === "string") return schema.description;
  const [first] = "anyOf" in schema && Array.isArray(schema.anyOf) ? (schema.anyOf as TSchema[]) : [];
  return descriptionOf(first);
}

function describeKnown(name: string, known: readonly string[]): string {
  if (known.length === 0) return ": this call takes none";
  return didYouMean(name, known) || `: this call takes ${known.join(", ")}`;
}

/**
 * Reads numbers and booleans as they are written in an address. Anything else stays a text, and the check refuses it.
 */
function readTexts(known: Record<string, TSchema>, sent: unknown): unknown {
  if (typeof sent !== "object" || sent === null) return sent;
  return Object.fromEntries(
    Object.entries(sent).map(([name, value]) => [name, readText(typeOf(known[name]), value)]),
  );
}

function typeOf(schema: TSchema | undefined): unknown {
  return schema !== undefined && "type" in schema ? schema.type : undefined;
}

function readText(type: unknown, value: unknown): unknown {
  if (typeof value !== "string") return value;
  if (type === "integer" && /^-?\d{1,15}$/.test(value)) return Number(value);
  if (type === "boolean" && (value === "true" || value === "false")) return value === "true";
  return value;
}

const rfc3339 = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2})$/;

/** An instant in a query or a body. `words` says what it is for. */
export const InstantText = (words = "an RFC 3339 instant such as 2026-11-20T02:00:00Z") =>
  Type.String({
    maxLength: 40,
    pattern: rfc3339.source,
    description: words,
    examples: ["2026-11-20T02:00:00Z"],
  });

/** An RFC 3339 instant as ms since the epoch. */
export function readInstant(text: string | undefined, pointer: string): number | undefined {
  if (text === undefined) return undefined;
  const instant = rfc3339.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(instant)) {
    const message = `"${text}" is not an RFC 3339 instant such as 2026-11-20T02:00:00Z`;
    throw new CicadaError("UNPROCESSABLE", `${pointer}: ${message}`, [{ pointer, message }]);
  }
  return instant;
}
