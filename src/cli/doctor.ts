/**
 * `cicada doctor`: checks the most common reasons why a peer doesn't keep its ticks, and says what to do about them.
 */
import type { Command } from "commander";
import { statSync } from "node:fs";
import { join } from "node:path";
import { CicadaError } from "../errors.ts";
import type { PeerAnswer } from "./terminal/answers.ts";
import {
  dataFolder,
  isSystemError,
  openClient,
  readReady,
  withPeer,
  type Client,
  type PeerOptions,
} from "./terminal/client.ts";
import { asInvoked } from "./program.ts";
import { show, withOutput, type Output } from "./terminal/output.ts";
import { paint, plain, type Terminal } from "./terminal/terminal.ts";
import { durationText } from "./terminal/times.ts";

interface Finding {
  check: string;
  level: "ok" | "warning" | "failure";
  found: string;
}

/** From this offset on, a wrong clock makes starts visibly late or early. Unit: ms (DESIGN §11). */
const clockWarningMs = 500;
/** A peer whose clock is off by this much is passed over. Unit: ms. */
const clockFailureMs = 1_600;
const oldestNode = 24;

export function doctorCommand(program: Command, terminal: Terminal): void {
  withOutput(withPeer(program.command("doctor")))
    .description("check this peer, its mesh and its data folder, and say what to do")
    .action(async (options: PeerOptions & { output: Output }) => {
      const findings = [
        checkNode(),
        ...(options.peer === undefined ? checkFolder(dataFolder(options, terminal)) : []),
        ...(await checkPeer(options, terminal)),
      ];
      show(terminal, options.output, findings, () => {
        for (const finding of findings) terminal.print(findingLine(terminal, finding));
      });
      if (findings.some(({ level }) => level === "failure")) terminal.exitCode = 1;
    });
}

const signs = { ok: ["green", "ok  "], warning: ["yellow", "warn"], failure: ["red", "FAIL"] } as const;
const nameWidth = 10;

function findingLine(terminal: Terminal, { check, level, found }: Finding): string {
  const [colour, sign] = signs[level];
  return `${paint(terminal, colour, sign)}  ${check.padEnd(nameWidth)} ${plain(asInvoked(found, terminal.env))}`;
}

const ok = (check: string, found: string): Finding => ({ check, level: "ok", found });
const warning = (check: string, found: string): Finding => ({ check, level: "warning", found });
const failure = (check: string, found: string): Finding => ({ check, level: "failure", found });

function checkNode(): Finding {
  const { node, tz } = process.versions;
  if (Number(node.split(".")[0]) < oldestNode)
    return failure("node", `${node}; ${oldestNode} or newer is needed`);
  return ok("node", `${node}, time zone data ${tz ?? "unknown"}`);
}

function checkFolder(folder: string): Finding[] {
  try {
    const mode = statSync(folder).mode & 0o777;
    const found =
      (mode & 0o077) === 0
        ? ok("folder", folder)
        : warning("folder", `other users can open ${folder} (mode ${mode.toString(8)}): chmod 700 ${folder}`);
    return [found, checkKey(join(folder, "cluster.key"))];
  } catch (error) {
    if (isSystemError(error) && error.code === "ENOENT") {
      return [warning("folder", `${folder} doesn't exist yet: \`cicada start\` creates it`)];
    }
    return [failure("folder", `${folder}: ${error instanceof Error ? error.message : String(error)}`)];
  }
}

function checkKey(file: string): Finding {
  const found = statSync(file, { throwIfNoEntry: false });
  if (found === undefined)
    return warning("key", `${file} doesn't exist (fine if --cluster-key names another file)`);
  if ((found.mode & 0o077) === 0) return ok("key", file);
  return failure(
    "key",
    `other users can read ${file} and then run commands on every peer: chmod 600 ${file}`,
  );
}

async function checkPeer(options: PeerOptions, terminal: Terminal): Promise<Finding[]> {
  try {
    const client = openClient(options, terminal);
    const self = await client.ask<PeerAnswer>("/v1/peers/self");
    const { items } = await client.ask<{ items: PeerAnswer[] }>("/v1/peers");
    return [
      ok("peer", `${self.name} answers at ${client.url}, cicada ${self.version ?? "of unknown version"}`),
      ...(await checkReady(client)),
      checkMembers(items),
      checkClocks(items),
      checkZones(items),
    ];
  } catch (error) {
    if (!(error instanceof CicadaError)) throw error;
    const ready = options.peer === undefined ? readReady(dataFolder(options, terminal)) : undefined;
    const gone =
      ready !== undefined && !isRunning(ready.pid) ? `; process ${ready.pid} of ready.json is gone` : "";
    return [failure("peer", `${error.message}${gone}. ${error.hint}`)];
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Another user's process can't be signalled, but it exists.
    return isSystemError(error) && error.code === "EPERM";
  }
}

async function checkReady(client: Client): Promise<Finding[]> {
  const call = { query: { verbose: true }, allow: [503] };
  type Health = { ready: boolean; reasons: string[]; warnings: string[] };
  const { ready, reasons, warnings } = await client.ask<Health>("/readyz", call);
  return [
    ...reasons.map((reason) => failure("ready", `ticks are not being kept: ${reason}`)),
    ...(ready ? [ok("ready", "ticks are being kept")] : []),
    ...warnings.map((text) => warning("warning", text)),
  ];
}

function checkMembers(peers: readonly PeerAnswer[]): Finding {
  const alive = peers.filter(({ state }) => state === "alive").length;
  const missing = peers
    .filter(({ state }) => state === "dead" || state === "suspect")
    .map(({ name }) => name);
  if (missing.length > 0) return warning("members", `${alive} alive; not heard: ${missing.join(", ")}`);
  if (alive > 1) return ok("members", `${alive} alive`);
  return ok(
    "members",
    "this peer is alone; `cicada peers invite` prints the line with which another peer joins",
  );
}

function checkClocks(peers: readonly PeerAnswer[]): Finding {
  const others = peers.filter(({ self, state }) => !self && state === "alive");
  let worst = 0;
  for (const { clockOffsetMs } of others) {
    if (clockOffsetMs !== null && Math.abs(clockOffsetMs) > Math.abs(worst)) worst = clockOffsetMs;
  }
  const apart = `clocks are up to ${durationText(Math.abs(worst))} apart`;
  if (others.length === 0) return ok("clock", "no other peer to compare with");
  if (Math.abs(worst) >= clockFailureMs) return failure("clock", `${apart}: set them with NTP`);
  return Math.abs(worst) >= clockWarningMs
    ? warning("clock", `${apart}: set them with NTP`)
    : ok("clock", apart);
}

function checkZones(peers: readonly PeerAnswer[]): Finding {
  const versions = new Set(
    peers.flatMap(({ tzdata, state }) => (tzdata === null || state !== "alive" ? [] : [tzdata])),
  );
  if (versions.size <= 1) return ok("zones", `time zone data ${[...versions].join("")} on every peer`);
  const list = [...versions].toSorted().join(" and ");
  return warning(
    "zones",
    `peers have different time zone data (${list}): install the same version of Node on all of them`,
  );
}
