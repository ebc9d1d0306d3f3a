/** Splits: what a peer remembers of members that it did not hear, and the story that is told after the heal. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { forgetMembers } from "../src/core/members/members.ts";
import { silenceBegins, silenceEnds, silencesOf } from "../src/core/members/silences.ts";
import { splitsOf } from "../src/api/show/splits.ts";
import type { MemberView, Silence } from "../src/ports/control.ts";
import { instantOf, tickAt, type JobId, type PeerId, type TickId } from "../src/schema/ids.ts";
import { Cores } from "./kit/cores.ts";
import { call, fakeApi } from "./kit/fake-api.ts";
import { member, otherId, selfId } from "./kit/fake-control.ts";

const [a, b, c] = ["a", "b", "c"] as [PeerId, PeerId, PeerId];

const silencesShown = (cores: Cores, peer: PeerId) =>
  silencesOf(cores.state(peer)).map((one) => ({ ...one, from: one.from > 0, to: one.to !== undefined }));

describe("a peer remembers when it did not hear a member", () => {
  test("and that it came back as the same process: it was on the other side of a split", () => {
    const cores = new Cores([a, b, c]);
    cores.pass(30_000);
    cores.split([a], [b, c]);
    cores.pass(30_000);
    const silent = { from: true, to: false, restarted: false, refused: false };
    assert.deepEqual(silencesShown(cores, a), [
      { peer: b, ...silent },
      { peer: c, ...silent },
    ]);
    assert.deepEqual(silencesShown(cores, b), [{ peer: a, ...silent }]);
    cores.heal();
    cores.pass(10_000);
    assert.deepEqual(silencesShown(cores, b), [{ peer: a, ...silent, to: true }]);
    const [silence] = silencesOf(cores.state(a));
    const lastedMs = (silence?.to ?? 0) - (silence?.from ?? 0);
    assert.ok(lastedMs > 29_000 && lastedMs < 40_000, String(lastedMs));
  });

  test("that its host refused it, and that it was restarted: it was down", () => {
    const cores = new Cores([a, b]);
    cores.pass(30_000);
    cores.kill(b);
    cores.pass(1_000);
    const silence = { peer: b, from: true, restarted: false };
    assert.deepEqual(silencesShown(cores, a), [{ ...silence, to: false, refused: true }]);
    cores.up(b);
    cores.pass(5_000);
    assert.deepEqual(silencesShown(cores, a), [{ ...silence, to: true, refused: false, restarted: true }]);
  });

  test("for so many silences and so long, and none of a peer that is no member any more", () => {
    const cores = new Cores([a, b, c]);
    cores.pass(30_000);
    const state = cores.state(a);
    const [ofB, ofC] = [state.members.byId.get(b), state.members.byId.get(c)];
    assert.ok(ofB && ofC);
    for (let times = 0; times < 300; times++) {
      silenceBegins(state, ofB);
      silenceBegins(state, ofB);
      if (times < 299) silenceEnds(state, ofB);
    }
    assert.equal(silencesOf(state).length, 256);
    const now = { ...state.now, wall: state.now.wall + 8 * 86_400_000 };
    silenceBegins({ ...state, now }, ofC);
    assert.deepEqual(
      silencesShown(cores, a).map(({ peer }) => peer),
      [b, c],
      "after a week those that have ended are forgotten",
    );
    forgetMembers(state, [c]);
    assert.deepEqual(
      silencesShown(cores, a).map(({ peer }) => peer),
      [b],
    );
  });
});

const minute = 60_000;
const at = (minutes: number) => 1_000_000_000_000 + minutes * minute;
const silence = (peer: PeerId, from: number, to?: number, changes: Partial<Silence> = {}): Silence => ({
  peer,
  from,
  to,
  restarted: false,
  refused: false,
  ...changes,
});

describe("silences make splits", () => {
  const members = [a, b, c].map((id) => ({ ...member(id, id, id === a), heardAt: at(100) }));
  const [self] = members as [MemberView, ...MemberView[]];
  const seen = (...silences: Silence[]) =>
    splitsOf({ silences, members, self }).map(({ from, to, apart, here }) => [
      (from - at(0)) / minute,
      to === undefined ? undefined : (to - at(0)) / minute,
      apart.map(({ peer }) => peer).join(),
      here.join(),
    ]);
  for (const [name, silences, splits] of [
    ["none", [], []],
    [
      "two that begin together are one",
      [silence(b, at(1), at(5)), silence(c, at(1) + 9_000, at(6))],
      [[1, 6, "b,c", "a"]],
    ],
    [
      "one of them lasts, and so does the split",
      [silence(b, at(1), at(5)), silence(c, at(1))],
      [[1, undefined, "b,c", "a"]],
    ],
    [
      "two that begin far apart are two, newest first",
      [silence(b, at(1), at(5)), silence(c, at(4), at(6))],
      [
        [4, 6, "c", "a"],
        [1, 5, "b", "a"],
      ],
    ],
    [
      "one that is on all the time takes no part in a later one",
      [silence(b, at(1)), silence(c, at(8), at(9))],
      [
        [8, 9, "c", "a"],
        [1, undefined, "b", "a"],
      ],
    ],
    [
      "twice in a moment are two",
      [silence(b, at(1), at(1) + 2_000), silence(b, at(1) + 4_000, at(3))],
      [
        [1 + 4 / 60, 3, "b", "a,c"],
        [1, 1 + 2 / 60, "b", "a,c"],
      ],
    ],
    [
      "a peer that was down is none",
      [silence(b, at(1), at(5), { restarted: true }), silence(c, at(8), undefined, { refused: true })],
      [],
    ],
  ] as const) {
    test(name, () => assert.deepEqual(seen(...silences), splits));
  }
});

describe("GET /v1/splits", () => {
  const tick = "2026-11-20T01:00:00Z" as TickId;
  const after = (minutes: number) => tickAt(instantOf(tick) + minutes * minute);
  const begun = instantOf(tick) - 10_000;
  const ended = instantOf(after(10));

  function split() {
    const fake = fakeApi();
    const { control } = fake;
    const job = "backup" as JobId;
    control.silences = [silence(otherId, begun, ended)];
    control.record({ job, tick: after(-5) });
    control.record({ job, tick });
    control.record({ job, tick, peer: otherId });
    control.record({ job, tick: after(1), peer: otherId });
    const decided = { peer: selfId };
    control.record({ job, tick: after(2), ...decided, state: "skipped", reason: "no-quorum" });
    control.record({ job, tick: after(3), ...decided, state: "skipped", reason: "overlap" });
    const range = { from: instantOf(after(4)), count: 3 };
    control.record({ job, tick: after(6), ...decided, state: "missed", reason: "window", range });
    control.record({ job, tick: after(7), startedAt: ended + minute });
    return fake;
  }

  test("tells who ran what on which side, which ticks ran twice, which did not run, and which ran late", async () => {
    const fake = split();
    const { items } = (await call(fake, { url: "/v1/splits" })).json();
    assert.equal(items.length, 1);
    const [{ id, from, to, apart, here }] = items;
    assert.deepEqual([id, from, to], [from, new Date(begun).toISOString(), new Date(ended).toISOString()]);
    assert.deepEqual(
      [apart, here].map((peers) => peers.map(({ name }: { name: string }) => name)),
      [["bravo"], ["alpha"]],
    );
    const story = (await call(fake, { url: `/v1/splits/${id}` })).json();
    assert.deepEqual(
      story.ran.map(({ name, here: isHere, runs }: { name: string; here: boolean; runs: number }) => [
        name,
        isHere,
        runs,
      ]),
      [
        ["alpha", true, 1],
        ["bravo", false, 2],
      ],
    );
    assert.equal(story.duplicates.total, 1);
    assert.equal(story.duplicates.items[0].tick, tick);
    assert.deepEqual(story.duplicates.items[0].runs.map(({ peer }: { peer: string }) => peer).toSorted(), [
      "alpha",
      "bravo",
    ]);
    assert.equal(story.gaps.total, 4);
    assert.deepEqual(
      story.gaps.items.map(({ tick: one, ticks, state, reason }: Record<string, unknown>) => [
        one,
        ticks,
        state,
        reason,
      ]),
      [
        [after(6), 3, "missed", "window"],
        [after(2), 1, "skipped", "no-quorum"],
      ],
    );
    assert.equal(story.late, 1);
    assert.equal(story.complete, true);
  });

  test("a split that this peer doesn't remember is not there; a caller of other groups sees no run of it", async () => {
    const fake = split();
    const unknown = await call(fake, { url: "/v1/splits/2026-11-20T00:00:00.000Z" });
    assert.deepEqual([unknown.statusCode, unknown.json().code], [404, "SPLIT_NOT_FOUND"]);
    const made = await call(fake, {
      method: "POST",
      url: "/v1/tokens",
      body: { name: "web", role: "viewer", groups: ["web"] },
    });
    const headers = { authorization: `Bearer ${made.json().token}` };
    const id = new Date(begun).toISOString();
    const story = (await call(fake, { url: `/v1/splits/${id}`, headers })).json();
    assert.deepEqual([story.ran, story.duplicates.total, story.gaps.total], [[], 0, 0]);
  });
});
