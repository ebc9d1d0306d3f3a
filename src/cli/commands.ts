/**
 * All commands, in the order in which the help lists them. The file of a command is only read if the command line names it: all
 * of them together take longer to read than most commands take to run. Of the other commands, the program only knows what the
 * help shows.
 */
import { Help, type Command } from "commander";
import type { Terminal } from "./terminal/terminal.ts";

type Add = (program: Command, terminal: Terminal) => void;

interface CommandFile {
  /** each command as the help shows it, and what it does */
  readonly commands: Readonly<Record<string, string>>;
  readonly read: () => Promise<Add>;
}

const files: readonly CommandFile[] = [
  {
    commands: { "start [options]": "start a peer; one alone is a full cron" },
    read: async () => (await import("./start/command.ts")).startCommand,
  },
  {
    commands: { jobs: "list, create, change, pause and run jobs" },
    read: async () => (await import("./jobs.ts")).jobsCommands,
  },
  {
    commands: { runs: "list runs, show their output, cancel them, wait for them" },
    read: async () => (await import("./runs.ts")).runsCommands,
  },
  {
    commands: { channels: "where notices about jobs go" },
    read: async () => (await import("./channels.ts")).channelsCommands,
  },
  {
    commands: { peers: "list the peers of the mesh, invite and manage them" },
    read: async () => (await import("./peers.ts")).peersCommands,
  },
  {
    commands: { key: "the cluster key, which admits peers to the mesh" },
    read: async () => (await import("./key.ts")).keyCommands,
  },
  {
    commands: {
      calendars: "dates whose ticks jobs leave out (except: calendar:NAME)",
      groups: "defaults for the fields of a group's jobs; a job's own fields win",
      maintenance: "times in which jobs take no ticks",
      pools: "how many runs of the jobs that name a pool may be in progress at once",
    },
    read: async () => (await import("./settings.ts")).settingCommands,
  },
  {
    commands: { secrets: "values that jobs get and that are never shown" },
    read: async () => (await import("./secrets.ts")).secretCommands,
  },
  {
    commands: { token: "tokens for the API, each with a role" },
    read: async () => (await import("./token.ts")).tokenCommands,
  },
  {
    commands: {
      "audit [options]": "who has changed what, at any peer, and who was refused: newest first",
    },
    read: async () => (await import("./audit.ts")).auditCommand,
  },
  {
    commands: {
      "apply [options]":
        "make the table what files say: jobs, groups, pools, calendars, channels and maintenance",
      "diff [options]": "show what apply would change: exit 0 = nothing, 1 = something, more = an error",
      "export [options]": "print the whole table as YAML that apply takes; secrets are left out",
    },
    read: async () => (await import("./apply.ts")).applyCommands,
  },
  {
    commands: { import: "create jobs from those of another scheduler" },
    read: async () => (await import("./import/import.ts")).importCommands,
  },
  {
    commands: { schedule: "explain schedules" },
    read: async () => (await import("./schedule.ts")).scheduleCommands,
  },
  {
    commands: {
      "backup [options] <file>":
        "write this machine's peer into one file, even while it runs: jobs, settings, history, small outputs, scripts",
      "restore [options] <file>":
        "make the data folder of a new peer from a backup, after showing what it would catch up",
    },
    read: async () => (await import("./backup/commands.ts")).backupCommands,
  },
  {
    commands: {
      "top [options]": "show the peers, what runs now and what comes next; on a screen live, until Ctrl-C",
    },
    read: async () => (await import("./top.ts")).topCommand,
  },
  {
    commands: {
      "doctor [options]":
        "check this host, the peer, its mesh and its data folder, and say what to do; exit 1 = broken",
    },
    read: async () => (await import("./doctor/doctor.ts")).doctorCommand,
  },
  {
    commands: {
      "service [options]":
        "print a systemd unit that runs a peer on this host, files that run three in containers, or a dashboard and alert rules",
    },
    read: async () => (await import("./service/service.ts")).serviceCommand,
  },
  {
    commands: {
      "completion <shell>":
        "print a script that completes commands, flags, and the names of jobs, runs and peers",
    },
    read: async () => (await import("./completion/completion.ts")).completionCommands,
  },
  {
    commands: { "demo [options]": "run three peers on this machine, with sample jobs" },
    read: async () => (await import("./demo.ts")).demoCommand,
  },
];

/** The commands that say what other commands take. */
const aboutAll: ReadonlySet<string> = new Set(["complete", "help"]);

/** Adds those that this command line needs as they are, and all others as the help shows them. */
export async function addCommands(
  program: Command,
  argv: readonly string[],
  terminal: Terminal,
): Promise<void> {
  const word = argv.find((argument) => !argument.startsWith("-")) ?? "";
  for (const { commands, read } of files) {
    const shown = Object.entries(commands).map(([term, about]) => ({ name: nameOf(term), about }));
    if (aboutAll.has(word) || shown.some(({ name }) => name === word)) (await read())(program, terminal);
    for (const { name, about } of shown) {
      const added = program.commands.find((one) => one.name() === name);
      (added ?? program.command(name)).description(about);
    }
  }
  const terms = new Map(
    files.flatMap(({ commands }) => Object.keys(commands)).map((term) => [nameOf(term), term]),
  );
  const ofCommander = new Help();
  program.configureHelp({
    ...program.configureHelp(),
    subcommandTerm: (one) =>
      (one.parent === program ? terms.get(one.name()) : undefined) ?? ofCommander.subcommandTerm(one),
  });
}

function nameOf(term: string): string {
  const [name = term] = term.split(" ");
  return name;
}
