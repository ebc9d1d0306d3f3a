/** The version of this program. */
import { createRequire } from "node:module";

/** The version in package.json, which lies two folders up from the bundle, too. */
export function readVersion(): string {
  const described: unknown = createRequire(import.meta.url)("../../package.json");
  const hasVersion = typeof described === "object" && described !== null && "version" in described;
  return hasVersion ? String(described.version) : "unknown";
}
