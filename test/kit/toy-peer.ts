/**
 * A toy cron for the simulator's own tests: it gossips its jobs, and whoever has the lowest name among the peers that
 * it has a link to starts each tick. It knows no claims, no catch-up and no durability, so that faults make it break
 * rules that the checkers must notice; in a calm world it keeps all of those that its tests ask for.
 */
import type { Answer, Command, Doors } from "../../src/ports.ts";
import { runId, tickAt, type JobId, type PeerId } from "../../src/schema/ids.ts";
import type { SimulatedPeer } from "../../src/sim/world/settings.ts";

const text = new TextEncoder();

/** How often it looks at its jobs, ms. */
const lookMs = 100;

export class ToyPeer implements SimulatedPeer {
  private readonly doors: Doors;
  private readonly links = new Set<PeerId>();
  private readonly periods = new Map<JobId, number>();
  private lookedAt = 0;

  constructor(doors: Doors) {
    this.doors = doors;
  }

  start(ready: () => void): void {
    const { mesh, executor, clock } = this.doors;
    executor.start({
      childStarted: () => undefined,
      childStuck: () => undefined,
      childEnded: () => undefined,
    });
    mesh.start({
      linkUp: (peer) => {
        this.links.add(peer);
        for (const [id, periodMs] of this.periods) mesh.send(peer, "sync", text.encode(`${id} ${periodMs}`));
      },
      linkDown: (peer) => this.links.delete(peer),
      redialRefused: () => undefined,
      turnedAway: () => undefined,
      received: (_from, _channel, bytes) => {
        const [id, periodMs] = new TextDecoder().decode(bytes).split(" ");
        this.periods.set(id as JobId, Number(periodMs));
      },
    });
    this.lookedAt = clock.now().wall;
    this.look();
    ready();
  }

  stop(done: () => void): void {
    this.doors.mesh.stop(done);
  }

  command(command: Command, answer: (answer: Answer) => void): void {
    if (command.kind !== "put-job") return;
    const every = /^@every (\d+)s$/.exec(String(command.spec.schedule))?.[1];
    const periodMs = every === undefined ? 60_000 : Number(every) * 1_000;
    this.periods.set(command.spec.id, periodMs);
    this.doors.mesh.publish("jobs", text.encode(`${command.spec.id} ${periodMs}`));
    answer({ kind: "done" });
  }

  revisions(): ReadonlyMap<JobId, string> {
    return new Map([...this.periods].map(([id, periodMs]) => [id, String(periodMs)]));
  }

  complaint(): undefined {
    return undefined;
  }

  private look(): void {
    const { clock, keys, executor } = this.doors;
    const { wall, mono } = clock.now();
    const first = [...this.links, keys.self].toSorted()[0];
    for (const [job, periodMs] of first === keys.self ? this.periods : []) {
      for (let tick = Math.ceil((this.lookedAt + 1) / periodMs) * periodMs; tick <= wall; tick += periodMs) {
        executor.launch(specOf(job, tick, keys.self));
      }
    }
    this.lookedAt = wall;
    clock.alarm(mono + lookMs, () => this.look());
  }
}

function specOf(job: JobId, instant: number, peer: PeerId): Parameters<Doors["executor"]["launch"]>[0] {
  const tick = tickAt(instant);
  return {
    run: runId({ job, tick, attempt: 1, slot: "0", peer }),
    job,
    tick,
    action: {
      kind: "process",
      argv: ["true"],
      stdin: "",
      cwd: "",
      user: "",
      umask: 0o77,
      killGraceMs: 0,
    },
    hostEnv: {},
    env: {},
    timeoutMs: 0,
    logCapBytes: 1_024,
    notAfter: Infinity,
  };
}
