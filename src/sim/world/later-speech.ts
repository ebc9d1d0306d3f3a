/**
 * How a later version speaks: each message has fields that the earlier version doesn't know, some messages are of a kind
 * that it doesn't know, and so are some records. The further fields of records are signed, so real-peer.ts gives them to
 * the peer itself.
 */
import type { Keys, Mesh } from "../../ports.ts";
import type { OtherRecord } from "../../schema/other-record.ts";
import type { RunRecord } from "../../schema/run.ts";
import { signedOtherBytes } from "../../wire/records.ts";

/** Further fields of each record that a peer of the later version writes. */
export const laterRecordFields = { costs: { cpuMs: 12, notes: ["é", null] } };

/** After each this many messages, one is sent that the earlier version doesn't know. */
const unknownEvery = 20;

export function laterSpeech(mesh: Mesh, keys: Keys): Mesh {
  let sent = 0;
  const isUnknownDue = (): boolean => ++sent % unknownEvery === 0;
  return {
    ...mesh,
    publish: (topic, bytes) => {
      mesh.publish(topic, withMore(topic === "runs" ? withNotice(bytes, keys) : bytes));
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

/** A batch of records with a record of another kind about the first of them. */
function withNotice(bytes: Uint8Array, keys: Keys): Uint8Array {
  return withBody(bytes, (body) => {
    const [first] = (body as { records?: readonly RunRecord[] }).records ?? [];
    return first === undefined ? body : { ...body, others: [noticeOf(first, keys)] };
  });
}

function noticeOf({ job, tick, state }: RunRecord, keys: Keys): OtherRecord {
  const notice = { kind: "notice", job, tick, name: state, peer: keys.self, version: 1, to: ["ops", null] };
  const bytes = signedOtherBytes({ ...notice, signature: "" }) ?? new Uint8Array();
  return { ...notice, signature: Buffer.from(keys.sign(bytes)).toString("base64url") };
}

function ofUnknownKind(bytes: Uint8Array): Uint8Array {
  return withBody(bytes, () => ({ kind: "mood", level: 3 }));
}

/** Changes the body of a message. The bytes need no check, because the peer itself has just written them. */
function withBody(bytes: Uint8Array, change: (body: object) => object): Uint8Array {
  const envelope = JSON.parse(Buffer.from(bytes).toString()) as { body: object };
  return Buffer.from(JSON.stringify({ ...envelope, body: change(envelope.body) }));
}
