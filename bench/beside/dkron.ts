/**
 * Dkron 4 in `bench:beside`: servers that elect a leader, with the setting that dkron's documentation advises for production
 * (`--raft-multiplier 1`). Each job has a tag that sends a run to one server; without a tag, every server would run it.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as passes } from "node:timers/promises";
import { freePort, plainEnv, Started, until } from "../../test/kit/cluster.ts";
import { sixFields, type BenchJob, type Rival } from "./rival.ts";

/** How long the servers may take to elect a leader, ms. */
const electionLimitMs = 30_000;
const betweenStartsMs = 2_000;

interface Agent {
  name: string;
  http: string;
  started: Started;
}

export async function startDkron(binary: string, agents: number): Promise<Rival> {
  const folder = mkdtempSync(path.join(tmpdir(), "beside-dkron-"));
  const ports = await Promise.all(
    Array.from({ length: agents }, async () => [await freePort(), await freePort(), await freePort()]),
  );
  const [firstPorts] = ports;
  const started: Agent[] = [];
  const living = () => started.filter((agent) => !agent.started.hasEnded);
  /** The plugins of killed agents. They live on. */
  const orphans: number[] = [];
  const end = async (agent: Agent): Promise<void> => {
    orphans.push(...childrenOf(agent.started.pid));
    agent.started.kill("SIGKILL");
    await agent.started.ended;
  };
  const rival: Rival = {
    name: `dkron, ${agents} servers`,
    async makeJobs(jobs) {
      const [first, ...others] = jobs;
      if (first === undefined) return;
      // For a moment, the servers don't find the leader that they have just elected.
      await until("dkron takes a job", electionLimitMs, () =>
        putJob(started, first).then(
          () => true,
          () => false,
        ),
      );
      for (const job of others) await putJob(started, job);
    },
    pids: () => living().map((agent) => agent.started.pid),
    async kill() {
      const leader = await leaderOf(living());
      if (leader === undefined) throw new Error("dkron has no leader to kill");
      await end(leader);
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(living().map(end));
      for (const pid of orphans) {
        // Another process may have got the id since, so the bench kills only what is still a plugin of this binary.
        if (isPlugin(pid, binary)) process.kill(pid, "SIGKILL");
      }
      rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
    },
  };
  try {
    for (const [index, [serf, http, rpc]] of ports.entries()) {
      const name = `agent-${index + 1}`;
      const args = [
        "agent",
        "--server",
        `--bootstrap-expect=${agents}`,
        `--node-name=${name}`,
        `--bind-addr=127.0.0.1:${serf}`,
        `--advertise-addr=127.0.0.1:${serf}`,
        `--http-addr=127.0.0.1:${http}`,
        `--rpc-port=${rpc}`,
        `--data-dir=${path.join(folder, name)}`,
        "--raft-multiplier=1",
        "--tag=bench=yes",
        "--log-level=error",
        "--ui=false",
        "--disable-usage-stats",
        ...(index === 0 ? [] : [`--retry-join=127.0.0.1:${firstPorts?.[0]}`, "--retry-interval=1s"]),
      ];
      const agent = {
        name,
        http: `http://127.0.0.1:${http}`,
        started: new Started(binary, args, plainEnv()),
      };
      started.push(agent);
      // If a server hears of the next one before it listens to such news, it never elects a leader.
      await until(`${name} of dkron answers`, electionLimitMs, () => isUp(agent));
      await passes(betweenStartsMs);
    }
    await until("dkron has a leader", electionLimitMs, async () => (await leaderOf(started)) !== undefined);
    return rival;
  } catch (error) {
    await rival[Symbol.asyncDispose]();
    throw error;
  }
}

async function isUp(agent: Agent): Promise<boolean> {
  if (agent.started.hasEnded) throw new Error(`${agent.name} of dkron has ended:\n${agent.started.said}`);
  return ask(agent, "GET", "/v1/members").then(
    () => true,
    () => false,
  );
}

async function putJob(agents: readonly Agent[], job: BenchJob): Promise<void> {
  await ask(await leaderOf(agents), "POST", "/v1/jobs", {
    name: job.id,
    schedule: sixFields(job),
    timezone: "UTC",
    executor: "shell",
    executor_config: { shell: "true", command: job.command },
    tags: { bench: "yes:1" },
    concurrency: "allow",
  });
}

async function leaderOf(agents: readonly Agent[]): Promise<Agent | undefined> {
  for (const agent of agents) {
    const leader = await ask(agent, "GET", "/v1/leader").catch(() => undefined);
    if (typeof leader !== "object" || leader === null || !("Name" in leader)) continue;
    const found = agents.find(({ name }) => name === leader.Name);
    if (found !== undefined) return found;
  }
  return undefined;
}

async function ask(
  agent: Agent | undefined,
  method: string,
  target: string,
  body?: unknown,
): Promise<unknown> {
  if (agent === undefined) throw new Error("dkron has no leader");
  const answer = await fetch(`${agent.http}${target}`, {
    method,
    ...(body === undefined
      ? {}
      : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`dkron: ${method} ${target}: ${answer.status} ${text}`);
  return JSON.parse(text);
}

function childrenOf(pid: number): number[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, "utf8").split(" ").filter(Boolean).map(Number),
  );
}

function isPlugin(pid: number, binary: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").startsWith(binary);
  } catch {
    return false;
  }
}
