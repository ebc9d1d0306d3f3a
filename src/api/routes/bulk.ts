/**
 * One action on many jobs: each is judged as the call for that job alone would be, and has its own answer. A refusal for one job
 * doesn't affect the others.
 */
import { Type, type Static } from "typebox";
import { CicadaError } from "../../errors.ts";
import { errorTable } from "../../errors/table.ts";
import type { Command } from "../../ports/command.ts";
import type { Control } from "../../ports/control.ts";
import type { JobId } from "../../schema/ids.ts";
import type { TickKey } from "../../schema/keyed-tick.ts";
import { own } from "../access/rights.ts";
import { keyOfRun } from "../http/idempotency.ts";
import { closed, InstantText, none, readInstant } from "../http/checking.ts";
import type { Api } from "../options.ts";
import { refusal } from "../http/problems.ts";
import { Environment, readParams, RunTarget } from "./job-actions.ts";
import { filterJobs } from "./job-list.ts";
import { orNull } from "../show/show-run.ts";
import { warningOf } from "../show/warnings.ts";

/** More would take longer than callers wait. */
const jobsMax = 10_000;
/** How many are asked for at the same time: their changes then share writes to the disk. */
const atOnce = 64;

const actions = ["pause", "resume", "run", "delete"] as const;

const Body = Type.Object(
  {
    select: Type.Object(
      {
        group: Type.Optional(Type.String({ maxLength: 64 })),
        label: Type.Optional(
          Type.Union([
            Type.String({ maxLength: 512 }),
            Type.Array(Type.String({ maxLength: 512 }), { maxItems: 32 }),
          ]),
        ),
        q: Type.Optional(Type.String({ maxLength: 256 })),
        ids: Type.Optional(
          Type.Array(Type.Unsafe<JobId>(Type.String({ maxLength: 512 })), { maxItems: jobsMax }),
        ),
      },
      { ...closed, minProperties: 1, description: "a job must match all that is given; give at least one" },
    ),
    action: Type.Enum(actions),
    note: Type.Optional(Type.String({ maxLength: 1_024, description: "of a pause" })),
    until: Type.Optional(InstantText("an RFC 3339 instant, the end of a pause")),
    params: Type.Optional(Type.Record(Type.String(), Type.Unknown(), { description: "of a run" })),
    env: Type.Optional(Environment),
    force: Type.Optional(Type.Boolean({ description: "of a run" })),
    target: Type.Optional(RunTarget),
  },
  closed,
);
type Asked = Static<typeof Body>;

const ItemSchema = Type.Object({
  job: Type.String(),
  ok: Type.Boolean(),
  status: Type.Integer({ description: "as the call for this job alone would answer" }),
  code: orNull(Type.String()),
  detail: orNull(Type.String()),
  tick: orNull(Type.String({ description: "of a run" })),
  warnings: Type.Array(Type.String(), { description: "what keeps a run from starting now" }),
});
type Item = Static<typeof ItemSchema>;

/** Which fields mean something for an action. Any other field is refused, not ignored. */
const fieldsOf: Readonly<Record<Asked["action"], readonly string[]>> = {
  pause: ["note", "until"],
  resume: [],
  run: ["params", "env", "force", "target"],
  delete: [],
};

export function bulkRoutes(app: Api): void {
  app.post(
    // In the router's paths, two colons stand for one.
    "/v1/jobs::bulk",
    {
      config: { right: own("operator"), repeatable: true },
      schema: {
        tags: ["jobs"],
        summary: "Pause, resume, run or delete all jobs that are selected; each has its own answer",
        querystring: none,
        body: Body,
        response: { 200: Type.Object({ items: Type.Array(ItemSchema) }) },
      },
    },
    async (request, reply) => {
      const asked = request.body;
      const commandFor = commandOf(asked, request.actor, keyOfRun(request));
      const ids = selected(request.control, asked.select);
      const status = statusOf[asked.action];
      const items: Item[] = [];
      for (let at = 0; at < ids.length; at += atOnce) {
        const some = ids.slice(at, at + atOnce);
        items.push(
          ...(await Promise.all(some.map((id) => answerOf(id, commandFor(id), status, request.control)))),
        );
      }
      return reply.send({ items });
    },
  );
}

function selected(control: Control, { ids, ...filter }: Asked["select"]): JobId[] {
  const view = control.view();
  const found = filterJobs(view, { ...filter, after: undefined, limit: jobsMax + 1 }).items;
  const isFiltered = Object.keys(filter).length > 0;
  const fitting = new Set<string>(found.map(({ id }) => id));
  const all =
    ids === undefined ? [...fitting] : [...new Set(ids)].filter((id) => !isFiltered || fitting.has(id));
  if (all.length <= jobsMax) return all as JobId[];
  throw refusal("UNPROCESSABLE", [
    { pointer: "/select", message: `it selects more than ${jobsMax} jobs: select fewer at a time` },
  ]);
}

function commandOf(asked: Asked, by: string, key: { key?: TickKey }): (id: JobId) => Command {
  const { select: _, action, note, until: untilText, params, env, force, target } = asked;
  const known = fieldsOf[action];
  const wrong = Object.keys(asked).filter((name) => !["select", "action", ...known].includes(name));
  if (wrong.length > 0) {
    throw refusal(
      "UNPROCESSABLE",
      wrong.map((name) => ({ pointer: `/${name}`, message: `doesn't apply to the action ${action}` })),
    );
  }
  const until = readInstant(untilText, "/until");
  if (until !== undefined && until <= Date.now())
    throw refusal("UNPROCESSABLE", [{ pointer: "/until", message: "is in the past" }]);
  const given = params === undefined ? {} : { params: readParams(params) };
  return (id) => {
    switch (action) {
      case "pause":
        return {
          kind: "pause-job",
          id,
          by,
          ...(note === undefined ? {} : { note }),
          ...(until === undefined ? {} : { until }),
        };
      case "resume":
        return { kind: "resume-job", id, by };
      case "run":
        return {
          kind: "run-job",
          id,
          by,
          ...given,
          ...(env === undefined ? {} : { env }),
          ...(force === undefined ? {} : { force }),
          ...(target?.peers === undefined ? {} : { peers: target.peers }),
          ...key,
        };
      case "delete":
        return { kind: "delete-job", id, by };
    }
  };
}

const statusOf: Readonly<Record<Asked["action"], number>> = {
  pause: 200,
  resume: 200,
  run: 202,
  delete: 204,
};

async function answerOf(id: JobId, command: Command, status: number, control: Control): Promise<Item> {
  try {
    const answer = await control.ask(command);
    if (answer.kind === "refused") return refusedItem(id, answer.error);
    const [tick, hindrances] = answer.kind === "ordered" ? [answer.tick, answer.hindrances] : [null, []];
    const warnings = hindrances.map(warningOf);
    return { job: id, ok: true, status, code: null, detail: null, tick, warnings };
  } catch (error) {
    if (error instanceof CicadaError) return refusedItem(id, error);
    throw error;
  }
}

function refusedItem(job: string, { code, detail, problems }: CicadaError): Item {
  const [first] = problems;
  const said = first === undefined ? detail : `${first.pointer}: ${first.message}`;
  return { job, ok: false, status: errorTable[code].status, code, detail: said, tick: null, warnings: [] };
}
