/** Channels of notices over HTTP. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { call, fakeApi, type FakeApi } from "./kit/fake-api.ts";
import { selfId } from "./kit/fake-control.ts";

const slack = { type: "slack", url: "https://hooks.example.org/services/T0/B0/secret" };

async function put(fake: FakeApi, name: string, body: unknown) {
  return call(fake, { method: "PUT", url: `/v1/channels/${name}`, body });
}

function stored(fake: FakeApi, name: string): unknown {
  return fake.control.roots.get("channels")?.get(name);
}

test("a channel is made, listed, read and removed", async () => {
  const fake = fakeApi();
  const made = await put(fake, "ops", slack);
  assert.equal(made.statusCode, 201, made.body);
  assert.deepEqual(stored(fake, "ops"), slack);
  assert.equal((await put(fake, "ops", slack)).statusCode, 200);
  const list = await call(fake, { url: "/v1/channels" });
  assert.deepEqual(list.json().items, [made.json()]);
  assert.deepEqual(made.json(), {
    name: "ops",
    type: "slack",
    url: "https://hooks.example.org/…",
    usedBy: [],
    lastMessage: null,
    problems: [],
  });
  const gone = await call(fake, { method: "DELETE", url: "/v1/channels/ops" });
  assert.equal(gone.statusCode, 204);
  assert.equal((await call(fake, { url: "/v1/channels/ops" })).json().code, "CHANNEL_NOT_FOUND");
});

test("a secret is never shown, and stays when the channel is written back as it was read", async () => {
  const fake = fakeApi();
  const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
  await put(fake, "hook", { type: "webhook", url: "https://example.org/a?token=x", secret });
  const read = (await call(fake, { url: "/v1/channels/hook" })).json();
  assert.ok(!JSON.stringify(read).includes("MfKQ9r8") && !JSON.stringify(read).includes("token"));
  const back = await put(fake, "hook", { ...read, description: "new" });
  assert.equal(back.statusCode, 200, back.body);
  assert.deepEqual(stored(fake, "hook"), {
    type: "webhook",
    url: "https://example.org/a?token=x",
    secret,
    description: "new",
  });
  const other = await put(fake, "hook", { ...read, secret: undefined, url: "https://example.org/b" });
  assert.equal(other.statusCode, 200, other.body);
  assert.deepEqual(stored(fake, "hook"), { type: "webhook", url: "https://example.org/b" });
});

test("a channel that names secrets is kept and shown with their names", async () => {
  const fake = fakeApi();
  const named = { type: "slack", url: { name: "SLACK_URL" }, mesh: ["peer-dead"], link: "https://c.example" };
  const made = await put(fake, "ops", named);
  assert.equal(made.statusCode, 201, made.body);
  const { type, url, mesh, link } = made.json();
  assert.deepEqual({ type, url, mesh, link }, named);
  assert.deepEqual(stored(fake, "ops"), named);
  assert.equal((await put(fake, "ops", made.json())).statusCode, 200);
  assert.deepEqual(stored(fake, "ops"), named);
});

test("a channel that names a secret which no peer has is taken, with a warning, and shows the problem until one has it", async () => {
  const fake = fakeApi();
  const named = { type: "telegram", chat: "1", secret: { name: "BOT_TOKEN" } };
  const made = await put(fake, "ops", named);
  assert.equal(made.statusCode, 201, made.body);
  const message = "no peer has the secret BOT_TOKEN, so nothing can be sent: `cicada secrets set BOT_TOKEN`";
  assert.deepEqual(made.json().warnings, [message]);
  assert.deepEqual(made.json().problems, [{ pointer: "/secret/name", message }]);
  const sealed = { version: 1, keys: { [selfId]: "k" } };
  fake.control.settingValues.set("secrets", new Map([["BOT_TOKEN", sealed]]));
  const [read] = (await call(fake, { url: "/v1/channels" })).json().items;
  assert.deepEqual(read.problems, []);
  assert.equal((await put(fake, "ops", named)).json().warnings, undefined);
});

test("a hidden part of another type's channel is not taken over", async () => {
  const fake = fakeApi();
  await put(fake, "ops", { type: "telegram", chat: "1", secret: "bot" });
  const answer = await put(fake, "ops", { type: "slack", url: "…" });
  assert.deepEqual(answer.json().errors, [
    { pointer: "/url", message: "an address begins with https:// or http://" },
  ]);
});

describe("what is no channel is refused with the place, and nothing changes", () => {
  const cases: Readonly<Record<string, { body: unknown; pointer: string; message: RegExp }>> = {
    "no object": { body: [], pointer: "", message: /a channel is an object/ },
    "an unknown type": { body: { type: "pager" }, pointer: "/type", message: /one of: webhook, email/ },
    "a misspelt field": { body: { ...slack, urls: "x" }, pointer: "/urls", message: /did you mean "url"/ },
    "a missing field": { body: { type: "slack" }, pointer: "/url", message: /the url is missing/ },
    "another address": { body: { type: "slack", url: "ftp://x" }, pointer: "/url", message: /https:/ },
    "a secret that signs nothing": {
      body: { type: "webhook", url: "https://x", secret: "abc" },
      pointer: "/secret",
      message: /whsec_/,
    },
    "a mail server without a scheme": {
      body: { type: "email", server: "mail:25", from: "a@b.c", to: ["d@e.f"] },
      pointer: "/server",
      message: /smtp:\/\/HOST:PORT/,
    },
    "a receiver that is no address": {
      body: { type: "email", server: "smtp://m:25", from: "a@b.c", to: ["d@e.f", "x\r\nBcc: y@z.w"] },
      pointer: "/to/1",
      message: /is not an e-mail address/,
    },
    "an event that the mesh doesn't have": {
      body: { ...slack, mesh: ["disk", "peer-ded"] },
      pointer: "/mesh/1",
      message: /"peer-ded" is not one of: peer-dead, .*did you mean "peer-dead"/,
    },
    "an address that was hidden where it was read": {
      body: { ...slack, url: "https://hooks.example.org/…" },
      pointer: "/url",
      message: /was hidden when it was shown: write the whole address/,
    },
    "a link that is none": { body: { ...slack, link: "page" }, pointer: "/link", message: /https:/ },
    "a password in an address": {
      body: { type: "gotify", url: "https://me:pass@push.example.org", secret: "token-1" },
      pointer: "/url",
      message: /an address can't contain a name or a password/,
    },
    "a token in an address that is shown": {
      body: { type: "ntfy", url: "https://ntfy.example.org/ops?auth=x" },
      pointer: "/url",
      message: /because it is shown: put a token into secret/,
    },
    "a secret's name that is none": {
      body: { type: "slack", url: { name: "my secret" } },
      pointer: "/url/name",
      message: /letters, digits and _/,
    },
    "no receiver": {
      body: { type: "email", server: "smtp://m:25", from: "a@b.c", to: [] },
      pointer: "/to",
      message: /1 to 32 addresses/,
    },
  };
  for (const [what, { body, pointer, message }] of Object.entries(cases)) {
    test(what, async () => {
      const fake = fakeApi();
      const answer = await put(fake, "ops", body);
      assert.equal(answer.statusCode, 422, answer.body);
      assert.equal(answer.json().code, "INVALID_CHANNEL");
      const found = answer.json().errors.find((one: { pointer: string }) => one.pointer === pointer);
      assert.match(found?.message ?? "", message, answer.body);
      assert.equal(stored(fake, "ops"), undefined);
    });
  }

  test("a name that is none", async () => {
    const answer = await put(fakeApi(), "Ops!", slack);
    assert.deepEqual(answer.json().errors[0].pointer, "/name");
  });
});

test("a channel that jobs use is removed only by force", async () => {
  const fake = fakeApi();
  await put(fake, "ops", slack);
  const job = { id: "backup", command: "ls", notify: [{ on: ["failed"], to: ["ops"] }] };
  await call(fake, { method: "POST", url: "/v1/jobs", body: job });
  assert.deepEqual((await call(fake, { url: "/v1/channels/ops" })).json().usedBy, ["backup"]);
  const refused = await call(fake, { method: "DELETE", url: "/v1/channels/ops" });
  assert.equal(refused.statusCode, 409);
  assert.match(refused.json().detail, /"ops" is used by backup/);
  const forced = await call(fake, { method: "DELETE", url: "/v1/channels/ops?force=true" });
  assert.equal(forced.statusCode, 204);
});

test("a job that notifies a channel that isn't there is accepted, with a warning, and shows the problem", async () => {
  const fake = fakeApi();
  const job = { id: "backup", command: "ls", notify: [{ on: ["failed"], to: ["ops", "opps"] }] };
  await put(fake, "ops", slack);
  const made = await call(fake, { method: "POST", url: "/v1/jobs", body: job });
  assert.equal(made.statusCode, 201);
  const message = 'there is no channel "opps", so nothing is sent there';
  assert.deepEqual(made.json().warnings, [message]);
  assert.deepEqual(made.json().problems, [{ code: "NO_CHANNEL", pointer: "/notify/0/to/1", message }]);
});

test("a job that notifies of long runs without saying when a run is long is accepted, with a warning", async () => {
  const fake = fakeApi();
  const job = { id: "backup", command: "ls", notify: [{ on: ["failed", "long"], to: ["ops"] }] };
  await put(fake, "ops", slack);
  const made = await call(fake, { method: "POST", url: "/v1/jobs", body: job });
  const message = "without longAfter, no run of the job counts as long, so that notice is never sent";
  assert.deepEqual(made.json().warnings, [message]);
  assert.deepEqual(made.json().problems, [{ code: "NO_LONG_AFTER", pointer: "/notify/0/on", message }]);
  const mended = await call(fake, {
    method: "PATCH",
    url: "/v1/jobs/backup",
    body: { longAfter: "auto" },
  });
  assert.deepEqual(mended.json().problems, []);
});

test("a test says whether the channel took the notice", async () => {
  const fake = fakeApi();
  await put(fake, "ops", slack);
  const url = "/v1/channels/ops/test";
  const taken = await call(fake, { method: "POST", url });
  assert.deepEqual(taken.json(), { delivered: true });
  assert.deepEqual(fake.control.tested, [{ channel: slack, name: "ops", by: "admin@alpha" }]);
  fake.control.delivered = { ok: false, isFinal: true, why: "hooks.example.org answered 404: no_team" };
  const refused = await call(fake, { method: "POST", url });
  assert.equal(refused.statusCode, 502);
  assert.match(refused.json().detail, /answered 404: no_team/);
  assert.equal((await call(fake, { method: "POST", url: "/v1/channels/none/test" })).statusCode, 404);
});

test("the list shows how the last message went", async () => {
  const fake = fakeApi();
  await put(fake, "ops", slack);
  fake.control.healths.set("ops", { at: 0, ok: false, error: "no answer" });
  const { items } = (await call(fake, { url: "/v1/channels" })).json();
  assert.deepEqual(items[0].lastMessage, { at: "1970-01-01T00:00:00.000Z", ok: false, error: "no answer" });
});

test("a channel of a later version is shown with its problem and without its fields", async () => {
  const fake = fakeApi();
  fake.control.roots.set("channels", new Map([["pager", { type: "pager", key: "hidden-value" }]]));
  const read = await call(fake, { url: "/v1/channels/pager" });
  assert.equal(read.json().type, "pager");
  assert.match(read.json().problems[0].message, /the type is one of/);
  assert.ok(!read.body.includes("hidden-value"));
});
