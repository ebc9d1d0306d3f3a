/**
 * What worlds of all kinds have in common: their options, how children behave, what jobs share, how the peers are compared after
 * the heal, and the result.
 */
import type { Mark } from "../core/probes/marks.ts";
import type { PlantedBug } from "../core/probes/planted.ts";
import type { PeerId } from "../schema/ids.ts";
import type { Work } from "./client/client.ts";
import { askForShared, drawCalendar, drawGroup, drawSecret, type Shared } from "./client/shared.ts";
import type { ChildSettings } from "./executor.ts";
import type { FaultKind } from "./faults/faults.ts";
import type { Dice } from "./random.ts";
import type { MakePeer, PeerTraits, WorldSettings } from "./world/settings.ts";
import type { Breach, Evidence, Knowledge } from "./world/truth.ts";
import type { World } from "./world/world.ts";

export interface SeedOptions {
  seed: string;
  peers: number;
  /** about how many ticks come each minute */
  jobs: number;
  hours: number;
  faults: "none" | "swarm";
  makePeer: MakePeer;
  onLine?: WorldSettings["onLine"];
  /** with majority jobs, witnesses, joins, old disks, garbage and everything else that `wide.ts` draws */
  wide?: boolean;
  /** a wide world of two versions (`mixed.ts`) */
  mixed?: boolean;
  /** with a person who drains, promotes and forgets peers and cancels runs */
  person?: boolean;
  /** some of the jobs repeat what fails */
  retries?: boolean;
  /** some of the jobs run after others */
  chains?: boolean;
  /** a person asks for past ticks again */
  backfills?: boolean;
  /** half of the jobs share a pool, in two of five worlds */
  pools?: boolean;
  /** some of the jobs name a secret, belong to a group, or leave out what is in a calendar; each is changed once */
  secrets?: boolean;
  groups?: boolean;
  calendars?: boolean;
  planted?: PlantedBug;
  /** collects the names of the rare branches that were taken */
  marks?: Set<Mark>;
  /** in a wide world: which of the drawn faults happen; absent = all */
  keepFault?: (number: number) => boolean;
  /** which kinds of fault there are; absent = as the seed draws */
  kinds?: readonly FaultKind[];
}

export interface SeedResult {
  seed: string;
  breaches: readonly Breach[];
  evidence: Evidence;
  traceHash: string;
  events: number;
  messages: number;
  bytes: number;
  /** which kinds of fault it had */
  kinds: readonly string[];
  /** the single faults of a wide or long world */
  drawn: readonly { number: number; at: number; lastsMs: number; kind: string }[];
  /** what the peers logged, by level */
  logged: Readonly<Record<string, number>>;
}

/** When shared things are first written, ms after the world's beginning. */
const sharedFromMs = 11_000;

/** What a child does, by the job of its run. */
export function behaviourOf(
  work: () => readonly Work[],
  { chains }: Pick<SeedOptions, "chains">,
): ChildSettings["behaviour"] {
  return (spec, dice) => {
    const item = work().find(({ rules }) => rules.id === spec.job);
    const { least, most, fails } = item?.lasting ?? { least: 10, most: 100, fails: 0 };
    const writes = chains === true ? { writes: `RUN=${spec.run}\n` } : {};
    return { lastsMs: dice.between(least, most), exitCode: dice.chance(fails) ? 1 : 0, ...writes };
  };
}

/** The planted bug and the marks that every peer gets. */
export function probesOf({ planted, marks }: SeedOptions): Pick<PeerTraits, "planted" | "marks"> {
  return { ...(planted === undefined ? {} : { planted }), ...(marks === undefined ? {} : { marks }) };
}

/** The jobs of this version, and those that the later version of a mixed world writes. */
export function byVersion(work: readonly Work[]): { plain: readonly Work[]; later: readonly Work[] } {
  const [later = [], own = []] = [true, false].map((is) =>
    work.filter(({ rules }) => (rules.isLater ?? false) === is),
  );
  return { plain: own, later };
}

/** Where shared things are written before the jobs are made, and when else; `longestMs`: how long a calendar's time lasts. */
export interface SharingParts {
  epoch: number;
  safety: { from: number; to: number };
  steady: PeerId | undefined;
  longestMs: number;
}

/** Has some of the jobs share a secret, a group and a calendar, as the options say. */
export function share(
  world: World,
  all: readonly Work[],
  { secrets, groups, calendars }: Pick<SeedOptions, "secrets" | "groups" | "calendars">,
  { epoch, safety, steady, longestMs }: SharingParts,
  dice: Dice,
): readonly Work[] {
  if (steady === undefined) return all;
  let work = all;
  const drawn: [is: boolean | undefined, name: string, draw: (of: Dice) => Shared][] = [
    [secrets, "secrets", (of) => drawSecret(work, world.peers, steady, of)],
    [groups, "groups", (of) => drawGroup(work, of)],
    [calendars, "calendars", (of) => drawCalendar(work, safety, longestMs, of)],
  ];
  for (const [is, name, draw] of drawn) {
    if (is !== true) continue;
    const shared = draw(dice.fork(name));
    work = shared.work;
    askForShared(world, shared, steady, epoch + sharedFromMs, safety, dice.fork(`${name} asked for`));
  }
  return work;
}

/** Notes what every peer knows at these instants. The views are complete when the world has ended. */
export function viewsAt(world: World, instants: readonly number[]): Knowledge[][] {
  const views: Knowledge[][] = [];
  for (const at of instants) world.at(at, () => views.push(world.knowledge()));
  return views;
}

/** Runs the world. If the code under test throws, that is a breach. */
export function runToEnd(world: World, run: () => void): Breach | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    const what = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return { rule: "crash", at: world.now(), what };
  }
}

/** The verdict of a world that has ended: of `check`, unless the code under test threw. */
export function resultOf(
  world: World,
  { seed }: SeedOptions,
  evidence: Evidence,
  crash: Breach | undefined,
  check: (evidence: Evidence) => readonly Breach[],
): Omit<SeedResult, "kinds" | "drawn"> {
  return {
    seed,
    breaches: crash === undefined ? check(evidence) : [crash],
    evidence,
    traceHash: world.traceHash(),
    events: world.queue.count,
    messages: world.wires.messages,
    bytes: world.wires.bytes,
    logged: world.hosts.logCounts,
  };
}
