/**
 * Reports everything as it happens, as server-sent events whose data are CloudEvents (specification 1.0, structured
 * JSON).
 *
 * The names are `cicada.run.STATE`, `cicada.job.written`, `cicada.job.deleted`, the same two of a group, pool, calendar, channel
 * and maintenance, `cicada.peer.STATE` and `cicada.peer.joined`, which each peer reports once for each peer that is new to the
 * mesh. A reader that comes back to the same peer with `Last-Event-ID` gets what has happened meanwhile. If not all of that is
 * known any more, or the reader was too slow, `cicada.events.missed` tells it to read the lists again. A caller that is limited
 * to groups always gets that event instead of what it missed, because nobody can tell any more which past changes it may see.
 *
 * A burst may have more events than a stream keeps for its reader. They are sent as fast as the reader takes them; of those that
 * wait about one run, job or peer, only the last is sent.
 */
import { Type } from "typebox";
import { never } from "../../errors.ts";
import type { Control, PeerEvent } from "../../ports/control.ts";
import { runId } from "../../schema/ids.ts";
import { settingNouns } from "../../schema/setting.ts";
import { own } from "../access/rights.ts";
import type { ScopedControl } from "../access/scoped-control.ts";
import { none } from "../http/checking.ts";
import { eventText, type Stream, type StreamEvent, type Streams } from "../http/streams.ts";
import type { Api, RouteOptions } from "../options.ts";
import { weightOf, type NumberedEvent, type RecentEvents } from "../show/recent-events.ts";
import { showPeer } from "../show/show-peer.ts";
import { showInstant, showRun } from "../show/show-run.ts";

/** How many events a stream is given before its reader has taken the earlier ones, and of which weight together. */
const eventsAtOnce = 200;
const weightAtOnce = 1_048_576;
/** The weight of what may wait for a reader: 80,000 changes of jobs. One that is further behind has missed them. */
const waitingWeight = 16_777_216;

export function eventRoutes(app: Api, { self }: RouteOptions, streams: Streams, recent: RecentEvents): void {
  /** what all streams send of an event */
  const known = new WeakMap<PeerEvent, StreamEvent>();
  const textOf = (number: number, type: string, subject: string, data: unknown): StreamEvent => {
    const id = recent.idOf(number);
    const text = eventText({
      specversion: "1.0",
      id,
      source: `/peers/${self.id}`,
      type,
      subject,
      time: showInstant(Date.now()),
      datacontenttype: "application/json",
      data,
    });
    return { id, event: type, data: text };
  };
  const cloudEvent = ({ event, number }: NumberedEvent, control: Control): StreamEvent => {
    const before = known.get(event);
    if (before !== undefined) return before;
    const { type, subject, data } = describe(event, control);
    const sent = textOf(number, type, subject, data);
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
        headers: Type.Object({
          "last-event-id": Type.Optional(
            Type.String({ description: "the id of the last event of this peer" }),
          ),
        }),
        produces: ["text/event-stream"],
      },
    },
    async (request, reply) => {
      const { control } = request;
      const { "last-event-id": last = "" } = request.headers;
      await streams.carry(reply, (stream) => {
        const feed = new Feed(stream, {
          event: (event) => cloudEvent(event, control),
          missed: (number) =>
            textOf(number, "cicada.events.missed", "events", {
              hint: "Some events were missed. Read the lists again.",
            }),
        });
        const since = last === "" ? [] : missedBy(control, recent, last);
        // This id lets a reader that loses the stream before its first event name where it began.
        if (since === undefined) feed.miss(recent.newest);
        else if (since.length === 0) stream.push({ id: recent.idOf(recent.newest), data: undefined });
        for (const event of since ?? []) feed.take(event);
        const cancel = control.subscribe((event) => feed.take({ event, number: recent.newest }));
        stream.ended.addEventListener("abort", cancel, { once: true });
      });
    },
  );
}

/** What the caller has missed since the event with that id; undefined = that can't be told. */
function missedBy(
  { caller }: ScopedControl,
  recent: RecentEvents,
  last: string,
): NumberedEvent[] | undefined {
  const events = recent.after(last);
  return caller.groups !== undefined && events?.length !== 0 ? undefined : events;
}

interface Texts {
  event(event: NumberedEvent): StreamEvent;
  /** `number`: of the last event that is not sent */
  missed(number: number): StreamEvent;
}

/** Gives a stream its events as fast as its reader takes them. */
class Feed {
  readonly #stream: Stream;
  readonly #texts: Texts;
  /** by what they are about */
  readonly #waiting = new Map<string, NumberedEvent>();
  #waitingWeight = 0;
  /** the last event that was dropped */
  #missed: number | undefined;
  /** what the reader may not have taken yet */
  #given = 0;
  #givenWeight = 0;

  constructor(stream: Stream, texts: Texts) {
    this.#stream = stream;
    this.#texts = texts;
  }

  miss(number: number): void {
    this.#stream.push(this.#texts.missed(number));
  }

  take(next: NumberedEvent): void {
    if (this.#hasRoom) return this.#give(next);
    const subject = subjectOf(next.event);
    const before = this.#waiting.get(subject);
    this.#waitingWeight += weightOf(next.event) - (before === undefined ? 0 : weightOf(before.event));
    this.#waiting.delete(subject);
    this.#waiting.set(subject, next);
    if (this.#waitingWeight <= waitingWeight) return;
    this.#missed = next.number;
    this.#waiting.clear();
    this.#waitingWeight = 0;
  }

  get #hasRoom(): boolean {
    return this.#given < eventsAtOnce && this.#givenWeight < weightAtOnce;
  }

  #give(next: NumberedEvent): void {
    this.#stream.push(this.#texts.event(next));
    this.#givenWeight += weightOf(next.event);
    if (++this.#given === 1) void this.#stream.caughtUp().then(() => this.#giveMore());
  }

  #giveMore(): void {
    this.#given = 0;
    this.#givenWeight = 0;
    if (this.#stream.ended.aborted) return;
    if (this.#missed !== undefined) this.miss(this.#missed);
    this.#missed = undefined;
    for (const [subject, next] of this.#waiting) {
      this.#waiting.delete(subject);
      this.#waitingWeight -= weightOf(next.event);
      this.#give(next);
      if (!this.#hasRoom) return;
    }
  }
}

function subjectOf(event: PeerEvent): string {
  switch (event.kind) {
    case "run":
      return `run/${runId(event.record)}`;
    case "job":
      return `job/${event.id}`;
    case "setting":
      return `${event.setting}/${event.name}`;
    case "member":
      return `peer/${event.member.id}`;
    case "joined":
      return `joined/${event.join.peer}`;
    default:
      return never(event);
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
      return { type: `cicada.${settingNouns[setting]}.${change}`, subject: name, data: { name } };
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
