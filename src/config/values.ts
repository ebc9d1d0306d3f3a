/**
 * Reads the text that a person gave for a setting: returns its value, or what would have been right. The caller knows
 * where the text came from and writes the message.
 */
import { isIP, SocketAddress } from "node:net";
import { parseDuration, parseSize } from "../core/time/units.ts";
import { groupPattern, largestCapacity } from "../schema/job-vocabulary.ts";
import { defaultHttpPort, defaultMeshPort, defaultSyslogPort, defaultSyslogTlsPort } from "./settings.ts";

/** A text that can't be used. `wanted` completes the sentence "give …". */
export class Refusal {
  readonly wanted: string;
  constructor(wanted: string) {
    this.wanted = wanted;
  }
}

export interface HostPort {
  host: string;
  /** 0 = any free port */
  port: number;
}

export function anyText(text: string): string | Refusal {
  return text === "" ? new Refusal("a value that is not empty") : text;
}

export function readName(text: string): string | Refusal {
  const isValid = text !== "" && text.length <= 256 && !/\p{Cc}/u.test(text);
  return isValid ? text : new Refusal("a name of 1 to 256 characters on one line");
}

function readMultiaddr(text: string): string | Refusal {
  const isValid = /^\/(ip4|ip6|dns|dns4|dns6)\/[^/\s]+\/tcp\/\d{1,5}(\/p2p\/[^/\s]+)?$/.test(text);
  return isValid && Number(/\/tcp\/(\d+)/.exec(text)?.[1]) <= 65_535
    ? text
    : new Refusal(`a multiaddr such as /ip4/192.0.2.7/tcp/${defaultMeshPort}`);
}

/**
 * A multiaddr that others can dial. One that stands for every address of a machine, or for any port, is refused, because it tells
 * them nothing.
 */
export function readAnnounced(text: string): string | Refusal {
  const read = readMultiaddr(text);
  if (read instanceof Refusal || !/^\/(ip4\/0\.0\.0\.0|ip6\/::)\/|\/tcp\/0(\/|$)/.test(read)) return read;
  return new Refusal(
    `an address that the other peers can reach, such as /ip4/192.0.2.7/tcp/${defaultMeshPort}`,
  );
}

/**
 * A multiaddr to listen on. `[HOST:]PORT` is turned into one; without a host it means every address of this machine.
 */
export function readListenAddress(text: string): string | Refusal {
  if (text.startsWith("/")) return readMultiaddr(text);
  const parts = splitHostPort(/^\d+$/.test(text) ? `:${text}` : text);
  const host = parts?.host === "" ? "0.0.0.0" : parts?.host;
  const isAddress = host !== undefined && (/^\d+(\.\d+){3}$/.test(host) || host.includes(":"));
  if (parts === undefined || !isAddress) {
    return new Refusal(
      `a port, ADDRESS:PORT or a multiaddr, such as ${defaultMeshPort} or /ip4/0.0.0.0/tcp/${defaultMeshPort}`,
    );
  }
  return `/${host.includes(":") ? "ip6" : "ip4"}/${host}/tcp/${parts.port}`;
}

/** A multiaddr of a peer. `HOST[:PORT]` is turned into one. */
export function readPeerAddress(text: string): string | Refusal {
  if (text.startsWith("/")) return readMultiaddr(text);
  const wanted = new Refusal(
    `a multiaddr or HOST[:PORT], such as 192.0.2.7 or cron1.example:${defaultMeshPort}`,
  );
  const parts = splitHostPort(
    text.includes(":") && !/^\[.*\]$/.test(text) ? text : `${text}:${defaultMeshPort}`,
  );
  if (parts === undefined || parts.host === "" || parts.port === 0) return wanted;
  const { host, port } = parts;
  if (host.includes(":")) return `/ip6/${host}/tcp/${port}`;
  if (/^\d+(\.\d+){3}$/.test(host)) return `/ip4/${host}/tcp/${port}`;
  return /^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$/.test(host) ? `/dns/${host}/tcp/${port}` : wanted;
}

/** In lower case, as Node gives headers. */
export function readHeaderName(text: string): string | Refusal {
  const name = text.toLowerCase();
  // These say something else already.
  const isTaken = ["authorization", "cookie", "host", "origin", "content-type", "content-length"].includes(
    name,
  );
  return /^[a-z0-9-]{1,64}$/.test(name) && !isTaken
    ? name
    : new Refusal("the name of a header that only the proxy sets, such as X-Forwarded-User");
}

