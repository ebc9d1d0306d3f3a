/** Scripts: a job names the bytes by their SHA-256, and every peer keeps the bytes of the scripts that jobs name. */
import { Type, type Static } from "typebox";

/** Unit: bytes. A larger program belongs in a package or an image on the hosts; each peer keeps every script in use. */
export const scriptCapBytes = 1_048_576;

/** All scripts of one peer together. Unit: bytes. More lets jobs of one member fill more of every peer's disk. */
export const scriptsCapBytes = 268_435_456;

export const sha256Pattern = "^[0-9a-f]{64}$";

export const ScriptSchema = Type.Object(
  {
    interpreter: Type.String({ minLength: 1, maxLength: 100 }),
    sha256: Type.String({ pattern: sha256Pattern }),
    args: Type.Optional(Type.Array(Type.String({ maxLength: 65_536 }), { maxItems: 1_024 })),
  },
  { additionalProperties: false },
);
export type ScriptUse = Static<typeof ScriptSchema>;
