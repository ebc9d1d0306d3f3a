/**
 * The zone of this host's clock. Node says UTC for a zone that it doesn't understand (a POSIX rule in TZ, an /etc/localtime that
 * is no link), so its answer is compared with what `date` shows in each month of a year. If they differ, a person has to say it.
 */
import { execFileSync } from "node:child_process";
import { realpathSync } from "node:fs";
import { zoneProblem } from "../../core/time/zone.ts";
import { CicadaError } from "../../errors.ts";

/** `named` is what a person has said. `now` in ms. Throws USAGE. */
export function hostZone(named: string | undefined, now: number): string {
  if (named !== undefined) {
    const problem = zoneProblem(named);
    if (problem !== undefined) throw new CicadaError("USAGE", `--tz: ${problem}`);
    return named;
  }
  const zone = zoneOfProcess();
  const doubt = zone === undefined ? "it has no name" : doubtAbout(zone, now);
  if (zone !== undefined && doubt === undefined) return zone;
  throw new CicadaError(
    "USAGE",
    `the zone of this host's clock is not understood: ${doubt}. Give it with --tz, as in --tz Europe/Berlin; nothing was created`,
  );
}

/** TZ may name a file of the zone. For one, Node says that the zone has no name, against its types. */
function zoneOfProcess(): string | undefined {
  const [, name] = /^:?(?:.*\/zoneinfo\/)?([A-Za-z][\w+/-]*)$/.exec(process.env["TZ"] ?? "") ?? [];
  if (name !== undefined && zoneProblem(name) === undefined) return name;
  const zone: string | undefined = Intl.DateTimeFormat().resolvedOptions().timeZone;
  return zone;
}

function doubtAbout(zone: string, now: number): string | undefined {
  const year = new Date(now).getUTCFullYear();
  for (let month = 0; month < 12; month++) {
    const instant = Date.UTC(year, month, 15);
    const shown = offsetShownByDate(instant);
    if (shown === undefined) return unseenDoubt(zone);
    const known = offsetIn(zone, instant);
    if (shown !== known) {
      const day = new Date(instant).toISOString().slice(0, 10);
      return `on ${day} its clock is at ${shown}, and that of ${zone} at ${known}`;
    }
  }
  return undefined;
}

/** Without a `date` to compare with, UTC is only believed of a host that says so. */
function unseenDoubt(zone: string): string | undefined {
  if (zone !== "UTC") return undefined;
  if (process.env["TZ"] === undefined && !hasLocaltime()) return undefined;
  if (/^:?(.*\/)?(UTC|UCT|Zulu|Universal|GMT)$/.test(process.env["TZ"] ?? localtime() ?? ""))
    return undefined;
  return "it seems to be UTC, and nothing confirms that";
}

function hasLocaltime(): boolean {
  return localtime() !== undefined;
}

function localtime(): string | undefined {
  try {
    return realpathSync("/etc/localtime");
  } catch {
    return undefined;
  }
}

/** `+0100`; undefined where there is no `date` that takes an instant. */
function offsetShownByDate(instant: number): string | undefined {
  try {
    const text = execFileSync("date", ["-d", `@${instant / 1_000}`, "+%z"], {
      encoding: "utf8",
      timeout: 5_000,
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
    return /^[+-]\d{4}$/.test(text) ? text : undefined;
  } catch {
    return undefined;
  }
}

function offsetIn(timeZone: string, instant: number): string {
  const parts = new Intl.DateTimeFormat("en-US", { timeZone, timeZoneName: "longOffset" }).formatToParts(
    instant,
  );
  const name = parts.find(({ type }) => type === "timeZoneName")?.value ?? "GMT";
  const [, sign = "+", hours = "00", minutes = "00"] = /GMT([+-])(\d\d):(\d\d)/.exec(name) ?? [];
  return `${sign}${hours}${minutes}`;
}
