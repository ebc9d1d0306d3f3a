/** The audit of several peers as one list: by time, page by page, without those that don't answer. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { CicadaError } from "../src/errors.ts";
import { AuditReader } from "../src/peer/audit.ts";
import { writeCursor } from "../src/api/http/paging.ts";
import {
  auditCursorMax,
  type AuditEntry,
  type AuditFound,
  type AuditPage,
  type AuditQuery,
} from "../src/schema/audit.ts";
import type { PeerId } from "../src/schema/ids.ts";
import type { Message } from "../src/schema/message.ts";

function entry(at: number, text = ""): AuditEntry {
  const shared = { actor: "ann@a", token: "t", role: "admin", action: "put-job", kind: "job" } as const;
  return { at, ...shared, name: `job-${at}`, outcome: "done", ...(text === "" ? {} : { after: { text } }) };
}

/** A peer's audit in memory, oldest first. */
function diskOf(entries: readonly AuditEntry[]) {
  return {
    audit({ limit, after = Infinity }: AuditQuery, done: (page: AuditPage | CicadaError) => void): void {
      const rows = entries
        .map((one, index) => ({ place: index + 1, entry: one }))
        .filter(({ place }) => place < after)
        .toReversed();
      done({ rows: rows.slice(0, limit), more: rows.length > limit });
    },
  };
}

/** Peers that hear each other at once; those in `silent` hear and say nothing, and the clock rings when the test says so. */
function meshOf(audits: Readonly<Record<string, readonly AuditEntry[]>>, silent: readonly string[] = []) {
  const readers = new Map<string, AuditReader>();
  const alarms: (() => void)[] = [];
  let asked = 0;
  for (const [name, entries] of Object.entries(audits)) {
    const self = name as PeerId;
    readers.set(
      name,
      new AuditReader({
        self,
        clock: {
          now: () => ({ wall: 0, mono: 0 }),
          alarm: (_at: number, ring: () => void) => {
            alarms.push(ring);
            return () => alarms.splice(alarms.indexOf(ring), 1);
          },
        },
        disk: diskOf(entries),
        send: (to: PeerId, message: Message) => {
          if (message.kind !== "audit-read" && message.kind !== "audit-page") return;
          if (message.kind === "audit-read") asked++;
          if (!silent.includes(to)) readers.get(to)?.heard(self, structuredClone(message));
        },
        others: () => Object.keys(audits).filter((one) => one !== name) as PeerId[],
        count: () => undefined,
      }),
    );
  }
  const read = (cursor?: string, limit = 3): Promise<AuditFound | CicadaError> =>
    new Promise((resolve) => {
      readers.get("a")?.read({ limit }, cursor, resolve);
      for (const ring of alarms.splice(0)) ring();
    });
  return { read, asked: () => asked };
}

async function allPages(
  read: ReturnType<typeof meshOf>["read"],
  limit: number,
): Promise<AuditFound["entries"]> {
  const entries: AuditFound["entries"] = [];
  for (let cursor: string | undefined; ;) {
    const page = await read(cursor, limit);
    assert.ok(!(page instanceof CicadaError));
    entries.push(...page.entries);
    if (page.next === null) return entries;
    cursor = page.next;
  }
}

test("what several peers keep is one list by time, each entry once, however it is cut into pages", async () => {
  const { read } = meshOf({
    a: [1, 4, 9].map((at) => entry(at)),
    b: [2, 3, 5, 6, 7, 8].map((at) => entry(at)),
    c: [],
  });
  for (const limit of [1, 2, 4, 100]) {
    const found = await allPages(read, limit);
    assert.deepEqual(
      found.map(({ at, peer }) => [at, peer]),
      [9, 8, 7, 6, 5, 4, 3, 2, 1].map((at) => [at, [1, 4, 9].includes(at) ? "a" : "b"]),
    );
  }
});

test("what a restored peer has from the peer that was backed up is shown once, however it is cut into pages", async () => {
  const before = [1, 2, 3, 3, 5].map((at) => entry(at));
  const { read } = meshOf({ a: [...before, entry(6)], b: [...before, entry(7)], c: [entry(4)] });
  for (const limit of [1, 2, 4, 100]) {
    const found = await allPages(read, limit);
    assert.deepEqual(
      found.map(({ at }) => at),
      [7, 6, 5, 4, 3, 3, 2, 1],
    );
  }
});

test("long entries come in several messages, and none is left out", async () => {
  const long = "x".repeat(4_000);
  const { read } = meshOf({ a: [entry(500)], b: Array.from({ length: 150 }, (_, at) => entry(at, long)) });
  const found = await allPages(read, 1_000);
  assert.deepEqual(
    found.map(({ at }) => at),
    [500, ...Array.from({ length: 150 }, (_, index) => 149 - index)],
  );
});

test("a peer that doesn't answer is left out, and the answer says whose audits are in it", async () => {
  const { read } = meshOf({ a: [entry(1)], b: [entry(2)], c: [entry(3)] }, ["c"]);
  const page = await read();
  assert.ok(!(page instanceof CicadaError));
  assert.deepEqual(
    [page.covered, page.entries.map(({ at }) => at)],
    [
      ["a", "b"],
      [2, 1],
    ],
  );
});

test("a cursor fits into an address, also in a mesh of hundreds of peers", async () => {
  const audits = Object.fromEntries(
    Array.from({ length: 400 }, (_, index) => {
      const id =
        index === 0 ? "a" : `12D3KooWQiF3F9NcfPGZd2QjvVx7qDADKrj2PGVp5429WC${String(index).padStart(6, "0")}`;
      return [id, [entry(index), entry(1_000 + index)]];
    }),
  );
  const { read } = meshOf(audits);
  const page = await read(undefined, 400);
  assert.ok(!(page instanceof CicadaError));
  const { length } = writeCursor("audit", page.next ?? "");
  assert.ok(length <= auditCursorMax, String(length));
  assert.equal((await allPages(read, 400)).length, 800);
});

test("a cursor of another list is refused", async () => {
  const { read } = meshOf({ a: [entry(1)] });
  for (const cursor of ["{", '{"a":"x"}', '{"a":1.5}'])
    assert.ok((await read(cursor)) instanceof CicadaError, cursor);
});
