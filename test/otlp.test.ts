/** Runs as spans: to where, in which form, and what happens while the collector fails; then a real peer and its command. */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, beforeEach, describe, test } from "node:test";
import type { PeerEvent } from "../src/ports/control.ts";
import { Otlp, waitingMax } from "../src/real/otlp.ts";
import { spanOf } from "../src/real/otlp/spans.ts";
import { otlpTarget } from "../src/real/otlp/target.ts";
import type { JobId, PeerId, TickId } from "../src/schema/ids.ts";
import type { RunRecord } from "../src/schema/run.ts";
import { Cluster, until } from "./kit/cluster.ts";
import { keepingLog, type LoggedLine } from "./kit/mesh-world.ts";

function sentTo(env: Record<string, string>) {
  const target = otlpTarget(env);
  assert.ok(target !== undefined && "url" in target);
  return target;
}

describe("the endpoint", () => {
  test("none is given: nothing is sent", () => {
    assert.equal(otlpTarget({}), undefined);
    assert.equal(otlpTarget({ OTEL_EXPORTER_OTLP_ENDPOINT: " " }), undefined);
    const url = "http://otel:4318";
    assert.equal(otlpTarget({ OTEL_EXPORTER_OTLP_ENDPOINT: url, OTEL_SDK_DISABLED: "true" }), undefined);
    assert.equal(otlpTarget({ OTEL_EXPORTER_OTLP_ENDPOINT: url, OTEL_TRACES_EXPORTER: "none" }), undefined);
  });

  test("a base gets the path of traces, and what is given for traces alone is taken as it is", () => {
    assert.equal(
      sentTo({ OTEL_EXPORTER_OTLP_ENDPOINT: "http://otel:4318/" }).url,
      "http://otel:4318/v1/traces",
    );
    assert.equal(sentTo({ OTEL_EXPORTER_OTLP_ENDPOINT: "http://otel/a" }).url, "http://otel/a/v1/traces");
    const both = {
      OTEL_EXPORTER_OTLP_ENDPOINT: "http://otel:4318",
      OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "https://traces.example/in",
      OTEL_EXPORTER_OTLP_HEADERS: "authorization=Bearer%20abc, x-team = ops ,broken",
      OTEL_RESOURCE_ATTRIBUTES: "service.name=ours,deployment.environment=prod",
    };
    assert.deepEqual(sentTo(both), {
      url: "https://traces.example/in",
      headers: { authorization: "Bearer abc", "x-team": "ops" },
      timeoutMs: 10_000,
      serviceName: "ours",
      attributes: { "deployment.environment": "prod" },
    });
    assert.equal(sentTo({ ...both, OTEL_SERVICE_NAME: "cron" }).serviceName, "cron");
  });

  test("one that is no address is refused by its name, and for grpc the answer is that it is not spoken", () => {
    assert.throws(() => otlpTarget({ OTEL_EXPORTER_OTLP_ENDPOINT: "otel:4318" }), {
      code: "BAD_SETTING",
      message: /OTEL_EXPORTER_OTLP_ENDPOINT.*http/,
    });
    const grpc = otlpTarget({
      OTEL_EXPORTER_OTLP_ENDPOINT: "http://otel:4317",
      OTEL_EXPORTER_OTLP_PROTOCOL: "grpc",
    });
    assert.ok(grpc !== undefined && "unsupported" in grpc);
    assert.match(grpc.unsupported, /4318/);
  });
});

const self = "12D3KooWAAAAAAAADEm4Gy1e" as PeerId;
function ended(fields: Partial<RunRecord> = {}): RunRecord {
  return {
    kind: "run",
    job: "backup" as JobId,
    tick: "2026-11-20T02:00:00Z" as TickId,
    attempt: 1,
    slot: "0",
    peer: self,
    state: "succeeded",
    trigger: "schedule",
    startedAt: 1_763_604_000_000.25,
    finishedAt: 1_763_604_002_500,
    exitCode: 0,
    ...fields,
  } as RunRecord;
}

