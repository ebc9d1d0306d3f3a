/**
 * Makes one request over http or https and returns its answer. It doesn't use `fetch`, which takes Node longer to read than most
 * commands take to run. Redirects are not followed: the token is for one address.
 *
 * From the local peer by https it accepts exactly the certificate in that peer's file. On loopback the name in the certificate
 * doesn't match, and who issued it doesn't matter.
 */
import type { IncomingMessage } from "node:http";
import type { X509Certificate } from "node:crypto";

export interface Request {
  method?: string;
  headers?: Readonly<Record<string, string>>;
  body?: string | Uint8Array | undefined;
  signal?: AbortSignal;
  /** the only certificate to believe, as PEM; undefined = those that Node believes, for the address's own name */
  cert?: string | undefined;
}

export interface Reply {
  status: number;
  /** by their names in small letters; of several with one name, all, with commas between */
  headers: ReadonlyMap<string, string>;
  bytes: Uint8Array;
}

/** Of a file that was renewed, or broken, since the peer read it. */
const otherThanFile =
  "it is up, but shows another certificate than the one in --tls-cert now: correct the file, and `kill -HUP` makes the peer read it again";

/** A host that doesn't answer at all is given up then, ms. More keeps a person waiting; less gives up on a slow line. */
const connectLimitMs = 10_000;
const redirects: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/** Throws what the system says, `signal`'s reason, or an error for a redirect. */
export async function request(
  address: URL,
  { method, headers, body, signal, cert }: Request,
): Promise<Reply> {
  const trust = cert === undefined ? {} : trustIn(cert);
  // Each is read when it is first used.
  const { request: send } =
    address.protocol === "https:"
      ? process.getBuiltinModule("node:https")
      : process.getBuiltinModule("node:http");
  return new Promise((resolve, reject) => {
    const asked = send(address, {
      method: method ?? "GET",
      headers: { ...headers, ...(body === undefined ? {} : { "content-length": Buffer.byteLength(body) }) },
      timeout: connectLimitMs,
      ...trust,
      ...(signal === undefined ? {} : { signal }),
    });
    asked.on("timeout", () => {
      if (asked.socket?.connecting === true) asked.destroy(new Error("that host doesn't answer"));
    });
    asked.once("error", (error: Error & { code?: string }) => {
      const isOther = cert !== undefined && /CERT|SIGNATURE|ISSUER/.test(error.code ?? "");
      reject(isOther ? new Error(otherThanFile) : reasonOf(error, signal));
    });
    asked.once("response", (response) => {
      readReply(response).then(resolve, (error: unknown) => reject(reasonOf(error, signal)));
    });
    asked.end(body);
  });
}

async function readReply(response: IncomingMessage): Promise<Reply> {
  const status = response.statusCode ?? 0;
  if (redirects.has(status)) {
    response.destroy();
    throw new Error("unexpected redirect");
  }
  const pieces: Uint8Array[] = [];
  for await (const piece of response) pieces.push(piece as Uint8Array);
  const headers = new Map(
    Object.entries(response.headersDistinct).map(([name, values]) => [name, values?.join(", ") ?? ""]),
  );
  return { status, headers, bytes: Buffer.concat(pieces) };
}

/** Node reports only that a request was aborted, not why. */
function reasonOf(error: unknown, signal: AbortSignal | undefined): Error {
  if (signal?.aborted === true && signal.reason instanceof Error) return signal.reason;
  return error instanceof Error ? error : new Error(String(error));
}

function trustIn(cert: string) {
  const fingerprint256 = fingerprintOf(cert);
  return {
    ca: cert,
    allowPartialTrustChain: true,
    checkServerIdentity: (_name: string, found: { fingerprint256: string }) =>
      found.fingerprint256 === fingerprint256 ? undefined : new Error(otherThanFile),
  };
}

function fingerprintOf(cert: string): string {
  const Read: typeof X509Certificate = process.getBuiltinModule("node:crypto").X509Certificate;
  try {
    return new Read(cert).fingerprint256;
  } catch {
    throw new Error(otherThanFile);
  }
}
