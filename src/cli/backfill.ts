/** `cicada jobs backfill`: run past ticks of a job. It shows which ticks these are, and runs them with `--yes`. */
import type { Command } from "commander";
import type { BackfillAnswer } from "./terminal/answers.ts";
import { openClient, withPeer, type PeerOptions } from "./terminal/client.ts";
import { show, withOutput, type Output } from "./terminal/output.ts";
import { readTime } from "./terminal/references.ts";
import { plain, type Terminal } from "./terminal/terminal.ts";

interface BackfillOptions extends PeerOptions {
  output: Output;
  from: string;
  to: string;
  force?: true;
  yes?: true;
}

const reasons: Readonly<Record<string, string>> = {
  "has-run": "has run",
  pending: "its schedule runs it, or is about to",
  "asked-before": "an earlier backfill has it",
};

export function backfillCommand(jobs: Command, terminal: Terminal): void {
  withOutput(withPeer(jobs.command("backfill")))
    .description("run past ticks of a job, each once; shows which, and runs them with --yes")
    .argument("<id>")
    .requiredOption(
      "--from <instant>",
      'the first one: 2026-11-20T00:00:00Z, or on the job\'s clock "yesterday 03:00", or 2h (ago)',
    )
    .requiredOption("--to <instant>", "ticks before this instant, written in the same way, or now")
    .option("--force", "also ticks that have run, and even if the job is paused or disabled")
    .option("-y, --yes", "run them; without it they are only shown")
    .action(async (id: string, options: BackfillOptions) => {
      const { force, yes } = options;
      const client = openClient(options, terminal);
      const from = await readTime("--from", options.from, id, client, terminal);
      const to = await readTime("--to", options.to, id, client, terminal);
      const answer = await client.ask<BackfillAnswer>(`/v1/jobs/${encodeURIComponent(id)}/backfill`, {
        method: "POST",
        headers: { "idempotency-key": crypto.randomUUID() },
        body: {
          from,
          to,
          dryRun: yes !== true,
          ...(force === true ? { force } : {}),
        },
      });
      show(terminal, options.output, answer, () => printBackfill(answer, terminal));
    });
}

function printBackfill({ ticks, leftOut, dryRun }: BackfillAnswer, terminal: Terminal): void {
  const all = [
    ...ticks.map((tick) => ({ tick, what: dryRun ? "would run" : "runs" })),
    ...leftOut.map(({ tick, why, run }) => ({
      tick,
      what: `left out: ${reasons[why] ?? why}${run === null ? "" : ` (${run})`}`,
    })),
  ];
  for (const { tick, what } of all.toSorted((a, b) => (a.tick < b.tick ? -1 : 1)))
    terminal.print(`${plain(tick)}  ${plain(what)}`);
  const count = ticks.length === 1 ? "1 tick" : `${ticks.length} ticks`;
  if (all.length === 0) terminal.print("The job has no tick in that time.");
  else if (!dryRun) terminal.print(`${count} will run, one after the other.`);
  else if (ticks.length > 0) terminal.print(`${count} would run. Add --yes to run them.`);
  else terminal.print("Nothing would run.");
}
