/** Events of the mesh and its peers about which channels can be notified (mesh-notice.ts). */

/** Each kind of problem, with the event of its end. */
export const problemEnds = {
  "peer-dead": "peer-back",
  "no-majority": "majority",
  clock: "clock-right",
  disk: "disk-right",
} as const;
export type MeshProblem = keyof typeof problemEnds;

/** What happens once, and has no end. */
export const meshFacts = ["key-rotated", "peer-joined"] as const;
export type MeshFact = (typeof meshFacts)[number];

/** What a channel names in its `mesh`. A channel that is notified of a problem is notified of its end, too. */
export const meshEvents = [
  "peer-dead",
  "no-majority",
  "clock",
  "disk",
  "key-rotated",
  "peer-joined",
] as const;
export type MeshEvent = MeshProblem | MeshFact;

/** All that channels are notified of. A digest is about a day. */
export type ReportedEvent = MeshEvent | (typeof problemEnds)[MeshProblem] | "digest";
export const reportedEvents: readonly ReportedEvent[] = [
  ...meshEvents,
  ...Object.values(problemEnds),
  "digest",
];
