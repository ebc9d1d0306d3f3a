/**
 * How connections begin and end, as with TCP under libp2p.
 *
 * When a process dies, its host resets its connections and then refuses dials. A cut gives no sign: after some seconds
 * without a round trip either end may give up by itself, and the other end may take the connection for open for a
 * while. A restarted process may connect anew before the others have noticed that the old connection is gone. Hosts
 * tell their neighbours which other hosts they know, and dial those for ever, with back-off. Peers without a common
 * protocol version are never linked, and learn nothing from each other.
 */
import { assert } from "../../errors.ts";
import type { MeshEvents, Refusal } from "../../ports.ts";
import type { PeerId } from "../../schema/ids.ts";
import type { Dice } from "../random.ts";
import type { Process } from "../world/process.ts";
import type { Queue } from "../world/queue.ts";
import { pairOf } from "../world/truth.ts";
import { Connection, type Dial, type End, type Node } from "./connection.ts";
import type { HostName, Wires } from "./wires.ts";

/** How long a connection may be up before gossip flows over it, ms (gossipsub grafts once a second). */
const graftMs = 1_200;
/** How long a dial waits for a host that does not answer, ms. */
const dialTimeoutMs = { least: 2_000, most: 4_000 };
/** The first pause after a failed dial, ms; doubled each time. */
const firstBackoffMs = 250;

export class Links {
  readonly wires: Wires;
  readonly queue: Queue;
  readonly dice: Dice;
  /** the calendar time at which two peers had first learned of each other */
  readonly introduced = new Map<string, number>();
  private readonly nodes = new Map<HostName, Node>();
  /** how many hosts have a copy of another's folder */
  private copies = 0;

  constructor(queue: Queue, wires: Wires, dice: Dice) {
    this.queue = queue;
    this.wires = wires;
    this.dice = dice;
    wires.onChange((from, to) => this.pathChanged(from, to));
  }

  /** `named`: the hosts whose addresses its settings name. */
  addHost(host: HostName, peer: PeerId, named: readonly HostName[]): void {
    this.nodes.set(host, {
      host,
      peer,
      named: new Set(named.filter((other) => other !== host)),
      learned: new Set(),
      powered: true,
      process: undefined,
      events: undefined,
      connections: new Map(),
      keyring: undefined,
      greeter: undefined,
      refused: new Map(),
      dials: new Map(),
    });
  }

  /** Adds a host with a copy of another's folder: the same identity and the same remembered addresses. */
  addCopy(host: HostName, of: HostName): void {
    const { peer, named, learned } = this.node(of);
    this.copies++;
    this.addHost(host, peer, [...named]);
    for (const other of learned) this.node(host).learned.add(other);
  }

  /** Removes the host: no host dials it any more. */
  removeHost(host: HostName): void {
    this.nodes.delete(host);
    for (const node of this.nodes.values()) {
      node.learned.delete(host);
      node.dials.delete(host);
    }
  }

  node(host: HostName): Node {
    const node = this.nodes.get(host);
    assert(node !== undefined, `${host} is a host`);
    return node;
  }

  /** The connections to the peer, the newest last. There may be several if its folder was copied. */
  connectionsTo(node: Node, to: PeerId): Connection[] {
    const usual = node.connections.get(to);
    if (this.copies === 0) return usual === undefined ? [] : [usual];
    return [...node.connections.values()].filter((one) => one.farEndOf(node.host).node.peer === to);
  }

  /** Called when the process is gone. Its host's kernel resets its connections, unless the host itself went dark. */
  processDied(process: Process, hostToo: boolean): void {
    const node = this.node(process.host);
    if (node.process !== process) return;
    node.powered = !hostToo;
    node.process = undefined;
    node.events = undefined;
    node.dials.clear();
    for (const [other, connection] of node.connections) {
      connection.endAt(node.host).open = false;
      this.review(connection);
      if (!hostToo && this.wires.reaches(node.host, other)) this.notifyFarEnd(connection, node.host, "reset");
    }
    node.connections.clear();
  }

