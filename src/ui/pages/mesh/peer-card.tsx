/** One peer, and what a person can ask of it. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { ask } from "../../live/ask.ts";
import { mayEverywhere } from "../../live/me.ts";
import { readPeersAgain, type MeshPeer } from "../../live/mesh.ts";
import { carryOut } from "../../live/receipts.ts";
import type { ComingList, Dependents } from "../../live/types.ts";
import { Question, StateWord } from "../../parts/parts.tsx";
import { Away } from "../../parts/times.tsx";
import { durationText, lacksText, type Tone } from "../../words.ts";
import { Stranded, Without } from "./without.tsx";

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
  /** undefined until they are known */
  coming: ComingList | undefined;
  dependents: readonly Dependents[] | undefined;
}

export function PeerCard({ peer, coming, dependents }: Props): JSX.Element {
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
      {state === "alive" && <Without peer={peer} coming={coming} dependents={dependents} />}
      {mayEverywhere("admin") && <Actions peer={peer} dependents={dependents} />}
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

type Action = "drain" | "undrain" | "promote" | "forget" | "unforget" | "confirm";

const doneWords: Readonly<Record<Action, string>> = {
  drain: "takes no more ticks, until it is undrained",
  undrain: "takes ticks again",
  promote: "is a voter",
  forget: "is forgotten: every peer refuses it from now on",
  unforget: "may come back",
  confirm: "is confirmed",
};

function actOn({ id, name }: MeshPeer, action: Action): void {
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
}

type Asked = "drain" | "forget";

function Actions({ peer, dependents }: Omit<Props, "coming">): JSX.Element {
  const [asking, setAsking] = useState<Asked | undefined>();
  const { state, self, drained, voter, votesLost } = peer;
  const act = (action: Action): void => {
    setAsking(undefined);
    actOn(peer, action);
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
      {asking !== undefined && (
        <Confirm
          asking={asking}
          peer={peer}
          dependents={dependents}
          onClose={() => setAsking(undefined)}
          onYes={() => act(asking)}
        />
      )}
    </div>
  );
}

interface ConfirmProps extends Omit<Props, "coming"> {
  asking: Asked;
  onClose: () => void;
  onYes: () => void;
}

function Confirm({ asking, peer, dependents, onClose, onYes }: ConfirmProps): JSX.Element {
  const handlers = { onClose, onYes };
  const stranded = <Stranded peer={peer} dependents={dependents} />;
  return asking === "drain" ? (
    <Question title={`Drain ${peer.name}?`} no="Cancel" yes="Drain it" class="primary" {...handlers}>
      <p>
        It takes no new ticks, even after a restart, until it is undrained. Its runs may finish; the others
        take the ticks that they may run. {stranded}
      </p>
    </Question>
  ) : (
    <Question title={`Forget ${peer.name}?`} no="Keep it" yes="Forget it" {...handlers}>
      <p>
        It is cut off for good: every peer refuses it, and it has no vote. For a peer that is to come back,
        drain it instead. Anyone who had its folder still has the key, so rotate the key afterwards.{" "}
        {stranded}
      </p>
    </Question>
  );
}
