/**
 * Every field of a job as a flag of the command line (INTERFACE, Command line: `--FIELD VALUE`). README's table of fields is
 * made from this list, too (test/kit/job-reference.ts).
 */
import {
  backgroundPolicies,
  catchUpPolicies,
  chainConditions,
  executors,
  httpMethods,
  overlapPolicies,
  partitionPolicies,
  retryPlaces,
} from "../../schema/job.ts";

export interface JobFlag {
  flags: string;
  help: string;
  /** Where in the job the value goes. */
  path: readonly [string, string?, string?];
  /**
   * `pairs` are K=V; `names` have commas between them. `pairs`, `list`, `names`, `numbers` and `rules` may be repeated. A single schedule
   * stays a plain text.
   */
  shape: "text" | "number" | "truth" | "list" | "names" | "numbers" | "pairs" | "rules" | "json";
  choices?: readonly string[];
}

export const jobFlags: readonly JobFlag[] = [
  {
    flags: "-s, --schedule <schedule>",
    help: "cron expression, @every 90s, rate(5 minutes), @at INSTANT; repeatable",
    path: ["schedule"],
    shape: "list",
  },
  { flags: "--tz, --timezone <zone>", help: "IANA name (default: UTC)", path: ["timezone"], shape: "text" },
  { flags: "-c, --command <text>", help: "a command for /bin/sh -c", path: ["command"], shape: "text" },
  { flags: "--starts-at <instant>", help: "no ticks before this instant", path: ["startsAt"], shape: "text" },
  { flags: "--ends-at <instant>", help: "no ticks after this instant", path: ["endsAt"], shape: "text" },
  {
    flags: "--except <ticks>",
    help: "leave out a date, a range 2026-12-24/2027-01-02, calendar:NAME (see cicada calendars) or a cron expression; repeatable",
    path: ["except"],
    shape: "list",
  },
  {
    flags: "--jitter <duration>",
    help: "start each tick up to this much later, always the same for one tick (default: 0)",
    path: ["jitter"],
    shape: "text",
  },
  {
    flags: "--enabled <true|false>",
    help: "false: keep the job, but never run it",
    path: ["enabled"],
    shape: "truth",
  },
  {
    flags: "--executor <executor>",
    help: "how to run it (default: shell with --command, exec with -- ARGV, http with --http-url, script with --script)",
    path: ["executor"],
    shape: "text",
    choices: executors,
  },
  {
    flags: "--http-url <url>",
    help: "send a request to this address instead of running a command",
    path: ["http", "url"],
    shape: "text",
  },
  {
    flags: "--http-method <method>",
    help: "its method (default: GET, or POST with --http-body)",
    path: ["http", "method"],
    shape: "text",
    choices: httpMethods,
  },
  {
    flags: "--http-header <K=V>",
    help: "one of its headers; repeatable",
    path: ["http", "headers"],
    shape: "pairs",
  },
  {
    flags: "--script-sha256 <sha256>",
    help: "run a script that was uploaded before, by the name that --script printed",
    path: ["script", "sha256"],
    shape: "text",
  },
  {
    flags: "--interpreter <program>",
    help: "what runs the script: a name on the peers' PATH, such as python3, or an absolute path",
    path: ["script", "interpreter"],
    shape: "text",
  },
  {
    flags: "--script-arg <text>",
    help: "an argument of the script; repeatable",
    path: ["script", "args"],
    shape: "list",
  },
  { flags: "--http-body <text>", help: "its body", path: ["http", "body"], shape: "text" },
  {
    flags: "--http-timeout <duration>",
    help: "end it after this time, body included (default: --timeout, or 1m without one; 0 = never)",
    path: ["http", "timeout"],
    shape: "text",
  },
  {
    flags: "--http-expect-status <n>",
    help: "a status that counts as success; repeatable (default: 200)",
    path: ["http", "expectStatus"],
    shape: "numbers",
  },
  {
    flags: "--http-expect-body <pattern>",
    help: "a pattern (RE2) that the answer's body must have",
    path: ["http", "expectBody"],
    shape: "text",
  },
  {
    flags: "--http-follow-redirects <true|false>",
    help: "follow up to 10 redirects; to another origin without its headers and body (default: false)",
    path: ["http", "followRedirects"],
    shape: "truth",
  },
  {
    flags: "--http-insecure-tls <true|false>",
    help: "accept any certificate (default: false)",
    path: ["http", "insecureTls"],
    shape: "truth",
  },
  { flags: "--stdin <text>", help: "text for the command's standard input", path: ["stdin"], shape: "text" },
  { flags: "--env <K=V>", help: "environment variable; repeatable", path: ["env"], shape: "pairs" },
  {
    flags: "--cwd <dir>",
    help: "where it runs (default: work/ in the data folder, or the home of --user)",
    path: ["cwd"],
    shape: "text",
  },
  {
    flags: "--user <user>",
    help: "who it runs as (default: the peer's own user)",
    path: ["user"],
    shape: "text",
  },
  { flags: "--umask <mask>", help: "its umask (default: 077)", path: ["umask"], shape: "text" },
  {
    flags: "--timeout <duration>",
    help: "end it after this time (default: 0 = never)",
    path: ["timeout"],
    shape: "text",
  },
  {
    flags: "--kill-grace <duration>",
    help: "time between TERM and KILL (default: 10s)",
    path: ["killGrace"],
    shape: "text",
  },
  {
    flags: "--overlap <policy>",
    help: "what to do while an earlier run is in progress (default: queue)",
    path: ["overlap"],
    shape: "text",
    choices: overlapPolicies,
  },
  {
    flags: "--catch-up-policy <policy>",
    help: "which ticks to catch up that no peer could run (default: latest)",
    path: ["catchUp", "policy"],
    shape: "text",
    choices: catchUpPolicies,
  },
  {
    flags: "--catch-up-window <duration>",
    help: "how far back to catch up (default: 1h)",
    path: ["catchUp", "window"],
    shape: "text",
  },
  {
    flags: "--catch-up-limit <n>",
    help: "how many ticks to catch up (default: 100)",
    path: ["catchUp", "limit"],
    shape: "number",
  },
  {
    flags: "--retry, --retry-attempts <n>",
    help: "how often to repeat a run that failed or timed out (default: 0)",
    path: ["retry", "attempts"],
    shape: "number",
  },
  {
    flags: "--retry-backoff <duration>",
    help: "the pause before the first repetition (default: 10s)",
    path: ["retry", "backoff"],
    shape: "text",
  },
  {
    flags: "--retry-factor <n>",
    help: "how much longer each further pause is (default: 2)",
    path: ["retry", "factor"],
    shape: "number",
  },
  {
    flags: "--retry-max-backoff <duration>",
    help: "the longest pause (default: 10m)",
    path: ["retry", "maxBackoff"],
    shape: "text",
  },
  {
    flags: "--retry-on <outcome>",
    help: "what to repeat: failed, timeout, lost; repeatable (default: failed and timeout)",
    path: ["retry", "on"],
    shape: "list",
  },
  {
    flags: "--retry-where <peer>",
    help: "on which peer to repeat it, compared with the last one (default: any)",
    path: ["retry", "where"],
    shape: "text",
    choices: retryPlaces,
  },
  {
    flags: "--pool <name>",
    help: "at most so many runs of all jobs in this pool at once (see cicada pools; default: no pool)",
    path: ["pool"],
    shape: "text",
  },
  {
    flags: "--pause-after-failures <n>",
    help: "pause the job when so many ticks in a row have failed (default: 0 = never)",
    path: ["pauseAfterFailures"],
    shape: "number",
  },
  {
    flags: "--partition <policy>",
    help: "if the mesh is split: available = run at least once (default), majority = at most once",
    path: ["partition"],
    shape: "text",
    choices: partitionPolicies,
  },
  {
    flags: "--after, --after-jobs <jobs>",
    help: "jobs after which it runs instead of by a schedule, such as load,clean; repeatable",
    path: ["after", "jobs"],
    shape: "names",
  },
  {
    flags: "--after-on <end>",
    help: "after which of their ends: success, failure, always (default: success)",
    path: ["after", "on"],
    shape: "text",
    choices: chainConditions,
  },
  {
    flags: "--target-peer <peer>",
    help: "name or id of a peer that may run it; repeatable (default: any peer)",
    path: ["target", "peers"],
    shape: "list",
  },
  {
    flags: "--target-tag <K=V>",
    help: "a tag that a peer must have to run it (see start --tag); repeatable",
    path: ["target", "tags"],
    shape: "pairs",
  },
  {
    flags: "--target-count <n>",
    help: "how many runs each tick has, on as many different peers as there are (default: 1)",
    path: ["target", "count"],
    shape: "number",
  },
  {
    flags: "--prefer-tag <K=V>",
    help: "peers with this tag run it if they can, otherwise the others do; repeatable",
    path: ["target", "prefer", "tags"],
    shape: "pairs",
  },
  {
    flags: "--params <json>",
    help: 'what a run may be given, such as {"DAY":{"type":"string","default":"today"}}; see jobs run --param',
    path: ["params"],
    shape: "json",
  },
  {
    flags: "--secrets <names>",
    help: "secrets that it finds as variables (see secrets set), with commas between them; repeatable",
    path: ["secrets"],
    shape: "names",
  },
  {
    flags: "--limit-nice <n>",
    help: "its priority, from -20 (first) to 19 (last)",
    path: ["limits", "nice"],
    shape: "number",
  },
  {
    flags: "--limit-memory <size>",
    help: "how much memory (address space) each of its processes may have",
    path: ["limits", "memory"],
    shape: "text",
  },
  {
    flags: "--limit-open-files <n>",
    help: "how many files each of its processes may have open",
    path: ["limits", "openFiles"],
    shape: "number",
  },
  {
    flags: "--limit-processes <n>",
    help: "how many processes its user may have",
    path: ["limits", "processes"],
    shape: "number",
  },
  {
    flags: "--background <policy>",
    help: "what its program leaves running when it ends: end it (default), or leave it",
    path: ["background"],
    shape: "text",
    choices: backgroundPolicies,
  },
  {
    flags: "--precheck <text>",
    help: "a command that runs just before each attempt; unless it exits with 0, the run is skipped",
    path: ["precheck", "command"],
    shape: "text",
  },
  {
    flags: "--precheck-argv <json>",
    help: 'the same as a program and its arguments, such as ["test","-e","/data/ready"]',
    path: ["precheck", "argv"],
    shape: "json",
  },
  {
    flags: "--precheck-timeout <duration>",
    help: "how long the precheck may take (default: 30s)",
    path: ["precheck", "timeout"],
    shape: "text",
  },
  {
    flags: "--success-code <n>",
    help: "an exit code that counts as success; repeatable (default: 0)",
    path: ["success", "exitCodes"],
    shape: "numbers",
  },
  {
    flags: "--skip-code <n>",
    help: "an exit code that says that there was nothing to do; repeatable",
    path: ["success", "skipCodes"],
    shape: "numbers",
  },
  {
    flags: "--must-match <pattern>",
    help: "a pattern (RE2) that the output must have for a success; repeatable",
    path: ["success", "mustMatch"],
    shape: "list",
  },
  {
    flags: "--must-not-match <pattern>",
    help: "a pattern (RE2) that the output must not have; repeatable",
    path: ["success", "mustNotMatch"],
    shape: "list",
  },
  {
    flags: "--weight <n>",
    help: "how much of a peer's --capacity a run takes (default: 1)",
    path: ["weight"],
    shape: "number",
  },
  {
    flags: "--notify <events=channels>",
    help: "whom to tell what, such as failed,recovered=ops; repeatable, or as JSON (see channels set)",
    path: ["notify"],
    shape: "rules",
  },
  {
    flags: "--long-after <duration>",
    help: "when a run counts as long: a duration, or auto",
    path: ["longAfter"],
    shape: "text",
  },
  {
    flags: "--ping-start <url>",
    help: "call this address at each start",
    path: ["ping", "start"],
    shape: "text",
  },
  {
    flags: "--ping-success <url>",
    help: "call this address when a tick has succeeded",
    path: ["ping", "success"],
    shape: "text",
  },
  {
    flags: "--ping-failure <url>",
    help: "call this address when a tick has failed",
    path: ["ping", "failure"],
    shape: "text",
  },
  {
    flags: "--keep-runs <n>",
    help: "how many ticks to keep history of (default: 100)",
    path: ["keep", "runs"],
    shape: "number",
  },
  {
    flags: "--keep-age <duration>",
    help: "how long to keep history (default: 30d)",
    path: ["keep", "age"],
    shape: "text",
  },
  {
    flags: "--keep-log-bytes <size>",
    help: "how much output to keep of each run (default: 1MiB)",
    path: ["keep", "logBytes"],
    shape: "text",
  },
  { flags: "--group <group>", help: "the job's group (default: default)", path: ["group"], shape: "text" },
  { flags: "--label, --labels <K=V>", help: "a label; repeatable", path: ["labels"], shape: "pairs" },
  { flags: "--description <text>", help: "a text for people", path: ["description"], shape: "text" },
  { flags: "--owner <text>", help: "whom to ask about the job", path: ["owner"], shape: "text" },
];
