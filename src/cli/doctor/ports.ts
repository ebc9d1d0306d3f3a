/** Whether a mesh port can be reached from this host: the way out, to the other peers, and this peer's own. */
import { once } from "node:events";
import { createConnection } from "node:net";
import type { PeerAnswer } from "../terminal/answers.ts";
import { formatError } from "../terminal/client.ts";
import { isLoopback } from "../peers.ts";
import { ok, unknown, warning, type Finding } from "./finding.ts";

/** Longer tells little: a host on the way that drops packets never answers. Unit: ms. */
const answerWithinMs = 2_000;

/** This peer's own port, on its own host. */
export async function checkOwnPort(self: PeerAnswer): Promise<Finding[]> {
  const places = self.addresses.map(hostAndPort).filter((place) => place !== undefined);
  if (places.length === 0)
    return [
      unknown(
        "ports",
        "the peer gives no address of its own that can be tried",
        "see --listen and --announce",
      ),
    ];
  const tried = await Promise.all(places.map(async (place) => ({ place, problem: await problemAt(place) })));
  const open = tried.filter(({ problem }) => problem === undefined).map(({ place }) => textOf(place));
  if (open.length === 0) {
    const [first] = tried;
    return [
      unknown(
        "ports",
        `none of this peer's addresses answers here, such as ${first === undefined ? "" : textOf(first.place)}: ${first?.problem ?? ""}`,
        "if only others can reach these addresses (--announce), this is no fault",
      ),
    ];
  }
  if (self.addresses.every(isLoopback)) {
    return [
      warning(
        "ports",
        `the mesh port ${open.join(" and ")} is open on loopback only: no other host can join`,
        "start it with --listen PORT, if other hosts are to join",
      ),
    ];
  }
  return [ok("ports", `the mesh port is open at ${open.join(" and ")}`)];
}

/**
 * One address that answers is enough. Other hosts tell their loopback addresses too, mostly with the port that this peer has as
 * well: it would answer itself there. So addresses that lead back to the asked peer prove nothing and are left out.
 */
export async function checkWayOut(asked: PeerAnswer, peers: readonly PeerAnswer[]): Promise<Finding[]> {
  const own = asked.addresses.map(hostAndPort).filter((place) => place !== undefined);
  const leadsBack = (address: string): boolean => {
    const place = hostAndPort(address);
    if (place === undefined) return false;
    return own.some(({ host, port }) => port === place.port && (host === place.host || isLoopback(address)));
  };
  const others = peers.filter(({ self, state }) => !self && state !== "left" && state !== "forgotten");
  return Promise.all(
    others.map(async (peer): Promise<Finding> => {
      const elsewhere = peer.addresses.filter((address) => !leadsBack(address));
      const places = elsewhere.map(hostAndPort).filter((place) => place !== undefined);
      if (places.length === 0)
        return unknown(
          "reach",
          `${peer.name}: no address of it is known here`,
          "ask a peer that hears it (--peer URL)",
        );
      const tried = await Promise.all(
        places.map(async (place) => ({ place, problem: await problemAt(place) })),
      );
      const open = tried.find(({ problem }) => problem === undefined);
      if (open !== undefined) return ok("reach", `${peer.name} at ${textOf(open.place)}`);
      const each = tried.map(({ place, problem }) => `${textOf(place)}: ${problem ?? ""}`).join("; ");
      const mend = `is ${tried[0]?.place.port ?? "its port"}/tcp open on ${peer.name}, and on the way to it?`;
      return peer.state === "alive"
        ? unknown("reach", `${peer.name} is heard, but can't be dialled from here: ${each}`, mend)
        : warning("reach", `${peer.name} (${peer.state}): ${each}`, mend);
    }),
  );
}

interface Place {
  host: string;
  port: number;
}

function hostAndPort(multiaddr: string): Place | undefined {
  const [, host, port] = /^\/(?:ip4|ip6|dns|dns4|dns6)\/([^/]+)\/tcp\/(\d+)/.exec(multiaddr) ?? [];
  return host === undefined ? undefined : { host, port: Number(port) };
}

function textOf({ host, port }: Place): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Undefined if a program accepts connections there. */
async function problemAt({ host, port }: Place): Promise<string | undefined> {
  const socket = createConnection({ host, port });
  try {
    await once(socket, "connect", { signal: AbortSignal.timeout(answerWithinMs) });
    return undefined;
  } catch (error) {
    return error instanceof Error && error.name === "AbortError" ? "no answer" : formatError(error);
  } finally {
    socket.destroy();
  }
}
