/**
 * An executor in its own process, for tests that need another user, environment or other limits. Arguments: the folders
 * for work and logs. Each line of its input is a command, and each line of its output a report.
 */
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import type { RunSpec } from "../../src/ports.ts";
import { openDisk } from "../../src/real/disk.ts";
import { openExecutor } from "../../src/real/executor.ts";
import type { RunId } from "../../src/schema/ids.ts";

export type ToChild =
  | { kind: "launch"; spec: RunSpec }
  | { kind: "stop"; run: RunId }
  | { kind: "read"; run: RunId }
  | { kind: "close" };

export interface FromChild {
  said: "started" | "stuck" | "ended" | "read" | "warned" | "closed";
  run?: string;
  text: string;
}

function report(said: FromChild["said"], text: string, run?: string): void {
  console.log(JSON.stringify({ said, text, run }));
}

function warn(message: string, fields?: object): void {
  report("warned", `${message} ${JSON.stringify(fields)}`);
}

async function main(): Promise<void> {
  const [work = "", logs = ""] = process.argv.slice(2);
  const log = { debug() {}, info() {}, warn, error: warn };
  const disk = await openDisk({ folder: dirname(logs), log });
  const executor = openExecutor({
    folder: { work, logs, scripts: join(dirname(logs), "scripts") },
    disk,
    log,
  });
  executor.start({
    childStarted: (run) => report("started", "", run),
    childStuck: (run, reason) => report("stuck", reason, run),
    childEnded: (run, outcome) => report("ended", JSON.stringify(outcome), run),
  });
  const lines = createInterface({ input: process.stdin });
  lines.on("line", (line) => {
    // The test that started this process wrote it.
    const order = JSON.parse(line) as ToChild;
    switch (order.kind) {
      case "launch":
        return executor.launch(order.spec);
      case "stop":
        return executor.stop(order.run);
      case "read":
        return executor.readLog(order.run, 0, 1_000_000, (piece) =>
          report("read", Buffer.from(piece?.bytes ?? []).toString(), order.run),
        );
      case "close":
        process.stdin.destroy();
        return executor.close(() => disk.close(() => report("closed", "")));
    }
  });
}

await main();
