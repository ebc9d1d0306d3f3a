/** What `doctor` can tell from the peers that the asked peer knows: who is there, clocks, zones, versions, voters, places. */
import type { PeerAnswer, PeersAnswer } from "../terminal/answers.ts";
import { durationText } from "../terminal/times.ts";
import { failure, ok, unknown, warning, type Finding } from "./finding.ts";

/** From this offset on, a wrong clock makes starts visibly late or early. Unit: ms (DESIGN §11). */
const clockWarningMs = 500;
/** A peer whose clock is off by this much is passed over. Unit: ms. */
const clockFailureMs = 1_600;

interface TurnedAway {
  why: string;
  mend: (self: string) => string;
}

/** By the code that `/readyz` gives: why members refuse the asked peer, and how it comes back. */
const turnedAway: Readonly<Record<string, TurnedAway>> = {
  forgotten: {
    why: "because the mesh has forgotten it",
    mend: (self) => `\`cicada peers unforget ${self}\` at one of them`,
  },
  "key-superseded": {
    why: "because the mesh's key was rotated without it",
    mend: () => "start this peer again with --join and what `cicada peers invite` prints at one of them",
  },
};

/** `codes`: why the asked peer is not ready. */
export function checkMesh({ items, roster }: PeersAnswer, codes: readonly string[]): Finding[] {
  const peers = items.filter(({ state }) => state !== "forgotten" && state !== "left");
  const alive = peers.filter(({ state }) => state === "alive");
  const refused = codes.map((code) => turnedAway[code]).find((one) => one !== undefined);
  return [
    refused === undefined ? checkMembers(peers) : describeTurnedAway(peers, refused),
    ...checkHeard(alive),
    checkClocks(alive),
    checkSynchronised(alive),
    checkZones(alive),
    checkVersions(alive),
    refused === undefined
      ? checkMajority(items, roster)
      : unknown("majority", "a peer that members refuse can't tell how many voters are up", "ask a member"),
    checkCapacity(alive),
  ];
}

function describeTurnedAway(peers: readonly PeerAnswer[], { why, mend }: TurnedAway): Finding {
  const others = namesOf(peers.filter((peer) => !peer.self));
  const self = peers.find((peer) => peer.self)?.name ?? "NAME";
  return failure("members", `${others === "" ? "the members" : others} refuse this peer, ${why}`, mend(self));
}

function checkMembers(peers: readonly PeerAnswer[]): Finding {
  const alive = peers.filter(({ state }) => state === "alive").length;
  const missing = namesOf(peers.filter(({ state }) => state === "dead" || state === "suspect"));
  if (missing !== "") {
    const mend = "start them again, or `cicada peers forget` those that never come back";
    return warning("members", `${alive} alive; not heard: ${missing}`, mend);
  }
  if (alive > 1) return ok("members", `${alive} alive`);
  return ok(
    "members",
    "this peer is alone; `cicada peers invite` prints the line with which another peer joins",
  );
}

/** The opposite direction: whether the others hear the asked peer. */
function checkHeard(alive: readonly PeerAnswer[]): Finding[] {
  const self = alive.find((peer) => peer.self);
  const others = alive.filter((peer) => !peer.self);
  if (self === undefined || others.length === 0) return [];
  const silent = others.filter(({ hears }) => hears === undefined);
  const deaf = others.filter(({ hears }) => hears !== undefined && !hears.includes(self.id));
  if (deaf.length > 0) {
    const mend = `is this peer's mesh port open for them (${addressesText(self)})? --announce tells them another address`;
    return [
      warning("heard", `${namesOf(deaf)} ${verb(deaf)} not hear this peer, though it hears them`, mend),
    ];
  }
  if (silent.length > 0)
    return [unknown("heard", `${namesOf(silent)} ${verb(silent)} not say whom they hear`, "upgrade them")];
  return [ok("heard", `every other peer hears this one: ${namesOf(others)}`)];
}

function checkClocks(alive: readonly PeerAnswer[]): Finding {
  const others = alive.filter((peer) => !peer.self);
  let worst: PeerAnswer | undefined;
  for (const peer of others) if (offsetOf(peer) > offsetOf(worst)) worst = peer;
  if (others.length === 0) return ok("clock", "no other peer to compare with");
  const apart = `clocks are up to ${durationText(offsetOf(worst))} apart${worst === undefined ? "" : ` (from ${worst.name})`}`;
  if (offsetOf(worst) >= clockFailureMs) return failure("clock", apart, "set them with NTP");
  return offsetOf(worst) >= clockWarningMs
    ? warning("clock", apart, "set them with NTP")
    : ok("clock", apart);
}

