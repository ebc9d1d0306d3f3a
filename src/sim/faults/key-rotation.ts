/**
 * A person rotates the cluster key of a long world while one or two peers are down, suspended or cut off, for longer or
 * shorter than the old key is accepted. Some time after their return, peers that are locked out rejoin with an
 * invitation.
 *
 * As a person would, it begins no rotation while a peer still has an older key. Sometimes two people rotate at once.
 */
import type { PeerId } from "../../schema/ids.ts";
import { admitEachOther, type Holder } from "../keyring.ts";
import type { Dice } from "../random.ts";
import type { World } from "../world/world.ts";

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;

/**
 * `leave` makes peers be away; the function that it returns brings them back. The function returned here ends the
 * fault.
 */
export function rotateKey(
  world: World,
  leave: (peers: readonly PeerId[]) => () => void,
  dice: Dice,
): () => void {
  const away = dice.shuffle(world.peers).slice(0, awayCount(world, dice));
  const comeBack = leave(away);
  let isOver = false;
  const graceMs = dice.pick([10 * second, 10 * minute, 2 * hour, 26 * hour]);
  const at = world.now() + dice.between(0, 90 * minute);
  world.at(at, () => isOver || rotate(world, away, graceMs, dice));
  return () => {
    isOver = true;
    comeBack();
    // All peers, because those that were not away may have rotated keys on two sides of a cut.
    for (const peer of world.peers) {
      world.at(world.now() + dice.between(2 * minute, 3 * hour), () => joinAnew(world, peer));
    }
  };
}

function awayCount(world: World, dice: Dice): number {
  if (world.peers.length === 1 || dice.chance(0.1)) return 0;
  return world.peers.length > 2 && dice.chance(0.3) ? 2 : 1;
}

function rotate(world: World, away: readonly PeerId[], graceMs: number, dice: Dice): void {
  const present = world.inService().filter((peer) => !away.includes(peer));
  if (!haveOneKey(world)) return;
  const [first, rival] = dice.shuffle(present);
  if (first !== undefined) world.ask(first, { kind: "rotate", graceMs });
  if (rival !== undefined && dice.chance(0.2)) {
    world.at(world.now() + dice.between(0, 2 * second), () => world.ask(rival, { kind: "rotate", graceMs }));
  }
}

/**
 * Joins the peer again with a member's invitation if that member doesn't accept the peer's key. If no such member is
 * up, it tries again later.
 */
function joinAnew(world: World, peer: PeerId): void {
  const member = holderOfLatest(world);
  const isLockedOut =
    member !== undefined &&
    isBehind(world, peer) &&
    !admitEachOther(holderAt(world, member), holderAt(world, peer));
  if (isLockedOut) world.folders.joinAnew(peer, member);
  else if (world.hosts.isLeftBehind(peer)) world.at(world.now() + hour, () => joinAnew(world, peer));
}

/** Starts a peer that is down, with the mesh's present key. */
export function startInvited(world: World, peer: PeerId): void {
  if (world.hosts.isUp(peer)) return;
  const member = holderOfLatest(world);
  if (member === undefined) world.hosts.start(peer);
  else world.folders.joinAnew(peer, member);
}

/** For the end of the world: peers that are up and still have an older key rejoin. */
export function inviteAll(world: World): void {
  const member = holderOfLatest(world);
  if (member === undefined) return;
  for (const peer of world.inService()) if (isBehind(world, peer)) world.folders.joinAnew(peer, member);
}

/** The peer with the latest key among those that are up, and that may be members; undefined = none is up. */
function holderOfLatest(world: World): PeerId | undefined {
  const up = world.peers.filter((peer) => world.hosts.isUp(peer) && !world.hasSurelyForgotten(peer));
  return up.toSorted((a, b) => madeAt(world, b) - madeAt(world, a))[0];
}

/** True if all peers that were ever started have the same key. */
function haveOneKey(world: World): boolean {
  const members = world.peers.filter((peer) => !world.hasForgotten(peer) && world.hosts.get(peer).lives > 0);
  return new Set(members.map((peer) => madeAt(world, peer))).size === 1;
}

function isBehind(world: World, peer: PeerId): boolean {
  const member = holderOfLatest(world);
  return member !== undefined && !world.hasForgotten(peer) && madeAt(world, peer) < madeAt(world, member);
}

function madeAt(world: World, peer: PeerId): number {
  return holderAt(world, peer).keys.madeAt;
}

function holderAt(world: World, peer: PeerId): Holder {
  return { peer, keys: world.hosts.get(peer).keys };
}
