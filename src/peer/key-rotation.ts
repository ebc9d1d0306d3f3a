/**
 * Rotates the cluster key. The peer that was asked makes a new key and sends it, over links that are already encrypted, to
 * every member that it knows; each member confirms once the key is on its disk. Until the grace ends members may use both keys,
 * and a member that was away gets the new key from the first member that it meets.
 *
 * Only the members known at the time of the rotation get the key, and only they are admitted with the old one. So an intruder
 * can't join later with the leaked key. One who is already a member would get it too: rotation-request.ts, through which every request
 * comes, has a person look at the members first. A member that was away for the whole grace has to be invited again.
 */
import type { Clock, Keyring, Log, Now } from "../ports.ts";
import type { Answer } from "../ports/command.ts";
import { CicadaError } from "../errors.ts";
import type { PeerId } from "../schema/ids.ts";
import type { Message, MessageOf } from "../schema/message.ts";

/** The longest that a person waits for the members' confirmations. */
const confirmLimitMs = 5_000;
/** How often a linked member that has not confirmed is sent the key again. */
const repeatMs = 5_000;
/** The shortest grace: members get the new key over links that were made with the old one. */
const graceMinMs = 10_000;

export interface KnownMember {
  id: PeerId;
  name: string;
  linked: boolean;
}

export interface KeyRotationDeps {
  self: PeerId;
  keyring: Keyring;
  clock: Clock;
  log: Log;
  /** every other member that is known and not forgotten */
  members(): KnownMember[];
  /** on protocol `key` */
  send(to: PeerId, message: Message): void;
  count(name: string): void;
  /** Called when this peer has a new key. */
  changed(): void;
}

interface PendingRotation {
  members: readonly KnownMember[];
  untilMono: number;
  answer: (answer: Answer) => void;
}

export class KeyRotation {
  readonly #deps: KeyRotationDeps;
  /** members that have confirmed that the current key is on their disk */
  readonly #holders = new Set<PeerId>();
  /**
   * members whose key was not taken over, and which got this peer's instead since the last round. Without it two peers that
   * take over neither's key, because their clocks are far apart, would answer each other for ever.
   */
  readonly #corrected = new Set<PeerId>();
  #pending: PendingRotation | undefined;
  #againAtMono = 0;

  constructor(deps: KeyRotationDeps) {
    this.#deps = deps;
  }

  /** `answer` is called once: when every linked member has confirmed, or after 5 s. */
  rotate(graceMs: number, by: string, answer: (answer: Answer) => void): void {
    const { keyring, clock, log, self } = this.#deps;
    if (this.#pending !== undefined) {
      const error = new CicadaError("NOT_READY", "a rotation is under way here");
      return answer({ kind: "refused", error });
    }
    const { wall, mono } = clock.now();
    const members = this.#deps.members();
    const change = {
      madeAt: Math.max(Math.floor(wall), keyring.madeAt() + 1),
      oldUntil: Math.floor(wall) + Math.max(graceMs, graceMinMs),
      heirs: [self, ...members.map(({ id }) => id)],
    };
    this.#pending = { members, untilMono: mono + confirmLimitMs, answer };
    keyring.rotate(change, (error) => {
      if (error !== undefined) {
        this.#pending = undefined;
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
    this.#againAtMono = now.mono + repeatMs;
    this.#corrected.clear();
    for (const { id, linked } of this.#deps.members()) if (linked) this.#offer(id);
  }

  /** Sends the current key to a member that is entitled to it and has not confirmed it. */
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
        // The sender's key may be older than this peer's: then it gets this one.
        if (error.code === "BAD_KEY") return this.#correct(from);
        return this.#deps.send(from, { kind: "key-heard", madeAt, stored: false });
      }
      if (keyring.madeAt() !== madeAt) return this.#correct(from);
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

  /** Sends the current key to a member that has sent an older one, once in a round. */
  #correct(to: PeerId): void {
    if (this.#corrected.has(to)) return;
    this.#corrected.add(to);
    this.#offer(to);
  }

  #answerWhenDone(): void {
    const pending = this.#pending;
    if (pending === undefined || this.#deps.keyring.ongoingRotation() === undefined) return;
    const waiting = pending.members.some(({ id, linked }) => linked && !this.#holders.has(id));
    if (waiting && this.#deps.clock.now().mono < pending.untilMono) return;
    this.#pending = undefined;
    const { keyring } = this.#deps;
    pending.answer({
      kind: "rotated",
      fingerprint: keyring.fingerprint(),
      oldUntil: keyring.ongoingRotation()?.oldUntil ?? 0,
      peers: pending.members.map(({ id, name }) => ({ id, name, has: this.#holders.has(id) })),
    });
  }
}
