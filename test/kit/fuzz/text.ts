/**
 * The doors for people's text (schedules, jobs, crontabs, settings, join strings, addresses, job files) and for the
 * mesh's small formats (frames, greetings). Every input must be accepted or refused with a reason.
 */
import { ownProtocol } from "../../../src/schema/protocol.ts";
import { parseCrontab } from "../../../src/cli/import/crontab.ts";
import { parseJobs } from "../../../src/cli/terminal/job-text.ts";
import { readConfig } from "../../../src/config.ts";
import { settings } from "../../../src/config/settings.ts";
import { founderIn, formatClusterKey, parseClusterKey } from "../../../src/identity/cluster-key.ts";
import { actionOf } from "../../../src/core/checks/action.ts";
import { checkJob } from "../../../src/core/checks/job.ts";
import { decodeJoin, encodeJoin } from "../../../src/identity/join.ts";
import { nextTickOf, planJob, ticksOf } from "../../../src/core/job/plan.ts";
import { previewSchedule } from "../../../src/core/time/preview.ts";
import { formatDuration, formatSize, parseDuration, parseSize } from "../../../src/core/time/units.ts";
import { CicadaError } from "../../../src/errors.ts";
import { parseAddress, splitAddress } from "../../../src/real/mesh/addresses.ts";
import { AddressBook } from "../../../src/real/mesh/book.ts";
import { FrameReader, toFrame } from "../../../src/real/mesh/frames.ts";
import { decodeGreeting, encodeGreeting, peersCap, type Greeting } from "../../../src/real/mesh/greeting.ts";
import { JobSpecSchema, type CheckedSpec } from "../../../src/schema/job.ts";
import { parseRunReference, type PeerId } from "../../../src/schema/ids.ts";
import { messageCapBytes } from "../../../src/schema/message.ts";
import { Dice } from "../../../src/sim/random.ts";
import { Fault, type Door, type OpenDoor } from "./door.ts";
import {
  anyJson,
  concat,
  edgeNumber,
  edgeText,
  mutateBytes,
  mutateJson,
  mutateText,
  valueOf,
} from "./garbage.ts";

const now = Date.UTC(2026, 10, 20);

/** A door without state that takes a text, or something that is shown as text. */
function textDoor(
  name: string,
  share: number,
  draw: (dice: Dice) => unknown,
  take: (drawn: never) => void,
): Door {
  return {
    name,
    share,
    round: 5_000,
    open: (seed): OpenDoor => {
      const dice = new Dice(`${name} ${seed}`);
      let last: unknown;
      return {
        one() {
          last = draw(dice);
          take(last as never);
        },
        last: () => (typeof last === "string" ? last : (JSON.stringify(last) ?? String(last))),
      };
    },
  };
}

/** Accepts the refusals that a function may end with; anything else counts as a crash. */
function orRefused(take: () => void): void {
  try {
    take();
  } catch (error) {
    if (!(error instanceof CicadaError)) throw error;
  }
}

export function textDoors(): Door[] {
  return [
    textDoor("schedule", 12, drawSchedule, takeSchedule),
    textDoor("job", 12, drawJob, takeJob),
    textDoor(
      "job file",
      3,
      (dice) => mutated(dice, jobFiles).slice(0, 2_000),
      (text: string) => orRefused(() => void parseJobs(text, "x")),
    ),
    textDoor("crontab", 6, (dice) => mutated(dice, crontabs), takeCrontab),
    textDoor("settings", 4, drawSettings, takeSettings),
    textDoor("join and key", 6, (dice) => mutated(dice, keyTexts), takeKeyText),
    textDoor("address", 4, (dice) => mutated(dice, addresses), takeAddress),
    textDoor("units", 3, drawUnit, takeUnit),
    textDoor("greeting", 6, drawGreeting, takeGreeting),
    framesDoor(),
  ];
}

function mutated(dice: Dice, texts: readonly string[]): string {
  let text = dice.pick(texts);
  for (let left = dice.below(4); left > 0; left--) text = mutateText(text, dice);
  return text;
}

// --------------------------------------------------------------------------------------------- schedules

