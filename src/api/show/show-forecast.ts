/** What is answered about the days to come. */
import { Type, type Static } from "typebox";
import { Instant } from "./show-run.ts";

/** Jobs that are counted: about 15 s of work if each runs every 15 minutes, and the page waits 30 s for an answer. */
export const jobsMost = 5_000;
export const peersMost = 100;
export const collisionsMost = 500;
export const jobsNamed = 5;

const perHour = (description: string) => Type.Array(Type.Number(), { description });

export const ForecastSchema = Type.Object({
  from: Type.String({
    format: "date-time",
    description: "where the first hour begins, which is the current one",
  }),
  computedAt: Instant,
  complete: Type.Boolean({
    description: "false, with soFar only: jobs are still being counted; quiet and collisions come at the end",
  }),
  hours: Type.Integer(),
  ticks: perHour("by hour: ticks of all jobs; of the first hour, those that are still to come"),
  unplaced: perHour("by hour: those of them that no living peer could run"),
  peers: Type.Array(
    Type.Object({
      id: Type.String(),
      name: Type.String(),
      runs: perHour("by hour: runs that would begin there; where ticks are many, on average"),
      busyMs: perHour("by hour: how long runs would take in all; 3,600,000 = one all the time"),
    }),
    { description: `the peers that would run something, at most ${peersMost}` },
  ),
  morePeers: Type.Boolean(),
  collisions: Type.Array(
    Type.Object({
      pool: Type.String(),
      slots: Type.Integer(),
      at: Type.String({ format: "date-time", description: "the hour" }),
      wanted: Type.Integer({ description: "the most runs that would want a slot at once" }),
      jobs: Type.Array(Type.String(), { description: `at most ${jobsNamed}` }),
      moreJobs: Type.Boolean(),
    }),
    {
      description: `hours in which the jobs that the caller sees want more of a pool than it has, soonest first; at most ${collisionsMost}`,
    },
  ),
  moreCollisions: Type.Boolean({
    description: "there are more, or so many ticks of jobs with pools that not all were looked at",
  }),
  quiet: Type.Array(
    Type.Object({ from: Instant, hours: Type.Integer(), runs: Type.Number(), busyMs: Type.Number() }),
    { description: "the longest stretches of the quietest hours" },
  ),
  jobs: Type.Object({
    counted: Type.Integer({ description: "jobs with a schedule, whose ticks are counted here" }),
    uncounted: Type.Integer({ description: "those that are not counted yet" }),
    unknownDuration: Type.Integer({
      description: "jobs with ticks of which no run has succeeded: their load is counted as none",
    }),
    unscheduled: Type.Integer({
      description: "jobs that run by hand or after others: when isn't known, so they are not counted",
    }),
    beyond: Type.Integer({ description: `jobs beyond the first ${jobsMost}, which are not counted` }),
  }),
});
export type ShownForecast = Static<typeof ForecastSchema>;
