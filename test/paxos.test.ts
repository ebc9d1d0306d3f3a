import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  accept,
  compareBallots,
  hearReply,
  majorityOf,
  promise,
  newProposal,
  type Ballot,
  type Proposal,
  type Vote,
} from "../src/core/voting/paxos.ts";
import type { PeerId } from "../src/schema/ids.ts";

const peers = (count: number): PeerId[] => Array.from({ length: count }, (_, i) => `p${i}` as PeerId);
const ballot = (round: number, peer = "p0"): Ballot => ({ round, peer: peer as PeerId, incarnation: 1 });

test("a majority is more than half", () => {
  assert.deepEqual([1, 2, 3, 4, 5].map(majorityOf), [1, 2, 2, 3, 3]);
});

test("after a promise a voter refuses every lower ballot", () => {
  const { vote } = promise<string>(undefined, ballot(5));
  assert.equal(promise(vote, ballot(4)).reply.kind, "refused");
  assert.equal(accept(vote, ballot(4), "x").reply.kind, "refused");
  assert.equal(accept(vote, ballot(5), "x").reply.kind, "accepted");
});

test("a proposer proposes the value that a voter has accepted before, not its own", () => {
  const proposal = newProposal(peers(3), ballot(9), "mine");
  const accepted = { ballot: ballot(3), value: "theirs" };
  hearReply(proposal, "p0" as PeerId, { kind: "promised", ballot: ballot(9), accepted: undefined });
  const outcome = hearReply(proposal, "p1" as PeerId, {
    kind: "promised",
    ballot: ballot(9),
    accepted,
  });
  assert.deepEqual(outcome, { kind: "propose", value: "theirs" });
});

test("a reply from a non-voter, a reply to another ballot and a repeated reply don't count", () => {
  const proposal = newProposal(peers(3), ballot(9), "mine");
  const yes = { kind: "promised", ballot: ballot(9), accepted: undefined } as const;
  hearReply(proposal, "p0" as PeerId, yes);
  for (const [from, reply] of [
    ["stranger", yes],
    ["p0", yes],
    ["p1", { ...yes, ballot: ballot(8) }],
  ] as const) {
    assert.equal(hearReply(proposal, from as PeerId, reply).kind, "waiting");
  }
});

interface Wire {
  to: PeerId;
  /** its place in the list of proposals */
  proposal: number;
  step: "prepare" | "accept";
}

/**
 * Several proposers, each of which tries several times, over a network that loses, repeats and reorders messages, with
 * voters that forget nothing. All choices that any proposer sees must be the same.
 */
function runCouncil(
  voters: number,
  seeds: readonly number[],
  options: { forgetful?: boolean } = {},
): Set<string> {
  const votes = new Map<PeerId, Vote<string>>();
  const proposals: Proposal<string>[] = [];
  const letters: Wire[] = [];
  const chosen = new Set<string>();
  const broadcast = (proposal: number, kind: Wire["step"]): void => {
    for (const to of peers(voters)) letters.push({ to, proposal, step: kind });
  };
  for (const seed of seeds) {
    const action = seed % 7;
    if (action === 0) {
      const proposer = `c${Math.floor(seed / 7) % 3}`;
      proposals.push(newProposal(peers(voters), ballot(proposals.length + 1, proposer), `${proposer}-value`));
      broadcast(proposals.length - 1, "prepare");
      continue;
    }
    if (letters.length === 0) continue;
    const place = Math.floor(seed / 7) % letters.length;
    const letter = letters[place];
    assert.ok(letter);
    if (action !== 1) letters.splice(place, 1);
    if (action === 2) continue;
    const proposal = proposals[letter.proposal];
    assert.ok(proposal);
    if (letter.step === "accept" && proposal.value === undefined) continue;
    const known = options.forgetful === true && action === 3 ? undefined : votes.get(letter.to);
    const { vote, reply } =
      letter.step === "prepare"
        ? promise(known, proposal.ballot)
        : accept(known, proposal.ballot, proposal.value ?? "");
    votes.set(letter.to, vote);
    const outcome = hearReply(proposal, letter.to, reply);
    if (outcome.kind === "propose") broadcast(letter.proposal, "accept");
    if (outcome.kind === "chosen") chosen.add(outcome.value);
  }
  return chosen;
}

const council = fc.tuple(
  fc.constantFrom(1, 2, 3, 4, 5),
  fc.array(fc.nat(100_000), { minLength: 50, maxLength: 400 }),
);

test("whatever is lost, repeated or reordered, no two values are ever chosen", () => {
  let decided = 0;
  fc.assert(
    fc.property(council, ([voters, seeds]) => {
      const chosen = runCouncil(voters, seeds);
      decided += chosen.size;
      assert.ok(chosen.size <= 1, `chosen: ${[...chosen].join(", ")}`);
    }),
    { numRuns: 2_000 },
  );
  assert.ok(decided > 200, `the property is not empty: ${decided} councils chose a value`);
});

test("with voters that forget their promises two values can be chosen, so the property can fail", () => {
  const found = fc.check(
    fc.property(council, ([voters, seeds]) => runCouncil(voters, seeds, { forgetful: true }).size <= 1),
    { numRuns: 20_000 },
  );
  assert.ok(found.failed);
});

test("ballots are totally ordered", () => {
  const any = fc.record({
    round: fc.nat(3),
    peer: fc.constantFrom("a", "b", "c").map((id) => id as PeerId),
    incarnation: fc.nat(2),
  });
  fc.assert(
    fc.property(any, any, (a, b) => {
      assert.equal(Math.sign(compareBallots(a, b)) + Math.sign(compareBallots(b, a)), 0);
      assert.equal(compareBallots(a, b) === 0, JSON.stringify(a) === JSON.stringify(b));
    }),
  );
});
