/** The names of ticks that were asked for under a key: they are ticks by hand, and found again by the key alone. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { instantOf, isManual, tickIdPattern, ulid, type TickId } from "../src/schema/ids.ts";
import { keyedTick, ofTickKey, tickKeyOf } from "../src/schema/keyed-tick.ts";

const hashOf = (text: string) => createHash("sha256").update(text).digest();
const now = Date.parse("2026-11-20T02:00:00.123Z");

test("a key's tick is one by hand, at the time at which it was asked for, and says whose request it was", () => {
  const key = tickKeyOf(hashOf("key"), hashOf("request"));
  const tick = keyedTick(now, key);
  assert.match(tick, new RegExp(tickIdPattern));
  assert.ok(isManual(tick));
  assert.equal(instantOf(tick), now);
  assert.equal(ofTickKey(tick, key), "same");
  assert.equal(ofTickKey(keyedTick(now + 86_400_000, key), key), "same");
  assert.equal(ofTickKey(tick, tickKeyOf(hashOf("key"), hashOf("other"))), "other-request");
  assert.equal(ofTickKey(tick, tickKeyOf(hashOf("other"), hashOf("request"))), undefined);
  const byHand = `manual-${ulid(now, hashOf("random"))}` as TickId;
  assert.equal(ofTickKey(byHand, key), undefined);
  assert.equal(ofTickKey("2026-11-20T02:00:00Z" as TickId, key), undefined);
});
