/** `/schemas/job.json`: the schema of a job's file, for editors. They send no token, and the schema holds nothing of the mesh. */
import { Type } from "typebox";
import { schemaField } from "../../schema/job-vocabulary.ts";
import { JobSpecSchema } from "../../schema/job.ts";
import type { Api } from "../options.ts";

/** A job as a file holds it: beside the job's own fields, which schema it has and that it is a job. */
const jobFile = {
  ...JobSpecSchema,
  $schema: "https://json-schema.org/draft/2020-12/schema",
  $id: "/schemas/job.json",
  title: "A job of cicada",
  properties: {
    [schemaField]: { type: "string", description: "where an editor finds this schema" },
    kind: { const: "job", description: "in files for `cicada apply`" },
    ...JobSpecSchema.properties,
  },
};

export function schemaRoutes(app: Api): void {
  const text = JSON.stringify(jobFile);
  app.get(
    "/schemas/job.json",
    {
      config: { right: "everyone" },
      schema: {
        tags: ["declared"],
        summary: "The JSON schema of a job's file, for editors",
        produces: ["application/schema+json"],
        response: { 200: Type.Object({}, { additionalProperties: true, description: "a JSON schema" }) },
      },
    },
    async (_request, reply) => reply.type("application/schema+json; charset=utf-8").send(text as never),
  );
}
