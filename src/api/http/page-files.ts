/** The page's files, which the published package has where a clone has them. */
import { readFileSync } from "node:fs";

/** The bundle lies in dist/program/. */
const folder = new URL(import.meta.url.endsWith(".ts") ? "../../ui/" : "../../src/ui/", import.meta.url);

export function readPageFile(name: string): Buffer {
  return readFileSync(new URL(name, folder));
}
