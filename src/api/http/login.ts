/**
 * The login of the page: the token is sent once and exchanged for a cookie that scripts can't read.
 */
import { Type } from "typebox";
import { cookieName, type Guarded } from "./guard.ts";
import type { Api } from "../options.ts";
import { sessionLifeMs } from "./sessions.ts";

export function loginRoutes(app: Api, { options, callers, sessions, refuse }: Guarded): void {
  const name = cookieName(options.self.id);
  const attributes = {
    path: "/",
    httpOnly: true,
    sameSite: "strict",
    secure: options.behindTlsProxy || options.certificate !== undefined,
  } as const;

  app.get(
    "/login",
    {
      config: { right: "everyone" },
      schema: {
        tags: ["login"],
        summary: "Whether this browser is logged in; if not, where its user finds the token",
        response: {
          200: Type.Object({
            loggedIn: Type.Boolean(),
            name: Type.String(),
            program: Type.String({ description: "how to call the command line there" }),
            tokenFile: Type.Optional(Type.String()),
          }),
        },
      },
    },
    async (request, reply) =>
      reply.send({
        loggedIn: callers.byId(sessions.tokenOf(request.cookies[name] ?? "") ?? "") !== undefined,
        name: options.control.view().self.name,
        program: options.program,
        // Only programs on this machine reach loopback, and only the owner may read the file.
        ...(options.behindTlsProxy || options.certificate !== undefined
          ? {}
          : { tokenFile: options.tokenFile }),
      }),
  );

  app.post(
    "/login",
    {
      config: { right: "everyone" },
      bodyLimit: 4_096,
      schema: {
        tags: ["login"],
        summary: "Exchange a token for a cookie: any token that is valid at this peer",
        body: Type.Object({ token: Type.String({ maxLength: 1_024 }) }, { additionalProperties: false }),
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      const caller = callers.byText(request.body.token.trim());
      if (typeof caller === "string") throw await refuse(request, reply, caller);
      reply.setCookie(name, sessions.open(caller.token), { ...attributes, maxAge: sessionLifeMs / 1_000 });
      return reply.code(204).send(null);
    },
  );

  app.post(
    "/logout",
    {
      config: { right: "any-token" },
      schema: { tags: ["login"], summary: "End the session", response: { 204: Type.Null() } },
    },
    async (request, reply) => {
      sessions.close(request.cookies[name] ?? "");
      reply.clearCookie(name, attributes);
      return reply.code(204).send(null);
    },
  );
}
