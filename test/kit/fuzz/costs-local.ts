/**
 * The decoders of what a person, a browser, the launcher or this machine's own files give: their inputs, and the constants of
 * the law that costs.ts states. Files are believed no more than messages, because a disk can return anything.
 */
import cookies from "@fastify/cookie";
import fastify from "fastify";
import { readRange } from "../../../src/api/http/bytes.ts";
import { readCursor } from "../../../src/api/http/paging.ts";
import { Callers } from "../../../src/api/access/callers.ts";
import { Sessions } from "../../../src/api/http/sessions.ts";
import { readConfig } from "../../../src/config.ts";
import { parseSchedule } from "../../../src/core/time/schedule.ts";
import { parseDuration } from "../../../src/core/time/units.ts";
import {
  founderIn,
  parseClusterKey,
  rotationIn,
  formatClusterKey,
} from "../../../src/identity/cluster-key.ts";
import {
  parseOrder,
  parseOther,
  parseRecord,
  parseRevision,
  parseVote,
  parseWatermark,
} from "../../../src/real/disk/parse.ts";
import { checkSum } from "../../../src/real/disk/rows.ts";
import { readOrder, readReport } from "../../../src/real/executor/protocol.ts";
import { CicadaError } from "../../../src/errors.ts";
import type { PeerId } from "../../../src/schema/ids.ts";
import { parseReady } from "../../../src/schema/ready.ts";
import type { Dice } from "../../../src/sim/random.ts";
import { readAttribution, readAttributionOfKey } from "../../../src/wire/attribution.ts";
import { readChain } from "../../../src/wire/roster.ts";
import { repeated, type Costed } from "./costed.ts";
import { anyJson, mutateBytes } from "./garbage.ts";

type Piece = (index: number) => string;

/** One of the texts, each of which is made only if it is drawn; sometimes damaged. */
function drawnFrom(...texts: readonly ((dice: Dice) => string)[]): (dice: Dice) => Uint8Array {
  return (dice) => {
    const bytes = Buffer.from(dice.pick(texts)(dice));
    return dice.chance(0.2) ? mutateBytes(bytes, dice) : bytes;
  };
}

function listIn(before: string, piece: Piece, after: string): (dice: Dice) => string {
  return (dice) => `${before}${repeated(dice, piece, 50_000)}${after}`;
}

/** What can happen with a damaged text is an error with a code; anything else is a finding. */
function refusedOrRead(...readers: readonly ((text: string) => unknown)[]): (bytes: Uint8Array) => void {
  return (bytes) => {
    const text = Buffer.from(bytes).toString();
    for (const read of readers) {
      try {
        read(text);
      } catch (error) {
        if (!(error instanceof CicadaError)) throw error;
      }
    }
  };
}

/** Each line is twice as long as the one before, once it is written out. */
function doubled(index: number): string {
  return `k${index + 1}: &k${index + 1} [*k${index}, *k${index}]\n`;
}

const run = "job@2026-11-20T00:00:00Z~1@peer0001";
const someJson = (dice: Dice): string => JSON.stringify(anyJson(dice, 5));
const app = fastify();
await app.register(cookies);
const sessions = new Sessions(() => 0);
const callers = new Callers({ values: () => new Map() }, "a token", "alpha", () => 0);
const host = { hostname: "here", cores: 2, terminal: false };

