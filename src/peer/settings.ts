/** The settings a peer is started with, including those that only the simulator and tests use, and what core gets of them. */
import type { Settings, State } from "../core/state.ts";
import type { Keys } from "../ports.ts";
import type { Invitation } from "../schema/admission.ts";
import type { PeerId } from "../schema/ids.ts";
import type { Job, Problem } from "../schema/job.ts";
import type { JobTable } from "../table/table.ts";
import type { Codec } from "../wire/codec.ts";
import { signRecord } from "../wire/records.ts";

export interface PeerSettings {
  name: string;
  version: string;
  tags: Readonly<Record<string, string>>;
  /** runs at once */
  capacity: number;
  role: "worker" | "witness";
  /** the limit for records and outputs; Infinity = no limit (retention.ts) */
  historyMaxBytes: number;
  /** the peer that made the cluster key, if it is known: the first voter of the mesh's roster */
  founder: PeerId | undefined;
  /** the invitation with which a person started this life, if there was one */
  invitation?: Invitation | undefined;
  /** the peer got its key in this start: the data folder may be one that another peer has used */
  isNewIdentity?: boolean;
  /** how long runs get to end after `stop`; ms */
  drainMs: number;
  /** version of the time-zone tables */
  tzdata: string;
  /** those of the host's PATH, HOME, LANG, TZ, USER, SHELL and TMPDIR that are set: a job sees no other variable of the host */
  host: Readonly<Record<string, string>>;
  /** why this peer's own limits forbid a job; undefined = they allow it */
  refusal?: (job: Job) => Problem | undefined;
  /** what the program is capable of */
  capabilities: readonly string[];
  /** what jobs may need and this peer's settings or its host don't allow (core/members/equipment.ts); absent = nothing */
  lacks?: readonly string[];
  /** given by the simulator and tests alone: a planted bug, coverage marks, expensive checks, a look inside */
  testing?: Pick<State["settings"], "planted" | "marks" | "checksBook"> & {
    /** fields that a later version adds to each record */
    recordFields?: Readonly<Record<string, unknown>>;
    /** absent = the wire's own */
    codec?: Codec;
    onLive?: (inside: Inside) => void;
  };
}

/** What the simulator and tests may look at. They change it only as another peer could, by `takeEdit`. */
export interface Inside {
  readonly state: Readonly<State>;
  readonly table: JobTable;
  /** takes in an update of the table as if another peer had sent it */
  readonly takeEdit: (update: Uint8Array) => void;
}

export function coreSettings(keys: Keys, settings: PeerSettings, incarnation: number): Settings {
  const { name, version, tags, capacity, role, tzdata, host, founder, invitation } = settings;
  const { capabilities, lacks = [], testing } = settings;
  const { recordFields, onLive: _onLive, codec: _codec, ...probes } = testing ?? {};
  return {
    self: keys.self,
    name,
    version,
    tags,
    capacity,
    role,
    tzdata,
    host,
    incarnation,
    founder,
    invitation,
    capabilities,
    lacks,
    ...probes,
    sign: (record) => signRecord({ ...record, ...recordFields }, keys),
    signText: (bytes) => Buffer.from(keys.sign(bytes)).toString("base64url"),
    verifyText: (peer, bytes, text) => keys.verify(peer, bytes, Buffer.from(text, "base64url")),
  };
}
