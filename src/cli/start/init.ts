/**
 * A peer that is process 1, as in a container without an init. The kernel hands every process whose parent has ended to
 * process 1, and what process 1 doesn't collect stays in the process table for good. Node collects only the processes that
 * it has started itself; a shell that waits collects them all. So the peer becomes a child: a shell takes the place of this
 * process, starts the same command line again, passes signals on to it, and ends with its exit code.
 */
import { existsSync } from "node:fs";
import { quoted } from "../program.ts";

const shell = "/bin/sh";

/**
 * The command line comes in a variable, because arguments show a join string to every user. Descriptor 3 keeps standard
 * input, which a shell takes away from what it starts in the background. `wait` also ends when a signal comes.
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

/** Doesn't return when this process is process 1, unless the host offers no way to replace it. */
export function becomeChildOfInit(): void {
  if (process.pid !== 1 || process.execve === undefined || !existsSync(shell)) return;
  const words = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  process.execve(shell, [shell, "-c", script], {
    ...process.env,
    CICADA_COMMAND: words.map(quoted).join(" "),
  });
}
