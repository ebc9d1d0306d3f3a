/** What may stand at the end of a command line: from the commands as they are declared, before any peer is asked. */
import type { Command, Option } from "commander";

/** Things whose names only a peer knows. */
export type Named =
  | "jobs"
  | "runs"
  | "peers"
  | "groups"
  | "pools"
  | "calendars"
  | "channels"
  | "maintenance"
  | "secrets"
  | "tokens";

/** Words that are known, with a description each; or names; undefined = anything, such as a file. */
export type Candidates = { words: [word: string, about: string][] } | { of: Named } | undefined;

/** `words`: those before the present one, without the program's own name. `current`: the present one, as far as it goes. */
export function candidatesFor(program: Command, words: readonly string[], current: string): Candidates {
  let command = program;
  let place = 0;
  let open: Option | undefined;
  let hasEnded = false;
  for (const word of words) {
    if (open !== undefined) {
      open = undefined;
    } else if (word === "--") {
      hasEnded = true;
    } else if (word.startsWith("-") && !hasEnded) {
      const option = optionOf(command, word);
      if (option !== undefined && takesValue(option) && !word.includes("=")) open = option;
    } else {
      const next = command.commands.find((one) => one.name() === word);
      if (next === undefined) place += 1;
      else [command, place] = [next, 0];
    }
  }
  if (hasEnded) return undefined;
  if (open !== undefined) return valuesOf(open);
  const [, flag = "", value] = /^(--[^=]+)=(.*)$/.exec(current) ?? [];
  if (value !== undefined) {
    const option = optionOf(command, flag);
    return option === undefined ? undefined : valuesOf(option, `${flag}=`);
  }
  const help = command.createHelp();
  if (current.startsWith("-")) {
    const options = [...help.visibleOptions(command), ...help.visibleGlobalOptions(command)];
    return { words: options.map((option) => [option.long ?? option.short ?? "", option.description]) };
  }
  const commands = help.visibleCommands(command).filter((one) => one.name() !== "help");
  if (commands.length > 0 && place === 0)
    return { words: commands.map((one) => [one.name(), one.description()]) };
  return argumentsOf(command, place);
}

function optionOf(command: Command, word: string): Option | undefined {
  const [flag = ""] = word.split("=");
  return command.options.find((option) => option.long === flag || option.short === flag);
}

function takesValue(option: Option): boolean {
  return option.required || option.optional;
}

/** What the value of a flag names, by the flag's name. */
const byFlag: Readonly<Record<string, Named>> = {
  job: "jobs",
  afterJobs: "jobs",
  on: "peers",
  targetPeer: "peers",
  without: "peers",
  peers: "peers",
  group: "groups",
  pool: "pools",
  secrets: "secrets",
};

function valuesOf(option: Option, before = ""): Candidates {
  if (option.argChoices !== undefined)
    return { words: option.argChoices.map((one) => [`${before}${one}`, ""]) };
  const name = option.attributeName();
  if (name === "timezone" || name === "tz")
    return { words: ["UTC", ...Intl.supportedValuesOf("timeZone")].map((zone) => [`${before}${zone}`, ""]) };
  const listed = /: ((?:[a-z]+, )+[a-z]+)/.exec(option.description)?.[1];
  if (name === "state" && listed !== undefined)
    return { words: listed.split(", ").map((state) => [`${before}${state}`, ""]) };
  const names = byFlag[name];
  return names === undefined || before !== "" ? undefined : { of: names };
}

/** What an argument names, by noun and argument. */
const byArgument: Readonly<Record<string, Named>> = {
  "jobs id": "jobs",
  "runs run": "runs",
  "peers peer": "peers",
  "groups name": "groups",
  "pools name": "pools",
  "calendars name": "calendars",
  "channels name": "channels",
  "maintenance name": "maintenance",
  "secrets name": "secrets",
  "token token": "tokens",
};

function argumentsOf(command: Command, place: number): Candidates {
  const known = command.registeredArguments;
  const argument = known[place] ?? (known.at(-1)?.variadic === true ? known.at(-1) : undefined);
  if (argument === undefined) return { words: [] };
  if (argument.argChoices !== undefined) return { words: argument.argChoices.map((one) => [one, ""]) };
  // The id of a new job is free to choose.
  if (command.name() === "create") return { words: [] };
  const of = byArgument[`${command.parent?.name() ?? ""} ${argument.name()}`];
  return of === undefined ? undefined : { of };
}
