/**
 * What people do to data folders: they back one up and restore it, start a copy beside the original, or leave an old
 * cluster key in one. A folder can also become unreadable.
 */
import type { PeerId } from "../../schema/ids.ts";
import { invited } from "../keyring.ts";
import type { Chronicle } from "./chronicle.ts";
import type { Hosts } from "./hosts.ts";

export class Folders {
  readonly #hosts: Hosts;
  readonly #chronicle: Chronicle;

  constructor(hosts: Hosts, chronicle: Chronicle) {
    this.#hosts = hosts;
    this.#chronicle = chronicle;
  }

  /**
   * Takes a backup of the peer's folder. The returned function kills the peer, restores the backup and starts the peer
   * again.
   */
  backUp(peer: PeerId): () => void {
    const host = this.#hosts.get(peer);
    const { storage, children, keys } = host;
    const copy = storage.copy();
    const files = children.copyFiles();
    const copiedAt = this.#chronicle.now();
    this.#chronicle.line(peer, "BACKED UP");
    return () => {
      this.#hosts.kill(peer);
      storage.restore(copy);
      this.#hosts.keepKeys(peer, keys);
      children.restoreFiles(files);
      const ageMs = Math.round(this.#chronicle.now() - copiedAt);
      this.#chronicle.line(peer, `PUT BACK to what it was ${ageMs} ms ago`);
      this.#chronicle.noteRestore(peer, copiedAt);
      this.#hosts.start(peer);
    };
  }

  /**
   * Starts a copy of the peer's present folder beside the peer: two processes with one identity. The returned function
   * ends the copy and, unless `end` is "copy killed", restarts the peer, as an operator who noticed it would do.
   */
  startCopy(peer: PeerId, end: "both restarted" | "copy killed" = "both restarted"): () => void {
    const copy = this.#hosts.addCopy(peer);
    const now = this.#chronicle.now();
    this.#chronicle.rollbacks.push({ peer, copiedAt: now, startedAt: now, kind: "duplicate identity" });
    const ends = this.#chronicle.faultBegins("duplicate identity", peer);
    this.#hosts.start(copy);
    return () => {
      this.#hosts.kill(copy);
      if (end === "both restarted") this.#hosts.kill(peer);
      this.#hosts.removeCopy(copy);
      if (end === "both restarted") this.#hosts.start(peer);
      ends();
    };
  }

  /** Starts the peer with a new invitation from the member, as `cicada start --join` does. */
  joinAnew(peer: PeerId, member: PeerId): void {
    const { keys, clock } = this.#hosts.get(peer);
    this.#hosts.kill(peer);
    this.#chronicle.line(peer, `INVITED by ${member}`);
    this.#hosts.keepKeys(peer, invited(keys, this.#hosts.get(member).keys, clock.wall()));
    this.#hosts.start(peer);
  }

  /** Makes the folder unreadable. A peer that is started on it ends itself, until a backup is restored. */
  damage(peer: PeerId): void {
    this.#chronicle.line(peer, "DISK DAMAGED");
    this.#hosts.kill(peer);
    this.#hosts.get(peer).storage.damaged = true;
    this.#hosts.start(peer);
  }
}
