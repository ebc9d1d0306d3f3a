/** The version of this cicada, as package.json has it. */
import { createRequire } from "node:module";

export function readVersion(): string {
  const described: unknown = createRequire(import.meta.url)("../../package.json");
  const hasVersion = typeof described === "object" && described !== null && "version" in described;
  return hasVersion ? String(described.version) : "unknown";
}