const expressions = [
  "* * * * *",
  "*/5 0-23/2 1,15 * MON-FRI",
  "30 2 29 2 *",
  "0 0 31 12 *",
  "0 0 L * *",
  "0 0 15W * *",
  "0 0 LW * ?",
  "0 12 ? * 5#3",
  "0 12 ? * 5L",
  "H H(0-7) * * *",
  "H/7 * * * * *",
  "59 59 23 31 12 6",
  "@daily",
  "@every 90s",
  "@every 1h30m",
  "rate(5 minutes)",
  "@at 2026-12-24T18:00:00Z",
  "@at 9999-12-31T23:59:59Z",
] as const;
const zones = [
  "UTC",
  "Europe/Berlin",
  "America/New_York",
  "Asia/Gaza",
  "Africa/Casablanca",
  "Lord_Howe",
  "eUROPE/rOME",
  "Etc/GMT+12",
];
const pieces = [
  "*",
  "/",
  "-",
  ",",
  "L",
  "W",
  "#",
  "?",
  "H",
  "(",
  ")",
  "0",
  "7",
  "59",
  "31",
  "FRI",
  "JAN",
  " ",
  "@",
  "1e9",
  "99999999999",
];

function expression(dice: Dice): string {
  if (dice.chance(0.3)) {
    return Array.from({ length: 1 + dice.below(12) }, () => dice.pick(pieces)).join(
      dice.chance(0.5) ? " " : "",
    );
  }
  return mutated(dice, expressions).slice(0, 300);
}

interface ScheduleInput {
  schedule: string | string[];
  timezone: string;
  from: number;
  except: string[];
}

function drawSchedule(dice: Dice): ScheduleInput {
  return {
    schedule: dice.chance(0.8)
      ? expression(dice)
      : Array.from({ length: dice.below(33) }, () => expression(dice)),
    timezone: dice.chance(0.8) ? dice.pick(zones) : mutated(dice, zones).slice(0, 100),
    from: dice.chance(0.6) ? now + dice.below(400) * 86_400_000 : edgeNumber(dice),
    except: dice.chance(0.7) ? [] : Array.from({ length: dice.below(5) }, () => exclusion(dice)),
  };
}

const days = ["2026-12-24", "2026-12-24/2027-01-02", "1970-01-01/9999-12-31", "0000-01-01", "calendar:x"];
function exclusion(dice: Dice): string {
  if (dice.chance(0.5)) return expression(dice);
  return dice.chance(0.5) ? dice.pick(days) : mutated(dice, days).slice(0, 100);
}

function takeSchedule({ schedule, timezone, from, except }: ScheduleInput): void {
  const preview = previewSchedule({ schedule, timezone, except, id: "fuzz", from, count: 20 });
  if (!preview.ok) {
    if (preview.problems.length === 0) throw new Fault("refused without a reason");
    return;
  }
  let last = -Infinity;
  if (preview.skipped.length > 20) throw new Fault("more ticks are shown as left out than were asked for");
  for (const { tick } of preview.ticks) {
    if (!(tick > last && tick > from) || tick % 1_000 !== 0) throw new Fault(`tick ${tick} after ${last}`);
    last = tick;
  }
}

// -------------------------------------------------------------------------------------------------- jobs

const goodJob = { id: "fuzz", command: "true", schedule: "@every 30s", timezone: "UTC" };
/** Values of many fields are often long, and the check must refuse them quickly. */
function drawJob(dice: Dice): unknown {
  const chance = dice.next();
  if (chance < 0.1) return anyJson(dice, 5);
  const spec = valueOf(JobSpecSchema, dice, (name) => (name === "schedule" ? expression(dice) : undefined));
  const job =
    chance < 0.5 ? { ...goodJob, ...only(spec, dice) } : { ...(spec as object), id: "fuzz", command: "true" };
  return dice.chance(0.4) ? mutateJson(job, dice) : job;
}

function only(spec: unknown, dice: Dice): object {
  const fields = Object.entries(spec as object).filter(([name]) => !(name in goodJob) && dice.chance(0.3));
  return Object.fromEntries(fields.filter(([name]) => name !== "argv" && name !== "executor"));
}

function takeJob(input: unknown): void {
  const checked = checkJob(input);
  if (!checked.ok) {
    if (checked.problems.length === 0) throw new Fault("refused without a reason");
    return;
  }
  const { spec } = checked;
  planned(spec);
}

/** Checks that an accepted job can be planned and its ticks found, whenever it was made. */
function planned(spec: CheckedSpec): void {
  for (const at of [0, now]) {
    const job = { id: spec.id, spec, revision: "r", updatedBy: "x", pauses: [], needs: [] };
    const times = { createdAt: at, updatedAt: at, scheduledAt: at, resumedAt: 0, failuresFrom: at };
    const plan = planJob({ ...job, ...times });
    if (Array.isArray(plan)) throw new Fault("an accepted job can't be planned");
    nextTickOf(plan, now);
    ticksOf(plan, now - 86_400_000, now, 100);
    const action = actionOf(spec);
    const graceMs = action.kind === "process" ? action.killGraceMs : 0;
    if (!Number.isFinite(plan.timeoutMs + graceMs + plan.keep.logBytes + plan.catchUp.windowMs)) {
      throw new Fault("a plan with a number that is not finite");
    }
  }
}

