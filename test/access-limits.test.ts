/** Callers with good tokens have shares: no viewer, and no number of viewers, shuts out an admin. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { Agent, get, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { test, type TestContext } from "node:test";
import { socketLimits } from "../src/api/http/sockets.ts";
import { accessStage } from "./kit/access-stage.ts";
import { token as ownToken } from "./kit/fake-api.ts";

const few = { ...socketLimits, all: 16, strangers: 12, strangersPerAddress: 6, others: 9, perCaller: 6 };

async function open(t: TestContext) {
  const hosts: string[] = [];
  const stage = await accessStage({ socketLimits: few, hosts: () => hosts });
  await stage.api.listen({ host: "127.0.0.1", port: 0 });
  t.after(() => stage.api.close());
  const { port } = stage.api.server.address() as AddressInfo;
  hosts.push(`127.0.0.1:${port}`);
  /** An answer to one request on a socket of its own, or the code of the socket's error. */
  const ask = async (token: string, path: string): Promise<IncomingMessage | string> => {
    const agent = new Agent({ keepAlive: true });
    t.after(() => agent.destroy());
    const asked = get({
      host: "127.0.0.1",
      port,
      path,
      agent,
      headers: { authorization: `Bearer ${token}` },
    });
    return new Promise((resolve) => {
      asked.once("response", (response) => resolve(response));
      asked.once("error", (error: Error & { code?: string }) => resolve(error.code ?? error.message));
    });
  };
  const status = async (token: string, path = "/v1/me"): Promise<number | string | undefined> => {
    const answer = await ask(token, path);
    if (typeof answer === "string") return answer;
    answer.resume();
    await once(answer, "end");
    return answer.statusCode;
  };
  return { stage, ask, status };
}

test("a viewer's idle sockets make room for its next; with all of them busy, it waits and others don't", async (t) => {
  const { stage, ask, status } = await open(t);
  const viewer = stage.tokenFor("viewer").text;
  for (let i = 0; i < 2 * few.perCaller; i++) assert.equal(await status(viewer), 200);
  const streams = [];
  for (let i = 0; i < few.perCaller; i++) streams.push(await ask(viewer, "/v1/events"));
  assert.ok(streams.every((one) => typeof one !== "string" && one.statusCode === 200));
  assert.equal(await status(viewer), 429);
  assert.equal(await status(stage.tokenFor("viewer").text), 200);
  assert.equal(await status(ownToken), 200);
});

test("however many viewers hold all the places that they get, an admin is answered", async (t) => {
  const { stage, ask, status } = await open(t);
  for (let i = 0; i < 4; i++) {
    const viewer = stage.tokenFor("viewer").text;
    for (let j = 0; j < few.perCaller; j++) await ask(viewer, "/v1/events");
  }
  assert.equal(await status(stage.tokenFor("viewer").text), 429);
  assert.equal(await status(ownToken), 200);
  assert.equal(await status(stage.tokenFor("admin").text, "/v1/tokens"), 200);
});

test("wrong tokens from the admin's own address don't keep the admin out", async (t) => {
  const { status } = await open(t);
  for (let i = 0; i < 70; i++) await status(`guess-${i}`);
  assert.equal(await status("guess"), 429);
  assert.equal(await status(ownToken), 200);
});

test("requests that one caller sends all at once begin one by one, so that another caller's request comes in between", async () => {
  const stage = await accessStage();
  const greedy = stage.tokenFor("viewer").text;
  const ended: string[] = [];
  const ask = async (who: string, bearer: string): Promise<void> => {
    assert.equal((await stage.as(bearer, { url: "/v1/me" })).statusCode, 200);
    ended.push(who);
  };
  const asked = Array.from({ length: 50 }, () => ask("greedy", greedy));
  await Promise.all([...asked, ask("other", ownToken)]);
  assert.ok(ended.indexOf("other") < 10, `it was number ${ended.indexOf("other") + 1} of ${ended.length}`);
});
