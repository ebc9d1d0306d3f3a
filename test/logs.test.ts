/** Outputs that are read from other peers: what a peer answers is checked before anybody gets it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Logs } from "../src/peer/outputs/logs.ts";
import type { LogPiece } from "../src/ports.ts";
import type { PeerId, RunId } from "../src/schema/ids.ts";
import type { MessageOf } from "../src/schema/message.ts";

const run = "backup@2026-11-20T12:00:00Z~1@ther-one" as RunId;
const honest = Buffer.from("hello, world\n");

/** What somebody gets who asks for ten bytes of the output, if the first peer that is asked answers so. */
function readFrom(lie: Partial<MessageOf<"log-piece">>): LogPiece | undefined {
  const [runner, keeper] = ["the-other-one", "keeper"] as PeerId[];
  let got: LogPiece | undefined;
  const logs: Logs = new Logs({
    clock: { now: () => ({ wall: 0, mono: 0 }), alarm: () => () => undefined },
    send(to, message) {
      assert.ok(message.kind === "log-read" && runner !== undefined);
      const { id, offset, length } = message;
      const bytes = honest.subarray(offset, offset + length).toString("base64");
      const answer = {
        kind: "log-piece",
        id,
        found: true,
        offset,
        bytes,
        size: honest.length,
        complete: true,
      } as const;
      logs.heard(to, to === runner ? { ...answer, ...lie } : answer);
    },
    living: () => [runner, keeper].filter((peer) => peer !== undefined),
    count: () => undefined,
    executor: { readLog: (_run, _offset, _length, done) => done(undefined) },
  });
  logs.read(run, 0, 10, (piece) => (got = piece));
  return got;
}

const lies: Readonly<Record<string, Partial<MessageOf<"log-piece">>>> = {
  "more bytes than were asked for, which would go on behind the answer": {
    bytes: Buffer.from("hello, worHTTP/1.1 200 OK\r\n\r\n").toString("base64"),
  },
  "bytes from another place": { offset: 3, bytes: honest.subarray(3).toString("base64") },
  "a size that no file has": { size: 1e300 },
};

for (const [what, lie] of Object.entries(lies)) {
  test(`a peer that answers with ${what} is passed over, and the next one is asked`, () => {
    const piece = readFrom(lie);
    assert.deepEqual(
      [Buffer.from(piece?.bytes ?? []).toString(), piece?.size],
      ["hello, wor", honest.length],
    );
  });
}
