/** What is answered about all jobs at once, and about the jobs of a chain. */
import { Type, type Static } from "typebox";
import { jobStates } from "../../schema/job-vocabulary.ts";
import { wrongCounted } from "../../ports/disk.ts";
import { RunStateSchema } from "../../schema/run.ts";
import { wrongStates } from "../../schema/run-states.ts";
import { Instant, orNull, RunSchema } from "./show-run.ts";

export const SummarySchema = Type.Object({
  jobs: Type.Integer(),
  states: Type.Object(Object.fromEntries(jobStates.map((state) => [state, Type.Integer()])), {
    description: "how many jobs are in each state",
  }),
  groups: Type.Array(Type.Object({ name: Type.String(), jobs: Type.Integer() })),
  peers: Type.Object({ alive: Type.Integer(), known: Type.Integer() }),
  notReady: Type.Array(Type.String(), { description: "why the answering peer is not keeping ticks" }),
  warnings: Type.Array(Type.String()),
});
export type Summary = Static<typeof SummarySchema>;

export const ComingSchema = Type.Object({
  job: Type.String(),
  tick: Type.String(),
  startsAt: Instant,
  skipped: Type.Optional(Type.String({ description: "why it will not run" })),
  peers: Type.Array(Type.Object({ id: Type.String(), name: Type.String() }), {
    description: "those that run it first, then the peers that would step in; not all of them",
  }),
  runners: Type.Integer({ description: "how many peers run it: more than one by `target.count`" }),
  usualMs: orNull(Type.Integer({ description: "how long the job's runs usually take" })),
});
export type Coming = Static<typeof ComingSchema>;

export const DependentsSchema = Type.Object({
  peer: Type.Object({ id: Type.String(), name: Type.String() }),
  jobs: Type.Array(
    Type.Object({
      id: Type.String(),
      nextRun: orNull(Instant),
    }),
    { description: "those that run next come first" },
  ),
  total: Type.Integer({ description: "how many jobs, also those that are not listed" }),
});
export type Dependents = Static<typeof DependentsSchema>;

export const RunningSchema = Type.Object({
  ...RunSchema.properties,
  usualMs: orNull(Type.Integer({ description: "how long the job's runs usually take" })),
});
export type Running = Static<typeof RunningSchema>;

export const WrongJobSchema = Type.Object({
  job: Type.String(),
  state: orNull(Type.Enum(jobStates, { description: "how the job is now; null: it was deleted" })),
  counts: Type.Partial(Type.Object(Object.fromEntries(wrongStates.map((state) => [state, Type.Integer()]))), {
    description: `how many of its ticks ended so; of its last ${wrongCounted} records`,
  }),
  last: RunSchema,
});
export type WrongJob = Static<typeof WrongJobSchema>;

export const ChainSchema = Type.Object({
  jobs: Type.Array(
    Type.Object({
      id: Type.String(),
      state: orNull(Type.Enum(jobStates, { description: "null: there is no such job" })),
      level: Type.Integer({ description: "0 for the job that was asked about, below 0 before it" }),
    }),
  ),
  links: Type.Array(
    Type.Object({
      from: Type.String(),
      to: Type.String(),
      on: Type.String({ description: "success, failure or always" }),
    }),
  ),
  more: Type.Boolean({ description: "the chain has more jobs than are listed" }),
});
export type Chain = Static<typeof ChainSchema>;

/** Ticks shown per job. More makes lists larger; a sparkline has room for about this many. */
export const recentTicks = 24;

export const RecentSchema = Type.Object({
  ticks: Type.Array(
    Type.Object({
      tick: Type.String(),
      state: RunStateSchema,
      ms: orNull(Type.Integer({ description: "how long its run took" })),
      run: orNull(Type.String({ description: "its run; null when none was started" })),
    }),
    {
      description: `the last ticks that ran, were skipped or were missed, newest first; at most ${recentTicks}`,
    },
  ),
  usualMs: orNull(
    Type.Integer({
      description: "the median of how long its last successful runs took; null if there was none",
    }),
  ),
});
export type Recent = Static<typeof RecentSchema>;