test("a span has the run's instants to the ns, its outcome and its names", () => {
  const span = spanOf(ended({ state: "failed", exitCode: 3, reason: "exit code 3" }));
  assert.equal(span?.name, "backup");
  assert.match(span.traceId, /^[0-9a-f]{32}$/);
  assert.match(span.spanId, /^[0-9a-f]{16}$/);
  assert.equal(span.startTimeUnixNano, "1763604000000250000");
  assert.equal(span.endTimeUnixNano, "1763604002500000000");
  assert.deepEqual(span.status, { code: 2, message: "exit code 3" });
  const values = Object.fromEntries(span.attributes.map(({ key, value }) => [key, value]));
  assert.deepEqual(values["cicada.run"], { stringValue: "backup@2026-11-20T02:00:00Z~1@DEm4Gy1e" });
  assert.deepEqual(values["process.exit.code"], { intValue: "3" });
  assert.ok(!("cicada.signal" in values));
  assert.deepEqual(spanOf(ended())?.status, { code: 1 });
  assert.deepEqual(spanOf(ended({ state: "cancelled" }))?.status, { code: 0 });
  const skipped = ended({ state: "skipped" });
  delete skipped.startedAt;
  assert.equal(spanOf(skipped), undefined, "it never began");
});

function minute(index: number): TickId {
  return new Date(Date.UTC(2026, 10, 20) + index * 60_000).toISOString().replace(".000Z", "Z") as TickId;
}

interface Received {
  resourceSpans: {
    resource: { attributes: { key: string; value: { stringValue: string } }[] };
    scopeSpans: { scope: { name: string }; spans: NonNullable<ReturnType<typeof spanOf>>[] }[];
  }[];
}

/** A collector on loopback that answers what the test says, and keeps what it was sent. */
class Collector {
  readonly bodies: Received[] = [];
  readonly headers: Record<string, unknown>[] = [];
  status = 200;
  answer = "{}";
  /** its answers have no end */
  isEndless = false;
  readonly #server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => {
      this.headers.push({ ...request.headers, url: request.url });
      if (this.status === 200) this.bodies.push(JSON.parse(Buffer.concat(parts).toString()) as Received);
      response.writeHead(this.status, { "content-type": "application/json" });
      if (this.isEndless) response.write(this.answer.repeat(100_000));
      else response.end(this.answer);
    });
  });

  async open(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  spans(): NonNullable<ReturnType<typeof spanOf>>[] {
    return this.bodies.flatMap(({ resourceSpans }) =>
      resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans)),
    );
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

