/**
 * The peer's events as a caller that is limited to groups may hear them. The listener remembers what its caller has seen, for two
 * reasons: a job that leaves the caller's groups is deleted for that caller, and a deletion doesn't say what the job's group was.
 */
import type { PeerEvent } from "../../ports/control.ts";
import type { Caller } from "./callers.ts";
import { hasGroup } from "./rights.ts";
import type { Sight } from "./sight.ts";

type Of<K extends PeerEvent["kind"]> = Extract<PeerEvent, { kind: K }>;

export function scopedListener(
  caller: Caller,
  sight: Sight,
  listener: (event: PeerEvent) => void,
): (event: PeerEvent) => void {
  const jobs = new Set(sight.view().jobs.keys());
  const maintenances = new Set(sight.settings("maintenance").keys());

  const seenJob = (event: Of<"job">): Of<"job"> | undefined => {
    if (event.change === "written" && sight.seesJob(event.id)) {
      jobs.add(event.id);
      return event;
    }
    return jobs.delete(event.id) ? { ...event, change: "deleted" } : undefined;
  };

  const seenSetting = (event: Of<"setting">): Of<"setting"> | undefined => {
    const { setting, name } = event;
    if (setting === "groups") return hasGroup(caller, name) ? event : undefined;
    if (setting !== "maintenance") return event;
    if (sight.settings("maintenance").has(name)) {
      maintenances.add(name);
      return event;
    }
    return maintenances.delete(name) ? { ...event, change: "deleted" } : undefined;
  };

  const seen = (event: PeerEvent): PeerEvent | undefined => {
    if (event.kind === "run") return sight.seesRun(event.record) ? event : undefined;
    if (event.kind === "job") return seenJob(event);
    return event.kind === "setting" ? seenSetting(event) : event;
  };

  return (event) => {
    const heard = seen(event);
    if (heard !== undefined) listener(heard);
  };
}
