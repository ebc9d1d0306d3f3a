/** How the simulator's client says to a peer what it requests. */
import type { Command } from "../../ports.ts";
import type { ClientRequest } from "../world/truth.ts";

const by = "client";

export function commandFor(request: ClientRequest): Command {
  switch (request.kind) {
    case "put":
      return {
        kind: "put-job",
        mode: "update",
        by,
        spec: {
          id: request.rules.id,
          schedule: request.rules.schedule.text,
          command: "true",
          overlap: request.rules.overlap,
          catchUp: { policy: request.rules.catchUp.policy, window: `${request.rules.catchUp.windowMs}ms` },
          // Nothing is pruned, so that the checkers can account for every tick; pruning is the disk contract's.
          keep: { runs: 100_000 },
          ...(request.rules.partition === undefined ? {} : { partition: request.rules.partition }),
          ...(request.rules.peers === undefined ? {} : { target: { peers: [...request.rules.peers] } }),
        },
      };
    case "delete":
      return { kind: "delete-job", id: request.id, by };
    case "pause":
      return { kind: "pause-job", id: request.id, by };
    case "resume":
      return { kind: "resume-job", id: request.id, by };
    case "run":
      return { kind: "run-job", id: request.id, by };
  }
}