const jobFiles = [
  "id: backup\nschedule: '@daily'\ncommand: date\n",
  "- id: a\n  command: x\n- id: b\n  argv: [x, y]\n",
  '{"items": [{"id": "a", "command": "x"}]}',
  "---\nid: a\ncommand: |\n  a\n  b\n---\nid: b\ncommand: x\n",
  "a: &a [x, x]\nb: &b [*a, *a, *a, *a]\nc: &c [*b, *b, *b, *b]\nd: &d [*c, *c, *c, *c]\ne: [*d, *d, *d, *d]\n",
  "id: !!binary aGk=\ncommand: !!js/function 'x'\n",
  "? [a, b]\n: c\n",
  "<<: *x\n",
];

const crontabs = [
  "SHELL=/bin/bash\nMAILTO=root\n*/5 * * * * root /usr/bin/x --y%stdin%more\n",
  "@reboot x\n@daily y\n~ ~ * * * z\n",
  "0 0 * * 1-5\tcd / && run-parts --report /etc/cron.hourly # c\n",
  'CRON_TZ=Europe/Berlin\nPATH="/a b":$PATH\n30 2 29 2 * a\\%b\n',
  "* * * * *\n* * *\n=\n==\nA=\n",
];

function takeCrontab(text: string): void {
  const options = { prefix: "cron-", zone: "UTC", home: "/root", user: "root", host: "here" };
  for (const system of [false, true]) {
    const { jobs } = parseCrontab(text, { ...options, system });
    for (const { spec } of jobs) {
      const checked = checkJob(spec);
      if (!checked.ok) throw new Fault(`it made an invalid job: ${JSON.stringify(checked.problems)}`);
    }
  }
}

// ---------------------------------------------------------------------------------------------- settings

interface SettingsInput {
  text: string;
  flags: Record<string, string | boolean | string[]>;
  env: Record<string, string>;
}

const yamls = [
  "name: a\nhttp: 127.0.0.1:0\ntag: [a=b, c=d]\n",
  "listen: /ip4/0.0.0.0/tcp/7401\nbootstrap:\n  - host:7401\ncapacity: 5\ndrain: 30s\n",
  "{role: witness, mdns: true, log-level: debug}",
  "capacity: 1e999\ndrain: .inf\nname: .nan\n",
  "name: &a [*a]\n",
];

function drawSettings(dice: Dice): SettingsInput {
  const some = <Value>(value: () => Value): Record<string, Value> => {
    const picked = settings.filter(() => dice.chance(0.1));
    return Object.fromEntries(picked.map(({ name }) => [name, value()]));
  };
  const variables = settings.filter(() => dice.chance(0.1)).map(({ variable }) => [variable, edgeText(dice)]);
  return {
    text: mutated(dice, yamls).slice(0, 1_000),
    flags: some(() => dice.pick([edgeText(dice), true, [edgeText(dice), edgeText(dice)]])),
    env: Object.fromEntries(variables) as Record<string, string>,
  };
}

function takeSettings({ text, flags, env }: SettingsInput): void {
  const host = { hostname: "here", cores: 2, terminal: false };
  orRefused(() => {
    const config = readConfig({ flags, env, file: { path: "x.yaml", text } }, host);
    if (!Number.isFinite(config.capacity + config.drainMs + config.http.port))
      throw new Fault("a number that is not finite");
  });
}

// ------------------------------------------------------------------------------- keys, addresses, units

const someKey = new Uint8Array(32).fill(7);
const keyTexts = [
  encodeJoin({ key: someKey, addresses: ["/ip4/10.0.0.1/tcp/7401", "host:7401"] }),
  encodeJoin({ key: someKey, addresses: [] }),
  formatClusterKey(someKey),
  formatClusterKey(someKey, "12D3KooWNobody" as PeerId),
];

function takeKeyText(text: string): void {
  const joined = decodeJoin(text);
  if (joined !== undefined && joined.key.length !== someKey.length)
    throw new Fault("a key of another length");
  founderIn(text);
  orRefused(() => void parseClusterKey(text));
  parseRunReference(text);
}

