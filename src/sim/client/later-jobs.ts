/**
 * Jobs that the later version of a mixed world has written. They have a field and a root that no version of this code
 * knows. Each is handed to a peer of that version as an edit from another peer; from then on it is edited like any
 * other job.
 */
import * as Y from "yjs";
import type { JobId, PeerId } from "../../schema/ids.ts";
import { ulid } from "../../schema/ids.ts";
import { nextHlc } from "../../table/hlc.ts";
import { createdSlot, slotsOf } from "../../table/slots.ts";
import { laterCapability } from "../faults/mixed.ts";
import type { Dice } from "../random.ts";
import type { World } from "../world/world.ts";
import { specFor } from "./ask.ts";
import type { Work } from "./client.ts";

/** The field that each peer's table must still have at the end, as a need of such a job. */
export const laterField = { name: "mutex", value: "tape", needs: [laterCapability] };

/** Turns some of the jobs into such jobs. They are never deleted, since that would delete the field too. */
export function drawLaterJobs(work: readonly Work[], knownTo: readonly PeerId[], dice: Dice): Work[] {
  return work.map((item) => {
    const { peers: _, ...rules } = item.rules;
    const isLater = item.rules.partition === undefined && dice.chance(0.4);
    if (item.rules.partition === "majority") return { ...item, rules: { ...item.rules, knownTo } };
    return isLater ? { ...item, rules: { ...rules, peers: undefined, knownTo, isLater } } : item;
  });
}

/** Makes the jobs, each at an up peer that always knows them. One such peer is up from the beginning. */
export function makeLaterJobs(world: World, work: readonly Work[], withinMs: number): void {
  const dice = world.dice.fork("later jobs");
  for (const { rules } of work) {
    const client = 2 ** 31 - 1 - dice.below(2 ** 30);
    world.at(world.now() + dice.between(0, withinMs), () => {
      const peer = dice.pick((rules.knownTo ?? []).filter((one) => world.hosts.isUp(one)));
      const update = written(client, ulid(world.now(), dice.bytes(16)), world.now(), rules);
      world.handEdit(peer, { kind: "put", rules }, update);
    });
  }
}

function written(client: number, incarnation: string, wall: number, rules: Work["rules"]): Uint8Array {
  const { id } = rules;
  const doc = new Y.Doc();
  doc.clientID = client;
  const stamp = { hlc: nextHlc(0, wall), by: "client" };
  doc.transact(() => {
    const map = new Y.Map<unknown>();
    doc.getMap<unknown>("jobs").set(incarnation, map);
    for (const [slot, value] of slotsOf(specFor(rules))) map.set(`${slot}@later`, { ...stamp, value });
    map.set(`${createdSlot}@later`, { ...stamp, value: id });
    map.set(`${laterField.name}@later`, { ...stamp, value: laterField.value, needs: laterField.needs });
    doc.getMap<unknown>("tapes").set(`${id}@later`, { ...stamp, value: { slots: 2 } });
  });
  return Y.encodeStateAsUpdate(doc);
}

/** A job's needs as text, for comparison. */
export function needsText(needs: readonly { pointer: string; capabilities: readonly string[] }[]): string {
  return needs.map(({ pointer, capabilities }) => `${pointer} ${capabilities.join()}`).join("; ");
}

/** A job may also need what its entries of skipped ticks do. */
export function isWhole(id: JobId, needs: ReadonlyMap<JobId, string> | undefined): boolean {
  const parts = needs?.get(id)?.split("; ") ?? [];
  return parts.includes(`/${laterField.name} ${laterField.needs.join()}`);
}
