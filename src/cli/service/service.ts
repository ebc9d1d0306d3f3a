/**
 * `cicada service`: prints what a supervisor needs to run a peer, with the paths of this very program: a systemd unit, a
 * compose file, or a Kubernetes manifest. It writes nothing; each text begins with the commands that put it to use.
 */
import type { Command } from "commander";
import { CicadaError } from "../../errors.ts";
import { programFile, readVersion } from "../program.ts";
import type { Terminal } from "../terminal/terminal.ts";
import { composeFile } from "./compose.ts";
import { kubernetesManifest } from "./kubernetes.ts";
import { systemdUnit } from "./systemd.ts";

interface ServiceOptions {
  docker?: true;
  k8s?: true;
  user?: string;
  join?: string;
}

export function serviceCommand(program: Command, terminal: Terminal): void {
  program
    .command("service")
    .description("print a systemd unit that runs a peer on this host, or files that run three in containers")
    .option("--docker", "print a compose file, with its Dockerfile, for three peers")
    .option("--k8s", "print a Kubernetes manifest for three peers")
    .option(
      "--user <name>",
      "of the unit: run as this user, shut off from the host (default: as root, for jobs of any user)",
    )
    .option(
      "--join <file>",
      "of the unit: the file with the line of `cicada peers invite` (default: a mesh of its own)",
    )
    .action((options: ServiceOptions) => {
      terminal.print(textOf(options).trimEnd());
      if (options.docker !== true && options.k8s !== true && /[/\\]_npx[/\\]/.test(programFile)) {
        terminal.notify(
          `warning: ${programFile} is in npx's cache, which may be emptied: install the package first (npm install -g), ` +
            "and print the unit with the installed program",
        );
      }
    });
}

function textOf({ docker, k8s, user, join }: ServiceOptions): string {
  const containers = docker === true || k8s === true;
  if ((docker === true && k8s === true) || (containers && (user !== undefined || join !== undefined))) {
    throw new CicadaError(
      "USAGE",
      "give one of --docker and --k8s; --user and --join are for the systemd unit",
    );
  }
  if (user !== undefined && !/^[a-z_][a-z0-9_-]*\$?$/i.test(user)) {
    throw new CicadaError("USAGE", `--user ${user}: give the name of a user`);
  }
  if (join !== undefined && !/^\/[^\n:]*$/.test(join)) {
    throw new CicadaError("USAGE", `--join ${join}: give the whole path of a file, without a colon`);
  }
  const version = readVersion();
  if (docker === true) return composeFile(version);
  if (k8s === true) return kubernetesManifest(version);
  return systemdUnit({ version, node: process.execPath, program: programFile, user, join });
}
