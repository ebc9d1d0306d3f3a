/** What an import prints: before anything is made, which entries become no job and what is not carried over; then the jobs. */
import type { JobAnswer } from "../terminal/answers.ts";
import { warnOfEach } from "../terminal/job-words.ts";
import { table } from "../terminal/table.ts";
import { paint, plain, type Colour, type Terminal } from "../terminal/terminal.ts";
import type { Outcome, Result } from "./carry-out.ts";
import type { Reading } from "./reading.ts";

/** How many characters are shown of what is not imported. Its place says where the rest is. */
const textMax = 200;

export function reportBefore({ refused, notes, doubts }: Reading, terminal: Terminal): void {
  if (refused.length > 0) {
    terminal.print(paint(terminal, "red", `Not imported (${refused.length}):`));
    for (const { at, text, reasons } of refused) {
      const shown = text.length > textMax ? `${text.slice(0, textMax - 1)}…` : text;
      terminal.print(`  ${plain(at)}: ${plain(shown)}`);
      for (const reason of reasons) terminal.print(`    ${plain(reason)}`);
    }
    terminal.print("");
  }
  for (const [title, lines] of [
    ["Not carried over:", notes],
    ["Please check:", doubts],
  ] as const) {
    if (lines.length === 0) continue;
    terminal.print(paint(terminal, "yellow", title));
    for (const line of lines) terminal.print(`  ${plain(line)}`);
    terminal.print("");
  }
}

export function reportGone(gone: readonly JobAnswer[], what: string, terminal: Terminal): void {
  if (gone.length === 0) return;
  terminal.print(paint(terminal, "yellow", what));
  for (const { id, schedule, command, argv } of gone) {
    const times = [schedule ?? ""].flat().join("; ");
    terminal.print(`  ${plain(id)}: ${plain(times)} ${plain(command ?? (argv ?? []).join(" "))}`);
  }
  terminal.print("");
}

const colours: Readonly<Partial<Record<Result, Colour>>> = {
  create: "green",
  created: "green",
  update: "yellow",
  updated: "yellow",
  differs: "yellow",
  refused: "red",
};

/** Every line of a crontab goes to the same shell, so only what it is given tells the lines apart. */
function commandOf(argv: readonly string[]): string {
  const [, flag, text] = argv;
  return argv.length === 3 && flag === "-c" && text !== undefined ? text : argv.join(" ");
}

/** `place` is the heading of the column that says where each job stands in the file. */
export function reportJobs(
  outcomes: readonly Outcome[],
  { place, users }: { place: string; users: boolean },
  terminal: Terminal,
): void {
  const rows = outcomes.map(({ at, spec, result, why }) => {
    const colour = colours[result];
    return [
      plain(at),
      plain(spec.id),
      (colour === undefined ? result : paint(terminal, colour, result)) +
        (why === undefined ? "" : `: ${plain(why)}`),
      plain([spec.schedule ?? ""].flat().join("; ")) + (spec.enabled === false ? " (disabled)" : ""),
      plain(spec.timezone ?? "UTC"),
      ...(users ? [plain(spec.user ?? "")] : []),
      plain(spec.command ?? spec.http?.url ?? commandOf(spec.argv ?? [])),
    ];
  });
  const heading = [
    place,
    { title: "JOB", cut: "front", min: 16, isName: true },
    "",
    { title: "SCHEDULE", min: 12 },
    { title: "ZONE", cut: "front", min: 8 },
    ...(users ? ["USER"] : []),
    { title: "COMMAND", min: 12 },
  ] as const;
  warnOfEach(
    terminal,
    outcomes.flatMap(({ spec, warnings = [] }) => warnings.map((message) => ({ of: spec.id, message }))),
  );
  if (rows.length === 0) return;
  table(terminal, heading, rows);
  terminal.print("");
}

export function reportCounts(
  { refused }: Reading,
  outcomes: readonly Outcome[],
  removed: { count: number; dryRun: boolean },
  terminal: Terminal,
): void {
  const count = (...results: readonly Result[]) =>
    outcomes.filter(({ result }) => results.includes(result)).length;
  const counts = [
    ["to create", count("create")],
    ["created", count("created")],
    ["to update", count("update")],
    ["updated", count("updated")],
    ["unchanged", count("unchanged")],
    ["different", count("differs")],
    [removed.dryRun ? "to remove" : "removed", removed.count],
    ["not imported", refused.length + count("refused")],
  ] as const;
  const parts = counts.filter(([, number]) => number > 0).map(([what, number]) => `${number} ${what}`);
  terminal.print(parts.length === 0 ? "It contains no jobs." : `${parts.join(", ")}.`);
}
