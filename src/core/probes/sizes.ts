/** How much a peer holds in memory, by kind. All of it must level off while a peer runs (DESIGN §13, I13). */
import type { State } from "../state.ts";

export function sizesOf(state: State): Record<string, number> {
  return {
    orders: state.book.orders.size,
    reconcileQueue: state.book.reconcileQueue.size,
    timetable: state.timetable.size,
    claims: state.book.claims.size + state.book.capacityQueue.size,
    asks: state.book.asks.size,
    foreignInquiries: state.book.foreignInquiries.size,
    elections: state.voting.proposer.elections.size,
    pending: state.pending.size,
    runs: state.book.runs.size,
    members: state.members.byId.size,
    recordsInMemory: state.ledger.size,
    votes: state.voting.voter.votes.size,
    epochs: state.voting.roster.chain.length,
  };
}
