/**
 * The Mesh door of the simulated world. `mesh/links.ts` makes and ends connections and `mesh/traffic.ts` carries
 * messages, both over the wires of `mesh/wires.ts`.
 */
import type { Mesh } from "../ports.ts";
import type { SimKeyring } from "./keyring.ts";
import type { PeerId } from "../schema/ids.ts";
import type { Greeter } from "./mesh/greeter.ts";
import { Links } from "./mesh/links.ts";
import { Traffic } from "./mesh/traffic.ts";
import type { HostName, Wires } from "./mesh/wires.ts";
import type { Dice } from "./random.ts";
import type { Process } from "./world/process.ts";
import type { Queue } from "./world/queue.ts";

export class SimNetwork {
  readonly #links: Links;
  readonly #traffic: Traffic;

  constructor(queue: Queue, wires: Wires, dice: Dice) {
    this.#links = new Links(queue, wires, dice);
    this.#traffic = new Traffic(this.#links);
  }

  /** The calendar time at which two peers had learned of each other, by `pairOf`. */
  get introduced(): ReadonlyMap<string, number> {
    return this.#links.introduced;
  }

  /** True if no message is on its way. */
  get isStill(): boolean {
    return this.#traffic.arrivedBy < this.#links.queue.now;
  }

  /** `named`: the hosts whose addresses its settings name. */
  addHost(host: HostName, peer: PeerId, named: readonly HostName[]): void {
    this.#links.addHost(host, peer, named);
  }

  addCopy(host: HostName, of: HostName): void {
    this.#links.addCopy(host, of);
  }

  removeHost(host: HostName): void {
    this.#links.removeHost(host);
  }

  /**
   * The door of one process of a peer. Without a keyring every peer accepts it as a member; without a greeter, as one
   * of its own version.
   */
  mesh(process: Process, { keyring, greeter }: { keyring?: SimKeyring; greeter?: Greeter } = {}): Mesh {
    const links = this.#links;
    const node = links.node(process.host);
    node.refused = new Map();
    node.keyring = keyring;
    node.greeter = greeter;
    if (keyring !== undefined) keyring.onChange = () => links.keysChanged(node);
    return {
      start: (events) => links.start(node, process, events),
      publish: (topic, bytes) => this.#traffic.publish(node, topic, bytes),
      send: (to, protocol, bytes) => this.#traffic.send(node, to, protocol, bytes),
      refuse: (peers) => links.refuse(node, process, peers),
      known: () => [...new Set([...node.learned].map((host) => links.node(host).peer))],
      unresolved: () =>
        [...node.named].filter((host) => !node.learned.has(host) && !node.refused.has(links.node(host).peer))
          .length,
      addresses: () => [`/sim/${process.host}`],
      stop: (done) => links.stop(node, process, done),
    };
  }

  processDied(process: Process, hostToo: boolean): void {
    this.#links.processDied(process, hostToo);
  }

  processPaused(process: Process): void {
    this.#links.processPaused(process);
  }
}
