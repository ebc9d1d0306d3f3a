/**
 * The line below commander's error message: a guess, or the command that explains more. The guesses map the commands of
 * other schedulers and kubectl to ours, because the nearest spelling would often be wrong.
 */
import type { Command } from "commander";

/** By the word alone or, if the noun matters, by noun and word. */
const guesses: ReadonlyMap<string, string> = new Map([
  ["list", "jobs ls"],
  ["ls", "jobs ls"],
  ["get", "jobs get"],
  ["describe", "jobs get"],
  ["show", "jobs get"],
  ["create", "jobs create"],
  ["add", "jobs create"],
  ["edit", "jobs edit"],
  ["update", "jobs edit"],
  ["set", "jobs edit"],
  ["enable", "jobs edit JOB --enabled true"],
  ["disable", "jobs edit JOB --enabled false"],
  ["delete", "jobs rm"],
  ["remove", "jobs rm"],
  ["rm", "jobs rm"],
  ["trigger", "jobs run"],
  ["run", "jobs run"],
  ["exec", "jobs run"],
  ["pause", "jobs pause"],
  ["suspend", "jobs pause"],
  ["resume", "jobs resume"],
  ["skip", "jobs skip"],
  ["unskip", "jobs unskip"],
  ["why", "jobs why"],
  ["next", "jobs next"],
  ["logs", "runs log"],
  ["log", "runs log"],
  ["history", "runs ls --job JOB"],
  ["executions", "runs ls"],
  ["cancel", "runs cancel"],
  ["kill", "runs cancel"],
  ["stop", "runs cancel"],
  ["status", "doctor"],
  ["health", "doctor"],
  ["members", "peers ls"],
  ["nodes", "peers ls"],
  ["invite", "peers invite"],
  ["join", "start --join FILE"],
  ["agent", "start"],
  ["server", "start"],
  ["explain", "schedule explain"],
  ["crontab", "import crontab"],
  ["runs list", "runs ls"],
  ["runs get", "runs get"],
  ["runs describe", "runs get"],
  ["runs show", "runs get"],
  ["runs delete", "runs cancel"],
  ["peers list", "peers ls"],
  ["peers get", "peers ls"],
  ["peers describe", "peers ls"],
  ["peers show", "peers ls"],
  ["peers remove", "peers forget"],
  ["peers rm", "peers forget"],
  ["peers delete", "peers forget"],
  ["peers leave", "peers forget"],
  ["peers restore", "peers unforget"],
  ["peers readmit", "peers unforget"],
  ["peers add", "peers invite"],
  ["peers join", "start --join FILE"],
  ["peers cordon", "peers drain"],
  ["peers uncordon", "peers undrain"],
]);

/** commander's message, with our guess instead of its own if we have one. */
export function withSuggestion(message: string, argv: readonly string[]): string {
  const [, word] = /^error: unknown command '([^']+)'/.exec(message) ?? [];
  if (word === undefined) return message;
  const guess = guesses.get(`${argv[0]} ${word}`) ?? guesses.get(word);
  if (guess === undefined) return message;
  return `error: unknown command '${word}'\n(Did you mean ${guess}?)\n`;
}

/** The message with the command that shows the right usage, unless it already has a guess. */
export function withHelp(message: string, program: Command, argv: readonly string[]): string {
  return message.includes("(Did you mean") ? message : `${message}hint:  ${usageOf(program, argv)}\n`;
}

/** The command that was given, as far as there is one. */
export function commandOf(program: Command, argv: readonly string[]): Command {
  const [word, ...more] = argv;
  const next = program.commands.find((one) => one.name() === word);
  return next === undefined ? program : commandOf(next, more);
}

/** Names the command that shows the usage of the one that was given. */
export function usageOf(program: Command, argv: readonly string[]): string {
  const words: string[] = [];
  for (let at: Command | null = commandOf(program, argv); at !== null; at = at.parent)
    words.unshift(at.name());
  return `\`${[...words, "--help"].join(" ")}\` shows the usage.`;
}
