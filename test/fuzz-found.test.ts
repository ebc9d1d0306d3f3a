/**
 * What the fuzzer has found, and what reading found before it could: each case is bytes that once broke a peer, made
 * it break another, or moved what they had no right to move.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as Y from "yjs";
import type { Answer, Command } from "../src/ports.ts";
import type { JobId } from "../src/schema/ids.ts";
import { FuzzMesh, stranger, victim } from "./fuzz-mesh.ts";
import { base64 } from "./fuzz-messages.ts";

const hlcPerMs = 1_024;

function answerTo(mesh: FuzzMesh, command: Command): Answer {
  const answers: Answer[] = [];
  mesh.peer(victim).command(command, (answer) => answers.push(answer));
  mesh.pass(1_000);
  const [answer] = answers;
  assert.ok(answer !== undefined, "it was answered");
  return answer;
}

/** A job as a stranger with Yjs at hand would write it: what each slot says, by the slot's name. */
function writtenJob(mesh: FuzzMesh, slots: Readonly<Record<string, unknown>>): string {
  const doc = new Y.Doc();
  const map = new Y.Map<unknown>();
  for (const [slot, value] of Object.entries(slots)) {
    map.set(`${slot}@${stranger}`, { hlc: Math.floor(mesh.world.now()) * hlcPerMs, by: "x", value });
  }
  doc.getMap("jobs").set("01ARZ3NDEKTSV4RRFFQ69G5FAV", map);
  return base64(Y.encodeStateAsUpdate(doc));
}

test("a job whose replica can't be read is deleted like any other, named or nameless", () => {
  const mesh = new FuzzMesh("quarantine");
  const { table } = mesh.peer(victim).living;
  for (const slots of [{ created: "odd", action: { command: "" } }, { action: { command: "true" } }]) {
    mesh.say(stranger, "jobs", { kind: "update", update: writtenJob(mesh, slots) });
    const [quarantined] = table.quarantined();
    assert.ok(quarantined !== undefined);
    const id = quarantined.id as JobId;
    assert.equal(answerTo(mesh, { kind: "delete-job", id, by: "ann" }).kind, "done");
    assert.deepEqual(table.quarantined(), []);
    const again = answerTo(mesh, { kind: "delete-job", id, by: "ann" });
    assert.equal(again.kind === "refused" && again.error.code, "JOB_NOT_FOUND");
  }
});
