/**
 * Who belongs to the mesh, against a member that lies: which statements about membership count, what a refusal at the
 * door proves, what an earlier version's unsigned statements mean, and that nothing in the table can take a counted
 * statement back.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { stretch } from "../src/core/members/members-state.ts";
import { judgeStatements, type StatementFacts } from "../src/core/operator/membership-rule.ts";
import { epochBytes, hashOfEpoch } from "../src/core/voting/roster.ts";
import { notReady } from "../src/core/operator/readiness.ts";
import { viewOf } from "../src/core/view.ts";
import { isSigned, statementOf, type MembershipStatement } from "../src/schema/membership.ts";
import type { PeerId } from "../src/schema/ids.ts";
import { Cores, signedBy, statementBy } from "./kit/cores.ts";
import { membershipBytes } from "../src/schema/membership.ts";

const second = 1_000;
const minute = 60 * second;
const by = "ops";
const [a, b, c, d] = ["a", "b", "c", "d"] as [PeerId, PeerId, PeerId, PeerId];

const forget = (signer: PeerId, peer: PeerId, at: number) =>
  statementBy(signer, { peer, forgotten: true, at });
const unforget = (signer: PeerId, peer: PeerId, at: number) =>
  statementBy(signer, { peer, forgotten: false, at });

function unsigned(statement: MembershipStatement): MembershipStatement {
  return { ...statement, signer: undefined, signature: undefined };
}

function holds(statement: MembershipStatement): boolean {
  const bytes = membershipBytes(statement);
  return (
    isSigned(statement) && bytes !== undefined && statement.signature === signedBy(statement.signer, bytes)
  );
}

const facts: StatementFacts = {
  self: a,
  now: 100 * minute,
  isKnown: (peer) => peer !== "stranger",
  hasCounted: () => false,
  isSignatureGood: (statement) => holds(statement),
};

/** The peers that are forgotten, and why statements don't count. */
function judged(...statements: readonly MembershipStatement[]): [string, string] {
  const { deciding, refused } = judgeStatements(statements, facts);
  const forgotten = [...deciding.values()].filter((statement) => statement.forgotten).map(({ peer }) => peer);
  return [forgotten.toSorted().join(""), refused.map(({ why }) => why).join()];
}

describe("a statement about membership", () => {
  test("counts with the signature of a member, and the latest one decides, in whatever order they come", () => {
    const statements = [forget(b, c, 1), unforget(a, c, 2), forget(b, c, 3)];
    assert.deepEqual(judged(...statements), ["c", ""]);
    assert.deepEqual(judged(...statements.toReversed()), ["c", ""]);
    assert.deepEqual(judged(...statements.slice(0, 2)), ["", ""]);
  });

  const cases: readonly (readonly [what: string, statement: MembershipStatement, why: string])[] = [
    ["without a signature", unsigned(forget(b, c, 1)), "unsigned"],
    ["with the signature of another statement", { ...forget(b, c, 1), at: 2 }, "forged"],
    ["about another peer than was signed", { ...forget(b, d, 1), peer: c }, "forged"],
    ["with another's signature", { ...forget(d, c, 1), signer: b }, "forged"],
    [
      "with a field that was added later by another one",
      { ...forget(b, c, 1), more: 1 } as MembershipStatement,
      "forged",
    ],
    ["by a stranger", forget("stranger" as PeerId, c, 1), "unknown"],
    ["from the future", forget(b, c, 200 * minute), "ahead"],
    ["of a peer about itself, to be taken in elsewhere", unforget(c, c, 1), "itself"],
    ["of a peer about itself, to be forgotten", forget(c, c, 1), "itself"],
    ["from a time at which its signer was forgotten", forget(b, c, 5), "silenced"],
  ];
  for (const [what, statement, why] of cases) {
    test(`${what} changes nothing`, () => {
      const before = why === "silenced" ? [forget(d, b, 4)] : [];
      assert.deepEqual(judged(...before, statement), [before.length === 0 ? "" : "b", why]);
    });
  }

  test("with a time that no calendar has is not accepted", () => {
    for (const at of [-1e300, 1e300, NaN])
      assert.equal(statementOf(c, { at, by: "x", name: "x", forgotten: true }), undefined);
  });

  test("counts with the fields of a later version, which are signed too", () => {
    const said = { peer: c, forgotten: true, at: 1, reason: { level: 3 } };
    assert.deepEqual(judged(statementBy(b, said)), ["c", ""]);
  });

  test("that has counted goes on counting when this peer's clock is set back to before it", () => {
    const back = judgeStatements([forget(b, c, 50 * minute)], {
      ...facts,
      now: -minute,
      hasCounted: () => true,
    });
    assert.equal(back.deciding.get(c)?.forgotten, true);
    const cores = new Cores(["a", "b", "c"]);
    cores.ask("a", { kind: "forget-peer", peer: "c", by });
    cores.pass(10 * second);
    cores.setClock("a", -86_400 * second);
    cores.say(b, unsigned(forget(b, d, 1)));
    cores.pass(10 * second);
    assert.equal(forgottenAt(cores, a), "c");
  });

  test("of a peer about itself lets that peer carry on, and only there", () => {
    const statements = [forget(b, a, 1), unforget(a, a, 2)];
    assert.deepEqual(judged(...statements), ["", ""]);
    const elsewhere = judgeStatements(statements, { ...facts, self: c });
    assert.equal(elsewhere.deciding.get(a)?.forgotten, true);
  });

  test("stays in force when its signer is forgotten later, and of two that forget each other the first one wins", () => {
    assert.deepEqual(judged(forget(b, c, 1), forget(d, b, 2)), ["bc", ""]);
    assert.deepEqual(judged(forget(d, b, 2), forget(b, d, 1)), ["d", "silenced"]);
  });
});

