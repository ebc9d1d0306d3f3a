/**
 * Tells core what a change of the table means: changed settings and jobs, who was let in, and statements about membership. What
 * core doesn't need to know to report it, a changed setting or channel, goes to the listeners directly.
 */
import type { EventBody } from "../core/events.ts";
import { readGroup } from "../core/job/group.ts";
import type { Clock } from "../ports.ts";
import type { MembershipStatement } from "../schema/membership.ts";
import type { PeerEvent } from "../ports/control.ts";
import {
  reportedKinds,
  settingKinds,
  type ReportedKind,
  type SettingKind,
  type SettingValues,
} from "../schema/setting.ts";
import type { Admissions } from "../table/admissions.ts";
import type { Assembly } from "./assembly.ts";

export interface TableWatchDeps {
  parts: Pick<Assembly, "table" | "edits" | "scripts" | "hostUsers" | "namedItems" | "secrets">;
  clock: Clock;
  feed: (event: EventBody) => void;
  notify: (event: PeerEvent) => void;
}

export class TableWatch {
  readonly #parts: TableWatchDeps["parts"];
  readonly #clock: Clock;
  readonly #feed: (event: EventBody) => void;
  readonly #notify: (event: PeerEvent) => void;
  // These are what core knows of. The table gives the same object until its content has changed.
  readonly #settings: Map<SettingKind, SettingValues>;
  /** what the listeners know */
  readonly #reported: Map<ReportedKind, SettingValues>;
  #membership: readonly MembershipStatement[];
  #admissions: Admissions;

  /** What the table holds now counts as known, because core gets it when it is loaded. */
  constructor({ parts, clock, feed, notify }: TableWatchDeps) {
    this.#parts = parts;
    this.#clock = clock;
    this.#feed = feed;
    this.#notify = notify;
    const { table } = parts;
    this.#settings = new Map(settingKinds.map((setting) => [setting, table.values(setting)]));
    this.#reported = new Map(reportedKinds.map((setting) => [setting, table.values(setting)]));
    this.#membership = table.membership();
    this.#admissions = table.admissions();
  }

  changed(): void {
    const { table, edits, scripts, hostUsers, namedItems, secrets } = this.#parts;
    for (const setting of settingKinds) {
      const values = table.values(setting);
      if (values === this.#settings.get(setting)) continue;
      this.#settings.set(setting, values);
      this.#feed({ kind: "settingsChanged", setting, values });
    }
    const changes = table.takeChanges();
    edits.history.note(changes, (id) => table.holds(id), this.#clock.now().wall);
    const unreadable = changes.filter(({ id, job }) => job === undefined && table.holds(id));
    this.#feed({
      kind: "tableChanged",
      changes,
      tableDigest: table.digest(),
      cyclic: table.cyclic(),
      ...(unreadable.length === 0 ? {} : { unreadable: new Set(unreadable.map(({ id }) => id)) }),
    });
    scripts.jobsChanged(changes);
    hostUsers.jobsChanged(changes);
    namedItems.jobsChanged(changes, this.#clock.now().mono);
    secrets.tableChanged();
    const admissions = table.admissions();
    if (admissions !== this.#admissions) {
      this.#admissions = admissions;
      this.#feed({ kind: "admissions", ...admissions });
    }
    const statements = table.membership();
    if (statements !== this.#membership) {
      this.#membership = statements;
      this.#feed({ kind: "membership", statements });
    }
    for (const setting of reportedKinds) this.#report(setting);
  }

  #report(setting: ReportedKind): void {
    const before = this.#reported.get(setting);
    const values = this.#parts.table.values(setting);
    if (before === undefined || values === before) return;
    this.#reported.set(setting, values);
    // A value, too, is the same object until it is written again.
    for (const name of new Set([...before.keys(), ...values.keys()])) {
      const [was, is] = [before.get(name), values.get(name)];
      if (was === is || (isGone(setting, was) && isGone(setting, is))) continue;
      this.#notify({ kind: "setting", setting, name, change: isGone(setting, is) ? "deleted" : "written" });
    }
  }
}

/** Whether the setting is removed. The table keeps an entry of a removed group, which says when its defaults ended. */
function isGone(setting: ReportedKind, value: unknown): boolean {
  return value === undefined || (setting === "groups" && readGroup(value)?.removed === true);
}
