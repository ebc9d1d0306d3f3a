/**
 * `ready.json`: what a running peer tells other programs on its machine (INTERFACE, Start). The peer writes it when it
 * is ready and removes it on a clean stop.
 */
export interface Ready {
  pid: number;
  peerId: string;
  name: string;
  /** URL of the page and the API */
  http: string;
  /** multiaddrs */
  listen: readonly string[];
  tokenFile: string;
  version: string;
  /** the file of the certificate with which the API is served; absent = plain http */
  tlsCert?: string;
}

/** Undefined when the text is not a complete `ready.json`. */
export function parseReady(text: string): Ready | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  return isReady(value) ? value : undefined;
}

function isReady(value: unknown): value is Ready {
  if (typeof value !== "object" || value === null) return false;
  const found = new Map<string, unknown>(Object.entries(value));
  const listen = found.get("listen");
  return (
    typeof found.get("pid") === "number" &&
    ["peerId", "name", "http", "tokenFile", "version"].every((name) => typeof found.get(name) === "string") &&
    ["string", "undefined"].includes(typeof found.get("tlsCert")) &&
    Array.isArray(listen) &&
    listen.every((address) => typeof address === "string")
  );
}
