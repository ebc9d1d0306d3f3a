/** How much a peer keeps of what was done to its jobs and by whom. */

/** How many revisions of a job are kept. More finds older edits; each takes as much disk as the job's text. */
export const revisionsKept = 50;
/** A job with long texts keeps fewer revisions: as many as fit into this many bytes, but at least two. */
export const revisionBytesKept = 262_144;
/** The revisions of a deleted job go after this time. Unit: ms. */
export const deletedKeptMs = 90 * 86_400_000;

/** How many entries of the audit a peer keeps; the oldest go first. More takes more disk. */
export const auditKept = 20_000;
/** Refusals are counted apart, so that nobody can push out what was done by asking for what it may not do. */
export const auditRefusalsKept = 5_000;
