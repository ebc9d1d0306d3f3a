/** `--script FILE` of `jobs create` and `jobs edit`: uploads the script first; the job names its bytes. */
import { Option } from "commander";
import type { Client } from "./terminal/client.ts";
import { readBytes } from "./terminal/text-file.ts";

export interface ScriptOptions {
  /** a file to upload */
  script?: string;
}

export function scriptOption(): Option {
  return new Option(
    "--script <file>",
    "upload this script and run it with --interpreter; - reads standard input",
  );
}

/** The name of the script's bytes; undefined if none was given. */
export async function upload(client: Client, { script }: ScriptOptions): Promise<string | undefined> {
  if (script === undefined) return undefined;
  const body = readBytes(script);
  const { sha256 } = await client.ask<{ sha256: string }>("/v1/scripts", { method: "PUT", body });
  return sha256;
}

export function withScript(
  job: Record<string, unknown>,
  sha256: string | undefined,
): Record<string, unknown> {
  return sha256 === undefined ? job : { ...job, script: { ...Object(job["script"]), sha256 } };
}
