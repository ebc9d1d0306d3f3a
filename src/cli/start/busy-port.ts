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
  return portInUse(found, both ? ["http", "listen"] : ["listen"], http, argv);
}

export function httpPortBusy(http: HostPort, argv: readonly string[]): Promise<CicadaError> {
  return portInUse(`${http.host}:${http.port} (--http)`, ["http"], http, argv);
}

type Door = "http" | "listen";

/** `argv`: the arguments that this peer was started with, from `start` on. */
async function portInUse(
  found: string,
  busy: readonly Door[],
  http: HostPort,
  argv: readonly string[],
): Promise<CicadaError> {
  const free = await freePair(http);
  if (free === undefined) return new CicadaError("PORT_IN_USE", found);
  const flags = busy.map((door) => `--${door} ${free[door]}`);
  const line = [...withoutDoors(argv, busy).map(quoted), ...flags].join(" ");
  return new CicadaError("PORT_IN_USE", `${found}. These are free: \`cicada ${line}\``);
}

/** Peers of one machine use ports ten apart: the API's, and the mesh's above it. */
const stepPorts = 10;
const triesMax = 50;

async function freePair({ host, port }: HostPort): Promise<Record<Door, number> | undefined> {
  for (let step = 1; step <= triesMax; step += 1) {
    const http = port + step * stepPorts;
    if (http + 1 > 65_535) return undefined;
    const taken = await Promise.all([
      isBusy({ host, port: http }),
      isBusy({ host: "0.0.0.0", port: http + 1 }),
    ]);
    if (!taken.includes(true)) return { http, listen: http + 1 };
  }
  return undefined;
}

/** Without the flags of these doors; a join string is replaced, because what is printed may be kept. */
function withoutDoors(argv: readonly string[], busy: readonly Door[]): string[] {
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
