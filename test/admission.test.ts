/**
 * Who came into the mesh and how, and whom a person has confirmed: the rule for confirmations, joins that every peer is
 * told of, and key rotations that ask for intruders first.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { confirmationBytes } from "../src/core/members/admission.ts";
import { meshSight } from "../src/core/operator/mesh-sight.ts";
import { heirsOf } from "../src/core/view.ts";
import { CicadaError } from "../src/errors.ts";
import { requestRotation } from "../src/peer/rotation-request.ts";
import type { Answer, Command } from "../src/ports/command.ts";
import type { Heir } from "../src/ports/control.ts";
import type { Confirmation } from "../src/schema/admission.ts";
import type { PeerId } from "../src/schema/ids.ts";
import { Cores, statementBy } from "./kit/cores.ts";

const second = 1_000;
const day = 86_400 * second;
const [a, b, c, d] = ["a", "b", "c", "d"] as [PeerId, PeerId, PeerId, PeerId];
const unconfirmed = "no person has confirmed it";

/** Signed as the peers of `Cores` sign. */
function confirmation(peer: PeerId, signer: PeerId, at = 0): Confirmation {
  const bytes = confirmationBytes({ peer, signer, at, by: "ann" });
  return { peer, signer, at, by: "ann", signature: `${signer} ${Buffer.from(bytes).toString("hex")}` };
}

/** Why a peer would not hand its new key to each of the others; empty = it would. */
function doubts(cores: Cores, peer: PeerId): Record<string, string> {
  const state = cores.state(peer);
  const doubted = heirsOf(state, state.now).filter(({ doubt }) => doubt !== undefined);
  return Object.fromEntries(doubted.map(({ id, doubt = "" }) => [id, doubt]));
}

function confirmed(cores: Cores, at: PeerId): string[] {
  const state = cores.state(at);
  return heirsOf(state, state.now)
    .flatMap(({ id, confirmed: is }) => (is ? id : []))
    .toSorted();
}

function withConfirmations(cores: Cores, ...confirmations: readonly Confirmation[]): Cores {
  cores.confirmations.push(...confirmations);
  cores.spreadAdmissions();
  cores.pass(2 * second);
  return cores;
}

describe("a confirmation", () => {
  test("counts if this peer signed it, or one that this peer trusts", () => {
    const cores = withConfirmations(new Cores(["a", "b", "c", "d"]), confirmation(b, a), confirmation(c, b));
    assert.deepEqual(confirmed(cores, a), ["b", "c"]);
    assert.deepEqual(confirmed(cores, b), ["c"], "b itself has no word about a and d");
    assert.deepEqual(confirmed(cores, d), []);
  });

  test("doesn't count if an intruder gave it, to itself or to another one", () => {
    const cores = withConfirmations(new Cores(["a", "b", "c", "d"]), confirmation(c, c), confirmation(d, c));
    assert.deepEqual(confirmed(cores, a), []);
  });

  test("doesn't count if its signature is another's, or was made for another peer", () => {
    const forged = { ...confirmation(c, b), signer: a };
    const moved = { ...confirmation(b, a), peer: c };
    const cores = withConfirmations(new Cores(["a", "b", "c"]), forged, moved);
    assert.deepEqual(confirmed(cores, a), []);
  });

  test("no longer counts after its peer was forgotten, and neither does one that a forgotten peer signed", () => {
    const cores = withConfirmations(new Cores(["a", "b", "c"]), confirmation(b, a, 5), confirmation(c, b, 5));
    cores.say(a, statementBy(a, { peer: b, forgotten: true, at: 9 }));
    cores.pass(2 * second);
    assert.deepEqual(confirmed(cores, a), []);
    cores.say(a, statementBy(a, { peer: b, forgotten: false, at: 10 }));
    cores.pass(2 * second);
    assert.deepEqual(confirmed(cores, a), []);
    withConfirmations(cores, confirmation(b, a, 15));
    assert.deepEqual(confirmed(cores, a), ["b", "c"]);
  });

  test("is given by a command, at any peer but the confirmed one, and survives a restart", () => {
    const cores = new Cores(["a", "b"]);
    cores.ask(b, { kind: "confirm-peer", peer: "b", by: "ann" });
    const [itself] = cores.answers.splice(0);
    assert.equal(itself?.kind === "refused" && itself.error.code, "UNPROCESSABLE");
    cores.ask(a, { kind: "confirm-peer", peer: "host-b", by: "ann" });
    cores.pass(second);
    assert.equal(cores.answers.at(-1)?.kind, "done");
    assert.deepEqual(confirmed(cores, a), ["b"]);
    cores.kill("a");
    cores.up(a);
    cores.pass(10 * second);
    assert.deepEqual(confirmed(cores, a), ["b"]);
  });
});

