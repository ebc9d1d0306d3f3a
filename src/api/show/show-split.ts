/** A split and its story, as the API shows them. */
import { Type, type Static } from "typebox";
import type { View } from "../../ports/control.ts";
import type { PeerId } from "../../schema/ids.ts";
import { RunStateSchema } from "../../schema/run.ts";
import { Instant, orNull, showInstant, showInstantOrNull } from "./show-run.ts";
import type { Split } from "./splits.ts";

export const listedMax = 100;
export const jobsPerPeer = 20;

const Named = { id: Type.String(), name: Type.String() };

export const SplitSchema = Type.Object({
  id: Type.String({ description: "when it began" }),
  from: Instant,
  to: orNull(Type.String({ format: "date-time", description: "null: a peer of it is not heard yet" })),
  apart: Type.Array(
    Type.Object({
      ...Named,
      from: Type.String({ format: "date-time", description: "when it was last heard" }),
      to: orNull(Type.String({ format: "date-time", description: "when it was heard again" })),
      restarted: Type.Boolean({ description: "it was restarted meanwhile" }),
      refused: Type.Boolean({
        description: "its host refuses connections to it, so its process has ended",
      }),
    }),
    {
      description:
        "the peers that the answering one did not hear; whether they heard each other is not known",
    },
  ),
  here: Type.Array(Type.Object(Named), { description: "the peers that it heard, itself first" }),
});
export type ShownSplit = Static<typeof SplitSchema>;

export const StorySchema = Type.Object({
  ...SplitSchema.properties,
  ran: Type.Array(
    Type.Object({
      ...Named,
      here: Type.Boolean({ description: "on the side of the answering peer" }),
      runs: Type.Integer(),
      jobs: Type.Array(Type.Object({ job: Type.String(), runs: Type.Integer() }), {
        description: `the ${jobsPerPeer} that it ran most often`,
      }),
    }),
    { description: "what each peer started during the split" },
  ),
  late: Type.Integer({ description: "runs that were started after it, of ticks that were due in it" }),
  duplicates: Type.Object({
    total: Type.Integer(),
    items: Type.Array(
      Type.Object({
        job: Type.String(),
        tick: Type.String(),
        runs: Type.Array(Type.Object({ run: Type.String(), peer: Type.String(), state: RunStateSchema })),
      }),
    ),
  }),
  gaps: Type.Object(
    {
      total: Type.Integer(),
      items: Type.Array(
        Type.Object({
          job: Type.String(),
          tick: Type.String(),
          ticks: Type.Integer({ description: "how many ticks it stands for, of which this is the last" }),
          state: RunStateSchema,
          reason: orNull(Type.String()),
        }),
      ),
    },
    {
      description:
        "ticks that were due in it and that nobody ran in time, for whatever reason, and runs whose end nobody knows",
    },
  ),
  complete: Type.Boolean({
    description: "false: there are more records than were read for it, and these are the latest",
  }),
});
export type ShownSplitStory = Static<typeof StorySchema>;

export function showSplit({ from, to, apart, here }: Split, view: View): ShownSplit {
  return {
    id: showInstant(from),
    from: showInstant(from),
    to: showInstantOrNull(to),
    apart: apart
      .map(({ peer, restarted, refused, ...one }) => ({
        ...named(peer, view),
        from: showInstant(one.from),
        to: showInstantOrNull(one.to),
        restarted,
        refused,
      }))
      .toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    here: here.map((peer) => named(peer, view)),
  };
}

export function named(id: PeerId, { members }: View): { id: PeerId; name: string } {
  return { id, name: members.find((member) => member.id === id)?.name ?? id.slice(-8) };
}
