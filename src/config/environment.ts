/**
 * What every command reads from the environment, even one that needs no other setting: whether its variables are text, and which
 * data folder a peer has by default.
 */
import { userInfo } from "node:os";
import { join } from "node:path";
import { CicadaError } from "../errors.ts";
import { settings } from "./settings.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Refuses variables of cicada that are not UTF-8. Node has replaced such bytes by U+FFFD, so the peer would have another name or
 * folder than the one that was given.
 */
export function refuseBrokenVariables(env: Environment): void {
  const read = [
    "CICADA_CONFIG",
    "CICADA_PEER_URL",
    "CICADA_TOKEN",
    ...settings.map(({ variable }) => variable),
  ];
  const broken = read.find((name) => isBroken(env[name]));
  if (broken !== undefined) throw notUtf8(broken);
}

function isBroken(value: string | undefined): boolean {
  return value?.includes("\ufffd") === true;
}

function notUtf8(variable: string): CicadaError {
  return new CicadaError("BAD_SETTING", `${variable} in the environment is not UTF-8 (or contains U+FFFD)`);
}

/** `$STATE_DIRECTORY` (systemd), else `$XDG_STATE_HOME/cicada`, else `~/.local/state/cicada`. Throws BAD_SETTING. */
export function defaultDataFolder(env: Environment): string {
  const source = ["STATE_DIRECTORY", "XDG_STATE_HOME", "HOME"].find((name) => (env[name] ?? "") !== "");
  if (source !== undefined && isBroken(env[source])) throw notUtf8(source);
  const fromSystemd = env["STATE_DIRECTORY"]?.split(":")[0];
  if (fromSystemd !== undefined && fromSystemd !== "") return fromSystemd;
  if (env["XDG_STATE_HOME"]) return join(env["XDG_STATE_HOME"], "cicada");
  return join(env["HOME"] || homeOfUser(), ".local", "state", "cicada");
}

/**
 * The home folder of this process's user, from /etc/passwd. A service may have no HOME, and keys must not end up in
 * `/`.
 */
function homeOfUser(): string {
  try {
    const { homedir: home } = userInfo();
    if (home !== "" && home !== "/") return home;
  } catch {
    // This user has no entry in /etc/passwd.
  }
  throw new CicadaError("BAD_SETTING", "this user has no home folder: give --data DIR");
}
