/**
 * Disturbances of wires, disks, hosts and clocks, and forged bytes for a peer. The beginning and end of each
 * disturbance are written down; a method that begins one returns a function that ends it. hosts.ts has what is done to
 * processes, and folders.ts what is done to data folders.
 */
import type { PeerId } from "../../schema/ids.ts";
import { drawGarbage } from "../faults/garbage.ts";
import type { Wires } from "../mesh/wires.ts";
import type { Dice } from "../random.ts";
import type { Hosts } from "./hosts.ts";
import type { Queue } from "./queue.ts";
import type { FaultWindow } from "./truth.ts";
import type { Observers } from "./watched-doors.ts";

export class Disturbances {
  readonly #queue: Queue;
  readonly #wires: Wires;
  readonly #hosts: Hosts;
  readonly #observers: Observers;

  constructor(queue: Queue, wires: Wires, hosts: Hosts, observers: Observers) {
    this.#queue = queue;
    this.#wires = wires;
    this.#hosts = hosts;
    this.#observers = observers;
  }

  /** From now on nothing from `sender` reaches `receiver`. */
  cut(sender: PeerId, receiver: PeerId): () => void {
    const ends = this.#observers.chronicle.cutBegins(sender, receiver);
    this.#wires.cut(sender, receiver);
    return () => {
      this.#wires.mend(sender, receiver);
      ends();
    };
  }

  slowNetwork(slowMs: number): () => void {
    this.#wires.slowMs += slowMs;
    return this.#window("slow network", undefined, () => (this.#wires.slowMs -= slowMs));
  }

  loseGossip(probability: number): () => void {
    this.#wires.extraLoss += probability;
    return this.#window("lossy network", undefined, () => (this.#wires.extraLoss -= probability));
  }

  slowDisk(peer: PeerId, slowMs: number): () => void {
    const { storage } = this.#hosts.get(peer);
    storage.slowMs += slowMs;
    return this.#window("slow disk", peer, () => (storage.slowMs -= slowMs));
  }

  fillDisk(peer: PeerId): () => void {
    const { storage } = this.#hosts.get(peer);
    storage.full = true;
    return this.#window("full disk", peer, () => (storage.full = false));
  }

  /** Reads of records fail; what is written is kept. */
  unreadableDisk(peer: PeerId): () => void {
    const { storage } = this.#hosts.get(peer);
    storage.unreadable = true;
    return this.#window("unreadable disk", peer, () => (storage.unreadable = false));
  }

  /** The peer's host has no room for another process. */
  starveHost(peer: PeerId): () => void {
    const { children } = this.#hosts.get(peer);
    children.isStarved = true;
    return this.#window("starved host", peer, () => (children.isStarved = false));
  }

  stepClock(peer: PeerId, ms: number): () => void {
    const { clock } = this.#hosts.get(peer);
    clock.step(ms);
    const ends = this.#observers.chronicle.faultBegins("clock step", peer, ms);
    return () => {
      clock.step(-ms);
      ends();
    };
  }

  /** Hands forged bytes to the peer, and notes what they change. */
  sendGarbage(peer: PeerId, dice: Dice): void {
    const { chronicle, frames } = this.#observers;
    const life = this.#hosts.get(peer).life;
    const garbage = drawGarbage(frames, peer, dice);
    if (life === undefined || !life.ready || garbage === undefined) return;
    this.#queue.after(0, life.process, () => {
      const before = life.peer.authority?.() ?? "";
      life.hear?.(garbage.from, garbage.channel, garbage.bytes);
      const after = life.peer.authority?.() ?? "";
      chronicle.garbage.push({ peer, at: chronicle.now(), what: garbage.what, before, after });
    });
  }

  #window(kind: FaultWindow["kind"], peer: PeerId | undefined, mend: () => void): () => void {
    const ends = this.#observers.chronicle.faultBegins(kind, peer);
    return () => {
      mend();
      ends();
    };
  }
}
