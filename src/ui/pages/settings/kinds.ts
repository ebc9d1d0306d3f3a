/** The kinds of settings, and what the page says about each. */

export type Setting = Readonly<Record<string, unknown>> & { name: string };

export interface Kind {
  path: string;
  title: string;
  /** what one is called */
  one: string;
  /** what one is for */
  about: string;
  /** what a new one may look like */
  example: Readonly<Record<string, unknown>>;
  /** A token that is limited to groups may write the settings of its groups. */
  isOfGroups: boolean;
  /** fields that are shown and not written */
  readOnly: readonly string[];
}

export const kinds: readonly Kind[] = [
  {
    path: "pools",
    title: "Pools",
    one: "pool",
    about: "limit how many runs of the jobs that name one are on at once",
    example: { slots: 2 },
    isOfGroups: false,
    readOnly: ["jobs", "holders", "waiting"],
  },
  {
    path: "maintenance",
    title: "Maintenance",
    one: "maintenance",
    about: "windows in which the ticks of the jobs are skipped",
    example: { schedule: "0 3 * * sun", duration: "2h", note: "the hosts are patched" },
    isOfGroups: true,
    readOnly: [],
  },
  {
    path: "calendars",
    title: "Calendars",
    one: "calendar",
    about: "days that jobs leave out, with calendar:NAME in their except",
    example: { dates: ["2026-12-24/2026-12-26"], note: "the company's holidays" },
    isOfGroups: false,
    readOnly: ["jobs", "expanded"],
  },
  {
    path: "groups",
    title: "Groups",
    one: "group",
    about: "defaults for the jobs of a group",
    example: { timezone: "Europe/Berlin" },
    isOfGroups: true,
    readOnly: ["jobs"],
  },
  {
    path: "channels",
    title: "Channels",
    one: "channel",
    about: "where notices go",
    example: { type: "webhook", url: "https://example.org/hook" },
    isOfGroups: false,
    readOnly: ["usedBy", "lastMessage", "problems"],
  },
];
