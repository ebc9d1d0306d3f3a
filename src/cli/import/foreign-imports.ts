/** `cicada import systemd | k8s | dkron | cronicle`: files in, jobs out, with what can't be said exactly refused or disabled. */
import type { Command } from "commander";
import { hostname } from "node:os";
import { resolve } from "node:path";
import { zoneProblem } from "../../core/time/zone.ts";
import { CicadaError } from "../../errors.ts";
import { readTextFile } from "../terminal/text-file.ts";
import { plain, type Terminal } from "../terminal/terminal.ts";
import { parseCronicle } from "./cronicle.ts";
import { parseDkron } from "./dkron.ts";
import type { ForeignOptions } from "./drafts.ts";
import { hostZone } from "./host-zone.ts";
import { importJobs, withImportFlags, type Import, type ImportOptions } from "./importing.ts";
import { parseCronJobs } from "./kubernetes.ts";
import type { Reading } from "./reading.ts";
import { timersIn, timersInText } from "./systemd-files.ts";
import { parseTimers } from "./systemd.ts";

export function foreignImports(imports: Command, terminal: Terminal): void {
  withImportFlags(imports.command("systemd"))
    .description("create a job from each timer of systemd and the service that it starts")
    .argument(
      "<files...>",
      "the .timer files; a .service is looked for beside its timer, or is given as well; - reads what `systemctl cat` prints",
    )
    .action((files: string[], options: ImportOptions) => importTimers(files, options, terminal));

  const others = [
    ["k8s", "CronJob manifests of Kubernetes, in YAML or JSON", "Kubernetes", parseCronJobs],
    ["dkron", "jobs of dkron, as GET /v1/jobs answers", "dkron", parseDkron],
    [
      "cronicle",
      "events of Cronicle: `control.sh export`, or the answer of get_schedule",
      "Cronicle",
      parseCronicle,
    ],
  ] as const;
  for (const [name, what, whose, parse] of others) {
    const command = imports.command(name);
    if (name === "k8s") command.alias("kubernetes");
    withImportFlags(command)
      .description(`create jobs from ${what}`)
      .argument("<file>", `${what}; - reads standard input`)
      .action((file: string, options: ImportOptions) =>
        importFile({ file, name, whose, parse }, options, terminal),
      );
  }
}

type Parse = (text: string, source: string, options: ForeignOptions & { zoneIsNamed: boolean }) => Reading;

async function importFile(
  { file, name, whose, parse }: { file: string; name: string; whose: string; parse: Parse },
  options: ImportOptions,
  terminal: Terminal,
): Promise<void> {
  const text = readTextFile(file);
  const source = file === "-" ? "standard input" : resolve(file);
  // The cluster's zone is not this host's.
  const zone = name === "k8s" ? namedZone(options.tz) : hostZone(options.tz, terminal.now());
  await importJobs(options, terminal, {
    ...commonOf(name, options, [source.slice(0, 256)]),
    what: `What ${plain(source)} holds`,
    other: { active: `${whose} keeps running it`, turnOff: "Disable it there" },
    missing: `Nothing in ${plain(source)} stands any more for:`,
    read: (pinTo) =>
      parse(text, source, { ...optionsFor(options, zone, pinTo), zoneIsNamed: options.tz !== undefined }),
  });
}

function namedZone(zone = "UTC"): string {
  const problem = zoneProblem(zone);
  if (problem !== undefined) throw new CicadaError("USAGE", `--tz: ${problem}`);
  return zone;
}

function commonOf(
  name: string,
  options: ImportOptions,
  files: readonly string[],
): Pick<Import, "place" | "users" | "source"> {
  return {
    place: "FROM",
    users: true,
    source: { labels: { "imported-from": name }, files, prefix: options.prefix },
  };
}

function optionsFor(options: ImportOptions, zone: string, pinTo: string | undefined): ForeignOptions {
  return {
    prefix: options.prefix,
    host: hostname(),
    ...(options.user === undefined ? {} : { user: options.user }),
    zone,
    ...(pinTo === undefined ? {} : { pinTo }),
  };
}

// ---------------------------------------------------------------------------------------------------------
// Timers

async function importTimers(
  files: readonly string[],
  options: ImportOptions,
  terminal: Terminal,
): Promise<void> {
  const timers = isOnly(files, "-") ? timersInText(readTextFile("-")) : timersIn(files);
  const zone = hostZone(options.tz, terminal.now());
  const names = timers.map(({ name }) => name);
  const common = commonOf("systemd", options, names);
  await importJobs(options, terminal, {
    ...common,
    source: { ...common.source, labels: { ...common.source.labels, host: hostname() } },
    what: names.length === 1 ? `The timer ${plain(names[0] ?? "")}` : `Each of these ${names.length} timers`,
    other: { active: "systemd keeps running it", turnOff: "Disable it (systemctl disable --now TIMER)" },
    missing: "No timer stands any more for:",
    read: (pinTo) => {
      const reading = parseTimers(timers, optionsFor(options, zone, pinTo));
      for (const { name, dropIns } of timers) {
        if (dropIns === undefined) continue;
        reading.doubts.push(
          `${name}: ${dropIns} is not read: \`systemctl cat\` would include it (import systemd -)`,
        );
      }
      return reading;
    },
  });
}

function isOnly(files: readonly string[], name: string): boolean {
  return files.length === 1 && files[0] === name;
}
