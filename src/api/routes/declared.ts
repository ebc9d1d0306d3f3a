/**
 * The whole table, declaratively: `export` shows it as objects, and `apply` makes it what a set of objects says, all or nothing.
 */
import { Type, type Static } from "typebox";
import { CicadaError } from "../../errors.ts";
import type { Control } from "../../ports/control.ts";
import { checkChannel } from "../../schema/channel.ts";
import type { JobId } from "../../schema/ids.ts";
import { objectKinds, objectsMax, sourceDefault, sourcePattern } from "../../schema/declared.ts";
import { Present, readObjects, settingOf } from "../declared/objects.ts";
import { planOf, type Plan } from "../declared/plan.ts";
import { own } from "../access/rights.ts";
import { ask } from "../http/answers.ts";
import { closed, none } from "../http/checking.ts";
import type { Api, RouteOptions } from "../options.ts";
import { concernedBy, emptyGroupOf, foreignChildren, warnedMax, warningsAbout } from "../show/warnings.ts";
import { missingSecrets } from "../show/secret-holders.ts";
import { orNull } from "../show/show-run.ts";

const tags = ["declared"];
/** Objects of 4 KiB on average: most jobs have less than one. */
const applyCapBytes = 8_388_608;

const DeclaredObject = Type.Unsafe<unknown>(
  Type.Object(
    { kind: Type.Optional(Type.Unknown()) },
    {
      description: `kind (${objectKinds.join(", ")}; default: job), name (of a job: id), and the fields as in the object's own call`,
    },
  ),
);

const PlanSchema = Type.Object({
  source: Type.String(),
  applied: Type.Boolean(),
  plan: Type.String({
    description: "names these items; an apply with it is refused if it would do anything else",
  }),
  counts: Type.Object({
    create: Type.Integer(),
    update: Type.Integer(),
    delete: Type.Integer(),
    unchanged: Type.Integer(),
  }),
  items: Type.Array(
    Type.Object({
      kind: Type.Enum(objectKinds),
      name: Type.String(),
      action: Type.Enum(["create", "update", "delete", "unchanged"]),
      fields: Type.Array(Type.String(), { description: "that differ" }),
      changes: Type.Array(
        Type.Object({ field: Type.String(), before: Type.Unknown(), after: Type.Unknown() }),
        { description: "their values now and after it, null = none; for a removal, all that would go" },
      ),
      conflict: orNull(Type.String({ description: "who has changed it since, or made it" })),
    }),
  ),
  warnings: Type.Array(
    Type.Object({
      kind: Type.Enum(objectKinds),
      name: Type.String(),
      job: orNull(Type.String({ description: "the name, if it is a job" })),
      message: Type.String(),
    }),
    {
      description: `what keeps written jobs, and jobs that a written setting applies to, from running, and written channels from sending; at most ${warnedMax} jobs are looked at`,
    },
  ),
});

type Warning = Static<typeof PlanSchema>["warnings"][number];

export function declaredRoutes(app: Api, options: RouteOptions): void {
  const { decisions } = options;
  app.get(
    "/v1/export",
    {
      config: { right: own("viewer") },
      schema: {
        tags,
        summary: "The whole table as objects that apply takes; secrets are left out",
        querystring: none,
        response: {
          200: Type.Object({
            items: Type.Array(DeclaredObject),
            leftOut: Type.Array(
              Type.Object({ kind: Type.Enum(objectKinds), name: Type.String(), reason: Type.String() }),
              { description: "what the table holds and this peer can't read" },
            ),
          }),
        },
      },
    },
    async (request, reply) => {
      const present = new Present(request.control);
      return reply.send({ items: present.exported(), leftOut: present.leftOut() });
    },
  );
  app.post(
    "/v1/apply",
    {
      bodyLimit: applyCapBytes,
      config: { right: own("editor"), repeatable: true },
      schema: {
        tags,
        summary: "Make the table what the objects say: all of them, or nothing",
        description:
          "With dryRun, only the plan, or why it would be refused. With prune, what an earlier apply of the same source made and the objects no longer contain is removed.",
        querystring: Type.Object(
          { dryRun: Type.Optional(Type.Boolean()), prune: Type.Optional(Type.Boolean()) },
          closed,
        ),
        body: Type.Object(
          {
            objects: Type.Array(DeclaredObject, { maxItems: objectsMax }),
            source: Type.Optional(
              Type.String({
                pattern: sourcePattern,
                description: `whose objects these are: a name of a-z, 0-9, '.', '_' and '-' (default: ${sourceDefault})`,
              }),
            ),
            allowEmpty: Type.Optional(Type.Boolean()),
            force: Type.Optional(Type.Boolean({ description: "overwrite what others have changed" })),
            plan: Type.Optional(Type.String({ maxLength: 64 })),
          },
          closed,
        ),
        response: { 200: PlanSchema },
      },
    },
    async (request, reply) => {
      const { objects, source = sourceDefault, allowEmpty, force, plan: expected } = request.body;
      const { dryRun = false, prune = false } = request.query;
      if (objects.length === 0 && allowEmpty !== true) {
        throw new CicadaError("APPLY_EMPTY", "the set has no objects");
      }
      const declared = readObjects(objects, request.control, decisions);
      const plan = planOf(declared, request.control, { source, prune });
      const command = { kind: "apply", changes: plan.changes, by: request.actor } as const;
      // A plan shows what is there, so a caller that may not apply it doesn't get it.
      const refused = request.control.refusalOf(command);
      if (refused !== undefined && dryRun) throw refused;
      if (refused !== undefined) await ask(request, request.control, command);
      refuseUsedChannels(
        request.control,
        plan,
        declared.flatMap(({ spec }) => spec ?? []),
      );
      if (!dryRun) refuseConflicts(plan, expected, force === true);
      // Only what differs is written, so an apply of what is there costs nothing.
      await ask(request, request.control, { ...command, dryRun });
      const { control } = request;
      const warnings = dryRun ? [] : await warningsOf(plan, control);
      return reply.send({ ...shown(plan, source, !dryRun), warnings });
    },
  );
}