function reasons(cores: Cores, peer: PeerId): string {
  return notReady(cores.state(peer))
    .map(({ code }) => code)
    .join();
}

function words(cores: Cores, peer: PeerId): string {
  return notReady(cores.state(peer))
    .map(({ message }) => message)
    .join("\n");
}

function warnings(cores: Cores, peer: PeerId): string {
  return viewOf(cores.state(peer), cores.state(peer).now, new Map(), [], {}).warnings.join("\n");
}

function forgottenAt(cores: Cores, peer: PeerId): string {
  return [...cores.state(peer).operator.forgotten.keys()].toSorted().join("");
}

const beat = { id: "beat", schedule: "@every 5s", command: "true", overlap: "allow" } as const;

test("a drained peer says with which command it takes ticks again, name included", () => {
  const cores = new Cores(["a", "b"]);
  cores.ask("a", { kind: "drain-peer", peer: "b", on: true, by });
  cores.pass(second);
  assert.match(words(cores, b), /`cicada peers undrain host-b`/);
});

describe("a forget", () => {
  test("without a signature is shown as refused and changes no deciding; asked for again by a person, it is in force", () => {
    const cores = new Cores(["a", "b", "c"]);
    cores.put(beat);
    cores.say(a, unsigned(forget(b, c, cores.wall(1))));
    cores.pass(minute);
    for (const peer of [a, b, c]) {
      assert.equal(forgottenAt(cores, peer), "");
      assert.equal(reasons(cores, peer), "");
      assert.match(
        warnings(cores, peer),
        /forget host-c.*no peer has signed it.*`cicada peers forget host-c`/,
      );
    }
    assert.ok(cores.starts.some(({ peer }) => peer === c));
    assert.equal(cores.state(c).voting.voter.barredThrough, -1);
    cores.ask("b", { kind: "forget-peer", peer: "c", by });
    cores.pass(10 * second);
    assert.deepEqual(
      [a, b].map((peer) => forgottenAt(cores, peer)),
      ["c", "c"],
    );
    assert.equal(reasons(cores, c), "forgotten");
    assert.match(words(cores, c), /`cicada peers unforget host-c`/);
    assert.equal(warnings(cores, a), "");
  });

  test("that was undone is not in force again when a member writes it once more", () => {
    const cores = new Cores(["a", "b", "c"]);
    cores.ask("a", { kind: "forget-peer", peer: "c", by });
    cores.pass(10 * second);
    const [old] = cores.statementsAt("a");
    assert.ok(old);
    cores.ask("a", { kind: "unforget-peer", peer: "c", by });
    cores.pass(10 * second);
    const barred = cores.state(c).voting.voter.barredThrough;
    cores.say(b, { ...old });
    cores.turnAway(b, c, old);
    cores.pass(10 * second);
    for (const peer of [a, b, c]) assert.equal(forgottenAt(cores, peer), "");
    assert.equal(reasons(cores, c), "");
    assert.equal(cores.state(c).voting.voter.barredThrough, barred);
  });

  test("whose check comes late, behind a flood of statements, leaves the peer as quick as it was", () => {
    const cores = new Cores(["a", "b", "c"]);
    cores.ask("a", { kind: "forget-peer", peer: "c", by });
    cores.pass(10 * second);
    const forged = Array.from({ length: 250 }, (_, n) => ({ ...forget(b, `x${n}` as PeerId, 1), at: 2 }));
    cores.overwrite(c, [...forged, unforget(a, c, cores.wall(cores.now))]);
    cores.pass(5 * second);
    assert.equal(reasons(cores, c).includes("forgotten"), false);
    assert.equal(stretch(cores.state(c)), 1, "a heartbeat that is sent at once is no wake-up that came late");
  });

  test("can't be taken back by writing over it in the table, not even with the forgotten peer's own signature", () => {
    const cores = new Cores(["a", "b", "c"]);
    cores.ask("a", { kind: "forget-peer", peer: "c", by });
    cores.pass(10 * second);
    const kept = [...cores.state(a).operator.membership.kept.values()];
    cores.overwrite(a, [
      unforget(c, c, cores.wall(cores.now)),
      unsigned(unforget(b, c, cores.wall(cores.now))),
    ]);
    cores.pass(10 * second);
    assert.equal(forgottenAt(cores, a), "c");
    assert.match(warnings(cores, a), /unforget .*no peer has signed it/);
    cores.kill("a");
    cores.up(a, { keptMembership: kept });
    cores.pass(10 * second);
    assert.equal(forgottenAt(cores, a), "c", "after a restart, too");
    assert.ok(
      cores.statementsAt("a").some((statement) => statement.signature === kept[0]?.signature),
      "and one member has written it again",
    );
    const writes = cores.statementsAt("a").length;
    cores.pass(10 * minute);
    assert.equal(cores.statementsAt("a").length, writes, "once");
  });

  test("counts although another member floods the table with statements, and no step checks more than a hundred of them", () => {
    const cores = new Cores(["a", "b", "c", "d"]);
    const junk = Array.from({ length: 3_000 }, (_, number) => ({
      ...forget(d, `x${number}` as PeerId, number),
      signature: "junk",
    }));
    let most = 0;
    let checks = 0;
    cores.beforeStep = () => (checks = 0);
    for (const peer of [a, b]) {
      const { settings } = cores.state(peer);
      const verify = settings.verifyText.bind(settings);
      Object.assign(settings, {
        verifyText: (...args: Parameters<typeof verify>) => {
          most = Math.max(most, ++checks);
          return verify(...args);
        },
      });
    }
    cores.overwrite(a, junk);
    cores.overwrite(b, junk);
    cores.ask("a", { kind: "forget-peer", peer: "c", by });
    cores.pass(minute);
    assert.deepEqual(
      [a, b].map((peer) => forgottenAt(cores, peer)),
      ["c", "c"],
    );
    assert.ok(most >= 100 && most <= 110, `${most} checks in one step`);
  });
});

