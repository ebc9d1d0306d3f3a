/** The trace that a command and a server are told of (TRACEPARENT), with a real peer and what they have received. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { test } from "node:test";
import { Cluster, until } from "./kit/cluster.ts";

const form = /^00-([0-9a-f]{32})-([0-9a-f]{16})-01$/;

/** What is right for the attempts of one tick: one trace, and a span for each. */
function judge(spans: readonly string[]): void {
  const parts = spans.map((span) => form.exec(span));
  assert.ok(
    parts.every((part) => part !== null),
    spans.join(),
  );
  assert.equal(new Set(parts.map((part) => part?.[1])).size, 1, spans.join());
  assert.equal(new Set(parts.map((part) => part?.[2])).size, spans.length, spans.join());
}

test("a command's and a request's attempts get one trace; a job's own header is sent as it is", async (context) => {
  await using cluster = new Cluster();
  const file = path.join(cluster.folder, "spans");
  writeFileSync(file, "");
  const received = new Map<string, string[]>();
  const server = createServer((request, response) => {
    const { url = "", headers } = request;
    received.set(url, [...(received.get(url) ?? []), String(headers["traceparent"])]);
    response.writeHead(503).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  context.after(() => server.close());
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  const [peer] = await cluster.mesh(["ada"]);
  assert.ok(peer);
  const retry = { attempts: 1, backoff: "1s" };
  const own = `00-${"a".repeat(32)}-${"b".repeat(16)}-00`;
  const jobs = [
    { id: "command", command: `echo "$TRACEPARENT" >> ${file}; exit 1`, retry },
    { id: "request", http: { url: `${address}/request` }, retry },
    { id: "own", http: { url: `${address}/own`, headers: { Traceparent: own } } },
  ];
  for (const job of jobs) {
    await peer.ask("POST", "/v1/jobs", job);
    await peer.ask("POST", `/v1/jobs/${job.id}/run`, {});
  }
  const written = await until("the command is repeated", 30_000, () => {
    const lines = readFileSync(file, "utf8").trim().split("\n");
    return lines.length === 2 ? lines : undefined;
  });
  judge(written);
  judge(
    await until("the request is repeated", 30_000, () => {
      const spans = received.get("/request");
      return spans?.length === 2 ? spans : undefined;
    }),
  );
  await until("the job's own header is sent", 30_000, () => received.has("/own"));
  assert.deepEqual(received.get("/own"), [own]);
});
