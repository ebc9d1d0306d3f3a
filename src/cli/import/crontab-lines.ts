/**
 * The lines of a crontab, read as cronie and Debian's cron read them: a variable, or a schedule and a command. Lines that other
 * crons read differently, or that a person can hardly have meant, are refused or doubted.
 */

/** Reads `NAME = value`; undefined if the line is none. */
export function readVariable(content: string): { name: string; value: string; problem?: string } | undefined {
  const match = /^(?:"([^"]*)"|'([^']*)'|([^\s"'=]+))[ \t]*=[ \t]*(.*?)[ \t]*$/.exec(content);
  if (match === null) return undefined;
  const name = match[1] ?? match[2] ?? match[3] ?? "";
  const written = match[4] ?? "";
  const quote = written[0];
  if (quote !== '"' && quote !== "'") return { name, value: written };
  const end = written.indexOf(quote, 1);
  if (end < 0) return { name, value: "", problem: `the value begins with ${quote} and never ends` };
  if (written.slice(end + 1).trim() !== "") {
    return { name, value: "", problem: `something follows the value's closing ${quote}, which cron refuses` };
  }
  return { name, value: written.slice(1, end) };
}

export interface Entry {
  schedule: string;
  /** undefined = the owner of the crontab */
  user: string | undefined;
  command: string;
  stdin: string | undefined;
  /** what is not carried over */
  notes: string[];
  /** what was perhaps not meant */
  doubts: string[];
}

export function readEntry(content: string, system: boolean): Entry | { reason: string } {
  // A minus before the times tells cronie not to log the start.
  const line = content.replace(/^-(?=[*\d@])/, "");
  const fields = line.startsWith("@") ? 1 : 5;
  const parts = new RegExp(`^((?:\\S+[ \\t]+){${fields - 1}}\\S+)(?:[ \\t]+(.*))?$`).exec(line);
  const schedule = parts?.[1]?.replaceAll(/[ \t]+/g, " ");
  if (schedule === undefined)
    return { reason: "no schedule: expected 5 fields (or @daily and the like) and a command" };
  const problem = foreignSchedule(schedule);
  if (problem !== undefined) return { reason: problem };
  const { user, rest } = system ? splitUser(parts?.[2] ?? "") : { user: undefined, rest: parts?.[2] ?? "" };
  if (user === "") return { reason: "no user before the command, as --system requires" };
  if (user !== undefined && isField(user)) return { reason: furtherField(user) };
  const { text, notes, option } = takeOptions(rest);
  if (option !== undefined)
    return { reason: `cron refuses a command that begins with ${option}: it knows -n and -q` };
  if (text.trim() === "") {
    return {
      reason:
        system && notes.length === 0
          ? "no command after the user: import a user's own crontab without --system"
          : "no command",
    };
  }
  const [first = ""] = text.split(/\s/, 1);
  if (isField(first)) return { reason: furtherField(first) };
  const { command, stdin } = splitInput(text);
  return { schedule, user, command, stdin, notes, doubts: doubtsAbout(command, stdin, first) };
}

