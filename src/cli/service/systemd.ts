/**
 * The systemd unit of a peer. Jobs are the peer's children, so whatever the unit forbids is forbidden to them, too: by default it
 * forbids only what jobs seldom need under cron, and each line says what is affected. If the peer has a user of its own, it is
 * shut off from the host, and so are its jobs.
 */

export interface UnitOptions {
  version: string;
  /** absolute paths */
  node: string;
  program: string;
  /** undefined = root */
  user: string | undefined;
  /** the file with the join string */
  join: string | undefined;
}

const rootLines = `
# As root, so that jobs may name a user. Jobs inherit what is forbidden here. None of it keeps a job from running as its
# user: that is done by root with setpriv, which gains no privilege.
# No job gains privileges by starting a program. Remove this line if yours need sudo, su, ping, crontab, or mail through
# a program such as postfix's postdrop.
NoNewPrivileges=yes
# Remove it if a job loads kernel modules, or reboots other than by systemctl.
CapabilityBoundingSet=~CAP_SYS_MODULE CAP_SYS_BOOT CAP_MAC_ADMIN CAP_MAC_OVERRIDE
# Remove it if a job sets the host's name.
ProtectHostname=yes
RestrictRealtime=yes
LockPersonality=yes
SystemCallArchitectures=native
# Not here on purpose: ProtectSystem, ProtectHome, PrivateTmp, PrivateDevices, ProtectKernel… and ProtectClock. They show
# jobs another file system than cron does, hide what jobs mount, or keep them from devices. Add those that your jobs can live with.`;

const userLines = (user: string) => `
# As a user of its own: jobs run as that user only (a job that names another one is blocked here), see most of the host
# read-only, and write to /var/lib/cicada. To let them write elsewhere, add ReadWritePaths=.
User=${user}
ProtectSystem=strict
ProtectHome=read-only
PrivateTmp=yes
PrivateDevices=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
NoNewPrivileges=yes
CapabilityBoundingSet=
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
RemoveIPC=yes
# Not MemoryDenyWriteExecute: Node compiles its programs to memory.`;

export function systemdUnit({ version, node, program, user, join }: UnitOptions): string {
  const words = [node, program, "start"];
  const credential = join !== undefined && user !== undefined;
  if (join !== undefined) words.push("--join", credential ? "${CREDENTIALS_DIRECTORY}/join" : join);
  const quoted = words.map((word) => (word.startsWith("${") ? word : quotedForUnit(word)));
  return `# /etc/systemd/system/cicada.service, printed by cicada ${version}:
#   cicada service | sudo tee /etc/systemd/system/cicada.service
#   sudo systemctl daemon-reload && sudo systemctl enable --now cicada
# The data is in /var/lib/cicada, so other commands need --data /var/lib/cicada (or CICADA_DATA), and root.

[Unit]
Description=cicada, a cron without a server
Documentation=http://127.0.0.1:7400/docs
Wants=network-online.target
After=network-online.target time-sync.target
# A peer that can't start, because of a full disk for example, is started again for ever.
StartLimitIntervalSec=0

[Service]
# The peer says when it is ready, when it stops, and every 30 s that it is alive. If it hangs, it is restarted.
Type=notify
${
  user === undefined
    ? "# Jobs can't speak in the peer's name. The peer's helper can: root may send a message as its parent process."
    : "# The peer speaks through a helper process. Its jobs could do the same, but they run as its own user and could just as well end it."
}
NotifyAccess=${user === undefined ? "main" : "all"}
WatchdogSec=60
TimeoutStartSec=5min
ExecStart=${quoted.join(" ")}
${credential ? `LoadCredential=join:${join.replaceAll("%", "%%")}\n` : ""}Restart=always
RestartSec=2

# SIGTERM goes to the peer alone, which gives its runs 30 s (--drain) to end. With systemd's default, every job would get
# it at once. What is left at the end is killed.
KillMode=mixed
TimeoutStopSec=60
# When a job is killed because memory is short, the peer and its other runs stay.
OOMPolicy=continue

StateDirectory=cicada
StateDirectoryMode=0700
CacheDirectory=cicada
CacheDirectoryMode=0700
Environment=XDG_CACHE_HOME=%C
${user === undefined ? rootLines : userLines(user)}

[Install]
WantedBy=multi-user.target
`;
}

/** A word of ExecStart, in which systemd would replace % and $. */
function quotedForUnit(word: string): string {
  const escaped = word.replaceAll("%", "%%").replaceAll("$", "$$$$");
  if (/^[\w@%+=:,./$-]+$/.test(escaped)) return escaped;
  return `"${escaped.replaceAll("\\", "\\\\").replaceAll('"', String.raw`\"`)}"`;
}
