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

export function fetchPinned(address: URL, cert: string, init: RequestInit): Promise<Fetched> {
  const { fingerprint256 } = new X509Certificate(cert);
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
          found.fingerprint256 === fingerprint256
            ? undefined
            : new Error("another certificate than the one in the peer's file"),
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
    asked.once("error", reject);
    asked.end(typeof body === "string" || body instanceof Uint8Array ? body : undefined);
  });
}