describe("a flood of statements that a member signs one by one", () => {
  test("costs a judgement or two in a second, and a write for each statement", () => {
    const cores = new Cores(["a", "b"]);
    const statements: MembershipStatement[] = [];
    let refusals = 0;
    cores.onEffect = (peer, effect) => {
      if (peer === a && effect.kind === "refuse") refusals++;
    };
    const before = cores.storedWrites;
    for (let number = 0; number < 200; number++) {
      statements.push(forget(b, `x${number}` as PeerId, cores.wall(cores.now)));
      cores.overwrite(a, [...statements]);
      cores.pass(20);
    }
    cores.pass(5 * second);
    assert.equal(forgottenAt(cores, a).split("x").length - 1, 200);
    assert.ok(refusals < 12, `${refusals} new lists for the mesh in four seconds`);
    assert.ok(cores.storedWrites - before < 450, `${cores.storedWrites - before} writes`);
  });
});

describe("a refusal at the door", () => {
  test("without a person's signed statement is shown and changes nothing, in this life and the next", () => {
    const cores = new Cores(["a", "b", "c"]);
    cores.put(beat);
    for (const statement of [
      undefined,
      unsigned(forget(b, c, 1)),
      forget(b, d, 1),
      { ...forget(b, c, 1), at: 2 },
    ]) {
      cores.turnAway(b, c, statement);
      cores.pass(second);
      assert.equal(reasons(cores, c), "");
      assert.match(warnings(cores, c), /host-b turns this peer away as forgotten.*changes nothing/);
    }
    assert.equal(cores.state(c).voting.voter.barredThrough, -1);
    const before = cores.starts.filter(({ peer }) => peer === c).length;
    cores.pass(2 * minute);
    assert.ok(cores.starts.filter(({ peer }) => peer === c).length > before);
    assert.equal(warnings(cores, c), "", "it fades");
  });

  test("with a statement that a known member has signed stops the peer, even if that member has gone", () => {
    const cores = new Cores(["a", "b", "c"]);
    cores.kill("a");
    cores.turnAway(b, c, forget(a, c, cores.wall(cores.now)));
    cores.pass(second);
    assert.equal(reasons(cores, c), "forgotten");
  });
});

