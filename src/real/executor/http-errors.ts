/**
 * Says in words for a person why a request was not answered, and tells apart where it failed: DNS, connect, TLS, or the
 * exchange after the request was sent.
 */

/** The run was ended before its request was answered. */
export class Stopped extends Error {
  constructor() {
    super("the request was cut off");
  }
}

/** The process was held up before the request was sent. */
export class HeldUp extends Error {
  constructor() {
    super("not sent: this peer was held up between the start and the moment when the request was to be sent");
  }
}

const dnsReasons: Readonly<Record<string, string>> = {
  ENOTFOUND: "has no address",
  ENODATA: "has no address",
  EAI_AGAIN: "can't be looked up now: no name server answered",
};

const connectReasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: "nothing listens there",
  EHOSTUNREACH: "there is no route to that host",
  ENETUNREACH: "there is no route to that network",
  ETIMEDOUT: "the host does not answer",
  UND_ERR_CONNECT_TIMEOUT: "the host does not answer",
};

/** Where OpenSSL's own words help nobody. */
const tlsReasons: Readonly<Record<string, string>> = {
  ERR_SSL_WRONG_VERSION_NUMBER: "what answers there doesn't speak TLS",
  ERR_SSL_PACKET_LENGTH_TOO_LONG: "what answers there doesn't speak TLS",
};

/** This host had no descriptor or memory for the request: it says nothing about the job. */
export class HostFault extends Error {}

const hostReasons: Readonly<Record<string, string>> = {
  EMFILE: "too many files are open in this peer",
  ENFILE: "too many files are open on this host",
  ENOMEM: "this host has no memory for another connection",
  ENOBUFS: "this host has no memory for another connection",
};

/** Why this host could not send a request; undefined = it was not the host's fault. */
export function hostFaultIn(error: unknown): HostFault | undefined {
  const reason = hostReasons[codeOf(error)];
  return reason === undefined ? undefined : new HostFault(`not sent: ${reason} (${codeOf(error)})`);
}

/** Why no request was sent. */
export function describeUnconnected(error: unknown, { protocol, host, hostname }: URL): string {
  const code = codeOf(error);
  // A secret may have a line break, or a character that no header can have.
  if (code === "UND_ERR_INVALID_ARG") return `request: ${messageOf(error)}, so it was not sent`;
  const coded = code === "" ? "" : ` (${code})`;
  const dns = dnsReasons[code];
  if (dns !== undefined || isOfCall(error, "getaddrinfo")) {
    return `DNS: ${hostname} ${dns ?? "can't be looked up"}${coded}`;
  }
  const why = connectReasons[code];
  // An error while the connection is being secured names no system call, or has the code of a certificate's fault.
  if (why === undefined && protocol === "https:" && !isOfCall(error, "connect")) {
    return `TLS: ${host}: ${tlsReasons[code] ?? messageOf(error)}${coded}`;
  }
  return `connect: ${host}: ${why ?? messageOf(error)}${coded}`;
}

/** Why a request that was sent was not answered, or not completely. */
export function describeBroken(error: unknown, isAnswered: boolean): string {
  const code = codeOf(error);
  const coded = code === "" ? "" : ` (${code})`;
  if (code.startsWith("HPE_") || (error instanceof Error && error.name === "HTTPParserError"))
    return `http: the answer is not HTTP${coded}`;
  const when = isAnswered ? "before the answer was complete" : "before there was an answer";
  return `http: the connection broke ${when}: ${messageOf(error)}${coded}`;
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
}

function isOfCall(error: unknown, call: string): boolean {
  return error instanceof Error && "syscall" in error && error.syscall === call;
}

/** The first line only, without OpenSSL's own coordinates and Node's advice. */
function messageOf(error: unknown): string {
  const [line = ""] = (error instanceof Error ? error.message : String(error)).trim().split("\n");
  const [, reason] = /^[0-9A-F]+:error:[^:]*:[^:]*:([^:]+)/.exec(line) ?? [];
  return reason ?? line.replace(/; if the root CA .*$/, "");
}
