/** YAML ⇄ a job. Loaded with the first form only. */
import { dump, load, YAMLException } from "js-yaml";
import { isObject } from "./schema.ts";

export function writeYaml(job: Readonly<Record<string, unknown>>): string {
  return dump(job, { lineWidth: -1 });
}

/** A job, or what keeps the text from being one. */
export function readYaml(text: string): { job: Record<string, unknown> } | { problem: string } {
  try {
    const job = load(text);
    return isObject(job) ? { job } : { problem: "A job is a list of fields, such as `command: echo hello`." };
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error;
    return { problem: error.message.split("\n")[0] ?? "That is not YAML." };
  }
}
