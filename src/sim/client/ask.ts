/** A client of one peer's API: it sends a request to the peer and notes the answer and its time. */
import type { Answer, Command } from "../../ports/command.ts";
import type { PeerId } from "../../schema/ids.ts";
import { checkedJob } from "../../core/checks/job.ts";
import type { JobSpec } from "../../schema/job.ts";
import type { Hosts } from "../world/hosts.ts";
import type { Queue } from "../world/queue.ts";
import { calendarName, groupName } from "../world/shared-changes.ts";
import type { Process } from "../world/process.ts";
import { jobOf, type ClientRequest, type JobRules, type Operation } from "../world/requests.ts";
import type { Observers } from "../world/watched-doors.ts";
import { worldScript } from "../scripts.ts";
import { worldSecret } from "../secrets.ts";
import type { SimpleSchedule } from "./schedules.ts";

const by = "client";
const channelName = "people";
/** The simulated Notifier takes every notice, wherever it is to go. */
const channel = { type: "webhook", url: "http://people.example/" } as const;
const notify = [{ on: ["failed"], to: [channelName] }] satisfies JobSpec["notify"];
/** How often the client checks whether an edit that it handed over is on the disk. */
const handedCheckMs = 50;

export class Client {
  readonly #queue: Queue;
  readonly #hosts: Hosts;
  readonly #observers: Observers;

  constructor(queue: Queue, hosts: Hosts, observers: Observers) {
    this.#queue = queue;
    this.#hosts = hosts;
    this.#observers = observers;
  }

  /** Sends a request. A dead or paused peer doesn't answer. */
  ask(peer: PeerId, request: ClientRequest): Operation {
    const { chronicle } = this.#observers;
    const operation: Operation = {
      request,
      peer,
      askedAt: chronicle.now(),
      answeredAt: undefined,
      accepted: false,
      tick: undefined,
    };
    chronicle.operations.push(operation);
    chronicle.changed();
    const life = this.#hosts.get(peer).life;
    if (life === undefined || !life.ready) {
      operation.answeredAt = chronicle.now();
      return operation;
    }
    const everybody = this.#hosts.all().map(({ peer: one }) => one);
    this.#queue.after(0, life.process, () => {
      life.peer.command(commandFor(request, everybody, operation.askedAt), (answer) =>
        this.#answered(operation, answer),
      );
    });
    return operation;
  }

  /** Hands an edit to the peer as if it came from another peer. It counts as made once the peer has it on its disk. */
  handEdit(peer: PeerId, request: ClientRequest, update: Uint8Array): void {
    const { chronicle } = this.#observers;
    const { life, storage } = this.#hosts.get(peer);
    if (life === undefined || !life.ready) return;
    const [askedAt, stored] = [chronicle.now(), storage.updates.length];
    const operation = { request, peer, askedAt, answeredAt: undefined, accepted: false, tick: undefined };
    chronicle.operations.push(operation);
    chronicle.changed();
    this.#queue.after(0, life.process, () => life.peer.takeEdit?.(update));
    const check = (): void => {
      if (storage.updates.length === stored) return this.#checkAgain(life.process, check);
      Object.assign(operation, { answeredAt: chronicle.now(), accepted: true });
    };
    check();
  }

  #checkAgain(process: Process, check: () => void): void {
    this.#queue.after(handedCheckMs, process, check);
  }

  #answered(operation: Operation, answer: Answer): void {
    const { chronicle, occasions } = this.#observers;
    const { peer, request } = operation;
    // A change that couldn't be stored may still be in force: its undoing isn't promised.
    const unclear = answer.kind === "refused" && answer.error.code === "DISK_FAILED";
    if (!unclear) operation.answeredAt = chronicle.now();
    operation.accepted = answer.kind !== "refused";
    if (operation.accepted) occasions.happens("confirmed", peer);
    if (answer.kind === "ordered") operation.tick = answer.tick;
    if (answer.kind === "refused") operation.refusal = answer.error.code;
    const refusal = answer.kind === "refused" ? `: ${answer.error.message}` : "";
    const about = "target" in request ? request.target : jobOf(request);
    chronicle.line(peer, `ANSWERED ${request.kind} ${about} ${answer.kind}${refusal}`);
  }
}

