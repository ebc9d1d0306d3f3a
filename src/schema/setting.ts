/**
 * What a person writes into the table by name, apart from jobs. A kind is also the name of its root in the table
 * (table/roots.ts) and of its calls in the API.
 */
export const settingKinds = ["calendars", "groups", "maintenance", "pools", "secrets"] as const;
export type SettingKind = (typeof settingKinds)[number];

/** What is written by name and shown to every reader, so that a change of it is an event. */
export const reportedKinds = ["calendars", "channels", "groups", "maintenance", "pools"] as const;
export type ReportedKind = (typeof reportedKinds)[number];

/** What a single one is called. */
export const settingNouns = {
  calendars: "calendar",
  channels: "channel",
  groups: "group",
  maintenance: "maintenance",
  pools: "pool",
  secrets: "secret",
} as const satisfies Record<SettingKind | ReportedKind, string>;

export const settingNamePattern = "^[a-z0-9][a-z0-9._-]{0,63}$";

/** The values of one kind by name, as the table has them. */
export type SettingValues = ReadonlyMap<string, unknown>;
