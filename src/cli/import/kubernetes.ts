/**
 * Turns manifests of Kubernetes CronJobs into jobs. Pure: text in, jobs and reports out.
 *
 * A job runs the container's command on a peer's own host, without its image, so everything that the image and the pod give the
 * command is named. A command that the image keeps to itself, or that of several containers, becomes no job.
 */
import { parseAllDocuments } from "yaml";
import { contentOf } from "../../config/yaml.ts";
import { formatDuration } from "../../core/time/units.ts";
import { CicadaError } from "../../errors.ts";
import { Drafts, idFrom, isObject, unread, wordOf, type Draft, type ForeignOptions } from "./drafts.ts";
import type { Reading } from "./reading.ts";
import { readRobfig } from "./robfig.ts";

type Fields = Record<string, unknown>;

/** `source` names the file. Throws BAD_FILE for a text that is no YAML, or no manifest. */
export function parseCronJobs(
  text: string,
  source: string,
  options: ForeignOptions & { zoneIsNamed: boolean },
): Reading {
  const drafts = new Drafts(options);
  const documents = parseAllDocuments(text, { logLevel: "error" });
  for (const [index, document] of (Array.isArray(documents) ? documents : []).entries()) {
    const where = `document ${index + 1}`;
    const content = contentOf(document, `${source}, ${where}`);
    if (content !== null && !isObject(content))
      throw new CicadaError("BAD_FILE", `${source}, ${where}: expected a manifest of Kubernetes`);
    for (const object of objectsIn(content)) {
      const { kind } = object;
      const name = inside(object, "metadata")["name"];
      const at = typeof name === "string" ? name : where;
      if (kind === "CronJob") drafts.add(at, kind, (draft) => jobOf(object, source, draft, options));
      else {
        const what = typeof kind === "string" ? `the kind ${kind}` : "an object without a kind";
        drafts.note(`${where}: ${what} is not imported`);
      }
    }
  }
  return drafts.reading;
}

function objectsIn(content: unknown): Fields[] {
  if (!isObject(content)) return [];
  return Array.isArray(content["items"]) ? content["items"].flatMap(objectsIn) : [content];
}

function inside(fields: Fields, name: string): Fields {
  const value = fields[name];
  return isObject(value) ? value : {};
}

function jobOf(
  object: Fields,
  source: string,
  draft: Draft,
  options: ForeignOptions & { zoneIsNamed: boolean },
): Fields {
  const metadata = inside(object, "metadata");
  const spec = inside(object, "spec");
  const template = inside(inside(spec, "jobTemplate"), "spec");
  const pod = inside(inside(template, "template"), "spec");
  const { name, namespace } = metadata;
  if (typeof name !== "string") draft.addRefusal("metadata.name is missing");
  noteUnread(draft, "spec", unread(spec, specFields));
  noteUnread(draft, "spec.jobTemplate.spec", unread(template, templateFields));
  noteUnread(draft, "pod", unread(pod, podFields));
  return {
    id: idFrom(wordOf(name), options.prefix),
    ...draft.part(() => timesOf(spec, draft, options)),
    enabled: spec["suspend"] === true ? false : undefined,
    ...policyOf(spec, draft),
    ...retryOf(template, pod, draft),
    ...draft.part(() => commandOf(containerOf(pod, draft), draft)),
    user: options.user,
    target: isObject(pod["nodeSelector"]) ? { tags: pod["nodeSelector"] } : undefined,
    labels: {
      "imported-from": "k8s",
      file: source.slice(0, 256),
      ...(typeof namespace === "string" ? { namespace } : {}),
    },
    description: `CronJob ${typeof namespace === "string" ? `${namespace}/` : ""}${wordOf(name)}`,
  };
}

const specFields = (
  "schedule timeZone concurrencyPolicy suspend startingDeadlineSeconds jobTemplate successfulJobsHistoryLimit " +
  "failedJobsHistoryLimit"
).split(" ");
const templateFields =
  "template backoffLimit activeDeadlineSeconds parallelism completions ttlSecondsAfterFinished completionMode".split(
    " ",
  );
const podFields = (
  "containers initContainers restartPolicy nodeSelector activeDeadlineSeconds terminationGracePeriodSeconds " +
  "dnsPolicy schedulerName serviceAccount serviceAccountName imagePullSecrets"
).split(" ");
const containerFields =
  "name image imagePullPolicy command args env envFrom workingDir terminationMessagePath terminationMessagePolicy".split(
    " ",
  );

function noteUnread(draft: Draft, where: string, names: readonly string[]): void {
  if (names.length > 0) draft.note(`not carried over of ${where}: ${names.join(", ")}`);
}

function timesOf(
  spec: Fields,
  draft: Draft,
  { zone, zoneIsNamed }: ForeignOptions & { zoneIsNamed: boolean },
): Fields {
  const { schedule, timeZone } = spec;
  if (typeof schedule !== "string") return draft.refuse("spec.schedule is missing");
  const read = readRobfig(schedule, "kubernetes");
  if ("reason" in read) return draft.refuse(read.reason);
  for (const note of read.notes) draft.note(note);
  const named = typeof timeZone === "string" ? timeZone : read.zone;
  if (named === undefined && !zoneIsNamed) {
    draft.note(
      "it names no timeZone, so its times are those of the cluster's controller, taken to be UTC; --tz names another",
    );
  }
  return { schedule: read.schedule, timezone: named ?? (zoneIsNamed ? zone : "UTC") };
}

