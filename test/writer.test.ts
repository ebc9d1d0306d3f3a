/** What happens to a write that a full disk has refused. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { CicadaError } from "../src/errors.ts";
import type { Doors } from "../src/ports.ts";
import type { Disk, Write } from "../src/ports/disk.ts";
import { Writer } from "../src/peer/history/writer.ts";
import type { RunRecord } from "../src/schema/run.ts";
import { someRecord } from "./kit/contract/disk.ts";

test("records that a full disk refuses are sent to the others every 5 s, and stored once there is room", () => {
  let full = true;
  let mono = 0;
  const stored: Write[] = [];
  const sent: RunRecord[][] = [];
  const disk: Pick<Disk, "store"> = {
    store: (writes, done) => {
      if (full) return done(new CicadaError("DISK_FAILED", "no space is left"));
      stored.push(...writes);
      done();
    },
  };
  const own = someRecord({ state: "succeeded", version: 3 });
  const others = { ...own, peer: "somebody else" as typeof own.peer };
  // Only these are asked.
  const doors = {
    disk,
    keys: { self: own.peer },
    clock: { now: () => ({ wall: 0, mono }) },
    log: { error: () => undefined },
  } as unknown as Doors;
  const writer = new Writer(doors, { stored: () => undefined, resend: (records) => sent.push([...records]) });

  writer.store(
    [own, others].map((record) => ({ kind: "record", record })),
    undefined,
  );
  assert.equal(writer.refusedOf(own), own);
  for (mono = 0; mono < 10_000; mono += 1_000) writer.retry();
  assert.deepEqual(sent, [[own], [own]], "own records, twice in 10 s");

  full = false;
  writer.retry();
  assert.equal(writer.refusedOf(own), undefined);
  assert.deepEqual(
    stored.map((write) => write.kind === "record" && write.record.peer),
    [own.peer, others.peer],
  );
  mono += 10_000;
  writer.retry();
  assert.equal(sent.length, 3, "once more with the successful try, and then no more");
});

/** A writer whose disk answers when the test says so, and the disk's meta values. */
function slowDisk() {
  const meta = new Map<string, string>();
  const calls: { writes: readonly Write[]; done: (error?: CicadaError) => void }[] = [];
  const disk: Pick<Disk, "store"> = { store: (writes, done) => calls.push({ writes, done }) };
  const doors = {
    disk,
    keys: { self: "self" },
    clock: { now: () => ({ wall: 0, mono: 0 }) },
    log: { error: () => undefined },
  } as unknown as Doors;
  const writer = new Writer(doors, { stored: () => undefined, resend: () => undefined });
  const answer = (what: "stored" | "full") => {
    const call = calls.shift();
    assert.ok(call !== undefined, "the disk has been asked");
    if (what === "full") return call.done(new CicadaError("DISK_FAILED", "no space is left"));
    for (const write of call.writes) if (write.kind === "meta") meta.set(write.key, write.value);
    call.done();
  };
  const write = (value: string, token?: number) =>
    writer.store([{ kind: "meta", key: "roster", value }], token);
  return { writer, write, answer, calls, meta };
}

test("a refused write is not retried after a newer one to the same place has been stored", () => {
  const { writer, write, answer, calls, meta } = slowDisk();
  write("old");
  answer("full");
  write("new");
  answer("stored");
  writer.retry();
  assert.equal(calls.length, 0);
  assert.equal(meta.get("roster"), "new");
});

test("a refused write does not overtake a newer one that is still on its way", () => {
  const { writer, write, answer, calls, meta } = slowDisk();
  write("old");
  write("new");
  answer("full");
  writer.retry();
  answer("stored");
  writer.retry();
  assert.equal(calls.length, 0);
  assert.equal(meta.get("roster"), "new");
});

test("only the last of several refused writes to one place is retried", () => {
  const { writer, write, answer, calls, meta } = slowDisk();
  for (const value of ["1", "2", "3"]) write(value);
  for (const value of ["1", "2", "3"]) answer(value === "2" ? "stored" : "full");
  writer.retry();
  assert.equal(calls.length, 1);
  answer("stored");
  assert.equal(meta.get("roster"), "3");
});

test("an older write is retried if a newer one whose caller was told of the refusal has failed", () => {
  const { writer, write, answer, meta } = slowDisk();
  write("old");
  write("refused and answered so", 1);
  answer("full");
  answer("full");
  writer.retry();
  answer("stored");
  assert.equal(meta.get("roster"), "old");
});