export const localDecoders: readonly Costed[] = [
  {
    name: "messages of the launcher",
    draw: drawnFrom(
      someJson,
      listIn('{"kind":"sweep","id":1,"runs":[', () => `"${run}",`, `"${run}"]}`),
      listIn(`{"kind":"output","run":"${run}","base64":"`, () => "QUJD", '"}'),
      listIn('{"kind":"launch","logFile":"x","spec":{"env":{', (index) => `"A${index}":"b",`, '"Z":"z"}}}'),
      listIn('{"kind":"notice","reason":"x","message":"', () => "\\u0000", '"}'),
    ),
    take: refusedOrRead(readOrder, readReport),
    base: 200,
    perByte: 2,
  },
  {
    name: "rows of the database",
    draw: drawnFrom(
      someJson,
      listIn(`{"job":"x","tick":"2026-11-20T00:00:00Z","x":[`, (index) => `${index},`, "0]}"),
      listIn('{"job":"x","at":1,"open":[', () => `["2026-11-20T00:00:00Z",1],`, "0]}"),
      listIn('{"id":"x","changes":[', (index) => `{"field":"f${index}"},`, "0]}"),
      listIn('{"decision":"x","x":{', (index) => `"k${index}":{},`, '"z":0}}'),
    ),
    take: refusedOrRead(
      (text) => checkSum(text, 0),
      parseRecord,
      parseOrder,
      parseOther,
      parseRevision,
      parseVote,
      parseWatermark,
    ),
    base: 500,
    perByte: 5,
  },
  {
    name: "single facts of the database",
    draw: drawnFrom(
      someJson,
      listIn("[", (index) => `{"number":${index},"voters":["a"],"from":0},`, "0]"),
      listIn('{"by":"', () => "x", '","at":1,"key":"k"}'),
    ),
    take: refusedOrRead(readChain, readAttribution, (text) => readAttributionOfKey(text, "k")),
    base: 200,
    perByte: 5,
  },
  {
    name: "key files",
    draw: drawnFrom(
      () => formatClusterKey(new Uint8Array(32), "peer-1" as PeerId, { mesh: "0123456789abcdef", madeAt: 1 }),
      (dice) => formatClusterKey(new Uint8Array(32)) + repeated(dice, () => "founder:x\n"),
      (dice) => `cicada-cluster-key-1:${repeated(dice, () => "A")}`,
      (dice) => repeated(dice, () => "\n \n"),
    ),
    take: refusedOrRead(parseClusterKey, founderIn, rotationIn),
    base: 500,
    perByte: 5,
  },
  {
    name: "ready.json",
    draw: drawnFrom(
      someJson,
      listIn('{"pid":1,"listen":[', () => `"/ip4/127.0.0.1/tcp/1",`, '""]}'),
      listIn("{", (index) => `"k${index}":1,`, '"z":1}'),
    ),
    take: refusedOrRead(parseReady),
    base: 200,
    perByte: 2,
  },
  {
    name: "cookies, tokens, cursors and ranges",
    draw: drawnFrom(
      listIn("", (index) => `k${index}=v%20v; `, "z=z"),
      listIn('cicada="', () => "\\x", '"'),
      listIn("bytes=0-1", (index) => `,${index}-`, ""),
      (dice) => Buffer.from(`["runs",[${repeated(dice, () => "[],", 50_000)}0]]`).toString("base64url"),
    ),
    take: refusedOrRead(
      (text) => app.parseCookie(text),
      (text) => callers.byText(text),
      (text) => sessions.tokenOf(text),
      (text) => readCursor("runs", text),
      (text) => readRange(text, 1_000),
    ),
    base: 500,
    perByte: 5,
  },
  {
    name: "schedules and durations",
    draw: drawnFrom(
      listIn("0", (index) => `,${index % 60}`, " * * * *"),
      listIn("", () => "* ", ""),
      listIn("@every 1", () => "h1", ""),
      listIn("", () => "9", "s"),
      listIn("0 0 1-31/1", () => ",1-31", " JAN MON"),
    ),
    take: refusedOrRead((text) => parseSchedule(text, "UTC", "x"), parseDuration),
    base: 40_000,
    perByte: 40,
  },
  {
    name: "settings files",
    draw: drawnFrom(
      (dice) => `tags: {${repeated(dice, (index) => `k${index}: v, `, 5_000)}z: z}`,
      (dice) => `bootstrap: [${repeated(dice, (index) => `10.0.0.${index % 256}, `, 5_000)}10.0.0.1]`,
      (dice) => `a: &a [x]\n${repeated(dice, (index) => `k${index}: &k${index} [*a, *a]\n`, 5_000)}`,
      (dice) => `k0: &k0 [x]\n${repeated(dice, doubled, 1_000)}`,
      (dice) => repeated(dice, () => "[", 5_000),
    ),
    take: refusedOrRead((text) => readConfig({ flags: {}, env: {}, file: { path: "x", text } }, host)),
    base: 20_000,
    perByte: 600,
  },
];
