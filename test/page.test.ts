/** The dashboard as it is served: its files, that they follow their content security policy, and how large they are. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { gunzipSync } from "node:zlib";
import { call, fakeApi, host, token } from "./kit/fake-api.ts";

async function served(url: string, headers: Record<string, string> = {}) {
  const answer = await fakeApi().api.inject({ method: "GET", url, headers: { host, ...headers } });
  assert.equal(answer.statusCode, 200, url);
  return answer;
}

/** The addresses of the files that the page and its scripts load. */
async function assets(): Promise<string[]> {
  const found = new Set<string>();
  const look = async (url: string): Promise<void> => {
    const { body } = await served(url);
    for (const [name] of body.matchAll(/(?<=["'/.])[\w-]+-[\w-]{8}\.(?:js|css)/g)) {
      const asset = `/assets/${name}`;
      if (found.has(asset)) continue;
      found.add(asset);
      await look(asset);
    }
  };
  await look("/");
  return [...found];
}

test("the address of every view is answered with the page, without a token", async () => {
  const { body } = await served("/");
  for (const url of [
    "/jobs",
    "/jobs/backup",
    "/jobs/backup?tab=ticks",
    "/new?from=backup",
    "/runs",
    "/runs/backup%402026-11-29T02%3A00%3A00Z",
  ]) {
    const answer = await served(url);
    assert.equal(answer.body, body, url);
    assert.equal(answer.headers["content-type"], "text/html; charset=utf-8");
    assert.equal(answer.headers["cache-control"], "no-cache");
  }
});

test("an address that isn't there is answered with the page for a browser, and with a problem for a script", async () => {
  const { body } = await served("/");
  const asBrowser = { accept: "text/html,application/xhtml+xml,*/*;q=0.8" };
  const { api } = fakeApi();
  for (const url of ["/nothing", "/docs/nothing/more", "/job/backup?tab=ticks"]) {
    const answer = await api.inject({ url, headers: { host, ...asBrowser } });
    assert.equal(answer.statusCode, 404, url);
    assert.equal(answer.body, body, url);
    assert.equal(answer.headers["content-type"], "text/html; charset=utf-8");
    const authorization = `Bearer ${token}`;
    const withToken = await api.inject({ url, headers: { host, ...asBrowser, authorization } });
    assert.equal(withToken.statusCode, 404, url);
    assert.equal(withToken.json<{ code: string }>().code, "NOT_FOUND");
  }
  const headers = { host, ...asBrowser };
  assert.equal((await api.inject({ url: "/v1/nothing", headers })).statusCode, 401);
  assert.equal((await api.inject({ method: "POST", url: "/nothing", headers })).statusCode, 401);
});

test("its files are kept by browsers for good, because their names change with their content", async () => {
  const found = await assets();
  assert.ok(found.length >= 3, found.join());
  for (const url of found) {
    const answer = await served(url);
    assert.match(String(answer.headers["content-type"]), /^text\/(css|javascript); charset=utf-8$/);
    assert.match(String(answer.headers["cache-control"]), /immutable/);
    assert.equal(answer.headers["x-content-type-options"], "nosniff");
    const zipped = await served(url, { "accept-encoding": "gzip, br" });
    assert.equal(zipped.headers["content-encoding"], "gzip");
    assert.equal(gunzipSync(zipped.rawPayload).toString(), answer.body);
  }
  const { api } = fakeApi();
  assert.equal((await api.inject({ url: "/assets/gone-12345678.js", headers: { host } })).statusCode, 404);
});

test("all of it together is smaller than 100 kB as it is sent", async () => {
  const sizes = await Promise.all(
    ["/", ...(await assets())].map(
      async (url) => (await served(url, { "accept-encoding": "gzip" })).rawPayload.length,
    ),
  );
  const total = sizes.reduce((sum, size) => sum + size, 0);
  assert.ok(total < 100_000, `${total} bytes`);
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
  assert.doesNotMatch(html, /\sstyle=|\son[a-z]+=|<style|<script(?![^>]*\ssrc="\/assets\/)/);
  for (const url of ["/", ...(await assets())]) {
    const { body } = await served(url);
    assert.doesNotMatch(body, /(?:src|href|import|fetch|EventSource)[=( ]*["'`]https?:|@import|url\(/, url);
    assert.doesNotMatch(body, /insertAdjacentHTML|document\.write|\beval\(|new Function\(/, url);
  }
});

test("no rule of the style is about the neighbour of any element: each element put into a view would restyle all after it", async () => {
  const sheets = (await assets()).filter((url) => url.endsWith(".css"));
  assert.ok(sheets.length > 0);
  for (const url of sheets) assert.doesNotMatch((await served(url)).body, /[\s>,{}]\*\s*[+~]/, url);
});

test("the sign of the page shows how many jobs are in trouble", async () => {
  assert.doesNotMatch((await served("/icon.svg")).body, /<text/);
  const { body, headers } = await served("/icon.svg?failing=3");
  assert.match(body, />3<\/text>/);
  assert.equal(headers["content-type"], "image/svg+xml");
  assert.match((await served("/icon.svg?failing=1234")).body, />99<\/text>/);
});

test("a browser without a session that opens the documentation is sent to log in first, and then back", async () => {
  const { api } = fakeApi();
  const answer = await api.inject({ url: "/docs/", headers: { host, accept: "text/html,*/*" } });
  assert.equal(answer.statusCode, 302);
  assert.equal(answer.headers["location"], "/?back=%2Fdocs%2F");
  const program = await api.inject({ url: "/docs/", headers: { host, accept: "application/json" } });
  assert.equal(program.statusCode, 401);
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
