/**
 * Turns Cronicle's events into jobs: an export of its storage (`control.sh export`), the answer of `get_schedule`, or one event.
 * Pure: text in, jobs and reports out.
 *
 * Cronicle asks for every part of an event's timing at once, a day AND a weekday too; cron fields can't, so such a job is made
 * disabled (days.ts). A chain belongs to the event that starts it there, and to the job that is started here (`after`).
 */
import {
  Drafts,
  idFrom,
  isObject,
  numberOf,
  unread,
  wordOf,
  type Draft,
  type ForeignOptions,
} from "./drafts.ts";
import { actionOfEvent } from "./cronicle-plugins.ts";
import { readCronicle, type CronicleContent, type Fields } from "./cronicle-file.ts";
import { dayAndWeekday, listed, timesOf } from "./days.ts";
import type { Reading } from "./reading.ts";

/** `source` names the file. Throws BAD_FILE for a text that is nothing of Cronicle's. */
export function parseCronicle(text: string, source: string, options: ForeignOptions): Reading {
  const content = readCronicle(text, source);
  const drafts = new Drafts(options);
  const ids = idsOf(content.events, options.prefix);
  const chains = chainsIn(content.events);
  for (const [index, event] of content.events.entries()) {
    const at = textOf(event, "title") || textOf(event, "id") || `event ${index + 1}`;
    drafts.add(at, `event ${textOf(event, "id")}`, (draft) => ({
      id: ids.get(textOf(event, "id")) ?? idFrom(at, options.prefix),
      ...draft.part(() => whenOf(event, chains.get(textOf(event, "id")) ?? [], ids, draft, options)),
      ...draft.part(() => actionOfEvent(event, content.plugins, draft, options.user)),
      target: targetOf(event, content, draft),
      ...limitsOf(event, draft),
      enabled: isEnabled(event, content, draft) ? undefined : false,
      labels: {
        "imported-from": "cronicle",
        file: source.slice(0, 256),
        ...(textOf(event, "category") === "" ? {} : { category: textOf(event, "category").slice(0, 256) }),
      },
      description: (textOf(event, "notes") || textOf(event, "title")).slice(0, 4_096) || undefined,
    }));
  }
  return drafts.reading;
}

function textOf(fields: Fields, name: string): string {
  const value = fields[name];
  return typeof value === "string" ? value : "";
}

/** Cronicle writes 1 and 0, and takes true and false. */
function isOn(value: unknown): boolean {
  return value === true || value === 1 || value === "1";
}

/** The job's id for each event's id. It is made of the event's title, and also of its id if two events have the same title. */
function idsOf(events: readonly Fields[], prefix: string): ReadonlyMap<string, string> {
  const titles = events.map((event) => idFrom(textOf(event, "title") || textOf(event, "id"), prefix));
  return new Map(
    events.map((event, index) => {
      const title = titles[index] ?? "";
      const isShared = titles.indexOf(title) !== titles.lastIndexOf(title);
      return [textOf(event, "id"), isShared ? `${title}-${textOf(event, "id")}` : title];
    }),
  );
}

interface Chain {
  parent: string;
  on: "success" | "failure";
}

function chainsIn(events: readonly Fields[]): ReadonlyMap<string, Chain[]> {
  const chains = new Map<string, Chain[]>();
  for (const event of events) {
    for (const [field, on] of [
      ["chain", "success"],
      ["chain_error", "failure"],
    ] as const) {
      const child = textOf(event, field);
      if (child !== "")
        chains.set(child, [...(chains.get(child) ?? []), { parent: textOf(event, "id"), on }]);
    }
  }
  return chains;
}

// ---------------------------------------------------------------------------------------------------------
// When

