/**
 * What a job sees of its peer's environment (INTERFACE, Run): PATH, HOME, USER, LOGNAME (which cron sets, and
 * POSIX asks for), SHELL, LANG, TZ and TMPDIR of the person who started the peer, and nothing about how it was started.
 */
import { homedir, tmpdir, userInfo } from "node:os";

type Environment = Readonly<Record<string, string | undefined>>;

const plainPath = "/usr/local/bin:/usr/bin:/bin";

/** `owner` supplies what `env` lacks. A user without an entry in /etc/passwd has nothing to supply. */
export function hostEnvironment(
  env: Environment,
  owner: () => Owner = ownerOfProcess,
): Record<string, string> {
  const { name, home, shell } = owner();
  const known = {
    PATH: pathOf(env),
    HOME: env["HOME"] ?? home ?? "/",
    USER: name ?? env["USER"],
    LOGNAME: name ?? env["USER"],
    SHELL: env["SHELL"] ?? shell ?? "/bin/sh",
    LANG: env["LANG"],
    TZ: env["TZ"],
    TMPDIR: tmpdir(),
  };
  return Object.fromEntries(
    Object.entries(known).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

interface Owner {
  name?: string | undefined;
  home?: string | undefined;
  shell?: string | undefined;
}

/** The user that this process runs as, as far as the system knows it. */
export function ownerOfProcess(): Owner {
  try {
    const { username, shell } = userInfo();
    return { name: username, home: homedir(), shell: shell ?? undefined };
  } catch {
    return {};
  }
}

/**
 * The PATH without the folders that npm puts first under `npm start`, where jobs would find their programs, up to
 * /node_modules/.bin.
 */
function pathOf(env: Environment): string {
  const path = env["PATH"] ?? plainPath;
  if (env["npm_execpath"] === undefined) return path;
  const own = path
    .split(":")
    .filter((folder) => !/(^|\/)(node_modules\/\.bin|node-gyp-bin)\/?$/.test(folder));
  return own.length === 0 ? plainPath : own.join(":");
}
