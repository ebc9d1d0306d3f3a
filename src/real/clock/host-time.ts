/**
 * What the host says of its own time, read from small files and never by starting a process: whether its wall clock follows
 * a time server, and how long it has been up, suspends included. A host that has none of these files says nothing.
 */
import { readFileSync, statSync } from "node:fs";

/** Its mere presence says that systemd-timesyncd has set the clock since the host was booted. */
const timesyncdFile = "/run/systemd/timesync/synchronized";

/** chrony and ntpd write the drift that they have measured into these, once an hour while they follow a server. */
const driftFiles = ["/var/lib/chrony/drift", "/var/lib/chrony/chrony.drift", "/var/lib/ntp/ntp.drift"];
/** Two missed writings. Less doubts a healthy server's host; more believes longer in one that has lost its server. */
const driftFreshMs = 3 * 3_600_000;

/** True when a time service of the host keeps its wall clock. `wall`: ms. */
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
    return undefined; // not for this user to see: the host says nothing
  }
}

/** Since the host was booted, suspends included, ms; undefined = the host doesn't say. */
export function uptimeMs(): number | undefined {
  try {
    const seconds = Number.parseFloat(readFileSync("/proc/uptime", "utf8"));
    return Number.isFinite(seconds) ? seconds * 1_000 : undefined;
  } catch {
    return undefined; // no /proc here
  }
}
