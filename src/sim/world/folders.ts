/**
 * What people do to data folders: they back one up and put the backup back, start a copy beside the original, leave an old
 * cluster key in one, or have one that can't be read any more.
 */
import type { PeerId } from "../../schema/ids.ts";
import type { Chronicle } from "./chronicle.ts";
import type { Hosts } from "./hosts.ts";

export class Folders {
  readonly #hosts: Hosts;
  readonly #chronicle: Chronicle;

  constructor(hosts: Hosts, chronicle: Chronicle) {
    this.#hosts = hosts;
    this.#chronicle = chronicle;
  }

  /** Takes a backup of the peer's folder. The returned function kills the peer and starts it anew from that backup. */
  backUp(peer: PeerId): () => void {
    const host = this.#hosts.get(peer);
    const { storage, children, keys } = host;
    const copy = storage.copy();
    const logs = new Set(children.logs.keys());
    const copiedAt = this.#chronicle.now();
    this.#chronicle.line(peer, "BACKED UP");
    return () => {
      this.#hosts.kill(peer);
      storage.restore(copy);
      host.keys = keys;
      for (const run of children.logs.keys()) if (!logs.has(run)) children.logs.delete(run);
      const ageMs = Math.round(this.#chronicle.now() - copiedAt);
      this.#chronicle.line(peer, `PUT BACK to what it was ${ageMs} ms ago`);
      this.#chronicle.putBack(peer, copiedAt);
      this.#hosts.start(peer);
    };
  }

  /**
   * Starts a copy of the peer's folder, as it is now, beside it: two processes with one identity. The returned function
   * ends the copy and, unless only that is wanted, restarts the peer, as an operator would who has found it out.
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

  /**
   * The others are about to replace the cluster key that is in the peer's folder. The returned function puts the one of a
   * member there and starts the peer, as `cicada start --join` does.
   */
  missRotation(peer: PeerId, member: PeerId): () => void {
    const ends = this.#chronicle.faultBegins("missed rotation", peer);
    return () => {
      this.#hosts.kill(peer);
      this.#hosts.get(peer).keys = this.#hosts.get(member).keys;
      this.#chronicle.line(peer, "GIVEN THE PRESENT KEY");
      this.#hosts.start(peer);
      ends();
    };
  }

  /** The folder can't be read any more; a peer that is started on it ends itself, until a backup is put back. */
  damage(peer: PeerId): void {
    this.#chronicle.line(peer, "DISK DAMAGED");
    this.#hosts.kill(peer);
    this.#hosts.get(peer).storage.damaged = true;
    this.#hosts.start(peer);
  }
}
