/** Examples below the help of each command that has some, written as this person calls the program. */
import type { Command } from "commander";
import { invocationOf } from "./program.ts";
import type { Terminal } from "./terminal/terminal.ts";

/** By the words of the command; each line is without the program's name. */
const examples: ReadonlyMap<string, readonly string[]> = new Map([
  [
    "start",
    ["start", "start --join /etc/cicada/join", "start --data ./second --http 7410 --listen 7411 --join -"],
  ],
  [
    "jobs create",
    [
      "jobs create backup --schedule '0 3 * * *' --tz Europe/Berlin --command 'pg_dump shop > /backup/shop.sql'",
      "jobs create sync --schedule '@every 5m' --timeout 4m --retry-attempts 2 -- rsync -a /srv/ nas:/srv/",
      "jobs create ping --schedule @hourly --http-url https://shop.example/health",
      "jobs create report --after-jobs backup --command ./report.sh",
      "jobs create -f jobs.yaml --update",
    ],
  ],
  ["jobs ls", ["jobs ls --failed", "jobs ls --group etl -w", "jobs ls --failed -o name"]],
  [
    "jobs edit",
    ["jobs edit backup", "jobs edit backup --schedule '30 3 * * *'", "jobs edit backup --target-peer ''"],
  ],
  ["jobs run", ["jobs run backup --wait", "jobs run report --param DAY=2026-11-20", "jobs run --group etl"]],
  ["jobs why", ["jobs why backup", "jobs why backup yesterday 03:00", "jobs why backup latest"]],
  [
    "jobs skip",
    ["jobs skip backup --next 1 --note 'disk is being replaced'", "jobs skip backup 2026-12-24T03:00"],
  ],
  [
    "jobs pause",
    ["jobs pause backup --until 2026-12-27T00:00:00Z --note holidays", "jobs pause --group etl"],
  ],
  [
    "runs ls",
    [
      "runs ls --failed --since 2h",
      "runs ls --job backup --since 'yesterday 03:00'",
      "runs ls --on cron1 -w",
    ],
  ],
  ["runs log", ["runs log backup", "runs log backup~failed", "runs log -f backup@03:00"]],
  ["runs wait", ["runs wait backup && echo done"]],
  [
    "peers invite",
    ["peers invite > join; scp join cron2:/etc/cicada/", "peers invite --cluster-key /etc/cicada/key"],
  ],
  [
    "schedule explain",
    ["schedule explain '0 3 * * mon-fri' --tz Europe/Berlin -n 5", "schedule explain '@every 90s'"],
  ],
  ["backup", ["backup /backup/cicada.backup --force"]],
  [
    "restore",
    ["restore FILE --dry-run", "restore FILE --data /var/lib/cicada", "restore FILE --data DIR --new-mesh"],
  ],
  [
    "token create",
    [
      "token create prometheus --role metrics > metrics.token",
      "token create ci --role operator --group deploy --expires 90d",
    ],
  ],
]);

/** Call it when all commands are there. */
export function addExamples(program: Command, { env }: Terminal): void {
  const called = invocationOf(env);
  const asCalled = (line: string) =>
    line === "start" || line.startsWith("start ")
      ? `${called.start}${line.slice("start".length)}`
      : `${called.program} ${line}`;
  for (const [words, lines] of examples) {
    let command: Command | undefined = program;
    for (const word of words.split(" ")) command = command?.commands.find((one) => one.name() === word);
    command?.addHelpText("after", `\nExamples:\n${lines.map((line) => `  ${asCalled(line)}`).join("\n")}`);
  }
}
