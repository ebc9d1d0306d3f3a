/** What an importer has made of a file: jobs, and everything that a person should know before they are made. */
import type { JobSpec } from "../../schema/job.ts";

export interface Reading {
  /** `at` is the place in the file, such as `line 3` */
  jobs: { at: string; spec: JobSpec }[];
  /** what becomes no job, with everything that keeps it from becoming one */
  refused: { at: string; text: string; reasons: readonly string[] }[];
  /** what the other scheduler says and cicada does not carry over */
  notes: string[];
  /** what is carried over, and was perhaps not meant */
  doubts: string[];
}
