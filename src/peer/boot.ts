/**
 * From a data folder to a running core: reads what is stored, takes a new incarnation, and finds out which runs of an earlier
 * life had started. Nothing is decided before all of this is done; `loadedEvent` then tells core what was found.
 */
import { runId, type PeerId, type RunId } from "../schema/ids.ts";
import { CicadaError } from "../errors.ts";
import type { Doors } from "../ports.ts";
import type { Loaded, Write } from "../ports/disk.ts";
import { ulid } from "../schema/ids.ts";
import { isKeptStatementKey, storedKeys, type EventBody } from "../core/events.ts";
import { readSpans } from "../core/time/spans.ts";
import { awaitsOwnEnd } from "../core/records/records.ts";
import { settingKinds } from "../schema/setting.ts";
import type { Span } from "../schema/run.ts";
import type { Attribution } from "../schema/attribution.ts";
import type { Epoch } from "../schema/vote.ts";
import type { MembershipStatement } from "../schema/membership.ts";
import { metaKeys } from "./history/meta-keys.ts";
import { readStatement } from "../wire/membership.ts";
import { readChain } from "../wire/roster.ts";
import { readAttribution, readAttributionOfKey } from "../wire/attribution.ts";
import { freshClientId, JobTable } from "../table/table.ts";
import type { PeerSettings } from "./settings.ts";

const hourMs = 3_600_000;
/** Records of the last hour are loaded. Core looks older ticks up on the disk where it needs them. */
const loadedMs = hourMs;

export interface Booted {
  table: JobTable;
  loaded: Loaded;
  /** records of ticks from this instant (ms) on are in `loaded` */
  loadedSince: number;
  incarnation: number;
  lastAlive: number | undefined;
  /** the instant of the last round of pruning, or, if there was none, when the peer was last alive; ms */
  prunedAt: number | undefined;
  /** what the clock still had to prove (core/time/clock-proof.ts), ms; undefined = nothing, or a later round has replaced that proof */
  proofLeftMs: number | undefined;
  started: ReadonlySet<RunId>;
  voteCount: number;
  forgottenVotes: readonly Span[];
  votesLost: boolean;
  chain: readonly Epoch[];
  selfForgotten: Attribution | undefined;
  keptMembership: readonly MembershipStatement[] | undefined;
  votesLostIn: number | undefined;
  barredThrough: number | undefined;
  superseded: Attribution | undefined;
  drained: Attribution | undefined;
}

function numberIn(meta: ReadonlyMap<string, string>, key: string): number | undefined {
  const value = Number(meta.get(key));
  return meta.has(key) && Number.isSafeInteger(value) ? value : undefined;
}

function proofIn(meta: ReadonlyMap<string, string>, prunedAt: number | undefined): number | undefined {
  let stored: unknown;
  try {
    stored = JSON.parse(meta.get(metaKeys.clockProof) ?? "null");
  } catch {
    return undefined;
  }
  if (typeof stored !== "object" || stored === null || !("lastRound" in stored) || !("leftMs" in stored))
    return undefined;
  const { lastRound, leftMs } = stored;
  return lastRound === prunedAt && typeof leftMs === "number" ? leftMs : undefined;
}

/** The statements about membership that counted in an earlier life; undefined = no earlier life kept any. */
function keptStatementsIn(meta: ReadonlyMap<string, string>): MembershipStatement[] | undefined {
  if (!meta.has(storedKeys.membership)) return undefined;
  const statements = [...meta].map(([key, text]) =>
    isKeptStatementKey(key) ? readStatement(text) : undefined,
  );
  return statements.filter((statement) => statement !== undefined);
}

/**
 * Why this peer may not use the database: it holds what another peer has promised, such as its votes. The database of an earlier
 * version names no owner, and that of a peer with a new identity still names the old one.
 */
function whyNotOwn(
  { meta }: Loaded,
  self: PeerId,
  isNewIdentity: boolean | undefined,
): CicadaError | undefined {
  const owner = meta.get(metaKeys.owner);
  if (owner === undefined || owner === self || isNewIdentity === true) return undefined;
  return new CicadaError(
    "DATA_FOLDER_DAMAGED",
    `cicada.db belongs to the peer ${owner}, and peer.key to ${self}: restore the one that is not this peer's, together ` +
      "with its cicada.mark, or use --new-identity once without peer.key to go on with this database as a new peer",
  );
}