test("a join is told with the names of both peers, also at the peer that has seen it", () => {
  const cores = new Cores(["a", "b", "c"]);
  cores.pass(30 * second);
  for (const peer of [a, b, c]) {
    const state = cores.state(peer);
    const facts = meshSight(state, state.now)?.facts ?? [];
    assert.ok(facts.length > 0, `${peer} knows of joins`);
    for (const { text } of facts) assert.match(text, /^host-. joined the mesh, as host-. reported/);
  }
});

test("a confirmation for which the table has no room is refused with TABLE_FULL, and the host is not blamed", () => {
  const cores = new Cores(["a", "b"]);
  cores.pass(10 * second);
  cores.tableFull = 'it has had 7 ids under "confirmations", and the maximum is 7';
  cores.ask(a, { kind: "confirm-peer", peer: "host-b", by: "ann" });
  cores.pass(second);
  const answer = cores.answers.at(-1);
  assert.equal(answer?.kind === "refused" && answer.error.code, "TABLE_FULL");
  assert.equal(answer?.kind === "refused" && answer.error.detail, cores.tableFull);
  assert.deepEqual([cores.state(a).diskFailures, cores.state(a).members.hostFault], [0, undefined]);
});

describe("a flood of false confirmations", () => {
  test("doesn't keep a true one from counting, and is not checked again and again", () => {
    const cores = new Cores(["a", "b", "c"]);
    const forged = Array.from({ length: 1_000 }, (_, at) => ({ ...confirmation(c, a, at), signature: "x" }));
    let checks = 0;
    const { settings } = cores.state(a);
    const verify = settings.verifyText.bind(settings);
    Object.assign(settings, {
      verifyText: (...args: Parameters<typeof verify>) => (checks++, verify(...args)),
    });
    withConfirmations(cores, ...forged, confirmation(b, a, 5));
    cores.pass(20 * second);
    assert.deepEqual(confirmed(cores, a), ["b"]);
    const before = checks;
    cores.pass(60 * second);
    assert.ok(checks - before < 10, `${checks - before} further checks`);
  });
});

describe("a join", () => {
  test("that can't be read is left alone: no member writes it again and again", () => {
    const cores = new Cores(["a", "b"]);
    cores.unreadableJoins.push(b);
    cores.spreadAdmissions();
    cores.pass(60 * second);
    assert.equal(cores.edits, 0);
    assert.deepEqual(cores.joins, []);
  });

  test("that a member removes each time is written less and less often", () => {
    const cores = new Cores(["a", "b"]);
    cores.undoesJoins = true;
    cores.pass(600 * second);
    assert.ok(cores.edits > 2 && cores.edits < 10, `${cores.edits} edits in ten minutes`);
  });

  test("is recorded once, and every peer reports it; joins from before a peer's start are not reported again", () => {
    const cores = new Cores(["a", "b"]);
    cores.pass(10 * second);
    assert.deepEqual(
      cores.joins.map(({ peer, by }) => [peer, by]),
      [[b, a]],
      "a made the mesh",
    );
    cores.up(c);
    cores.pass(10 * second);
    assert.deepEqual(
      cores.joins.map(({ peer, by }) => [peer, by]),
      [
        [b, a],
        [c, a],
      ],
    );
    const joined = cores.notes.filter((note) => note.includes("has joined the mesh"));
    assert.deepEqual(joined, [
      "a: a new peer has joined the mesh",
      "a: a new peer has joined the mesh",
      "b: a new peer has joined the mesh",
    ]);
    cores.kill("b");
    cores.up(b);
    cores.pass(20 * second);
    assert.equal(cores.joins.length, 2);
  });

  test("is recorded by another member while the first one is away", () => {
    const cores = new Cores(["a", "b"]);
    cores.pass(10 * second);
    cores.kill("a");
    cores.up(c);
    cores.pass(20 * second);
    assert.deepEqual(
      cores.joins.map(({ peer, by }) => [peer, by]),
      [
        [b, a],
        [c, b],
      ],
    );
  });

  test("makes a confirmed peer doubtful for a day", () => {
    const cores = withConfirmations(new Cores(["a", "b"]), confirmation(b, a));
    cores.pass(10 * second);
    assert.deepEqual(doubts(cores, a), { b: "it joined less than 24 h ago" });
    cores.pass(day);
    assert.deepEqual(doubts(cores, a), {});
  });
});

/** A peer's side of a rotation: its members, and what is done to them. */
class Rotation {
  readonly done: string[] = [];
  heirs: Heir[];
  refusal: CicadaError | undefined;
  onForget: () => void = () => undefined;

