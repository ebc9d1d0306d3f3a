import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  clusterFingerprint,
  formatClusterKey,
  founderIn,
  parseClusterKey,
  rotationIn,
} from "../src/identity/cluster-key.ts";
import { decodeJoin, encodeJoin } from "../src/identity/join.ts";
import { CicadaError } from "../src/errors.ts";
import { generateClusterKey, generatePeerKey, openKeys, peerIdOf } from "../src/real/keys.ts";
import type { PeerId } from "../src/schema/ids.ts";

const key = Uint8Array.from({ length: 32 }, (_, i) => i * 7);
const addresses = ["/ip4/10.0.0.5/tcp/7401", "/dns/a.example.org/tcp/7401"];

test("a join string gives back the key and the addresses that went in", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 32, maxLength: 32 }),
      fc.array(fc.stringMatching(/^\/[a-z0-9/.:]{1,60}$/), { maxLength: 8 }),
      (someKey, someAddresses) => {
        const text = encodeJoin({ key: someKey, addresses: someAddresses });
        assert.match(text, /^cicada-join-1:[\w-]+$/);
        assert.deepEqual(decodeJoin(`  ${text}\n`), { key: someKey, addresses: someAddresses });
      },
    ),
  );
});

test("a join string that was cut off anywhere, or has a wrong letter, is recognised", () => {
  const text = encodeJoin({ key, addresses });
  for (let length = 0; length < text.length; length++) {
    assert.equal(decodeJoin(text.slice(0, length)), undefined, `cut to ${length}`);
  }
  for (let at = "cicada-join-1:".length; at < text.length - 1; at++) {
    const other = text[at] === "A" ? "B" : "A";
    assert.equal(decodeJoin(text.slice(0, at) + other + text.slice(at + 1)), undefined, `letter ${at}`);
  }
});

test("any other text is not taken for a join string", () => {
  fc.assert(fc.property(fc.string(), (text) => decodeJoin(text) === undefined));
  assert.equal(decodeJoin("cicada-join-2:AAAA"), undefined);
});

test("a cluster key is read back from its text form unchanged", () => {
  const clusterKey = generateClusterKey();
  assert.deepEqual(parseClusterKey(formatClusterKey(clusterKey)), clusterKey);
});

test("a truncated, foreign or empty cluster key file is refused with BAD_KEY and a reason", () => {
  const text = formatClusterKey(key).trim();
  const cases: [string, RegExp][] = [
    ["", /empty/],
    ["-----BEGIN PRIVATE KEY-----", /begins with/],
    [text.slice(0, -1), /cut off/],
    [text.slice(0, 40), /cut off/],
    [`${text}AA`, /cut off/],
    [`${text}\nsecond line`, /cut off/],
  ];
  for (const [bad, reason] of cases) {
    assert.throws(
      () => parseClusterKey(bad),
      (error) => error instanceof CicadaError && error.code === "BAD_KEY" && reason.test(error.detail),
      bad,
    );
  }
});

test("a join string names its invitation, with or without a rotated key; those of earlier versions name none", () => {
  const invitation = { id: "1a2b3c4d", by: "12D3KooWalder" as PeerId };
  for (const more of [{}, { rotation: { mesh: "0123456789abcdef", madeAt: 5 } }]) {
    const join = { key, addresses, invitation, ...more };
    assert.deepEqual(decodeJoin(encodeJoin(join)), join);
    assert.deepEqual(decodeJoin(encodeJoin({ ...join, addresses: [] })), { ...join, addresses: [] });
  }
  assert.equal(decodeJoin(encodeJoin({ key, addresses }))?.invitation, undefined);
});

test("the file and the join string of a rotated key name its mesh and when it was made", () => {
  const rotation = { mesh: clusterFingerprint(key), madeAt: 1_763_683_200_000 };
  const text = formatClusterKey(key, "12D3KooWalder" as PeerId, rotation);
  assert.deepEqual(parseClusterKey(text), key);
  assert.deepEqual(rotationIn(text), rotation);
  assert.equal(founderIn(text), "12D3KooWalder");
  assert.equal(rotationIn(formatClusterKey(key)), undefined);
  assert.deepEqual(decodeJoin(encodeJoin({ key, addresses, rotation })), { key, addresses, rotation });
  assert.deepEqual(decodeJoin(encodeJoin({ key, addresses: [], rotation })), {
    key,
    addresses: [],
    rotation,
  });
});

test("a fingerprint names a cluster key by 16 hex digits", () => {
  assert.match(clusterFingerprint(key), /^[0-9a-f]{16}$/);
  assert.notEqual(clusterFingerprint(key), clusterFingerprint(generateClusterKey()));
});

test("a peer's signature can be verified by everyone who knows its id, and made by no other peer", () => {
  const ownKeys = openKeys({ peerKey: generatePeerKey(), mesh: "0123456789abcdef" });
  const other = openKeys({ peerKey: generatePeerKey(), mesh: "0123456789abcdef" });
  const bytes = Buffer.from("0 * * * *");
  const signature = ownKeys.sign(bytes);
  assert.ok(other.verify(ownKeys.self, bytes, signature));
  assert.ok(!other.verify(other.self, bytes, signature));
  assert.ok(!other.verify(ownKeys.self, Buffer.from("1 * * * *"), signature));
  assert.ok(!other.verify(ownKeys.self, bytes, signature.slice(1)));
  for (const stranger of ["", "nobody", "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N"]) {
    assert.ok(!other.verify(stranger as PeerId, bytes, signature), stranger);
  }
});

test("a peer key makes the same id each time, and a damaged one is refused", () => {
  const peerKey = generatePeerKey();
  assert.match(peerIdOf(peerKey), /^12D3KooW/);
  assert.equal(peerIdOf(peerKey), openKeys({ peerKey, mesh: "0123456789abcdef" }).self);
  const damaged = Uint8Array.from(peerKey, (byte, i) => (i === 40 ? byte ^ 1 : byte));
  for (const bad of [peerKey.slice(0, 63), damaged]) {
    assert.throws(
      () => peerIdOf(bad),
      (error) => error instanceof CicadaError && error.code === "BAD_KEY",
    );
  }
});