describe("sending", () => {
  let collector: Collector;
  let url: string;
  before(async () => {
    collector = new Collector();
    url = `${await collector.open()}/v1/traces`;
  });
  beforeEach(() => {
    collector.bodies.length = 0;
    collector.status = 200;
    collector.answer = "{}";
    collector.isEndless = false;
  });
  after(() => collector.close());

  /** An exporter whose clock the test moves: `ring` fires the alarm that is set. */
  function stage() {
    const alarms: (() => void)[] = [];
    const pauses: number[] = [];
    const clock = {
      now: () => ({ mono: 0, wall: 0 }) as never,
      alarm: (at: number, ring: () => void) => {
        pauses.push(at);
        alarms.push(ring);
        return () => void alarms.splice(alarms.indexOf(ring), 1);
      },
    };
    const lines: LoggedLine[] = [];
    const target = {
      url,
      headers: { "x-team": "ops" },
      timeoutMs: 5_000,
      serviceName: "cron",
      attributes: {},
    };
    const otlp = new Otlp({
      target,
      self: { id: self, name: "ada" },
      host: "vm",
      version: "1",
      clock,
      log: keepingLog(lines),
    });
    const listeners: ((event: PeerEvent) => void)[] = [];
    const close = otlp.open({
      subscribe: (listener) => {
        listeners.push(listener);
        return () => undefined;
      },
    });
    const moved = (record: RunRecord) => listeners.forEach((listener) => listener({ kind: "run", record }));
    const ring = () => alarms.shift()?.();
    return { otlp, moved, ring, close, lines, pauses };
  }

  test("own runs that have ended are sent once, together, with who sends them", async () => {
    const { otlp, moved, ring } = stage();
    moved(ended({ state: "running" }));
    moved(ended({ peer: "12D3KooWanother" as PeerId }));
    moved(ended());
    moved(ended());
    moved(ended({ tick: minute(1) }));
    ring();
    await until("it is sent", 10_000, () => otlp.counters()["otlp_sent"] === 2);
    assert.equal(collector.bodies.length, 1);
    const [sent] = collector.bodies[0]?.resourceSpans ?? [];
    const resource = Object.fromEntries(
      (sent?.resource.attributes ?? []).map(({ key, value }) => [key, value.stringValue]),
    );
    assert.deepEqual(resource, {
      "host.name": "vm",
      "service.name": "cron",
      "service.version": "1",
      "service.instance.id": self,
      "cicada.peer": "ada",
    });
    const headers = collector.headers.at(-1);
    assert.equal(headers?.["content-type"], "application/json");
    assert.equal(headers?.["x-team"], "ops");
    assert.equal(headers?.["url"], "/v1/traces");
    assert.deepEqual(otlp.warnings(), []);
  });

  test("an answer without an end is not read to its end", async () => {
    const { otlp, moved, ring } = stage();
    collector.isEndless = true;
    moved(ended());
    ring();
    await until("it is sent", 10_000, () => otlp.counters()["otlp_sent"] === 1);
    assert.deepEqual(otlp.warnings(), []);
  });

  test("while the collector is overloaded the same spans are tried again, later and later; it is logged once", async () => {
    const { otlp, moved, ring, lines, pauses } = stage();
    collector.status = 503;
    moved(ended());
    for (const tries of [1, 2, 3]) {
      ring();
      await until("it has failed", 10_000, () => pauses.length === tries + 1);
    }
    assert.deepEqual(pauses, [5_000, 2_000, 4_000, 8_000]);
    assert.deepEqual(
      lines.map(({ message, fields }) => [message, fields["why"]]),
      [["spans can't be sent", "it answered 503"]],
    );
    assert.match(
      otlp.warnings()[0] ?? "",
      /spans of runs can't be sent to 127\.0\.0\.1:\d+: it answered 503/,
    );
    collector.status = 200;
    ring();
    await until("it is sent", 10_000, () => otlp.counters()["otlp_sent"] === 1);
    assert.deepEqual(otlp.warnings(), []);
    assert.equal(collector.spans().length, 1);
    assert.equal(otlp.counters()["otlp_lost"], 0);
  });

  test("what the collector refuses is counted as lost, and not sent again", async () => {
    const { otlp, moved, ring } = stage();
    collector.status = 400;
    moved(ended());
    ring();
    await until("it is lost", 10_000, () => otlp.counters()["otlp_lost"] === 1);
    collector.status = 200;
    collector.answer = JSON.stringify({ partialSuccess: { rejectedSpans: "1", errorMessage: "too old" } });
    moved(ended({ tick: minute(1) }));
    moved(ended({ tick: minute(2) }));
    ring();
    await until("one of two is lost", 10_000, () => otlp.counters()["otlp_lost"] === 2);
    assert.equal(otlp.counters()["otlp_sent"], 1);
  });

  test("no more spans wait than there is room for", async () => {
    const { otlp, moved, close } = stage();
    collector.status = 503;
    for (let index = 0; index < waitingMax + 600; index++) moved(ended({ tick: minute(index) }));
    const lost = otlp.counters()["otlp_lost"] ?? 0;
    assert.ok(lost > 0 && lost <= 600, String(lost));
    await close();
  });

  test("at a clean stop what waits is sent", async () => {
    const { otlp, moved, close } = stage();
    moved(ended());
    await close();
    assert.equal(otlp.counters()["otlp_sent"], 1);
  });
});

test("a real peer sends each run as the span that its command was told of", async (context) => {
  const collector = new Collector();
  const endpoint = await collector.open();
  context.after(() => collector.close());
  await using cluster = new Cluster();
  const [peer] = await cluster.mesh(["ada"], [], { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint });
  assert.ok(peer);
  await peer.ask("POST", "/v1/jobs", { id: "told", command: 'echo "$TRACEPARENT"; exit 3' });
  await peer.ask("POST", "/v1/jobs/told/run", {});
  const span = await until("the span is sent", 30_000, () => collector.spans()[0]);
  const traceparent = (await peer.call("GET", "/v1/runs/told/log")).text.trim();
  assert.equal(traceparent, `00-${span.traceId}-${span.spanId}-01`);
  assert.equal(span.status.code, 2);
  const metrics = await until("it is counted", 30_000, async () => {
    const { text } = await peer.call("GET", "/metrics");
    return /cicada_otlp_sent_total\S* 1$/m.test(text) ? text : undefined;
  });
  assert.match(metrics, /cicada_otlp_lost_total\S* 0$/m);
});
