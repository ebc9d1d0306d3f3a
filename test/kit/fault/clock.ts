/**
 * Wall clocks that can be stepped. A peer is started with libfaketime, which adds an offset from a file to the wall
 * clock and leaves the monotonic clock alone, as when an admin or NTP sets a host's clock.
 *
 * The peer's jobs are not affected, because they have a clean environment: their `date` is true time.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

/** The library's place on Debian and Ubuntu, by the machine's architecture. */
function libraryFile(): string | undefined {
  return readdirSync("/usr/lib")
    .map((folder) => path.join("/usr/lib", folder, "faketime", "libfaketimeMT.so.1"))
    .find((file) => existsSync(file));
}

function stepFile(folder: string): string {
  return path.join(folder, "clock");
}

/** Sets the clocks of processes started with `clockEnv(folder)` off by `ms`, within 1 s. */
export function writeClockStep(folder: string, ms: number): void {
  const draft = `${stepFile(folder)}.new`;
  writeFileSync(draft, `${ms < 0 ? "-" : "+"}${Math.abs(ms) / 1_000}s\n`);
  // So that the file is never read half written.
  renameSync(draft, stepFile(folder));
}

export function clockEnv(folder: string): NodeJS.ProcessEnv {
  writeClockStep(folder, 0);
  return {
    LD_PRELOAD: libraryFile(),
    FAKETIME_TIMESTAMP_FILE: stepFile(folder),
    FAKETIME_DONT_FAKE_MONOTONIC: "1",
    // The file is read again after this many seconds.
    FAKETIME_CACHE_DURATION: "1",
  };
}

/** Why clocks can't be stepped here; undefined = they can. Tried out with this Node. */
export function clockProblem(): string | undefined {
  if (libraryFile() === undefined) return "clocks can't be stepped: libfaketime is not installed";
  const folder = mkdtempSync(path.join(tmpdir(), "cicada-clock-"));
  try {
    const env = { ...process.env, ...clockEnv(folder) };
    writeClockStep(folder, 3_600_000);
    const script = "console.log(Date.now(), Math.round(performance.now()))";
    const [wall = 0, mono = 0] = execFileSync(process.execPath, ["-e", script], { env, encoding: "utf8" })
      .split(" ")
      .map(Number);
    const stepped = Math.abs(wall - Date.now() - 3_600_000) < 60_000 && mono < 60_000;
    return stepped ? undefined : "clocks can't be stepped: libfaketime does not move this node's wall clock";
  } finally {
    rmSync(folder, { recursive: true });
  }
}
