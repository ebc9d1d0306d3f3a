/** Finds timers and the services that they start: in files, or in what `systemctl cat` prints of both. */
import { existsSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { CicadaError } from "../../errors.ts";
import { readTextFile } from "../terminal/text-file.ts";
import { serviceOf, type TimerFiles } from "./systemd.ts";

/** What `systemctl cat` prints: each file below its path, drop-ins after the unit that they change. */
export function timersInText(text: string): TimerFiles[] {
  const units = new Map<string, string>();
  let name: string | undefined;
  for (const line of text.split("\n")) {
    const [, unit] = /^# \/\S*?\/([^/\s]+\.(?:timer|service))(?:\.d\/[^/\s]+)?$/.exec(line.trim()) ?? [];
    name = unit ?? name;
    if (name !== undefined) units.set(name, `${units.get(name) ?? ""}${line}\n`);
  }
  const timers = [...units].filter(([unit]) => unit.endsWith(".timer"));
  if (timers.length === 0) {
    throw new CicadaError(
      "USAGE",
      "give the output of `systemctl cat NAME.timer NAME.service`, with its `# /path` lines",
    );
  }
  return timers.map(([unit, timer]) => {
    const serviceName = serviceOf(unit, timer);
    const isUsers = timer.split("\n").some((line) => /^# \/\S*\/systemd\/user\//.test(line));
    return {
      name: unit,
      timer,
      serviceName,
      service: units.get(serviceName) ?? units.get(templateOf(serviceName)),
      isUsers,
    };
  });
}

/** Timers by their files, with the services beside them or among the files. */
export function timersIn(files: readonly string[]): TimerFiles[] {
  const unknown = files.find((file) => !/\.(timer|service)$/.test(file));
  if (unknown !== undefined)
    throw new CicadaError("USAGE", `${unknown} is neither a .timer nor a .service of systemd`);
  const services = new Map(
    files.filter((file) => file.endsWith(".service")).map((file) => [basename(file), file]),
  );
  const timers = files.filter((file) => file.endsWith(".timer"));
  if (timers.length === 0)
    throw new CicadaError("USAGE", "give the .timer file as well: a service alone has no times");
  return timers.map((file) => {
    const timer = readTextFile(file);
    const name = basename(file);
    const serviceName = serviceOf(name, timer);
    const template = templateOf(serviceName);
    const beside = [serviceName, template]
      .map((one) => join(dirname(file), one))
      .find((one) => existsSync(one));
    const path = services.get(serviceName) ?? services.get(template) ?? beside;
    const dropIns = [`${file}.d`, ...(path === undefined ? [] : [`${path}.d`])].find((folder) =>
      existsSync(folder),
    );
    return {
      name,
      timer,
      serviceName,
      service: path === undefined ? undefined : readTextFile(path),
      isUsers: /\/systemd\/user\/[^/]+$/.test(resolve(file)),
      ...(dropIns === undefined ? {} : { dropIns }),
    };
  });
}

/** `a@b.service` → `a@.service`, where a service's text may be. */
function templateOf(serviceName: string): string {
  return serviceName.replace(/@.*\.service$/, "@.service");
}
