/**
 * What the host says about its own time: whether its wall clock follows a time server, and how long it has been up,
 * suspends included. It is read from small files, never by starting a process. A host that has none of these files says
 * nothing.
 */
import { readFileSync, statSync } from "node:fs";

/** systemd-timesyncd creates this file when it has set the clock since the host was booted. */
const timesyncdFile = "/run/systemd/timesync/synchronized";

/** While they follow a server, chrony and ntpd write the measured drift into these files once an hour. */
const driftFiles = ["/var/lib/chrony/drift", "/var/lib/chrony/chrony.drift", "/var/lib/ntp/ntp.drift"];
/**
 * Two missed writes. Less doubts the host of a healthy server; more believes longer in a host that has lost its server.
 */
const driftFreshMs = 3 * 3_600_000;

/** True if a time service of the host keeps its wall clock. `wall`: ms. */
export function isSynchronised(wall: number): boolean {
  if (changedAt(timesyncdFile) !== undefined) return true;
  return driftFiles.some((file) => {
    const at = changedAt(file);
    return at !== undefined && Math.abs(wall - at) < driftFreshMs;
  });
}

function changedAt(file: string): number | undefined {
  try {
    return statSync(file, { throwIfNoEntry: false })?.mtimeMs;
  } catch {
    return undefined; // this user may not see the file, so the host says nothing
  }
}

/** How long the host has been up, suspends included, ms; undefined = the host doesn't say. */
export function uptimeMs(): number | undefined {
  try {
    const seconds = Number.parseFloat(readFileSync("/proc/uptime", "utf8"));
    return Number.isFinite(seconds) ? seconds * 1_000 : undefined;
  } catch {
    return undefined; // no /proc here
  }
}
