/**
 * The law of decoders: a message of n bytes costs at most a constant times n steps, whatever it says. Each decoder that reads
 * bytes of strangers, members, people or other programs gets honest and hostile inputs, from a few bytes to the largest that it
 * takes; a door of the fuzzer draws them.
 */
import { parseCrontab } from "../../../src/cli/import/crontab.ts";
import { readJson } from "../../../src/schema/json.ts";
import { checkJob } from "../../../src/core/checks/job.ts";
import { decodeJoin, encodeJoin } from "../../../src/identity/join.ts";
import { decodeGreeting } from "../../../src/real/mesh/greeting.ts";
import { FrameReader } from "../../../src/real/mesh/frames.ts";
import type { JobId, PeerId } from "../../../src/schema/ids.ts";
import type { OtherRecord } from "../../../src/schema/other-record.ts";
import type { RunRecord } from "../../../src/schema/run.ts";
import { Dice } from "../../../src/sim/random.ts";
import { SimKeys } from "../../../src/sim/keys.ts";
import { heartbeatLimits } from "../../../src/schema/heartbeat.ts";
import { decode, wireVersion } from "../../../src/wire/codec.ts";
import { verifyOtherRecord, verifyRecord } from "../../../src/wire/records.ts";
import type { JobTable } from "../../../src/table/table.ts";
import { idleHeartbeat } from "../idle-heartbeat.ts";
import { makeTable, specOf, wallOf } from "../tables.ts";
import { longest, repeated, type Costed } from "./costed.ts";
import { localDecoders } from "./costs-local.ts";
import { Fault, type Door } from "./door.ts";
import { anyJson, concat, mutateBytes } from "./garbage.ts";
import { channels } from "./messages.ts";
import { countSteps } from "./steps.ts";
import { HostileWriter, integer } from "./updates.ts";

const self = "peer-1" as PeerId;
const cluster = new SimKeys(self, "costs").cluster;
const keys = new SimKeys(self, "costs");
/** A real one, for formats that look at its form. */
const peerId = "12D3KooWFHkoyiTK4VR5fn3tgFYnrTgBo4hFc1nzJ6xg3Zb8SAWV";

const lists: readonly ((index: number) => string)[] = [
  (index) => `${index},`,
  (index) => `"k${index}",`,
  () => `"k",`,
  () => "[],",
  (index) => `{"job":"j${index}","tick":"2026-11-20T00:00:00Z"},`,
  () => `[[[[[["\\ud83d\\ude00"]]]]]],`,
];

/** Fields of messages that hold lists, and one that none has. */
const listFields = ["records", "orders", "declined", "hears", "digests", "have", "ballots", "epochs", "x"];
const kinds = [
  "heartbeat",
  "runs",
  "answer",
  "ask",
  "want",
  "buckets",
  "ballots",
  "roster",
  "records",
  "none",
];

function drawMessage(dice: Dice): Uint8Array {
  const list = dice.pick(lists);
  const body = dice.chance(0.2)
    ? "[".repeat(Math.ceil(longest ** dice.next()))
    : `{"kind":"${dice.pick(kinds)}","${dice.pick(listFields)}":[${repeated(dice, list)}0]}`;
  const bytes = Buffer.from(
    `{"cluster":"${cluster}","version":${wireVersion},"sender":"peer-2","seq":1,"body":${body}}`,
  );
  return dice.chance(0.2) ? mutateBytes(bytes, dice) : bytes;
}

/** A heartbeat of the right form, with too much of something that it may say, or of what no version knows. */
function drawHeartbeat(dice: Dice): Uint8Array {
  const more = dice.pick([
    () => `"tags":{${repeated(dice, (index) => `"t${index}":"",`)}"last":"x"}`,
    () => `"seenVotes":{${repeated(dice, (index) => `"p${index}":1,`)}"last":1}`,
    () => `"x":[${repeated(dice, dice.pick(lists))}0]`,
    () => `"life":{"incarnation":1,"signature":"","x":[${repeated(dice, () => "[],")}0]}`,
    () => `"hears":[${repeated(dice, () => `"${peerId}",`, 15_000)}"${peerId}"]`,
  ])();
  const body = `${JSON.stringify(idleHeartbeat({})).slice(0, -1)},${more}}`;
  return Buffer.from(
    `{"cluster":"${cluster}","version":${wireVersion},"sender":"peer-2","seq":1,"body":${body}}`,
  );
}