  constructor(doubtful: Readonly<Record<string, string | undefined>>) {
    this.heirs = Object.entries(doubtful).map(([id, doubt]) => heir(id, doubt));
  }

  ask(command: Partial<Extract<Command, { kind: "rotate-key" }>> = {}): Answer | undefined {
    let answer: Answer | undefined;
    requestRotation(
      { kind: "rotate-key", graceMs: 10, by: "ann", ...command },
      {
        isAlone: () => false,
        isSuperseded: () => false,
        heirs: () => this.heirs,
        forgotten: () => [],
        forget: (peer, _by, said) => {
          if (this.refusal !== undefined) return said({ kind: "refused", error: this.refusal });
          this.done.push(`forget ${peer}`);
          this.heirs = this.heirs.filter(({ id }) => id !== peer);
          this.onForget();
          said({ kind: "done" });
        },
        begin: (begun) => {
          this.done.push("note");
          begun();
        },
        rotate: (_graceMs, _by, said) => {
          this.done.push(`rotate for ${this.heirs.map(({ id }) => id).join(" ")}`);
          said({ kind: "rotated", fingerprint: "", oldUntil: 0, peers: [] });
        },
      },
      (said) => (answer = said),
    );
    return answer;
  }
}

function heir(id: string, doubt: string | undefined): Heir {
  const peer = { id: `12D3KooW${id}` as PeerId, name: id, state: "alive", joinedAt: 0 } as const;
  return { ...peer, invitation: undefined, confirmed: doubt === undefined, doubt };
}

function refusalOf(answer: Answer | undefined): CicadaError {
  assert.ok(answer?.kind === "refused");
  return answer.error;
}

describe("a key rotation", () => {
  test("changes nothing and names the members that no person has confirmed, or that joined lately", () => {
    const rotation = new Rotation({
      bob: undefined,
      mallory: unconfirmed,
      cyd: "it joined less than 24 h ago",
    });
    const { code, problems } = refusalOf(rotation.ask());
    assert.equal(code, "UNCONFIRMED_PEERS");
    assert.deepEqual(
      problems.map(({ message }) => message),
      [
        "mallory (12D3KooWmallory): no person has confirmed it",
        "cyd (12D3KooWcyd): it joined less than 24 h ago",
      ],
    );
    assert.deepEqual(rotation.done, []);
  });

  test("goes on when all are confirmed, or the doubtful ones are accepted by their ids", () => {
    assert.deepEqual(rotated({ bob: undefined }), ["note", "rotate for 12D3KooWbob"]);
    assert.deepEqual(rotated({ bob: unconfirmed }, { accept: ["12D3KooWbob"] }), [
      "note",
      "rotate for 12D3KooWbob",
    ]);
    assert.deepEqual(rotated({ bob: unconfirmed }, { accept: ["bob"] }), []);
  });

  test("is noted in the audit, then forgets the peers that are left out, which don't get the key", () => {
    const done = rotated(
      { bob: undefined, mallory: unconfirmed, eve: unconfirmed },
      { without: ["mallory", "eve"] },
    );
    assert.deepEqual(done, [
      "note",
      "forget 12D3KooWmallory",
      "forget 12D3KooWeve",
      "rotate for 12D3KooWbob",
    ]);
  });

  test("changes nothing if a name fits no peer, and makes no key if a peer can't be forgotten", () => {
    const rotation = new Rotation({ bob: undefined, mallory: unconfirmed });
    assert.equal(refusalOf(rotation.ask({ without: ["mallory", "malory"] })).code, "PEER_NOT_FOUND");
    rotation.refusal = new CicadaError("NO_QUORUM", "no majority has agreed");
    assert.deepEqual(rotation.done, []);
    const { code, detail } = refusalOf(rotation.ask({ without: ["mallory"] }));
    assert.equal(code, "NO_QUORUM");
    assert.equal(detail, "no majority has agreed; so the key was not rotated");
    assert.deepEqual(rotation.done, ["note"]);
  });

  test("makes no key if somebody new comes in while a peer is being forgotten", () => {
    const rotation = new Rotation({ bob: undefined, mallory: unconfirmed });
    rotation.onForget = () => rotation.heirs.push(heir("again", unconfirmed));
    assert.equal(refusalOf(rotation.ask({ without: ["mallory"] })).code, "UNCONFIRMED_PEERS");
    assert.deepEqual(rotation.done, ["note", "forget 12D3KooWmallory"]);
  });
});

function rotated(
  doubtful: Readonly<Record<string, string | undefined>>,
  command?: Partial<Extract<Command, { kind: "rotate-key" }>>,
): string[] {
  const rotation = new Rotation(doubtful);
  rotation.ask(command);
  return rotation.done;
}