/** Why a schedule is refused that cron, or some kinds of cron, read differently from cicada. */
function foreignSchedule(schedule: string): string | undefined {
  if (schedule === "@reboot") {
    return "@reboot is not carried over: on this host, use a systemd unit (WantedBy=multi-user.target)";
  }
  if (/~/.test(schedule))
    return "random times (~) are not carried over: use H instead, which spreads jobs by their ids";
  if (schedule.startsWith("@")) return undefined;
  if (/(^|[ ,])[0-9a-z]+\/\d/i.test(schedule)) {
    return "different crons read a single value with a step (N/STEP) differently: write a range N-LAST/STEP instead";
  }
  const foreign = /[a-z]*[LWH#][a-z]*/i.exec(foreignPart(schedule))?.[0];
  return foreign === undefined
    ? undefined
    : `cron doesn't know ${JSON.stringify(foreign)} and refuses the crontab, so this line has never run as cicada would read it`;
}

/** What is left of the fields when the names of months and weekdays are taken out. */
function foreignPart(schedule: string): string {
  return schedule.replaceAll(
    /\b(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|sun|mon|tue|wed|thu|fri|sat)\b/gi,
    "",
  );
}

/** A word that looks like a field of times, such as `*`, `45` or `1-5`, as in lines of supercronic and anacron. */
function isField(word: string): boolean {
  return /^[*?\d](?:[\d*?,/-]|[A-Za-z]{3}(?=[,/-]|$))*$/.test(word);
}

function furtherField(word: string): string {
  return `${JSON.stringify(word)} after the 5 fields looks like another field, and cron would run it as a command: is this a line of another scheduler (with seconds or a year, or of anacron)?`;
}

function splitUser(text: string): { user: string; rest: string } {
  const [, user = "", rest = ""] = /^(\S*)[ \t]*(.*)$/.exec(text) ?? [];
  return { user, rest };
}

const optionMeanings: Readonly<Record<string, string>> = {
  "-n": "-n (mail only what fails) is not carried over: nothing is mailed",
  "-q": "-q (don't log the start) is not carried over: every run is recorded",
};

/** The options of cronie (`-n`) and FreeBSD (`-n`, `-q`) before a command. `option` is one that neither knows. */
function takeOptions(rest: string): { text: string; notes: string[]; option?: string } {
  const notes: string[] = [];
  let text = rest;
  for (;;) {
    const [, option, more = ""] = /^(-\S*)(?:[ \t]+(.*))?$/.exec(text) ?? [];
    if (option === undefined) return { text, notes };
    const meaning = optionMeanings[option];
    if (meaning === undefined) return { text, notes, option };
    notes.push(meaning);
    text = more;
  }
}

/** As in cron: the first bare `%` ends the command, each further one is a new line of the input, and `\%` is a `%`. */
function splitInput(text: string): { command: string; stdin: string | undefined } {
  const [, head = "", input] = /^((?:\\[^]|[^%\\]|\\$)*)(?:%([^]*))?$/.exec(text) ?? [];
  const command = head.replaceAll("\\%", "%");
  if (input === undefined) return { command, stdin: undefined };
  const stdin = input.replaceAll(/\\?%/g, (percent) => (percent === "%" ? "\n" : "%"));
  return { command, stdin: stdin === "" || stdin.endsWith("\n") ? stdin : `${stdin}\n` };
}

/** Vixie's cron, Debian's and the BSDs' copy that many bytes of a command; cronie copies more. */
const commandMax = 999;

function doubtsAbout(command: string, stdin: string | undefined, first: string): string[] {
  const doubts: string[] = [];
  if (stdin !== undefined) {
    doubts.push(
      `the command ends at its first %, and what follows is its input, as under cron: is that intended? A percent sign is written \\%`,
    );
  }
  const bytes = Buffer.byteLength(command);
  if (bytes > commandMax) {
    doubts.push(
      `the command has ${bytes.toLocaleString("en")} bytes, and many crons run only the first ${commandMax}, or nothing: here all of it runs`,
    );
  }
  if (hasOpenQuote(command))
    doubts.push("a quote in the command is never closed, so the shell will refuse it");
  if (/(^|[^\\])(\\\\)*\\$/.test(command))
    doubts.push("the line ends with a backslash, but cron doesn't join it with the next one");
  if (
    /^(?:sun|mon|tue|wed|thu|fri|sat|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)(?:[-,]\w{3})*$/i.test(
      first,
    )
  )
    doubts.push(`the command begins with ${first}: is that another field?`);
  return doubts;
}

function hasOpenQuote(command: string): boolean {
  const closed = command.replaceAll(/\\.|'[^']*'|"(?:[^"\\]|\\.)*"/gs, "").replace(/(^|\s)#.*$/s, "");
  return /['"]/.test(closed);
}
