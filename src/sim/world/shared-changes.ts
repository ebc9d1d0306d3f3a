/** For the checkers, a change of a group or a calendar is a change of each of its jobs, and is listed as such. */
import type { JobId } from "../../schema/ids.ts";
import type { ClientRequest, JobRules, Operation } from "./requests.ts";

export const groupName = "crew";
export const calendarName = "quiet";

/** What may be in the table: the last accepted request, and those after it that were not answered. */
interface Possible {
  group: readonly ClientRequest[];
  calendar: readonly ClientRequest[];
}

/**
 * The operations, and for each change of the group or the calendar also a change of each of its jobs. If several states of the
 * group or the calendar are possible, a change of a job is listed once for each of them.
 */
export function asChangesOfJobs(operations: readonly Operation[]): Operation[] {
  /** of each job the rules that may be in the table: those last accepted, and those after them that were not answered */
  const rulesOf = new Map<JobId, readonly JobRules[]>();
  let possible: Possible = { group: [], calendar: [] };
  return operations.flatMap((operation) => {
    const { request, accepted, answeredAt } = operation;
    const asPuts = (all: readonly JobRules[]): Operation[] =>
      all.map((rules) => ({ ...operation, request: { kind: "put", rules } as const }));
    if (!accepted && answeredAt !== undefined) return [operation];
    // After a delete that was not answered, the job may still be there.
    if (request.kind === "delete" && accepted) rulesOf.delete(request.id);
    if (request.kind === "put") {
      const { rules } = request;
      rulesOf.set(rules.id, accepted ? [rules] : [...(rulesOf.get(rules.id) ?? []), rules]);
      return asPuts(variantsOf(request.rules, possible));
    }
    if (request.kind !== "group" && request.kind !== "calendar") return [operation];
    const { kind } = request;
    const now = { ...possible, [kind]: [request] };
    possible = accepted ? now : { ...possible, [kind]: [...possible[kind], request] };
    const ofIt = [...rulesOf.values()].flat().filter((rules) => withShared(rules, request) !== rules);
    return [operation, ...asPuts(ofIt.flatMap((rules) => variantsOf(rules, now)))];
  });
}

/** The rules as they are with each of these groups and calendars. */
function variantsOf(rules: JobRules, { group, calendar }: Possible): readonly JobRules[] {
  return withEach(withEach([rules], group), calendar);
}

function withEach(all: readonly JobRules[], requests: readonly ClientRequest[]): readonly JobRules[] {
  const given = all.flatMap((one) => requests.map((request) => withShared(one, request)));
  return given.length === 0 ? all : [...new Set(given)];
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
