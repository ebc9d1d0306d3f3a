/**
 * Says what a command is about, as the audit keeps it: which object it concerns, and the fields that it changes, before and
 * after. No secret gets in: tokens, channels and environments are kept as the API shows them.
 */
import type { Change, Command } from "../../ports/command.ts";
import { isRevocation, isTokenEntry } from "../../schema/access.ts";
import { auditValueMax, type AuditAction, type AuditEntry } from "../../schema/audit.ts";
import { checkChannel, withoutSecrets } from "../../schema/channel.ts";
import { sameValue } from "../../schema/equal.ts";
import { parseRunReference, type JobId } from "../../schema/ids.ts";
import { defaultGroup } from "../../schema/job-vocabulary.ts";
import { settingNouns, type SettingKind } from "../../schema/setting.ts";
import { groupOfJob, groupOfMaintenance, withOneView, type Ground } from "./judge.ts";

export type Trail = Pick<AuditEntry, "kind" | "name" | "job" | "group" | "before" | "after"> & {
  readonly action: AuditAction;
};
type Fields = Readonly<Record<string, unknown>>;

/** One for each thing that the command would change; read before it is carried out. */
export function trailsOf(command: Command, ground: Ground): Trail[] {
  switch (command.kind) {
    case "put-job":
      return putTrail(command.spec, ground);
    case "patch-job": {
      const before = specOf(command.id, ground) ?? {};
      const was = Object.fromEntries(
        Object.keys(command.patch).map((field) => [field, before[field] ?? null]),
      );
      return [
        { ...jobTrail("patch-job", command.id, ground), before: brief(was), after: brief(command.patch) },
      ];
    }
    case "delete-job":
      return [deletionTrail(command.id, ground)];
    case "run-job": {
      const { params = {}, env = {}, force, peers } = command;
      const after = { params: Object.keys(params), env: Object.keys(env), force, peers };
      return [{ ...jobTrail(command.kind, command.id, ground), after: brief(after) }];
    }
    case "backfill-job": {
      const after = { ticks: command.ticks.length, force: command.force };
      return [{ ...jobTrail(command.kind, command.id, ground), after: brief(after) }];
    }
    case "pause-job":
    case "resume-job":
    case "skip-ticks":
    case "unskip-ticks": {
      const { kind, id, by: _, ...after } = command;
      return [{ ...jobTrail(kind, id, ground), after: brief(after) }];
    }
    case "cancel-run": {
      const job = parseRunReference(command.run)?.job;
      const ofJob = job === undefined ? {} : withoutNames(jobTrail(command.kind, job, ground));
      const { kind: action, run: name, reason } = command;
      return [{ ...ofJob, action, kind: "run", name, ...(reason === "" ? {} : { after: { reason } }) }];
    }
    case "set-value":
      return valueTrail(command.root, command.id, command.value, ground);
    case "put-setting":
      return [settingTrail(command.setting, command.name, command.value, ground)];
    case "remove-setting":
      return [settingTrail(command.setting, command.name, null, ground)];
    case "apply": {
      if (command.dryRun === true) return [];
      const now = withOneView(ground);
      return command.changes.flatMap((change) => changeTrail(change, now));
    }
    case "promote-peer":
    case "forget-peer":
    case "unforget-peer":
    case "confirm-peer": {
      const { kind, peer, by: _, ...after } = command;
      return [{ action: kind, kind: "peer", name: peer, after }];
    }
    case "drain-peer":
      return [
        {
          action: command.on ? "drain-peer" : "undrain-peer",
          kind: "peer",
          name: command.peer,
          after: { on: command.on },
        },
      ];
    case "rotate-key": {
      const { graceMs, without = [], accept = [] } = command;
      return [
        {
          action: command.kind,
          kind: "key",
          name: "cluster key",
          after: brief({ graceMs, without, accept }),
        },
      ];
    }
  }
}

function changeTrail(change: Change, ground: Ground): Trail[] {
  switch (change.kind) {
    case "job":
      return putTrail(change.spec, ground);
    case "no-job":
      return [deletionTrail(change.id, ground)];
    case "setting":
      return [settingTrail(change.setting, change.name, change.value, ground)];
    case "value":
      return valueTrail(change.root, change.id, change.value, ground);
  }
}