function whenOf(
  event: Fields,
  chains: readonly Chain[],
  ids: ReadonlyMap<string, string>,
  draft: Draft,
  options: ForeignOptions,
): Fields {
  for (const field of ["chain", "chain_error"]) {
    const child = textOf(event, field);
    if (child !== "" && !ids.has(child)) draft.disable(`its ${field} ${child} is not in this file`);
  }
  const timing = event["timing"];
  const [first] = chains;
  if (first !== undefined && !isObject(timing)) return afterOf(chains, ids, draft);
  if (first !== undefined) {
    draft.disable(
      `it has times of its own, and also runs after ${chains.map(({ parent }) => ids.get(parent)).join(", ")}: make two jobs of it`,
    );
  }
  if (!isObject(timing)) return {};
  const unknown = unread(timing, ["years", "months", "days", "weekdays", "hours", "minutes"]);
  if (unknown.length > 0) draft.addRefusal(`its timing has ${unknown.join(", ")}, which is not known`);
  const read = (name: string, min: number, max: number) => numbersOf(timing, name, min, max, draft);
  if (read("years", 1970, 9_999).length > 0)
    draft.addRefusal("it is limited to certain years, and a schedule repeats each year");
  const field = (name: string, min: number, max: number) => {
    const numbers = read(name, min, max);
    return numbers.length === 0 || numbers.length === max - min + 1 ? "*" : listed(numbers);
  };
  const times = timesOf({
    second: "0",
    minute: field("minutes", 0, 59),
    hour: field("hours", 0, 23),
    day: field("days", 1, 31),
    month: field("months", 1, 12),
    weekdays: read("weekdays", 0, 6),
  });
  if (times.except !== undefined) draft.disable(dayAndWeekday);
  const timezone = textOf(event, "timezone");
  if (timezone === "") {
    draft.note(
      `it names no timezone, so its times are those of Cronicle's host, taken to be ${options.zone}; --tz names another`,
    );
  }
  return {
    ...times,
    timezone: timezone || options.zone,
    catchUp: isOn(event["catch_up"]) ? { policy: "all", window: "30d" } : { policy: "none" },
  };
}

/** Empty = any. */
function numbersOf(timing: Fields, name: string, min: number, max: number, draft: Draft): number[] {
  const values: unknown = timing[name] ?? [];
  const isList = Array.isArray(values) && values.every((one) => Number.isInteger(numberOf(one)));
  if (!isList) {
    draft.addRefusal(`timing.${name} is not a list of numbers`);
    return [];
  }
  const numbers = [...new Set(values.map(numberOf))];
  const outside = numbers.find((one) => one < min || one > max);
  if (outside === undefined) return numbers;
  draft.addRefusal(`timing.${name}: ${outside} is not within ${min} to ${max}`);
  return [];
}

function afterOf(chains: readonly Chain[], ids: ReadonlyMap<string, string>, draft: Draft): Fields {
  const parents = [...new Set(chains.map(({ parent }) => ids.get(parent) ?? parent))];
  const ends = new Set(chains.map(({ on }) => on));
  if (parents.length > 1) {
    draft.disable(
      `there it runs after each of ${parents.join(", ")}, and here only when all of them have ended the same tick: make one job after each`,
    );
  }
  return { after: { jobs: parents, on: ends.size > 1 ? "always" : [...ends][0] } };
}

// ---------------------------------------------------------------------------------------------------------
// Where, and within which limits

function targetOf(event: Fields, { groups }: CronicleContent, draft: Draft): Fields | undefined {
  const target = textOf(event, "target");
  const count = isOn(event["multiplex"]) ? { count: "all" } : {};
  if (isOn(event["multiplex"]) && numberOf(event["stagger"] ?? 0) > 0) {
    draft.note(
      `stagger: ${wordOf(event["stagger"])} s between the servers is not carried over (see target.rolling)`,
    );
  }
  const algo = textOf(event, "algo");
  if (!["", "random"].includes(algo))
    draft.note(`algo: ${algo} is not carried over: the peers compute who runs it`);
  if (target === "" || target === "allgrp") return isOn(event["multiplex"]) ? count : undefined;
  if (groups.has(target) || target.endsWith("grp")) {
    draft.note(
      `the server group ${target} is a tag here: only peers started with --tag cronicle-group=${target} run it`,
    );
    return { tags: { "cronicle-group": target }, ...count };
  }
  draft.note(`the server ${target} is taken for the peer of that name: only it runs the job`);
  return { peers: [target], ...count };
}

