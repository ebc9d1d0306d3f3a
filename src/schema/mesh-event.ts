/** What happens to the mesh and its peers, and channels can be told of (mesh-notice.ts). */

/** Each kind of trouble, with the notice of its end. */
export const troubleEnds = {
  "peer-dead": "peer-back",
  "no-majority": "majority",
  clock: "clock-right",
  disk: "disk-right",
} as const;
export type Trouble = keyof typeof troubleEnds;

/** What happens once, and has no end. */
export const meshFacts = ["key-rotated", "peer-joined"] as const;
export type MeshFact = (typeof meshFacts)[number];

/** What a channel names in its `mesh`. A channel that is told of a trouble is told of its end, too. */
export const meshEvents = [
  "peer-dead",
  "no-majority",
  "clock",
  "disk",
  "key-rotated",
  "peer-joined",
] as const;
export type MeshEvent = Trouble | MeshFact;

/** What channels are told about the mesh. A digest is not of an event, but of a day. */
export type ToldEvent = MeshEvent | (typeof troubleEnds)[Trouble] | "digest";
export const toldEvents: readonly ToldEvent[] = [...meshEvents, ...Object.values(troubleEnds), "digest"];
