/**
 * Settings of the mesh that have a name: list, read, set and remove. All kinds work alike; core checks what is written.
 */
import { Type, type TObject, type TSchema } from "typebox";
import { CicadaError } from "../../errors.ts";
import type { Control } from "../../ports/control.ts";
import { CalendarSchema, ExpandedSchema, type StoredCalendar } from "../../schema/calendar.ts";
import { MaintenanceSchema } from "../../schema/maintenance.ts";
import { PoolSchema } from "../../schema/pool.ts";
import { runId } from "../../schema/ids.ts";
import { GroupSchema } from "../../schema/group.ts";
import type { RunRecord } from "../../schema/run.ts";
import { showInstant } from "../show/show-run.ts";
import { concernedBy, emptyGroupOf, warnedMax, warningsAbout } from "../show/warnings.ts";
import type { SettingKind, SettingValues } from "../../schema/setting.ts";
import { readUtf8 } from "../../schema/text.ts";
import { all, own, type Right } from "../access/rights.ts";
import { refusal } from "../http/problems.ts";
import { ask } from "../http/answers.ts";
import { noCheck, none } from "../http/checking.ts";
import { ListOf, page, PageQuery, readCursor, defaultLimit } from "../http/paging.ts";
import { closed } from "../http/checking.ts";
import type { Api } from "../options.ts";

interface Kind {
  readonly setting: SettingKind;
  /** what one is called */
  readonly one: string;
  /** what writing one needs, whichever it is */
  readonly writes: Right;
  /** what is written */
  readonly written: TSchema;
  /** what is shown beside the name */
  readonly shown: TSchema;
  show(control: Control, name: string, value: unknown, isListed: boolean): object;
  /** the types of a body; absent = JSON */
  readonly consumes?: string[];
  /** what counts of those that nobody has set but jobs name, by name */
  unset?(control: Control): SettingValues;
}

const NameParams = Type.Object({ name: Type.String({ minLength: 1, maxLength: 128 }) });

export function settingRoutes(app: Api): void {
  app.register(async (scope: Api) => {
    takesCalendarText(scope);
    routesOf(scope, {
      setting: "calendars",
      one: "calendar",
      writes: all("editor"),
      written: CalendarSchema,
      shown: ShownCalendar,
      consumes: ["application/json", "text/calendar"],
      show: (control, name, value, isListed) =>
        showCalendar(control, name, value as StoredCalendar, isListed),
    });
  });
  routesOf(app, {
    setting: "groups",
    one: "group",
    writes: own("editor"),
    written: GroupSchema,
    shown: ShownGroup,
    show: (control, name, value, isListed) => ({
      name,
      ...(value as object),
      ...(isListed ? {} : { jobs: [...concernedBy(control, "groups", name)] }),
    }),
  });
  routesOf(app, {
    setting: "maintenance",
    one: "maintenance",
    writes: own("editor"),
    written: MaintenanceSchema,
    shown: Type.Object({ name: Type.String(), ...MaintenanceSchema.properties }),
    show: (_control, name, value) => ({ name, ...(value as object) }),
  });
  routesOf(app, {
    setting: "pools",
    one: "pool",
    writes: all("editor"),
    written: PoolSchema,
    shown: ShownPool,
    show: (control, name, value) => showPool(control, name, value as { slots: number }),
    unset: (control) =>
      new Map(
        [...control.view().jobs.values()].flatMap(({ spec: { pool } }) =>
          pool === undefined ? [] : [[pool, { slots: 1 }]],
        ),
      ),
  });
}

const ShownGroup = Type.Object({
  name: Type.String(),
  ...GroupSchema.properties,
  jobs: Type.Optional(Type.Array(Type.String(), { description: "its jobs; not in lists" })),
});

const ShownCalendar = Type.Object({
  name: Type.String(),
  ...CalendarSchema.properties,
  ical: Type.Optional(Type.String({ description: "iCalendar text (RFC 5545); not in lists" })),
  expanded: Type.Optional(ExpandedSchema),
  jobs: Type.Optional(Type.Array(Type.String(), { description: "that leave its ticks out; not in lists" })),
});

/** A body of iCalendar text is the same as JSON with it in `ical`. */
function takesCalendarText(scope: Api): void {
  scope.addContentTypeParser("text/calendar", { parseAs: "buffer" }, (_request, body, done) => {
    const read = readUtf8(Buffer.from(body));
    if (read.ok) return done(null, { ical: read.text });
    const message = `line ${read.line}, byte ${read.column} is not UTF-8`;
    done(refusal("UNPROCESSABLE", [{ pointer: "/ical", message }]));
  });
}

function showCalendar(
  control: Control,
  name: string,
  { dates, ical, expanded, note }: StoredCalendar,
  isListed: boolean,
): object {
  const written = { ...(dates === undefined ? {} : { dates }), ...(note === undefined ? {} : { note }) };
  if (isListed) return { name, ...written };
  const jobs = [...concernedBy(control, "calendars", name)];
  return { name, ...written, ...(ical === undefined ? {} : { ical, expanded }), jobs };
}

const SlotSchema = Type.Object({
  run: Type.String(),
  job: Type.String(),
  tick: Type.String(),
  peer: Type.String(),
  peerName: Type.Union([Type.String(), Type.Null()]),
  due: Type.String({ format: "date-time" }),
});

