/**
 * The doors of a running peer: bytes on each channel of the mesh come to one of three peers. After each round it must
 * still run its ticks, hold no more than it may, and have sent nothing that others can't read.
 */
import { isFinal } from "../../../src/schema/run-states.ts";
import type { JobId } from "../../../src/schema/ids.ts";
import type { Channel } from "../../../src/schema/message.ts";
import { Dice } from "../../../src/sim/random.ts";
import { decode } from "../../../src/wire/codec.ts";
import { Fault, type Door, type OpenDoor } from "./door.ts";
import { FuzzMesh, members, victim } from "./mesh.ts";
import { channels, HostileMessages, type HostileMessage } from "./messages.ts";
import { openRecords } from "../../../src/core/records/ledger.ts";

const second = 1_000;

/** How much core may hold, whatever it receives. */
const caps = {
  members: 1_000,
  asked: 65_536,
  requestedCount: 10_000,
  elections: 200,
  open: 4 * 16_384,
  recordsOfNoJob: 30_000,
} as const;

export function bytesDoor(): Door {
  return {
    name: "decode",
    share: 30,
    round: 20_000,
    open: (seed) => {
      const mesh = new FuzzMesh(seed);
      const hostile = new HostileMessages(mesh, new Dice(`decode ${seed}`));
      let last: HostileMessage | undefined;
      return {
        one() {
          last = hostile.draw();
          decode(last.channel, last.bytes, last.from, mesh.cluster);
        },
        last: () => describe(last),
      };
    },
  };
}

export function peerDoors(): Door[] {
  const shares: Partial<Record<Channel, number>> = {
    jobs: 8,
    runs: 8,
    vote: 8,
    sync: 8,
    ask: 6,
    heartbeat: 4,
  };
  return channels.map((channel) => ({
    name: `peer/${channel}`,
    share: shares[channel] ?? 2,
    round: 3_000,
    open: (seed) => new PeerDoor(channel, seed),
  }));
}

function describe(message: HostileMessage | undefined): string {
  if (message === undefined) return "";
  const { from, channel, bytes } = message;
  return `${from} on ${channel}: ${Buffer.from(bytes).toString("base64")}`;
}

class PeerDoor implements OpenDoor {
  readonly #channel: Channel;
  readonly #dice: Dice;
  readonly #mesh: FuzzMesh;
  readonly #hostile: HostileMessages;
  #last: HostileMessage | undefined;

  constructor(channel: Channel, seed: string) {
    this.#channel = channel;
    this.#dice = new Dice(`peer ${channel} ${seed}`);
    this.#mesh = new FuzzMesh(`${channel} ${seed}`);
    this.#hostile = new HostileMessages(this.#mesh, this.#dice.fork("messages"));
  }

  one(): void {
    const dice = this.#dice;
    this.#last = this.#hostile.draw(dice.chance(0.8) ? this.#channel : dice.pick(channels));
    const { from, channel, bytes } = this.#last;
    this.#mesh.hear(from, channel, bytes);
    if (dice.chance(0.25)) this.#mesh.pass(dice.chance(0.1) ? dice.below(3_000) : dice.below(200));
    this.#complain();
  }

  last(): string {
    return describe(this.#last);
  }

  checkRound(): void {
    this.#measure();
    this.#mesh.pass(15 * second);
    this.#complain();
    this.#measure();
    this.#checkViews();
    this.#keepsTicks();
  }

  #complain(): void {
    const [complaint] = this.#mesh.complaints;
    if (complaint !== undefined) throw new Fault(complaint);
    if (this.#mesh.tooLarge() > 0)
      throw new Fault("a peer tried to send something that fits into no message");
  }

  #measure(): void {
    for (const peer of members) {
      const {
        members: { byId: known },
        book: { foreignInquiries, requestedCount },
        voting,
        ledger,
        upkeep,
      } = this.#mesh.state(peer);
      const sizes = {
        members: known.size,
        asked: foreignInquiries.size,
        requestedCount,
        elections: voting.proposer.elections.size,
        open: [...openRecords(ledger)].length,
        recordsOfNoJob: upkeep.recordsOfNoJob,
      };
      for (const [what, size] of Object.entries(sizes)) {
        if (size > caps[what as keyof typeof caps]) throw new Fault(`${peer} holds ${size} ${what}`);
      }
    }
  }

  /** Checks that everything that a person may ask for can be shown. */
  #checkViews(): void {
    const peer = this.#mesh.peer(victim);
    JSON.stringify(peer.status.view());
    for (const id of this.#mesh.table(victim).jobs().keys()) peer.status.next(id, 5);
  }

  /** Checks that a new job runs at each of its ticks, and that the voters still choose. */
  #keepsTicks(): void {
    const mesh = this.#mesh;
    const after = "after-all" as JobId;
    mesh.put({ id: after, command: "true", schedule: "@every 5s", overlap: "allow" });
    mesh.pass(7 * second);
    const from = mesh.world.now();
    mesh.pass(40 * second);
    this.#complain();
    const ticks = new Set(
      mesh.runs().flatMap((run) => (run.job === after && run.start >= from ? [run.tick] : [])),
    );
    if (ticks.size < 7) {
      const why = members.map(
        (peer) => `${peer}: ${mesh.peer(peer).status.notReady().join("; ") || "ready"}`,
      );
      throw new Fault(`a job made after the round ran at ${ticks.size} of 8 ticks (${why.join(", ")})`);
    }
    const open = [...openRecords(mesh.state(victim).ledger)].filter(
      ({ job, state }) => job === after && !isFinal(state),
    );
    if (open.length > 3) throw new Fault(`${open.length} of its runs never ended`);
  }
}
