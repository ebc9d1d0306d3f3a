/**
 * The cluster keys of a peer, and how a new one spreads: keyrings and rotations of several peers, without a network.
 */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, describe, test } from "node:test";
import { clusterFingerprint, parseClusterKey, rotationIn } from "../src/identity/cluster-key.ts";
import { CicadaError } from "../src/errors.ts";
import { KeyRotation } from "../src/peer/key-rotation.ts";
import type { KeyChange } from "../src/ports.ts";
import type { Answer } from "../src/ports/command.ts";
import { openFolder } from "../src/real/folder.ts";
import { openKeyring } from "../src/real/keyring.ts";
import { ClusterKeys, type KeptKeys } from "../src/real/keyring.ts";
import type { PeerId } from "../src/schema/ids.ts";
import type { Message } from "../src/schema/message.ts";

const key = new Uint8Array(32).fill(7);
const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
let wall = 1_763_683_200_000;

/** `behindMs`: by how much its host's clock is behind the others'. */
function keyring(kept: Partial<KeptKeys> = {}, behindMs = 0): ClusterKeys {
  const all = { key, rotation: undefined, olds: [], heirs: [], ...kept };
  return new ClusterKeys({ kept: all, keep: () => undefined, wall: () => wall - behindMs });
}

function failToKeep(): void {
  throw new CicadaError("DATA_FOLDER_UNUSABLE", "the disk is full");
}

function done<Change>(
  act: (change: Change, end: (error?: CicadaError) => void) => void,
  change: Change,
): Promise<CicadaError | undefined> {
  return new Promise((resolve) => act(change, resolve));
}

const rotate = (ring: ClusterKeys, graceMs = hourMs, heirs: readonly PeerId[] = []) =>
  done((change, end) => ring.rotate(change, end), { madeAt: ++wall, oldUntil: wall + graceMs, heirs });
const adopt = (ring: ClusterKeys, change: KeyChange | undefined) => {
  assert.ok(change);
  return done((one: KeyChange, end) => ring.adopt(one, end), change);
};

/** Rotates so many times, each time after a pause in which the grace ends. Returns the replaced keys, the newest first. */
async function rotateOften(ring: ClusterKeys, times: number, everyMs: number): Promise<Uint8Array[]> {
  const past: Uint8Array[] = [];
  for (let time = 0; time < times; time++) {
    past.unshift(ring.present);
    // oxlint-disable-next-line no-await-in-loop -- one rotation after the other
    await rotate(ring);
    wall += everyMs;
    ring.expire();
  }
  return past;
}

