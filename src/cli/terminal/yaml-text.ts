/** Values as YAML. This is a file of its own, because the library is only loaded for those who ask for YAML. */
import { stringify } from "yaml";

/** Leaves out the last line's end, which `print` adds. Further line ends stay, because they may belong to a text. */
export function toYaml(value: unknown, options: typeof quoted | Record<string, never> = {}): string {
  return stringify(value, options).replace(/\n$/, "");
}

/** YAML in which every unusual character can be an escape. */
export const quoted = {
  defaultStringType: "QUOTE_DOUBLE",
  defaultKeyType: "QUOTE_DOUBLE",
  lineWidth: 0,
} as const;
