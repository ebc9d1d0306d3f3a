/**
 * A small network on this machine: its hosts are network namespaces, on a bridge in its own namespace. Nothing leads
 * out of it, and the machine's own interfaces and rules are not touched.
 *
 * A cut has a direction: `cut(sender, receiver)` silently drops at the receiver what the sender sends, like a broken
 * cable. The addresses are those of RFC 2544, which are reserved for tests. Every network uses the same ones, because
 * networks can't see each other.
 *
 * A network needs Linux, root, iproute2, nftables and util-linux; `labProblem` says what is missing.
 */
import { execFile, execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { promisify } from "node:util";

const run = promisify(execFile);

/**
 * Names begin with this and with the id of the process that made them, so that a later run knows whose leftovers they
 * are.
 */
const namePrefix = "cicada-faults";
const device = "eth0";

export interface HostSite {
  readonly namespace: string;
  readonly address: string;
  /** The words before a command that run it there. The command ends when this process ends, even by kill -9. */
  readonly prefix: readonly [string, ...string[]];
}

function addressOf(number: number): string {
  return `198.18.0.${number + 1}`;
}

function insideOf(namespace: string): [string, string] {
  return ["nsenter", `--net=/run/netns/${namespace}`];
}

/** The rules of one host: the senders that it doesn't receive from, and the packets that it loses. */
const rules = `
table inet faults {
  set deaf { type ipv4_addr; }
  chain lossy { }
  chain arriving {
    type filter hook input priority 0; policy accept;
    ip saddr @deaf drop
    jump lossy
  }
}
`;

export class Network {
  readonly hosts: readonly HostSite[];
  readonly #bridge: string;

  private constructor(bridge: string, hosts: readonly HostSite[]) {
    this.#bridge = bridge;
    this.hosts = hosts;
  }

  static async open(count: number): Promise<Network> {
    sweepLeftovers();
    const name = `${namePrefix}-${process.pid}-${randomBytes(3).toString("hex")}`;
    const hosts = Array.from({ length: count }, (_, number) => {
      const namespace = `${name}-${number}`;
      const prefix = [...insideOf(namespace), "setpriv", "--pdeathsig", "KILL"] as const;
      return { namespace, address: addressOf(number), prefix };
    });
    const network = new Network(`${name}-bridge`, hosts);
    opened.add(network);
    try {
      await network.#build();
      return network;
    } catch (error) {
      network.close();
      throw error;
    }
  }

  async #build(): Promise<void> {
    await run("ip", ["netns", "add", this.#bridge]);
    const atBridge = ["-n", this.#bridge];
    await run("ip", [...atBridge, "link", "add", "bridge", "type", "bridge"]);
    await run("ip", [...atBridge, "link", "set", "bridge", "up"]);
    for (const [number, { namespace, address }] of this.hosts.entries()) {
      const port = `port${number}`;
      await run("ip", ["netns", "add", namespace]);
      const ends = ["link", "add", port, "type", "veth", "peer", "name", device, "netns", namespace];
      await run("ip", [...atBridge, ...ends]);
      await run("ip", [...atBridge, "link", "set", port, "master", "bridge", "up"]);
      await run("ip", ["-n", namespace, "address", "add", `${address}/24`, "dev", device]);
      await run("ip", ["-n", namespace, "link", "set", device, "up"]);
      await run("ip", ["-n", namespace, "link", "set", "lo", "up"]);
      await rule(namespace, rules);
    }
  }

  /** From now on nothing from `sender` reaches `receiver`. */
  async cut(sender: HostSite, receiver: HostSite): Promise<void> {
    await rule(receiver.namespace, `add element inet faults deaf { ${sender.address} }`);
  }

  async mend(sender: HostSite, receiver: HostSite): Promise<void> {
    await rule(receiver.namespace, `delete element inet faults deaf { ${sender.address} }`);
  }

  /** Each host loses this many of a thousand packets that reach it; 0 = none. */
  async lose(perThousand: number): Promise<void> {
    const loss =
      perThousand === 0 ? "" : `add rule inet faults lossy numgen random mod 1000 < ${perThousand} drop`;
    await Promise.all(
      this.hosts.map(({ namespace }) => rule(namespace, `flush chain inet faults lossy\n${loss}`)),
    );
  }

  /**
   * Delays what each host sends: with netem if the kernel has it, otherwise with a thin wire on which packets queue.
   */
  async slow(how: Slowness): Promise<void> {
    await Promise.all(
      this.hosts.map(({ namespace }) =>
        run("tc", ["-n", namespace, "qdisc", "replace", "dev", device, "root", ...how.discipline]),
      ),
    );
  }

  async quicken(): Promise<void> {
    await Promise.all(
      this.hosts.map(({ namespace }) => run("tc", ["-n", namespace, "qdisc", "del", "dev", device, "root"])),
    );
  }

  /** Removes the whole network; may be called twice. Processes in it must have been ended before. */
  close(): void {
    opened.delete(this);
    for (const namespace of [...this.hosts.map((host) => host.namespace), this.#bridge]) remove(namespace);
  }
}

/** How a wire is slow, as arguments of `tc`. */
export interface Slowness {
  readonly name: string;
  readonly discipline: readonly string[];
}

/** Each packet is late by this much, give or take half of it. */
export function delayed(ms: number): Slowness {
  return { name: `${ms} ms`, discipline: ["netem", "delay", `${ms}ms`, `${ms / 2}ms`] };
}

/** A thin wire: packets that don't fit wait for up to 2 s, and are lost after that. */
export function thin(kilobits: number): Slowness {
  return {
    name: `${kilobits} kbit/s`,
    discipline: ["tbf", "rate", `${kilobits}kbit`, "burst", "2kb", "latency", "2s"],
  };
}

async function rule(namespace: string, text: string): Promise<void> {
  const [command, ...words] = insideOf(namespace);
  const running = run(command, [...words, "nft", "-f", "-"]);
  running.child.stdin?.end(text);
  await running;
}

const opened = new Set<Network>();
process.once("exit", () => {
  for (const network of opened) network.close();
});

function remove(namespace: string): void {
  try {
    execFileSync("ip", ["netns", "del", namespace], { stdio: "ignore" });
  } catch {
    // The namespace was never made, or is already gone.
  }
}

/** Removes namespaces whose maker was killed before it could do so. Its processes have died with it. */
function sweepLeftovers(): void {
  const names = execFileSync("ip", ["netns", "list"], { encoding: "utf8" }).split(/\s+/);
  for (const name of names) {
    const maker = new RegExp(`^${namePrefix}-(\\d+)-`).exec(name)?.[1];
    if (maker !== undefined && !isAlive(Number(maker))) remove(name);
  }
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}

/** Why this machine can't have such a network; undefined = it can. It is tried out. */
export async function labProblem(): Promise<string | undefined> {
  if (process.platform !== "linux") return "network namespaces need Linux";
  if (process.getuid?.() !== 0) return "network namespaces need root";
  try {
    const network = await Network.open(2);
    const [one, other] = network.hosts;
    try {
      if (one === undefined || other === undefined) return "no hosts were made";
      await network.cut(one, other);
      await network.mend(one, other);
      const [command, ...words] = one.prefix;
      await run(command, [...words, "true"]);
      return undefined;
    } finally {
      network.close();
    }
  } catch (error) {
    const reason = error instanceof Error ? error.message.trim().replaceAll("\n", " ") : String(error);
    return `no network namespaces with nftables can be made here: ${reason}`;
  }
}

/** True if the kernel can delay packets; tried in an existing network. */
export async function canDelay(network: Network): Promise<boolean> {
  try {
    await network.slow(delayed(1));
    await network.quicken();
    return true;
  } catch {
    return false;
  }
}