  /** Called when the process was stopped (SIGSTOP) or resumed. */
  processPaused(process: Process): void {
    for (const connection of this.node(process.host).connections.values())
      this.review(connection, process.running);
  }

  start(node: Node, process: Process, events: MeshEvents): void {
    node.powered = true;
    node.process = process;
    node.events = events;
    for (const host of new Set([...node.learned, ...node.named])) this.dial(node, host, -1);
  }

  refuse(node: Node, process: Process, peers: readonly Refusal[]): void {
    node.refused = new Map(peers.map(({ peer, proof }) => [peer, proof]));
    for (const { host, peer } of this.nodes.values()) {
      if (!node.refused.has(peer)) continue;
      node.learned.delete(host);
      node.dials.delete(host);
      const connection = node.connections.get(host);
      if (connection === undefined) continue;
      const near = connection.endAt(node.host);
      this.queue.after(0, process, () => this.lose(connection, near, "reset"));
      if (this.wires.reaches(node.host, host)) this.notifyFarEnd(connection, node.host, "reset");
    }
  }

  /** Called when the node's keys change: closes its connections to peers that no key of theirs and its own admits any more. */
  keysChanged(node: Node): void {
    for (const [other, connection] of node.connections) {
      if (this.admitEachOther(node, this.node(other))) continue;
      this.lose(connection, connection.endAt(node.host), "reset");
      if (this.wires.reaches(node.host, other)) this.notifyFarEnd(connection, node.host, "reset");
    }
  }

  stop(node: Node, process: Process, done: () => void): void {
    for (const [other, connection] of node.connections) {
      connection.endAt(node.host).open = false;
      if (this.wires.reaches(node.host, other)) this.notifyFarEnd(connection, node.host, "closed");
    }
    node.connections.clear();
    node.dials.clear();
    node.events = undefined;
    this.queue.after(this.dice.between(1, 20), process, done);
  }

  /** Called when the far end is gone or has given up. If its host can be reached, the host answers with a reset. */
  answerWithReset(connection: Connection, node: Node): void {
    const near = connection.endAt(node.host);
    const far = connection.farEndOf(node.host);
    if (!far.node.powered || !this.roundTrip(node.host, far.node.host)) return;
    this.queue.after(this.wires.delay() + this.wires.delay(), near.process, () =>
      this.lose(connection, near, "reset"),
    );
  }

  private dial(node: Node, host: HostName, refused: number): void {
    const peer = this.nodes.get(host)?.peer;
    if (peer === undefined || peer === node.peer || node.refused.has(peer)) return;
    if (node.dials.has(host) || node.connections.has(host)) return;
    const dial = { refused, backoffMs: firstBackoffMs };
    node.dials.set(host, dial);
    this.queue.after(this.dice.between(20, 150), node.process, () => this.attempt(node, host, dial));
  }

  private attempt(node: Node, host: HostName, dial: Dial): void {
    const process = node.process;
    if (node.dials.get(host) !== dial || process === undefined) return;
    if (node.connections.has(host)) {
      node.dials.delete(host);
      return;
    }
    const far = this.node(host);
    const again = (inMs: number) => {
      dial.backoffMs = Math.min(dial.backoffMs * 2, this.wires.settings.maxBackoffMs);
      this.queue.after(inMs, process, () => this.attempt(node, host, dial));
    };
    const pause = dial.backoffMs * this.dice.between(0.8, 1.2);
    const roundTripMs = this.wires.delay() + this.wires.delay();
    if (!far.powered || !this.roundTrip(node.host, host) || far.process?.paused === true) {
      again(this.dice.between(dialTimeoutMs.least, dialTimeoutMs.most) + pause);
    } else if (far.events === undefined) {
      this.queue.after(roundTripMs, process, () => this.refused(node, far, dial));
      again(roundTripMs + pause);
    } else if (!this.admitEachOther(node, far)) {
      this.queue.after(roundTripMs * 2, process, () => this.proveSuccession(node, far));
      again(roundTripMs * 2 + pause);
    } else if (far.refused.has(node.peer)) {
      const proof = far.refused.get(node.peer);
      this.queue.after(roundTripMs * 2, process, () => node.events?.turnedAway(far.peer, proof));
      again(roundTripMs * 2 + pause);
    } else {
      this.queue.after(roundTripMs * 2, process, () => this.connect(node, far));
      again(roundTripMs * 2 + pause);
    }
  }

