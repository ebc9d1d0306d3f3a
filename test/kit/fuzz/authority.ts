/**
 * The doors of authority: a message from a sender without the right to send it changes nothing. Each input is a right
 * message from which only the authority was taken, so that it can't be refused for another reason.
 */
import { createHash } from "node:crypto";
import { hashOfEpoch } from "../../../src/core/voting/roster.ts";
import { tickAt, type JobId, type PeerId } from "../../../src/schema/ids.ts";
import type { Channel, Message } from "../../../src/schema/message.ts";
import type { RunRecord } from "../../../src/schema/run.ts";
import type { Epoch } from "../../../src/schema/vote.ts";
import { Dice } from "../../../src/sim/random.ts";
import { wireVersion } from "../../../src/wire/codec.ts";
import { signRecord } from "../../../src/wire/records.ts";
import { Fault, type Door, type OpenDoor } from "./door.ts";
import { jsonBytes, mutateBytes } from "./garbage.ts";
import { FuzzMesh, jobs, members, stranger, victim } from "./mesh.ts";
import { base64, channels, HostileMessages } from "./messages.ts";
import { HostileWriter } from "./updates.ts";
import { jobsRemembered, overCount } from "../../../src/core/records/history.ts";
import { openRecords } from "../../../src/core/records/ledger.ts";

export function authorityDoor(): Door {
  return { name: "authority", share: 10, round: 2_000, open: (seed) => new AuthorityDoor(seed) };
}

interface Attempt {
  what: string;
  from: PeerId;
  channel: Channel;
  bytes: Uint8Array;
  /** true if the input turned out to be valid, so that it may change something */
  unless?: () => boolean;
}

class AuthorityDoor implements OpenDoor {
  readonly #dice: Dice;
  readonly #mesh: FuzzMesh;
  readonly #hostile: HostileMessages;
  readonly #writer: HostileWriter;
  #last = "";

  constructor(seed: string) {
    this.#dice = new Dice(`authority ${seed}`);
    this.#mesh = new FuzzMesh(`authority ${seed}`);
    this.#hostile = new HostileMessages(this.#mesh, this.#dice.fork("messages"));
    this.#writer = new HostileWriter(stranger, this.#dice.fork("writer"));
  }