describe("a keyring", () => {
  test("accepts the previous key until the grace is over, and keeps the mesh's name", async () => {
    const ring = keyring();
    const { mesh } = ring;
    let changes = 0;
    ring.onChange = () => changes++;
    await rotate(ring);
    assert.notDeepEqual(ring.present, key);
    assert.ok(ring.accepts(mesh) && ring.accepts(ring.fingerprint()));
    assert.equal(ring.mesh, mesh);
    wall += hourMs;
    ring.expire();
    assert.equal(ring.accepts(mesh), false);
    assert.equal(ring.mesh, mesh);
    assert.equal(ring.ongoingRotation(), undefined);
    assert.equal(changes, 2);
  });

  test("accepts no earlier key for longer than the latest rotation's grace, whatever an earlier rotation has said", async () => {
    const [here, liar] = [keyring(), keyring()];
    await rotate(liar, 100 * 365 * dayMs);
    const replaced = liar.fingerprint();
    assert.equal(await adopt(here, liar.ongoingRotation()), undefined);
    await rotate(here, 10_000);
    assert.ok(here.accepts(here.mesh) && here.accepts(replaced));
    wall += 10_000;
    here.expire();
    assert.deepEqual([here.accepts(here.mesh), here.accepts(replaced)], [false, false]);
  });

  test("accepts a replaced key for 30 days at most, however long a grace a member has told", async () => {
    const [here, liar] = [keyring(), keyring()];
    await rotate(liar, 100 * 365 * dayMs);
    await adopt(here, liar.ongoingRotation());
    wall += 31 * dayMs;
    here.expire();
    assert.equal(here.accepts(here.mesh), false);
  });

  test("accepts a change only from a peer that knew the replaced key", async () => {
    const [here, there, stranger] = [keyring(), keyring(), keyring({ key: new Uint8Array(32).fill(8) })];
    await rotate(stranger);
    assert.equal((await adopt(there, stranger.ongoingRotation()))?.code, "BAD_KEY");
    await rotate(here);
    assert.equal(await adopt(there, here.ongoingRotation()), undefined);
    assert.deepEqual(there.present, here.present);
    // A thief who has only the leaked key can't replace it by a third one.
    const thief = keyring();
    await rotate(thief);
    assert.equal((await adopt(here, thief.ongoingRotation()))?.code, "BAD_KEY");
    assert.deepEqual(there.present, here.present);
  });

  test("admits with a replaced key only the members to which the latest rotation gives its key", async () => {
    const [ring, heir, leftOut, later] = [
      keyring(),
      "heir" as PeerId,
      "left-out" as PeerId,
      "later" as PeerId,
    ];
    const first = ring.fingerprint();
    assert.ok(ring.admits(first, later), "the present key admits everybody");
    await rotate(ring, hourMs, [heir, leftOut]);
    const second = ring.fingerprint();
    assert.deepEqual(
      [heir, leftOut, later].map((peer) => ring.admits(first, peer)),
      [true, true, false],
    );
    await rotate(ring, hourMs, [heir]);
    for (const old of [first, second])
      assert.deepEqual([ring.admits(old, heir), ring.admits(old, leftOut)], [true, false]);
    assert.ok(ring.admits(ring.fingerprint(), leftOut));
    wall += hourMs;
    ring.expire();
    assert.equal(ring.admits(second, heir), false);
  });

  test("refuses a change from the future, which no later change could follow", async () => {
    const [here, there] = [keyring(), keyring()];
    await done((change, end) => here.rotate(change, end), {
      madeAt: wall + 2 * hourMs,
      oldUntil: wall + hourMs,
      heirs: [],
    });
    assert.equal((await adopt(there, here.ongoingRotation()))?.code, "BAD_KEY");
  });

  test("ends with the later key if two peers rotated at once", async () => {
    const [early, late] = [keyring(), keyring()];
    await rotate(early);
    await rotate(late);
    await adopt(late, early.ongoingRotation());
    assert.equal(await adopt(early, late.ongoingRotation()), undefined);
    assert.deepEqual(early.present, late.present);
  });

  test("keeps a key for 30 days after its grace, and until the next rotation, but lets no peer in with it and accepts no change by it", async () => {
    const [ring, behind] = [keyring(), keyring()];
    await rotate(ring);
    assert.equal(ring.isRetired(clusterFingerprint(key)), false, "during the grace it lets in");
    wall += hourMs;
    ring.expire();
    assert.deepEqual(ring.retired(), [key]);
    assert.deepEqual(ring.accepted(), [ring.present]);
    assert.equal(ring.ongoingRotation(), undefined);
    await rotate(behind);
    assert.equal((await adopt(ring, behind.ongoingRotation()))?.code, "BAD_KEY");
    wall += 30 * dayMs - 3;
    const second = ring.present;
    await rotate(ring);
    assert.deepEqual(ring.retired(), [key]);
    wall += hourMs;
    ring.expire();
    assert.deepEqual(ring.retired(), [second, key]);
    await rotate(ring);
    assert.deepEqual(ring.retired(), [second]);
  });

  test("whose clock leaps a year ahead still proves to a peer that was away that the key was replaced", async () => {
    const ring = keyring();
    await rotate(ring);
    wall += hourMs;
    ring.expire();
    wall += 365 * dayMs;
    ring.expire();
    assert.equal(ring.isRetired(clusterFingerprint(key)), true);
  });

  test("that is rotated every day proves it to a peer that was away for up to 30 days", async () => {
    const ring = keyring();
    const past = await rotateOften(ring, 45, dayMs);
    assert.deepEqual(ring.retired(), past.slice(0, 31));
    assert.equal(ring.isRetired(clusterFingerprint(past[6] ?? key)), true, "away for a week");
  });

  test("that is rotated more often than a list can grow keeps the newest 64 replaced keys", async () => {
    const ring = keyring();
    const past = await rotateOften(ring, 70, hourMs);
    assert.deepEqual(ring.retired(), past.slice(0, 64));
  });

  test("doesn't use a key that can't be stored", async () => {
    const kept = { key, rotation: undefined, olds: [], heirs: [] };
    const ring = new ClusterKeys({ kept, keep: failToKeep, wall: () => wall });
    assert.equal((await rotate(ring))?.code, "DATA_FOLDER_UNUSABLE");
    assert.deepEqual(ring.present, key);
  });
});

