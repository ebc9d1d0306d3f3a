/**
 * Rotating the cluster key (DESIGN §11): the peer that was asked makes a new one and hands it, over links that are
 * encrypted already, to every member that it knows; each says when it is on its disk. Until the grace ends both keys
 * are accepted, and whoever was away gets the new one from the first member that it meets.
 *
 * It is handed to the members of that day alone: somebody who came in with the leaked key, under an identity of their own,
 * is kept out when the grace ends. A member that was away for all of it has to be invited anew.
 */
import type { Clock, Keyring, Log, Now } from "../ports.ts";
import type { Answer } from "../ports/control.ts";
import { CicadaError } from "../errors.ts";
import type { PeerId } from "../schema/ids.ts";
import type { Message, MessageOf } from "../schema/message.ts";

/** A person waits no longer than this for the members' word. */
const confirmLimitMs = 5_000;
/** A linked member that has not confirmed is handed the key again so often. */
const againMs = 5_000;
/** The least grace: members get the new key over links that were made under the old one. */
const graceLeastMs = 10_000;

export interface KnownMember {
  id: PeerId;
  name: string;
  linked: boolean;
}

export interface HandoverDeps {
  self: PeerId;
  keyring: Keyring;
  clock: Clock;
  log: Log;
  /** every other member that is known and not forgotten */
  members(): KnownMember[];
  /** on protocol `key` */
  send(to: PeerId, message: Message): void;
  count(name: string): void;
  /** this peer has another key now */
  changed(): void;
}

interface Asked {
  members: readonly KnownMember[];
  untilMono: number;
  answer: (answer: Answer) => void;
}

export class KeyRotation {
  readonly #deps: HandoverDeps;
  /** who keeps the key that is the present one */
  readonly #holders = new Set<PeerId>();
  #asked: Asked | undefined;
  #againAtMono = 0;

  constructor(deps: HandoverDeps) {
    this.#deps = deps;
  }

  /** `answer` is called once, when every member in reach has confirmed, or 5 s have passed. */
  rotate(graceMs: number, by: string, answer: (answer: Answer) => void): void {
    const { keyring, clock, log, self } = this.#deps;
    if (this.#asked !== undefined) {
      const error = new CicadaError("NOT_READY", "a rotation is under way here");
      return answer({ kind: "refused", error });
    }
    const { wall, mono } = clock.now();
    const members = this.#deps.members();
    const change = {
      madeAt: Math.max(Math.floor(wall), keyring.madeAt() + 1),
      oldUntil: Math.floor(wall) + Math.max(graceMs, graceLeastMs),
      heirs: [self, ...members.map(({ id }) => id)],
    };
    this.#asked = { members, untilMono: mono + confirmLimitMs, answer };
    keyring.rotate(change, (error) => {
      if (error !== undefined) {
        this.#asked = undefined;
        return answer({ kind: "refused", error });
      }
      log.warn("the cluster key has been rotated here", { by, key: keyring.fingerprint() });
      this.#deps.changed();
      this.#holders.clear();
      for (const { id, linked } of members) if (linked) this.#offer(id);
      this.#answerWhenDone();
    });
  }

  linkUp(peer: PeerId): void {
    this.#offer(peer);
  }

  heard(from: PeerId, message: MessageOf<"key" | "key-heard">): void {
    if (message.kind === "key") return this.#take(from, message);
    if (message.madeAt !== this.#deps.keyring.madeAt()) return;
    if (message.stored) this.#holders.add(from);
    this.#answerWhenDone();
  }

  /** About every second. */
  woke(now: Now): void {
    this.#answerWhenDone();
    if (now.mono < this.#againAtMono) return;
    this.#againAtMono = now.mono + againMs;
    for (const { id, linked } of this.#deps.members()) if (linked) this.#offer(id);
  }

  /** Hands the present key to a member that is entitled to it and has not said that it keeps it. */
  #offer(to: PeerId): void {
    const change = this.#deps.keyring.ongoingRotation();
    if (change === undefined || this.#holders.has(to) || !change.heirs.includes(to)) return;
    const { madeAt, oldUntil, heirs, proofs } = change;
    const key = Buffer.from(change.key).toString("base64url");
    this.#deps.send(to, { kind: "key", key, madeAt, oldUntil, heirs: [...heirs], proofs: { ...proofs } });
  }

  #take(from: PeerId, message: MessageOf<"key">): void {
    const { keyring, log } = this.#deps;
    const before = keyring.fingerprint();
    const { madeAt, oldUntil, heirs, proofs } = message;
    const key = Buffer.from(message.key, "base64url");
    keyring.adopt({ key, madeAt, oldUntil, heirs, proofs }, (error) => {
      if (error !== undefined) {
        this.#deps.count("key_changes_refused");
        log.warn("a new cluster key was not taken over", { from, why: error.detail });
        // It may hold an older one than this peer: then it is to have this one.
        if (error.code === "BAD_KEY") return this.#offer(from);
        return this.#deps.send(from, { kind: "key-heard", madeAt, stored: false });
      }
      if (keyring.madeAt() !== madeAt) return this.#offer(from);
      this.#holders.add(from);
      this.#deps.send(from, { kind: "key-heard", madeAt, stored: true });
      if (keyring.fingerprint() === before) return;
      log.warn("the cluster key has been rotated", { by: from, key: keyring.fingerprint() });
      this.#deps.changed();
      this.#holders.clear();
      this.#holders.add(from);
      for (const { id, linked } of this.#deps.members()) if (linked) this.#offer(id);
    });
  }

  #answerWhenDone(): void {
    const asked = this.#asked;
    if (asked === undefined || this.#deps.keyring.ongoingRotation() === undefined) return;
    const waiting = asked.members.some(({ id, linked }) => linked && !this.#holders.has(id));
    if (waiting && this.#deps.clock.now().mono < asked.untilMono) return;
    this.#asked = undefined;
    const { keyring } = this.#deps;
    asked.answer({
      kind: "rotated",
      fingerprint: keyring.fingerprint(),
      oldUntil: keyring.ongoingRotation()?.oldUntil ?? 0,
      peers: asked.members.map(({ id, name }) => ({ id, name, has: this.#holders.has(id) })),
    });
  }
}
