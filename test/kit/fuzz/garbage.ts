/**
 * Seeded garbage: values at the edge, mutations of good bytes and of good JSON, and values made after a schema.
 *
 * All draws come from one pair of dice, so a seed and a number always name the same input.
 */
import type { TSchema } from "typebox";
import { messageCapBytes } from "../../../src/schema/message.ts";
import type { Dice } from "../../../src/sim/random.ts";

/** Instants, counts and versions where arithmetic, dates or comparisons go wrong. */
const edgeNumbers: readonly number[] = [
  0,
  -0,
  1,
  -1,
  0.5,
  127,
  128,
  255,
  256,
  1_023,
  1_024,
  65_535,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32,
  2 ** 40,
  2 ** 52,
  2 ** 53 - 1,
  2 ** 53,
  2 ** 63,
  -(2 ** 31),
  -(2 ** 53),
  8.64e15,
  8.64e15 + 1,
  -8.64e15,
  5e-324,
  1e21,
  1e308,
  -1e308,
];

const edgeTexts: readonly string[] = [
  "",
  " ",
  "0",
  "null",
  "__proto__",
  "constructor",
  "toString",
  "../../../etc/passwd",
  "a\0b",
  "\u{1F997}",
  "\uD800",
  "\u202Eabc",
  "a".repeat(127),
  "a".repeat(128),
  "a".repeat(129),
  "x".repeat(300),
  "%2e%2e%2f",
  "@",
  "#",
  "~",
  "a@b~1@c#d",
  "<script>alert(1)</script>",
  "'; DROP TABLE record; --",
  "9999-99-99T99:99:99Z",
  "2026-02-30T00:00:00Z",
  "0000-01-01T00:00:00Z",
];

export function edgeNumber(dice: Dice): number {
  return dice.chance(0.3) ? Math.round((dice.next() - 0.5) * 2 ** dice.below(70)) : dice.pick(edgeNumbers);
}

export function edgeText(dice: Dice): string {
  if (dice.chance(0.6)) return dice.pick(edgeTexts);
  const length = dice.below(dice.chance(0.1) ? 5_000 : 40);
  let text = "";
  for (let i = 0; i < length; i++)
    text += String.fromCharCode(dice.chance(0.8) ? 32 + dice.below(95) : dice.below(0xffff));
  return text;
}

/** Any JSON, not deep. */
export function anyJson(dice: Dice, depth = 3): unknown {
  const kind = dice.below(depth > 0 ? 8 : 5);
  if (kind === 0) return null;
  if (kind === 1) return dice.chance(0.5);
  if (kind <= 2) return edgeNumber(dice);
  if (kind <= 4) return edgeText(dice);
  const length = dice.below(4);
  if (kind <= 5) return Array.from({ length }, () => anyJson(dice, depth - 1));
  return Object.fromEntries(Array.from({ length }, () => [edgeText(dice), anyJson(dice, depth - 1)]));
}

// ------------------------------------------------------------------------------------------------- bytes

/** Good bytes that were changed: flipped, cut, doubled, overwritten or extended. */
export function mutateBytes(bytes: Uint8Array, dice: Dice): Uint8Array {
  let mutated: Uint8Array = Uint8Array.from(bytes);
  for (let left = 1 + dice.below(4); left > 0; left--) mutated = mutateOnce(mutated, dice);
  return mutated;
}

function mutateOnce(bytes: Uint8Array, dice: Dice): Uint8Array {
  const at = dice.below(bytes.length + 1);
  const length = dice.below(Math.min(64, bytes.length + 1));
  switch (dice.below(7)) {
    case 0: {
      if (at < bytes.length) bytes[at] = (bytes[at] ?? 0) ^ (1 << dice.below(8));
      return bytes;
    }
    case 1: {
      if (at < bytes.length) bytes[at] = dice.pick([0, 1, 0x7f, 0x80, 0xff, dice.below(256)]);
      return bytes;
    }
    case 2:
      return bytes.slice(0, at);
    case 3:
      return concat(bytes.subarray(0, at), bytes.subarray(at + length));
    case 4:
      return concat(bytes.subarray(0, at), bytes.subarray(at, at + length), bytes.subarray(at));
    case 5:
      return concat(bytes.subarray(0, at), dice.bytes(length), bytes.subarray(at));
    default:
      // A number in the format of Yjs and Protobuf that doesn't end.
      return concat(bytes.subarray(0, at), new Uint8Array(1 + dice.below(9)).fill(0xff), bytes.subarray(at));
  }
}

