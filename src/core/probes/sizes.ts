/** How much a peer holds in memory, by what: all of it must level off (DESIGN §12, I13). */
import type { State } from "../state.ts";

export function sizesOf(state: State): Record<string, number> {
  return {
    orders: state.orders.size,
    reconcileQueue: state.reconcileQueue.size,
    timetable: state.timetable.size,
    claims: state.claims.size + state.capacityQueue.size,
    asks: state.asks.size,
    foreignInquiries: state.foreignInquiries.size,
    elections: state.voting.proposer.elections.size,
    pending: state.pending.size,
    runs: state.runs.size,
    members: state.members.byId.size,
    recordsInMemory: state.ledger.size,
    votes: state.voting.voter.votes.size,
    epochs: state.voting.roster.chain.length,
  };
}