  private admitEachOther(a: Node, b: Node): boolean {
    return a.keyring === undefined || b.keyring === undefined || a.keyring.admitsEachOther(b.keyring);
  }

  /** Tells a peer that its key was replaced at the other end. */
  private proveSuccession(near: Node, far: Node): void {
    if (near.keyring === undefined || far.keyring === undefined) return;
    if (far.keyring.supersedes(near.keyring)) near.events?.keySuperseded(far.peer);
    if (!near.keyring.supersedes(far.keyring)) return;
    this.queue.after(this.wires.delay(), far.process, () => far.events?.keySuperseded(near.peer));
  }

  private refused(node: Node, far: Node, dial: Dial): void {
    if (node.dials.get(far.host) !== dial || dial.refused < 0) return;
    dial.refused++;
    if (!this.isLinkedElsewhere(node, far)) node.events?.redialRefused(far.peer, dial.refused);
  }

  private connect(near: Node, far: Node): void {
    const [process, farProcess] = [near.process, far.process];
    if (process === undefined || farProcess === undefined || !farProcess.running) return;
    if (near.events === undefined || far.events === undefined) return;
    if (near.refused.has(far.peer) || far.refused.has(near.peer) || !this.admitEachOther(near, far)) return;
    if (near.connections.has(far.host) || !this.roundTrip(near.host, far.host)) return;
    if (!greet(near, far)) return;
    const end = (node: Node, of: Process): End => ({
      node,
      process: of,
      open: true,
      upAt: this.queue.now + (node === near ? 0 : this.wires.delay()),
      lastArrival: new Map(),
      waiting: [],
    });
    const gossipFrom = this.queue.now + this.dice.between(50, graftMs);
    const connection = new Connection(end(near, process), end(far, farProcess), gossipFrom);
    this.replaceHalfOpen(far, near);
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      const isFirst = !this.isLinkedElsewhere(one, other);
      one.connections.set(other.host, connection);
      one.dials.delete(other.host);
      this.learn(one, [other.host]);
      const opened = connection.endAt(one.host);
      this.queue.schedule(opened.upAt, opened.process, () => {
        if (opened.open && isFirst) one.events?.linkUp(other.peer);
      });
      this.queue.after(this.dice.between(20, 200), opened.process, () => this.learn(one, [...other.learned]));
    }
  }

  /**
   * Called when a peer connects anew while its old connection looks open. In half of the cases the end of the old one
   * is noticed first.
   */
  private replaceHalfOpen(node: Node, far: Node): void {
    const old = node.connections.get(far.host);
    if (old === undefined) return;
    old.endAt(node.host).open = false;
    old.giveUpPlan++;
    if (this.dice.chance(0.5) && !this.isLinkedElsewhere(node, far)) {
      this.queue.after(0, node.process, () => node.events?.linkDown(far.peer, "reset"));
    }
  }

  /**
   * True if the peer is linked already by way of another host. Two peers have one link, even if one of them has copies.
   */
  private isLinkedElsewhere(node: Node, { host, peer }: Node): boolean {
    if (this.copies === 0) return false;
    return [...node.connections.values()].some((connection) => {
      const other = connection.farEndOf(node.host).node;
      return other.peer === peer && other.host !== host;
    });
  }

  private learn(node: Node, hosts: readonly HostName[]): void {
    const fresh = hosts.filter((host) => {
      const { peer } = this.node(host);
      return peer !== node.peer && !node.learned.has(host) && !node.refused.has(peer);
    });
    for (const host of fresh) {
      node.learned.add(host);
      const far = this.node(host);
      if (far.learned.has(node.host)) this.introduce(node, far);
      this.dial(node, host, -1);
    }
    if (fresh.length === 0) return;
    for (const [other, connection] of node.connections) {
      const far = connection.endAt(other);
      this.queue.after(this.dice.between(20, 200), far.process, () =>
        this.learn(far.node, [...node.learned]),
      );
    }
  }

  /** A copy of a peer's folder is not the peer, so addresses that a copy learns introduce no peers. */
  private introduce(a: Node, b: Node): void {
    const pair = pairOf(a.peer, b.peer);
    if (a.host !== a.peer || b.host !== b.peer || this.introduced.has(pair)) return;
    this.introduced.set(pair, this.queue.now + this.queue.leaptMs);
  }

  /** Lets the far end learn, one delay later, that `host` has closed the connection. */
  private notifyFarEnd(connection: Connection, host: HostName, why: "closed" | "reset"): void {
    const far = connection.farEndOf(host);
    this.queue.after(this.wires.delay(), far.process, () => this.lose(connection, far, why));
  }

  /** Tells one end's process that the connection is over; the process begins to dial. */
  private lose(connection: Connection, end: End, why: "closed" | "reset"): void {
    if (!end.open) return;
    const far = connection.farEndOf(end.node.host).node;
    end.open = false;
    end.node.connections.delete(far.host);
    if (!this.isLinkedElsewhere(end.node, far)) end.node.events?.linkDown(far.peer, why);
    this.dial(end.node, far.host, why === "reset" ? 0 : -1);
  }

  private roundTrip(a: HostName, b: HostName): boolean {
    return this.wires.reaches(a, b) && this.wires.reaches(b, a);
  }

  private pathChanged(from: HostName, to: HostName): void {
    const connection = this.node(from).connections.get(to) ?? this.node(to).connections.get(from);
    if (connection === undefined) return;
    this.review(connection);
    if (!this.wires.reaches(from, to)) return;
    // TCP sends the waiting messages at its next retry.
    const waiting = connection.endAt(to).waiting;
    if (waiting.length === 0) return;
    this.queue.after(this.dice.between(50, 1_500), undefined, () => {
      if (this.wires.reaches(from, to)) for (const deliver of waiting.splice(0)) deliver();
    });
  }

  /**
   * Plans to give up a connection if no round trip is possible over it; otherwise cancels such a plan. A resumed
   * process makes a new plan, because it could not give up anything while it was stopped.
   */
  private review(connection: Connection, hasResumed = false): void {
    const [a, b] = connection.ends;
    const answers =
      this.roundTrip(a.node.host, b.node.host) && [a, b].every(({ process }) => process.running);
    if (answers === !connection.isStalled && (answers || !hasResumed)) return;
    connection.isStalled = !answers;
    const plan = ++connection.giveUpPlan;
    const patience = this.wires.settings.giveUpAfterMs;
    if (answers || patience === undefined) return;
    for (const end of connection.ends) {
      this.queue.after(this.dice.between(patience.least, patience.most), undefined, () => {
        if (connection.giveUpPlan === plan && end.open && end.process.running) this.giveUp(connection, end);
      });
    }
  }

  private giveUp(connection: Connection, end: End): void {
    const { host } = end.node;
    const far = connection.farEndOf(host);
    this.lose(connection, end, "reset");
    if (this.wires.reaches(host, far.node.host)) this.notifyFarEnd(connection, host, "reset");
  }
}

/** Both sides greet at the same time, so both learn whether they have a common protocol version. */
function greet(near: Node, far: Node): boolean {
  if (near.greeter === undefined || far.greeter === undefined) return true;
  const [nearAccepts, farAccepts] = [
    near.greeter.accepts(far.peer, far.host, far.greeter),
    far.greeter.accepts(near.peer, near.host, near.greeter),
  ];
  assert(nearAccepts === farAccepts, "both sides reach the same verdict from the same two ranges");
  return nearAccepts;
}
