/**
 * Reports everything as it happens, as server-sent events whose data are CloudEvents (specification 1.0, structured
 * JSON).
 *
 * The names are `cicada.run.STATE`, `cicada.job.written`, `cicada.job.deleted`, `cicada.peer.STATE` and
 * `cicada.peer.joined`, which each peer reports once for each peer that is new to the mesh. Events are not
 * kept for readers that are away. A reader that comes back reads the lists again.
 */
import { never } from "../../errors.ts";
import type { Control, PeerEvent } from "../../ports/control.ts";
import { runId } from "../../schema/ids.ts";
import { own } from "../access/rights.ts";
import { none } from "../http/checking.ts";
import type { Api, RouteOptions } from "../options.ts";
import { showPeer } from "../show/show-peer.ts";
import { showInstant, showRun } from "../show/show-run.ts";
import { eventText, type StreamEvent, type Streams } from "../http/streams.ts";

export function eventRoutes(app: Api, { self }: RouteOptions, streams: Streams): void {
  let count = 0;
  /** what all streams send of the event that was last reported */
  let last: { of: PeerEvent; sent: StreamEvent } | undefined;
  const cloudEvent = (event: PeerEvent, control: Control): StreamEvent => {
    if (last?.of === event) return last.sent;
    const { type, subject, data } = describe(event, control);
    const id = `${Date.now().toString(36)}-${(count++).toString(36)}`;
    const sent = {
      id,
      event: type,
      data: eventText({
        specversion: "1.0",
        id,
        source: `/peers/${self.id}`,
        type,
        subject,
        time: showInstant(Date.now()),
        datacontenttype: "application/json",
        data,
      }),
    };
    last = { of: event, sent };
    return sent;
  };

  app.get(
    "/v1/events",
    {
      config: { right: own("viewer") },
      exposeHeadRoute: false,
      sse: "manual",
      schema: {
        tags: ["events"],
        summary: "Everything as it happens: CloudEvents over server-sent events",
        querystring: none,
        produces: ["text/event-stream"],
      },
    },
    async (request, reply) => {
      await streams.carry(reply, (stream) => {
        const cancel = request.control.subscribe((event) => stream.push(cloudEvent(event, request.control)));
        stream.ended.addEventListener("abort", cancel, { once: true });
      });
    },
  );
}

function describe(event: PeerEvent, control: Control): { type: string; subject: string; data: unknown } {
  switch (event.kind) {
    case "run": {
      // Only all runs of a tick together would show whether this one is a duplicate.
      const run = showRun(event.record, control.view(), false);
      return { type: `cicada.run.${run.state}`, subject: runId(event.record), data: run };
    }
    case "job":
      return { type: `cicada.job.${event.change}`, subject: event.id, data: { id: event.id } };
    case "member":
      return {
        type: `cicada.peer.${event.member.state}`,
        subject: event.member.id,
        data: showPeer(event.member),
      };
    case "joined": {
      const { peer, at, by, name, invitation = null } = event.join;
      const data = { id: peer, name, joinedAt: showInstant(at), invitation, recordedBy: by };
      return { type: "cicada.peer.joined", subject: peer, data };
    }
    default:
      return never(event);
  }
}
