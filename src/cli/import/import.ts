/** `cicada import`: creates jobs from those of another scheduler; importing.ts has what all imports share. */
import type { Command } from "commander";
import { hostname } from "node:os";
import { resolve } from "node:path";
import { CicadaError } from "../../errors.ts";
import { plain, type Terminal } from "../terminal/terminal.ts";
import { readTextFile } from "../terminal/text-file.ts";
import { parseCrontab, type CrontabReading } from "./crontab.ts";
import { hostZone } from "./host-zone.ts";
import { foreignImports } from "./foreign-imports.ts";
import { importJobs, withImportFlags, type ImportOptions } from "./importing.ts";
import { formOf, homesOfHost, ownerOf } from "./owner.ts";

interface CrontabImportOptions extends ImportOptions {
  system?: true;
}

export function importCommands(program: Command, terminal: Terminal): void {
  const imports = program.command("import");
  withImportFlags(imports.command("crontab"))
    .description("create a job from each line of a crontab; the job behaves as the line does under cron")
    .argument("<file>", "a crontab; - reads standard input, such as the output of `crontab -l`")
    .option("--system", "the lines have a user field, as in /etc/crontab and /etc/cron.d")
    .action((file: string, options: CrontabImportOptions) => importCrontab(file, options, terminal));
  foreignImports(imports, terminal);
}

async function importCrontab(file: string, options: CrontabImportOptions, terminal: Terminal): Promise<void> {
  const system = options.system === true;
  refuseOtherForm(file, system);
  const text = readTextFile(file);
  const zone = hostZone(options.tz, terminal.now());
  const owner = system ? { user: options.user ?? "root", home: "/root" } : ownerOf(file, options.user);
  if (system && options.user !== undefined) {
    throw new CicadaError(
      "USAGE",
      "--user is for a user's own crontab: with --system each line names its user",
    );
  }
  const host = hostname();
  const path = file === "-" ? "standard input" : resolve(file);
  await importJobs(options, terminal, {
    place: "LINE",
    users: system,
    source: {
      labels: { "imported-from": "crontab", host, ...(system ? { file: path.slice(0, 256) } : {}) },
      ...(system ? {} : { user: owner.user }),
      prefix: options.prefix,
    },
    what: file === "-" ? "The crontab" : `The crontab ${plain(file)}`,
    other: { active: "cron keeps running it", turnOff: "Disable its lines" },
    missing: system
      ? `No line of ${plain(path)} stands any more for:`
      : `No line of ${plain(owner.user)} on ${plain(host)} stands any more for:`,
    read: (pinTo) => {
      const reading = parseCrontab(text, {
        system,
        prefix: options.prefix,
        zone,
        user: owner.user,
        ...(owner.home === undefined ? {} : { home: owner.home }),
        host,
        homes: homesOfHost(),
        ...(pinTo === undefined ? {} : { pinTo }),
        ...(system ? { file: path } : {}),
      });
      refuseSystemForm(reading, options);
      return {
        ...reading,
        jobs: reading.jobs.map(({ line, spec }) => ({ at: String(line), spec })),
        refused: reading.refused.map(({ line, text: content, reason }) => ({
          at: `line ${line}`,
          text: content,
          reasons: [reason],
        })),
      };
    },
  });
}

function refuseOtherForm(file: string, system: boolean): void {
  const form = formOf(file);
  if (form === "system" && !system) {
    throw new CicadaError(
      "USAGE",
      `each line of ${file} has a user field: use --system; nothing was created`,
    );
  }
  if (form === "user" && system) {
    throw new CicadaError("USAGE", `${file} is a user's own crontab: import it without --system`);
  }
}

/**
 * Refuses a file in which every line begins with a user's name: without --system, cicada would run that name as a
 * command.
 */
function refuseSystemForm(
  { jobs, userLike }: CrontabReading,
  { system, dryRun }: CrontabImportOptions,
): void {
  if (system === true || dryRun === true || jobs.length === 0 || userLike < jobs.length) return;
  throw new CicadaError(
    "USAGE",
    "every line begins with the name of a user: use --system; nothing was created",
  );
}