function checkSynchronised(alive: readonly PeerAnswer[]): Finding {
  const loose = alive.filter(({ clockSynchronised }) => clockSynchronised !== true);
  if (loose.length === 0) return ok("ntp", "every peer's host follows a time server");
  return unknown(
    "ntp",
    `can't tell whether the hosts of ${namesOf(loose)} follow a time server`,
    "run timesyncd, chrony or ntpd there, or say so with --clock-synchronised yes",
  );
}

function checkZones(alive: readonly PeerAnswer[]): Finding {
  const versions = distinct(alive.map(({ tzdata }) => tzdata));
  if (versions.length <= 1) return ok("zones", `time zone data ${versions.join("")} on every peer`);
  return warning(
    "zones",
    `peers have different time zone data (${versions.join(" and ")})`,
    "install the same version of Node on all of them",
  );
}

function checkVersions(alive: readonly PeerAnswer[]): Finding {
  const versions = distinct(alive.map(({ version }) => version));
  if (versions.length <= 1) return ok("versions", `cicada ${versions.join("")} on every peer`);
  const each = versions.map((one) => `${one} on ${namesOf(alive.filter(({ version }) => version === one))}`);
  return warning("versions", each.join(", "), "finish the upgrade: one peer after the other");
}

function checkMajority(peers: readonly PeerAnswer[], roster: PeersAnswer["roster"]): Finding {
  if (roster === null || roster.voters.length === 0)
    return ok("majority", "no voters: a job of partition majority needs some (`cicada peers promote`)");
  const { voters } = roster;
  const alive = peers.filter(({ id, state }) => voters.includes(id) && state === "alive");
  const up = alive.filter(({ votesLost }) => votesLost !== true);
  const needed = Math.floor(voters.length / 2) + 1;
  const lost = alive.filter((peer) => !up.includes(peer));
  const but = lost.length === 0 ? "" : ` (${namesOf(lost)} can't vote: votes-lost)`;
  const found = `${up.length} of ${voters.length} voters up, ${needed} needed${but}`;
  if (up.length < needed) {
    return failure(
      "majority",
      `${found}: majority jobs don't run`,
      lost.length === 0
        ? "start the others; if they are gone for good: `cicada peers forget NAME --force`"
        : "start the others; a voter that can't vote, at another member: `cicada peers forget NAME --force`, then `unforget` and `promote` it",
    );
  }
  const [first] = lost;
  if (first !== undefined)
    return warning(
      "majority",
      found,
      `let it vote again, at another member: \`cicada peers forget ${first.name}\`, then \`unforget\` and \`promote\` it`,
    );
  if (voters.length === 1 && peers.filter(({ state }) => state === "alive").length > 1)
    return warning(
      "majority",
      `${found}: majority jobs stop with that one peer`,
      "make three voters: `cicada peers promote`",
    );
  if (up.length === needed && voters.length > 1)
    return warning(
      "majority",
      `${found}: majority jobs stop when one more is lost`,
      voters.length === 2 ? "make a third voter: `cicada peers promote`" : "start the others",
    );
  return ok("majority", found);
}

function checkCapacity(alive: readonly PeerAnswer[]): Finding {
  const workers = alive.filter(({ role, draining }) => role !== "witness" && !draining);
  const load = workers.reduce((sum, peer) => sum + (peer.load ?? 0), 0);
  const capacity = workers.reduce((sum, peer) => sum + (peer.capacity ?? 0), 0);
  const found = `${load} of ${capacity} places are taken`;
  if (workers.length === 0)
    return failure(
      "capacity",
      "no living peer runs jobs: all are witnesses or drained",
      "`cicada peers undrain NAME`, or add a peer",
    );
  if (load < capacity) return ok("capacity", found);
  return warning(
    "capacity",
    `${found}: further runs wait`,
    "raise --capacity, add a peer, or see what runs: `cicada top`",
  );
}

function offsetOf(peer: PeerAnswer | undefined): number {
  return Math.abs(peer?.clockOffsetMs ?? 0);
}

function addressesText({ addresses }: PeerAnswer): string {
  return addresses.map((address) => address.replace(/\/p2p\/.*/, "")).join(" ") || "no address known";
}

function namesOf(peers: readonly PeerAnswer[]): string {
  return peers.map(({ name }) => name).join(", ");
}

function verb(peers: readonly unknown[]): string {
  return peers.length === 1 ? "does" : "do";
}

function distinct(values: readonly (string | null)[]): string[] {
  return [...new Set(values.filter((value) => value !== null))].toSorted();
}