describe("the keys of a data folder", () => {
  const folders: string[] = [];
  afterEach(() => {
    for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
  });
  const log = { debug() {}, info() {}, warn() {}, error() {} };
  const open = (place: string) => {
    const folder = openFolder(place, log);
    const text = folder.clusterKey() ?? "";
    const present = {
      key: text === "" ? key : parseClusterKey(text),
      founder: undefined,
      rotation: rotationIn(text),
    };
    return { folder, ring: openKeyring(folder, present, () => wall, log) };
  };
  /** A peer on that folder rotates its key, and the old key's grace passes. Returns the new key. */
  const retireKey = async (place: string): Promise<Uint8Array> => {
    const { ring, folder } = open(place);
    await rotate(ring);
    wall += hourMs;
    ring.expire();
    folder.close();
    const [present] = ring.accepted();
    assert.ok(present !== undefined);
    return present;
  };
  const place = () => {
    const made = mkdtempSync(path.join(tmpdir(), "cicada-keyring-"));
    folders.push(made);
    return path.join(made, "data");
  };

  test("are the same after a restart, can be read only by their user, and are removed when their time is over", async () => {
    const data = place();
    const first = open(data);
    await rotate(first.ring, hourMs, ["12D3KooWalder" as PeerId]);
    first.folder.close();
    const second = open(data);
    assert.deepEqual(second.ring.present, first.ring.present);
    assert.deepEqual(second.ring.ongoingRotation(), first.ring.ongoingRotation());
    assert.equal(second.ring.mesh, clusterFingerprint(key));
    assert.equal(statSync(path.join(data, "cluster.key.old")).mode & 0o777, 0o600);
    wall += hourMs;
    second.ring.expire();
    assert.equal(second.folder.oldKeys(), undefined);
    second.folder.close();
  });

  test("that were replaced are kept over restarts in a file of their own that only their user can read", async () => {
    const data = place();
    await retireKey(data);
    assert.equal(statSync(path.join(data, "cluster.key.retired")).mode & 0o777, 0o600);
    const second = open(data);
    assert.deepEqual(second.ring.retired(), [key]);
    assert.deepEqual(second.ring.accepted(), [second.ring.present]);
    second.folder.close();
    wall += 30 * dayMs;
    const third = open(data);
    await rotate(third.ring);
    assert.equal(
      third.folder.retiredKeys(),
      undefined,
      "the next rotation removes expired keys from the disk",
    );
    third.folder.close();
  });

  test("that a fresh invitation has replaced are kept like those that a rotation replaced", () => {
    const data = place();
    const folder = openFolder(data, log);
    const later = new Uint8Array(32).fill(9);
    const rotation = { mesh: clusterFingerprint(key), madeAt: wall };
    const ring = openKeyring(
      folder,
      { key: later, founder: undefined, rotation, replaced: key },
      () => wall,
      log,
    );
    assert.deepEqual(ring.retired(), [key]);
    assert.deepEqual(ring.accepted(), [later]);
    assert.match(folder.retiredKeys() ?? "", /cicada-cluster-key-1:/);
    folder.close();
  });

  test("that a fresh invitation has replaced admit nobody, even if an earlier rotation's grace lasts", async () => {
    const data = place();
    const before = open(data);
    await rotate(before.ring, hourMs, ["left-out" as PeerId]);
    const replaced = before.ring.present;
    before.folder.close();
    const folder = openFolder(data, log);
    const rotation = { mesh: clusterFingerprint(key), madeAt: wall };
    const later = new Uint8Array(32).fill(9);
    const ring = openKeyring(folder, { key: later, founder: undefined, rotation, replaced }, () => wall, log);
    assert.deepEqual(ring.accepted(), [later]);
    assert.deepEqual(ring.retired(), [replaced, key]);
    assert.equal(ring.ongoingRotation(), undefined, "it offers its key to no heir of an earlier one");
    assert.equal(folder.oldKeys(), undefined);
    folder.close();
  });

  test("are all there after a restart, one for each of 31 daily rotations, as an older list of four is", async () => {
    const data = place();
    const first = open(data);
    for (let day = 0; day < 31; day++) {
      // oxlint-disable-next-line no-await-in-loop -- one rotation after the other
      await rotate(first.ring);
      wall += dayMs;
      first.ring.expire();
    }
    const kept = first.ring.retired();
    assert.equal(kept.length, 31);
    const file = path.join(data, "cluster.key.retired");
    first.folder.close();
    const second = open(data);
    assert.deepEqual(second.ring.retired(), kept);
    second.folder.close();
    const list = JSON.parse(readFileSync(file, "utf8")) as { keys: unknown[] };
    writeFileSync(file, JSON.stringify({ keys: list.keys.slice(0, 4) }));
    const third = open(data);
    assert.deepEqual(third.ring.retired(), kept.slice(0, 4));
    third.folder.close();
  });

  test("can be opened although the list of retired ones is damaged", async () => {
    const data = place();
    const present = await retireKey(data);
    const file = path.join(data, "cluster.key.retired");
    writeFileSync(file, readFileSync(file).subarray(0, 20));
    const second = open(data);
    assert.deepEqual(second.ring.accepted(), [present]);
    assert.deepEqual(second.ring.retired(), []);
    assert.equal(readFileSync(`${file}.damaged`).length, 20, "it is kept");
    second.folder.close();
  });

  test("can be opened although the list of old ones is damaged", async () => {
    const data = place();
    const first = open(data);
    await rotate(first.ring);
    first.folder.close();
    const file = path.join(data, "cluster.key.old");
    writeFileSync(file, readFileSync(file).subarray(0, 20));
    const second = open(data);
    assert.deepEqual(second.ring.present, first.ring.present);
    assert.equal(second.ring.ongoingRotation(), undefined);
    await rotate(second.ring);
    assert.equal(readFileSync(`${file}.damaged`).length, 20, "it is kept when another one takes its place");
    second.folder.close();
  });
});