/** `done` gets the error when the data folder can't be read or written, or its database is another peer's. */
export function boot(
  doors: Doors,
  settings: BootSettings,
  done: (booted: Booted | CicadaError) => void,
): void {
  const { wall } = doors.clock.now();
  const loadedSince = wall - loadedMs;
  doors.disk.load(loadedSince, (loaded) => {
    if (loaded instanceof CicadaError) return done(loaded);
    if (loaded.ordersLeftOut > 0) {
      const what = "runs that were asked for are left out, because together they would take too much memory";
      doors.log.warn(what, { runs: loaded.ordersLeftOut });
    }
    const { self } = doors.keys;
    const why = whyNotOwn(loaded, self, settings.isNewIdentity);
    if (why !== undefined) return done(why);
    const clientId = numberIn(loaded.meta, metaKeys.clientId) ?? freshClientId(doors.random);
    const table = createTable(doors, settings, clientId);
    const { refused } = table.load(loaded.updates);
    if (refused.length > 0)
      doors.log.warn("stored changes of the job table can't be read", { count: refused.length });
    const incarnation = nextIncarnation(
      numberIn(loaded.meta, storedKeys.incarnation) ?? 0,
      wall,
      doors.random,
    );
    const writes: Write[] = [
      { kind: "meta", key: metaKeys.owner, value: self },
      { kind: "meta", key: metaKeys.clientId, value: String(clientId) },
      { kind: "meta", key: storedKeys.incarnation, value: String(incarnation) },
    ];
    doors.disk.store(writes, (error) => {
      if (error !== undefined) return done(error);
      const lastAlive = numberIn(loaded.meta, metaKeys.lastAlive);
      const prunedAt = numberIn(loaded.meta, metaKeys.prunedAt) ?? lastAlive;
      const own = loaded.records.filter((record) => record.peer === self && awaitsOwnEnd(record));
      doors.executor.findStarted(own.map(runId), (started) => {
        const voteCount = numberIn(loaded.meta, storedKeys.voteCount) ?? 0;
        const forgottenVotes = readSpans(loaded.meta.get(storedKeys.forgottenVotes) ?? "[]");
        const chain = readChain(loaded.meta.get(storedKeys.roster) ?? "[]");
        const selfForgotten = readAttribution(loaded.meta.get(storedKeys.selfForgotten));
        const superseded = readAttributionOfKey(
          loaded.meta.get(storedKeys.supersededKey),
          doors.keyring.fingerprint(),
        );
        const drained = readAttribution(loaded.meta.get(storedKeys.drained));
        const votes = {
          voteCount,
          forgottenVotes,
          votesLost: (loaded.meta.get(storedKeys.votesLost) ?? "") !== "",
          chain,
        };
        done({
          table,
          loaded,
          loadedSince,
          incarnation,
          lastAlive,
          prunedAt,
          proofLeftMs: proofIn(loaded.meta, prunedAt),
          started,
          ...votes,
          selfForgotten,
          keptMembership: keptStatementsIn(loaded.meta),
          votesLostIn: numberIn(loaded.meta, storedKeys.votesLostIn),
          barredThrough: numberIn(loaded.meta, storedKeys.barredThrough),
          superseded,
          drained,
        });
      });
    });
  });
}

type TableSettings = Pick<PeerSettings, "refusal" | "testing">;
type BootSettings = TableSettings & Pick<PeerSettings, "isNewIdentity">;

/**
 * The number of this life: its beginning (ms), or something above the last life's if that began by a clock that was ahead. Then
 * chance keeps apart the lives on a folder and on its copy, which come after the same last life.
 */
function nextIncarnation(last: number, wall: number, random: Doors["random"]): number {
  if (wall > last) return wall;
  const [high = 0, low = 0] = random.bytes(2);
  return last + 1 + high * 256 + low;
}

/** A function of its own, because the table's functions would keep everything in memory that `boot` has loaded. */
function createTable(
  { keys, random }: Doors,
  { refusal, testing }: TableSettings,
  clientId: number,
): JobTable {
  return new JobTable({
    self: keys.self,
    clientId,
    freshClientId: () => freshClientId(random),
    incarnation: (at) => ulid(at, random.bytes(16)),
    refusal,
    testing: testing ?? {},
  });
}

/** What core starts with: what was stored, and what the mesh knows at this moment. */
export function loadedEvent({ mesh }: Doors, booted: Booted): EventBody {
  const { table, loaded } = booted;
  return {
    kind: "loaded",
    jobs: [...table.jobs().values()],
    tableDigest: table.digest(),
    cyclic: table.cyclic(),
    records: loaded.records,
    watermarks: loaded.watermarks,
    prunedAhead: loaded.horizons.filter(({ starts }) => (starts.at(-1)?.to ?? 0) > booted.loadedSince),
    loadedSince: booted.loadedSince,
    orders: loaded.orders,
    votes: loaded.votes,
    voteCount: booted.voteCount,
    forgottenVotes: booted.forgottenVotes,
    votesLost: booted.votesLost,
    chain: booted.chain,
    started: booted.started,
    expected: mesh.known(),
    unresolved: mesh.unresolved(),
    lastAlive: booted.lastAlive,
    prunedAt: booted.prunedAt,
    proofLeftMs: booted.proofLeftMs,
    addresses: mesh.addresses(),
    membership: table.membership(),
    keptMembership: booted.keptMembership,
    ...table.admissions(),
    settings: Object.fromEntries(settingKinds.map((kind) => [kind, table.values(kind)])),
    votesLostIn: booted.votesLostIn,
    barredThrough: booted.barredThrough,
    selfForgotten: booted.selfForgotten,
    superseded: booted.superseded,
    drained: booted.drained,
  };
}
