/**
 * The line below commander's error message: a guess, or the command that explains more. The guesses map the commands of
 * other schedulers and kubectl to ours, because the nearest spelling would often be wrong.
 */
import type { Command } from "commander";
import { flagInOtherWords } from "./terminal/job-flags.ts";

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
  ["cordon", "peers drain"],
  ["drain", "peers drain"],
  ["uncordon", "peers undrain"],
  ["leave", "peers forget"],
  ["forget", "peers forget"],
  ["confirm", "peers confirm"],
  ["promote", "peers promote"],
  ["runs rm", "runs cancel"],
  ["runs logs", "runs log"],
  ["runs tail", "runs log -f"],
  ["tail", "runs log -f RUN"],
  ["follow", "runs log -f RUN"],
  ["wait", "runs wait"],
  ["retry", "jobs run"],
  ["rerun", "jobs run"],
  ["start", "jobs run"],
  ["toggle", "jobs pause"],
  ["jobs status", "jobs get"],
  ["jobs copy", "jobs create -f FILE (jobs get JOB -o yaml prints the file)"],
  ["jobs clone", "jobs create -f FILE (jobs get JOB -o yaml prints the file)"],
  ["jobs rename", "jobs create -f FILE (jobs get JOB -o yaml prints the file), then jobs rm"],
  ["rollback", "jobs revert"],
  ["rollout", "jobs revert"],
  ["undo", "jobs revert"],
  ["cronjob", "jobs"],
  ["cronjobs", "jobs"],
  ["cron", "jobs"],
  ["timers", "jobs ls"],
  ["list-timers", "jobs ls"],
  ["events", "runs ls -w"],
  ["watch", "jobs ls -w"],
  ["version", "--version"],
  ["validate", "schedule explain"],
  ["retries", "jobs edit JOB --retry-attempts N"],
  ["tz", "jobs edit JOB --tz ZONE"],
  ["timezone", "jobs edit JOB --tz ZONE"],
  ["concurrencypolicy", "jobs edit JOB --overlap POLICY"],
  ["config", "start --help"],
  ["notify", "channels"],
  ["notifications", "channels"],
  ["webhook", "channels set NAME --type webhook --url URL"],
  ["script", "jobs create ID --script FILE"],
  ["dump", "export"],
  ["pull", "export"],
  ["push", "apply"],
  ["sync", "apply"],
  ["plan", "diff"],
]);

/** What a word means within a noun that has such a command: `pools delete` is `pools rm`. */
const ownWords: ReadonlyMap<string, readonly string[]> = new Map([
  ["ls", ["list", "all"]],
  ["get", ["show", "describe", "inspect", "view", "info"]],
  ["set", ["create", "add", "edit", "update", "new", "put"]],
  ["create", ["add", "new"]],
  ["edit", ["update", "set", "change", "modify"]],
  ["rm", ["delete", "remove", "del", "destroy", "revoke"]],
]);

function ownCommand(word: string, noun: Command | undefined): string | undefined {
  const has = (name: string) => noun?.commands.some((one) => one.name() === name) === true;
  const found = [...ownWords].find(([name, words]) => words.includes(word) && has(name));
  return found === undefined ? undefined : `${noun?.name()} ${found[0]}`;
}

/** commander's message, with our guess instead of its own if we have one. */
export function withSuggestion(message: string, program: Command, argv: readonly string[]): string {
  const [, flag] = /^error: unknown option '([^'=]+)/.exec(message) ?? [];
  const meantFlag = flag === undefined || argv[0] !== "jobs" ? undefined : flagInOtherWords(flag);
  if (meantFlag !== undefined) return `error: unknown option '${flag}'\n(Did you mean ${meantFlag}?)\n`;
  const [, word] = /^error: unknown command '([^']+)'/.exec(message) ?? [];
  if (word === undefined) return message;
  const [first] = argv;
  const noun = program.commands.find((one) => one.name() === first);
  const meant = word.toLowerCase();
  const guess = guesses.get(`${first} ${meant}`) ?? ownCommand(meant, noun) ?? guesses.get(meant);
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
