/**
 * Observes how the peers vote: the messages between proposers and voters, the votes on disks, and the rosters. It reads
 * the bytes with JSON.parse, without the peers' code, and keeps each thing once as evidence for I2 and I12.
 */
import type { Write } from "../../ports/disk.ts";
import type { PeerId } from "../../schema/ids.ts";
import type { AcceptanceSeen, BallotSeen, EpochSeen, VotesSeen } from "./truth.ts";

interface BallotText {
  round: number;
  peer: string;
  incarnation: number;
}

interface VoteMessage {
  kind: string;
  ballots?: { decision: string; epoch: number; ballot: BallotText; value?: string }[];
  replies?: { decision: string; answer: string; ballot: BallotText }[];
  epochs?: {
    number: number;
    voters: PeerId[];
    from: number;
    previous: string;
    except?: { from: number; to: number }[];
  }[];
}

function write({ round, peer, incarnation }: BallotText): string {
  return `${round}/${peer}/${incarnation}`;
}

export class VoteWatch {
  readonly #ballots = new Map<string, BallotSeen>();
  readonly #acceptances = new Map<string, AcceptanceSeen>();
  readonly #epochs = new Map<string, EpochSeen>();
  /** the value that a ballot stands for, by decision and ballot */
  readonly #values = new Map<string, string>();

  /**
   * Notes a message on protocol `vote`; `sender` names the life that sent it. True if the message says that a value is
   * accepted.
   */
  sent(peer: PeerId, sender: string, bytes: Uint8Array): boolean {
    const { body } = JSON.parse(Buffer.from(bytes).toString()) as { body: VoteMessage };
    for (const { decision, epoch, ballot, value } of body.ballots ?? []) {
      const seen = { decision, epoch, ballot: write(ballot), sender, value };
      keep(this.#ballots, `${decision} ${seen.ballot} ${sender} ${value ?? ""}`, seen);
      if (value !== undefined) this.#values.set(`${decision} ${seen.ballot}`, value);
    }
    for (const { decision, answer, ballot } of body.replies ?? []) {
      const value = this.#values.get(`${decision} ${write(ballot)}`);
      if (answer === "accepted" && value !== undefined) this.#accepted(peer, decision, ballot, value);
    }
    for (const epoch of body.epochs ?? []) this.#epoch(epoch);
    return body.replies?.some(({ answer }) => answer === "accepted") ?? false;
  }

  /** Notes that writes of the peer are durable. */
  stored(peer: PeerId, writes: readonly Write[]): void {
    for (const item of writes) {
      if (item.kind === "vote" && item.vote.vote.accepted !== undefined) {
        const { ballot, value } = item.vote.vote.accepted;
        this.#accepted(peer, item.vote.decision, ballot, value);
      } else if (item.kind === "meta" && item.key === "roster") {
        for (const epoch of JSON.parse(item.value) as EpochSeen[]) this.#epoch(epoch);
      }
    }
  }

  seen(): VotesSeen {
    return {
      ballots: [...this.#ballots.values()],
      acceptances: [...this.#acceptances.values()],
      epochs: [...this.#epochs.values()],
    };
  }

  #accepted(voter: PeerId, decision: string, of: BallotText, value: string): void {
    const ballot = write(of);
    keep(this.#acceptances, `${decision} ${ballot} ${voter} ${value}`, { decision, ballot, voter, value });
  }

  #epoch({ number, voters, from, except = [], ...rest }: Omit<EpochSeen, "text">): void {
    const previous = "previous" in rest ? rest.previous : "";
    const text = JSON.stringify([number, voters, from, previous, except]);
    keep(this.#epochs, text, { number, voters, from, except, text });
  }
}

function keep<Thing>(things: Map<string, Thing>, key: string, thing: Thing): void {
  if (!things.has(key)) things.set(key, thing);
}
