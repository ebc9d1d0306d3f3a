/**
 * Shows the result of a command in one of five forms: a table for people, the same with every column, the API's own answer as
 * JSON or YAML, or only the names, one per line, for other commands.
 */
import { Option, type Command } from "commander";
import { assert } from "../../errors.ts";
import { escapeUnseen, plain, type Terminal } from "./terminal.ts";
import type * as YamlText from "./yaml-text.ts";

export const outputs = ["table", "wide", "json", "yaml", "name"] as const;
export type Output = (typeof outputs)[number];

/** Read when a command shows YAML. */
let yaml: typeof YamlText | undefined;

export function withOutput(command: Command): Command {
  command.hook("preAction", async () => {
    if (command.getOptionValue("output") === "yaml") yaml = await import("./yaml-text.ts");
  });
  return command.addOption(
    new Option(
      "-o, --output <form>",
      "the form of the result: wide = every column, name = names only, json = exactly the API's answer",
    )
      .choices(outputs)
      .default("table"),
  );
}

export function isForPeople(output: Output): boolean {
  return output === "table" || output === "wide";
}

/** Shows the API's answer in the requested form; `draw` draws a table. */
export function show(
  terminal: Terminal,
  output: Output,
  answer: unknown,
  draw: (wide: boolean) => void,
): void {
  if (isForPeople(output)) return draw(output === "wide");
  if (output === "name") {
    for (const name of namesIn(answer)) terminal.print(plain(name));
    return;
  }
  const isJson = output === "json";
  const text = isJson ? JSON.stringify(answer, undefined, 2) : yamlOf(answer, false);
  if (!terminal.interactive || escapeUnseen(text) === text) return terminal.print(text);
  // On a screen, no text of a job or a host may move the cursor or reverse letters.
  terminal.print(escapeUnseen(isJson ? text : yamlOf(answer, true)));
}

function yamlOf(answer: unknown, isQuoted: boolean): string {
  assert(yaml !== undefined, "a command with --output has read it");
  return yaml.toYaml(answer, isQuoted ? yaml.quoted : {});
}

/** What other commands take for each thing of the answer: a peer's name, a job's or run's id, a tick. */
function namesIn(answer: unknown): string[] {
  if (Array.isArray(answer)) return answer.flatMap(namesIn);
  if (typeof answer !== "object" || answer === null) return typeof answer === "string" ? [answer] : [];
  const { items, ticks, id, name, job, tick, revision, peer, run, capacity }: Record<string, unknown> = {
    ...answer,
  };
  if (Array.isArray(items)) return items.flatMap(namesIn);
  if (Array.isArray(ticks)) return ticks.map(String);
  // Only peers have a capacity; people name them by their names.
  const known = [
    capacity === undefined ? undefined : name,
    id,
    name,
    run,
    typeof job === "string" && typeof tick === "string" ? `${job}@${tick}` : undefined,
    tick,
    job,
    revision,
  ].find((one) => typeof one === "string");
  return known === undefined ? namesIn(peer) : [known];
}
