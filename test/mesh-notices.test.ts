/** Who tells channels what happens to the mesh, and how often: whole peers in simulated worlds. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Delivered, Delivery } from "../src/ports/notifier.ts";
import { slotsInOrder } from "../src/core/job/slots.ts";
import { slotOfPeer, tickAt, type JobId, type PeerId } from "../src/schema/ids.ts";
import { meshEvents } from "../src/schema/mesh-event.ts";
import type { Notice } from "../src/schema/notice.ts";
import { everySeconds } from "../src/sim/client/schedules.ts";
import { startRealPeer } from "../src/sim/world/real-peer.ts";
import { World } from "../src/sim/world/world.ts";
import { calmWorld, epoch } from "./kit/calm-world.ts";

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;

interface Heard extends Notice {
  by: PeerId;
  afterMs: number;
}

/** Peers that know each other, a channel that has subscribed to everything, and what it has taken. */
class Stage {
  readonly world: World;
  readonly heard: Heard[] = [];
  /** what the channel answers instead of taking a message */
  refuses: ((by: PeerId, delivery: Delivery) => Delivered | undefined) | undefined;

  constructor(
    names: number,
    more: object = { mesh: [...meshEvents] },
    later: readonly number[] = [],
    child = { lastsMs: 100, exitCode: 1 },
  ) {
    this.world = new World({
      ...calmWorld,
      children: { ...calmWorld.children, behaviour: () => child },
      seed: "mesh notices",
      peers: names,
      skewMs: 20,
      driftPpm: 10,
      traits: () => ({ role: "worker", capacity: 100 }),
      makePeer: (doors, name, traits) => {
        const by = doors.keys.self;
        const notifier: typeof doors.notifier = {
          ...doors.notifier,
          close: () => undefined,
          ping: (ping, done) => doors.notifier.ping(ping, done),
          deliver: (delivery, done) => {
            const answer = this.refuses?.(by, delivery) ?? { ok: true };
            if (answer.ok) {
              const afterMs = this.world.now() - epoch;
              this.heard.push(...delivery.notices.map((notice) => ({ ...notice, by, afterMs })));
            }
            doors.clock.alarm(doors.clock.now().mono + 100, () => done(answer));
          },
        };
        return startRealPeer({ ...doors, notifier }, name, traits);
      },
    });
    for (const peer of this.world.peers) {
      if (later.some((number) => this.peer(number) === peer)) continue;
      this.world.at(epoch, () => this.world.hosts.start(peer));
    }
    this.pass(minute);
    this.world.ask(this.peer(1), { kind: "channel", more });
    this.pass(10 * second);
  }

  peer(number: number): PeerId {
    return `peer-${number}` as PeerId;
  }

  pass(ms: number): void {
    this.world.runUntil(this.world.now() + ms);
  }

  /** What was told since the last time that this was asked, without joins. */
  news(): Heard[] {
    return this.heard.splice(0).filter(({ event }) => event !== "peer-joined");
  }

  cut(some: readonly number[], others: readonly number[]): () => void {
    const ends = some.flatMap((a) =>
      others.flatMap((b) => [
        this.world.disturbances.cut(this.peer(a), this.peer(b)),
        this.world.disturbances.cut(this.peer(b), this.peer(a)),
      ]),
    );
    return () => ends.forEach((end) => end());
  }
}

function eventsOf(heard: readonly Heard[]): string[] {
  return heard.map(({ event, peer }) => `${event} ${peer.id}`);
}

