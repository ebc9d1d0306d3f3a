/**
 * Changes of the job table on their way to the disk: batches, and changes that the disk refuses. The disk answers when
 * the test says so.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { CicadaError } from "../src/errors.ts";
import { Edits } from "../src/peer/edits.ts";
import { Sender } from "../src/peer/messages/sender.ts";
import type { Doors } from "../src/ports.ts";
import type { Write } from "../src/ports/disk.ts";
import { ulid, type JobId, type PeerId } from "../src/schema/ids.ts";
import type { JobSpec, TableEdit } from "../src/schema/job.ts";
import { SimKeys } from "../src/sim/keys.ts";
import { jobsRoot, tableRoots, type Root } from "../src/table/roots.ts";
import type { JobTable } from "../src/table/table.ts";
import { wireCodec } from "../src/wire/codec.ts";
import { jobOf, makeTable, specOf, wallOf } from "./kit/tables.ts";

function nothing(): void {}

function answerOf({ code }: CicadaError): string {
  return code === "DISK_FAILED" ? "refused" : code;
}

class Stage {
  readonly table: JobTable;
  /** what the disk was given, call by call */
  readonly writes: (readonly Write[])[] = [];
  readonly #calls: ((error?: CicadaError) => void)[] = [];
  readonly answers: string[] = [];
  published = 0;
  now = { wall: wallOf(1), mono: 0 };
  readonly edits: Edits;

  constructor(roots?: readonly Root[]) {
    this.table = makeTable("a", undefined, roots);
    const doors = {
      clock: { now: () => this.now, alarm: () => nothing },
      disk: {
        store: (writes: readonly Write[], done: (error?: CicadaError) => void) => {
          this.writes.push(writes);
          this.#calls.push(done);
        },
      } as Pick<Doors["disk"], "store"> as Doors["disk"],
      log: { debug: nothing, info: nothing, warn: nothing, error: nothing },
      keys: new SimKeys("a" as PeerId, "edits"),
      mesh: {
        known: () => [],
        publish: () => void this.published++,
      } as Partial<Doors["mesh"]> as Doors["mesh"],
    };
    this.edits = new Edits({
      doors,
      table: this.table,
      storedUpdates: 0,
      sender: new Sender(doors, wireCodec, nothing),
      onChange: nothing,
    });
  }

  /** Makes the edits and notes the answer under the name. */
  edit(name: string, ...edits: readonly TableEdit[]): void {
    this.now = { wall: this.now.wall + 60_000, mono: this.now.mono + 60_000 };
    this.edits.edit(edits, (error) =>
      this.answers.push(`${name} ${error === undefined ? "stored" : answerOf(error)}`),
    );
  }

  /** Answers the disk's oldest call. */
  answer(what: "stored" | "full"): void {
    const done = this.#calls.shift();
    assert.ok(done !== undefined, "the disk has been asked");
    done(what === "full" ? new CicadaError("DISK_FAILED", "no space is left") : undefined);
  }

  /** The table after a restart, from what is on the disk if the first `refused` calls failed. */
  restarted(refused: number): ReturnType<typeof makeTable> {
    let updates: Uint8Array[] = [];
    for (const write of this.writes.slice(refused).flat()) {
      if (write.kind === "snapshot") updates = [write.update];
      if (write.kind === "update") updates.push(write.update);
    }
    const table = makeTable("a");
    assert.deepEqual(table.load(updates).refused, []);
    return table;
  }
}

function put(id: string, more: Partial<Omit<JobSpec, "id">> = {}): TableEdit {
  return { kind: "put", spec: specOf(id, more), by: "ann" };
}

function pause(id: string): TableEdit {
  const at = wallOf(9);
  return { kind: "pause", id: id as JobId, ulid: ulid(at, new Uint8Array(16)), pause: { by: "ann", at } };
}

describe("five hundred jobs that are put at once", () => {
  const many = Array.from({ length: 500 }, (_, i) => put(`job-${i}`));

  test("make one update, one write, one message and one answer", () => {
    const stage = new Stage();
    stage.edit("many", ...many);
    const [writes] = stage.writes;
    assert.deepEqual([stage.writes.length, writes?.filter(({ kind }) => kind === "update").length], [1, 1]);
    stage.answer("stored");
    assert.deepEqual(stage.answers, ["many stored"]);
    assert.equal(stage.restarted(0).jobs().size, 500);
  });

  test("are all taken back by one update when the disk refuses them", () => {
    const stage = new Stage();
    stage.edit("first", put("job-7", { owner: "before" }));
    stage.answer("stored");
    const before = stage.table.jobs().get("job-7" as JobId);
    stage.edit("many", ...many);
    stage.answer("full");
    assert.deepEqual(stage.answers, ["first stored", "many refused"]);
    assert.equal(stage.table.jobs().size, 1);
    assert.deepEqual(jobOf(stage.table, "job-7"), before, "its revision is the old one, too");
    assert.equal(stage.writes.length, 3, "one write for the undo");
    stage.answer("stored");
    assert.deepEqual(new Map(stage.restarted(2).jobs()), new Map(stage.table.jobs()));
  });

  test("may build on each other", () => {
    const stage = new Stage();
    stage.edit("both", put("x"), pause("x"), put("x", { owner: "bob" }), put("y"), {
      kind: "delete",
      id: "y" as JobId,
      by: "ann",
    });
    assert.equal(jobOf(stage.table, "x")?.pauses.length, 1);
    assert.equal(jobOf(stage.table, "x")?.spec.owner, "bob");
    assert.equal(jobOf(stage.table, "y"), undefined);
    stage.answer("full");
    assert.equal(stage.table.jobs().size, 0);
  });
});

