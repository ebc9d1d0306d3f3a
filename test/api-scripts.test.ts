/** Scripts over HTTP. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { scriptName } from "../src/core/checks/script.ts";
import { scriptCapBytes } from "../src/schema/script.ts";
import { call, fakeApi } from "./kit/fake-api.ts";

const bytes = Buffer.from([0xff, 0xfe, 0x00, 0x0a, 0x7b]);
const sha256 = scriptName(bytes);

function put(fake: ReturnType<typeof fakeApi>, body: Buffer, type = "application/octet-stream") {
  return call(fake, { method: "PUT", url: "/v1/scripts", body, headers: { "content-type": type } });
}

test("a script is stored as the bytes that were sent, whatever they and their type are, and read back", async () => {
  const fake = fakeApi();
  const first = await put(fake, bytes);
  assert.deepEqual([first.statusCode, first.json()], [201, { sha256, bytes: bytes.length }]);
  assert.equal(first.headers["location"], `/v1/scripts/${sha256}`);
  const again = await put(fake, bytes, "application/json");
  assert.deepEqual([again.statusCode, again.json()], [200, { sha256, bytes: bytes.length }]);
  const read = await call(fake, { url: `/v1/scripts/${sha256}` });
  assert.equal(read.headers["content-type"], "application/octet-stream");
  assert.deepEqual(read.rawPayload, bytes);
  const json = Buffer.from('{"a": 1}');
  assert.equal((await put(fake, json, "application/json")).json().sha256, scriptName(json));
});

test("a script that is empty or larger than 1 MiB is refused", async () => {
  const fake = fakeApi();
  assert.equal((await put(fake, Buffer.alloc(0))).statusCode, 422);
  assert.equal((await put(fake, Buffer.alloc(scriptCapBytes))).statusCode, 201);
  const large = await put(fake, Buffer.alloc(scriptCapBytes + 1));
  assert.deepEqual([large.statusCode, large.json().code], [413, "BODY_TOO_LARGE"]);
  assert.equal(fake.control.scripts.size, 1);
});

test("a script that no peer has is not found, and an invalid name is refused", async () => {
  const fake = fakeApi();
  const missing = await call(fake, { url: `/v1/scripts/${sha256}` });
  assert.deepEqual([missing.statusCode, missing.json().code], [404, "SCRIPT_NOT_FOUND"]);
  const wrong = await call(fake, { url: "/v1/scripts/abc" });
  assert.deepEqual([wrong.statusCode, wrong.json().code], [400, "BAD_REQUEST"]);
  assert.match(wrong.json().errors[0].message, /64 hex digits/);
});

test("a script is taken only from a caller with a token", async () => {
  const fake = fakeApi();
  const headers = { "content-type": "application/octet-stream", authorization: "Bearer wrong" };
  const answer = await call(fake, { method: "PUT", url: "/v1/scripts", body: bytes, headers });
  assert.equal(answer.statusCode, 401);
  assert.equal(fake.control.scripts.size, 0);
});