test("one of the others tells people once of a dead peer, and that it is back when it has been back for a minute", () => {
  const stage = new Stage(3);
  assert.deepEqual(stage.news(), []);
  stage.world.hosts.kill(stage.peer(3));
  stage.pass(2 * minute);
  const [dead, ...more] = stage.news();
  assert.deepEqual(more, []);
  assert.equal(dead?.event, "peer-dead");
  assert.equal(dead.peer.id, "peer-3");
  assert.notEqual(dead.by, "peer-3");
  assert.match(dead.text, /^peer-3 is dead: peer-[12] has not heard from it since 2026-11-20T00:01:/);
  stage.world.hosts.start(stage.peer(3));
  stage.pass(50 * second);
  assert.deepEqual(stage.news(), []);
  stage.pass(minute);
  const back = stage.news();
  assert.deepEqual(eventsOf(back), ["peer-back peer-3"]);
  assert.notEqual(back[0]?.by, "peer-3");
  stage.pass(hour);
  assert.deepEqual(stage.news(), []);
});

test("a peer that leaves cleanly, or is away for a moment only, is no dead peer", () => {
  const stage = new Stage(3);
  stage.world.hosts.stop(stage.peer(3));
  stage.pass(5 * minute);
  stage.world.hosts.start(stage.peer(3));
  stage.pass(minute);
  stage.world.hosts.kill(stage.peer(2));
  stage.pass(3 * second);
  stage.world.hosts.start(stage.peer(2));
  stage.pass(5 * minute);
  assert.deepEqual(eventsOf(stage.news()), []);
});

test("each side of a split tells who is dead for it and that the voters have no majority, and afterwards that both are over", () => {
  const stage = new Stage(3);
  const heal = stage.cut([1, 2], [3]);
  stage.pass(2 * minute);
  const split = stage.news();
  assert.deepEqual(
    new Set(eventsOf(split)),
    new Set(["peer-dead peer-3", "peer-dead peer-1", "peer-dead peer-2", "no-majority peer-3"]),
  );
  assert.equal(split.length, 4, "each is told once");
  heal();
  stage.pass(5 * minute);
  const after = stage.news();
  assert.deepEqual(after.map(({ event }) => event).toSorted(), [
    "majority",
    "peer-back",
    "peer-back",
    "peer-back",
  ]);
  const keys = new Set(split.map(({ key }) => key));
  assert.equal(keys.size, 4);
  stage.pass(hour);
  assert.deepEqual(stage.news(), []);
});

test("two sides of a split that tell the same trouble give it one key, by which receivers drop the repeat", () => {
  const stage = new Stage(5);
  stage.world.hosts.kill(stage.peer(5));
  const heal = stage.cut([1, 2], [3, 4]);
  stage.pass(3 * minute);
  const news = stage.news().filter(({ event, peer }) => event === "peer-dead" && peer.id === "peer-5");
  assert.equal(news.length, 2);
  assert.equal(new Set(news.map(({ key }) => key)).size, 1);
  heal();
});

test("people are told that a clock is doubted, and that it is right again", () => {
  const stage = new Stage(4);
  const setBack = stage.world.disturbances.stepClock(stage.peer(2), 5 * minute);
  stage.pass(3 * minute);
  const news = stage.news();
  assert.deepEqual(eventsOf(news), ["clock peer-2"]);
  assert.match(
    news[0]?.text ?? "",
    /the clock of peer-2 is 300\.\d s ahead of the clocks that count as right/,
  );
  assert.notEqual(news[0]?.by, "peer-2");
  setBack();
  stage.pass(5 * minute);
  assert.deepEqual(eventsOf(stage.news()), ["clock-right peer-2"]);
});

test("a peer tells people that its disk can't be written, and that it can be again", () => {
  const stage = new Stage(3);
  const rules = {
    id: "beat" as JobId,
    schedule: everySeconds(5),
    overlap: "allow",
    catchUp: { policy: "none", windowMs: minute },
    peers: [stage.peer(2)],
  } as const;
  stage.world.ask(stage.peer(1), { kind: "put", rules });
  stage.pass(10 * second);
  const empty = stage.world.disturbances.fillDisk(stage.peer(2));
  stage.pass(2 * minute);
  const news = stage.news();
  assert.deepEqual(eventsOf(news), ["disk peer-2"]);
  assert.equal(news[0]?.by, "peer-2");
  empty();
  stage.pass(5 * minute);
  assert.deepEqual(eventsOf(stage.news()), ["disk-right peer-2"]);
});

