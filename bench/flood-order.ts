/** The order that a flood of `npm run bench:doors` gets, and the tally that it returns. */

export interface FloodTarget {
  /** ports on 127.0.0.1 */
  api: number;
  mesh: number;
  /** a multiaddr */
  address: string;
  /** the peer's id */
  peer: string;
}

export interface FloodOrder {
  kind: string;
  seconds: number;
  targets: readonly FloodTarget[];
  /** how many sockets strangers open at each port */
  sockets: number;
  /** the file of the cluster key, which only members read */
  keyFile: string;
  /** messages that a member sends to each peer, at most */
  messages: number;
}

export interface Tally {
  /** sockets, or dials */
  opened: number;
  closed: number;
  most: number;
  /** requests, pieces or messages */
  sent: number;
}

export type Flood = (order: FloodOrder, tally: Tally, isOver: () => boolean) => Promise<void>;
