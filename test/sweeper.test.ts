/** How groups of processes are watched while they are being ended. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Sweeper, type ProcessList, type Signalled } from "../src/real/executor/survivors.ts";
import type { Clock } from "../src/ports.ts";
import type { RunId } from "../src/schema/ids.ts";

/** A clock that stands still; its alarms ring when the test says so. */
function heldClock(): { clock: Clock; ring: () => void } {
  const rings = new Set<() => void>();
  return {
    clock: {
      now: () => ({ wall: 0, mono: 0 }),
      alarm(_atMono, ring) {
        rings.add(ring);
        return () => rings.delete(ring);
      },
    },
    ring() {
      const due = [...rings];
      rings.clear();
      for (const ring of due) ring();
    },
  };
}

/** Processes as a test wants them; it counts how often they are looked at. */
function processes(living: Iterable<number>) {
  const groups = new Map<number, Signalled>([...living].map((group) => [group, "sent"]));
  const visible = new Map([...living].map((group) => [group, 3]));
  const counted = { looks: 0, kills: 0 };
  const list: ProcessList = {
    signal: (group) => groups.get(group) ?? "gone",
    livingGroups() {
      counted.looks++;
      return visible;
    },
    killRuns: () => void counted.kills++,
  };
  return { groups, visible, counted, list };
}

test("a hundred groups that are ended at once need one listing of all processes at a time, not a hundred", async () => {
  const ids = Array.from({ length: 100 }, (_, index) => index + 1);
  const { groups, visible, counted, list } = processes(ids);
  const { clock, ring } = heldClock();
  const sweeper = new Sweeper(clock, list);
  const ended = new Set<number>();
  for (const id of ids) sweeper.watch(id, () => ended.add(id));
  await Promise.all(
    ids.map(
      (id) => new Promise<void>((done) => sweeper.ask(id, (running) => done(assert.equal(running, 3)))),
    ),
  );
  assert.equal(counted.looks, 1);
  await Promise.all(ids.map((id) => new Promise<void>((done) => sweeper.killRun(String(id) as RunId, done))));
  assert.equal(counted.kills, 1);
  ring();
  assert.deepEqual([counted.looks, ended.size], [2, 0]);
  visible.clear();
  ring();
  assert.deepEqual([counted.looks, ended.size], [3, 100]);
  groups.clear();
  ring();
  assert.equal(counted.looks, 3, "no group is watched any more");
});

test("a group counts as gone if all its processes are zombies", () => {
  const { visible, list } = processes([7]);
  visible.clear();
  const { clock, ring } = heldClock();
  let isGone = false;
  new Sweeper(clock, list).watch(7, () => (isGone = true));
  ring();
  assert.equal(isGone, true);
});

test("a group that may not be signalled counts as running, even if its processes are hidden", async () => {
  const { groups, visible, list } = processes([7]);
  groups.set(7, "forbidden");
  visible.clear();
  const sweeper = new Sweeper(heldClock().clock, list);
  assert.equal(await new Promise((answer) => sweeper.ask(7, answer)), 1);
});

test("if the host lists no processes, a group counts as running while a signal reaches it", async () => {
  const { groups, list } = processes([7]);
  const sweeper = new Sweeper(heldClock().clock, { ...list, livingGroups: () => undefined });
  assert.equal(await new Promise((answer) => sweeper.ask(7, answer)), 1);
  groups.clear();
  assert.equal(await new Promise((answer) => sweeper.ask(7, answer)), 0);
});