export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(parts));
}

// -------------------------------------------------------------------------------------------------- JSON

/** A copy of good JSON with some of its places changed, taken out, renamed, repeated or buried. */
export function mutateJson(value: unknown, dice: Dice): unknown {
  let mutated = value;
  for (let left = 1 + dice.below(3); left > 0; left--) mutated = changePlace(mutated, dice);
  return mutated;
}

/** Descends at random and changes the value that it reaches. */
function changePlace(value: unknown, dice: Dice): unknown {
  const inside = typeof value === "object" && value !== null && Object.keys(value).length > 0;
  if (!inside || dice.chance(0.1)) return changed(value, dice);
  if (Array.isArray(value)) {
    const index = dice.below(value.length);
    if (dice.chance(0.1)) return value.toSpliced(index, 1);
    if (dice.chance(0.1)) return [...value, ...repeated(value[index], dice)];
    return value.with(index, changePlace(value[index], dice));
  }
  const fields: Record<string, unknown> = { ...value };
  const name = dice.pick(Object.keys(fields));
  const chance = dice.next();
  if (chance < 0.1) delete fields[name];
  else if (chance < 0.15) fields[edgeText(dice)] = fields[name];
  else fields[name] = changePlace(fields[name], dice);
  return fields;
}

/** Many copies of one item: more than a schema takes, and sometimes just more than a message may hold. */
function repeated(item: unknown, dice: Dice): unknown[] {
  const size = JSON.stringify(item)?.length ?? 1;
  const times = Math.min(dice.below(5_000), Math.ceil(messageCapBytes / size));
  return Array.from({ length: times }, () => item);
}

function changed(value: unknown, dice: Dice): unknown {
  if (typeof value === "number" && dice.chance(0.7)) return edgeNumber(dice);
  if (typeof value === "string" && dice.chance(0.7)) return mutateText(value, dice);
  if (dice.chance(0.02)) return buried(value, 1 + dice.below(500));
  return anyJson(dice);
}

export function mutateText(text: string, dice: Dice): string {
  const at = dice.below(text.length + 1);
  switch (dice.below(5)) {
    case 0:
      return text.slice(0, at);
    case 1:
      return text.slice(0, at) + edgeText(dice) + text.slice(at);
    case 2:
      return text.slice(0, at) + String.fromCharCode(dice.below(128)) + text.slice(at + 1);
    case 3:
      return text.repeat(1 + dice.below(50)).slice(0, 20_000);
    default:
      return edgeText(dice);
  }
}

function buried(value: unknown, depth: number): unknown {
  let outer = value;
  for (let i = 0; i < depth; i++) outer = [outer];
  return outer;
}

/** A value as bytes, sometimes in a JSON form that `JSON.stringify` never writes. */
export function jsonBytes(value: unknown, dice: Dice): Uint8Array {
  let text = JSON.stringify(value) ?? "";
  if (dice.chance(0.05))
    text = text.replace(/-?\d+(?=[,}\]])/, dice.pick(["1e999", "-1e999", "1E400", "-0", "0.1e-400"]));
  if (dice.chance(0.02)) text = text.replace(/"(\w+)":/, '"__proto__":{"polluted":1},"$1":');
  if (dice.chance(0.02)) text = text.replace(/"(\w+)":/, '"$1":1,"$1":');
  if (dice.chance(0.01)) text = text.replace(/-?\d+(?=[,}\]])/, deepText(dice));
  return Buffer.from(text);
}

