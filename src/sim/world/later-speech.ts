/**
 * How a later version speaks: each message has fields that the earlier version doesn't know, and some messages are of a
 * kind that it doesn't know. The further fields of records are signed, so real-peer.ts gives them to the peer itself.
 */
import type { Mesh } from "../../ports.ts";

/** Further fields of each record that a peer of the later version writes. */
export const laterRecordFields = { costs: { cpuMs: 12, notes: ["é", null] } };

/** After each this many messages, one is sent that the earlier version doesn't know. */
const unknownEvery = 20;

export function laterSpeech(mesh: Mesh): Mesh {
  let sent = 0;
  const isUnknownDue = (): boolean => ++sent % unknownEvery === 0;
  return {
    ...mesh,
    publish: (topic, bytes) => {
      mesh.publish(topic, withMore(bytes));
      if (isUnknownDue()) mesh.publish(topic, ofUnknownKind(bytes));
    },
    send: (to, protocol, bytes) => {
      mesh.send(to, protocol, withMore(bytes));
      if (isUnknownDue()) mesh.send(to, protocol, ofUnknownKind(bytes));
    },
  };
}

function withMore(bytes: Uint8Array): Uint8Array {
  return withBody(bytes, (body) => ({ ...body, mood: { level: 3, words: ["calm"] } }));
}

function ofUnknownKind(bytes: Uint8Array): Uint8Array {
  return withBody(bytes, () => ({ kind: "mood", level: 3 }));
}

/** Changes the body of a message. The bytes need no check, because the peer itself has just written them. */
function withBody(bytes: Uint8Array, change: (body: object) => object): Uint8Array {
  const envelope = JSON.parse(Buffer.from(bytes).toString()) as { body: object };
  return Buffer.from(JSON.stringify({ ...envelope, body: change(envelope.body) }));
}
