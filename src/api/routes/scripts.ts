/**
 * Scripts: their bytes come in once, at any peer, and have the name of their SHA-256. A job names them, and then every
 * peer keeps them.
 */
import { Type } from "typebox";
import { CicadaError } from "../../errors.ts";
import { scriptCapBytes, sha256Pattern } from "../../schema/script.ts";
import { own } from "../access/rights.ts";
import { none } from "../http/checking.ts";
import type { Api } from "../options.ts";

const tags = ["scripts"];

const Uploaded = Type.Object({
  sha256: Type.String({ description: "for the job's script.sha256" }),
  bytes: Type.Integer(),
});

export function scriptRoutes(app: Api): void {
  // Only here are the bytes of a body taken as they are, whatever its content type.
  app.register(async (scope: Api) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser("*", { parseAs: "buffer" }, (_request, body, done) => done(null, body));
    scope.put(
      "/v1/scripts",
      {
        config: { right: own("editor") },
        bodyLimit: scriptCapBytes,
        validatorCompiler: () => (value: unknown) => ({ value }),
        schema: {
          tags,
          summary: "Upload a script: the body's bytes as they are, at most 1 MiB",
          description: "201 if it was new here. A script that no job names is removed after a day.",
          consumes: ["application/octet-stream"],
          response: { 200: Uploaded, 201: Uploaded },
        },
      },
      async (request, reply) => {
        const bytes = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
        if (bytes.length === 0) throw new CicadaError("UNPROCESSABLE", "the script is empty");
        const { sha256, created } = await request.control.putScript(bytes);
        if (created) reply.code(201).header("location", `/v1/scripts/${sha256}`);
        return { sha256, bytes: bytes.length };
      },
    );
  });
  app.get(
    "/v1/scripts/:sha256",
    {
      config: { right: own("viewer") },
      schema: {
        tags,
        summary: "Download a script",
        params: Type.Object({
          sha256: Type.String({ pattern: sha256Pattern, description: "64 hex digits in lower case" }),
        }),
        querystring: none,
        produces: ["application/octet-stream"],
      },
    },
    async (request, reply) => {
      const { sha256 } = request.params;
      const bytes = await request.control.script(sha256);
      if (bytes === undefined) throw new CicadaError("SCRIPT_NOT_FOUND", sha256);
      return reply.type("application/octet-stream").send(Buffer.from(bytes));
    },
  );
}
