/** How the simulator's client says to a peer what it wishes. */
import type { Command } from "../../ports.ts";
import type { Wish } from "../world/truth.ts";

const by = "client";

export function commandFor(wish: Wish): Command {
  switch (wish.kind) {
    case "put":
      return {
        kind: "put-job",
        mode: "update",
        by,
        spec: {
          id: wish.rules.id,
          schedule: wish.rules.schedule.text,
          command: "true",
          overlap: wish.rules.overlap,
          catchUp: { policy: wish.rules.catchUp.policy, window: `${wish.rules.catchUp.windowMs}ms` },
          // Nothing is pruned, so that the checkers can account for every tick; pruning is the disk contract's.
          keep: { runs: 100_000 },
          ...(wish.rules.partition === undefined ? {} : { partition: wish.rules.partition }),
          ...(wish.rules.peers === undefined ? {} : { target: { peers: [...wish.rules.peers] } }),
        },
      };
    case "delete":
      return { kind: "delete-job", id: wish.id, by };
    case "pause":
      return { kind: "pause-job", id: wish.id, by };
    case "resume":
      return { kind: "resume-job", id: wish.id, by };
    case "run":
      return { kind: "run-job", id: wish.id, by };
  }
}
