/** One peer, and what a person can ask of it. */
import type { JSX } from "preact";
import { Fragment } from "preact";
import { useState } from "preact/hooks";
import { jobLink } from "../../live/address.ts";
import { ask } from "../../live/ask.ts";
import { now } from "../../live/clock.ts";
import { mayEverywhere } from "../../live/me.ts";
import { readPeersAgain, type MeshPeer } from "../../live/mesh.ts";
import { carryOut } from "../../live/receipts.ts";
import type { ComingList } from "../../live/types.ts";
import { Question, StateWord } from "../../parts/parts.tsx";
import { At, Away } from "../../parts/times.tsx";
import { countText, durationText, lacksText, type Tone } from "../../words.ts";

const tones: Readonly<Record<MeshPeer["state"], Tone>> = {
  alive: "good",
  suspect: "odd",
  dead: "bad",
  left: "quiet",
  forgotten: "quiet",
};

/** Clocks this close count as in step. Unit: ms. */
const clockInStepMs = 5;
/** Beyond this, the difference is shown as a fault. Unit: ms. */
const clockWarnedMs = 500;

interface Props {
  peer: MeshPeer;
  coming: ComingList | undefined;
}

export function PeerCard({ peer, coming }: Props): JSX.Element {
  const { id, name, state, self, page } = peer;
  const doing = doingText(peer);
  return (
    <li class="card peer">
      <div class="running-head">
        <h2>{page === null || self ? name : <a href={page}>{name}</a>}</h2>
        <StateWord tone={tones[state]}>{state}</StateWord>
      </div>
      <p class="quiet small mono">
        …{id.slice(-8)}
        {self && " · this peer"}
      </p>
      {doing !== undefined && <p class="odd small">{doing}</p>}
      {state !== "forgotten" && <Facts peer={peer} />}
      {state === "alive" && coming !== undefined && <Without peer={peer} coming={coming} />}
      {mayEverywhere("admin") && <Actions peer={peer} coming={coming} />}
    </li>
  );
}

function doingText({ drained, draining, warmingUp }: MeshPeer): string | undefined {
  if (drained) return "drained: it takes no ticks";
  if (draining) return "stopping";
  return warmingUp ? "warming up" : undefined;
}

function voteText({ voter, votesLost, role }: MeshPeer): string {
  if (votesLost) return "no: its disk lacks votes that it has given";
  if (voter) return "yes";
  return role === "witness" ? "witness, not yet" : "no";
}

function Facts({ peer }: { peer: MeshPeer }): JSX.Element {
  const { state, self, load, capacity, tags, clockOffsetMs, version, lacks, heardAt } = peer;
  const isAlive = state === "alive";
  const shownTags = Object.entries(tags);
  return (
    <dl class="pairs small">
      {isAlive && load !== null && capacity !== null && (
        <>
          <dt>Load</dt>
          <dd>
            {load} of {capacity}
            <span class="progress" aria-hidden="true">
              <i style={{ width: `${Math.min(100, (load / Math.max(1, capacity)) * 100)}%` }} />
            </span>
          </dd>
        </>
      )}
      {!isAlive && heardAt !== null && (
        <>
          <dt>Last heard</dt>
          <dd>
            <Away at={heardAt} />
          </dd>
        </>
      )}
      <dt>Votes</dt>
      <dd>{voteText(peer)}</dd>
      {shownTags.length > 0 && (
        <>
          <dt>Tags</dt>
          <dd>{shownTags.map(([key, value]) => `${key}=${value}`).join(", ")}</dd>
        </>
      )}
      {isAlive && !self && clockOffsetMs !== null && (
        <>
          <dt>Clock</dt>
          <dd class={Math.abs(clockOffsetMs) > clockWarnedMs ? "bad" : ""}>{clockText(clockOffsetMs)}</dd>
        </>
      )}
      {version !== null && (
        <>
          <dt>Version</dt>
          <dd>{version}</dd>
        </>
      )}
      {lacks.length > 0 && (
        <>
          <dt>Lacks</dt>
          <dd>{lacksText(lacks)}</dd>
        </>
      )}
    </dl>
  );
}

function clockText(offsetMs: number): string {
  if (Math.abs(offsetMs) < clockInStepMs) return "in step";
  return `${durationText(offsetMs)} ${offsetMs > 0 ? "ahead" : "behind"}`;
}

const hourMs = 3_600_000;
/** How far ahead the card looks for jobs that only one peer can run. At any time of the day this includes nightly ones. */
export const hoursAhead = 24;
/** … unless so many ticks come before that. */
export const ticksAhead = 1_000;

/** What the peer would run. */
function ofPeer(peer: MeshPeer, { items }: ComingList): ComingList["items"] {
  return items.filter(({ peers, runners }) => peers.slice(0, runners).some(({ id }) => id === peer.id));
}