function specOf(id: JobId, ground: Ground): Fields | undefined {
  const job = ground.view().jobs.get(id);
  return job === undefined ? undefined : { ...(job.written ?? job.spec) };
}

function jobTrail(action: AuditAction, id: JobId, ground: Ground): Trail {
  const job = ground.view().jobs.get(id);
  return { action, kind: "job", name: id, job: id, ...(job === undefined ? {} : { group: groupOfJob(job) }) };
}

function withoutNames({ job, group }: Trail): Pick<Trail, "job" | "group"> {
  return { ...(job === undefined ? {} : { job }), ...(group === undefined ? {} : { group }) };
}

/** None if the job is so already. */
function putTrail(spec: { id: JobId; group?: string }, ground: Ground): Trail[] {
  const before = specOf(spec.id, ground);
  const { id, group = defaultGroup } = spec;
  const trail: Trail = { ...jobTrail("put-job", id, ground), group };
  if (before === undefined) return [{ ...trail, after: brief({ ...spec }) }];
  const changed = changedFields(before, { ...spec });
  return changed === undefined ? [] : [{ ...trail, ...changed }];
}

function deletionTrail(id: JobId, ground: Ground): Trail {
  return { ...jobTrail("delete-job", id, ground), before: brief(specOf(id, ground) ?? {}) };
}

function settingTrail(setting: SettingKind, name: string, value: unknown, ground: Ground): Trail {
  const before = ground.settings(setting).get(name);
  const group =
    setting === "groups" ? name : setting === "maintenance" ? groupOfMaintenance(value ?? before) : undefined;
  return {
    action: value === null ? "remove-setting" : "put-setting",
    kind: settingNouns[setting],
    name,
    ...(group === undefined ? {} : { group }),
    ...(before === undefined ? {} : { before: brief(before) }),
    ...(value === null ? {} : { after: brief(value) }),
  };
}

function valueTrail(root: string, id: string, value: unknown, ground: Ground): Trail[] {
  const before = ground.values(root).get(id);
  if (root === "channels") {
    const trail = {
      action: value === null ? "remove-channel" : "put-channel",
      kind: "channel",
      name: id,
    } as const;
    return [{ ...trail, ...shown("before", shownChannel(before)), ...shown("after", shownChannel(value)) }];
  }
  // These get no entry of their own: a source's mark changes with its object, and a revoked token's value is removed with its
  // revocation.
  if (root !== "tokens" || value === null) return [];
  if (isRevocation(id)) {
    const revoked = ground.values(root).get(id.slice(0, id.indexOf(".")));
    const name = isTokenEntry(revoked) ? revoked.name : id;
    return [{ action: "revoke-token", kind: "token", name, ...shown("before", shownToken(revoked)) }];
  }
  const name = isTokenEntry(value) ? value.name : id;
  const action = before === undefined ? "create-token" : "change-token";
  const changes = { ...shown("before", shownToken(before)), ...shown("after", shownToken(value)) };
  return [{ action, kind: "token", name, ...changes }];
}

function shown(when: "before" | "after", value: unknown): Partial<Trail> {
  return value === undefined ? {} : { [when]: brief(value) };
}

function shownChannel(value: unknown): unknown {
  const checked = checkChannel(value);
  return checked.ok ? withoutSecrets(checked.channel) : undefined;
}

function shownToken(value: unknown): unknown {
  if (!isTokenEntry(value)) return undefined;
  const { hash: _, ...rest } = value;
  return rest;
}

/** The fields that differ; undefined = none. */
function changedFields(before: Fields, after: Fields): Pick<Trail, "before" | "after"> | undefined {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  const changed = names.filter((name) => !sameValue(before[name], after[name]));
  if (changed.length === 0) return undefined;
  const of = (fields: Fields): Fields =>
    Object.fromEntries(changed.map((name) => [name, fields[name] ?? null]));
  return { before: brief(of(before)), after: brief(of(after)) };
}

/** The value, or how long it would be: the audit has room for a number of entries of limited size. */
function brief(value: unknown): unknown {
  const { length } = JSON.stringify(value);
  return length <= auditValueMax ? value : { leftOut: `${length} characters` };
}
