/**
 * The dashboard's files. They hold no secrets, so everyone gets them. The page then asks the API for its content, with its cookie.
 * The address of each view answers with the page, so that every view can be sent as a link.
 */
import { Type } from "typebox";
import { iconSvg, sendFile, type PageFiles } from "../http/page-files.ts";
import { closed } from "../http/checking.ts";
import { CicadaError } from "../../errors.ts";
import type { Api } from "../options.ts";

/** The views of the page, which src/ui/app.tsx knows. */
const views = [
  "/",
  "/new",
  "/jobs",
  "/jobs/*",
  "/runs",
  "/runs/*",
  "/mesh",
  "/forecast",
  "/settings",
  "/access",
];

const forEveryone = { config: { right: "everyone" }, schema: { hide: true } } as const;
const forGood = "public, max-age=31536000, immutable";

export function pageRoutes(app: Api, { page, assets }: PageFiles): void {
  for (const url of views) {
    app.get(url, forEveryone, async (request, reply) => sendFile(request, reply, page, "no-cache"));
  }
  app.get(
    "/assets/:name",
    { ...forEveryone, schema: { hide: true, params: Type.Object({ name: Type.String() }) } },
    async (request, reply) => {
      const file = assets.get(request.params.name);
      // A page that was open while its peer was upgraded asks for files that are gone.
      if (file === undefined) throw new CicadaError("NOT_FOUND", "the page has changed: load it again");
      return sendFile(request, reply, file, forGood);
    },
  );
  app.get(
    "/icon.svg",
    {
      ...forEveryone,
      schema: {
        hide: true,
        querystring: Type.Object(
          { failing: Type.Optional(Type.Integer({ minimum: 0, maximum: 1_000_000 })) },
          closed,
        ),
      },
    },
    async (request, reply) =>
      reply.type("image/svg+xml").header("cache-control", "no-cache").send(iconSvg(request.query.failing)),
  );
}
