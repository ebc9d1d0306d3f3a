/**
 * Handles a peer that is process 1, as in a container without an init. The kernel makes process 1 the parent of every
 * process whose own parent has ended. Unless process 1 reaps them, they stay in the process table for good. Node only
 * reaps the processes that it has started itself; a waiting shell reaps them all. So the peer becomes a child: a shell
 * replaces this process, starts the same command line again, passes signals on to it, and exits with its exit code.
 */
import { existsSync } from "node:fs";
import { quoted } from "../program.ts";

const shell = "/bin/sh";

/**
 * The command line is passed in a variable, because every user could read a join string in the arguments. Descriptor 3
 * keeps standard input, which a shell takes away from its background processes. `wait` also ends when a signal arrives.
 */
const script = `
command=$CICADA_COMMAND; unset CICADA_COMMAND
exec 3<&0
eval "$command <&3 3<&- &"
peer=$!
for signal in TERM INT HUP; do trap "kill -$signal $peer 2>/dev/null" $signal; done
wait $peer; code=$?
while kill -0 $peer 2>/dev/null; do wait $peer; code=$?; done
exit $code
`;

/** Doesn't return if this process is process 1, unless the host offers no way to replace it. */
export function becomeChildOfInit(): void {
  if (process.pid !== 1 || process.execve === undefined || !existsSync(shell)) return;
  const words = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  process.execve(shell, [shell, "-c", script], {
    ...process.env,
    CICADA_COMMAND: words.map(quoted).join(" "),
  });
}
