/** Turns what people write for a run, a tick, a peer or a group on the command line into what the API takes. */
import { parseDuration } from "../../core/time/units.ts";
import { CicadaError } from "../../errors.ts";
import { describeAmbiguous, describeMissing, findPeer, type NamedPeer } from "../../schema/find-peer.ts";
import { didYouMean } from "../../schema/nearest.ts";
import { defaultGroup } from "../../schema/job-vocabulary.ts";
import type { JobAnswer } from "./answers.ts";
import type { Client } from "./client.ts";
import { zoneOf } from "./job-words.ts";
import type { Terminal } from "./terminal.ts";
import { instantExample, isTickId, latestTick, readInstant, readTick } from "./ticks.ts";

/** The job's zone. A deleted job has none any more, but its ticks can still be asked about: in UTC. */
export async function zoneOfJob(client: Client, id: string): Promise<string> {
  return zoneOf((await jobOrNone(client, id)) ?? {});
}

/** Undefined if there is no such job (any more). */
async function jobOrNone(client: Client, id: string): Promise<JobAnswer | undefined> {
  const reply = await client.send(`/v1/jobs/${encodeURIComponent(id)}`, { allow: [404] });
  if (reply.status === 404) return undefined;
  // The peer answers with the job as it is (openapi.json).
  return JSON.parse(new TextDecoder().decode(reply.bytes)) as JobAnswer;
}

/** `latest` is the job's last tick that is over. Throws USAGE for a text that is no tick. */
export async function readTickOf(
  client: Client,
  id: string,
  text: string,
  terminal: Terminal,
): Promise<string> {
  const job = await jobOrNone(client, id);
  if (text.toLowerCase() !== latestTick) {
    return readTick(text, zoneOf(job ?? {}), terminal.now());
  }
  const tick = job?.lastTick?.tick;
  if (tick !== undefined) return tick;
  throw new CicadaError(
    job === undefined ? "JOB_NOT_FOUND" : "TICK_NOT_FOUND",
    job === undefined ? `there is no job "${id}"` : `no tick of ${id} is over yet`,
  );
}

const runWithTick = /^([^@~#]+)@([^@~#]+)(~[^~]*)?$/;

/** A run as the API takes it: `backup@03:00` becomes `backup@2026-11-28T02:00:00Z`, `backup@latest` the job's last run. */
export async function readRun(client: Client, text: string, terminal: Terminal): Promise<string> {
  const [, job, tick, attempt = ""] = runWithTick.exec(text) ?? [];
  if (job === undefined || tick === undefined) return text;
  if (tick.toLowerCase() === latestTick) return `${job}${attempt}`;
  if (isTickId(tick)) return text;
  return `${job}@${readTick(tick, await zoneOfJob(client, job), terminal.now())}${attempt}`;
}

/** `2h` = two hours ago, `now`; otherwise as ticks are written, in the job's zone or this machine's. */
export async function readTime(
  flag: string,
  text: string | undefined,
  job: string | undefined,
  client: Client,
  terminal: Terminal,
): Promise<string | undefined> {
  if (text === undefined) return undefined;
  const length = text === "now" ? 0 : parseDuration(text);
  if (length !== undefined) return new Date(terminal.now() - length).toISOString();
  const zone = job === undefined ? terminal.timezone : await zoneOfJob(client, job);
  const instant = readInstant(text, zone, terminal.now());
  if (instant !== undefined) return new Date(instant).toISOString();
  throw new CicadaError(
    "USAGE",
    `${flag} ${text}: write 2h (ago), 03:00, "yesterday 03:00" or ${instantExample}`,
  );
}

/** The job's revision, to see later whether it was changed; undefined if there is no such job. */
export async function revisionOf(client: Client, id: string): Promise<string | null | undefined> {
  return (await jobOrNone(client, id))?.revision;
}

/** Throws for a group that no job is in and that has no defaults, with the nearest one that there is. */
export async function checkGroup(client: Client, group: string): Promise<void> {
  const [{ items: jobs }, { items: settings }] = await Promise.all([
    client.list<JobAnswer>("/v1/jobs"),
    client.list<{ name: string }>("/v1/groups"),
  ]);
  const known = new Set([
    ...jobs.map((job) => job.group ?? defaultGroup),
    ...settings.map(({ name }) => name),
  ]);
  if (known.has(group)) return;
  throw new CicadaError("SETTING_NOT_FOUND", `there is no group "${group}"${didYouMean(group, known)}`);
}

/** The id of the peer that a person names. Throws PEER_NOT_FOUND if none of these peers fits, and UNPROCESSABLE if several do. */
export function idOfPeer(known: readonly NamedPeer[], named: string): string {
  const found = findPeer(known, named);
  switch (found.kind) {
    case "one":
      return found.peer.id;
    case "none":
      throw new CicadaError("PEER_NOT_FOUND", describeMissing(named, known));
    case "ambiguous":
      throw new CicadaError("UNPROCESSABLE", describeAmbiguous(named, found.candidates));
  }
}
