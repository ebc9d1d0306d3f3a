/**
 * An order, and what this peer itself has to do with it: the types alone. order-book.ts says which orders there are.
 */
import type { JobId, OrderKey, PeerId, TickId } from "../../schema/ids.ts";
import type { RequestedOrder, RunRecord, Trigger } from "../../schema/run.ts";
import type { Runner } from "../../schema/vote.ts";
import type { MemberHashes } from "../members/rank.ts";

/** What this peer itself has to do with an order in play. */
export type LocalStage =
  | { stage: "none" }
  | { stage: "asking"; ask: Ask }
  /** the voters of a majority job are being asked to choose it */
  | { stage: "electing" }
  /** the claim is on its way to the disk; `waitMs` runs from when it is there */
  | { stage: "claiming"; claim: RunRecord; waitMs: number }
  | { stage: "claimed"; claim: RunRecord; mayStartAt: number };

/** One question to all living members about a batch of orders (DESIGN §5.5). */
export interface Ask {
  readonly id: number;
  readonly untilMono: number;
  readonly orders: { order: Order; rank: number }[];
  /** who has not answered yet */
  readonly waiting: Set<PeerId>;
}

/** Another peer is asking for an order: it may be about to start it. */
export interface ForeignInquiry {
  readonly peer: PeerId;
  /** the id of its question */
  readonly ask: number;
  readonly job: JobId;
  readonly rank: number;
  readonly due: number;
  readonly untilMono: number;
}

/** Something that is to be run once, from when it comes into sight until somebody has started or decided it. */
export interface Order {
  readonly key: OrderKey;
  readonly job: JobId;
  readonly tick: TickId;
  /** of the tick; ms */
  readonly instant: number;
  readonly attempt: number;
  readonly slot: string;
  readonly due: number;
  trigger: Trigger;
  readonly requested: RequestedOrder | undefined;
  /** peers that said they are at capacity */
  readonly declined: Set<PeerId>;
  /** every member in order of rank, and the roll that it was made from */
  ranks: readonly PeerId[];
  memberHashes: MemberHashes | undefined;
  local: LocalStage;
  /** of a majority job: the runner that its voters have chosen, as far as known */
  chosen: Runner | undefined;
  /** how often this peer has stood for it */
  tries: number;
  /** wall clock, ms: when it is to be looked at again; of the entries in the reconcileQueue only this one counts */
  nextReconcileAt: number;
}
