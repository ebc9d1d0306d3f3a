/**
 * Names of fields that a job may not have. They get the nearest known name, or cicada's name for what other schedulers call
 * differently.
 */
import { fieldSynonyms } from "../../schema/field-synonyms.ts";
import { JobSpecSchema, ParamSchema, type Problem } from "../../schema/job.ts";
import { NotifyRuleSchema } from "../../schema/notice.ts";
import { didYouMean } from "../../schema/nearest.ts";
import { pointerTo } from "../../schema/pointer.ts";
import { inside, isObject, type Fields } from "./fields.ts";

const { properties } = JobSpecSchema;
/** The objects with a fixed set of fields, by their path. */
const closedObjects: readonly { path: readonly string[]; known: readonly string[] }[] = [
  { path: [], known: Object.keys(properties) },
  { path: ["catchUp"], known: Object.keys(properties.catchUp.properties) },
  { path: ["retry"], known: Object.keys(properties.retry.properties) },
  { path: ["after"], known: Object.keys(properties.after.properties) },
  { path: ["target"], known: Object.keys(properties.target.properties) },
  { path: ["target", "prefer"], known: Object.keys(properties.target.properties.prefer.properties) },
  { path: ["target", "rolling"], known: Object.keys(properties.target.properties.rolling.properties) },
  { path: ["http"], known: Object.keys(properties.http.properties) },
  { path: ["script"], known: Object.keys(properties.script.properties) },
  { path: ["limits"], known: Object.keys(properties.limits.properties) },
  { path: ["precheck"], known: Object.keys(properties.precheck.properties) },
  { path: ["success"], known: Object.keys(properties.success.properties) },
  { path: ["ping"], known: Object.keys(properties.ping.properties) },
  { path: ["keep"], known: Object.keys(properties.keep.properties) },
];
const ruleFields = Object.keys(NotifyRuleSchema.properties);
const paramFields = Object.keys(ParamSchema.properties);

/** How many unknown fields are reported per object: enough to correct a file, and a bound for a hostile one. */
const unknownShown = 20;

export function unknownFields(given: Fields): Problem[] {
  const params = Object.keys(inside(given, "params"));
  const ofParams = params.map((name) => ({ path: ["params", name], known: paramFields }));
  const objects = [...closedObjects, ...ofParams].map(({ path, known }) => ({
    path,
    known,
    fields: path.reduce(inside, given),
  }));
  const rules: unknown[] = Array.isArray(given["notify"]) ? given["notify"].slice(0, unknownShown) : [];
  const ofRules = rules.filter(isObject).map((fields, index) => ({
    path: ["notify", String(index)],
    known: ruleFields,
    fields,
  }));
  return [...objects, ...ofRules].flatMap(({ path, known, fields }) => {
    const isJob = path.length === 0;
    return Object.keys(fields)
      .filter((name) => !known.includes(name))
      .slice(0, unknownShown)
      .map((name) => ({
        pointer: pointerTo(...path, name),
        message: `unknown field ${JSON.stringify(name)}${isJob ? fieldMeant(name, known) : didYouMean(name, known)}`,
      }));
  });
}

/** cicada's name for a field that other schedulers call differently. */
function synonymOf(name: string): string | undefined {
  return fieldSynonyms.get(name.slice(0, longestSynonym).toLowerCase().replaceAll(/[_-]/g, ""));
}
/** Longer names are not looked up in full, because they come from outside. */
const longestSynonym = 64;

function fieldMeant(name: string, known: readonly string[]): string {
  const meant = synonymOf(name);
  return meant === undefined ? didYouMean(name, known) : `: did you mean "${meant}"?`;
}