function policyOf(spec: Fields, draft: Draft): Fields {
  const policy = spec["concurrencyPolicy"] ?? "Allow";
  const overlap = { Allow: "allow", Forbid: "skip", Replace: "replace" }[wordOf(policy)];
  if (overlap === undefined) draft.addRefusal(`the concurrencyPolicy ${wordOf(policy)} is not known`);
  const deadline = spec["startingDeadlineSeconds"];
  const window = typeof deadline === "number" ? formatDuration(deadline * 1_000) : "30d";
  return { overlap, catchUp: { policy: "latest", window } };
}

function retryOf(template: Fields, pod: Fields, draft: Draft): Fields {
  for (const name of ["parallelism", "completions"]) {
    const count = template[name];
    if (count !== undefined && count !== 1)
      draft.addRefusal(`${name}: ${wordOf(count)} asks for several pods: a job has one run a tick`);
  }
  const { backoffLimit = 6, activeDeadlineSeconds } = template;
  const { activeDeadlineSeconds: ofPod, terminationGracePeriodSeconds: grace = 30 } = pod;
  if (activeDeadlineSeconds !== undefined) {
    draft.note(
      "activeDeadlineSeconds bounds all attempts together in Kubernetes, and each attempt here (timeout)",
    );
  }
  const timeout = [activeDeadlineSeconds, ofPod].filter((one) => typeof one === "number");
  return {
    retry: { attempts: backoffLimit, backoff: "10s", factor: 2, maxBackoff: "6m" },
    timeout: timeout.length === 0 ? undefined : formatDuration(Math.min(...timeout) * 1_000),
    killGrace: typeof grace === "number" ? formatDuration(grace * 1_000) : undefined,
  };
}

// ---------------------------------------------------------------------------------------------------------
// The container

function containerOf(pod: Fields, draft: Draft): Fields {
  const containers: unknown[] = Array.isArray(pod["containers"]) ? pod["containers"] : [];
  const first = Array.isArray(pod["initContainers"]) ? pod["initContainers"].length : 0;
  if (first > 0) draft.addRefusal(`it has ${first} initContainers: a job runs one command`);
  if (containers.length > 1) draft.refuse(`it has ${containers.length} containers: a job runs one command`);
  const [container] = containers;
  return isObject(container) ? container : draft.refuse("it has no container");
}

function commandOf(container: Fields, draft: Draft): Fields {
  const { image, workingDir } = container;
  const command = textsOf(container["command"], "command", draft);
  const args = textsOf(container["args"], "args", draft);
  if (command.length === 0) {
    draft.refuse(
      `it has no command, so it runs what the image ${wordOf(image)} says, which is not known here`,
    );
  }
  draft.note(
    `the image ${wordOf(image)} is not used: ${command[0] ?? ""} runs on the peers' own hosts, as each peer's user unless --user names one`,
  );
  noteUnread(draft, "container", unread(container, containerFields));
  const { env, secrets } = environmentOf(container, draft);
  const filled = [...command, ...args].map((word) => fill(word, env));
  return {
    argv: filled,
    env: Object.keys(env).length === 0 ? undefined : env,
    secrets: secrets.length === 0 ? undefined : secrets,
    cwd: typeof workingDir === "string" ? workingDir : undefined,
  };
}

function textsOf(value: unknown, what: string, draft: Draft): string[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) return draft.refuse(`${what} is not a list`);
  return value.map(wordOf);
}

function environmentOf(container: Fields, draft: Draft): { env: Record<string, string>; secrets: string[] } {
  const env: Record<string, string> = {};
  const secrets: string[] = [];
  const entries: unknown[] = Array.isArray(container["env"]) ? container["env"] : [];
  for (const entry of entries) {
    if (!isObject(entry) || typeof entry["name"] !== "string") continue;
    const { name, value, valueFrom } = entry;
    if (valueFrom === undefined) env[name] = fill(wordOf(value), env);
    else if (isObject(valueFrom) && isObject(valueFrom["secretKeyRef"])) {
      secrets.push(name);
      draft.note(
        `${name} is from a secret: \`cicada secrets set ${name} --peers all\` gives it to the peers`,
      );
    } else
      draft.disable(`${name} has its value from elsewhere (valueFrom): add it to \`env\`, then enable it`);
  }
  if (container["envFrom"] !== undefined) {
    draft.disable("envFrom is not carried over: add its variables to `env` or `secrets`, then enable it");
  }
  return { env, secrets };
}

/** `$(NAME)` is filled in if it is known, and left as it is if not; `$$` is a dollar sign. */
function fill(text: string, env: Readonly<Record<string, string>>): string {
  return text.replaceAll(/\$\$|\$\(([^)]+)\)/g, (whole, name: string | undefined) => {
    if (name === undefined) return "$";
    return Object.hasOwn(env, name) ? (env[name] ?? "") : whole;
  });
}
