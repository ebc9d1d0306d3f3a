/** Checks a setting that a person writes (schema/setting.ts): all that is wrong with it, with pointers. */
import type { Problem } from "../../schema/job.ts";
import { settingNamePattern, type SettingKind } from "../../schema/setting.ts";
import { calendarProblems } from "./calendars.ts";
import { groupProblems } from "./group.ts";
import { checkMaintenance } from "./maintenance.ts";
import { poolProblems } from "./pools.ts";
import { sealedProblems } from "../checks/secrets.ts";

const nameForm = new RegExp(settingNamePattern);

export function isSettingName(name: string): boolean {
  return nameForm.test(name);
}

export function settingProblems(kind: SettingKind, name: string, value: unknown): readonly Problem[] {
  if (kind === "secrets") return sealedProblems(name, value);
  if (!isSettingName(name)) {
    const message =
      "a name is 1 to 64 characters from a-z, 0-9, '.', '_' and '-', and begins with a letter or digit";
    return [{ pointer: "", message }];
  }
  switch (kind) {
    case "calendars":
      return calendarProblems(value);
    case "groups":
      return groupProblems(value);
    case "maintenance": {
      const checked = checkMaintenance(name, value);
      return checked.ok ? [] : checked.problems;
    }
    case "pools":
      return poolProblems(value);
  }
}
