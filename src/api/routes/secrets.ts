/**
 * Secrets: which there are, which peers have the newest value of each, and which jobs name them; set and remove one. No call
 * returns a value.
 */
import { Type, type Static } from "typebox";
import { CicadaError } from "../../errors.ts";
import type { Control } from "../../ports/control.ts";
import type { PeerId } from "../../schema/ids.ts";
import { describeAmbiguous, describeMissing, findPeer } from "../../schema/find-peer.ts";
import { recipientsMax, type SealedSecret } from "../../schema/secret.ts";
import { all } from "../access/rights.ts";
import { closed, none } from "../http/checking.ts";
import { defaultLimit, ListOf, page, PageQuery, readCursor } from "../http/paging.ts";
import type { Api, RouteOptions } from "../options.ts";
import { holderOf } from "../show/secret-holders.ts";
import { Instant, orNull, showInstant } from "../show/show-run.ts";

const tags = ["secrets"];
const NameParams = Type.Object({ name: Type.String({ minLength: 1, maxLength: 128 }) });

const ShownSecret = Type.Object({
  name: Type.String(),
  sealedAt: orNull(Instant),
  peers: Type.Array(
    Type.Object({
      id: Type.String(),
      name: Type.String(),
      has: Type.Boolean({
        description: "it has the newest value: only then does it run jobs that name the secret",
      }),
      from: orNull(
        Type.Enum(["sealed", "own"], {
          description: "where its value is: in the table, or in its own folder",
        }),
      ),
      problem: orNull(Type.String()),
    }),
  ),
  forgotten: Type.Array(Type.Object({ id: Type.String(), name: Type.String() }), {
    description: "no longer members, and this value was sealed to them: they may know it",
  }),
  jobs: Type.Array(Type.String(), { description: "that name it" }),
});
type Shown = Static<typeof ShownSecret>;

export function secretRoutes(app: Api, options: RouteOptions): void {
  app.get(
    "/v1/secrets",
    {
      config: { right: all("viewer") },
      schema: {
        tags,
        summary: "List every secret by name, without values: who has it, and which jobs name it",
        querystring: Type.Object(PageQuery, closed),
        response: { 200: ListOf(ShownSecret) },
      },
    },
    async (request, reply) => {
      const { limit = defaultLimit, cursor } = request.query;
      const after = readCursor("secrets", cursor) ?? "";
      const names = namesOf(request.control);
      const rest = names.filter((name) => name > after);
      const items = rest.slice(0, limit).map((name) => showSecret(request.control, name));
      const next = rest.length > limit ? (rest[limit - 1] ?? null) : null;
      return page(request, reply, "secrets", { items, next, total: names.length });
    },
  );
  app.get(
    "/v1/secrets/:name",
    {
      config: { right: all("viewer") },
      schema: {
        tags,
        summary: "Show who has a secret, without its value",
        params: NameParams,
        querystring: none,
        response: { 200: ShownSecret },
      },
    },
    async (request, reply) => {
      const { name } = request.params;
      if (!namesOf(request.control).includes(name)) {
        throw new CicadaError("SECRET_NOT_FOUND", `this peer knows no value of ${JSON.stringify(name)}`);
      }
      return reply.send(showSecret(request.control, name));
    },
  );
  setSecret(app, options);
  app.delete(
    "/v1/secrets/:name",
    {
      config: { right: all("editor") },
      schema: {
        tags,
        summary: "Remove a secret: the sealed value, and the one that this peer has of its own",
        params: NameParams,
        querystring: none,
      },
    },
    async (request, reply) => {
      await request.control.removeSecret(request.params.name, request.actor);
      return reply.code(204).send();
    },
  );
}

function setSecret(app: Api, { self }: RouteOptions): void {
  app.put(
    "/v1/secrets/:name",
    {
      config: { right: all("editor") },
      schema: {
        tags,
        summary: "Set a secret: for this peer alone, or sealed to the peers that are named",
        params: NameParams,
        querystring: none,
        body: Type.Object(
          {
            value: Type.String({ maxLength: 65_536 }),
            peers: Type.Optional(
              Type.Union([
                Type.Literal("all"),
                Type.Array(Type.String({ minLength: 1, maxLength: 256 }), {
                  minItems: 1,
                  maxItems: recipientsMax,
                }),
              ]),
            ),
          },
          closed,
        ),
        response: { 200: ShownSecret },
      },
    },
    async (request, reply) => {
      const { name } = request.params;
      const { value, peers } = request.body;
      const recipients = peers === undefined ? undefined : recipientsOf(request.control, peers, self.id);
      await request.control.setSecret({
        name,
        value,
        by: request.actor,
        ...(recipients === undefined ? {} : { peers: recipients }),
      });
      return reply.send(showSecret(request.control, name));
    },
  );
}

/** `all` is every member. If one of them may be an intruder, a person has to say more. */
function recipientsOf(control: Control, peers: "all" | readonly string[], self: PeerId): PeerId[] {
  const heirs = control.heirs();
  if (peers === "all") {
    const problems = heirs.flatMap(({ id, name, doubt }) =>
      doubt === undefined ? [] : [{ pointer: "/peers", message: `${name} (${id}): ${doubt}` }],
    );
    if (problems.length > 0) {
      const detail = `${problems.length} of the members may be intruders`;
      throw new CicadaError("UNCONFIRMED_RECIPIENTS", detail, problems);
    }
    return [self, ...heirs.map(({ id }) => id)];
  }
  const { members } = control.view();
  const found = peers.map((named) => {
    const one = findPeer(members, named);
    if (one.kind === "one") return one.peer.id;
    if (one.kind === "none") throw new CicadaError("PEER_NOT_FOUND", describeMissing(named, members));
    throw new CicadaError("UNPROCESSABLE", describeAmbiguous(named, one.candidates));
  });
  return [...new Set(found)];
}

function namesOf(control: Control): string[] {
  const { jobs, members } = control.view();
  const { own, faults } = control.heldSecrets();
  return [
    ...new Set([
      ...control.settings("secrets").keys(),
      ...own.keys(),
      ...faults.keys(),
      ...members.flatMap(({ heartbeat }) => Object.keys(heartbeat?.secrets ?? {})),
      ...[...jobs.values()].flatMap(({ spec }) => spec.secrets ?? []),
    ]),
  ].toSorted();
}

function showSecret(control: Control, name: string): Shown {
  const { jobs, members, forgotten } = control.view();
  const sealed = control.settings("secrets").get(name) as SealedSecret | undefined;
  return {
    name,
    sealedAt: sealed === undefined ? null : showInstant(sealed.version),
    peers: members.map((member) => holderOf(control, name, member)),
    forgotten: forgotten.flatMap(({ peer, name: called }) =>
      sealed !== undefined && Object.hasOwn(sealed.keys, peer) ? [{ id: peer, name: called ?? peer }] : [],
    ),
    jobs: [...jobs.values()].flatMap(({ id, spec }) => (spec.secrets?.includes(name) === true ? [id] : [])),
  };
}
