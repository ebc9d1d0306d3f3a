/**
 * Records of notices that are false: by a clock that was ahead, or by a member that signs as any number of peers and names channels
 * that don't exist. People are notified all the same, and what a peer remembers and sends stays bounded.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Seen } from "../src/core/operator/mesh-sight.ts";
import { MeshNotices, type MeshNoticesDeps } from "../src/peer/notices/mesh-notices.ts";
import { NoticeSender, type NoticeSenderDeps } from "../src/peer/notices/notice-sender.ts";
import type { Write } from "../src/ports/disk.ts";
import { tickAt, type PeerId } from "../src/schema/ids.ts";
import { meshJob, meshNoticeKind, type MeshNoticeRecord } from "../src/schema/mesh-notice.ts";
import type { OtherRecord } from "../src/schema/other-record.ts";
import { noon } from "./kit/contract/disk.ts";

const second = 1_000;
const day = 86_400 * second;
const self = "ada" as PeerId;
const bobIsDead: Seen = {
  problem: "peer-dead",
  subject: "bob",
  hasProblem: true,
  reportAfterMs: 15 * second,
  text: "bob is dead",
};

/** One peer with a channel `ops` that wants to know of dead peers; it is always its turn. */
class Stage {
  readonly sent: string[] = [];
  readonly stored: Write[] = [];
  wall = noon;
  seen: Seen = bobIsDead;
  onDisk: OtherRecord[] = [];
  readonly sender: NoticeSender;
  readonly notices: MeshNotices;
  #mono = 0;

  constructor() {
    const channels = new Map([
      ["ops", { type: "webhook", url: "http://people.example/", mesh: ["peer-dead"] }],
    ]);
    const deps = {
      doors: {
        clock: { now: () => ({ wall: this.wall, mono: this.#mono }), alarm: () => () => undefined },
        disk: {
          others: (_: unknown, done: (found: unknown) => void) => done(this.onDisk),
          store: (writes: readonly Write[], done: () => void) => {
            this.stored.push(...writes);
            done();
          },
        },
        keys: { self, sign: () => new Uint8Array(64) },
        keyring: { madeAt: () => 0, fingerprint: () => "" },
        log: { warn: () => undefined },
        notifier: {
          deliver: ({ notices }: { notices: { text: string }[] }, done: (result: { ok: true }) => void) => {
            this.sent.push(...notices.map(({ text }) => text));
            done({ ok: true });
          },
        },
      },
      channelOf: (name: string) => channels.get(name),
      channels: () => channels,
      gossip: () => undefined,
      count: () => undefined,
      nameOf: (peer: PeerId) => peer,
      isAlive: () => false,
      jobs: () => [],
      sight: () => ({ seen: [this.seen], facts: [], reporterOf: () => self, undecided: () => [] }),
    };
    this.sender = new NoticeSender(deps as unknown as NoticeSenderDeps);
    this.notices = new MeshNotices({ ...deps, sender: this.sender } as unknown as MeshNoticesDeps);
    this.notices.resume();
  }

  pass(ms: number): void {
    for (let passed = 0; passed < ms; passed += second) {
      this.#mono += second;
      this.wall += second;
      this.notices.woke({ wall: this.wall, mono: this.#mono });
    }
  }

  news(): string[] {
    return this.sent.splice(0);
  }
}

function record(fields: Partial<MeshNoticeRecord>): MeshNoticeRecord {
  const { at = noon } = fields;
  return {
    kind: meshNoticeKind,
    job: meshJob,
    tick: tickAt(Math.floor(at / second) * second),
    name: "peer-dead/bob/week-2960",
    peer: "mallory" as PeerId,
    version: 1,
    signature: "",
    at,
    text: "bob is dead",
    channels: { ops: { state: "sent", at } },
    ...fields,
  };
}

test("a notice of a dead peer that was sent by a clock a year ahead keeps nobody from being told when the peer dies, and when it is back", () => {
  const stage = new Stage();
  stage.notices.heard([record({ at: noon + 365 * day })]);
  stage.pass(30 * second);
  assert.deepEqual(stage.news(), ["bob is dead"]);
  stage.seen = { ...bobIsDead, hasProblem: false, text: "bob is back" };
  stage.pass(120 * second);
  assert.deepEqual(stage.news(), ["bob is back"]);
});

test("… nor if this peer's own clock was ahead, and has been set right since", () => {
  const stage = new Stage();
  stage.wall = noon + 365 * day;
  stage.pass(30 * second);
  assert.deepEqual(stage.news(), ["bob is dead"]);
  stage.wall = noon;
  stage.seen = { ...bobIsDead, hasProblem: false };
  stage.pass(120 * second);
  stage.seen = bobIsDead;
  stage.pass(30 * second);
  assert.deepEqual(stage.news(), ["bob is dead"]);
});

test("a channel is shown as it is, and not as a record of a time to come says", () => {
  const stage = new Stage();
  stage.sender.heard({ ops: { state: "sent", at: noon + 365 * day } });
  assert.equal(stage.sender.healthOf("ops"), undefined);
  stage.sender.heard({ ops: { state: "failed", at: noon, error: "refused" } });
  assert.deepEqual(stage.sender.healthOf("ops"), { at: noon, ok: false, error: "refused" });
});

test("nothing is remembered of channels that don't exist", () => {
  const stage = new Stage();
  stage.sender.heard({ nowhere: { state: "sent", at: noon } });
  assert.equal(stage.sender.healthOf("nowhere"), undefined);
});

test("what a peer that is gone has left unsent is sent to the channels that exist, however many others it names", () => {
  const stage = new Stage();
  const names = ["ops", ...Array.from({ length: 300 }, (_, index) => `nowhere-${index}`)];
  const channels = Object.fromEntries(names.map((name) => [name, { state: "open" as const }]));
  stage.notices.heard([record({ name: "peer-dead/cyd/week-2960", text: "cyd is dead", channels })]);
  stage.seen = { ...bobIsDead, hasProblem: false };
  stage.pass(30 * second);
  assert.deepEqual(stage.news(), ["cyd is dead"]);
  assert.ok(stage.stored.length < 5, `${stage.stored.length} writes`);
});

test("a member that signs one notice as very many peers doesn't keep people from being told, and holds nobody up", () => {
  const stage = new Stage();
  stage.pass(30 * second);
  assert.deepEqual(stage.news(), ["bob is dead"]);
  // More than a function can be called with.
  for (let batch = 0; batch < 200; batch++) {
    stage.notices.heard(
      Array.from({ length: 1_000 }, (_, index) =>
        record({ name: "peer-dead/bob/x", peer: `${batch}-${index}` as PeerId }),
      ),
    );
  }
  stage.seen = { ...bobIsDead, hasProblem: false, text: "bob is back" };
  stage.pass(3_700 * second);
  assert.deepEqual(stage.news().length, 1);
});
