/** Peers over the API: the list, and what a person can ask for. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { CicadaError } from "../src/errors.ts";
import { call, fakeApi } from "./kit/fake-api.ts";
import { otherId, selfId } from "./kit/fake-control.ts";

const post = (fake: ReturnType<typeof fakeApi>, url: string, body?: unknown) =>
  call(fake, { method: "POST", url, ...(body === undefined ? {} : { body }) });

test("the list shows who votes, the last epoch, and whether it was forced", async () => {
  const fake = fakeApi();
  fake.control.roster = { epoch: 3, voters: [selfId], from: 0, forced: [{ epoch: 3, by: selfId }] };
  const { roster, items } = (await call(fake, { url: "/v1/peers" })).json();
  assert.deepEqual(roster, {
    epoch: 3,
    voters: [selfId],
    from: "1970-01-01T00:00:00.000Z",
    forced: [{ epoch: 3, by: selfId }],
  });
  assert.deepEqual(
    items.map((peer: { voter: boolean }) => peer.voter),
    [true, false],
  );
});

test("a mesh without voters has no roster", async () => {
  const fake = fakeApi();
  fake.control.roster = undefined;
  assert.equal((await call(fake, { url: "/v1/peers" })).json().roster, null);
});

test("warnings are shown but leave a peer ready", async () => {
  const fake = fakeApi();
  fake.control.warnings = ["epoch 3 of the roster was forced"];
  const answer = await call(fake, { url: "/readyz?verbose" });
  assert.equal(answer.statusCode, 200);
  assert.deepEqual(answer.json().warnings, ["epoch 3 of the roster was forced"]);
});

describe("changing a peer", () => {
  test("promote, drain and undrain answer with the changed peer", async () => {
    const fake = fakeApi();
    assert.equal((await post(fake, `/v1/peers/${otherId}/promote`)).json().peer.voter, true);
    assert.equal((await post(fake, "/v1/peers/bravo/drain")).json().peer.drained, true);
    assert.equal((await post(fake, "/v1/peers/bravo/undrain")).json().peer.drained, false);
    assert.deepEqual(
      fake.control.commands.map(({ kind }) => kind),
      ["promote-peer", "drain-peer", "drain-peer"],
    );
  });

  test("a forgotten peer stays in the list and is marked as forgotten", async () => {
    const fake = fakeApi();
    const answer = await post(fake, "/v1/peers/bravo/forget", { force: true });
    assert.equal(answer.statusCode, 200);
    assert.equal(answer.json().peer.state, "forgotten");
    assert.deepEqual(fake.control.commands[0], {
      kind: "forget-peer",
      peer: "bravo",
      force: true,
      by: "admin@alpha",
    });
    const { items } = (await call(fake, { url: "/v1/peers" })).json();
    assert.deepEqual(
      items.map(({ id, state }: { id: string; state: string }) => [id, state]),
      [
        [selfId, "alive"],
        [otherId, "forgotten"],
      ],
    );
  });

  test("a forgotten peer that is taken in again is no longer in the list until it is back", async () => {
    const fake = fakeApi();
    await post(fake, "/v1/peers/bravo/forget", {});
    const answer = await post(fake, "/v1/peers/bravo/unforget");
    assert.equal(answer.statusCode, 200);
    assert.equal(answer.json().peer, null);
    assert.deepEqual(fake.control.commands[1], { kind: "unforget-peer", peer: "bravo", by: "admin@alpha" });
    const { items } = (await call(fake, { url: "/v1/peers" })).json();
    assert.deepEqual(
      items.map(({ id }: { id: string }) => id),
      [selfId],
    );
  });

  test("a forgotten peer that takes itself in again is told which members still refuse it, and what mends that", async () => {
    const fake = fakeApi();
    const answer = await post(fake, "/v1/peers/alpha/unforget");
    assert.equal(answer.statusCode, 200);
    const [warning = "", ...more] = answer.json().warnings;
    assert.match(warning, /^the other members \(bravo\) refuse this peer .*`cicada peers unforget alpha`/);
    assert.deepEqual(more, []);
    fake.control.members = fake.control.members.filter(({ self }) => self);
    const alone = await post(fake, "/v1/peers/alpha/unforget");
    assert.equal("warnings" in alone.json(), false);
  });

  test("an unknown peer is a 404, and a missing quorum is a 503 that says what to do", async () => {
    const fake = fakeApi();
    assert.equal((await post(fake, "/v1/peers/nobody/promote")).statusCode, 404);
    fake.control.refusal = new CicadaError("NO_QUORUM", "no majority of the 3 voters has agreed within 8 s");
    const answer = await post(fake, "/v1/peers/bravo/promote");
    assert.equal(answer.statusCode, 503);
    assert.equal(answer.json().code, "NO_QUORUM");
    assert.match(answer.json().hint, /forget NAME --force/);
  });

  test("an unknown field is refused by name", async () => {
    const fake = fakeApi();
    const answer = await post(fake, "/v1/peers/bravo/forget", { forced: true });
    assert.equal(answer.statusCode, 400);
    assert.match(answer.json().detail, /forced/);
    assert.deepEqual(fake.control.commands, []);
  });

  test("each call is in openapi.json", async () => {
    const fake = fakeApi();
    const { paths } = (await call(fake, { url: "/openapi.json" })).json();
    for (const action of ["confirm", "promote", "forget", "unforget", "drain", "undrain"]) {
      assert.ok(paths[`/v1/peers/{id}/${action}`]?.post, action);
    }
  });
});

describe("rotating the cluster key", () => {
  test("says which peers have the new key, and until when the old one is accepted", async () => {
    const fake = fakeApi();
    const before = Date.now();
    const answer = await post(fake, "/v1/key/rotate", { grace: "2h" });
    assert.equal(answer.statusCode, 200);
    const { fingerprint, oldAcceptedUntil, peers } = answer.json();
    assert.match(fingerprint, /^[0-9a-f]{16}$/);
    assert.ok(Date.parse(oldAcceptedUntil) >= before + 2 * 3_600_000);
    assert.deepEqual(peers, [{ id: otherId, name: "bravo", has: true }]);
  });

  test("accepts the old key for a day by default, for a minute if somebody is left out, and refuses an invalid duration", async () => {
    const fake = fakeApi();
    const by = "admin@alpha";
    await post(fake, "/v1/key/rotate");
    await post(fake, "/v1/key/rotate", { without: ["eve"] });
    assert.deepEqual(fake.control.commands, [
      { kind: "rotate-key", graceMs: 86_400_000, by },
      { kind: "rotate-key", graceMs: 60_000, without: ["eve"], by },
    ]);
    for (const grace of ["soon", "90", "-1h", "400d"]) {
      const answer = await post(fake, "/v1/key/rotate", { grace });
      assert.equal(answer.statusCode, 422, grace);
      assert.equal(answer.json().errors[0].pointer, "/grace");
    }
  });

  test("shows who would get the new key, and why some of them only if the caller says so", async () => {
    const fake = fakeApi();
    const answer = await call(fake, { url: "/v1/key" });
    assert.deepEqual(answer.json().peers, [
      {
        id: otherId,
        name: "bravo",
        state: "alive",
        joinedAt: null,
        invitation: null,
        confirmed: false,
        doubt: "no person has confirmed it",
      },
    ]);
  });

  test("passes on who is left out and who is accepted, and answers 409 with the members that are neither", async () => {
    const fake = fakeApi();
    const chosen = { without: ["eve"], accept: [otherId] };
    await post(fake, "/v1/key/rotate", { grace: "1h", ...chosen });
    const command = { kind: "rotate-key", graceMs: 3_600_000, ...chosen, by: "admin@alpha" };
    assert.deepEqual(fake.control.commands, [command]);
    const problems = [{ pointer: "/accept", message: "bravo: no person has confirmed it" }];
    fake.control.refusal = new CicadaError("UNCONFIRMED_PEERS", "1 of the members", problems);
    const answer = await post(fake, "/v1/key/rotate", {});
    assert.equal(answer.statusCode, 409);
    assert.equal(answer.json().code, "UNCONFIRMED_PEERS");
    assert.deepEqual(answer.json().errors, problems);
  });

  test("never shows a key", async () => {
    const fake = fakeApi();
    const answer = await post(fake, "/v1/key/rotate");
    assert.deepEqual(Object.keys(answer.json()).toSorted(), ["fingerprint", "oldAcceptedUntil", "peers"]);
  });
});
