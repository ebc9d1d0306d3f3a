/** YAML ⇄ the fields of a job or a setting. Loaded with the first form only. */
import { CORE_SCHEMA, jsToAst, load, present, YAMLException } from "js-yaml";
import { isObject } from "./schema.ts";

export function writeYaml(fields: Readonly<Record<string, unknown>>): string {
  return present(jsToAst(fields, CORE_SCHEMA), { schema: CORE_SCHEMA, lineWidth: -1 });
}

/** The fields, or what keeps the text from being any. */
export function readYaml(text: string): { fields: Record<string, unknown> } | { problem: string } {
  try {
    const fields = load(text);
    return isObject(fields)
      ? { fields }
      : { problem: "Write one field per line, each with its name, such as `description: nightly backup`." };
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error;
    return { problem: error.message.split("\n")[0] ?? "That is not YAML." };
  }
}
