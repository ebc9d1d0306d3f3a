/** Values as YAML. Apart from output.ts, because only those who ask for YAML need its library. */
import { stringify } from "yaml";

/** Without the last line's end, which `print` adds. More must not go: a text at the end may have empty lines of its own. */
export function toYaml(value: unknown, options: typeof quoted | Record<string, never> = {}): string {
  return stringify(value, options).replace(/\n$/, "");
}

/** YAML in which every unusual character can be an escape. */
export const quoted = {
  defaultStringType: "QUOTE_DOUBLE",
  defaultKeyType: "QUOTE_DOUBLE",
  lineWidth: 0,
} as const;