const ShownPool = Type.Object({
  name: Type.String(),
  ...PoolSchema.properties,
  jobs: Type.Array(Type.String(), { description: "that name it" }),
  holders: Type.Array(SlotSchema, { description: "the runs that hold a slot" }),
  waiting: Type.Array(SlotSchema, { description: "the ticks that wait for a slot, first come first" }),
});

/** The most of each that are listed. */
const slotsShown = 1_000;

function showPool(control: Control, name: string, value: object): object {
  const { jobs, holders, waiting } = control.pool(name);
  const names = new Map(control.view().members.map((member) => [member.id, member.name]));
  const show = (record: RunRecord): object => ({
    run: runId(record),
    job: record.job,
    tick: record.tick,
    peer: record.peer,
    peerName: names.get(record.peer) ?? null,
    due: showInstant(record.due),
  });
  const [held, waits] = [holders, waiting].map((records) => records.slice(0, slotsShown).map(show));
  return { name, ...value, jobs, holders: held, waiting: waits };
}

const WrittenWarnings = Type.Optional(
  Type.Array(Type.String(), {
    description: `what keeps jobs that it applies to from running; at most ${warnedMax} jobs are looked at`,
  }),
);

function routesOf(app: Api, kind: Kind): void {
  addList(app, kind);
  addRead(app, kind);
  addWrite(app, kind);
  addRemove(app, kind);
}

function pathOf({ setting }: Kind): string {
  return `/v1/${setting}`;
}

function valueOf({ setting }: Kind, control: Control, name: string): unknown {
  return control.settings(setting).get(name);
}

function shown(kind: Kind, control: Control, name: string, isListed = false): object {
  const value = valueOf(kind, control, name) ?? kind.unset?.(control).get(name);
  if (value === undefined) throw notFound(kind.one, name);
  return kind.show(control, name, value, isListed);
}

function addList(app: Api, kind: Kind): void {
  const { setting, one } = kind;
  app.get(
    pathOf(kind),
    {
      config: { right: own("viewer") },
      schema: {
        tags: [setting],
        summary: `List every ${one} by name`,
        querystring: Type.Object(PageQuery, closed),
        response: { 200: ListOf(kind.shown) },
      },
    },
    async (request, reply) => {
      const { limit = defaultLimit, cursor } = request.query;
      const after = readCursor(setting, cursor) ?? "";
      const unset = kind.unset?.(request.control).keys() ?? [];
      const names = [...new Set([...request.control.settings(setting).keys(), ...unset])].toSorted();
      const rest = names.filter((name) => name > after);
      const items = rest.slice(0, limit).map((name) => shown(kind, request.control, name, true));
      const next = rest.length > limit ? (rest[limit - 1] ?? null) : null;
      return page(request, reply, setting, { items, next, total: names.length });
    },
  );
}

function addRead(app: Api, kind: Kind): void {
  app.get(
    `${pathOf(kind)}/:name`,
    {
      config: { right: own("viewer") },
      schema: {
        tags: [kind.setting],
        summary: `Read one ${kind.one}`,
        params: NameParams,
        querystring: none,
        response: { 200: kind.shown },
      },
    },
    async (request) => shown(kind, request.control, request.params.name),
  );
}

function addWrite(app: Api, kind: Kind): void {
  const { setting } = kind;
  const answered: TSchema = Type.Object({
    ...(kind.shown as TObject).properties,
    warnings: WrittenWarnings,
  });
  app.put(
    `${pathOf(kind)}/:name`,
    {
      config: { right: kind.writes },
      validatorCompiler: noCheck,
      schema: {
        tags: [setting],
        summary: `Create or replace a ${kind.one}`,
        params: NameParams,
        querystring: none,
        body: kind.written,
        ...(kind.consumes === undefined ? {} : { consumes: kind.consumes }),
        response: { 200: answered, 201: answered },
      },
    },
    async (request, reply) => {
      const { name } = request.params;
      const isNew = valueOf(kind, request.control, name) === undefined;
      const value: unknown = request.body;
      await ask(request, request.control, { kind: "put-setting", setting, name, value, by: request.actor });
      if (isNew) reply.code(201).header("location", `${pathOf(kind)}/${name}`);
      const warnings = await warningsOf(setting, name, request.control);
      return { ...shown(kind, request.control, name), ...(warnings.length === 0 ? {} : { warnings }) };
    },
  );
}

/** What the setting that was just written keeps from running. */
async function warningsOf(setting: SettingKind, name: string, control: Control): Promise<string[]> {
  const ofGroup = setting === "maintenance" ? emptyGroupOf(name, control) : [];
  const found = await warningsAbout(concernedBy(control, setting, name), control);
  return [...ofGroup, ...found.map(({ job, message }) => `${job}: ${message}`)];
}

function addRemove(app: Api, kind: Kind): void {
  const { setting, one } = kind;
  app.delete(
    `${pathOf(kind)}/:name`,
    {
      config: { right: kind.writes },
      schema: { tags: [setting], summary: `Remove a ${one}`, params: NameParams, querystring: none },
    },
    async (request, reply) => {
      const { name } = request.params;
      if (valueOf(kind, request.control, name) === undefined) throw notFound(one, name);
      await ask(request, request.control, { kind: "remove-setting", setting, name, by: request.actor });
      return reply.code(204).send();
    },
  );
}

function notFound(one: string, name: string): CicadaError {
  return new CicadaError("SETTING_NOT_FOUND", `there is no ${one} "${name}"`);
}