/** The roster of a, and an epoch after it that the peer forced and signed, as a member sends it to a; returns the voters that a knows then. */
function votersAfterForced(cores: Cores, forcer: PeerId): readonly PeerId[] {
  const { chain } = cores.state(a).voting.roster;
  const last = chain.at(-1);
  assert.ok(last);
  const epoch = {
    number: last.number + 1,
    voters: [b],
    from: last.from + minute,
    previous: hashOfEpoch(last),
    forced: { by: forcer, signature: "" },
  };
  const forced = { by: forcer, signature: signedBy(forcer, epochBytes(epoch)) };
  const epochs = [...chain, { ...epoch, forced, signatures: {} }];
  cores.feed(a, { kind: "heard", from: b, message: { kind: "roster", epochs } });
  return cores.state(a).voting.roster.chain.at(-1)?.voters ?? [];
}

function withVoters(): Cores {
  const cores = new Cores(["a", "b", "c", "d"]);
  cores.ask("a", { kind: "promote-peer", peer: "c", by });
  cores.pass(10 * second);
  return cores;
}

describe("a roster that was forced", () => {
  test("by a peer that was forgotten, or by a stranger, takes nobody's vote; by a member it is in force", () => {
    const cores = withVoters();
    cores.ask("a", { kind: "forget-peer", peer: "d", by });
    cores.pass(10 * second);
    const { voters } = cores.state(a).voting.roster.chain.at(-1) ?? {};
    assert.deepEqual(votersAfterForced(cores, "stranger" as PeerId), voters);
    assert.deepEqual(votersAfterForced(cores, d), voters);
    assert.deepEqual(votersAfterForced(cores, b), [b]);
  });

  test("by a peer that was forgotten since is taken over by one that joins later", () => {
    const cores = withVoters();
    votersAfterForced(cores, d);
    cores.pass(10 * second);
    cores.ask("b", { kind: "forget-peer", peer: "d", by });
    cores.pass(10 * second);
    cores.up("e" as PeerId);
    cores.pass(10 * second);
    const digest = cores.state(a).voting.roster.digest;
    assert.equal(cores.state("e").voting.roster.digest, digest);
  });
});

describe("what an earlier version has written without a signature", () => {
  const old = [unsigned(forget(b, c, 1)), unsigned(forget(b, d, 1)), unsigned(unforget(b, d, 2))];

  test("before this version first started is in force, signed by this peer, and proved at its door and to peers that join later", () => {
    const cores = new Cores(["a", "b"]);
    cores.kill("a");
    cores.up(a, { membership: old, keptMembership: "none" });
    cores.pass(10 * second);
    assert.equal(forgottenAt(cores, a), "c");
    cores.up(c);
    cores.pass(10 * second);
    assert.equal(reasons(cores, c), "forgotten", "it was away, and is shown the statement");
    assert.equal(forgottenAt(cores, b), "c", "from the table");
    cores.kill("a");
    cores.up(a, { membership: old, keptMembership: cores.keptBy(a) });
    cores.pass(10 * second);
    assert.equal(forgottenAt(cores, a), "c");
  });

  test("after that is refused, in both directions, until a person repeats it at a peer of this version", () => {
    const cores = new Cores(["a", "b", "c"]);
    cores.kill("a");
    cores.up(a, { keptMembership: "none" });
    for (const statement of old) cores.say(b, statement);
    cores.pass(10 * second);
    assert.equal(forgottenAt(cores, a), "");
    assert.match(warnings(cores, a), /forget host-c/);
    cores.ask("a", { kind: "forget-peer", peer: "c", by });
    cores.pass(10 * second);
    assert.equal(forgottenAt(cores, a), "c");
    cores.say(b, unsigned(unforget(b, c, cores.wall(cores.now))));
    cores.pass(10 * second);
    assert.equal(forgottenAt(cores, a), "c");
  });
});