function deepText(dice: Dice): string {
  const depth = dice.pick([10, 1_000, 50_000, 120_000]);
  return dice.chance(0.5)
    ? "[".repeat(depth) + "]".repeat(depth)
    : `${'{"a":'.repeat(depth / 5)}0${"}".repeat(depth / 5)}`;
}

// ----------------------------------------------------------------------------------------------- schemas

/** The value for a field of that name, if the name says more than the schema; undefined = nothing special. */
export type Knowing = (name: string, dice: Dice) => unknown;

/** The parts of JSON Schema that this project's schemas use. */
interface Plain {
  type?: string;
  const?: unknown;
  enum?: readonly unknown[];
  anyOf?: readonly Plain[];
  properties?: Readonly<Record<string, Plain>>;
  required?: readonly string[];
  patternProperties?: Readonly<Record<string, Plain>>;
  items?: Plain | readonly Plain[];
  minItems?: number;
  maxItems?: number;
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
}

/** A value that fits the schema, often at its limits; `knowing` gives values that must fit the mesh. */
export function valueOf(schema: TSchema, dice: Dice, knowing: Knowing): unknown {
  return made(schema, "", dice, knowing);
}

function made(schema: Plain, name: string, dice: Dice, knowing: Knowing): unknown {
  const known = knowing(name, dice);
  if (known !== undefined) return known;
  if ("const" in schema) return schema.const;
  if (schema.enum !== undefined) return dice.pick(schema.enum);
  if (schema.anyOf !== undefined) return made(dice.pick(schema.anyOf), name, dice, knowing);
  switch (schema.type) {
    case "object":
      return madeObject(schema, name, dice, knowing);
    case "array":
      return madeArray(schema, name, dice, knowing);
    case "boolean":
      return dice.chance(0.5);
    case "integer":
      return Math.round(madeNumber(schema, dice));
    case "number":
      return madeNumber(schema, dice);
    case "string":
      return madeText(schema, dice);
    case undefined:
    default:
      return null;
  }
}

function madeObject(schema: Plain, name: string, dice: Dice, knowing: Knowing): unknown {
  const fields: Record<string, unknown> = {};
  const required = new Set(schema.required ?? []);
  for (const [field, inner] of Object.entries(schema.properties ?? {})) {
    if (required.has(field) || dice.chance(0.5)) fields[field] = made(inner, field, dice, knowing);
  }
  for (const inner of Object.values(schema.patternProperties ?? {})) {
    for (let left = dice.below(4); left > 0; left--) {
      const key = knowing(`${name}.key`, dice) ?? edgeText(dice).slice(0, 100);
      if (typeof key === "string" && key !== "__proto__")
        fields[key] = made(inner, `${name}.value`, dice, knowing);
    }
  }
  return fields;
}

function madeArray(schema: Plain, name: string, dice: Dice, knowing: Knowing): unknown {
  const { items, minItems = 0, maxItems = 16 } = schema;
  if (Array.isArray(items)) return items.map((item: Plain) => made(item, name, dice, knowing));
  const most = Math.min(maxItems, dice.chance(0.02) ? 300 : 4);
  const length = Math.max(minItems, dice.below(most + 1));
  return Array.from({ length }, () => made((items ?? {}) as Plain, name, dice, knowing));
}

function madeNumber({ minimum = -Infinity, maximum = Infinity }: Plain, dice: Dice): number {
  const drawn = dice.pick([edgeNumber(dice), minimum, maximum, dice.below(10), dice.below(1_000)]);
  const finite = Number.isFinite(drawn) ? drawn : edgeNumber(dice);
  return Math.min(maximum, Math.max(minimum, finite));
}

function madeText({ minLength = 0, maxLength = 200 }: Plain, dice: Dice): string {
  const text = dice.chance(0.02) ? "y".repeat(Math.min(maxLength, 100_000)) : edgeText(dice);
  return text.slice(0, maxLength).padEnd(minLength, "-");
}
