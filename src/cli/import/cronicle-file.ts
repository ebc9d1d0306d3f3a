/** What a file of Cronicle's holds: its events, and what is known about the plugins, server groups and categories that they name. */
import { CicadaError } from "../../errors.ts";
import { readJsonText } from "../../schema/json.ts";
import { isObject, wordOf } from "./drafts.ts";

export type Fields = Record<string, unknown>;

export interface CronicleContent {
  events: Fields[];
  /** by id */
  plugins: ReadonlyMap<string, Fields>;
  groups: ReadonlyMap<string, Fields>;
  categories: ReadonlyMap<string, Fields>;
}

/** An export is `KEY - JSON` lines below comments; an answer of the API has `rows`. Throws BAD_FILE. */
export function readCronicle(text: string, source: string): CronicleContent {
  const lines = text.split(/\r?\n/).map((line, index) => ({ line, number: index + 1 }));
  const isExport = lines.some(({ line }) => /^global\/\S+ - /.test(line));
  const records = isExport
    ? lines
        .filter(({ line }) => line.trim() !== "" && !line.startsWith("#"))
        .map(({ line, number }) => recordOf(line, `${source}, line ${number}`))
    : [{ key: "global/schedule/0", content: { items: eventsIn(parsed(text, source)) } }];
  const itemsOf = (list: string): Fields[] =>
    records.flatMap(({ key, content }) => {
      const isPage = new RegExp(`^global/${list}/-?\\d+$`).test(key) && isObject(content);
      const items = isPage ? content["items"] : undefined;
      return Array.isArray(items) ? items.filter((one): one is Fields => isObject(one)) : [];
    });
  const events = itemsOf("schedule");
  if (events.length === 0 && !isExport) {
    throw new CicadaError(
      "BAD_FILE",
      `${source}: expected an export of Cronicle, the answer of get_schedule, or an event`,
    );
  }
  return {
    events,
    plugins: byId(itemsOf("plugins")),
    groups: byId(itemsOf("server_groups")),
    categories: byId(itemsOf("categories")),
  };
}

function byId(items: readonly Fields[]): ReadonlyMap<string, Fields> {
  return new Map(items.map((one) => [wordOf(one["id"]), one]));
}

function recordOf(line: string, where: string): { key: string; content: unknown } {
  const [, key, json] = /^(\S+) - (.*)$/.exec(line) ?? [];
  if (key === undefined || json === undefined)
    throw new CicadaError("BAD_FILE", `${where}: expected KEY - JSON`);
  return { key, content: parsed(json, where) };
}

function parsed(text: string, where: string): unknown {
  const read = readJsonText(text);
  if (!read.ok) throw new CicadaError("BAD_FILE", `${where}: ${read.detail}`);
  return read.value;
}

function eventsIn(content: unknown): unknown[] {
  if (Array.isArray(content)) return content;
  if (!isObject(content)) return [];
  for (const name of ["rows", "items", "events"]) if (Array.isArray(content[name])) return content[name];
  return isObject(content["event"]) ? [content["event"]] : "plugin" in content ? [content] : [];
}
