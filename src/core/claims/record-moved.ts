/**
 * The one path of run records. Whatever moves a record up, this peer's own word or news from elsewhere, goes through
 * `recordMoved`: listeners hear of it there, orders that depend on it are reconciled, and an order that was given back
 * unstarted comes back into the book. What else is to follow from a record hangs there, too.
 */
import { instantOf } from "../../schema/ids.ts";
import { isFinal, type RunRecord } from "../../schema/run.ts";
import { assert } from "../../errors.ts";
import { settles, takeRecord } from "../records/ledger.ts";
import { orderKeyOf } from "../records/records.ts";
import { emit, type State } from "../state.ts";
import { admitNextRound, isNextRound, touch, touchOrderOf } from "./order-book.ts";
import type { Order } from "./order.ts";

/** Signs a record of this peer's, takes it in, and hands it to disk and mesh. Returns it signed. */
export function commit(state: State, unsigned: RunRecord, order?: Order): RunRecord {
  const record = state.settings.sign(unsigned);
  const { moved, before } = takeRecord(state.ledger, record, state.now.mono, true);
  assert(isNewer(before, record), `${orderKeyOf(record)}: version ${record.version} is written again`);
  emit(state, { kind: "store", writes: [{ kind: "record", record }] });
  emit(state, { kind: "gossip", record });
  if (moved) recordMoved(state, before, record, order);
  return record;
}

/** A writer's own versions only grow. Another peer's `lost` counts on from the version that it overrules. */
function isNewer(before: RunRecord | undefined, record: RunRecord): boolean {
  const isAnothers = before === undefined || (before.by ?? before.peer) !== (record.by ?? record.peer);
  return isAnothers || record.version > before.version;
}

/** `before` is what was known until now; `order` is the record's order where it has just left the book. */
export function recordMoved(
  state: State,
  before: RunRecord | undefined,
  record: RunRecord,
  order?: Order,
): void {
  emit(state, { kind: "notify", event: { kind: "run", record } });
  const own = state.book.orders.get(orderKeyOf(record));
  if (own !== undefined) touch(state, own);
  if (settles(record)) touchOrderOf(state, record);
  if (!isNewClaim(state, before, record)) touchWaiting(state, record);
  if (isNextRound(record, own)) {
    const { requested, instant } = order ?? own ?? { requested: undefined, instant: instantOf(record.tick) };
    admitNextRound(state, record, requested, instant);
  }
}

/**
 * Other orders of the job depend on its records only where they hold a claim and the job's runs may not overlap: those that
 * wait go on when a record ends, and under `replace` a newer claim is enough to change what an older one does.
 */
function touchWaiting(state: State, record: RunRecord): void {
  const overlap = state.jobs.plans.get(record.job)?.overlap;
  if (overlap === "allow" || (overlap !== "replace" && !isFinal(record.state))) return;
  for (const order of state.book.holdersByJob.get(record.job) ?? []) touch(state, order);
}

/** This peer's own new claim concerns the other orders of its job only once it is due. */
function isNewClaim(state: State, before: RunRecord | undefined, record: RunRecord): boolean {
  if (record.peer !== state.settings.self || record.state !== "claimed") return false;
  return before?.state !== "claimed" || record.claimedAt !== before.claimedAt;
}
