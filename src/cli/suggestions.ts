/**
 * What follows commander's complaint about a command line: a guess, or where the command is explained. The guesses are
 * commands as other schedulers and kubectl call them, and what they are called here, since the nearest spelling would often be
 * the wrong guess.
 */
import type { Command } from "commander";

/** By the word alone or, where the noun decides, by noun and word. */
const meant: ReadonlyMap<string, string> = new Map([
  ["list", "jobs ls"],
  ["ls", "jobs ls"],
  ["get", "jobs get"],
  ["describe", "jobs get"],
  ["show", "jobs get"],
  ["create", "jobs create"],
  ["add", "jobs create"],
  ["apply", "jobs create -f FILE --update"],
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
  ["why", "jobs why"],
  ["next", "jobs next"],
  ["export", "jobs ls -o yaml"],
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
  ["peers add", "peers invite"],
  ["peers join", "start --join FILE"],
  ["peers cordon", "peers drain"],
  ["peers uncordon", "peers undrain"],
]);

/** commander's complaint, with our guess in place of its own where we have one. */
export function withSuggestion(complaint: string, argv: readonly string[]): string {
  const [, word] = /^error: unknown command '([^']+)'/.exec(complaint) ?? [];
  if (word === undefined) return complaint;
  const guess = meant.get(`${argv[0]} ${word}`) ?? meant.get(word);
  if (guess === undefined) return complaint;
  return `error: unknown command '${word}'\n(Did you mean ${guess}?)\n`;
}

/** The complaint with the command that explains what was written wrongly, unless it has a guess already. */
export function withHelp(complaint: string, program: Command, argv: readonly string[]): string {
  if (complaint.includes("(Did you mean")) return complaint;
  const words: string[] = [];
  let command: Command | undefined = program;
  for (const word of argv) {
    command = command.commands.find((one) => one.name() === word);
    if (command === undefined) break;
    words.push(word);
  }
  return `${complaint}hint:  \`${["cicada", ...words, "--help"].join(" ")}\` shows what it takes.\n`;
}