function drawBody(dice: Dice): Uint8Array {
  const text = dice.pick([
    () => JSON.stringify(anyJson(dice, 5)),
    () => `{${repeated(dice, (index) => `"k${index}":${index},`)}"id":"x"}`,
    () => `{"id":"x","command":"true","schedule":[${repeated(dice, () => `"* * * * *",`)}"@daily"]}`,
    () => `{"id":"x","command":"${repeated(dice, () => "\\u0061")}"}`,
    () => `{"id":"x","command":"true","env":{${repeated(dice, (index) => `"A${index}":"b",`)}"Z":"z"}}`,
    () => "[".repeat(Math.ceil(longest ** dice.next())),
  ])();
  return dice.chance(0.2) ? mutateBytes(Buffer.from(text), dice) : Buffer.from(text);
}

function drawCrontab(dice: Dice): Uint8Array {
  const lines: readonly ((index: number) => string)[] = [
    (index) => `${index % 60} * * * * job-${index}\n`,
    (index) => `A${index}=b\n`,
    () => "# c\n",
    () => "\\%",
    () => "* ",
    () => "\n",
    () => "=",
  ];
  const line = dice.pick(lines);
  return Buffer.from(repeated(dice, line, 50_000));
}

function drawRecord(dice: Dice): Uint8Array {
  const text = `{"job":"x","peer":"${self}","signature":"A","version":1,"x":[${repeated(dice, dice.pick(lists), 50_000)}0]}`;
  return Buffer.from(text);
}

/** A table as others have it, remade now and then: what is in it must not add to the cost of an input. */
class Tables {
  readonly #writer: HostileWriter;
  #table: JobTable = makeTable("costs");
  #inputs = 0;

  constructor(dice: Dice) {
    this.#writer = new HostileWriter("peer-9" as PeerId, dice);
  }

  draw(dice: Dice): Uint8Array {
    if (this.#inputs++ % 50 === 0) this.#table = makeTable("costs");
    const chance = dice.next();
    if (chance < 0.2) return deletion(1 + dice.below(3), 1 + dice.below(2 ** 28));
    if (chance < 0.4) {
      const jobs = Math.ceil(200 ** dice.next());
      const { update } = makeTable("b").edit(
        Array.from(
          { length: jobs },
          (_, index) => ({ kind: "put", spec: specOf(`j${index}`), by: "ann" }) as const,
        ),
        wallOf(1),
      );
      // Then everything that it wrote is deleted at once.
      return dice.chance(0.5) ? update : concat(update.subarray(0, -1), deletion(1_000, jobs).subarray(1));
    }
    return this.#writer.draw(() => this.#table.snapshot(), ["j0" as JobId], wallOf(1));
  }

  take(bytes: Uint8Array): void {
    this.#table.apply(bytes);
    this.#table.takeChanges();
    this.#table.membership();
    this.#table.admissions();
  }
}

/** An update that deletes so many ids of a client, from its first. */
function deletion(client: number, length: number): Uint8Array {
  return Uint8Array.of(0, 1, ...integer(client), 1, 0, ...integer(length));
}

function parsed(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString());
  } catch {
    return undefined;
  }
}

