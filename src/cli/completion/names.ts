/** The names that a peer knows, for completion: quickly, or none at all. */
import { defaultGroup } from "../../schema/job-vocabulary.ts";
import type { JobAnswer, RunAnswer } from "../terminal/answers.ts";
import { openClient, type Client, type PeerOptions } from "../terminal/client.ts";
import { latestTick } from "../terminal/ticks.ts";
import type { Terminal } from "../terminal/terminal.ts";
import type { Named } from "./candidates.ts";

/** A person waits with the finger on the key. Unit: ms. */
const answerWithinMs = 1_000;
const namesMax = 500;
const runsMax = 50;

/** `options`: the peer that the line names. An error gives no names, because a person can't be told of it here. */
export async function namesFrom(
  of: Named,
  current: string,
  options: PeerOptions,
  terminal: Terminal,
): Promise<[word: string, about: string][]> {
  try {
    const client = openClient(options, terminal, answerWithinMs);
    return await listed(client, of, current);
  } catch {
    return [];
  }
}

async function listed(client: Client, of: Named, current: string): Promise<[string, string][]> {
  switch (of) {
    case "jobs":
      return jobsOf(client);
    case "runs":
      return runsOf(client, current);
    case "peers": {
      const { items } = await client.ask<{ items: { name: string; state: string }[] }>("/v1/peers");
      return items.map(({ name, state }) => [name, state]);
    }
    case "groups": {
      const [set, jobs] = await Promise.all([named(client, "/v1/groups"), jobsIn(client)]);
      const used = jobs.map((job): [string, string] => [job.group ?? defaultGroup, "group"]);
      return [...new Map([...used, ...set])];
    }
    case "pools":
    case "calendars":
    case "channels":
    case "maintenance":
    case "secrets":
    case "tokens":
      return named(client, `/v1/${of}`);
  }
}

async function named(client: Client, path: string): Promise<[string, string][]> {
  const { items } = await client.list<{ name: string }>(path, {}, namesMax);
  return items.map(({ name }) => [name, ""]);
}

async function jobsIn(client: Client): Promise<JobAnswer[]> {
  return (await client.list<JobAnswer>("/v1/jobs", {}, namesMax)).items;
}

async function jobsOf(client: Client): Promise<[string, string][]> {
  return (await jobsIn(client)).map(({ id, state }) => [id, state]);
}

/** Jobs, for their last run; behind a job's `@`, its runs. */
async function runsOf(client: Client, current: string): Promise<[string, string][]> {
  const at = current.indexOf("@");
  if (at === -1) return jobsOf(client);
  const job = current.slice(0, at);
  const { items } = await client.list<RunAnswer>("/v1/runs", { job }, runsMax);
  return [[`${job}@${latestTick}`, ""], ...items.map(({ id, state }): [string, string] => [id, state])];
}
