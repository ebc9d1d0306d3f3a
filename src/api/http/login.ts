/**
 * The login of the page: the token is sent once and exchanged for a cookie that scripts can't read.
 */
import { Type } from "typebox";
import { cookieName, type Refuse } from "./guard.ts";
import type { Api, ApiOptions } from "../options.ts";
import { sessionLifeMs, type Sessions } from "./sessions.ts";

export function loginRoutes(app: Api, options: ApiOptions, sessions: Sessions, refuse: Refuse): void {
  const name = cookieName(options.self.id);
  const attributes = {
    path: "/",
    httpOnly: true,
    sameSite: "strict",
    secure: options.behindTlsProxy,
  } as const;

  app.get(
    "/login",
    {
      config: { open: true },
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
        loggedIn: sessions.has(request.cookies[name] ?? ""),
        name: options.control.view().self.name,
        program: options.program,
        // Only programs on this machine reach loopback, and only the owner may read the file.
        ...(options.behindTlsProxy ? {} : { tokenFile: options.tokenFile }),
      }),
  );

  app.post(
    "/login",
    {
      config: { open: true },
      bodyLimit: 4_096,
      schema: {
        tags: ["login"],
        summary: "Exchange the token for a cookie",
        body: Type.Object({ token: Type.String({ maxLength: 1_024 }) }, { additionalProperties: false }),
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      if (!sessions.knowsToken(request.body.token.trim())) {
        throw await refuse(request, reply, "that is not this peer's token");
      }
      reply.setCookie(name, sessions.open(), { ...attributes, maxAge: sessionLifeMs / 1_000 });
      return reply.code(204).send(null);
    },
  );

  app.post(
    "/logout",
    { schema: { tags: ["login"], summary: "End the session", response: { 204: Type.Null() } } },
    async (request, reply) => {
      sessions.close(request.cookies[name] ?? "");
      reply.clearCookie(name, attributes);
      return reply.code(204).send(null);
    },
  );
}
