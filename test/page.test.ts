/** The page at `/` as it is served: its three files, their policy, and that they keep to it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { call, fakeApi, host } from "./kit/fake-api.ts";

async function served(url: string) {
  const answer = await fakeApi().api.inject({ method: "GET", url, headers: { host } });
  assert.equal(answer.statusCode, 200, url);
  return answer;
}

test("the page and its files are served to anybody, each as what it is", async () => {
  for (const [url, type] of [
    ["/", "text/html; charset=utf-8"],
    ["/page.css", "text/css; charset=utf-8"],
    ["/page.js", "text/javascript; charset=utf-8"],
    ["/icon.svg", "image/svg+xml"],
  ] as const) {
    const answer = await served(url);
    assert.equal(answer.headers["content-type"], type);
    assert.equal(answer.headers["x-content-type-options"], "nosniff");
    assert.ok(answer.body.length > 100);
  }
});

test("the policy lets the page load its own files alone, run nothing inline, and be framed by nobody", async () => {
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

test("the page holds nothing inline, loads nothing from elsewhere, and builds no markup from text", async () => {
  const { body: html } = await served("/");
  assert.doesNotMatch(html, /\sstyle=|\son[a-z]+=|<style|<script(?![^>]*\ssrc="\/page\.js")/);
  for (const url of ["/", "/page.js", "/page.css"]) {
    const { body } = await served(url);
    assert.doesNotMatch(body, /https?:\/\/(?!www\.w3\.org)|@import|url\(/, url);
    assert.doesNotMatch(body, /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(/, url);
  }
});

test("every part that the script asks for is in the page", async () => {
  const { body: html } = await served("/");
  const { body: script } = await served("/page.js");
  const asked = new Set([...script.matchAll(/(?:part|fill)\("([a-z-]+)"/g)].map(([, id]) => id));
  assert.ok(asked.size > 10);
  for (const id of asked) assert.ok(html.includes(`id="${id}"`), id);
});

test("tables have headings with a scope, inputs have labels, and the language is said", async () => {
  const { body: html } = await served("/");
  assert.match(html, /<html lang="en">/);
  const headings = [...html.matchAll(/<th\b[^>]*>/g)].map(([tag]) => tag);
  assert.ok(headings.length > 10);
  for (const tag of headings) assert.match(tag, /scope="col"/);
  for (const [, id] of html.matchAll(/<input\s+id="([a-z]+)"/g)) {
    assert.ok(html.includes(`<label for="${id}">`), id);
  }
});

test("the API's documentation is served under a policy as strict, but for its icons", async () => {
  const fake = fakeApi();
  const answer = await call(fake, { url: "/docs" });
  assert.equal(answer.statusCode, 200);
  const policy = String(answer.headers["content-security-policy"]);
  assert.match(policy, /script-src 'self';/);
  assert.match(policy, /style-src 'self';/);
  assert.doesNotMatch(policy, /unsafe|https:/);
  const scripts = [...answer.body.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, url]) => url ?? "");
  assert.ok(scripts.length >= 5);
  for (const url of scripts) {
    assert.equal((await call(fake, { url: new URL(url, "http://peer/docs").pathname })).statusCode, 200, url);
  }
});