export function costedDecoders(seed: string): Costed[] {
  const empty = makeTable("empty");
  const tables = new Tables(new Dice(`tables ${seed}`));
  return [
    {
      name: "messages",
      draw: drawMessage,
      take: (bytes) => {
        for (const channel of channels) decode(channel, bytes, "peer-2" as PeerId, cluster);
      },
      base: 5_000,
      perByte: 30 * channels.length,
    },
    {
      name: "heartbeats",
      draw: drawHeartbeat,
      take: (bytes) => {
        const decoded = decode("heartbeat", bytes, "peer-2" as PeerId, cluster);
        if (!decoded.ok || decoded.message.kind !== "heartbeat") return;
        const { tags, seenVotes = {}, ...rest } = decoded.message;
        const names = Object.keys(tags).length + Object.keys(seenVotes).length;
        if (
          bytes.length > heartbeatLimits.bytes ||
          (bytes.length > heartbeatLimits.plainBytes && "x" in rest)
        )
          throw new Fault(`${bytes.length} bytes are kept as they came`);
        if (names > heartbeatLimits.plainBytes) throw new Fault(`${names} tags and voters are kept`);
      },
      base: 5_000,
      perByte: 60,
    },
    {
      name: "table updates",
      draw: (dice) => tables.draw(dice),
      take: (bytes) => tables.take(bytes),
      base: 20_000,
      perByte: 60,
    },
    {
      name: "state vectors",
      draw: (dice) => {
        const clients = Math.ceil(20_000 ** dice.next());
        const entries = Array.from({ length: clients }, (_, client) => [
          ...integer(client),
          ...integer(dice.below(2 ** 30)),
        ]);
        return mutateBytes(Uint8Array.from([...integer(clients), ...entries.flat()]), dice);
      },
      take: (bytes) => {
        empty.heardStateVector(bytes);
        empty.diff(bytes);
      },
      base: 2_000,
      perByte: 60,
    },
    {
      name: "records",
      draw: drawRecord,
      take: (bytes) => {
        const record = parsed(bytes);
        verifyRecord(record as RunRecord, keys); // the wire checks its shape before
        verifyOtherRecord(record as OtherRecord, keys);
      },
      base: 2_000,
      perByte: 30,
    },
    {
      name: "bodies of requests",
      draw: drawBody,
      take: (bytes) => {
        const read = readJson(Buffer.from(bytes));
        if (read.ok) checkJob(read.value);
      },
      base: 20_000,
      perByte: 30,
    },
    {
      name: "crontabs",
      draw: drawCrontab,
      take: (bytes) => {
        const options = { prefix: "cron-", zone: "UTC", home: "/root", user: "root", host: "here" };
        parseCrontab(Buffer.from(bytes).toString(), { ...options, system: false });
      },
      base: 20_000,
      perByte: 300,
    },
    {
      name: "greetings",
      draw: (dice) => {
        const row = (index: number): string =>
          `["${peerId.slice(0, -4)}${1111 + (index % 8_000)}",${index},["/ip4/127.0.0.1/tcp/${index % 65_536}"]],`;
        return Buffer.from(`{"kind":"hello","self":["${peerId}",1,[]],"others":[${repeated(dice, row)}0]}`);
      },
      take: (bytes) => void decodeGreeting(bytes),
      base: 2_000,
      perByte: 100,
    },
    {
      name: "frames",
      draw: (dice) => dice.bytes(Math.ceil(20_000 ** dice.next())),
      take: (bytes) => {
        const reader = new FrameReader();
        for (const byte of bytes) reader.read(Uint8Array.of(byte));
      },
      base: 100,
      perByte: 60,
    },
    {
      name: "join strings",
      draw: (dice) => {
        const listed = repeated(dice, (index) => `/ip4/127.0.0.1/tcp/${index} `).trim();
        const text = Buffer.from(encodeJoin({ key: new Uint8Array(32), addresses: listed.split(" ") }));
        return dice.chance(0.2) ? mutateBytes(text, dice) : text;
      },
      take: (bytes) => {
        decodeJoin(Buffer.from(bytes).toString());
      },
      base: 2_000,
      perByte: 60,
    },
    ...localDecoders,
  ];
}

/** Inputs that a decoder takes before its steps count: enough for each of its parts. */
const usedBefore = 50;

export function costDoors(): Door[] {
  return costedDecoders("names").map(({ name }) =>
    costDoor(name, (seed) => {
      const decoder = costedDecoders(seed).find((one) => one.name === name);
      if (decoder === undefined) throw new Error(`no decoder ${name}`);
      return decoder;
    }),
  );
}

export function costDoor(name: string, make: (seed: string) => Costed): Door {
  return {
    name: `cost/${name}`,
    share: 1,
    round: 300,
    open: (seed) => {
      const dice = new Dice(`${name} ${seed}`);
      const decoder = make(seed);
      // What a decoder does at the first use of a part of it, such as compiling a schema, is no cost of a message.
      const first = new Dice(`first ${name}`);
      for (let input = 0; input < usedBefore; input++) decoder.take(decoder.draw(first));
      let last = new Uint8Array();
      return {
        one() {
          last = new Uint8Array(decoder.draw(dice));
          const steps = countSteps(() => decoder.take(last));
          const limit = decoder.base + decoder.perByte * last.length;
          if (steps > limit) throw new Fault(`${last.length} bytes took ${steps} steps, more than ${limit}`);
        },
        last: () => Buffer.from(last.subarray(0, 500)).toString("latin1"),
      };
    },
  };
}
