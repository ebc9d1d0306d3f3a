/** Starts the real peer, as `cicada start` does, behind simulated doors. */
import { Peer } from "../../peer/peer.ts";
import type { Inside } from "../../peer/settings.ts";
import { assert } from "../../errors.ts";
import type { Doors } from "../../ports.ts";
import type { JobId, PeerId } from "../../schema/ids.ts";
import { ownCapabilities } from "../../schema/protocol.ts";
import { simCodec } from "../mesh/codec.ts";
import { needsText } from "../client/later-jobs.ts";
import { laterRecordFields, laterSpeech } from "./later-speech.ts";
import type { PeerTraits, SimulatedPeer } from "./settings.ts";

const settings = {
  version: "simulated",
  drainMs: 30_000,
  tzdata: "simulated",
  host: {},
} as const;

/** The world's first peer is the one that made the cluster key; the others learn of it from the mesh. */
const founder = "peer-1" as PeerId;

/**
 * Conditions that a peer may rightly report after a copied identity, a restored disk, or the loss of its voters. They
 * stay until a person acts.
 */
const lasting: ReadonlySet<string> = new Set(["duplicate-identity", "votes-lost", "no-quorum"]);

export function startRealPeer(
  doors: Doors,
  name: string,
  {
    role,
    capacity,
    tags = {},
    historyMaxBytes = Infinity,
    capabilities = ownCapabilities,
    isLater = false,
    ...testing
  }: PeerTraits,
): SimulatedPeer {
  const known = doors.keys.self === founder ? { founder } : { founder: undefined };
  let seen: Inside | undefined;
  const inside = (): Inside => {
    assert(seen !== undefined, `${name} has booted`);
    return seen;
  };
  const traits = { role, capacity, tags, historyMaxBytes, capabilities };
  const spoken = isLater ? { ...doors, mesh: laterSpeech(doors.mesh, doors.keys) } : doors;
  const more = isLater ? { recordFields: laterRecordFields } : {};
  const peer = new Peer(spoken, {
    ...settings,
    ...known,
    ...traits,
    name,
    testing: { ...testing, ...more, codec: simCodec, checksBook: true, onLive: (live) => (seen = live) },
  });
  return {
    start: (ready) => peer.start((error) => ready(error?.message)),
    stop: (done) => peer.stop(done),
    command: (command, answer) => peer.command(command, answer),
    revisions: () =>
      new Map<JobId, string>([...inside().table.jobs()].map(([id, job]) => [id, job.revision])),
    needs: () =>
      new Map<JobId, string>([...inside().table.jobs()].map(([id, { needs }]) => [id, needsText(needs)])),
    takeEdit: (update) => inside().takeEdit(update),
    complaint: () => {
      const { quarantined } = peer.status.view();
      const reasons = peer.status.notReady().filter((code) => !lasting.has(code));
      return reasons[0] ?? quarantined[0]?.problems[0]?.message;
    },
    sizes: () => peer.status.sizes(),
    idleUntil: () => peer.status.idleUntil(),
    leapt: (ms) => peer.leapt(ms),
    authority: () => {
      const { epochs } = peer.status.sizes();
      return `table ${inside().table.digest()}, ${epochs} epochs`;
    },
  };
}
