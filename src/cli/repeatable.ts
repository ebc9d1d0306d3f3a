/** Flags that may be given several times: commander keeps the last value of a flag unless it is told otherwise. */
import { Option } from "commander";

export function repeatable(flags: string, help: string): Option {
  return new Option(flags, help).argParser<readonly string[]>((value, before) => [...(before ?? []), value]);
}
