/**
 * The laws of the job table, tried on random stories: whatever was edited where, and in whatever order and however
 * often the updates arrive, peers that have all updates hold the same jobs.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ulid } from "../src/schema/ids.ts";
import type { TableEdit } from "../src/schema/job.ts";
import type { JobTable } from "../src/table/table.ts";
import { exchange, makeTable, specOf, wallOf } from "./kit/tables.ts";

const peers = ["a", "b", "c"] as const;
const ids = ["x", "y"] as const;

/** One step of a story: a peer edits a job, or two peers exchange what they have. */
type Step =
  | { kind: "edit"; peer: number; id: string; what: number; minute: number }
  | { kind: "meet"; one: number; other: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("edit" as const),
      peer: fc.nat(peers.length - 1),
      id: fc.constantFrom(...ids),
      what: fc.nat(9),
      minute: fc.nat(5),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("meet" as const),
      one: fc.nat(peers.length - 1),
      other: fc.nat(peers.length - 1),
    }),
  },
);
const story = fc.array(step, { minLength: 1, maxLength: 30 });

function changeOf({ peer, id: name, what, minute }: Extract<Step, { kind: "edit" }>): TableEdit {
  const { id } = specOf(name);
  const by = peers[peer] ?? "";
  const wall = wallOf(minute);
  if (what === 0) return { kind: "delete", id, by };
  if (what === 1) {
    const letters = Uint8Array.from({ length: 16 }, (_, index) => index * minute + peer);
    return { kind: "pause", id, ulid: ulid(wall, letters), pause: { by, at: wall } };
  }
  if (what === 2) return { kind: "resume", id, at: wall, by };
  if (what === 3) return { kind: "put", spec: specOf(name, { schedule: "never" }), by };
  if (what < 6)
    return { kind: "put", spec: specOf(name, { schedule: `*/${what} * * * *`, timezone: "Asia/Tokyo" }), by };
  return { kind: "put", spec: specOf(name, { owner: `o${what}`, ...(what > 7 && { timeout: "1h" }) }), by };
}

/** Plays a story. Returns the tables at its end and every update that was made. */
function play(steps: readonly Step[]): { tables: JobTable[]; updates: Uint8Array[] } {
  const tables = peers.map((peer) => makeTable(peer));
  const updates: Uint8Array[] = [];
  for (const next of steps) {
    if (next.kind === "edit") {
      const made = tables[next.peer]?.edit([changeOf(next)], wallOf(next.minute)).update;
      if (made !== undefined) updates.push(made);
    } else {
      const [one, other] = [tables[next.one], tables[next.other]];
      if (one !== undefined && other !== undefined && one !== other) exchange(one, other);
    }
  }
  return { tables, updates };
}

/** A new table that got all updates in this order; those that came too early are repeated. */
function takeAll(updates: readonly Uint8Array[]): JobTable {
  const table = makeTable("z");
  let waiting = updates;
  for (let round = 0; waiting.length > 0; round++) {
    assert.ok(round <= updates.length, "an update never fits");
    waiting = waiting.filter((update) => table.apply(update) === "pending");
  }
  return table;
}

function assertSame(one: JobTable, other: JobTable): void {
  assert.deepEqual(new Map(one.jobs()), new Map(other.jobs()));
  assert.deepEqual(quarantinedIn(one), quarantinedIn(other));
  assert.equal(one.digest(), other.digest());
}

function quarantinedIn(table: JobTable): unknown {
  return new Map(table.quarantined().map((found) => [found.id, found]));
}

test("updates in any order, repeated or not, make one table", () => {
  fc.assert(
    fc.property(story, fc.infiniteStream(fc.nat()), (steps, stream) => {
      const { updates } = play(steps);
      const next = (): number => stream.next().value ?? 0;
      const shuffled = updates
        .flatMap((update) => (next() % 3 === 0 ? [update, update] : [update]))
        .map((update) => ({ update, place: next() }))
        .toSorted((a, b) => a.place - b.place)
        .map(({ update }) => update);
      const [straight, mixed] = [takeAll(updates), takeAll(shuffled)];
      assertSame(straight, mixed);
      assert.equal(mixed.pending(), false);
    }),
    { numRuns: 150 },
  );
});

test("peers that meet in any order end with the same table, and meeting again changes nothing", () => {
  fc.assert(
    fc.property(story, fc.shuffledSubarray([0, 1, 2], { minLength: 3 }), (steps, order) => {
      const { tables } = play(steps);
      const [one, two, three] = order.map((index) => tables[index]);
      assert.ok(one !== undefined && two !== undefined && three !== undefined);
      exchange(one, two);
      exchange(two, three);
      exchange(one, three);
      assertSame(one, two);
      assertSame(one, three);
      const before = one.digest();
      assert.equal(one.apply(three.snapshot()), "known");
      assert.equal(one.digest(), before);
    }),
    { numRuns: 150 },
  );
});

test("a table read from its snapshot equals the original, including the digest", () => {
  fc.assert(
    fc.property(story, (steps) => {
      for (const table of play(steps).tables) {
        const again = makeTable("z");
        again.load([table.snapshot()]);
        assertSame(table, again);
      }
    }),
    { numRuns: 100 },
  );
});

test("tables with different edits have different digests", () => {
  fc.assert(
    fc.property(story, (steps) => {
      const [one, two] = play(steps).tables;
      assert.ok(one !== undefined && two !== undefined);
      const equal = one.digest() === two.digest();
      const news = [one.apply(two.snapshot()), two.apply(one.snapshot())];
      assert.equal(
        equal,
        news.every((applied) => applied === "known"),
      );
    }),
    { numRuns: 150 },
  );
});

test("all reported changes together make up the table", () => {
  fc.assert(
    fc.property(story, (steps) => {
      const reported = new Map<string, unknown>();
      const table = makeTable("z");
      for (const update of play(steps).updates) {
        table.apply(update);
        for (const { id, job } of table.takeChanges()) {
          if (job === undefined) reported.delete(id);
          else reported.set(id, job);
        }
      }
      assert.deepEqual(reported, new Map(table.jobs()));
    }),
    { numRuns: 100 },
  );
});
