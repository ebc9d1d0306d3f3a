/**
 * How a later version speaks: each message says more than the earlier one knows of, and now and then there is a message of a
 * kind that it doesn't know. What a record says more is signed with it and is given to the peer by real-peer.ts.
 */
import type { Mesh } from "../../ports.ts";

/** In each record that a peer of the later version writes. */
export const laterRecordFields = { costs: { cpuMs: 12, notes: ["é", null] } };

/** Each so many messages one more is sent that the earlier version doesn't know. */
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

/** The peer itself has just written the message. */
function withBody(bytes: Uint8Array, change: (body: object) => object): Uint8Array {
  const envelope = JSON.parse(Buffer.from(bytes).toString()) as { body: object };
  return Buffer.from(JSON.stringify({ ...envelope, body: change(envelope.body) }));
}