describe("a change that the disk has refused", () => {
  test("leaves a later one that was acknowledged as it is", () => {
    const stage = new Stage();
    stage.edit("first", put("x", { owner: "ann", timeout: "1h" }));
    stage.answer("stored");
    stage.edit("refused", put("x", { owner: "bob", timeout: "2h" }));
    stage.edit("later", put("x", { owner: "bob", timeout: "3h", description: "later" }));
    stage.answer("full");
    stage.answer("stored");
    assert.deepEqual(stage.answers, ["first stored", "refused refused", "later stored"]);
    const expected = specOf("x", { owner: "bob", timeout: "3h", description: "later" });
    assert.deepEqual(jobOf(stage.table, "x")?.spec, expected);
    assert.deepEqual(jobOf(stage.restarted(2), "x")?.spec, expected);
  });

  test("doesn't undo a field that another peer has written since", () => {
    const stage = new Stage();
    stage.edit("first", put("x", { owner: "ann" }));
    stage.answer("stored");
    stage.edit("refused", put("x", { owner: "bob", description: "new" }));
    const other = makeTable("b");
    other.apply(stage.table.snapshot());
    const { update } = other.edit([put("x", { owner: "cid", description: "new" })], wallOf(60));
    assert.equal(stage.table.apply(update), "changed");
    stage.edits.taken(update);
    stage.answer("full");
    assert.equal(jobOf(stage.table, "x")?.spec.owner, "cid");
    assert.equal(jobOf(stage.table, "x")?.spec.description, undefined);
  });

  for (const [what, edit] of [
    ["a deletion", { kind: "delete", id: "x" as JobId, by: "bob" }],
    ["a pause", pause("x")],
    ["a resumption", { kind: "resume", id: "x" as JobId, at: wallOf(8), by: "bob" }],
  ] as const) {
    test(`is undone exactly: ${what}`, () => {
      const stage = new Stage();
      stage.edit("first", put("x"), { ...pause("x"), ulid: ulid(1, new Uint8Array(16)) } as TableEdit);
      stage.answer("stored");
      const before = jobOf(stage.table, "x");
      stage.edit("refused", edit);
      assert.notDeepEqual(jobOf(stage.table, "x"), before);
      stage.answer("full");
      assert.deepEqual(jobOf(stage.table, "x"), before);
    });
  }

  test("is answered once, however many changes the disk refuses", () => {
    const stage = new Stage();
    stage.edit("first", put("a"));
    for (let i = 0; i < 300; i++) stage.edit(`${i}`, put(`job-${i}`));
    stage.answer("full");
    stage.answer("full");
    assert.equal(stage.answers.length, 301);
    assert.ok(stage.writes.length <= 3, `${stage.writes.length} writes`);
    assert.equal(stage.table.jobs().size, 0);
  });

  test("is also undone on the disk as soon as there is room again", () => {
    const stage = new Stage();
    stage.edit("first", put("x"));
    stage.answer("full");
    stage.answer("full");
    stage.edits.woke({ wall: stage.now.wall + 500, mono: stage.now.mono + 500 });
    assert.equal(stage.writes.length, 2, "not at once again");
    stage.edits.woke({ wall: stage.now.wall + 1_000, mono: stage.now.mono + 1_000 });
    stage.answer("stored");
    assert.equal(stage.restarted(2).jobs().size, 0);
    assert.equal(stage.restarted(2).digest(), stage.table.digest());
  });
});

test("a job for which the table has no room is refused before anything is written, and there is room for deletions", () => {
  const stage = new Stage(tableRoots.map((root) => (root === jobsRoot ? { ...jobsRoot, idsCap: 8 } : root)));
  stage.edit("seven", ...Array.from({ length: 7 }, (_, i) => put(`job-${i}`)));
  stage.answer("stored");
  stage.edit("one more", put("job-7"));
  assert.deepEqual(stage.answers, ["seven stored", "one more TABLE_FULL"]);
  assert.deepEqual([stage.writes.length, stage.table.jobs().size], [1, 7]);
  stage.edit("change", put("job-0", { owner: "ann" }));
  stage.answer("stored");
  stage.edit("deletion", { kind: "delete", id: "job-1" as JobId, by: "ann" });
  stage.answer("stored");
  assert.deepEqual(stage.answers.slice(2), ["change stored", "deletion stored"]);
  assert.equal(stage.table.jobs().size, 6);
});
