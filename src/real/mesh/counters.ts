/** Counters of the mesh since its start, for /metrics. Every name is always present, so that a graph begins at 0. */
const names = [
  "mesh_frames_in",
  "mesh_frames_out",
  "mesh_bytes_in",
  "mesh_bytes_out",
  /** not sent, because there was no link, the queue was full, or the stream broke before */
  "mesh_frames_dropped",
  /** longer than the cap; the stream was reset */
  "mesh_frames_oversized",
  /** the stream ended in the middle of a frame */
  "mesh_frames_torn",
  /** unreadable messages about peers */
  "mesh_frames_garbled",
  /** outgoing streams given up because the other side did not read */
  "mesh_streams_stuck",
  "mesh_gossip_in",
  "mesh_gossip_out",
  "mesh_gossip_bytes_in",
  "mesh_gossip_bytes_out",
  /** published while no peer was subscribed, or refused by gossipsub */
  "mesh_gossip_lost",
  /** gossip with a peer had stopped while its connection lived on, and was restarted */
  "mesh_gossip_repaired",
  "mesh_dials",
  "mesh_dials_failed",
  "mesh_handshakes_refused",
  /** attempts of forgotten peers to connect */
  "mesh_forgotten_refused",
  /** proofs that this peer's cluster key was replaced while it was away */
  "mesh_keys_superseded",
  /** greetings of peers without a common version of the protocol */
  "mesh_versions_refused",
  /** connections given up because nothing was heard over them */
  "mesh_lines_silent",
  "mesh_lines_duplicate",
  /** times when as many peers were connected as may be, and the one that was learned of last was refused or cut off */
  "mesh_peers_too_many",
] as const;
export type CounterName = (typeof names)[number];

export class Counters {
  private readonly values = new Map<CounterName, number>(names.map((name) => [name, 0]));

  add(name: CounterName, amount = 1): void {
    this.values.set(name, (this.values.get(name) ?? 0) + amount);
  }

  snapshot(): Record<string, number> {
    return Object.fromEntries(this.values);
  }
}
