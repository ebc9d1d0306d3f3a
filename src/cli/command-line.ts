/**
 * Reads the command line and passes it to the noun in the files beside this one. It only reads the file of the command that the
 * command line names. The others are merely listed in the help.
 */
import { Command, CommanderError } from "commander";
import { addExamples } from "./examples.ts";
import { addCommands } from "./commands.ts";
import { explain } from "./terminal/failures.ts";
import { NotAnswered, type Terminal } from "./terminal/terminal.ts";
import { asInvoked } from "./program.ts";
import { commandOf, usageOf, withHelp, withSuggestion } from "./suggestions.ts";
import { inWordsOf } from "./pointers.ts";
import { readVersion } from "./version.ts";
import { refuseBrokenVariables } from "../config/environment.ts";
import { CicadaError } from "../errors.ts";
import { errorTable } from "../errors/table.ts";

/** What shells give for Ctrl-C. */
const exitOfInterrupt = 130;

/** Runs one command line (without the program's own name) and returns its exit code. */
export async function runCommand(typed: readonly string[], terminal: Terminal): Promise<number> {
  const argv = typed.map(pastedName);
  const program = await buildProgram(argv, terminal);
  try {
    refuseBrokenText(argv);
    refuseBrokenVariables(terminal.env);
    await program.parseAsync(argv, { from: "user" });
    return terminal.exitCode;
  } catch (error) {
    if (error instanceof NotAnswered) {
      terminal.notify("\nnot answered: stopped");
      return exitOfInterrupt;
    }
    if (!(error instanceof CommanderError)) {
      return explain(terminal, inWordsOf(error, commandOf(program, argv)), usageOf(program, argv));
    }
    // commander has printed its message already. --help and --version also end here, with 0.
    return error.exitCode === 0 ? 0 : errorTable.USAGE.exit;
  }
}

const name = /^[a-z0-9][\w.:~@#-]*$/i;

/** A name or id without the zero-width spaces that a notice for Slack or Telegram puts into it. */
function pastedName(argument: string): string {
  const bare = argument.replaceAll("\u200b", "");
  return name.test(bare) ? bare : argument;
}

/**
 * Refuses arguments that are not UTF-8. Node has replaced such bytes by U+FFFD, so the command would not do what was
 * typed.
 */
function refuseBrokenText(argv: readonly string[]): void {
  const broken = argv.findIndex((argument) => argument.includes("\ufffd"));
  if (broken === -1) return;
  throw new CicadaError(
    "USAGE",
    `argument ${broken + 1} is not UTF-8 (or contains U+FFFD): write it in UTF-8, or put the job in a file and use -f FILE`,
  );
}

async function buildProgram(argv: readonly string[], terminal: Terminal): Promise<Command> {
  const program = new Command("cicada")
    .description("A cron without a server: a leaderless, peer-to-peer scheduler.")
    .version(readVersion(), "-V, --version", "print the version")
    .exitOverride()
    .showSuggestionAfterError()
    .configureOutput({
      writeOut: (text) => terminal.print(text.trimEnd()),
      writeErr: (text) => terminal.notify(text.trimEnd()),
      outputError: (text, write) =>
        write(asInvoked(withHelp(withSuggestion(text, program, argv), program, argv), terminal.env)),
      getOutHelpWidth: () => terminal.columns,
      getErrHelpWidth: () => terminal.columns,
      getOutHasColors: () => terminal.colours,
      getErrHasColors: () => terminal.colours,
    })
    .configureHelp({ showGlobalOptions: false })
    .addHelpText(
      "after",
      asInvoked(
        "\nBegin with `cicada start`. It prints the line with which another peer joins. `cicada demo` shows three peers at once.",
        terminal.env,
      ),
    );
  await addCommands(program, argv, terminal);
  addExamples(program, terminal);
  return program;
}
