/**
 * Debian's cron in `bench:beside`: one daemon in the foreground. It has a mount namespace of its own, in which its spool and `/run`
 * are empty and the system's crontabs are missing, so it doesn't read, run or write anything of this machine's own cron. Needs root.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as passes } from "node:timers/promises";
import { plainEnv, Started } from "../../test/kit/cluster.ts";
import type { BenchJob, Rival } from "./rival.ts";

/** $1: the crontab; $2: the daemon. */
const script = `set -e
mount -t tmpfs beside /var/spool
mount -t tmpfs beside /run
[ ! -d /etc/cron.d ] || mount -t tmpfs beside /etc/cron.d
[ ! -e /etc/crontab ] || mount --bind /dev/null /etc/crontab
mkdir -p /var/spool/cron/crontabs
chmod 1730 /var/spool/cron/crontabs
cp "$1" /var/spool/cron/crontabs/root
chmod 600 /var/spool/cron/crontabs/root
exec "$2" -f`;

/** Why cron can't run here, in words; undefined = it can. */
export function whyNoCron(binary: string): string | undefined {
  try {
    execFileSync("unshare", ["--mount", "--propagation", "private", "true"], { stdio: "pipe" });
  } catch {
    return "this process may not make a mount namespace, without which it would read the system's crontabs";
  }
  try {
    execFileSync("sh", ["-c", 'command -v "$1"', "sh", binary], { stdio: "pipe" });
  } catch {
    return `there is no ${binary}`;
  }
  return undefined;
}

export function startCron(binary: string): Rival {
  const folder = mkdtempSync(path.join(tmpdir(), "beside-cron-"));
  let daemon: Started | undefined;
  const end = async (): Promise<void> => {
    if (daemon === undefined || daemon.hasEnded) return;
    daemon.kill("SIGKILL");
    await daemon.ended;
  };
  return {
    name: "cron",
    async makeJobs(jobs) {
      const file = path.join(folder, "crontab");
      writeFileSync(file, `MAILTO=""\n${jobs.map(lineOf).join("")}`);
      const place = ["--mount", "--propagation", "private"];
      daemon = new Started("unshare", [...place, "sh", "-c", script, "sh", file, binary], plainEnv());
      await passes(1_000);
      if (daemon.hasEnded) throw new Error(`cron has ended:\n${daemon.said}`);
    },
    pids: () => (daemon === undefined || daemon.hasEnded ? [] : [daemon.pid]),
    kill: end,
    async [Symbol.asyncDispose]() {
      await end();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function lineOf({ id, everySeconds, offsetSeconds, command }: BenchJob): string {
  if (everySeconds !== 60 || offsetSeconds !== 0 || command.includes("%"))
    throw new Error(`${id}: cron starts jobs at whole minutes`);
  return `* * * * * ${command}\n`;
}
