/** A pool, as a person writes it: the most runs at once of all jobs that name it. */
import { Type } from "typebox";

/** A higher limit costs time whenever a run of the pool ends. */
export const slotsMax = 10_000;

export const PoolSchema = Type.Object(
  {
    slots: Type.Integer({ minimum: 0, maximum: slotsMax, description: "0 stops the pool" }),
    note: Type.Optional(Type.String({ maxLength: 1_024 })),
  },
  { additionalProperties: false, $id: "Pool" },
);
