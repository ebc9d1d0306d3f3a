/**
 * `cicada jobs skip` and `cicada jobs unskip`: leave out single ticks of a job, or let them run after all.
 */
import type { Command } from "commander";
import { CicadaError } from "../errors.ts";
import { openClient, withPeer, type PeerOptions } from "./terminal/client.ts";
import { show, withOutput, type Output } from "./terminal/output.ts";
import { zoneOfJob } from "./terminal/references.ts";
import { plain, type Terminal } from "./terminal/terminal.ts";
import { readTick } from "./terminal/ticks.ts";

interface SkipOptions extends PeerOptions {
  output: Output;
  next?: string;
  note?: string;
}

const named =
  '03:00 (the next one), "tomorrow 03:00" or 2026-11-28T03:00 in the job\'s zone, or as `jobs next` shows it';

export function skipCommands(jobs: Command, terminal: Terminal): void {
  withOutput(withPeer(jobs.command("skip")))
    .description("skip a tick of a job, or the next ones")
    .argument("<id>")
    .argument("[tick]", named)
    .option("--next <n>", "the next n ticks")
    .option("--note <text>", "the reason; shown with the ticks")
    .action(async (id: string, tick: string | undefined, options: SkipOptions) => {
      const { note } = options;
      await send("skip", id, tick, note === undefined ? {} : { note }, options, terminal);
    });

  withOutput(withPeer(jobs.command("unskip")))
    .description("let a tick that was to be skipped run after all, or the next such ticks")
    .argument("<id>")
    .argument("[tick]", named)
    .option("--next <n>", "the next n ticks that are to be skipped")
    .action(async (id: string, tick: string | undefined, options: SkipOptions) => {
      await send("unskip", id, tick, {}, options, terminal);
    });
}

async function send(
  verb: "skip" | "unskip",
  id: string,
  tick: string | undefined,
  body: object,
  options: SkipOptions,
  terminal: Terminal,
): Promise<void> {
  if ((tick === undefined) === (options.next === undefined)) {
    throw new CicadaError("USAGE", "name a tick, or give --next N");
  }
  const client = openClient(options, terminal);
  const path = `/v1/jobs/${encodeURIComponent(id)}`;
  const which =
    tick === undefined
      ? { next: readCount(options.next) }
      : { tick: readTick(tick, await zoneOfJob(client, id), terminal.now(), "next") };
  const answer = await client.ask<{ job: string; ticks: string[] }>(`${path}/${verb}`, {
    method: "POST",
    headers: { "idempotency-key": crypto.randomUUID() },
    body: { ...which, ...body },
  });
  const how = verb === "skip" ? "is skipped" : "runs";
  show(terminal, options.output, answer, () => {
    for (const one of answer.ticks) terminal.print(`${plain(id)}: ${plain(one)} ${how}`);
  });
}

function readCount(text = ""): number {
  if (/^[1-9]\d{0,3}$/.test(text)) return Number(text);
  throw new CicadaError("USAGE", `--next ${text}: give a number of ticks from 1 to 1000`);
}
