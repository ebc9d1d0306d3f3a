/** How the table keeps a setting that a person writes, and how many jobs it may have. */
import { sameValue } from "../../schema/equal.ts";
import type { SettingKind } from "../../schema/setting.ts";
import { storedGroup } from "../job/group.ts";
import type { State } from "../state.ts";

/** The most jobs in one table. More costs memory (about 2 KiB each) and time to load them. */
export const jobsMax = 200_000;

/** `value`: null removes it. Undefined = the table says so already. */
export function storedSetting(state: State, setting: SettingKind, name: string, value: unknown): unknown {
  switch (setting) {
    case "calendars":
      return value === null ? null : dated(state, name, value);
    case "groups":
      return storedGroup(state.jobs, name, value ?? undefined, state.now.wall);
    case "maintenance":
    case "pools":
    case "secrets":
      return value;
  }
}

/** The value with the time of this edit, from which on its jobs have another timetable; undefined = nothing has changed. */
function dated(state: State, name: string, value: unknown): unknown {
  const known = state.jobs.calendars.entries.get(name);
  const isSame = known !== undefined && sameValue({ ...known, at: 0 }, { ...(value as object), at: 0 });
  return isSame ? undefined : { ...(value as object), at: state.now.wall };
}
