/** How notices are sent: what is recorded before and after, and what that means when their peer dies. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { CicadaError } from "../src/errors.ts";
import {
  allOpen,
  NoticeSender,
  type NoticeSenderDeps,
  type SentRecord,
} from "../src/peer/notices/notice-sender.ts";
import type { Delivered } from "../src/ports/notifier.ts";
import type { PeerId } from "../src/schema/ids.ts";
import { noticeKind, type NoticeRecord } from "../src/schema/notice.ts";
import { noon, notice } from "./kit/notifier-stage.ts";

const failed = notice();
const opened: NoticeRecord = {
  kind: noticeKind,
  job: "backup" as NoticeRecord["job"],
  tick: "2026-11-20T12:00:00Z" as NoticeRecord["tick"],
  name: "failed",
  peer: "12D3KooWada" as PeerId,
  version: 1,
  signature: "",
  at: noon,
  channels: allOpen(["ops"]),
};

/** One life of a peer, whose channel gives these answers, in their order. */
class Life {
  readonly delivered: string[] = [];
  readonly stored: SentRecord[] = [];
  readonly gossiped: SentRecord[] = [];
  diskIsFull = false;
  now = 0;
  readonly #alarms: { at: number; ring: () => void }[] = [];
  readonly sender: NoticeSender;

  constructor(...answers: Delivered[]) {
    const deps = {
      doors: {
        clock: {
          now: () => ({ wall: noon + this.now, mono: this.now }),
          alarm: (at: number, ring: () => void) => {
            this.#alarms.push({ at, ring });
            return () => undefined;
          },
        },
        disk: {
          store: ([write]: [{ record: SentRecord }], done: (error?: CicadaError) => void) => {
            if (this.diskIsFull) return done(new CicadaError("INTERNAL", "no space is left"));
            this.stored.push(write.record);
            done();
          },
        },
        keys: { self: opened.peer, sign: () => Buffer.from("signed") },
        log: { warn: () => undefined },
        notifier: {
          deliver: ({ id }: { id: string }, done: (result: Delivered) => void) => {
            this.delivered.push(id);
            const answer = answers.shift();
            if (answer !== undefined) done(answer);
          },
        },
      },
      channelOf: () => ({ type: "slack", url: "https://hooks.example/x" }),
      gossip: (record: SentRecord) => this.gossiped.push(record),
      count: () => undefined,
    };
    this.sender = new NoticeSender(deps as unknown as NoticeSenderDeps);
  }

  pass(ms: number): void {
    this.now += ms;
    for (const alarm of this.#alarms.splice(0)) {
      if (alarm.at <= this.now) alarm.ring();
      else this.#alarms.push(alarm);
    }
  }

  get last(): SentRecord {
    const last = this.stored.at(-1);
    assert.ok(last !== undefined);
    return last;
  }
}

const ok: Delivered = { ok: true };

test("a notice is recorded before it is sent and after it was accepted, and both records go to all peers", () => {
  const life = new Life(ok);
  life.sender.open(opened, failed);
  assert.deepEqual(
    life.stored.map(({ version, channels }) => [version, channels["ops"]?.state]),
    [
      [1, "open"],
      [2, "sent"],
    ],
  );
  assert.deepEqual(life.gossiped, life.stored);
});

test("a notice is sent at least once with one key: a peer that died before the channel had answered sends it again in its next life", () => {
  const first = new Life();
  first.sender.open(opened, failed);
  assert.deepEqual(first.delivered, [failed.key]);
  const next = new Life(ok);
  next.sender.resume(first.last, failed);
  assert.deepEqual(next.delivered, first.delivered);
});

test("mail that was accepted is not sent again by the peer that saw it accepted, in this life or the next one", () => {
  const life = new Life(ok);
  life.sender.open(opened, failed);
  life.pass(86_400_000);
  assert.deepEqual(life.delivered, [failed.key]);
  const next = new Life(ok);
  next.sender.resume(life.last, failed);
  assert.deepEqual(next.delivered, []);
});

test("a disk that refuses the record of an acceptance doesn't make this peer send it again", () => {
  const life = new Life(ok, ok);
  life.diskIsFull = true;
  life.sender.open(opened, failed);
  life.pass(600_000);
  assert.deepEqual(life.delivered, [failed.key]);
  assert.equal(life.gossiped.at(-1)?.channels["ops"]?.state, "sent", "the others know");
});

test("one that is refused is visible as the channel's failure, on every peer", () => {
  const life = new Life({ ok: false, isFinal: true, why: "hooks.example answered 404: no_team" });
  life.sender.open(opened, failed);
  const failure = { ok: false, error: "hooks.example answered 404: no_team", at: noon };
  assert.deepEqual(life.sender.healthOf("ops"), failure);
  const other = new Life();
  other.sender.heard(life.last.channels);
  assert.deepEqual(other.sender.healthOf("ops"), failure);
});

test("a channel that fails for now is shown as failing on every peer while its notice is tried again, and as working once it has it", () => {
  const failure: Delivered = { ok: false, isFinal: false, why: "no answer" };
  const life = new Life(failure, failure, ok);
  const other = new Life();
  life.sender.open(opened, failed);
  other.sender.heard(life.last.channels);
  for (const { sender } of [life, other])
    assert.deepEqual(sender.healthOf("ops"), { ok: false, error: "no answer", at: noon });
  life.pass(10_000);
  assert.deepEqual(
    life.gossiped.map(({ channels }) => channels["ops"]?.state),
    ["open", "open"],
    "a notice's first failure is told, not each further one",
  );
  life.pass(20_000);
  other.pass(30_000);
  other.sender.heard(life.last.channels);
  for (const { sender } of [life, other]) assert.equal(sender.healthOf("ops")?.ok, true);
  assert.deepEqual(life.delivered, [failed.key, failed.key, failed.key]);
});
