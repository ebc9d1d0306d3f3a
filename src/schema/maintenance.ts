/** A maintenance, as a person writes it: once (`from`, `to`) or again and again (`schedule`, `duration`). */
import { Type, type Static } from "typebox";
import { groupForm, groupPattern } from "./job-vocabulary.ts";

const closed = { additionalProperties: false } as const;

export const MaintenanceSchema = Type.Object(
  {
    from: Type.Optional(
      Type.String({ maxLength: 40, description: "RFC 3339; the window begins at this instant" }),
    ),
    to: Type.Optional(
      Type.String({ maxLength: 40, description: "RFC 3339; the window ends just before this instant" }),
    ),
    schedule: Type.Optional(
      Type.Union([
        Type.String({ maxLength: 256 }),
        Type.Array(Type.String({ maxLength: 256 }), { minItems: 1, maxItems: 32 }),
      ]),
    ),
    timezone: Type.Optional(Type.String({ maxLength: 64 })),
    duration: Type.Optional(
      Type.String({ maxLength: 64, description: "such as 90m: elapsed time, even across a clock change" }),
    ),
    group: Type.Optional(
      Type.String({
        pattern: groupPattern,
        description: `${groupForm}; without it, all jobs`,
      }),
    ),
    note: Type.Optional(Type.String({ maxLength: 1_024 })),
  },
  { ...closed, $id: "Maintenance" },
);
export type MaintenanceSpec = Static<typeof MaintenanceSchema>;