/** Peers whose rotations exchange messages without delay, if they are linked. */
class Round {
  readonly rings = new Map<PeerId, ClusterKeys>();
  readonly rotations = new Map<PeerId, KeyRotation>();
  readonly away = new Set<PeerId>();
  readonly #queue: (() => void)[] = [];
  mono = 0;
  sent = 0;

  constructor(names: readonly string[], known = names) {
    for (const name of names) this.add(name as PeerId, known as PeerId[]);
  }

  add(self: PeerId, known: readonly PeerId[], ring = keyring()): void {
    this.rings.set(self, ring);
    const rotation = new KeyRotation({
      self,
      keyring: ring,
      clock: { now: () => ({ wall: ++wall, mono: this.mono }), alarm: () => () => undefined },
      log: { debug() {}, info() {}, warn() {}, error() {} },
      members: () =>
        known
          .filter((id) => id !== self)
          .map((id) => ({ id, name: `host-${id}`, linked: !this.away.has(id) && !this.away.has(self) })),
      send: (to, message) => this.#send(self, to, message),
      count: () => undefined,
      changed: () => undefined,
    });
    this.rotations.set(self, rotation);
  }

  #send(from: PeerId, to: PeerId, message: Message): void {
    if (this.away.has(to) || this.away.has(from)) return;
    assert.ok(++this.sent < 1_000, "two peers answer each other for ever");
    this.#queue.push(() => {
      if (message.kind === "key" || message.kind === "key-heard")
        this.rotations.get(to)?.heard(from, message);
    });
  }

  async untilQuiet(): Promise<void> {
    for (let quiet = 0; quiet < 5; quiet++) {
      for (const act of this.#queue.splice(0)) {
        quiet = 0;
        act();
      }
      // oxlint-disable-next-line no-await-in-loop -- a keyring answers a moment later
      await Promise.resolve();
    }
  }

  async pass(ms: number): Promise<void> {
    this.mono += ms;
    for (const rotation of this.rotations.values()) rotation.woke({ wall, mono: this.mono });
    await this.untilQuiet();
  }

  keyOf(name: string): string {
    const ring = this.rings.get(name as PeerId);
    assert.ok(ring);
    return ring.fingerprint();
  }

  rotate(name: string, graceMs = hourMs): Answer[] {
    const answers: Answer[] = [];
    this.rotations.get(name as PeerId)?.rotate(graceMs, "ops", (answer) => answers.push(answer));
    return answers;
  }
}

const holders = ([answer]: Answer[]): string[] => {
  assert.equal(answer?.kind, "rotated");
  return answer?.kind === "rotated" ? answer.peers.filter(({ has }) => has).map(({ id }) => id) : [];
};

