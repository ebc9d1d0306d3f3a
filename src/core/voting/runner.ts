/**
 * What the voters choose for an order: not merely a peer, but one life of it. A peer that was restarted may have lost what
 * it did with the choice (its disk was put back to an old copy), and a copy of its folder has the same id: neither may
 * take itself for the one that was chosen. The choice of a life that is over is lost, as its run would be.
 */
import { isPeerId, type PeerId } from "../../schema/ids.ts";

export interface Runner {
  readonly peer: PeerId;
  /** its incarnation */
  readonly life: number;
}

/** `LIFE/PEER`, as a ballot's value. */
export function writeRunner({ peer, life }: Runner): string {
  return `${life}/${peer}`;
}

/** Undefined for what names no runner. */
export function readRunner(value: string): Runner | undefined {
  const slash = value.indexOf("/");
  const life = /^\d{1,16}$/.test(value.slice(0, slash)) ? Number(value.slice(0, slash)) : undefined;
  const peer = value.slice(slash + 1);
  return life !== undefined && Number.isSafeInteger(life) && isPeerId(peer) ? { peer, life } : undefined;
}