/** An event whose category or plugin is disabled doesn't run there. */
function isEnabled(event: Fields, { categories, plugins }: CronicleContent, draft: Draft): boolean {
  const category = categories.get(textOf(event, "category"));
  if (category !== undefined) noteOfCategory(event, category, draft);
  if (!isOn(event["enabled"] ?? 1)) return false;
  const plugin = plugins.get(textOf(event, "plugin"));
  const off = [
    ...(isOn(category?.["enabled"] ?? 1) ? [] : ["category"]),
    ...(isOn(plugin?.["enabled"] ?? 1) ? [] : ["plugin"]),
  ];
  for (const what of off) draft.note(`made DISABLED, as its ${what} ${textOf(event, what)} is there`);
  return off.length === 0;
}

/** Notes what the event takes from its category. */
function noteOfCategory(event: Fields, category: Fields, draft: Draft): void {
  const title = textOf(category, "title") || textOf(category, "id");
  const atOnce = numberOf(category["max_children"] ?? 0);
  if (atOnce > 0) {
    const runs = atOnce === 1 ? "one run" : `${atOnce} runs`;
    draft.note(
      `its category ${title} has at most ${runs} at once, for which a pool stands here: \`cicada pools set\`, and \`pool\` of the job`,
    );
  }
  const given = fromCategory.filter((name) => {
    const isSet = textOf(category, name) !== "" || numberOf(category[name] ?? 0) > 0;
    return isSet && textOf(event, name) === "" && !(numberOf(event[name] ?? 0) > 0);
  });
  if (given.length > 0) draft.note(`not carried over of its category ${title}: ${given.join(", ")}`);
}

/** What an event takes from its category if it says nothing itself. */
const fromCategory = ["notify_success", "notify_fail", "web_hook", "cpu_limit", "memory_limit"];

const known = (
  "id title enabled category target timezone timing plugin params timeout retries retry_delay max_children queue queue_max " +
  "catch_up multiplex stagger algo chain chain_error notes created modified username api_key session_id salt " +
  "notify_success notify_fail web_hook cpu_limit cpu_sustain memory_limit memory_sustain log_max_size detached"
).split(" ");

function limitsOf(event: Fields, draft: Draft): Fields {
  const number = (name: string, otherwise: number) => numberOf(event[name] ?? otherwise);
  const timeout = number("timeout", 0);
  const retries = number("retries", 0);
  const delay = number("retry_delay", 0);
  const atOnce = number("max_children", 0);
  if (atOnce > 1)
    draft.disable(
      `max_children: only a pool can limit it to ${atOnce} runs at once: give it one, then enable it`,
    );
  const queues = isOn(event["queue"]);
  for (const name of ["notify_success", "notify_fail", "web_hook"]) {
    if (textOf(event, name) !== "")
      draft.note(`${name} ${textOf(event, name)} is not carried over: use a channel and \`notify\``);
  }
  for (const name of ["cpu_limit", "memory_limit", "log_max_size"]) {
    if (number(name, 0) > 0) draft.note(`${name} is not carried over (see limits, keep.logBytes)`);
  }
  if (isOn(event["detached"])) draft.note("detached is not carried over: a run ends with its peer");
  const others = unread(event, known);
  if (others.length > 0) draft.note(`not carried over: ${others.join(", ")}`);
  return {
    timeout: timeout > 0 ? `${timeout}s` : undefined,
    retry:
      retries > 0
        ? {
            attempts: retries,
            backoff: `${Math.max(1, delay)}s`,
            factor: 1,
            maxBackoff: `${Math.max(1, delay)}s`,
          }
        : undefined,
    overlap: atOnce === 1 ? (queues ? "queue-all" : "skip") : "allow",
  };
}
