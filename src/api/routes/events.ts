/**
 * Reports everything as it happens, as server-sent events whose data are CloudEvents (specification 1.0, structured
 * JSON).
 *
 * The names are `cicada.run.STATE`, `cicada.job.written`, `cicada.job.deleted`, the same two of a group, pool, calendar, channel
 * and maintenance, `cicada.peer.STATE` and `cicada.peer.joined`, which each peer reports once for each peer that is new to the
 * mesh. Events are not kept for readers that are away. A reader that comes back reads the lists again.
 *
 * One edit, or one update of the table, may change more jobs than a stream keeps for its reader. Changes of the table are sent as
 * fast as the reader takes them; only the last of those of a job that wait is sent.
 */
import { never } from "../../errors.ts";
import type { Control, PeerEvent } from "../../ports/control.ts";
import { runId } from "../../schema/ids.ts";
import type { ReportedKind } from "../../schema/setting.ts";
import { own } from "../access/rights.ts";
import { none } from "../http/checking.ts";
import type { Api, RouteOptions } from "../options.ts";
import { showPeer } from "../show/show-peer.ts";
import { showInstant, showRun } from "../show/show-run.ts";
import { eventText, type Stream, type StreamEvent, type Streams } from "../http/streams.ts";

/** How many changes of the table a stream is given before its reader has taken the earlier ones. */
const changesAtOnce = 200;
/** How many things' changes may wait for a reader. One that is further behind is cut off, as with other events. */
const changesWaiting = 100_000;

export function eventRoutes(app: Api, { self }: RouteOptions, streams: Streams): void {
  let count = 0;
  /** what all streams send of an event */
  const known = new WeakMap<PeerEvent, StreamEvent>();
  const cloudEvent = (event: PeerEvent, control: Control): StreamEvent => {
    const before = known.get(event);
    if (before !== undefined) return before;
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
    known.set(event, sent);
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
        const push = (event: PeerEvent): void => stream.push(cloudEvent(event, request.control));
        const changes = new TableChanges(stream, push);
        const cancel = request.control.subscribe((event) =>
          event.kind === "job" || event.kind === "setting" ? changes.take(event) : push(event),
        );
        stream.ended.addEventListener("abort", cancel, { once: true });
      });
    },
  );
}

type TableChange = Extract<PeerEvent, { kind: "job" | "setting" }>;

const nouns: Readonly<Record<ReportedKind, string>> = {
  calendars: "calendar",
  channels: "channel",
  groups: "group",
  maintenance: "maintenance",
  pools: "pool",
};

/** Gives a stream the changes of the table as fast as its reader takes them. */
class TableChanges {
  readonly #stream: Stream;
  readonly #push: (event: TableChange) => void;
  /** by what has changed */
  readonly #waiting = new Map<string, TableChange>();
  /** how many the reader may not have taken yet */
  #given = 0;

  constructor(stream: Stream, push: (event: TableChange) => void) {
    this.#stream = stream;
    this.#push = push;
  }

  take(event: TableChange): void {
    if (this.#given < changesAtOnce) return this.#give(event);
    const subject = event.kind === "job" ? event.id : `${event.setting}/${event.name}`;
    this.#waiting.delete(subject);
    this.#waiting.set(subject, event);
    if (this.#waiting.size > changesWaiting) this.#stream.end();
  }

  #give(event: TableChange): void {
    this.#push(event);
    if (++this.#given === 1) void this.#stream.caughtUp().then(() => this.#giveMore());
  }

  #giveMore(): void {
    this.#given = 0;
    if (this.#stream.ended.aborted) return;
    for (const [subject, event] of this.#waiting) {
      this.#waiting.delete(subject);
      this.#give(event);
      if (this.#given === changesAtOnce) return;
    }
  }
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
    case "setting": {
      const { setting, name, change } = event;
      return { type: `cicada.${nouns[setting]}.${change}`, subject: name, data: { name } };
    }
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
