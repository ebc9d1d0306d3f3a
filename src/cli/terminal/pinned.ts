/**
 * Calls the local peer by https and believes exactly the certificate in its file: on loopback the name in it is another one, and
 * who issued it doesn't matter.
 */
import { X509Certificate } from "node:crypto";

interface Fetched {
  status: number;
  headers: Headers;
  bytes: Uint8Array;
}

/** Of a file that was renewed, or broken, since the peer read it. */
const otherThanFile =
  "it is up, and shows another certificate than --tls-cert holds now: put the file right, and `kill -HUP` makes the peer read it";

export async function fetchPinned(address: URL, cert: string, init: RequestInit): Promise<Fetched> {
  const fingerprint256 = fingerprintOf(cert);
  // Read when it is first used: few peers are called by https.
  const { request } = process.getBuiltinModule("node:https");
  return new Promise((resolve, reject) => {
    const { method = "GET", body, signal } = init;
    const asked = request(
      address,
      {
        method,
        headers: Object.fromEntries(new Headers(init.headers)),
        ca: cert,
        allowPartialTrustChain: true,
        checkServerIdentity: (_name, found) =>
          found.fingerprint256 === fingerprint256 ? undefined : new Error(otherThanFile),
        ...(signal === null || signal === undefined ? {} : { signal }),
      },
      (response) => {
        const pieces: Uint8Array[] = [];
        response.on("data", (piece: Uint8Array) => pieces.push(piece));
        response.once("error", reject);
        response.once("end", () => {
          const headers = new Headers();
          for (const [name, value] of Object.entries(response.headers)) {
            for (const one of [value ?? []].flat()) headers.append(name, one);
          }
          resolve({ status: response.statusCode ?? 0, headers, bytes: Buffer.concat(pieces) });
        });
      },
    );
    asked.once("error", (error: Error & { code?: string }) => {
      reject(/CERT|SIGNATURE|ISSUER/.test(error.code ?? "") ? new Error(otherThanFile) : error);
    });
    asked.end(typeof body === "string" || body instanceof Uint8Array ? body : undefined);
  });
}

function fingerprintOf(cert: string): string {
  try {
    return new X509Certificate(cert).fingerprint256;
  } catch {
    throw new Error(otherThanFile);
  }
}
