/**
 * The time zones that iCalendar text names: IANA's names, the names of Windows, and those that the text itself defines.
 *
 * A name that is known here counts for more than the text's definition of it, which is often a copy of old rules.
 */
import ICAL from "ical.js";
import { findIana, type WindowsZoneName } from "windows-iana";
import { instantOfCivil } from "../../core/time/days.ts";
import { zoneOf, type Zone } from "../../core/time/zone.ts";
import type { Component } from "./lines.ts";

/** Between instants and what clocks show; seconds. */
export interface Frame {
  toInstant(civil: number): number;
  toCivil(instant: number): number;
}

export const utcFrame: Frame = { toInstant: (civil) => civil, toCivil: (instant) => instant };

function frameOf(zone: Zone): Frame {
  return {
    toInstant: (civil) => instantOfCivil(zone, civil),
    toCivil: (instant) => instant + zone.stretchAt(instant).offset,
  };
}

export class ZonesOfText {
  readonly #definitions: ReadonlyMap<string, Component>;
  readonly #frames = new Map<string, Frame | undefined>();

  constructor(definitions: readonly Component[]) {
    this.#definitions = new Map(definitions.map((one) => [valueOf(one, "TZID") ?? "", one]));
  }

  /** Undefined if nobody knows the zone. */
  named(tzid: string): Frame | undefined {
    if (!this.#frames.has(tzid)) this.#frames.set(tzid, this.#read(tzid));
    return this.#frames.get(tzid);
  }

  #read(tzid: string): Frame | undefined {
    const definition = this.#definitions.get(tzid);
    const location = definition === undefined ? undefined : valueOf(definition, "X-LIC-LOCATION");
    // Some programs write their own name before that of the zone: /example.org/20050126/Europe/Berlin.
    const tail = tzid.startsWith("/") ? tzid.split("/").slice(-2).join("/") : tzid;
    const ofWindows = findIana(tzid as WindowsZoneName)[0];
    for (const name of [tzid, tail, ofWindows, location]) {
      const zone = name === undefined ? undefined : zoneOf(name);
      if (zone !== undefined) return frameOf(zone);
    }
    return definition === undefined ? undefined : defined(tzid, definition);
  }
}

/** A zone as the text defines it. Throws if it can't be read. */
function defined(tzid: string, definition: Component): Frame {
  const parsed = new ICAL.Component(ICAL.parse(textOf(definition)));
  const zone = new ICAL.Timezone({ component: parsed, tzid });
  const offsetOf = (civil: number): number => zone.utcOffset(timeAt(civil));
  return {
    toInstant: (civil) => civil - offsetOf(civil),
    toCivil: (instant) => {
      // The offset at the time that the clocks show, from the one near it.
      const near = instant + offsetOf(instant);
      return instant + offsetOf(near);
    },
  };
}

export function timeAt(civil: number): ICAL.Time {
  const date = new Date(civil * 1_000);
  return ICAL.Time.fromData({
    year: date.getUTCFullYear(),
    month: date.getUTCMonth() + 1,
    day: date.getUTCDate(),
    hour: date.getUTCHours(),
    minute: date.getUTCMinutes(),
    second: date.getUTCSeconds(),
    isDate: false,
  });
}

function valueOf({ lines }: Component, name: string): string | undefined {
  const text = lines.find((line) => line.name === name)?.text;
  return text?.slice(text.indexOf(":") + 1).trim();
}

function textOf({ name, lines, components }: Component): string {
  return [`BEGIN:${name}`, ...lines.map(({ text }) => text), ...components.map(textOf), `END:${name}`].join(
    "\r\n",
  );
}
