/**
 * The doors of the disk: the files of a data folder with some bytes flipped, cut off, added or replaced. The folder
 * must open or say which file is damaged, and everything that is read from it must once have been written.
 */
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { edit } from "../tables.ts";
import { formatClusterKey, founderIn, parseClusterKey } from "../../../src/identity/cluster-key.ts";
import { CicadaError } from "../../../src/errors.ts";
import type { Log } from "../../../src/ports.ts";
import type { Disk, Loaded } from "../../../src/ports/disk.ts";
import { openDisk } from "../../../src/real/disk.ts";
import { openFolder } from "../../../src/real/folder.ts";
import { generateClusterKey, generatePeerKey, peerIdOf } from "../../../src/real/keys.ts";
import { splitAddress } from "../../../src/real/mesh/addresses.ts";
import { instantOf, tickAt, type JobId, type PeerId } from "../../../src/schema/ids.ts";
import type { RunRecord } from "../../../src/schema/run.ts";
import { Dice } from "../../../src/sim/random.ts";
import { JobTable } from "../../../src/table/table.ts";
import { readChain } from "../../../src/wire/roster.ts";
import { Fault, type Door, type OpenDoor } from "./door.ts";
import { concat, edgeText, mutateBytes } from "./garbage.ts";

const quiet: Log = { debug() {}, info() {}, warn() {}, error() {} };
const instant = Date.UTC(2026, 10, 20);
const pageBytes = 4_096;

type Files = ReadonlyMap<string, Uint8Array>;

function filesIn(folder: string): Files {
  const names = readdirSync(folder).filter((name) => statSync(join(folder, name)).isFile());
  return new Map(names.map((name) => [name, Uint8Array.from(readFileSync(join(folder, name)))]));
}

function put(folder: string, files: Files): void {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { mode: 0o700 });
  for (const [name, bytes] of files) writeFileSync(join(folder, name), bytes, { mode: 0o600 });
}

/** A file's bytes after a bad or full disk, or a careless person, has damaged them. */
function damaged(bytes: Uint8Array, dice: Dice): Uint8Array {
  const whole = Uint8Array.from(bytes);
  const page = dice.below(Math.ceil(whole.length / pageBytes)) * pageBytes;
  switch (dice.below(7)) {
    case 0:
      return whole.subarray(0, dice.below(whole.length + 1));
    case 1:
      return whole.fill(0, page, page + pageBytes);
    case 2:
      return concat(whole.subarray(0, page), whole.subarray(page + pageBytes));
    case 3:
      return concat(whole, dice.bytes(dice.below(5_000)));
    case 4:
      return Buffer.from(edgeText(dice));
    default:
      return mutateBytes(whole, dice);
  }
}

/** Accepts a refusal with a code; anything else counts as a crash. */
function refusedWithCode(error: unknown): void {
  if (!(error instanceof CicadaError)) throw error;
}

export function folderDoor(): Door {
  return {
    name: "folder",
    share: 0.3,
    round: 100,
    open: (seed): OpenDoor => {
      const dice = new Dice(`folder ${seed}`);
      const parent = mkdtempSync(join(tmpdir(), "cicada-fuzz-"));
      const folder = join(parent, "peer");
      makeFolder(folder);
      const good = filesIn(folder);
      const names = [
        "format",
        "peer.key",
        "cluster.key",
        "admin.token",
        "addresses.json",
        "ready.json",
        "lock.db",
        "lock.pid",
      ];
      let last = "";
      return {
        one() {
          const files = new Map(good);
          for (let left = 1 + dice.below(2); left > 0; left--) {
            const name = dice.pick(names);
            files.set(name, damaged(good.get(name) ?? new Uint8Array(1), dice));
            last = `${name}: ${Buffer.from(files.get(name) ?? [])
              .toString("base64")
              .slice(0, 2_000)}`;
          }
          if (dice.chance(0.05)) files.delete(dice.pick(names));
          put(folder, files);
          if (dice.chance(0.05)) chmodSync(join(folder, dice.pick([...files.keys()])), 0o644);
          useFolder(folder);
        },
        last: () => last,
        close: () => rmSync(parent, { recursive: true, force: true }),
      };
    },
  };
}

function makeFolder(path: string): void {
  const folder = openFolder(path, quiet);
  const peerKey = folder.peerKey(generatePeerKey);
  folder.keepClusterKey(formatClusterKey(generateClusterKey(), peerIdOf(peerKey)));
  folder.adminToken();
  folder.rememberAddresses([`/ip4/10.0.0.1/tcp/7401/p2p/${peerIdOf(peerKey)}`]);
  const ready = { pid: 1, peerId: "x", name: "x", http: "x", listen: [], tokenFile: "x", version: "0" };
  folder.writeReady(ready);
  folder.close();
  writeFileSync(join(path, "ready.json"), JSON.stringify(ready));
}