/** What this peer would run in the next hour, and who would if it were gone. */
function Without({ peer, coming }: { peer: MeshPeer; coming: ComingList }): JSX.Element {
  const hour = now.peek() + hourMs;
  const more = Date.parse(coming.completeUntil) < hour;
  const own = ofPeer(peer, coming).filter(({ startsAt }) => Date.parse(startsAt) <= hour);
  const heirs = new Map<string, number>();
  let alone = 0;
  let stranded = 0;
  for (const { peers, runners } of own) {
    const next = peers[runners];
    if (next !== undefined) heirs.set(next.name, (heirs.get(next.name) ?? 0) + 1);
    else if (runners > 1) alone++;
    else stranded++;
  }
  const fates = [
    ...[...heirs].map(([name, count]) => `${count} on ${name}`),
    ...(alone === 0
      ? []
      : [`${alone} on the other peers alone, which run ${alone === 1 ? "it" : "them"} anyway`]),
    ...(stranded === 0 ? [] : [`${stranded} nowhere`]),
  ];
  return (
    <p class="small without">
      {own.length === 0 ? (
        more ? (
          "It would run none of those ticks of the next hour that are listed; there are more."
        ) : (
          "It would run nothing in the next hour."
        )
      ) : (
        <>
          Next hour: {more && "at least "}
          {countText(own.length, "tick")}. Without it: {fates.join(", ")}.
        </>
      )}{" "}
      <Stranded peer={peer} coming={coming} />
    </p>
  );
}

const jobsNamed = 8;

/** The jobs whose ticks have to wait for this peer. */
function Stranded({ peer, coming }: { peer: MeshPeer; coming: ComingList | undefined }): JSX.Element | null {
  const ticks = coming === undefined ? [] : ofPeer(peer, coming);
  const only = ticks.filter(({ peers, runners }) => runners === 1 && peers.length === 1);
  const jobs = [...new Set(only.map(({ job }) => job))];
  if (jobs.length === 0) return null;
  const others = jobs.length - jobsNamed;
  const last = coming?.items[ticksAhead - 1];
  return (
    <span class="bad">
      {last === undefined ? (
        `In the next ${hoursAhead} h`
      ) : (
        <>
          Until <At at={last.startsAt} />
        </>
      )}{" "}
      nobody else can run{" "}
      {jobs.slice(0, jobsNamed).map((job, index) => (
        <Fragment key={job}>
          {index > 0 && ", "}
          <a href={jobLink(job)}>{job}</a>
        </Fragment>
      ))}
      {others > 0 && ` and ${countText(others, "other job")}`}.
    </span>
  );
}

type Action = "drain" | "undrain" | "promote" | "forget" | "unforget" | "confirm";

const doneWords: Readonly<Record<Action, string>> = {
  drain: "takes no more ticks, until it is undrained",
  undrain: "takes ticks again",
  promote: "is a voter",
  forget: "is forgotten: every peer refuses it from now on",
  unforget: "may come back",
  confirm: "is confirmed",
};

function Actions({ peer, coming }: Props): JSX.Element {
  const [asking, setAsking] = useState<"drain" | "forget" | undefined>();
  const { id, name, state, self, drained, voter, votesLost } = peer;
  const act = (action: Action): void => {
    setAsking(undefined);
    const opposite = action === "drain" ? "undrain" : action === "forget" ? "unforget" : undefined;
    const send = async (what: Action): Promise<void> => {
      await ask(`/v1/peers/${encodeURIComponent(id)}/${what}`, {
        method: "POST",
        ...(what === "forget" ? { body: {} } : {}),
      });
      readPeersAgain();
    };
    void carryOut(async () => {
      await send(action);
      return {
        text: `${name} ${doneWords[action]}.`,
        ...(opposite === undefined ? {} : { undo: () => send(opposite) }),
      };
    });
  };
  if (state === "forgotten") {
    return (
      <div class="actions">
        <button onClick={() => act("unforget")}>Let it back in</button>
      </div>
    );
  }
  return (
    <div class="actions">
      {drained ? (
        <button onClick={() => act("undrain")}>Undrain</button>
      ) : (
        <button onClick={() => setAsking("drain")}>Drain</button>
      )}
      {!voter && !votesLost && state === "alive" && (
        <button onClick={() => act("promote")}>Make a voter</button>
      )}
      {!peer.confirmed && !self && (
        <button
          title="A rotation of the cluster key gives the new key to members that are confirmed"
          onClick={() => act("confirm")}
        >
          Confirm as a member
        </button>
      )}
      {!self && (
        <button class="danger" onClick={() => setAsking("forget")}>
          Forget
        </button>
      )}
      {asking === "drain" && (
        <Question
          title={`Drain ${name}?`}
          no="Cancel"
          yes="Drain it"
          class="primary"
          onClose={() => setAsking(undefined)}
          onYes={() => act("drain")}
        >
          <p>
            It takes no new ticks, even after a restart, until it is undrained. What runs there goes on to its
            end; the others take the ticks that they may run. <Stranded peer={peer} coming={coming} />
          </p>
        </Question>
      )}
      {asking === "forget" && (
        <Question
          title={`Forget ${name}?`}
          no="Keep it"
          yes="Forget it"
          onClose={() => setAsking(undefined)}
          onYes={() => act("forget")}
        >
          <p>
            It is cut off for good: every peer refuses it, and it has no vote. For a peer that is to come
            back, drain it instead. Anyone who had its folder still has the key, so rotate the key afterwards.{" "}
            <Stranded peer={peer} coming={coming} />
          </p>
        </Question>
      )}
    </div>
  );
}
