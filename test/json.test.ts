/** Bodies are taken exactly as they were sent, or refused with the place of the fault; nothing in them is repaired. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { readJson } from "../src/schema/json.ts";
import { call, fakeApi } from "./kit/fake-api.ts";

const bytesOf = (text: string): Buffer => Buffer.from(text);
const latin1 = (text: string): Buffer => Buffer.from(text, "latin1");

for (const [what, bytes, detail] of [
  ["a byte that is not UTF-8", latin1('{"command":"caf\xe9"}'), /^line 1, byte 16 is not UTF-8$/],
  ["… in a later line", latin1('{\n "command":\n "\xff"}'), /^line 3, byte 3 is not UTF-8$/],
  ["a cut character at the end", latin1('"\xe2\x82'), /^line 1, byte [2-4] is not UTF-8$/],
  [
    "a key that is given twice",
    bytesOf('{"command":"a","id":"b","command":"c"}'),
    /^\/command is given twice$/,
  ],
  ["… deeper down", bytesOf('{"a":[0,{"b":1,"b":2}]}'), /^\/a\/1\/b is given twice$/],
  ["… once with an escape", bytesOf('{"ab":1,"\\u0061b":2}'), /^\/ab is given twice$/],
  ["half a surrogate pair", bytesOf('{"env":{"A":"x\\ud800"}}'), /^\/env\/A: half a surrogate pair/],
  ["… in a key", bytesOf('{"env":{"\\udc00":"x"}}'), /half a surrogate pair/],
  [
    "a key that would change the object",
    bytesOf('{"env":{"__proto__":"x"}}'),
    /^\/env\/__proto__: no key may be/,
  ],
  ["text behind the value", bytesOf('{"a":1} x'), /JSON/],
  ["endless nesting", bytesOf("[".repeat(100_000)), /JSON/],
  [
    "deep nesting that ends",
    bytesOf("[".repeat(101) + "]".repeat(101)),
    /^its lists and objects are nested more than 100 deep/,
  ],
  [
    "a long key that is given twice",
    bytesOf(`{"${"a".repeat(900)}":1,"${"a".repeat(900)}":1}`),
    /^\/a{199}… is/,
  ],
] as const) {
  test(`a body is refused with the place: ${what}`, () => {
    const read = readJson(bytes);
    assert.ok(!read.ok);
    assert.match(read.detail, detail);
  });
}

test("the same key may appear in different objects, and the same text as several values", () => {
  const text = `{"a":{"b":1},"c":{"b":2},"d":["a","a",{"a":"a"}],"e":${"[".repeat(99) + "]".repeat(99)}}`;
  assert.deepEqual(readJson(bytesOf(text)), { ok: true, text, value: JSON.parse(text) as unknown });
});

test("JSON that was written from a value is read back as that value", () => {
  fc.assert(
    fc.property(fc.jsonValue({ stringUnit: "binary" }), (value) => {
      const text = JSON.stringify(value);
      const read = readJson(bytesOf(text));
      // Keys and texts that are not Unicode, and __proto__, are refused; everything else is read as by JSON.parse.
      if (read.ok) assert.deepEqual(read.value, JSON.parse(text));
      else assert.match(read.detail, /surrogate|__proto__/);
    }),
  );
});

test("a job whose command isn't UTF-8, or is given twice, is not created", async () => {
  const fake = fakeApi();
  for (const body of [latin1('{"id":"a","command":"caf\xe9"}'), '{"id":"a","command":"x","command":"y"}']) {
    const answer = await call(fake, { method: "POST", url: "/v1/jobs", body });
    assert.deepEqual([answer.statusCode, answer.json().code], [400, "BAD_JSON"]);
  }
  assert.equal((await call(fake, { url: "/v1/jobs/a" })).statusCode, 404);
});