function shown({ items, id }: Plan, source: string, applied: boolean) {
  const counts = { create: 0, update: 0, delete: 0, unchanged: 0 };
  for (const { action } of items) counts[action]++;
  return { source, applied, plan: id, counts, items };
}

async function warningsOf(plan: Plan, control: Control): Promise<Warning[]> {
  const written = plan.items.filter(({ action }) => action === "create" || action === "update");
  const ofJobs = await warningsAbout(concerned(written, control), control);
  const ofChannels = written.flatMap(({ kind, name }): Warning[] => {
    const checked = kind === "channel" ? checkChannel(control.values("channels").get(name)) : undefined;
    if (checked?.ok !== true) return [];
    const missing = missingSecrets(checked.channel, control);
    return missing.map(({ message }) => ({ kind: "channel", name, job: null, message }));
  });
  const ofGroups = written.flatMap(({ kind, name }): Warning[] => {
    if (kind !== "maintenance") return [];
    const found = emptyGroupOf(name, control);
    return found.map((message) => ({ kind: "maintenance", name, job: null, message }));
  });
  const { jobs } = control.view();
  const made = written.flatMap(({ kind, name, action }) => {
    return kind === "job" && action === "create" ? (jobs.get(name as JobId) ?? []) : [];
  });
  const ofChildren = [...foreignChildren(made, control)].map(([name, message]): Warning => {
    return { kind: "job", name, job: name, message };
  });
  return [
    ...ofJobs.map(({ job, message }): Warning => ({ kind: "job", name: job, job, message })),
    ...ofChannels,
    ...ofGroups,
    ...ofChildren,
  ];
}

/** The jobs that were written, and those that a written setting decides about. */
function concerned(written: Plan["items"], control: Control): string[] {
  const jobs = written.flatMap(({ kind, name }): readonly string[] => {
    if (kind === "channel") return [];
    return kind === "job" ? [name] : concernedBy(control, settingOf[kind], name);
  });
  return [...new Set(jobs)];
}

function refuseConflicts({ items, id }: Plan, expected: string | undefined, isForced: boolean): void {
  if (expected !== undefined && expected !== id) {
    throw new CicadaError("APPLY_CONFLICT", "the table has changed since the plan was shown");
  }
  const problems = items.flatMap(({ kind, name, conflict }) =>
    conflict === null ? [] : [{ pointer: `/${kind}/${name}`, message: conflict }],
  );
  if (problems.length === 0 || isForced) return;
  throw new CicadaError(
    "APPLY_CONFLICT",
    problems.map(({ message }) => message).join("; "),
    problems.slice(0, 50),
  );
}

/** A single removal is refused, too, while jobs notify the channel. */
function refuseUsedChannels(
  control: Control,
  { items }: Plan,
  declared: readonly { id: string; notify?: readonly { to: readonly string[] }[] }[],
): void {
  const removed = items.flatMap(({ kind, name, action }) =>
    kind === "channel" && action === "delete" ? [name] : [],
  );
  if (removed.length === 0) return;
  const gone = new Set(
    items.flatMap(({ kind, name, action }) => (kind === "job" && action === "delete" ? [name] : [])),
  );
  const jobs = new Map<string, { notify?: readonly { to: readonly string[] }[] }>(
    [...control.view().jobs].map(([id, { spec }]) => [id, spec]),
  );
  for (const spec of declared) jobs.set(spec.id, spec);
  for (const name of removed) {
    const users = [...jobs].filter(
      ([id, { notify = [] }]) => !gone.has(id) && notify.some(({ to }) => to.includes(name)),
    );
    if (users.length === 0) continue;
    throw new CicadaError(
      "CHANNEL_IN_USE",
      `"${name}" is used by ${users
        .slice(0, 5)
        .map(([id]) => id)
        .join(", ")}`,
    );
  }
}