test("people are told once of a rotated key, and not of a mesh's first key", () => {
  const stage = new Stage(3);
  stage.world.ask(stage.peer(1), { kind: "rotate", graceMs: minute });
  stage.pass(5 * minute);
  const news = stage.news();
  assert.deepEqual(
    news.map(({ event }) => event),
    ["key-rotated"],
  );
  stage.pass(2 * hour);
  assert.deepEqual(stage.news(), []);
});

test("people are notified once of a peer that joins", () => {
  const stage = new Stage(4, { mesh: [...meshEvents] }, [4]);
  stage.world.hosts.start(stage.peer(4));
  stage.pass(5 * minute);
  const joins = stage.heard.filter(({ event, peer }) => event === "peer-joined" && peer.id === "peer-4");
  assert.equal(joins.length, 1, eventsOf(stage.heard).join(", "));
  assert.match(joins[0]?.text ?? "", /^peer-4 joined the mesh, as peer-\d reported/);
});

test("a job's notice is sent exactly once where no sender died in between, and under one key if another peer has to send it", () => {
  const stage = new Stage(3, {});
  const rules = {
    id: "beat" as JobId,
    schedule: everySeconds(60),
    overlap: "allow",
    catchUp: { policy: "none", windowMs: minute },
    peers: [stage.peer(1)],
    notifies: true,
  } as const;
  stage.world.ask(stage.peer(1), { kind: "put", rules });
  stage.pass(5 * minute);
  const calm = stage.news();
  assert.ok(calm.length >= 4, `${calm.length} notices`);
  assert.equal(new Set(calm.map(({ key }) => key)).size, calm.length);
  const tried: { by: PeerId; key: string }[] = [];
  stage.refuses = (by, { notices }) => {
    tried.push(...notices.map(({ key }) => ({ by, key })));
    return tried[0]?.by === by ? { ok: false, isFinal: false, why: "no answer" } : undefined;
  };
  while (tried.length === 0) stage.pass(10 * second);
  const [first] = tried;
  assert.ok(first !== undefined);
  stage.world.hosts.kill(first.by);
  stage.pass(3 * minute);
  const again = stage.news().filter(({ key }) => key === first.key);
  assert.equal(again.length, 1);
  assert.notEqual(again[0]?.by, first.by);
});

test("a tick that was stopped on its way from peer to peer, because a peer died, is told once, as failed", () => {
  const stage = new Stage(3, {}, [], { lastsMs: 20 * second, exitCode: 0 });
  const rules = {
    id: "beat" as JobId,
    schedule: everySeconds(600),
    overlap: "allow",
    catchUp: { policy: "latest", windowMs: minute },
    peers: undefined,
    onAll: { offlineMs: 0, rolling: { max: 1, pauseMs: 0, stopAfter: 1 } },
    notifies: true,
  } as const;
  stage.world.ask(stage.peer(1), { kind: "put", rules });
  const due = Math.ceil((stage.world.now() + second) / (10 * minute)) * 10 * minute;
  stage.pass(due + 5 * second - stage.world.now());
  const peers = [1, 2, 3].map((number) => stage.peer(number));
  const [first] = slotsInOrder(rules.id, tickAt(due), peers.map(slotOfPeer));
  const dies = peers.find((peer) => slotOfPeer(peer) === first);
  assert.ok(dies !== undefined);
  stage.world.hosts.kill(dies);
  stage.pass(3 * minute);
  assert.deepEqual(
    stage.news().map(({ event, state, text }) => `${event} ${state} ${text}`),
    [
      `failed failed beat, tick ${tickAt(due)}, failed and was stopped: a run was lost on ${dies}, and 2 of its 3 runs were not started`,
    ],
  );
});

test("nothing is told to a channel that has not asked for it", () => {
  const stage = new Stage(3, { mesh: ["disk"] });
  stage.world.hosts.kill(stage.peer(3));
  stage.pass(2 * minute);
  stage.world.hosts.start(stage.peer(3));
  stage.pass(5 * minute);
  assert.deepEqual(stage.news(), []);
});