const addresses = [
  "/ip4/10.0.0.1/tcp/7401/p2p/12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5",
  "/ip6/::1/tcp/7401",
  "/dns4/example.org/tcp/1",
  "host:7401",
  "[::1]:7401",
  "10.0.0.1",
  "/ip4/1.2.3.4/udp/1/quic-v1",
];

function takeAddress(text: string): void {
  splitAddress(text);
  orRefused(() => void parseAddress(text));
}

function drawUnit(dice: Dice): string | number {
  return dice.chance(0.3)
    ? edgeNumber(dice)
    : mutated(dice, ["1h30m", "500ms", "30d", "64KiB", "1MiB", "0s"]);
}

function takeUnit(input: string | number): void {
  if (typeof input === "number") {
    if (input >= 0 && input <= Number.MAX_SAFE_INTEGER) {
      formatDuration(Math.floor(input));
      formatSize(Math.floor(input));
    }
    return;
  }
  for (const read of [parseDuration(input), parseSize(input)]) {
    if (read !== undefined && !(read >= 0 && read < Infinity)) throw new Fault(`${input} is ${read}`);
  }
}

// ---------------------------------------------------------------------------------- greetings and frames

const greeters = [
  "12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5",
  "12D3KooWQYhTNQdmr3ArTeUHRYzFg94BKyTkoWBDWez9kSCVe2Xo",
  "12D3KooWNvSZnPi3RrhrTwEY4LuuBeB6K6facKUCJcyWG1aoDd2p",
] as readonly string[] as readonly PeerId[];

function drawGreeting(dice: Dice): Uint8Array {
  const row = (): [string, number, string[]] => [
    dice.chance(0.9) ? dice.pick(greeters) : edgeText(dice),
    dice.chance(0.5) ? now : edgeNumber(dice),
    Array.from({ length: dice.below(12) }, () => mutated(dice, addresses)),
  ];
  const hello = { kind: "hello", self: row(), others: Array.from({ length: dice.below(20) }, row) };
  const said = dice.chance(0.1) ? anyJson(dice) : dice.chance(0.5) ? mutateJson(hello, dice) : hello;
  const bytes = Buffer.from(JSON.stringify(said) ?? "");
  return dice.chance(0.1) ? mutateBytes(bytes, dice) : bytes;
}

const [self = "" as PeerId] = greeters;
const book = new AddressBook(self, now);

/** Takes in a valid greeting; the greeting that this peer then writes must be valid too. */
function takeGreeting(bytes: Uint8Array): void {
  const greeting = decodeGreeting(bytes);
  if (greeting?.kind !== "hello") return;
  book.learnFromPeer(greeting.self);
  for (const other of greeting.others) book.learnFromOther(other);
  if (book.peers().length > peersCap) throw new Fault("more peers than the book takes");
  const own = {
    kind: "hello",
    protocol: ownProtocol,
    self: book.ownEntry([]),
    others: book.others(),
  } satisfies Greeting;
  const said = decodeGreeting(encodeGreeting(own));
  if (said?.kind !== "hello" || said.others.length !== own.others.length)
    throw new Fault("it writes a greeting that others refuse");
}

/** Good and bad frames in a stream that is divided anywhere. */
function framesDoor(): Door {
  return {
    name: "frames",
    share: 6,
    round: 5_000,
    open: (seed) => {
      const dice = new Dice(`frames ${seed}`);
      let reader = new FrameReader();
      let last: Uint8Array = new Uint8Array();
      return {
        one() {
          const frames = Array.from({ length: dice.below(4) }, () => toFrame(dice.bytes(dice.below(300))));
          const header = Buffer.alloc(4);
          header.writeUInt32BE(
            dice.pick([0, 1, 100, messageCapBytes, messageCapBytes + 1, 2 ** 31, 2 ** 32 - 1]),
          );
          last = concat(...frames, ...(dice.chance(0.1) ? [header] : []));
          if (dice.chance(0.3)) last = mutateBytes(last, dice);
          for (let at = 0; at < last.length;) {
            const cut = 1 + dice.below(dice.chance(0.5) ? 7 : 400);
            const read = reader.read(last.subarray(at, at + cut));
            if (read === undefined) {
              reader = new FrameReader();
              return;
            }
            if (read.some((frame) => frame.length > messageCapBytes))
              throw new Fault("a frame beyond the cap");
            at += cut;
          }
        },
        last: () => Buffer.from(last).toString("base64"),
      };
    },
  };
}
