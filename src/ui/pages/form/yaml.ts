/**
 * YAML ⇄ the fields of a job or a setting. Loaded with the first form only.
 *
 * js-yaml reads it. What writes it is made here, which is a fifth of its size: each text is written in the plainest form that
 * js-yaml reads as the same text again.
 */
import { load, YAMLException } from "js-yaml";
import { isObject } from "./schema.ts";

export function writeYaml(fields: Readonly<Record<string, unknown>>): string {
  return `${linesOf(fields).join("\n")}\n`;
}

function linesOf(value: unknown): string[] {
  if (typeof value === "string") return textLines(value);
  if (Array.isArray(value) && value.length > 0)
    return value.flatMap((item) => {
      const [first, ...others] = linesOf(item);
      return [`- ${first}`, ...others.map(indented)];
    });
  if (isObject(value)) {
    const entries = Object.entries(value).filter(([, member]) => member !== undefined);
    return entries.length === 0 ? ["{}"] : entries.flatMap(([name, member]) => memberLines(name, member));
  }
  return [JSON.stringify(value) ?? "null"];
}

function memberLines(name: string, value: unknown): string[] {
  const [first = "", ...others] = linesOf(value);
  const key = textLines(name)[0] === name ? name : quoted(name);
  const isNested = typeof value === "object" && first !== "[]" && first !== "{}" && first !== "null";
  return isNested
    ? [`${key}:`, ...[first, ...others].map(indented)]
    : [`${key}: ${first}`, ...others.map(indented)];
}

function indented(line: string): string {
  return line === "" ? "" : `  ${line}`;
}

/** What a reader of YAML 1.1 takes for something else than a text. */
const special = /^(y|n|yes|no|on|off|true|false|null|~|<<|=|[-+.]?\d[\w.:+-]*|\d{4}-\d.*)$/i;

function textLines(text: string): string[] {
  const lines = text.includes("\n") ? literalLines(text) : [text];
  return !special.test(text) && readsAs(lines, text) ? lines : [quoted(text)];
}

function literalLines(text: string): string[] {
  const lines = text.split("\n");
  if (lines.at(-1) !== "") return ["|-", ...lines];
  return [lines.at(-2) === "" ? "|+" : "|", ...lines.slice(0, -1)];
}

function readsAs([first = "", ...others]: readonly string[], text: string): boolean {
  try {
    const [read] = load([`- ${first}`, ...others.map(indented), ""].join("\n")) as unknown[];
    return read === text;
  } catch {
    return false;
  }
}

function quoted(text: string): string {
  return JSON.stringify(text).replaceAll(
    /[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** The fields, or what keeps the text from being any. */
export function readYaml(text: string): { fields: Record<string, unknown> } | { problem: string } {
  try {
    const fields = load(text);
    return isObject(fields)
      ? { fields }
      : { problem: "Write one field per line, each with its name, such as `description: nightly backup`." };
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error;
    return { problem: error.message.split("\n")[0] ?? "That is not YAML." };
  }
}
