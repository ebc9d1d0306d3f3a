/**
 * The certificate with which the API is served. It can be replaced while the API is open: connections that are open keep the old
 * one, new ones get the new one.
 */
import { createPrivateKey, X509Certificate } from "node:crypto";
import type { Socket } from "node:net";
import type { SecureContext, TLSSocket } from "node:tls";
import { CicadaError } from "../../errors.ts";

/** Read when it is first used: it takes 2 MiB, and most peers have no certificate. */
const tls = () => process.getBuiltinModule("node:tls");

export class Certificate {
  #context: SecureContext;
  #names: readonly string[];

  /** The texts of both files (PEM). Throws a CicadaError that says what is wrong with them. */
  constructor(cert: string, key: string) {
    ({ context: this.#context, names: this.#names } = read(cert, key));
  }

  /** Throws as the constructor does, and then keeps what there was. */
  replace(cert: string, key: string): void {
    ({ context: this.#context, names: this.#names } = read(cert, key));
  }

  /** The server's side of a TLS connection over this socket. */
  secure(socket: Socket): TLSSocket {
    return new (tls().TLSSocket)(socket, { isServer: true, secureContext: this.#context });
  }

  /** The host names that it is for, in lower case; `*.` stands for one more part. */
  get names(): readonly string[] {
    return this.#names;
  }
}

function read(cert: string, key: string): { context: SecureContext; names: string[] } {
  let leaf: X509Certificate;
  try {
    leaf = new X509Certificate(cert);
  } catch (error) {
    throw refused("--tls-cert is not a certificate in PEM", error);
  }
  if (Date.parse(leaf.validTo) <= Date.now()) {
    throw new CicadaError("BAD_SETTING", `--tls-cert: the certificate has expired on ${leaf.validTo}`);
  }
  try {
    // Node treats an empty key like no key, and would then refuse every connection.
    const fits = leaf.checkPrivateKey(createPrivateKey(key));
    if (!fits) throw new Error("it is the key of another certificate");
    const context = tls().createSecureContext({ cert, key, minVersion: "TLSv1.2" });
    const names = leaf.subjectAltName?.matchAll(/(?:DNS|IP Address):([^,\s"]+)/g) ?? [];
    return { context, names: Array.from(names, ([, name = ""]) => name.toLowerCase()) };
  } catch (error) {
    throw refused("--tls-key does not fit --tls-cert, or is not a key in PEM", error);
  }
}

function refused(what: string, error: unknown): CicadaError {
  const why = error instanceof Error ? error.message : String(error);
  return new CicadaError("BAD_SETTING", `${what}: ${why}`);
}

/** Whether a `Host` names one of these; without a port, any port is meant. */
export function isNamed(host: string, names: readonly string[]): boolean {
  const name = host.replace(/:\d{1,5}$/, "").replace(/^\[(.*)\]$/, "$1");
  return names.some((one) =>
    one.startsWith("*.")
      ? name.slice(name.indexOf(".")) === one.slice(1) && !name.startsWith(".")
      : one === name,
  );
}
