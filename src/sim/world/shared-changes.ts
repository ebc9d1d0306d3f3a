/** For the checkers, a change of a group or a calendar is a change of each of its jobs, so each is told as one. */
import type { JobId } from "../../schema/ids.ts";
import type { ClientRequest, JobRules, Operation } from "./truth.ts";

export const groupName = "crew";
export const calendarName = "quiet";

/** The operations, with each change of the group or the calendar told as a change of its jobs as well. */
export function asChangesOfJobs(operations: readonly Operation[]): Operation[] {
  const rulesOf = new Map<JobId, JobRules>();
  let shared: readonly ClientRequest[] = [];
  return operations.flatMap((operation) => {
    const { request, accepted, answeredAt } = operation;
    const mayCount = accepted || answeredAt === undefined;
    if (request.kind === "delete" && mayCount) rulesOf.delete(request.id);
    if (request.kind === "put") {
      const rules = shared.reduce(withShared, request.rules);
      if (mayCount) rulesOf.set(rules.id, rules);
      return [{ ...operation, request: { ...request, rules } }];
    }
    if ((request.kind !== "group" && request.kind !== "calendar") || !mayCount) return [operation];
    shared = [...shared, request];
    const changes = [...rulesOf.values()].flatMap((before) => {
      const rules = withShared(before, request);
      if (rules === before) return [];
      rulesOf.set(rules.id, rules);
      return [{ ...operation, request: { kind: "put", rules } as const }];
    });
    return [operation, ...changes];
  });
}

/** The rules as they are with that group or calendar; the same, if the job has none of it. */
function withShared(rules: JobRules, request: ClientRequest): JobRules {
  const { except } = rules.schedule;
  if (request.kind === "group" && rules.group === true)
    return { ...rules, overlap: request.overlap, catchUp: request.catchUp };
  if (request.kind === "calendar" && except?.isCalendar === true)
    return { ...rules, schedule: { ...rules.schedule, except: { ...except, spans: request.spans } } };
  return rules;
}
