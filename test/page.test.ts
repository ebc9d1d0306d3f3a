/** The page at `/` as it is served: its files, and that they follow their content security policy. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { call, fakeApi, host } from "./kit/fake-api.ts";

/** The page's scripts are plain JavaScript, without types. */
interface PageRefreshing {
  start(): void;
  stop(): void;
  soon(): void;
}
type NewRefreshing = new (
  act: () => Promise<void>,
  limits: { atMostEveryMs: number; atLeastEveryMs: number },
) => PageRefreshing;

const scripts = ["ask", "elements", "output", "page", "refreshing", "rows", "words"];

async function served(url: string) {
  const answer = await fakeApi().api.inject({ method: "GET", url, headers: { host } });
  assert.equal(answer.statusCode, 200, url);
  return answer;
}

test("the page and its files are served without a token, each with the right type", async () => {
  for (const [url, type] of [
    ["/", "text/html; charset=utf-8"],
    ["/page.css", "text/css; charset=utf-8"],
    ...scripts.map((name) => [`/${name}.js`, "text/javascript; charset=utf-8"] as const),
    ["/icon.svg", "image/svg+xml"],
  ] as const) {
    const answer = await served(url);
    assert.equal(answer.headers["content-type"], type);
    assert.equal(answer.headers["x-content-type-options"], "nosniff");
    assert.ok(answer.body.length > 100);
  }
});

test("the policy lets the page load only its own files, run nothing inline, and be framed nowhere", async () => {
  const answer = await served("/");
  const policy = String(answer.headers["content-security-policy"]).split(";");
  for (const rule of [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ]) {
    assert.ok(policy.includes(rule), rule);
  }
  assert.ok(!policy.join().includes("unsafe"));
});

test("the page has nothing inline, loads nothing from elsewhere, and builds no markup from text", async () => {
  const { body: html } = await served("/");
  assert.doesNotMatch(html, /\sstyle=|\son[a-z]+=|<style|<script(?![^>]*\ssrc="\/page\.js")/);
  for (const url of ["/", "/page.css", ...scripts.map((name) => `/${name}.js`)]) {
    const { body } = await served(url);
    assert.doesNotMatch(body, /https?:\/\/(?!www\.w3\.org)|@import|url\(/, url);
    assert.doesNotMatch(body, /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(/, url);
  }
});

test("every element that the scripts look up is in the page", async () => {
  const { body: html } = await served("/");
  const texts = await Promise.all(scripts.map(async (name) => (await served(`/${name}.js`)).body));
  const asked = new Set(
    [...texts.join("\n").matchAll(/(?:part|new Rows)\("([a-z-]+)"/g)].map(([, id]) => id),
  );
  assert.ok(asked.size > 10);
  for (const id of asked) assert.ok(html.includes(`id="${id}"`), id);
});

test("tables have headings with a scope, inputs have labels, and the page names its language", async () => {
  const { body: html } = await served("/");
  assert.match(html, /<html lang="en">/);
  const headings = [...html.matchAll(/<th\b[^>]*>/g)].map(([tag]) => tag);
  assert.ok(headings.length > 10);
  for (const tag of headings) assert.match(tag, /scope="col"/);
  for (const [, id] of html.matchAll(/<input\s+id="([a-z]+)"/g)) {
    assert.ok(html.includes(`<label for="${id}">`), id);
  }
});

test("a browser without a session that opens the documentation is sent to log in first, and then back", async () => {
  const { api } = fakeApi();
  const answer = await api.inject({ url: "/docs/", headers: { host, accept: "text/html,*/*" } });
  assert.equal(answer.statusCode, 302);
  assert.equal(answer.headers["location"], "/?back=%2Fdocs%2F");
  const program = await api.inject({ url: "/docs/", headers: { host, accept: "application/json" } });
  assert.equal(program.statusCode, 401);
});

test("the page refreshes about once a second however many events come, and from time to time without any", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  const url = new URL("../src/ui/refreshing.js", import.meta.url).href;
  const { Refreshing } = (await import(url)) as { Refreshing: NewRefreshing };
  let asked = 0;
  const refreshing = new Refreshing(async () => void (asked += 1), {
    atMostEveryMs: 800,
    atLeastEveryMs: 10_000,
  });
  const pass = async (ms: number, each: () => void = () => {}) => {
    for (let gone = 0; gone < ms; gone += 100) {
      each();
      t.mock.timers.tick(100);
      await Promise.resolve();
    }
  };
  refreshing.start();
  await pass(100);
  assert.equal(asked, 1, "at once");
  await pass(8_000, () => refreshing.soon());
  assert.ok(asked >= 9 && asked <= 12, `${asked} times in 8 s of 10 events a second`);
  const before = asked;
  await pass(9_000);
  assert.ok(asked - before <= 1, "quiet without events");
  await pass(3_000);
  const quiet = asked - before;
  assert.ok(quiet >= 1 && quiet <= 2, `${quiet} times in 12 s without an event`);
  refreshing.stop();
  refreshing.soon();
  await pass(20_000);
  assert.equal(asked - before, quiet, "not when it is stopped");
});

test("the API's documentation has the same strict policy, except for its icons", async () => {
  const fake = fakeApi();
  const answer = await call(fake, { url: "/docs" });
  assert.equal(answer.statusCode, 200);
  const policy = String(answer.headers["content-security-policy"]);
  assert.match(policy, /script-src 'self';/);
  assert.match(policy, /style-src 'self';/);
  assert.doesNotMatch(policy, /unsafe|https:/);
  const loaded = [...answer.body.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, url]) => url ?? "");
  assert.ok(loaded.length >= 5);
  for (const url of loaded) {
    assert.equal((await call(fake, { url: new URL(url, "http://peer/docs").pathname })).statusCode, 200, url);
  }
});
