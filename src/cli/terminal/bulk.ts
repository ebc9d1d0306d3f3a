/** One command of `cicada jobs` for all jobs that are selected, instead of for those that are named. */
import type { Command } from "commander";
import { CicadaError } from "../../errors.ts";
import type { BulkAnswer, JobAnswer } from "./answers.ts";
import type { Client } from "./client.ts";
import { repeatable } from "../program.ts";
import { warn } from "./job-words.ts";
import { isForPeople, show, type Output } from "./output.ts";
import { checkGroup } from "./references.ts";
import { confirm, paint, plain, type Terminal } from "./terminal.ts";

export interface Selection {
  group?: string;
  label?: readonly string[];
  query?: string;
}

export function withSelection(command: Command): Command {
  return command
    .option("--group <group>", "all jobs of this group, instead of named ones")
    .addOption(repeatable("--label <K=V>", "all jobs with this label; repeatable"))
    .option("-q, --query <text>", "all jobs with this text in id, description, owner, command or address");
}

/** As the API takes it, in a body and as parameters. */
type Select = Readonly<Record<string, string | readonly string[]>>;

/** Undefined if jobs are named; refused if there are both, or neither. */
export function selectionOf(
  { group, label, query }: Selection,
  names: readonly string[],
): Select | undefined {
  const select = {
    ...(group === undefined ? {} : { group }),
    ...(label === undefined ? {} : { label }),
    ...(query === undefined ? {} : { q: query }),
  };
  const isSelected = Object.keys(select).length > 0;
  if (isSelected && names.length > 0)
    throw new CicadaError("USAGE", "name jobs, or select them by flags, not both");
  if (!isSelected && names.length === 0) {
    throw new CicadaError("USAGE", "name a job, or select some with --group, --label or --query");
  }
  return isSelected ? select : undefined;
}

/** Deletes what was shown, and no job that came in since. */
export async function deleteSelected(
  client: Client,
  select: Select,
  yes: boolean,
  terminal: Terminal,
): Promise<void> {
  const { items } = await client.list<JobAnswer>("/v1/jobs", select);
  const ids = items.map(({ id }) => id);
  if (ids.length === 0) return refuseNone(client, select);
  if (!yes) {
    for (const id of ids) terminal.notify(plain(id));
    if (terminal.ask === undefined) {
      throw new CicadaError("USAGE", `these ${ids.length} jobs would be deleted: repeat it with --yes`);
    }
    await confirm(terminal.ask, `Delete ${ids.length === 1 ? "this job" : `these ${ids.length} jobs`}?`);
  }
  await bulk(client, { ids }, { action: "delete" }, terminal);
}

/** Refuses a selection that no job fits, because it is probably mistyped. */
async function refuseNone(client: Client, select: Select): Promise<never> {
  if (typeof select["group"] === "string") await checkGroup(client, select["group"]);
  const flags = Object.entries(select).flatMap(([name, value]) =>
    [value].flat().map((text) => `--${name === "q" ? "query" : name} ${text}`),
  );
  throw new CicadaError("JOB_NOT_FOUND", `no job fits ${flags.join(" ")}`);
}

/** Prints a line for each job. If some were refused, the exit code is 1. */
export async function bulk(
  client: Client,
  select: Select,
  what: { readonly action: "pause" | "resume" | "run" | "delete" } & Readonly<Record<string, unknown>>,
  terminal: Terminal,
  output: Output = "table",
): Promise<void> {
  const answer = await client.ask<BulkAnswer>("/v1/jobs:bulk", {
    method: "POST",
    headers: { "idempotency-key": crypto.randomUUID() },
    body: { select, ...what },
  });
  const { items } = answer;
  if (items.length === 0) return refuseNone(client, select);
  if (!isForPeople(output)) {
    show(terminal, output, answer, () => {});
    if (items.some(({ ok }) => !ok)) terminal.exitCode = 1;
    return;
  }
  const done = { pause: "paused", resume: "resumed", run: "ordered", delete: "deleted" }[what.action];
  for (const { job, ok, code, detail, tick, warnings } of items) {
    if (ok) {
      terminal.print(`${plain(tick === null ? job : `${job}@${tick}`)} ${done}`);
      warn(terminal, { warnings: warnings?.map((warning) => `${job}: ${warning}`) ?? [] });
    } else
      terminal.notify(`${paint(terminal, "red", "refused:")} ${plain(job)}: ${plain(detail ?? code ?? "")}`);
  }
  const refused = items.filter(({ ok }) => !ok).length;
  if (refused === 0) return;
  terminal.notify(`${items.length - refused} ${done}, ${refused} refused`);
  terminal.exitCode = 1;
}
