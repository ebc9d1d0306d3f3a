/**
 * `cicada schedule explain`: when would this schedule run? It uses the same code as the peers, and needs no peer.
 */
import type { Command } from "commander";
import { instantHint, parseInstant } from "../core/time/calendar.ts";
import { previewSchedule } from "../core/time/preview.ts";
import type { PreviewTick } from "../core/time/preview.ts";
import { CicadaError } from "../errors.ts";
import { tickAt } from "../schema/ids.ts";
import { warnOfUtc } from "./terminal/job-words.ts";
import { show, withOutput, type Output } from "./terminal/output.ts";
import { table } from "./terminal/table.ts";
import { repeatable } from "./program.ts";
import { plain, type Terminal } from "./terminal/terminal.ts";
import { relative } from "./terminal/times.ts";

interface ExplainOptions {
  timezone?: string;
  except?: string[];
  from?: string;
  count: string;
  id: string;
  output: Output;
}

/**
 * The most ticks at once. More would only fill the screen (1,000,000 take a second); a script can continue with --from.
 */
const ticksMax = 100_000;

export function scheduleCommands(program: Command, terminal: Terminal): void {
  const schedule = program.command("schedule");
  withOutput(schedule.command("explain"))
    .description("show the next ticks of a schedule; needs no peer")
    .argument("<expression...>", "one or several schedules, each in quotes")
    .option("--tz, --timezone <zone>", "IANA name of the time zone (default: UTC, as for jobs)")
    .addOption(
      repeatable("--except <ticks>", "leave out a date, a range of dates or a cron expression; repeatable"),
    )
    .option("--from <instant>", "show ticks after this instant (default: now), such as 2026-03-29T00:00:00Z")
    .option("-n, --count <n>", "how many ticks", "10")
    .option("--id <job>", "the job's id, from which H is computed", "job")
    .action((expressions: string[], options: ExplainOptions) =>
      explainSchedule(expressions, options, terminal),
    );
}

function explainSchedule(expressions: string[], options: ExplainOptions, terminal: Terminal): void {
  const { timezone = "UTC", output, except = [] } = options;
  const schedule = expressions.length === 1 ? (expressions[0] ?? "") : expressions;
  const from = readInstant(options.from, terminal);
  const count = readCount(options.count);
  const found = previewSchedule({ schedule, timezone, except, id: options.id, from, count });
  if (!found.ok) throw new CicadaError("INVALID_SCHEDULE", "it leaves no ticks", found.problems);
  const answer = {
    schedule,
    timezone,
    ticks: found.ticks.map(({ tick }) => tickAt(tick)),
    ...(except.length === 0 ? {} : { except, skipped: found.skipped.map(({ tick }) => tickAt(tick)) }),
  };
  show(terminal, output, answer, () => {
    terminal.print(`${found.words} (${plain(timezone)})`);
    tickTable(found, timezone, terminal);
    if (options.timezone === undefined) warnOfUtc(terminal, schedule);
  });
}

interface Found {
  ticks: readonly PreviewTick[];
  skipped: readonly PreviewTick[];
}

function tickTable({ ticks, skipped }: Found, timezone: string, terminal: Terminal): void {
  if (ticks.length + skipped.length === 0) return terminal.print("It has no further tick.");
  const leftOut = new Set(skipped);
  const now = terminal.now();
  const isUtc = timezone === "UTC";
  const rows = [...ticks, ...skipped]
    .toSorted((a, b) => a.tick - b.tick)
    .map((one) => [
      tickAt(one.tick),
      ...(isUtc ? [] : [`${one.local} ${one.offset}`]),
      leftOut.has(one) ? "left out" : relative(one.tick, now),
      plain(one.dst?.note ?? ""),
    ]);
  table(terminal, ["TICK (UTC)", ...(isUtc ? [] : [plain(timezone)]), "WHEN", { title: "", min: 12 }], rows);
}

function readInstant(text: string | undefined, terminal: Terminal): number {
  if (text === undefined) return terminal.now();
  const instant = parseInstant(text);
  if (instant !== undefined) return instant;
  throw new CicadaError("USAGE", `--from ${text}: ${instantHint}`);
}

function readCount(text: string): number {
  const count = /^\d{1,7}$/.test(text) ? Number(text) : 0;
  if (count >= 1 && count <= ticksMax) return count;
  throw new CicadaError("USAGE", `--count ${text}: give a whole number from 1 to ${ticksMax}`);
}
