/** Cicada in `bench:beside`: a mesh of peers with their defaults. */
import { Cluster, until } from "../../test/kit/cluster.ts";
import { sixFields, type Rival } from "./rival.ts";

const jobsAtOnce = 500;

export async function startCicada(agents: number): Promise<Rival> {
  const cluster = new Cluster();
  const names = Array.from({ length: agents }, (_, index) => `peer-${index + 1}`);
  const peers = await cluster.mesh(names, ["--log-level=warn"]);
  const living = () => peers.filter((peer) => !peer.started.hasEnded);
  return {
    name: `cicada, ${agents} peers`,
    async makeJobs(jobs) {
      const [first] = peers;
      for (let from = 0; from < jobs.length; from += jobsAtOnce) {
        const objects = jobs.slice(from, from + jobsAtOnce).map((job) => {
          const { id, command } = job;
          return { kind: "job", id, schedule: sixFields(job), command, overlap: "allow" };
        });
        await first?.ask("POST", "/v1/apply", { objects });
      }
      for (const peer of peers) {
        await until(`${peer.name} knows all jobs`, 60_000, async () => {
          const { headers } = await peer.call("GET", "/v1/jobs?limit=1");
          return Number(headers["x-total-count"]) === jobs.length;
        });
      }
    },
    pids: () => living().map((peer) => peer.started.pid),
    async kill() {
      await living()[0]?.crash();
    },
    [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose](),
  };
}
