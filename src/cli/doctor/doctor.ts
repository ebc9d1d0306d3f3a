/**
 * `cicada doctor`: looks at this host, the peer and its mesh for the common reasons why ticks are not kept, and says what to do
 * about each. It also says what it can't see. It ends with 1 if something is broken.
 */
import type { Command } from "commander";
import { CicadaError } from "../../errors.ts";
import { asInvoked } from "../program.ts";
import type { JobAnswer, PeerAnswer, PeersAnswer } from "../terminal/answers.ts";
import {
  dataFolder,
  isSystemError,
  openClient,
  readReady,
  withPeer,
  type Client,
  type PeerOptions,
} from "../terminal/client.ts";
import { show, withOutput, type Output } from "../terminal/output.ts";
import { paint, plain, type Terminal } from "../terminal/terminal.ts";
import { failure, ok, unknown, warning, type Finding } from "./finding.ts";
import { checkFolder, checkLimits, checkNode } from "./host.ts";
import { checkMesh } from "./mesh.ts";
import { checkOwnPort, checkWayOut } from "./ports.ts";

export function doctorCommand(program: Command, terminal: Terminal): void {
  withOutput(withPeer(program.command("doctor"))).action(
    async (options: PeerOptions & { output: Output }) => {
      const isLocal = options.peer === undefined && (terminal.env["CICADA_PEER_URL"] ?? "") === "";
      const findings = [
        checkNode(),
        ...(isLocal ? checkFolder(dataFolder(options, terminal)) : []),
        ...(await checkPeer(options, isLocal, terminal)),
      ];
      show(terminal, options.output, findings, () => {
        for (const finding of findings) printFinding(terminal, finding);
        printSum(terminal, findings);
      });
      if (findings.some(({ level }) => level === "failure")) terminal.exitCode = 1;
    },
  );
}

const signs = {
  ok: ["green", "ok  "],
  warning: ["yellow", "warn"],
  failure: ["red", "FAIL"],
  unknown: ["cyan", "?   "],
} as const;
const nameWidth = 10;
const indent = " ".repeat("warn  ".length + nameWidth + 1);

function printFinding(terminal: Terminal, { check, level, found, mend }: Finding): void {
  const [colour, sign] = signs[level];
  const text = plain(asInvoked(found, terminal.env));
  const head = `${paint(terminal, colour, sign)}  ${check.padEnd(nameWidth)} ${text}`;
  if (mend === undefined) return terminal.print(head);
  const advice = plain(asInvoked(mend, terminal.env));
  const isWide = !terminal.interactive || indent.length + text.length + 2 + advice.length <= terminal.columns;
  if (isWide) return terminal.print(`${head}: ${advice}`);
  terminal.print(head);
  terminal.print(`${indent}→ ${advice}`);
}

function printSum(terminal: Terminal, findings: readonly Finding[]): void {
  const count = (level: Finding["level"]) => findings.filter((one) => one.level === level).length;
  const parts = [
    [count("failure"), "broken"],
    [count("warning"), "to look at"],
    [count("unknown"), "that can't be seen from here"],
  ] as const;
  const found = parts.filter(([number]) => number > 0).map(([number, word]) => `${number} ${word}`);
  terminal.notify(found.length === 0 ? "Nothing is wrong." : `${found.join(", ")}.`);
}

async function checkPeer(options: PeerOptions, isLocal: boolean, terminal: Terminal): Promise<Finding[]> {
  const ready = isLocal ? readReady(dataFolder(options, terminal)) : undefined;
  try {
    const client = openClient(options, terminal);
    const self = await client.ask<PeerAnswer>("/v1/peers/self");
    const mesh = await client.ask<PeersAnswer>("/v1/peers");
    const health = await client.ask<Health>("/readyz", { query: { verbose: true }, allow: [503] });
    return [
      ok("peer", `${self.name} answers at ${client.url}, cicada ${self.version ?? "of unknown version"}`),
      ...checkReady(health),
      ...(isLocal ? await checkOwnPort(self) : []),
      ...(ready === undefined ? [] : [checkLimits(ready.pid, self.capacity)]),
      ...checkMesh(mesh, health.codes ?? []),
      ...(isLocal ? await checkWayOut(self, mesh.items) : []),
      ...(await checkJobs(client)),
    ];
  } catch (error) {
    if (!(error instanceof CicadaError)) throw error;
    const gone =
      ready !== undefined && !isRunning(ready.pid) ? `; process ${ready.pid} of ready.json is gone` : "";
    // The peer answers, but doesn't tell this token any more, so nothing is known to be broken.
    if (error.code === "FORBIDDEN") {
      return [unknown("peer", error.message, "give a token that isn't limited to groups")];
    }
    return [failure("peer", `${error.message}${gone}`, mendOf(error))];
  }
}

function mendOf({ code, hint }: CicadaError): string {
  if (code === "UNAUTHORISED") return "give --token, or run this as the peer's user, or as root";
  return code === "PEER_UNREACHABLE" ? "start it, or name its folder with --data DIR" : hint;
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

interface Health {
  ready: boolean;
  /** absent in the answer of an older peer */
  codes?: string[];
  reasons: string[];
  warnings: string[];
}

/** What a reason's code means for ticks, if it doesn't keep the peer from all of them. */
const partly: Readonly<Record<string, string>> = {
  "votes-lost": "this peer doesn't vote on the ticks of majority jobs",
  "no-quorum": "majority jobs don't run",
  sync: "jobs and runs that other peers know of may be missing here",
};

/** What a person can do about a reason that doesn't say so itself, by its code. */
const mends: Readonly<Record<string, string>> = {
  sync: "restart the peer that is named if doctor says the same of it at other peers, otherwise this one; see Security in the README if a table is refused",
};

function checkReady({ ready, codes = [], reasons, warnings }: Health): Finding[] {
  return [
    ...reasons.map((reason, index) => {
      const code = codes[index] ?? "";
      return failure("ready", `${partly[code] ?? "ticks are not being kept"}: ${reason}`, mends[code]);
    }),
    ...(ready ? [ok("ready", "ticks are being kept")] : []),
    ...warnings.map((text) => warning("warning", text)),
  ];
}

/** How many jobs are named at most. */
const jobsNamed = 5;

async function checkJobs(client: Client): Promise<Finding[]> {
  const wrong: Finding[] = [];
  for (const [state, mend] of [
    ["invalid", "`cicada jobs get JOB` says what can't be read"],
    ["blocked", "`cicada jobs why JOB` says what keeps it from running"],
    ["failing", "`cicada jobs why JOB`, `cicada runs log JOB~failed`"],
  ] as const) {
    try {
      const { items } = await client.list<JobAnswer>("/v1/jobs", { state }, jobsNamed + 1);
      if (items.length === 0) continue;
      const names = items.slice(0, jobsNamed).map(({ id }) => id);
      const more = items.length > jobsNamed ? " and more" : "";
      wrong.push(warning("jobs", `${state}: ${names.join(", ")}${more}`, mend));
    } catch (error) {
      if (!(error instanceof CicadaError)) throw error;
      return [
        unknown("jobs", `the peer did not list them: ${error.detail}`, "give a token that may read jobs"),
      ];
    }
  }
  return wrong.length === 0 ? [ok("jobs", "none is invalid, blocked or failing")] : wrong;
}
