/**
 * Fields that some of a wide world's jobs have in addition to those of a plain one. Each peer of such a world has a tag
 * that says on which side it is, left or right. Some jobs run only on one side, others prefer one. Some weigh 2, which is
 * all that the smallest peers of such a world can take. Of some a child that fails says that there was nothing to do. Some
 * send a request instead of starting a process, some run a script. Some have several runs a tick, sometimes more than
 * there are peers.
 *
 * The fields are drawn from dice of their own, so that they shift nothing that other jobs draw.
 */
import type { PeerId } from "../../schema/ids.ts";
import type { Dice } from "../random.ts";
import type { JobRules } from "../world/requests.ts";
import type { World } from "../world/world.ts";
import type { Work } from "./client.ts";

const sides = ["left", "right"] as const;
export type Side = (typeof sides)[number];

/** The first peer is on the left, the second on the right, and so on. */
export function sideOf(peer: PeerId): Side {
  return Number(peer.slice(peer.lastIndexOf("-") + 1)) % 2 === 1 ? "left" : "right";
}

/** Both versions of a mixed world know these fields. */
export function drawFields(work: readonly Work[], peers: readonly PeerId[], dice: Dice): Work[] {
  const diceOfRequests = dice.fork("requests");
  const diceOfScripts = dice.fork("scripts");
  const diceOfPatterns = dice.fork("patterns");
  const diceOfPrechecks = dice.fork("prechecks");
  return work.map((item) => {
    const isRequest = diceOfRequests.chance(0.15);
    const isScript = diceOfScripts.chance(0.15);
    const hasPatterns = diceOfPatterns.chance(0.1);
    const hasPrecheck = diceOfPrechecks.chance(0.1);
    if (item.rules.isLater === true) return item;
    const drawn = { ...drawTarget(item.rules, peers, dice), ...drawOthers(dice) };
    // A request has no exit code by which it could be skipped.
    const requests = isRequest && drawn.skips === undefined ? { requests: true as const } : {};
    const scripts = isScript && !isRequest ? { script: true as const } : {};
    const patterns = hasPatterns && drawn.skips === undefined ? { patterns: true as const } : {};
    const prechecks = hasPrecheck ? { prechecks: true as const } : {};
    const fields = { ...drawn, ...requests, ...scripts, ...patterns, ...prechecks };
    if (Object.keys(fields).length === 0) return item;
    return { ...item, rules: { ...item.rules, ...fields } };
  });
}

/** Has some of the jobs that may fail tell people so. */
export function drawNotices(work: readonly Work[], dice: Dice): Work[] {
  return work.map((item) => {
    const isDrawn = dice.chance(0.5);
    if (!isDrawn || item.rules.isLater === true || item.lasting.fails === 0) return item;
    return { ...item, rules: { ...item.rules, notifies: true } };
  });
}

/**
 * Has some of the jobs paused when several ticks in a row have failed, and more of their runs fail. Both versions of a mixed
 * world know that field, too.
 */
export function drawFailurePauses(work: readonly Work[], dice: Dice): Work[] {
  return work.map((item) => {
    const isDrawn = dice.chance(0.15);
    // Voters may have chosen a runner that then dies: such a tick is lost without a trace of a run.
    if (!isDrawn || item.rules.isLater === true || item.rules.partition === "majority") return item;
    const rules = { ...item.rules, pauseAfterFailures: dice.pick([1, 2, 3, 5]) };
    return { rules, lasting: { ...item.lasting, fails: dice.pick([0.2, 0.5, 0.9]) } };
  });
}

/** Has some of the jobs run on each of their peers, and some of these go from peer to peer. */
export function drawAllPeers(work: readonly Work[], dice: Dice): Work[] {
  return work.map((item) => {
    const isDrawn = dice.chance(0.2);
    const offlineMs = dice.pick([0, 0, 60_000, 600_000]);
    const rolling = {
      max: dice.pick([1, 1, 2, "50%"] as const),
      pauseMs: dice.pick([0, 0, 5_000]),
      stopAfter: dice.pick([1, 1, 2, 0]),
    };
    const isRolling = dice.chance(0.4);
    // Whether a peer has a tag is known to those that have heard it.
    if (!isDrawn || item.rules.isLater === true || item.rules.taggedSide !== undefined) return item;
    const { count: _, ...rules } = item.rules;
    return { ...item, rules: { ...rules, onAll: { offlineMs, ...(isRolling ? { rolling } : {}) } } };
  });
}

/** In two of five worlds half of the jobs share a pool. */
export function drawPools(work: readonly Work[], dice: Dice): Work[] {
  if (!dice.chance(0.4)) return [...work];
  const pool = { name: "db", slots: dice.pick([1, 1, 2, 3]) };
  return work.map((item) =>
    item.rules.isLater === true || !dice.chance(0.5) ? item : { ...item, rules: { ...item.rules, pool } },
  );
}

/** Sets at the peer how many slots the jobs' pool has, unless that is one, which it has until it is set. */
export function setPool(world: World, work: readonly Work[], peer: PeerId): void {
  const pool = work.find(({ rules }) => rules.pool !== undefined)?.rules.pool;
  if (pool !== undefined && pool.slots > 1) world.ask(peer, { kind: "pool", ...pool });
}

function drawOthers(dice: Dice): Partial<JobRules> {
  return {
    ...(dice.chance(0.15) ? { weight: 2 } : {}),
    ...(dice.chance(0.15) ? { skips: true } : {}),
    ...(dice.chance(0.2) ? { count: dice.pick([2, 3, 4]) } : {}),
  };
}

function drawTarget(rules: JobRules, peers: readonly PeerId[], dice: Dice): Partial<JobRules> {
  const side = dice.pick(sides);
  const onSide = peers.filter((peer) => sideOf(peer) === side);
  if (dice.chance(0.15) && rules.peers === undefined && onSide.length > 0)
    return { peers: onSide, taggedSide: side };
  return dice.chance(0.2) ? { preferredSide: side } : {};
}