/** What `cicada start` does with the folder. */
function useFolder(path: string): void {
  try {
    const folder = openFolder(path, quiet);
    try {
      const key = folder.peerKey(generatePeerKey);
      peerIdOf(key);
      const text = folder.clusterKey();
      if (text !== undefined) {
        parseClusterKey(text);
        founderIn(text);
      }
      if (!/^[\w-]{43}([\w-]{4})?$/.test(folder.adminToken())) throw new Fault("an invalid admin token");
      for (const address of folder.addresses()) splitAddress(address);
    } finally {
      folder.close();
    }
  } catch (error) {
    refusedWithCode(error);
  }
}

// -------------------------------------------------------------------------------------------- the database

export function diskDoor(): Door {
  return { name: "disk", share: 0.05, round: 20, open: (seed) => DiskDoor.open(seed) };
}

class DiskDoor implements OpenDoor {
  readonly #dice: Dice;
  readonly #parent: string;
  readonly #good: Files;
  #last = "";

  private constructor(seed: string, parent: string, good: Files) {
    this.#dice = new Dice(`disk ${seed}`);
    this.#parent = parent;
    this.#good = good;
  }

  static async open(seed: string): Promise<DiskDoor> {
    const parent = mkdtempSync(join(tmpdir(), "cicada-fuzz-"));
    const folder = join(parent, "peer");
    mkdirSync(folder);
    const disk = await openDisk({ folder, log: quiet });
    await fill(disk);
    // The copy is taken while the database is open, so some data is only in the log.
    const good = filesIn(folder);
    await new Promise<void>((done) => disk.close(done));
    return new DiskDoor(seed, parent, good);
  }

  async one(): Promise<void> {
    const dice = this.#dice;
    const files = new Map(this.#good);
    const name = dice.pick([...files.keys()]);
    files.set(name, damaged(files.get(name) ?? new Uint8Array(), dice));
    if (dice.chance(0.1)) files.delete(dice.pick([...files.keys()]));
    this.#last = `${name}, ${files.get(name)?.length ?? 0} bytes`;
    const folder = join(this.#parent, "peer");
    put(folder, files);
    await useDisk(folder).catch(refusedWithCode);
  }

  last(): string {
    return this.#last;
  }

  close(): void {
    rmSync(this.#parent, { recursive: true, force: true });
  }
}

function someRecord(number: number): RunRecord {
  return {
    job: `job-${number % 7}` as JobId,
    tick: tickAt(instant + number * 1_000),
    attempt: 1,
    slot: "0",
    peer: "a" as PeerId,
    state: number % 5 === 0 ? "running" : "succeeded",
    version: 1,
    revision: "r",
    trigger: "schedule",
    rank: 0,
    due: instant + number * 1_000,
    view: 1,
    signature: `s${number}`,
  };
}

function someTable(): JobTable {
  return new JobTable({
    self: "a" as PeerId,
    clientId: 5,
    freshClientId: () => 6,
    incarnation: () => "01ARZ3NDEKTSV4RRFFQ69G5FAV",
  });
}

async function fill(disk: Disk): Promise<void> {
  const table = someTable();
  const spec = { id: "backup" as JobId, command: "true" };
  const update = edit(table, { kind: "put", spec, by: "x" }, instant);
  const ballot = { round: 1, peer: "a" as PeerId, incarnation: 1 };
  await store(disk, [
    { kind: "update", update },
    {
      kind: "meta",
      key: "roster",
      value: '[{"number":0,"voters":["a"],"from":0,"previous":"","signatures":{}}]',
    },
    { kind: "vote", vote: { decision: "x", instant, vote: { promised: ballot } } },
  ]);
  for (let number = 0; number < 200; number += 50) {
    const some = Array.from({ length: 50 }, (_, index) => someRecord(number + index));
    // oxlint-disable-next-line no-await-in-loop -- each its own transaction
    await store(
      disk,
      some.map((record) => ({ kind: "record", record })),
    );
  }
}

function store(disk: Disk, writes: Parameters<Disk["store"]>[0]): Promise<CicadaError | undefined> {
  return new Promise((done) => disk.store(writes, done));
}

/** Does what a peer does with its database; everything that is read must be whole. */
async function useDisk(folder: string): Promise<void> {
  const disk = await openDisk({ folder, log: quiet });
  try {
    const loaded = await new Promise<Loaded | CicadaError>((done) => disk.load(0, done));
    if (!(loaded instanceof CicadaError)) judge(loaded);
    await new Promise((done) => disk.history({ limit: 50 }, done));
    await new Promise((done) => disk.digests(0, 2 ** 40, done));
    await new Promise((done) =>
      disk.things(
        { buckets: [Math.floor(instant / 300_000)], after: undefined, upTo: undefined, limit: 9 },
        done,
      ),
    );
    await store(disk, [{ kind: "record", record: someRecord(1_000) }]);
  } finally {
    await new Promise<void>((done) => disk.close(done));
  }
}

function judge({ records, updates, meta }: Loaded): void {
  for (const record of records) {
    const isWhole = Number.isFinite(instantOf(record.tick)) && record.version >= 1;
    if (!isWhole) throw new Fault(`an invalid record: ${JSON.stringify(record)}`);
  }
  const table = someTable();
  table.load(updates);
  table.jobs();
  readChain(meta.get("roster") ?? "");
}
