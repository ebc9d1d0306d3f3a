/**
 * The faults for real peers, one kind in each scenario: `inject` begins the fault, holds it and ends it, and draws its
 * details from the dice, so that rounds differ and can be named by their seed.
 *
 * A scenario says what it needs; if the machine lacks something, that is reported and not skipped in silence.
 */
import assert from "node:assert/strict";
import { cpSync, rmSync } from "node:fs";
import path from "node:path";
import type { Dice } from "../../../src/sim/random.ts";
import { root, Started, plainEnv } from "../cluster.ts";
import { clockProblem } from "./clock.ts";
import type { Lab, LabPeer, LabSettings } from "./lab.ts";
import { canDelay, delayed, thin } from "./net.ts";
import { faultLastsFor, quietFor } from "./times.ts";

export interface Scenario {
  readonly name: string;
  /** what is done, in a few words for the table */
  readonly what: string;
  readonly lab: LabSettings;
  /** why it can't be done on this machine; undefined = it can */
  problem?(): string | undefined;
  inject(lab: Lab, dice: Dice): Promise<void>;
}

const second = 1_000;
const three = { peers: 3 } as const;
const five = { peers: 5 } as const;

function draw(lab: Lab, dice: Dice, count: number): LabPeer[] {
  return dice.shuffle(lab.peers).slice(0, count);
}

function one(lab: Lab, dice: Dice): LabPeer {
  return dice.pick(lab.peers);
}

function others(lab: Lab, peers: readonly LabPeer[]): LabPeer[] {
  return lab.peers.filter((peer) => !peers.includes(peer));
}

/** Short times are more frequent than long ones: as many between 1 and 4 as between 4 and 16 seconds. */
function drawMs(dice: Dice, shortestMs: number, longestMs: number): number {
  return Math.round(shortestMs * (longestMs / shortestMs) ** dice.next());
}

async function killed(lab: Lab, dice: Dice, peers: readonly LabPeer[]): Promise<void> {
  await lab.kill(...peers);
  await faultLastsFor(drawMs(dice, second, 30 * second));
  await lab.restart(...peers);
}

async function heldSplit(
  lab: Lab,
  group: readonly LabPeer[],
  rest: readonly LabPeer[],
  ms: number,
): Promise<void> {
  const mend = await lab.split(group, rest);
  await faultLastsFor(ms);
  await mend();
}

/** Two different peers. */
function pair(lab: Lab, dice: Dice): readonly [LabPeer, LabPeer] {
  const [first, other] = draw(lab, dice, 2);
  assert.ok(first !== undefined && other !== undefined);
  return [first, other];
}

const processes: readonly Scenario[] = [
  {
    name: "calm",
    what: "nothing at all, for comparison",
    lab: three,
    inject: () => quietFor(10 * second),
  },
  {
    name: "kill-one",
    what: "kill -9 of one of three",
    lab: three,
    inject: (lab, dice) => killed(lab, dice, draw(lab, dice, 1)),
  },
  {
    name: "restart",
    what: "one is stopped with SIGTERM, and started again",
    lab: three,
    async inject(lab, dice) {
      const peer = one(lab, dice);
      const { code } = await lab.stop(peer);
      assert.equal(code, 0, peer.running.started.said);
      await faultLastsFor(drawMs(dice, second, 10 * second));
      await lab.restart(peer);
    },
  },
  {
    name: "kill-minority",
    what: "kill -9 of two of five at once",
    lab: five,
    inject: (lab, dice) => killed(lab, dice, draw(lab, dice, 2)),
  },
  {
    name: "kill-majority",
    what: "kill -9 of three of five at once",
    lab: five,
    inject: (lab, dice) => killed(lab, dice, draw(lab, dice, 3)),
  },
  {
    name: "kill-all",
    what: "kill -9 of all three at once",
    lab: three,
    inject: (lab, dice) => killed(lab, dice, lab.peers),
  },
  {
    name: "pause",
    what: "SIGSTOP of one for 1 to 60 s",
    lab: three,
    async inject(lab, dice) {
      const resume = lab.pause(one(lab, dice));
      await faultLastsFor(drawMs(dice, second, 60 * second));
      resume();
    },
  },
  {
    name: "double-start",
    what: "a second peer on the same data folder",
    lab: three,
    inject: (lab, dice) => startTwice(one(lab, dice)),
  },
];

