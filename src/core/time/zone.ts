/**
 * What the clocks of a time zone show, as a table of stretches with a constant offset.
 *
 * The offsets come from Node's own time zone data through `Intl`, which answers for one instant at a time in about 1 µs. So a
 * zone's changes of offset are found once per block of about a year, by sampling and bisection, and cached. Two changes that
 * cancel each other within the sampling step would be overlooked; since 1970 no zone has had any (the shortest are the weeks
 * around Ramadan in Morocco and Egypt).
 *
 * Everything is in whole seconds. The answers depend only on the zone's name, never on earlier questions.
 */
import { assert } from "../../errors.ts";
import { nearest } from "../../schema/nearest.ts";
import { dayOfDate, daySeconds } from "./calendar.ts";

/** A stretch of time with a constant offset. It also ends where a block ends. */
export interface Stretch {
  /** seconds since the epoch, first and one past the last */
  start: number;
  end: number;
  /** the clocks show the instant plus this; seconds */
  offset: number;
  /**
   * The highest civil second that the clocks had reached before `start`. If it is below `start + offset`, there is a gap; if
   * it is above, some times are shown again.
   */
  reached: number;
}

/** A power of two near a year: 388 days. */
const blockSeconds = 2 ** 25;
/** A smaller step finds changes that last less long, and costs more look-ups. */
const samplingSeconds = 3 * daySeconds;
/** The clocks of a zone have never gone back by more than a day. */
const lookBackSeconds = 3 * daySeconds;
/**
 * From this year on, each instant is answered like the one 400 years before: the calendar repeats after 146,097 days, and all
 * that is known of a zone's future is rules by month and weekday. The last list of single dates, Morocco's, ends in 2087.
 */
const repeatsFrom = dayOfDate(2_500, 1, 1) * daySeconds;
const repeatsAfter = 146_097 * daySeconds;
/** The most blocks in the cache; from 1970 to 2500 there are 499. Beyond it the cache is emptied. */
const blocksKept = 512;

export class Zone {
  readonly name: string;
  readonly #clock: Intl.DateTimeFormat;
  readonly #blocks = new Map<number, readonly Stretch[]>();

  constructor(name: string, clock: Intl.DateTimeFormat) {
    this.name = name;
    this.#clock = clock;
  }

  /** The stretch that holds the instant (seconds since the epoch). */
  stretchAt(second: number): Stretch {
    const later = Math.max(0, Math.ceil((second + 1 - repeatsFrom) / repeatsAfter)) * repeatsAfter;
    const { start, end, offset, reached } = this.#storedAt(second - later);
    return { start: start + later, end: end + later, offset, reached: reached + later };
  }

  #storedAt(second: number): Stretch {
    const index = Math.floor(second / blockSeconds);
    let block = this.#blocks.get(index);
    if (block === undefined) {
      if (this.#blocks.size >= blocksKept) this.#blocks.clear();
      block = this.#readBlock(index);
      this.#blocks.set(index, block);
    }
    const found = block.find((stretch) => second < stretch.end);
    assert(found !== undefined, `a stretch of ${this.name} at ${second}`);
    return found;
  }

  #readBlock(index: number): readonly Stretch[] {
    const start = index * blockSeconds;
    const end = start + blockSeconds;
    const before = start - lookBackSeconds;
    const stretches: Stretch[] = [];
    let from = before;
    let offset = this.#offsetAt(before);
    let reached = before + offset;
    const close = (to: number) => {
      if (to > start) {
        const cut = Math.max(from, start);
        const shown = from < start ? Math.max(reached, start + offset) : reached;
        stretches.push({ start: cut, end: to, offset, reached: shown });
      }
      reached = Math.max(reached, to + offset);
    };
    for (const change of this.#changes(before, end)) {
      close(change.at);
      from = change.at;
      offset = change.offset;
    }
    close(end);
    return stretches;
  }

  /** Every instant in `from < at < to` at which the offset changes, with the offset from then on. */
  #changes(from: number, to: number): { at: number; offset: number }[] {
    const found: { at: number; offset: number }[] = [];
    let known = this.#offsetAt(from);
    for (let low = from; low < to;) {
      const high = Math.min(low + samplingSeconds, to - 1);
      const offsetHigh = this.#offsetAt(high);
      while (known !== offsetHigh) {
        const at = this.#firstOther(low, high, known);
        known = this.#offsetAt(at);
        found.push({ at, offset: known });
        low = at;
      }
      if (high === to - 1) break;
      low = high;
    }
    return found;
  }

  /** The first instant in `low < at ≤ high` whose offset is no longer `known`. */
  #firstOther(low: number, high: number, known: number): number {
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2);
      if (this.#offsetAt(middle) === known) low = middle;
      else high = middle;
    }
    return high;
  }

  #offsetAt(second: number): number {
    const shown =
      this.#clock
        .format(second * 1_000)
        .match(/\d+/g)
        ?.map(Number) ?? [];
    const [month = 1, day = 1, year = 1970, hour = 0, minute = 0, sec = 0] = shown;
    return dayOfDate(year, month, day) * daySeconds + hour * 3_600 + minute * 60 + sec - second;
  }
}

const zones = new Map<string, Zone>();
/**
 * The most zones in the cache, by the name that was asked for. There are about 600, but names may be in any letter case, so
 * beyond this the cache is emptied.
 */
const zonesKept = 1_024;

/** The zone with a name that `Intl` knows, aliases and any letter case included; undefined when there is none. */
export function zoneOf(name: string): Zone | undefined {
  const known = zones.get(name);
  if (known !== undefined) return known;
  // Intl also accepts plain offsets, but only a named zone follows its country's rules.
  if (!/^[A-Za-z]/.test(name)) return undefined;
  try {
    const clock = new Intl.DateTimeFormat("en-US", {
      timeZone: name,
      calendar: "gregory",
      numberingSystem: "latn",
      hourCycle: "h23",
      year: "numeric",
      month: "2-digit",
      day: "2-digit",
      hour: "2-digit",
      minute: "2-digit",
      second: "2-digit",
    });
    const zone = new Zone(name, clock);
    if (zones.size >= zonesKept) zones.clear();
    zones.set(name, zone);
    return zone;
  } catch {
    return undefined;
  }
}

/** Why the name is no time zone, with a suggestion; undefined when it is one. */
export function zoneProblem(name: string): string | undefined {
  if (zoneOf(name) !== undefined) return undefined;
  if (/^[+-]/.test(name))
    return `${JSON.stringify(name)} is an offset: write an IANA zone such as Europe/Berlin or UTC`;
  const meant = zoneMeant(name);
  const hint =
    meant === undefined
      ? "write an IANA name such as Europe/Berlin or UTC"
      : `did you mean ${JSON.stringify(meant)}?`;
  return `no time zone is called ${JSON.stringify(name)}: ${hint}`;
}

/** The zone of a city, if the name is a city's; otherwise the nearest name. */
function zoneMeant(name: string): string | undefined {
  const names = ["UTC", ...Intl.supportedValuesOf("timeZone")];
  const place = name.trim().replaceAll(" ", "_").toLowerCase();
  const ofCity = names.find((known) => known.slice(known.lastIndexOf("/") + 1).toLowerCase() === place);
  return ofCity ?? nearest(place, names);
}
