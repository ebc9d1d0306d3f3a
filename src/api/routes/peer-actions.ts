/**
 * What a person can do to a peer: confirm that it belongs to the mesh, make it a voter, have the mesh forget it or take it in
 * again, drain it. The peer is named as schema/find-peer.ts says, and any peer can be asked.
 */
import { Type } from "typebox";
import type { Command } from "../../ports/command.ts";
import type { View } from "../../ports/control.ts";
import { all } from "../access/rights.ts";
import { ask } from "../http/answers.ts";
import { closed, none } from "../http/checking.ts";
import type { Api } from "../options.ts";
import { findShownPeer, PeerSchema, peersOf, type Peer } from "../show/show-peer.ts";

const tags = ["peers"];
/** How many members a warning names. */
const membersNamed = 10;
const PeerParams = Type.Object({
  id: Type.String({
    minLength: 1,
    maxLength: 256,
    description: "the peer's id, its name, or a part of either that fits no other peer",
  }),
});
/** `peer` is null when it isn't known by name: a voter that only the roster remembers, or a peer that is not back yet. */
const Changed = Type.Object({
  peer: Type.Union([PeerSchema, Type.Null()]),
  warnings: Type.Optional(Type.Array(Type.String(), { description: "what is still missing, in words" })),
});

export function peerActionRoutes(app: Api): void {
  plain(app, "promote", "Make a peer a voter; 503 NO_QUORUM when the voters can't agree", (peer, by) => ({
    kind: "promote-peer",
    peer,
    by,
  }));
  plain(
    app,
    "drain",
    "Drain a peer: it takes no ticks until it is undrained, even after a restart",
    (peer, by) => ({
      kind: "drain-peer",
      peer,
      on: true,
      by,
    }),
  );
  plain(app, "undrain", "Let a drained peer take ticks again", (peer, by) => ({
    kind: "drain-peer",
    peer,
    on: false,
    by,
  }));
  plain(
    app,
    "unforget",
    "Take a forgotten peer in again; it does not vote until it is promoted. When the forgotten peer itself is asked, it carries on, and " +
      "members that refuse it must be asked as well",
    (peer, by) => ({ kind: "unforget-peer", peer, by }),
  );
  plain(
    app,
    "confirm",
    "Confirm that a peer belongs to the mesh, so that a rotation gives it the new key. The answering peer signs it",
    (peer, by) => ({ kind: "confirm-peer", peer, by }),
  );
  forget(app);
}

function plain(
  app: Api,
  action: "confirm" | "promote" | "drain" | "undrain" | "unforget",
  summary: string,
  command: (peer: string, by: string) => Command,
): void {
  app.post(
    `/v1/peers/:id/${action}`,
    {
      config: { right: all("admin"), repeatable: true },
      schema: {
        tags,
        summary,
        params: PeerParams,
        querystring: none,
        body: none,
        response: { 200: Changed },
      },
    },
    async (request, reply) => {
      const { id: named } = request.params;
      const id = idOf(request.control.view(), named);
      await ask(request, request.control, command(named, request.actor));
      const peer = peerById(request.control.view(), id);
      const warnings =
        action === "unforget" && peer?.self === true ? stillMissing(request.control.view()) : [];
      return reply.send({ peer, ...(warnings.length === 0 ? {} : { warnings }) });
    },
  );
}

function forget(app: Api): void {
  app.post(
    "/v1/peers/:id/forget",
    {
      config: { right: all("admin"), repeatable: true },
      schema: {
        tags,
        summary: "Cut a peer off for good: its identity is refused by every peer from now on",
        params: PeerParams,
        querystring: none,
        body: Type.Object(
          {
            force: Type.Optional(
              Type.Boolean({
                description:
                  "even if no majority of the voters agrees, because they are gone for good. Unsafe: if they come back " +
                  "after all, a tick of a majority job may run twice",
              }),
            ),
          },
          closed,
        ),
        response: { 200: Changed },
      },
    },
    async (request, reply) => {
      const { id: named } = request.params;
      const { force = false } = request.body;
      const id = idOf(request.control.view(), named);
      await ask(request, request.control, { kind: "forget-peer", peer: named, force, by: request.actor });
      return reply.send({ peer: peerById(request.control.view(), id) });
    },
  );
}

/** What a forgotten peer's own readmission doesn't do: the other members don't follow it. */
function stillMissing({ members }: View): string[] {
  const self = members.find((member) => member.self)?.name ?? "";
  const others = members.filter((member) => !member.self).map(({ name }) => name);
  if (others.length === 0) return [];
  const named = others.slice(0, membersNamed).join(", ");
  const more = others.length > membersNamed ? ` and ${others.length - membersNamed} more` : "";
  return [
    `the other members (${named}${more}) refuse this peer until one of them is asked, too: run \`cicada peers unforget ${self}\` ` +
      "there. Until then this peer takes ticks only while it reaches none of them",
  ];
}

/** Reads the id before the command is carried out: afterwards the name may belong to another peer. */
function idOf(view: View, named: string): string | undefined {
  const found = findShownPeer(view, named);
  return found.kind === "one" ? found.peer.id : undefined;
}

function peerById(view: View, id: string | undefined): Peer | null {
  return peersOf(view).find((peer) => peer.id === id) ?? null;
}