  one(): void {
    const attempt = this.#draw();
    this.#last = `${attempt.what}: ${attempt.from} on ${attempt.channel}: ${base64(attempt.bytes)}`;
    // Everything that is due happens first, because any message makes the victim look at its clock.
    const nothing = { decision: "nothing", epoch: 0, value: "nobody" };
    this.#mesh.sendAs(stranger, "vote", { kind: "chosen", chosen: [nothing] });
    const before = this.#digest();
    this.#mesh.hear(attempt.from, attempt.channel, attempt.bytes);
    if (this.#digest() !== before && attempt.unless?.() !== true)
      throw new Fault(`${attempt.what} moved something`);
    if (this.#dice.chance(0.2)) this.#mesh.pass(this.#dice.below(1_000));
    if (this.#mesh.complaints.length > 0) throw new Fault(String(this.#mesh.complaints[0]));
  }

  last(): string {
    return this.#last;
  }

  #draw(): Attempt {
    const dice = this.#dice;
    return dice.pick([
      () => this.#forged(),
      () => this.#forged(),
      () => this.#strangersEnvelope(),
      () => this.#unsignedEpochs(),
      () => this.#foreignReplies(),
      () => this.#farewell(),
      () => this.#update(),
    ])();
  }

  // ------------------------------------------------------------------------------------------- attempts

  /** A record that its writer has not signed, or was not entitled to write. */
  #forged(): Attempt {
    const dice = this.#dice;
    const from = dice.pick([members[1], members[2], stranger]);
    const writer = dice.pick(members.filter((peer) => peer !== from));
    const right = signRecord(this.#record(writer), this.#mesh.keys(writer));
    const changed = this.#record(writer);
    const record = dice.pick<() => RunRecord>([
      () => ({ ...right, signature: "" }),
      () => ({ ...right, signature: signRecord(right, this.#mesh.keys(from)).signature }),
      () => ({ ...right, signature: base64(mutateBytes(Buffer.from(right.signature, "base64url"), dice)) }),
      () => ({ ...changed, version: right.version + 1, signature: right.signature }),
      () => ({ ...right, state: "succeeded", version: right.version + 1 }),
      () => ({ ...signRecord({ ...right, by: from }, this.#mesh.keys(from)), state: "running" }),
      () => ({ ...right, signature: `${right.signature}=` }),
    ])();
    const isAnswer = dice.chance(0.3);
    const message: Message = isAnswer
      ? { kind: "answer", id: dice.below(100), records: [record], goesFirst: [], settled: [] }
      : { kind: "runs", records: [record], declined: [], orders: [], cancels: [] };
    const channel = isAnswer ? "ask" : "runs";
    return {
      what: "a forged record",
      from,
      channel,
      bytes: this.#mesh.encode(from, message),
      unless: () => sameRecord(record, right),
    };
  }

  #record(peer: PeerId): RunRecord {
    const dice = this.#dice;
    const instant = Math.floor(this.#mesh.world.now() / 5_000) * 5_000 - dice.below(20) * 5_000;
    return {
      job: dice.pick(jobs).id,
      tick: tickAt(instant),
      attempt: 1,
      slot: "0",
      peer,
      state: dice.pick(["claimed", "running", "failed", "missed"]),
      version: 1 + dice.below(4),
      revision: "r",
      trigger: "schedule",
      rank: dice.below(3),
      due: instant,
      view: 3,
      signature: "",
    };
  }

  /** A valid message in the name of another peer, mesh or version. */
  #strangersEnvelope(): Attempt {
    const dice = this.#dice;
    const { channel } = this.#hostile.draw(dice.pick(channels));
    const kept = this.#mesh.overheard.get(channel) ?? [];
    const said = kept.length > 0 ? dice.pick(kept) : undefined;
    const sender = said?.from ?? members[1];
    const from = dice.pick([members[1], members[2], stranger].filter((peer) => peer !== sender));
    const body = said?.message ?? { kind: "leave", incarnation: 2 ** 52 };
    const right = { cluster: this.#mesh.cluster, version: wireVersion, sender, seq: dice.below(1_000), body };
    const wrong = dice.pick([
      right,
      { ...right, sender: from, cluster: "0123456789abcdef" },
      { ...right, sender: from, version: wireVersion + 1 },
      { ...right, sender: victim },
    ]);
    return { what: "a message with a foreign envelope", from, channel, bytes: jsonBytes(wrong, dice) };
  }

  /** A successor without signatures of a majority of voters, or with signatures of something else. */
  #unsignedEpochs(): Attempt {
    const dice = this.#dice;
    const { chain } = this.#mesh.state(victim).voting.roster;
    const last = chain.at(-1);
    if (last === undefined) throw new Fault("there is no roster");
    const next = {
      number: last.number + 1,
      voters: [stranger],
      from: last.from + 1_000,
      previous: hashOfEpoch(last),
    };
    const sign = (peer: PeerId, epoch: Omit<Epoch, "signatures">): string =>
      Buffer.from(this.#mesh.keys(peer).sign(Buffer.from(hashOfEpoch(epoch)))).toString("base64url");
    const minority = { [members[1]]: sign(members[1], next), [stranger]: sign(stranger, next) };
    const majority = { ...minority, [members[2]]: sign(members[2], next) };
    const epoch = dice.pick<() => Epoch>([
      () => ({ ...next, signatures: {} }),
      () => ({ ...next, signatures: minority }),
      () => ({ ...next, signatures: { ...minority, [victim]: sign(stranger, next) } }),
      () => ({ ...next, from: next.from + 1, signatures: majority }),
      () => ({ ...next, voters: [stranger, members[1]], signatures: majority }),
      () => ({ ...next, previous: hashOfEpoch(next), signatures: majority }),
      () => ({ ...next, number: next.number + 1, signatures: majority }),
      () => ({ ...next, from: last.from, signatures: majority }),
      () => ({ ...last, voters: [stranger], signatures: majority }),
    ])();
    const from = dice.pick([members[1], stranger]);
    const epochs = dice.chance(0.5) ? [...chain, epoch] : [epoch];
    const bytes = this.#mesh.encode(from, { kind: "roster", epochs });
    return { what: "a roster without a majority", from, channel: "vote", bytes };
  }

  /** Answers to an election from a peer that is not a voter in it, or to a ballot that was never cast. */
  #foreignReplies(): Attempt {
    const dice = this.#dice;
    this.#openElection();
    const { settings, voting } = this.#mesh.state(victim);
    const { elections } = voting.proposer;
    const [election] = elections.values();
    const own = election?.proposal.ballot ?? { round: 1, peer: victim, incarnation: settings.incarnation };
    const isForeign = dice.chance(0.5);
    const from = isForeign ? stranger : members[1];
    // Far ahead, so that the victim's own next rounds don't reach it.
    const ballot = isForeign ? own : { ...own, round: own.round + 1_000 + dice.below(5) };
    const accepted = { ballot: { round: 9, peer: stranger, incarnation: 1 }, value: stranger };
    const reply = {
      decision: election?.decision ?? "vote@2026-11-20T00:00:00Z~1",
      answer: dice.pick(["promised", "accepted", "refused", "barred"] as const),
      ballot,
      accepted,
      promised: accepted.ballot,
      signature: "junk",
    };
    const bytes = this.#mesh.encode(from, { kind: "replies", replies: [reply] });
    return { what: "a reply from a non-voter", from, channel: "vote", bytes };
  }

  /** Passes some time in small steps until an election is open, or gives up. */
  #openElection(): void {
    for (let step = 0; step < 20 && this.#mesh.state(victim).voting.proposer.elections.size === 0; step++)
      this.#mesh.pass(1);
  }

  /** A farewell of an earlier process, or in the name of another peer. */
  #farewell(): Attempt {
    const dice = this.#dice;
    const from = dice.pick([members[1], members[2], stranger]);
    const { incarnation } = from === stranger ? { incarnation: 2 ** 52 } : this.#mesh.state(from).settings;
    const earlier = from === stranger ? incarnation : incarnation - 1 - dice.below(1_000);
    const bytes = this.#mesh.encode(from, { kind: "leave", incarnation: earlier });
    return { what: "a farewell of another life", from, channel: "members", bytes };
  }

  /** An update that the table refuses, or that waits for another. */
  #update(): Attempt {
    const table = this.#mesh.table(victim);
    const update = this.#writer.draw(
      () => table.snapshot(),
      jobs.map(({ id }) => id),
      Math.floor(this.#mesh.world.now()),
    );
    const before = refusals(this.#mesh);
    const wasPending = table.pending();
    const bytes = this.#mesh.encode(stranger, { kind: "update", update: base64(update) });
    return {
      what: "a refused update",
      from: stranger,
      channel: "jobs",
      bytes,
      unless: () => refusals(this.#mesh) === before && !(table.pending() && !wasPending),
    };
  }

  // --------------------------------------------------------------------------------------------- digest

  /** Everything on which the victim's decisions and answers depend, except the time. */
  #digest(): string {
    const state = this.#mesh.state(victim);
    const table = this.#mesh.table(victim);
    const { ledger } = state;
    const { roster, voter } = state.voting;
    const text = JSON.stringify([
      table.digest(),
      [...state.jobs.plans.keys()],
      [...state.book.orders.values()].map(({ key, local, chosen, declined }) => [
        key,
        local.stage,
        chosen,
        [...declined],
      ]),
      [...openRecords(ledger)].map((record) => record.signature),
      [...jobsRemembered(ledger.history)].map((job: JobId) => [job, overCount(ledger.history, job)]),
      [roster.chain, [...voter.votes], voter.memory, voter.voteCount, voter.voted, voter.successor?.value],
      [...state.voting.proposer.elections.values()].map(({ decision, proposal, signatures }) => [
        decision,
        [...proposal.promises],
        [...proposal.acceptances],
        proposal.outbid,
        signatures,
      ]),
      [
        state.voting.proposer.round,
        state.members.duplicateIdentity,
        state.book.requestedCount,
        [...state.book.runs.keys()],
      ],
      [...state.members.byId.values()].map(({ id, state: how, leftIncarnation, heartbeat }) => [
        id,
        how,
        leftIncarnation,
        heartbeat?.incarnation,
      ]),
      this.#mesh.writes(victim),
    ]);
    return createHash("sha256").update(text).digest("hex");
  }
}

function refusals(mesh: FuzzMesh): number {
  return mesh.peer(victim).status.view().counters["refused_update"] ?? 0;
}

function sameRecord(a: RunRecord, b: RunRecord): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
