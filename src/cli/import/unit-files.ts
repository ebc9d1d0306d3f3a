/** Unit files of systemd: sections of NAME=VALUE lines, in order (systemd.syntax(7)). */

export interface Assignment {
  name: string;
  value: string;
  /** from 1 */
  line: number;
}

export type Unit = ReadonlyMap<string, readonly Assignment[]>;

/** Lines that end with a backslash go on in the next one; comments begin a line with `#` or `;`. */
export function readUnit(text: string): Unit {
  const sections = new Map<string, Assignment[]>();
  let section: Assignment[] = [];
  let begun: Assignment | undefined;
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    const content = raw.trim();
    if (/^[#;]/.test(content)) continue;
    const [, heading] = /^\[(.+)\]$/.exec(content) ?? [];
    if (begun === undefined && heading !== undefined) {
      section = sections.get(heading) ?? [];
      sections.set(heading, section);
      continue;
    }
    if (begun === undefined && content === "") continue;
    const goesOn = content.endsWith("\\");
    const part = goesOn ? content.slice(0, -1) : content;
    if (begun === undefined) {
      const at = part.indexOf("=");
      const [name, value] = at < 0 ? [part, ""] : [part.slice(0, at).trim(), part.slice(at + 1).trim()];
      begun = { name, value, line: index + 1 };
      section.push(begun);
    } else begun.value = `${begun.value} ${part}`.trim();
    if (!goesOn) begun = undefined;
  }
  return sections;
}

/** The values of a setting that may be given several times; an empty one takes those before it back. */
export function valuesOf(unit: Unit, section: string, name: string): string[] {
  const values: string[] = [];
  for (const one of unit.get(section) ?? []) {
    if (one.name !== name) continue;
    if (one.value === "") values.length = 0;
    else values.push(one.value);
  }
  return values;
}

/** The last value; undefined = not set. */
export function valueOf(unit: Unit, section: string, name: string): string | undefined {
  return valuesOf(unit, section, name).at(-1);
}

export function isTrue(value: string | undefined): boolean {
  return /^(1|yes|true|on|y|t)$/i.test(value ?? "");
}

const unitSeconds: Readonly<Record<string, number>> = {
  us: 1e-6,
  usec: 1e-6,
  ms: 1e-3,
  msec: 1e-3,
  s: 1,
  sec: 1,
  second: 1,
  m: 60,
  min: 60,
  minute: 60,
  h: 3_600,
  hr: 3_600,
  hour: 3_600,
  d: 86_400,
  day: 86_400,
  w: 604_800,
  week: 604_800,
  M: 2_629_800,
  month: 2_629_800,
  y: 31_557_600,
  year: 31_557_600,
};

/** A span such as `1h 30min` or `90`, in milliseconds; undefined if it is none. `infinity` is Infinity. */
export function readSpan(text: string): number | undefined {
  if (/^infinity$/i.test(text.trim())) return Infinity;
  let seconds = 0;
  let rest = text.trim();
  if (rest === "") return undefined;
  while (rest !== "") {
    const [whole = "", number, unit = ""] = /^(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*/.exec(rest) ?? [];
    const factor = unit === "" ? 1 : (unitSeconds[unit] ?? unitSeconds[unit.replace(/s$/, "")]);
    if (number === undefined || factor === undefined) return undefined;
    seconds += Number(number) * factor;
    rest = rest.slice(whole.length);
  }
  return Math.round(seconds * 1_000);
}