describe("a rotation", () => {
  test("gives every member the new key, and says so when the last one has confirmed", async () => {
    const round = new Round(["a", "b", "c"]);
    const answers = round.rotate("a");
    await round.untilQuiet();
    assert.deepEqual(holders(answers), ["b", "c"]);
    assert.equal(new Set(["a", "b", "c"].map((name) => round.keyOf(name))).size, 1);
    assert.notEqual(round.keyOf("a"), clusterFingerprint(key));
  });

  test("names the members without the new key, which get it from any member when they are back", async () => {
    const round = new Round(["a", "b", "c"]);
    round.away.add("c" as PeerId);
    const answers = round.rotate("a");
    await round.untilQuiet();
    assert.deepEqual(holders(answers), ["b"]);
    round.away.delete("c" as PeerId);
    round.away.add("a" as PeerId);
    round.rotations.get("b" as PeerId)?.linkUp("c" as PeerId);
    await round.untilQuiet();
    assert.equal(round.keyOf("c"), round.keyOf("b"));
  });

  test("reaches members that each missed another rotation, in whatever order they come back", async () => {
    const peers = ["a", "b", "c"] as PeerId[];
    for (const order of [peers, peers.toReversed(), ["c", "a", "b"] as PeerId[]]) {
      const round = new Round(peers);
      for (const absent of ["a", "b"] as PeerId[]) {
        round.away.add(absent);
        round.rotate("c");
        // oxlint-disable-next-line no-await-in-loop -- one rotation after the other
        for (let pass = 0; pass < 2; pass++) await round.pass(5_000);
      }
      for (const peer of peers) round.away.add(peer);
      assert.equal(new Set(peers.map((peer) => round.keyOf(peer))).size, 3, "each has a key of its own");
      const latest = round.keyOf("c");
      for (const peer of order) {
        round.away.delete(peer);
        await round.pass(5_000); // oxlint-disable-line no-await-in-loop -- one return after the other
      }
      await round.pass(5_000); // oxlint-disable-line no-await-in-loop
      assert.deepEqual(
        peers.map((peer) => round.keyOf(peer)),
        [latest, latest, latest],
      );
    }
  });

  test("is answered after 5 s if a linked member is silent, and that member is asked again", async () => {
    const round = new Round(["a", "b"]);
    const deaf = round.rotations.get("b" as PeerId);
    assert.ok(deaf);
    round.rotations.delete("b" as PeerId);
    const answers = round.rotate("a");
    await round.untilQuiet();
    assert.equal(answers.length, 0);
    await round.pass(5_000);
    assert.deepEqual(holders(answers), []);
    round.rotations.set("b" as PeerId, deaf);
    await round.pass(5_000);
    assert.equal(round.keyOf("b"), round.keyOf("a"));
  });

  test("gives the new key to no peer that came in later with the old one", async () => {
    const round = new Round(["a", "b"]);
    round.rotate("a");
    await round.untilQuiet();
    round.add("thief" as PeerId, ["a", "b"] as PeerId[]);
    for (const name of ["a", "b"]) round.rotations.get(name as PeerId)?.linkUp("thief" as PeerId);
    await round.pass(5_000);
    assert.equal(round.keyOf("thief"), clusterFingerprint(key));
    // That peer can't replace the new key either.
    round.rotations.get("thief" as PeerId)?.rotate(hourMs, "thief", () => undefined);
    const before = round.keyOf("a");
    await round.pass(5_000);
    assert.equal(round.keyOf("a"), before);
    assert.equal(round.keyOf("b"), before);
  });

  test("that is asked of two peers at once ends with one key everywhere", async () => {
    const round = new Round(["a", "b", "c", "d"]);
    round.rotate("a");
    round.rotate("d");
    await round.untilQuiet();
    for (let i = 0; i < 4; i++) await round.pass(5_000);
    assert.equal(new Set(["a", "b", "c", "d"].map((name) => round.keyOf(name))).size, 1);
  });

  test("makes peers exchange few messages that take over neither's key, because their clocks are a day apart", async () => {
    const round = new Round(["a"], ["a", "b"]);
    const [a, b] = ["a", "b"] as [PeerId, PeerId];
    const behind = keyring({}, dayMs);
    round.add(b, [a, b], behind);
    round.away.add(b);
    round.rotate("a", 30 * dayMs);
    await done((change, end) => behind.rotate(change, end), {
      madeAt: wall - dayMs,
      oldUntil: wall + dayMs,
      heirs: [a, b],
    });
    round.away.delete(b);
    for (let rounds = 0; rounds < 10; rounds++) await round.pass(5_000); // oxlint-disable-line no-await-in-loop
    assert.notEqual(round.keyOf("a"), round.keyOf("b"));
    assert.ok(round.sent <= 10 * 6, `${round.sent} messages in 50 s`);
  });

  test("waits until the previous one at the same peer has been answered", async () => {
    const round = new Round(["a", "b"]);
    round.rotations.delete("b" as PeerId);
    round.rotate("a");
    const [refused] = round.rotate("a");
    assert.equal(refused?.kind === "refused" && refused.error.code, "NOT_READY");
    await round.pass(5_000);
    const again = round.rotate("a");
    await round.pass(5_000);
    assert.equal(again[0]?.kind, "rotated");
  });
});