const wires: readonly Scenario[] = [
  {
    name: "cut-one",
    what: "all wires of one cut",
    lab: three,
    async inject(lab, dice) {
      const peer = one(lab, dice);
      await heldSplit(lab, [peer], others(lab, [peer]), drawMs(dice, 3 * second, 60 * second));
    },
  },
  {
    name: "cut-half",
    what: "two of five cut from the other three",
    lab: five,
    async inject(lab, dice) {
      const group = draw(lab, dice, 2);
      await heldSplit(lab, group, others(lab, group), drawMs(dice, 3 * second, 60 * second));
    },
  },
  {
    name: "cut-link",
    what: "one link cut, both ways",
    lab: three,
    async inject(lab, dice) {
      const [first, other] = pair(lab, dice);
      await heldSplit(lab, [first], [other], drawMs(dice, 3 * second, 60 * second));
    },
  },
  {
    name: "cut-one-way",
    what: "one link cut, one way",
    lab: three,
    async inject(lab, dice) {
      const mend = await lab.cut(...pair(lab, dice));
      await faultLastsFor(drawMs(dice, 3 * second, 60 * second));
      await mend();
    },
  },
  {
    name: "deaf",
    what: "one peer hears no other, but is heard",
    lab: three,
    async inject(lab, dice) {
      const peer = one(lab, dice);
      const mends = await Promise.all(others(lab, [peer]).map((other) => lab.cut(other, peer)));
      await faultLastsFor(drawMs(dice, 3 * second, 60 * second));
      await Promise.all(mends.map((mend) => mend()));
    },
  },
  {
    name: "flapping",
    what: "all wires of one come and go",
    lab: three,
    async inject(lab, dice) {
      const peer = one(lab, dice);
      for (let turn = 0; turn < 5; turn++) {
        await heldSplit(lab, [peer], others(lab, [peer]), drawMs(dice, 300, 8 * second));
        await faultLastsFor(drawMs(dice, 300, 8 * second));
      }
    },
  },
  {
    name: "delay",
    what: "every wire slow",
    lab: three,
    async inject(lab, dice) {
      const how = (await canDelay(lab.network))
        ? delayed(drawMs(dice, 20, 1_500))
        : thin(drawMs(dice, 48, 256));
      const mend = await lab.slowDown(how);
      await faultLastsFor(20 * second);
      await mend();
    },
  },
  {
    name: "loss",
    what: "every wire loses 1 to 30 % of its packets",
    lab: three,
    async inject(lab, dice) {
      const mend = await lab.lose(drawMs(dice, 10, 300));
      await faultLastsFor(20 * second);
      await mend();
    },
  },
];

const disksAndClocks: readonly Scenario[] = [
  {
    name: "full-disk",
    what: "one peer's disk is full",
    lab: { peers: 3, smallDisks: [0, 1, 2] },
    async inject(lab, dice) {
      const empty = lab.fillDisk(one(lab, dice));
      await faultLastsFor(drawMs(dice, 5 * second, 40 * second));
      empty();
    },
  },
  {
    name: "old-copy",
    what: "restart from a copy of the data folder that is some time old",
    lab: three,
    async inject(lab, dice) {
      // Always the same peer, because a voter that is known to have lost votes never votes again.
      const peer = lab.peer(lab.peers.length - 1);
      const copy = path.join(lab.folder, "copy");
      await lab.kill(peer);
      cpSync(peer.running.data, copy, { recursive: true });
      await lab.restart(peer);
      await faultLastsFor(drawMs(dice, 5 * second, 30 * second));
      await lab.kill(peer);
      rmSync(peer.running.data, { recursive: true });
      cpSync(copy, peer.running.data, { recursive: true });
      rmSync(copy, { recursive: true });
      await lab.restart(peer);
    },
  },
  {
    name: "clock-step",
    what: "one peer's wall clock steps by 0.3 to 60 s",
    lab: { peers: 3, ownClocks: [0, 1, 2] },
    problem: clockProblem,
    async inject(lab, dice) {
      const back = lab.stepClock(one(lab, dice), drawMs(dice, 300, 60_000) * (dice.chance(0.5) ? 1 : -1));
      await faultLastsFor(drawMs(dice, 5 * second, 30 * second));
      back();
    },
  },
  {
    name: "clock-far",
    what: "one peer's wall clock is 10 minutes or a day ahead or behind for a while",
    lab: { peers: 3, ownClocks: [0, 1, 2] },
    problem: clockProblem,
    async inject(lab, dice) {
      await clockIsFarOff(lab, one(lab, dice), dice);
    },
  },
  {
    name: "clock-far-of-two",
    what: "the same with two peers: the clock that was set is doubted",
    lab: { peers: 2, ownClocks: [0, 1] },
    problem: clockProblem,
    async inject(lab, dice) {
      await clockIsFarOff(lab, one(lab, dice), dice);
    },
  },
];

async function clockIsFarOff(lab: Lab, peer: LabPeer, dice: Dice): Promise<void> {
  const farMs = dice.chance(0.5) ? 600 * second : 86_400 * second;
  const back = lab.stepClock(peer, dice.chance(0.5) ? farMs : -farMs);
  await faultLastsFor(drawMs(dice, 10 * second, 30 * second));
  back();
}

export const scenarios: readonly Scenario[] = [...processes, ...wires, ...disksAndClocks];

/** A second peer on the folder of a running one is refused with a clear error, and the first keeps running. */
export async function startTwice({ running, site }: LabPeer): Promise<void> {
  const [command, ...words] = site.prefix;
  const program = path.join(root, "src", "cicada.mjs");
  const later = new Started(
    command,
    [...words, process.execPath, program, "start", ...running.args],
    plainEnv(),
  );
  const { code } = await later.ended;
  assert.equal(code, 4, later.said);
  assert.match(later.said, /DATA_FOLDER_IN_USE|Another peer is using this data folder/);
  assert.equal((await running.call("GET", "/livez")).status, 200);
}
