/** Says which ports are in use, all of them in one message, with the same command line and free ports to paste. */
import { once } from "node:events";
import { createServer } from "node:net";
import type { HostPort } from "../../config/values.ts";
import { CicadaError } from "../../errors.ts";
import { joinPrefix } from "../../identity/join.ts";
import { quoted } from "../program.ts";
import { isSystemError } from "../terminal/client.ts";

export async function isBusy({ host, port }: HostPort): Promise<boolean> {
  const server = createServer();
  try {
    server.listen(port, host);
    await once(server, "listening");
    return false;
  } catch (error) {
    return isSystemError(error) && error.code === "EADDRINUSE";
  } finally {
    server.close();
  }
}

/** The error for the mesh's port, which also names the API's port if that one is in use, too. */
export async function meshPortBusy(
  error: unknown,
  http: HostPort,
  argv: readonly string[],
): Promise<unknown> {
  if (!(error instanceof CicadaError) || error.code !== "PORT_IN_USE") return error;
  const both = await isBusy(http);
  const found = `${error.detail} (--listen)${both ? ` and ${http.host}:${http.port} (--http)` : ""}`;
  const flags = [...(both ? [await freeHttp(http)] : []), await freeListen(error.detail)];
  return portInUse(found, flags, argv);
}

export async function httpPortBusy(http: HostPort, argv: readonly string[]): Promise<CicadaError> {
  return portInUse(`${http.host}:${http.port} (--http)`, [await freeHttp(http)], argv);
}

/** A flag with a free port on the same address; undefined = none was found. */
type Free = { readonly door: "http" | "listen"; readonly value: string } | undefined;

async function freeHttp({ host, port }: HostPort): Promise<Free> {
  const free = await freePort(host, port);
  if (free === undefined) return undefined;
  return { door: "http", value: host === loopback ? String(free) : `${host}:${free}` };
}
const loopback = "127.0.0.1";

/** `listen`: multiaddrs; the first one is taken. */
async function freeListen(listen: string): Promise<Free> {
  const [, kind = "ip4", host = anywhere, port = ""] = /^\/(ip[46])\/([^/]+)\/tcp\/(\d+)/.exec(listen) ?? [];
  const free = await freePort(host, Number(port));
  if (free === undefined) return undefined;
  return { door: "listen", value: host === anywhere ? String(free) : `/${kind}/${host}/tcp/${free}` };
}
const anywhere = "0.0.0.0";

/** `argv`: the arguments that this peer was started with, from `start` on. */
function portInUse(found: string, free: readonly Free[], argv: readonly string[]): CicadaError {
  const all = free.flatMap((one) => one ?? []);
  if (all.length < free.length) return new CicadaError("PORT_IN_USE", found);
  const flags = all.map(({ door, value }) => `--${door} ${value}`);
  const doors = all.map(({ door }) => door);
  const line = [...withoutDoors(argv, doors).map(quoted), ...flags].join(" ");
  return new CicadaError("PORT_IN_USE", `${found}. These are free: \`cicada ${line}\``);
}

/** Peers of one machine use ports ten apart. */
const stepPorts = 10;
const triesMax = 50;

async function freePort(host: string, taken: number): Promise<number | undefined> {
  for (
    let port = taken + stepPorts;
    port <= taken + triesMax * stepPorts && port <= 65_535;
    port += stepPorts
  ) {
    if (!(await isBusy({ host, port }))) return port;
  }
  return undefined;
}

/** Without the flags of these doors; a join string is replaced, because what is printed may be kept. */
function withoutDoors(argv: readonly string[], busy: readonly ("http" | "listen")[]): string[] {
  const kept: string[] = [];
  for (let at = 0; at < argv.length; at += 1) {
    const word = argv[at] ?? "";
    const door = busy.find((one) => word === `--${one}` || word.startsWith(`--${one}=`));
    if (door === undefined)
      kept.push(word.includes(joinPrefix) ? word.replace(/cicada-join-\S*/, "-") : word);
    else if (word === `--${door}`) at += 1;
  }
  return kept;
}
