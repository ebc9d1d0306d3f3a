/**
 * Runs jobs of every kind on three real peers, and kills each peer in turn with kill -9.
 *
 *   npm run bench:features [-- --minutes N --json FILE]
 *
 * The jobs themselves write down when they start and end, and a webhook on this machine takes in the notices. The bench judges the
 * ticks from the beginning until a minute before the end: whether each ran or has a decision that says why not; whether a child
 * started twice for one tick of its parent; how many runs held the one slot of the pool at once; and whether each failure was
 * notified, with one key. A kill may end a run. Its tick is then `lost`, and counts as kept only if its job retries what is lost.
 */
import { appendFileSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { once } from "node:events";
import path from "node:path";
import { setTimeout as passes } from "node:timers/promises";
import { parseArgs } from "node:util";
import { Cluster, until, type RunningPeer } from "../test/kit/cluster.ts";
import { ticksOf } from "../test/kit/cluster-judge.ts";
import { printTable, writeJson } from "./report.ts";

const second = 1_000;
const minute = 60 * second;
/** Between two kills, and how long a killed peer is away. */
const everyMs = 25 * second;
const awayMs = 8 * second;
/** Ticks that come due in this last part are not judged, because their retries, chains and notices may still be on their way. */
const quietMs = minute;

const { values: options } = parseArgs({
  options: { minutes: { type: "string", default: "10" }, json: { type: "string" } },
});
const runsForMs = Number(options.minutes) * minute;

interface Line {
  job: string;
  tick: string;
  attempt: string;
  slot: string;
  peer: string;
  what: "start" | "end";
  at: number;
}

function readLines(file: string): Line[] {
  return readFileSync(file, "utf8")
    .split("\n")
    .filter(Boolean)
    .map((text) => {
      const [job = "", tick = "", attempt = "", slot = "", peer = "", what = "", at = ""] = text.split(" ");
      return { job, tick, attempt, slot, peer, what: what === "end" ? "end" : "start", at: Number(at) };
    });
}

interface Run {
  job: string;
  tick: string;
  attempt: number;
  state: string;
  reason: string | null;
}

async function runsOf(at: RunningPeer, job: string): Promise<Run[]> {
  const all: Run[] = [];
  let cursor = "";
  do {
    // oxlint-disable-next-line no-await-in-loop -- page by page
    const page = (await at.ask("GET", `/v1/jobs/${job}/runs?limit=500${cursor}`)) as {
      items: Run[];
      nextCursor: string | null;
    };
    all.push(...page.items);
    cursor = page.nextCursor === null ? "" : `&cursor=${page.nextCursor}`;
  } while (cursor !== "");
  return all;
}

await using cluster = new Cluster();
const file = path.join(cluster.folder, "lines");
appendFileSync(file, "");
const said = (what: string) =>
  `echo "$CICADA_JOB $CICADA_TICK $CICADA_ATTEMPT \${CICADA_SLOT:-0} $CICADA_PEER_NAME ${what} $(date +%s%3N)" >> ${file}`;
const start = said("start");
const body = (command: string) => `${start}; ${command}; status=$?; ${said("end")}; exit $status`;
const keep = { runs: 10_000, age: "1d" };
const jobs = [
  { id: "plain", schedule: "@every 2s", command: body("true") },
  { id: "majority", schedule: "@every 3s", command: body("true"), partition: "majority" },
  {
    id: "retrying",
    schedule: "@every 5s",
    command: body('[ "$CICADA_ATTEMPT" -ge 2 ]'),
    retry: { attempts: 5, backoff: "1s", on: ["failed", "timeout", "lost"] },
  },
  { id: "parent", schedule: "@every 4s", command: body('echo "n=1" >> "$CICADA_OUTPUT"') },
  {
    id: "child",
    command: body('grep -q "\\"n\\"" "$CICADA_PARENTS"'),
    after: { jobs: ["parent"], on: "success" },
  },
  { id: "slot-a", schedule: "@every 3s", command: body("sleep 0.5"), pool: "one", overlap: "queue-all" },
  { id: "slot-b", schedule: "@every 3s", command: body("sleep 0.5"), pool: "one", overlap: "queue-all" },
  { id: "two", schedule: "@every 5s", command: body("true"), target: { count: 2 } },
  {
    id: "failing",
    schedule: "@every 7s",
    command: body("false"),
    notify: [{ on: ["failed"], to: ["hook"] }],
  },
];

const keysByTick = new Map<string, Set<string>>();
let messages = 0;
const listener = createServer((request, response) => {
  let text = "";
  request.setEncoding("utf8");
  request.on("data", (part: string) => (text += part));
  request.on("end", () => {
    messages += 1;
    const { data } = JSON.parse(text) as { data: { notices: { job: string; tick: string; key: string }[] } };
    for (const { job, tick, key } of data.notices) {
      const name = `${job} ${tick}`;
      keysByTick.set(name, (keysByTick.get(name) ?? new Set()).add(key));
    }
    response.end();
  });
}).listen(0, "127.0.0.1");
await once(listener, "listening");
const address = listener.address();
const hook = `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}/`;

const peers = await cluster.mesh(["ada", "bob", "cyd"]);
const [ada] = peers;
if (ada === undefined) throw new Error("there is no peer");
for (const name of ["bob", "cyd"]) await ada.ask("POST", `/v1/peers/${name}/promote`);
await ada.ask("PUT", "/v1/pools/one", { slots: 1 });
await ada.ask("PUT", "/v1/channels/hook", { type: "webhook", url: hook });
for (const job of jobs) await ada.ask("POST", "/v1/jobs", { ...job, keep });
const from = Date.now() + 5 * second;
const endsAt = from + runsForMs;
let kills = 0;
while (Date.now() < endsAt - quietMs - awayMs) {
  const victim = peers[kills++ % peers.length];
  await passes(everyMs - awayMs);
  await victim?.crash();
  await passes(awayMs);
  await victim?.restart();
}
const to = Date.now() - 5 * second;
await until("the peers are all ready", minute, async () => {
  const all = await Promise.all(peers.map((peer) => peer.call("GET", "/readyz")));
  return all.every(({ status }) => status === 200);
});
await passes(quietMs);

const lines = readLines(file);
const parent = await runsOf(ada, "parent");
const rows: (string | number)[][] = [];
const broken: string[] = [];
const breach = (what: string): void => void broken.push(what);
for (const { id, schedule } of jobs as readonly { id: string; schedule?: string }[]) {
  const runs = await runsOf(ada, id);
  const wanted =
    schedule === undefined
      ? parent.filter(({ state }) => state === "succeeded").map(({ tick }) => tick)
      : ticksOf(Number(/\d+/.exec(schedule)?.[0]) * second, from, to);
  const inTime = wanted.filter((tick) => Date.parse(tick) >= from && Date.parse(tick) <= to);
  const starts = lines.filter(({ job, what }) => job === id && what === "start");
  const counts = { ran: 0, lost: 0, decided: 0, silent: 0, twice: 0 };
  for (const tick of inTime) {
    const own = starts.filter((line) => line.tick === tick);
    const orders = own.map(({ attempt, slot }) => `${attempt} ${slot}`);
    const isDoubled = new Set(orders).size < orders.length;
    if (isDoubled) counts.twice += 1;
    // A tick of a plain job may start twice if its peer is killed just then. A tick of these jobs may not.
    if (isDoubled && (id === "child" || id === "majority")) breach(`${id}@${tick} started twice`);
    const records = runs.filter((run) => run.tick === tick);
    if (records.some(({ state }) => state === "succeeded" || state === "failed")) counts.ran += 1;
    else if (own.length > 0) counts.lost += 1;
    else if (records.some(({ state }) => state === "skipped" || state === "missed")) counts.decided += 1;
    else {
      counts.silent += 1;
      breach(`${id}@${tick} neither ran nor has a decision`);
    }
    if (id === "retrying" && !records.some(({ state }) => state === "succeeded"))
      breach(`${id}@${tick} was not repeated until it succeeded`);
  }
  rows.push([id, inTime.length, counts.ran, counts.lost, counts.decided, counts.silent, counts.twice]);
}

/** How many runs of the pool were in progress at once, at most, by what they wrote. A killed run ends with its peer. */
const pool = lines
  .filter(({ job }) => job.startsWith("slot-"))
  .map((line) => ({ ...line, run: `${line.job} ${line.tick} ${line.attempt} ${line.peer}` }));
const ends = new Set(pool.filter(({ what }) => what === "end").map(({ run }) => run));
let together = 0;
let most = 0;
for (const { what, run } of pool.filter(({ run: one }) => ends.has(one)).toSorted((a, b) => a.at - b.at)) {
  together += what === "start" ? 1 : -1;
  most = Math.max(most, together);
  if (together > 1) breach(`${run} began while another run held the pool's only slot`);
}

const failed = (await runsOf(ada, "failing")).filter(
  ({ state, tick }) => state === "failed" && Date.parse(tick) >= from && Date.parse(tick) <= to,
);
let unnotified = 0;
let twoKeys = 0;
for (const { job, tick } of failed) {
  const keys = keysByTick.get(`${job} ${tick}`);
  if (keys === undefined) {
    unnotified += 1;
    breach(`the failure of ${job}@${tick} was not told`);
  } else if (keys.size > 1) {
    twoKeys += 1;
    breach(`the failure of ${job}@${tick} was told with ${keys.size} keys`);
  }
}
console.log(`three peers, ${options.minutes} minutes, ${kills} kills`);
printTable(["job", "ticks", "ran", "lost", "decided", "silent", "twice"], rows);
console.log(
  `${failed.length} failures, ${unnotified} not told, ${twoKeys} with two keys, ${messages} messages; ` +
    `at most ${most} at once in the pool of one slot`,
);
for (const one of broken.slice(0, 20)) console.log(`broken: ${one}`);
if (options.json !== undefined) writeJson(options.json, { rows, broken, messages, kills });
listener.close();
listener.closeAllConnections();
process.exitCode = broken.length === 0 ? 0 : 1;