test("a peer that dies and comes back all the time is told of a few times an hour, not each time", () => {
  const stage = new Stage(3);
  for (let times = 0; times < 40; times++) {
    stage.world.hosts.kill(stage.peer(3));
    stage.pass(45 * second);
    stage.world.hosts.start(stage.peer(3));
    stage.pass(75 * second);
  }
  const news = stage.news();
  assert.ok(news.length >= 1 && news.length <= 6, eventsOf(news).join(", "));
  stage.pass(2 * hour);
  assert.equal(stage.news().at(-1)?.event ?? news.at(-1)?.event, "peer-back", "its end is not forgotten");
});

test("if the peer that tells it dies before the channel has taken it, another one sends it under the same key", () => {
  const stage = new Stage(4);
  const tried: { by: PeerId; key: string }[] = [];
  stage.refuses = (by, { notices }) => {
    tried.push(...notices.map(({ key }) => ({ by, key })));
    return tried[0]?.by === by ? { ok: false, isFinal: false, why: "no answer" } : undefined;
  };
  stage.world.hosts.kill(stage.peer(4));
  stage.pass(minute);
  const [first] = tried;
  assert.ok(first !== undefined);
  stage.world.hosts.kill(first.by);
  stage.pass(2 * minute);
  const news = stage.news();
  const again = news.filter(({ key }) => key === first.key);
  assert.equal(again.length, 1, eventsOf(news).join(", "));
  assert.notEqual(again[0]?.by, first.by);
});

test("a peer that is started again sends what its last life had not, and repeats nothing that it had", () => {
  const stage = new Stage(2);
  stage.refuses = () => ({ ok: false, isFinal: false, why: "no answer" });
  stage.world.hosts.kill(stage.peer(2));
  stage.pass(minute);
  stage.world.hosts.kill(stage.peer(1));
  stage.refuses = undefined;
  stage.pass(minute);
  stage.world.hosts.start(stage.peer(1));
  stage.pass(minute);
  assert.deepEqual(
    eventsOf(stage.news()).filter((one) => one === "peer-dead peer-2"),
    ["peer-dead peer-2"],
  );
  stage.world.hosts.kill(stage.peer(1));
  stage.world.hosts.start(stage.peer(1));
  stage.pass(10 * minute);
  assert.deepEqual(
    eventsOf(stage.news()).filter((one) => one === "peer-dead peer-2"),
    [],
  );
});

test("a digest is sent once, says what failed, and is sent by another peer under the same key if the first one dies", () => {
  // The world begins at midnight.
  const stage = new Stage(3, { digest: { at: "00:10" } });
  const tried: { by: PeerId; key: string }[] = [];
  stage.refuses = (by, { notices }) => {
    tried.push(...notices.map(({ key }) => ({ by, key })));
    return tried[0]?.by === by ? { ok: false, isFinal: false, why: "no answer" } : undefined;
  };
  const rules = {
    id: "beat" as JobId,
    schedule: everySeconds(60),
    overlap: "allow",
    catchUp: { policy: "none", windowMs: minute },
    peers: undefined,
  } as const;
  stage.world.ask(stage.peer(1), { kind: "put", rules });
  stage.pass(11 * minute);
  const [first] = tried;
  assert.equal(first?.key, "mesh:digest/people/2026-11-20T00:10");
  stage.world.hosts.kill(first.by);
  stage.pass(10 * minute);
  const [digest, ...more] = stage.news();
  assert.deepEqual(more, []);
  assert.deepEqual([digest?.event, digest?.state, digest?.key], ["digest", "trouble", first.key]);
  assert.notEqual(digest?.by, first.by);
  assert.match(
    digest?.text ?? "",
    /^1 of 1 job had trouble in the day until 2026-11-20 00:10 \(UTC\): beat failed 8 times/,
  );
  stage.pass(hour);
  assert.deepEqual(stage.news(), []);
});
