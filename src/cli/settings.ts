/**
 * `cicada calendars`, `groups`, `maintenance` and `pools`: settings of the mesh that have a name. Each command is one call of
 * the API at any peer, and all kinds have the same four: `ls`, `get`, `set` and `rm`.
 */
import type { Command } from "commander";
import { CicadaError } from "../errors.ts";
import type { SettingKind } from "../schema/setting.ts";
import type { CalendarAnswer, GroupAnswer, MaintenanceAnswer, PoolAnswer } from "./terminal/answers.ts";
import { openClient, withPeer, type PeerOptions } from "./terminal/client.ts";
import { jobFromFlags, withJobFlags } from "./terminal/job-flags.ts";
import { warn } from "./terminal/job-words.ts";
import { readDocuments } from "./terminal/documents.ts";
import { readTextFile } from "./terminal/text-file.ts";
import { show, withOutput, type Output } from "./terminal/output.ts";
import { fields, table } from "./terminal/table.ts";
import { repeatable } from "./program.ts";
import { plain, type Terminal } from "./terminal/terminal.ts";

type Given = Readonly<Record<string, unknown>>;

interface Kind<Answer extends { name: string }> {
  readonly setting: SettingKind;
  readonly setAbout: string;
  readonly heading: readonly string[];
  row(answer: Answer): string[];
  pairs(answer: Answer): readonly (readonly [string, string | undefined])[];
  /** what `set` says when it is done */
  written(answer: Answer): string;
  withFlags(command: Command): Command;
  /** what `set` sends */
  body(given: Given): Record<string, unknown>;
}

export function settingCommands(program: Command, terminal: Terminal): void {
  commandsOf(program, terminal, calendars);
  commandsOf(program, terminal, groups);
  commandsOf(program, terminal, maintenance);
  commandsOf(program, terminal, pools);
}

const calendars: Kind<CalendarAnswer> = {
  setting: "calendars",
  setAbout: "set a calendar: dates and ranges (--dates), or a file of iCalendar text (--ical)",
  heading: ["NAME", "DATES", "NOTE"],
  row: (one) => [one.name, timesOf(one) || "-", one.note ?? ""].map(plain),
  pairs: (one) => [
    ["name", one.name],
    ["dates", one.dates?.join(", ")],
    ["from iCalendar", one.expanded === undefined ? undefined : coveredBy(one.expanded)],
    ["expanded up to", one.expanded?.until],
    ["jobs", one.jobs?.join(", ")],
    ["note", one.note],
  ],
  written: (one) => {
    const { expanded } = one;
    const until =
      expanded?.until === undefined ? "" : `, expanded up to ${expanded.until}: set it again before then`;
    return `calendar ${plain(one.name)} covers ${plain(timesOf(one) || "nothing")}${until}`;
  },
  withFlags: (command) =>
    command
      .addOption(
        repeatable(
          "--dates <date>",
          "a date such as 2026-12-24, or a range such as 2026-12-24/2027-01-02; repeatable",
        ),
      )
      .option("--ical <file>", "iCalendar text, such as holidays.ics; - reads standard input")
      .option("--note <text>", "a text for people"),
  body: (given) => {
    const { ical } = given;
    return {
      ...pick(given, ["dates", "note"]),
      ...(typeof ical === "string" ? { ical: readTextFile(ical) } : {}),
    };
  },
};

function coveredBy({ days, floating, spans }: NonNullable<CalendarAnswer["expanded"]>): string {
  const all = [...days, ...floating, ...spans].toSorted();
  return `${all.length} ${all.length === 1 ? "time" : "times"}: ${shorten(all.join(", "))}`;
}

/** The dates and the times from iCalendar text that a calendar covers. */
function timesOf({ dates = [], expanded }: CalendarAnswer): string {
  return [
    ...(dates.length === 0 ? [] : [shorten(dates.join(", "))]),
    ...(expanded === undefined ? [] : [coveredBy(expanded)]),
  ].join("; ");
}

const shownMost = 120;

function shorten(text: string): string {
  return text.length <= shownMost ? text : `${text.slice(0, shownMost - 1)}…`;
}

const groups: Kind<GroupAnswer> = {
  setting: "groups",
  setAbout: "set all the defaults of a group: by the flags of jobs create, or from a file (-f)",
  heading: ["NAME", "GIVES", "DESCRIPTION"],
  row: ({ name, description = "", ...given }) =>
    [name, Object.keys(given).join(", "), description].map(plain),
  pairs: ({ name, jobs = [], ...given }) => [
    ["name", name],
    ...Object.entries(given).map(([field, value]) => [field, textOf(value)] as const),
    ["jobs", jobs.join(", ")],
  ],
  written: ({ name, jobs = [] }) =>
    `group ${plain(name)} set; ${jobs.length} ${jobs.length === 1 ? "job is" : "jobs are"} in it`,
  withFlags: (command) => withJobFlags(command).option("-f, --file <file>", "its defaults as YAML or JSON"),
  body: (given) => {
    const { file, ...flags } = given;
    if (typeof file !== "string") return jobFromFlags(flags);
    const [written] = readDocuments(file);
    return written?.value ?? {};
  },
};

