/** The digest that a channel gets once a day: when it is due, and whether something went wrong on that day. */
import { Type, type Static } from "typebox";

export const DigestSchema = Type.Object(
  {
    at: Type.String({
      pattern: "^([01]\\d|2[0-3]):[0-5]\\d$",
      description: "time of day, such as 08:00; the digest covers the day up to then",
    }),
    timezone: Type.Optional(Type.String({ maxLength: 64, description: "IANA zone; UTC if there is none" })),
  },
  { additionalProperties: false, description: "once a day: what ran, and what did not" },
);
export type Digest = Static<typeof DigestSchema>;

export const digestStates = ["ok", "trouble"] as const;
export type DigestState = (typeof digestStates)[number];

/** Whether it names a time zone. An offset such as +01:00 does not. */
export function isZoneName(name: string): boolean {
  if (!/^[A-Za-z]/.test(name)) return false;
  try {
    return new Intl.DateTimeFormat("en", { timeZone: name }).resolvedOptions().timeZone !== "";
  } catch {
    return false;
  }
}