function commandFor(request: ClientRequest, everybody: readonly PeerId[], askedAt: number): Command {
  switch (request.kind) {
    case "put":
      return {
        kind: "put-job",
        mode: "replace",
        by,
        spec: checkedJob(specFor(request.rules)),
      };
    case "delete":
      return { kind: "delete-job", id: request.id, by };
    case "pause":
      return {
        kind: "pause-job",
        id: request.id,
        ...(request.forMs === undefined ? {} : { until: Math.ceil(askedAt + request.forMs) }),
        by,
      };
    case "resume":
      return { kind: "resume-job", id: request.id, by };
    case "skip":
      return { kind: "skip-ticks", id: request.id, which: { tick: request.tick }, by };
    case "unskip":
      return { kind: "unskip-ticks", id: request.id, which: { tick: request.tick }, by };
    case "run":
      return { kind: "run-job", id: request.id, by };
    case "backfill":
      return { kind: "backfill-job", id: request.id, ticks: request.ticks, by };
    case "cancel":
      return { kind: "cancel-run", run: `${request.id}@${request.tick}`, reason: "", by };
    case "maintain": {
      const [from, to] = [request.from, request.to].map((instant) => new Date(instant).toISOString());
      return { kind: "put-setting", setting: "maintenance", name: "upgrade", value: { from, to }, by };
    }
    case "pool":
      return {
        kind: "put-setting",
        setting: "pools",
        name: request.name,
        value: { slots: request.slots },
        by,
      };
    case "secret": {
      const value = {
        version: Math.round(askedAt),
        box: Buffer.from(`value of ${askedAt}`).toString("base64url"),
        keys: Object.fromEntries(request.peers.map((peer) => [peer, peer])),
      };
      return { kind: "put-setting", setting: "secrets", name: worldSecret, value, by };
    }
    case "group": {
      const value = { overlap: request.overlap, catchUp: catchUpOf(request) };
      return { kind: "put-setting", setting: "groups", name: groupName, value, by };
    }
    case "calendar": {
      const spans = request.spans.map((span) =>
        [span.from, span.to].map((at) => new Date(at).toISOString().replace(".000", "")).join("/"),
      );
      const value = { ical: "as expanded", expanded: { days: [], floating: [], spans } };
      return { kind: "put-setting", setting: "calendars", name: calendarName, value, by };
    }
    case "drain":
      return { kind: "drain-peer", peer: request.target, on: request.on, by };
    case "promote":
      return { kind: "promote-peer", peer: request.target, by };
    case "forget":
      return { kind: "forget-peer", peer: request.target, by, force: request.force ?? false };
    case "unforget":
      return { kind: "unforget-peer", peer: request.target, by };
    case "channel":
      return {
        kind: "set-value",
        root: "channels",
        id: channelName,
        value: { ...channel, ...request.more },
        by,
      };
    case "rotate":
      return { kind: "rotate-key", graceMs: request.graceMs, accept: everybody, by };
  }
}

/** The job that is to have these rules. */
export function specFor(rules: JobRules): JobSpec {
  const { id, schedule, jitterMs, overlap, enabled, partition, retry, weight, skips } = rules;
  const { pauseAfterFailures, after } = rules;
  return {
    id,
    ...(after === undefined
      ? { schedule: schedule.text }
      : { after: { jobs: [...after.jobs], on: after.on } }),
    ...actionOf(rules),
    ...secretsOf(rules),
    ...(rules.group === true ? { group: groupName } : { overlap, catchUp: catchUpOf(rules) }),
    keep: keepOf(rules),
    ...scheduleFields(schedule),
    ...(jitterMs === undefined ? {} : { jitter: `${jitterMs}ms` }),
    ...(enabled === undefined ? {} : { enabled }),
    ...(partition === undefined ? {} : { partition }),
    ...(retry === undefined ? {} : { retry: retrySpec(retry) }),
    ...(pauseAfterFailures === undefined ? {} : { pauseAfterFailures }),
    ...(rules.pool === undefined ? {} : { pool: rules.pool.name }),
    ...targetOf(rules),
    ...(rules.notifies === true ? { notify } : {}),
    ...(weight === undefined ? {} : { weight }),
    ...(skips === undefined ? {} : { success: { skipCodes: [1] } }),
    ...(rules.prechecks === undefined ? {} : { precheck: { command: "true" } }),
    ...(rules.patterns === undefined ? {} : { success: { mustMatch: "ok" } }),
  };
}

function catchUpOf({ catchUp }: Pick<JobRules, "catchUp">): NonNullable<JobSpec["catchUp"]> {
  return { policy: catchUp.policy, window: `${catchUp.windowMs}ms` };
}

function secretsOf({ secret }: JobRules): Pick<JobSpec, "secrets"> {
  return secret === true ? { secrets: [worldSecret] } : {};
}

function actionOf({ requests, script }: JobRules): Pick<JobSpec, "http" | "script" | "command"> {
  if (requests === true) return { http: { url: "http://service.example/" } };
  return script === true ? { script: worldScript.use } : { command: "true" };
}

function targetOf({ peers, taggedSide, preferredSide, count, onAll }: JobRules): Pick<JobSpec, "target"> {
  const { offlineMs = 0, rolling } = onAll ?? {};
  const target = {
    ...(peers === undefined || taggedSide !== undefined ? {} : { peers: [...peers] }),
    ...(taggedSide === undefined ? {} : { tags: { side: taggedSide } }),
    ...(count === undefined ? {} : { count }),
    ...(onAll === undefined ? {} : { count: "all" as const, offline: `${offlineMs}ms` }),
    ...(rolling === undefined
      ? {}
      : {
          rolling: { max: rolling.max, pause: `${rolling.pauseMs}ms`, stopAfter: rolling.stopAfter },
        }),
    ...(preferredSide === undefined ? {} : { prefer: { tags: { side: preferredSide } } }),
  };
  return Object.keys(target).length === 0 ? {} : { target };
}

/** Without `keep` nothing is pruned, so that the checkers can account for every tick. */
function keepOf({ keep }: JobRules): NonNullable<JobSpec["keep"]> {
  return keep === undefined ? { runs: 100_000 } : { runs: keep.runs, age: `${keep.ageMs}ms` };
}

function scheduleFields({ timezone, startsAt, endsAt, except }: SimpleSchedule): Partial<JobSpec> {
  return {
    ...(timezone === undefined ? {} : { timezone }),
    ...(startsAt === undefined ? {} : { startsAt: new Date(startsAt).toISOString() }),
    ...(endsAt === undefined ? {} : { endsAt: new Date(endsAt).toISOString() }),
    ...(except === undefined ? {} : { except: [...except.texts] }),
  };
}

/** Pauses that grow beyond the default's longest are allowed to. */
function retrySpec({ attempts, backoffMs }: NonNullable<JobRules["retry"]>): NonNullable<JobSpec["retry"]> {
  const isLong = backoffMs * 2 ** (attempts - 1) > 600_000;
  return { attempts, backoff: `${backoffMs}ms`, ...(isLong ? { maxBackoff: "1d" } : {}) };
}
