/**
 * `cicada service`: prints what other programs need to run a peer or to watch it: a systemd unit with the paths of this
 * very program, a compose file, a Kubernetes manifest, a Grafana dashboard, or alert rules. It writes nothing; each text that
 * can have comments begins with the commands that put it to use.
 */
import type { Command } from "commander";
import { CicadaError } from "../../errors.ts";
import { programFile } from "../program.ts";
import { readVersion } from "../version.ts";
import type { Terminal } from "../terminal/terminal.ts";
import { alertRules } from "./alerts.ts";
import { composeFile } from "./compose.ts";
import { grafanaDashboard } from "./grafana.ts";
import { kubernetesManifest } from "./kubernetes.ts";
import { systemdUnit } from "./systemd.ts";

const kinds = ["docker", "k8s", "grafana", "alerts"] as const;

interface ServiceOptions extends Partial<Record<(typeof kinds)[number], true>> {
  user?: string;
  join?: string;
}

export function serviceCommand(program: Command, terminal: Terminal): void {
  program
    .command("service")
    .option("--docker", "print a compose file, with its Dockerfile, for three peers")
    .option("--k8s", "print a Kubernetes manifest for three peers")
    .option("--grafana", "print a Grafana dashboard of the peers' metrics")
    .option("--alerts", "print alert rules for Prometheus")
    .option(
      "--user <name>",
      "for the unit: run as this user, cut off from most of the host (default: as root, for jobs of any user)",
    )
    .option(
      "--join <file>",
      "for the unit: the file with the line of `cicada peers invite` (default: a mesh of its own)",
    )
    .action((options: ServiceOptions) => {
      terminal.print(textOf(options).trimEnd());
      if (kindsIn(options).length === 0 && /[/\\]_npx[/\\]/.test(programFile)) {
        terminal.notify(
          `warning: ${programFile} is in npx's cache, which may be emptied: install the package first (npm install -g), ` +
            "and print the unit with the installed program",
        );
      }
    });
}

function kindsIn(options: ServiceOptions): (typeof kinds)[number][] {
  return kinds.filter((kind) => options[kind] === true);
}

function textOf(options: ServiceOptions): string {
  const { user, join } = options;
  const [kind, ...others] = kindsIn(options);
  if (others.length > 0 || (kind !== undefined && (user !== undefined || join !== undefined))) {
    throw new CicadaError(
      "USAGE",
      "give one of --docker, --k8s, --grafana and --alerts; --user and --join are for the systemd unit",
    );
  }
  if (user !== undefined && !/^[a-z_][a-z0-9_-]*\$?$/i.test(user)) {
    throw new CicadaError("USAGE", `--user ${user}: give the name of a user`);
  }
  if (join !== undefined && !/^\/[^\n:]*$/.test(join)) {
    throw new CicadaError("USAGE", `--join ${join}: give the absolute path of a file, without a colon`);
  }
  const version = readVersion();
  if (kind === undefined) {
    return systemdUnit({ version, node: process.execPath, program: programFile, user, join });
  }
  switch (kind) {
    case "docker":
      return composeFile(version);
    case "k8s":
      return kubernetesManifest(version);
    case "grafana":
      return grafanaDashboard(version);
    case "alerts":
      return alertRules(version);
  }
}
