/** Lists for which several callers ask at the same moment. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { CicadaError } from "../src/errors.ts";
import type { JobId, TickId } from "../src/schema/ids.ts";
import { accessStage, type Stage } from "./kit/access-stage.ts";
import { until } from "./kit/cluster.ts";

const url = "/v1/runs";
const tick = (minute: number) => `2026-11-20T01:0${minute}:00Z` as TickId;

interface Gated extends Stage {
  /** how often the runs were read */
  reads(): number;
  /** Resolves when so many requests have reached their route. */
  arrived(count: number): Promise<void>;
  /** Lets all reads pass from now on. */
  open(): void;
}

/** A peer whose runs are read, and then wait for the gate. */
async function gatedStage(): Promise<Gated> {
  const stage = await accessStage();
  const { control, api } = stage;
  const gate = Promise.withResolvers<void>();
  const read = control.history.bind(control);
  let reads = 0;
  control.history = async (query) => {
    reads += 1;
    const page = await read(query);
    await gate.promise;
    return page;
  };
  let requests = 0;
  api.addHook("preHandler", async () => {
    requests += 1;
  });
  return {
    ...stage,
    reads: () => reads,
    open: gate.resolve,
    async arrived(count) {
      await until(`${count} requests`, 30_000, () => requests >= count);
      // … and a turn later they wait for their list.
      await turn();
      await turn();
    },
  };
}

const ticksIn = (body: string): string[] => JSON.parse(body).items.map((run: { tick: string }) => run.tick);

test("those who ask while a list is made share the next one, which has what happened meanwhile", async () => {
  const stage = await gatedStage();
  const { text } = stage.tokenFor("viewer");
  const first = stage.as(text, { url });
  await stage.arrived(1);
  assert.equal(stage.reads(), 1);
  stage.control.record({ job: "in-a" as JobId, tick: tick(1) });
  const others = [1, 2, 3].map(() => stage.as(text, { url }));
  await stage.arrived(4);
  assert.equal(stage.reads(), 1, "one at a time");
  stage.open();
  assert.ok(!ticksIn((await first).body).includes(tick(1)));
  for (const answer of await Promise.all(others)) {
    assert.ok(ticksIn(answer.body).includes(tick(1)));
    assert.equal(answer.headers["x-total-count"], (await others[0])?.headers["x-total-count"]);
    assert.equal(answer.headers["content-type"], "application/json; charset=utf-8");
  }
  assert.equal(stage.reads(), 2);
});

test("a list is shared by callers that see the same, and by no others, and only if they ask for the same", async () => {
  const stage = await gatedStage();
  const tokens = [undefined, undefined, ["a"], ["a"], ["b"]].map((groups) =>
    stage.tokenFor("viewer", groups),
  );
  const asked = tokens.map(({ text }) => stage.as(text, { url }));
  const other = stage.as(tokens[0]?.text ?? "", { url: `${url}?limit=1` });
  await stage.arrived(6);
  assert.equal(stage.reads(), 4);
  stage.open();
  const jobs = (await Promise.all(asked)).map(({ body }) =>
    JSON.parse(body)
      .items.map((run: { job: string }) => run.job)
      .toSorted(),
  );
  assert.deepEqual(jobs, [["in-a", "in-b"], ["in-a", "in-b"], ["in-a"], ["in-a"], ["in-b"]]);
  assert.equal(JSON.parse((await other).body).items.length, 1);
});

test("a list that can't be made is refused to all who wait for it, and made anew for those who come later", async () => {
  const stage = await gatedStage();
  const { text } = stage.tokenFor("viewer");
  const read = stage.control.history.bind(stage.control);
  stage.control.history = () => Promise.reject(new CicadaError("DISK_FAILED", "the disk is gone"));
  const failed = await Promise.all([stage.as(text, { url }), stage.as(text, { url })]);
  assert.deepEqual(
    failed.map((answer) => answer.json().code),
    ["DISK_FAILED", "DISK_FAILED"],
  );
  stage.control.history = read;
  stage.open();
  assert.equal((await stage.as(text, { url })).statusCode, 200);
});
