/**
 * The words that a job's fields and states take, and what else of a job the command line has to know. They are kept apart from
 * the schema, because reading that and its compiler takes longer than most commands.
 */

/** The largest capacity of a peer, and so the largest weight of a job. */
export const largestCapacity = 999_999;

/** The group of a job that names none. */
export const defaultGroup = "default";
export const groupPattern = "^[a-z0-9][a-z0-9._-]{0,63}$";
export const groupForm =
  "a group's name: 1 to 64 characters from a-z, 0-9, '.', '_' and '-', beginning with a letter or digit";

export const overlapPolicies = ["queue", "queue-all", "skip", "allow", "replace"] as const;
export const partitionPolicies = ["available", "majority"] as const;
export const catchUpPolicies = ["none", "latest", "all"] as const;
export const retryOutcomes = ["failed", "timeout", "lost"] as const;
export const retryPlaces = ["same", "other", "any"] as const;
/** After which ends of its parents a job runs (`after.on`). */
export const chainConditions = ["success", "failure", "always"] as const;
export const httpMethods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] as const;

/** What becomes of processes that a run's program leaves behind in its group when it ends. */
export const backgroundPolicies = ["end", "leave"] as const;

export const executors = ["shell", "exec", "http", "script"] as const;
export type ExecutorName = (typeof executors)[number];

/**
 * What a job is doing; of several states that fit, the first in this list. `invalid`: its replica can't be read.
 * `ended`: it has no further tick. `blocked`: no living peer can run it, and its problems say why. `waiting`: a due
 * tick is undecided. `failing`: its last tick failed, timed out, was lost or missed, or was skipped because there was
 * no quorum. `manual`: it has no schedule.
 */
export const jobStates = [
  "invalid",
  "disabled",
  "paused",
  "ended",
  "running",
  "blocked",
  "waiting",
  "failing",
  "scheduled",
  "manual",
] as const;
export type JobState = (typeof jobStates)[number];

/** Where an editor finds the schema of a file that a person writes. */
export const schemaField = "$schema";

/**
 * Fields that only cicada writes. A person may send them back, as in an edited `GET`; they are dropped, and so is the name of
 * the schema by which an editor checks a file.
 */
export const readOnlyFields = [
  schemaField,
  "revision",
  "createdAt",
  "updatedAt",
  "updatedBy",
  "paused",
  "nextTick",
  "nextPeer",
  "lastTick",
  "lastRun",
  "lastSuccess",
  "keptFrom",
  "inherited",
  "warnings",
  "state",
  "problems",
] as const;
