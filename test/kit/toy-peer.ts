/**
 * A toy cron for the simulator's own tests: it gossips its jobs, and among linked peers the one with the lowest name
 * starts each tick. It has no claims, no catch-up and no durability, so that faults make it break rules, which the
 * checkers must notice. Without faults it keeps all rules that its tests check.
 */
import type { Doors } from "../../src/ports.ts";
import type { Answer, Command } from "../../src/ports/command.ts";
import type { JobId, PeerId } from "../../src/schema/ids.ts";
import type { SimulatedPeer } from "../../src/sim/world/settings.ts";
import { runSpecOf } from "./run-spec.ts";

const text = new TextEncoder();

/** How often it checks its jobs, ms. */
const checkMs = 100;

export class ToyPeer implements SimulatedPeer {
  private readonly doors: Doors;
  private readonly links = new Set<PeerId>();
  private readonly periods = new Map<JobId, number>();
  private checkedAt = 0;

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
      keySuperseded: () => undefined,
      received: (_from, _channel, bytes) => {
        const [id, periodMs] = new TextDecoder().decode(bytes).split(" ");
        this.periods.set(id as JobId, Number(periodMs));
      },
    });
    this.checkedAt = clock.now().wall;
    this.check();
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

  private check(): void {
    const { clock, keys, executor } = this.doors;
    const { wall, mono } = clock.now();
    const first = [...this.links, keys.self].toSorted()[0];
    for (const [job, periodMs] of first === keys.self ? this.periods : []) {
      for (let tick = Math.ceil((this.checkedAt + 1) / periodMs) * periodMs; tick <= wall; tick += periodMs) {
        executor.launch(runSpecOf(job, tick, keys.self));
      }
    }
    this.checkedAt = wall;
    clock.alarm(mono + checkMs, () => this.check());
  }
}