function textOf(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

const pools: Kind<PoolAnswer> = {
  setting: "pools",
  setAbout: "set how many slots a pool has (1 until it is set); 0 stops it",
  heading: ["NAME", "SLOTS", "HELD", "WAITING", "NOTE"],
  row: (one) =>
    [one.name, one.slots, one.holders.length, one.waiting.length, one.note ?? ""].map((cell) =>
      plain(String(cell)),
    ),
  pairs: (one) => [
    ["name", one.name],
    ["slots", String(one.slots)],
    ["jobs", one.jobs.join(", ")],
    ...one.holders.map((held) => ["held by", slotText(held)] as const),
    ...one.waiting.map((waits) => ["waits", slotText(waits)] as const),
    ["note", one.note],
  ],
  written: (one) => `pool ${plain(one.name)} has ${one.slots} ${one.slots === 1 ? "slot" : "slots"}`,
  withFlags: (command) =>
    command
      .option("--slots <n>", "how many runs at once; 0 stops the pool")
      .option("--note <text>", "a text for people"),
  body: (given) => {
    const { slots, note } = given;
    const number = typeof slots === "string" && /^-?\d+$/.test(slots) ? Number(slots) : slots;
    return { ...(slots === undefined ? {} : { slots: number }), ...(note === undefined ? {} : { note }) };
  },
};

function slotText({ job, tick, peer, peerName }: PoolAnswer["holders"][number]): string {
  return plain(`${job}@${tick} on ${peerName ?? peer.slice(-8)}`);
}

const maintenance: Kind<MaintenanceAnswer> = {
  setting: "maintenance",
  setAbout:
    "set a maintenance window: once (--from, --to), or recurring (--schedule, --duration); for all jobs or those of a group",
  heading: ["NAME", "WHEN", "GROUP", "NOTE"],
  row: (one) => [one.name, whenOf(one), one.group ?? "all jobs", one.note ?? ""].map(plain),
  pairs: (one) => [
    ["name", one.name],
    ["when", whenOf(one)],
    ["group", one.group ?? "all jobs"],
    ["note", one.note],
  ],
  written: (one) => `maintenance ${plain(one.name)} set: ${whenOf(one)}`,
  withFlags: (command) =>
    command
      .option("--from <instant>", "when it begins")
      .option("--to <instant>", "when it ends; ticks at this instant run")
      .addOption(repeatable("-s, --schedule <schedule>", "when it begins each time; repeatable"))
      .option("--tz, --timezone <zone>", "the schedule's zone (default: UTC)")
      .option("--duration <duration>", "how long each one lasts")
      .option("--group <group>", "only jobs of this group")
      .option("--note <text>", "a text for people"),
  body: (given) => {
    const { schedule, ...rest } = pick(given, [
      "from",
      "to",
      "schedule",
      "timezone",
      "duration",
      "group",
      "note",
    ]);
    const all = Array.isArray(schedule) ? schedule : [];
    return { ...rest, ...(all.length === 0 ? {} : { schedule: all.length === 1 ? all[0] : all }) };
  },
};

function whenOf({ from, to, schedule, timezone, duration }: MaintenanceAnswer): string {
  if (schedule === undefined) return `${from ?? ""} to ${to ?? ""}`;
  return `${[schedule].flat().join(", ")} (${timezone ?? "UTC"}), each for ${duration ?? ""}`;
}

function pick(given: Given, names: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(
    names.flatMap((name) => (given[name] === undefined ? [] : [[name, given[name]]])),
  );
}

function commandsOf<Answer extends { name: string; warnings?: string[] }>(
  program: Command,
  terminal: Terminal,
  kind: Kind<Answer>,
): void {
  const { setting } = kind;
  const noun = program.command(setting);
  const pathOf = (name: string): string => `/v1/${setting}/${encodeURIComponent(name)}`;
  type Options = PeerOptions & { output: Output };

  withOutput(withPeer(noun.command("ls")))
    .description("list them")
    .action(async (options: Options) => {
      const answer = await openClient(options, terminal).list<Answer>(`/v1/${setting}`);
      show(terminal, options.output, answer, () => {
        if (answer.items.length === 0) return terminal.print("There are none.");
        table(
          terminal,
          kind.heading,
          answer.items.map((one) => kind.row(one)),
        );
      });
    });

  withOutput(withPeer(noun.command("get")))
    .description("show one")
    .argument("<name>")
    .action(async (name: string, options: Options) => {
      const answer = await openClient(options, terminal).ask<Answer>(pathOf(name));
      show(terminal, options.output, answer, () => fields(terminal, kind.pairs(answer)));
    });

  kind
    .withFlags(withOutput(withPeer(noun.command("set"))))
    .description(kind.setAbout)
    .argument("<name>")
    .action(async (name: string, options: Options) => {
      const body = kind.body({ ...options });
      try {
        const answer = await openClient(options, terminal).ask<Answer>(pathOf(name), { method: "PUT", body });
        show(terminal, options.output, answer, () => {
          terminal.print(kind.written(answer));
          warn(terminal, answer);
        });
      } catch (error) {
        throw inTermsOfFlags(error);
      }
    });

  withPeer(noun.command("rm"))
    .description("remove them")
    .argument("<name...>")
    .action(async (names: string[], options: PeerOptions) => {
      const client = openClient(options, terminal);
      for (const name of names) {
        await client.send(pathOf(name), { method: "DELETE" });
        terminal.print(`${setting} ${plain(name)} removed`);
      }
    });
}

/** Fields and flags have the same names here. */
function inTermsOfFlags(error: unknown): unknown {
  if (!(error instanceof CicadaError) || error.problems.length === 0) return error;
  const problems = error.problems.map(({ pointer, message }) => {
    const [, field] = pointer.split("/");
    return { pointer: field === undefined ? "" : `--${field}`, message };
  });
  return new CicadaError(error.code, error.detail, problems);
}