/** As Node writes the addresses of connections, an IPv4 one without `::ffff:`. */
export function readAddress(text: string): string | Refusal {
  if (isIP(text) === 0) return new Refusal("an IP address, such as 10.0.0.7");
  // The zone of a link-local address belongs to it, and SocketAddress would drop it.
  const [bare = "", zone] = text.split("%", 2);
  const { address } = new SocketAddress({ address: bare, family: isIP(bare) === 6 ? "ipv6" : "ipv4" });
  return zone === undefined ? address.replace(/^::ffff:(?=\d+\.)/, "") : `${address}%${zone}`;
}

/** `[HOST:]PORT`; without a host, loopback. */
export function readHostPort(text: string): HostPort | Refusal {
  const parts = splitHostPort(/^\d+$/.test(text) ? `:${text}` : text);
  if (parts === undefined) return new Refusal(`PORT or HOST:PORT, such as ${defaultHttpPort} or 127.0.0.1:0`);
  return { host: parts.host === "" ? "127.0.0.1" : parts.host, port: parts.port };
}

function splitHostPort(text: string): HostPort | undefined {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:[\]\s/]*)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) return undefined;
  return { host: match[1] ?? match[2] ?? "", port };
}

/** `s3://BUCKET/PREFIX`: the prefix may be left out. */
export function readArchive(text: string): { bucket: string; prefix: string } | Refusal {
  const match = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/(.*))?$/s.exec(text);
  const prefix = (match?.[2] ?? "").replaceAll(/^\/+|\/+$/g, "");
  const parts = prefix === "" ? [] : prefix.split("/");
  const bucket = match?.[1];
  if (
    bucket === undefined ||
    prefix.length > 512 ||
    parts.some((part) => !/^(?!\.{0,2}$)[^\p{Cc}]*$/u.test(part))
  )
    return new Refusal("s3://BUCKET or s3://BUCKET/PREFIX, such as s3://backups/cicada");
  return { bucket, prefix };
}

export function readSyslog(text: string): { tls: boolean; host: string; port: number } | Refusal {
  const match = /^(?:(tcp|tls):\/\/)?(?:\[([0-9A-Fa-f:.]+)\]|([^:[\]\s/]+))(?::(\d{1,5}))?$/.exec(text);
  const tls = match?.[1] === "tls";
  const port = Number(match?.[4] ?? (tls ? defaultSyslogTlsPort : defaultSyslogPort));
  if (match === null || port < 1 || port > 65_535)
    return new Refusal("[tcp://|tls://]HOST[:PORT], such as tls://logs.example.org");
  return { tls, host: match[2] ?? match[3] ?? "", port };
}

export function readTag(text: string): [string, string] | Refusal {
  const at = text.indexOf("=");
  const [key, value] = [text.slice(0, at).trim(), text.slice(at + 1).trim()];
  const isValid = at > 0 && key.length <= 128 && value.length <= 256;
  return isValid ? [key, value] : new Refusal("KEY=VALUE, such as disk=ssd");
}

/** Other names are refused: no system has such users, and a peer names its allowed users in each heartbeat. */
export function readUser(text: string): string | Refusal {
  return /^[^\p{Cc},:/]{1,64}$/u.test(text)
    ? text
    : new Refusal("one user's name of up to 64 characters; repeat the flag for each user");
}

export function readGroup(text: string): string | Refusal {
  const isValid = new RegExp(groupPattern).test(text);
  return isValid ? text : new Refusal("the name of a group of jobs, such as default or web.prod");
}

export function readCapacity(text: string): number | Refusal {
  const isValid = /^\d{1,9}$/.test(text) && Number(text) >= 1 && Number(text) <= largestCapacity;
  return isValid
    ? Number(text)
    : new Refusal(`a whole number from 1 to ${largestCapacity} (--role witness runs nothing)`);
}

export function readSize(text: string): number | Refusal {
  const bytes = parseSize(text);
  return bytes !== undefined && bytes > 0 ? bytes : new Refusal("a size such as 512MiB or 10GiB");
}

export function readDuration(text: string): number | Refusal {
  return parseDuration(text) ?? new Refusal("a duration such as 30s or 2m, or 0");
}

export function readSwitch(text: string): boolean | Refusal {
  if (["1", "true", "on", "yes"].includes(text.toLowerCase())) return true;
  if (["0", "false", "off", "no"].includes(text.toLowerCase())) return false;
  return new Refusal("true or false");
}

export function oneOf<Choice extends string>(
  ...words: readonly Choice[]
): (text: string) => Choice | Refusal {
  return (text) => words.find((word) => word === text) ?? new Refusal(`one of ${words.join(", ")}`);
}
