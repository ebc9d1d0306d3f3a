/** What a peer reports of changed jobs and settings, as /v1/events shows it: whichever peer was asked for the change. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { checkedJob } from "../src/core/checks/job.ts";
import { Peer } from "../src/peer/peer.ts";
import type { Inside } from "../src/peer/settings.ts";
import type { Command } from "../src/ports/command.ts";
import type { JobId, PeerId } from "../src/schema/ids.ts";
import { ownCapabilities } from "../src/schema/protocol.ts";
import { World } from "../src/sim/world/world.ts";
import { calmWorld, epoch } from "./kit/calm-world.ts";
import { edit, exchange, makeTable, specOf } from "./kit/tables.ts";

const id = "backup" as JobId;
const by = "ann@peer-1";
const second = 1_000;

/** Two peers of a mesh, and what each has reported of jobs and settings. */
class Stage {
  readonly heard = new Map<PeerId, string[]>();
  readonly insides = new Map<PeerId, Inside>();
  readonly #peers = new Map<PeerId, Peer>();
  readonly #world: World;

  constructor() {
    this.#world = new World({
      ...calmWorld,
      seed: "job events",
      peers: 2,
      skewMs: 0,
      driftPpm: 0,
      makePeer: (doors, name) => {
        const { self } = doors.keys;
        const peer = new Peer(doors, {
          name,
          version: "simulated",
          drainMs: second,
          tzdata: "simulated",
          host: {},
          tags: {},
          capacity: 10,
          role: "worker",
          historyMaxBytes: Infinity,
          founder: self === "peer-1" ? self : undefined,
          capabilities: ownCapabilities,
          testing: { onLive: (live) => this.insides.set(self, live) },
        });
        const heard: string[] = [];
        this.heard.set(self, heard);
        this.#peers.set(self, peer);
        peer.subscribe((event) => {
          if (event.kind === "job") heard.push(`${event.id} ${event.change}`);
          if (event.kind === "setting") heard.push(`${event.setting} ${event.name} ${event.change}`);
        });
        return {
          start: (ready) => peer.start((error) => ready(error?.message)),
          stop: (done) => peer.stop(done),
          command: (command, answer) => peer.command(command, answer),
          revisions: () => new Map<JobId, string>(),
          complaint: () => undefined,
        };
      },
    });
    for (const peer of this.#world.peers) this.#world.at(epoch, () => this.#world.hosts.start(peer));
    this.pass(60 * second);
  }

  pass(ms: number): void {
    this.#world.runUntil(this.#world.now() + ms);
  }

  /** What each peer reports of the command, which the first one is asked for. */
  ask(command: Command): string[][] {
    const [first] = this.#peers.values();
    first?.command(command, () => undefined);
    this.pass(20 * second);
    return [...this.heard.values()].map((heard) => heard.splice(0));
  }
}

test("each peer reports every change of a job, also of those that another peer was asked for", () => {
  const stage = new Stage();
  const spec = checkedJob({ id, command: "true", schedule: "0 * * * *" });
  const tick = Math.ceil(epoch / 3_600_000) * 3_600_000 + 3_600_000;
  const cases: readonly [Command, string][] = [
    [{ kind: "put-job", spec, mode: "create", by }, "written"],
    [{ kind: "patch-job", id, patch: { owner: "bob" }, by }, "written"],
    [{ kind: "pause-job", id, by }, "written"],
    [{ kind: "resume-job", id, by }, "written"],
    [{ kind: "skip-ticks", id, which: { tick }, by }, "written"],
    [{ kind: "delete-job", id, by }, "deleted"],
  ];
  for (const [command, change] of cases) {
    const heard = [`${id} ${change}`];
    assert.deepEqual(stage.ask(command), [heard, heard], command.kind);
  }
});

test("each peer reports every change of a setting or channel, and of no other one", () => {
  const stage = new Stage();
  const maintenance = { from: "2030-01-01T00:00:00Z", to: "2030-01-02T00:00:00Z" };
  const values = {
    calendars: { dates: ["2030-01-01"] },
    groups: { owner: "ann" },
    maintenance,
    pools: { slots: 2 },
  };
  for (const setting of ["calendars", "groups", "maintenance", "pools"] as const) {
    for (const name of ["a", "b"]) {
      const written = [`${setting} ${name} written`];
      const command = { kind: "put-setting", setting, name, value: values[setting], by } as const;
      assert.deepEqual(stage.ask(command), [written, written]);
    }
    const deleted = [`${setting} a deleted`];
    assert.deepEqual(stage.ask({ kind: "remove-setting", setting, name: "a", by }), [deleted, deleted]);
  }
  const channel = { type: "slack", url: "https://hooks.example/x" };
  for (const [value, change] of [
    [channel, "written"],
    [null, "deleted"],
  ] as const) {
    const heard = [`channels ops ${change}`];
    assert.deepEqual(stage.ask({ kind: "set-value", root: "channels", id: "ops", value, by }), [
      heard,
      heard,
    ]);
  }
});

test("a job that can't be read any more is reported as written, and not as deleted", () => {
  const stage = new Stage();
  stage.ask({ kind: "put-job", spec: checkedJob({ id, command: "true" }), mode: "create", by });
  const other = stage.insides.get("peer-2" as PeerId);
  assert.ok(other !== undefined);
  const elsewhere = makeTable("c");
  exchange(elsewhere, other.table);
  const spec = specOf(id, { schedule: "never" });
  other.takeEdit(edit(elsewhere, { kind: "put", spec, by }, epoch + 120_000));
  stage.pass(20_000);
  assert.deepEqual([...stage.heard.values()], [[`${id} written`], [`${id} written`]]);
});
