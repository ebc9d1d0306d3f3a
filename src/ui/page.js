/**
 * The page at `/`: this peer and its mesh, the next ticks with who runs them, the last runs with their output.
 *
 * It asks the API for everything, with the cookie of its login, and asks again when the peer tells of an event, and
 * every 10 s in any case. Text from the mesh is only ever set as text, never as markup. Times are the reader's own,
 * with their zone; the UTC instant is in the tooltip.
 */

const refreshEveryMs = 10_000;
/** Events come in bursts; the tables are asked for once per burst. */
const burstMs = 400;
const jobsShown = 200;
const runsShown = 25;
/** A live output longer than this is shown from its end on. */
const outputCapCharacters = 200_000;

const runStates = [
  "claimed",
  "running",
  "succeeded",
  "failed",
  "timeout",
  "cancelled",
  "lost",
  "skipped",
  "missed",
  "withdrawn",
];
/** What has happened: a claim is of a tick to come, which the jobs' table shows. */
const statesShown = runStates.filter((state) => state !== "claimed" && state !== "withdrawn").join();
const peerStates = ["alive", "suspect", "dead", "left"];
const eventNames = [
  "cicada.job.written",
  "cicada.job.deleted",
  ...runStates.map((state) => `cicada.run.${state}`),
  ...peerStates.map((state) => `cicada.peer.${state}`),
];
const looks = {
  good: ["succeeded", "alive"],
  busy: ["running", "claimed"],
  bad: ["failed", "timeout", "lost", "missed", "dead", "invalid"],
  odd: ["suspect", "cancelled", "skipped", "paused", "disabled", "withdrawn", "left"],
};

const part = (id) => document.getElementById(id);

// ---------------------------------------------------------------------------------------------------------
// Asking

class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail ?? `the peer answered ${status}`);
    this.status = status;
  }
}

async function ask(path, method = "GET", body) {
  const response = await fetch(path, {
    method,
    headers: body === undefined ? {} : { "content-type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  if (response.status === 204) return undefined;
  if (!response.ok) throw new Refused(response.status, await response.json().catch(() => ({})));
  return response.json();
}

// ---------------------------------------------------------------------------------------------------------
// Building

/** An element; properties are set as such, `class`, `role` and what has a dash as attributes. */
function make(tag, properties, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class" || name === "role" || name.includes("-")) element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children);
  return element;
}

// The roles say again what the elements are: on a phone they are laid out as cards, and some browsers forget then.
const row = (...children) => make("tr", { role: "row" }, ...children);
const cell = (label, look, ...children) =>
  make("td", { role: "cell", class: look, "data-label": label }, ...children);
const heading = (...children) => make("th", { role: "rowheader", scope: "row" }, ...children);
const quiet = (text) => make("span", { class: "quiet" }, text);

function stateOf(state, note = "") {
  const look = Object.keys(looks).find((name) => looks[name].includes(state)) ?? "plain";
  return make("span", { class: look }, note === "" ? state : `${state} (${note})`);
}

function button(label, spoken, key, act) {
  const made = make("button", { type: "button", "aria-label": spoken, "data-key": key }, label);
  made.addEventListener("click", () => act(made));
  return made;
}

/** New rows in place of the old; the button that had the focus keeps it. */
function fill(id, rows, columns, empty) {
  const focused = document.activeElement?.dataset?.key;
  const body = part(id);
  body.replaceChildren(
    ...(rows.length > 0
      ? rows
      : [row(make("td", { role: "cell", colSpan: columns, class: "empty" }, empty))]),
  );
  if (focused !== undefined) body.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
}

const sameDay = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  timeZoneName: "short",
});
const otherDay = new Intl.DateTimeFormat(undefined, {
  year: "numeric",
  month: "short",
  day: "numeric",
  hour: "2-digit",
  minute: "2-digit",
  timeZoneName: "short",
});

function timeOf(instant) {
  const date = new Date(instant);
  const today = date.toDateString() === new Date().toDateString();
  const text = (today ? sameDay : otherDay).format(date);
  return make("time", { dateTime: instant, title: instant }, text);
}

function lengthOf(ms) {
  const seconds = Math.round(ms / 1_000);
  if (Math.abs(ms) < 1_000) return `${Math.round(ms)} ms`;
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 120) return `${minutes} min`;
  const hours = Math.round(minutes / 60);
  return hours < 48 ? `${hours} h` : `${Math.round(hours / 24)} days`;
}

function fromNow(instant) {
  const ms = Date.parse(instant) - Date.now();
  return ms > 0 ? `in ${lengthOf(ms)}` : "now";
}

// ---------------------------------------------------------------------------------------------------------
// The tables

function peerRow(peer) {
  const notes = [peer.draining ? "draining" : "", peer.warmingUp ? "warming up" : ""]
    .filter(Boolean)
    .join(", ");
  const offset = Math.round(peer.clockOffsetMs ?? 0);
  const clock = peer.self || peer.clockOffsetMs === null ? "–" : `${offset > 0 ? "+" : ""}${offset} ms`;
  return row(
    heading(peer.name, quiet(peer.self ? `${peer.id.slice(-8)}, this peer` : peer.id.slice(-8))),
    cell("State", "", stateOf(peer.state, notes)),
    cell("Load", "number", peer.load === null ? "–" : `${peer.load} of ${peer.capacity}`),
    cell("Clock", "number wide", clock),
    cell("Version", "wide", peer.version ?? "–"),
  );
}

function jobRow(job) {
  const next = job.nextTick === null ? "–" : timeOf(job.nextTick);
  return row(
    heading(job.id, ...(job.description === undefined ? [] : [quiet(job.description)])),
    cell("Next tick", "", next, underNext(job)),
    cell("Runs on", "", job.nextPeer?.name ?? "–"),
    cell("Last run", "wide", ...lastRunOf(job)),
    cell("", "actions", ...actionsOf(job)),
  );
}

function underNext(job) {
  const held = job.state !== "scheduled" && job.state !== "running";
  if (!held) return quiet(job.nextTick === null ? "none" : fromNow(job.nextTick));
  const note = job.paused?.note ?? job.problems[0]?.message ?? "";
  return make("span", { class: "quiet" }, stateOf(job.state, note));
}

function lastRunOf({ lastRun }) {
  if (lastRun === null) return ["–"];
  return [
    stateOf(lastRun.state),
    make("span", { class: "quiet" }, ...(lastRun.startedAt === null ? [] : [timeOf(lastRun.startedAt)])),
  ];
}

function actionsOf(job) {
  if (job.state === "invalid") return [];
  const path = `/v1/jobs/${encodeURIComponent(job.id)}`;
  const act = (what) => (pressed) => change(pressed, `${path}/${what}`);
  const toggle = job.paused === null ? "pause" : "resume";
  const label = job.paused === null ? "Pause" : "Resume";
  const actions = [button(label, `${label} ${job.id}`, `toggle ${job.id}`, act(toggle))];
  // A paused or disabled job is run by those who say `force`, and that is the command line's.
  if (job.paused === null && job.state !== "disabled") {
    actions.unshift(button("Run now", `Run ${job.id} now`, `run ${job.id}`, act("run")));
  }
  return actions;
}

function runRow(run) {
  const note = [run.reason, exitOf(run), run.duplicate ? "duplicate" : ""].filter(Boolean).join(", ");
  const took =
    run.startedAt === null || run.finishedAt === null
      ? "–"
      : lengthOf(Date.parse(run.finishedAt) - Date.parse(run.startedAt));
  const output =
    run.startedAt === null
      ? []
      : [button("Output", `Output of ${run.id}`, `output ${run.id}`, () => showOutput(run.id))];
  return row(
    heading(run.job, ...(run.trigger === "schedule" ? [] : [quiet(run.trigger)])),
    cell("State", "", stateOf(run.state, note)),
    cell("Tick", "", timeOf(run.due)),
    cell("Peer", "", run.peerName ?? run.peer.slice(-8)),
    cell("Took", "number wide", took),
    cell("", "actions", ...output),
  );
}

function exitOf({ exitCode, signal }) {
  if (signal !== null) return signal;
  return exitCode === null || exitCode === 0 ? "" : `exit ${exitCode}`;
}

function bySoonest(a, b) {
  if (a.nextTick === b.nextTick) return a.id < b.id ? -1 : 1;
  if (a.nextTick === null || b.nextTick === null) return a.nextTick === null ? 1 : -1;
  return a.nextTick < b.nextTick ? -1 : 1;
}

async function jobsAsked() {
  const search = part("search").value.trim();
  const query = new URLSearchParams({ limit: String(jobsShown), ...(search === "" ? {} : { q: search }) });
  const response = await fetch(`/v1/jobs?${query}`);
  if (!response.ok) throw new Refused(response.status, await response.json().catch(() => ({})));
  const total = Number(response.headers.get("x-total-count"));
  return { items: (await response.json()).items, total };
}

// ---------------------------------------------------------------------------------------------------------
// Refreshing

let events;
let timer;
let asking = false;
let askAgain = false;

async function refresh() {
  if (asking) {
    askAgain = true;
    return;
  }
  asking = true;
  try {
    const [peers, jobs, runs] = await Promise.all([
      ask("/v1/peers"),
      jobsAsked(),
      ask(`/v1/runs?limit=${runsShown}&state=${statesShown}`),
    ]);
    fill("peers", peers.items.map(peerRow), 5, "No peer is known.");
    fill(
      "jobs",
      jobs.items.toSorted(bySoonest).map(jobRow),
      5,
      "No job. Make one with: cicada jobs create hello --schedule '@every 1m' --command 'echo hello'",
    );
    fill("runs", runs.items.map(runRow), 6, "Nothing has run yet.");
    part("jobs-count").textContent = countOf(jobs);
    tell(`Up to date at ${sameDay.format(new Date())}`);
  } catch (error) {
    if (error instanceof Refused && error.status === 401) await start();
    else tell(error instanceof Refused ? error.message : "This peer does not answer; trying again.");
  } finally {
    asking = false;
    if (askAgain) {
      askAgain = false;
      soon();
    }
  }
}

function countOf({ items, total }) {
  if (items.length < total)
    return `the first ${items.length} of ${total} jobs by name; search for the others`;
  return total === 1 ? "1 job" : `${total} jobs`;
}

/** Said only when it changes in more than its time, or a screen reader would repeat it every few seconds. */
function tell(text) {
  const status = part("status");
  status.setAttribute("aria-live", text.startsWith("Up to date") ? "off" : "polite");
  status.textContent = text;
}

function soon() {
  clearTimeout(timer);
  timer = setTimeout(async () => {
    await refresh();
    if (events !== undefined) later();
  }, burstMs);
}

function later() {
  clearTimeout(timer);
  timer = setTimeout(soon, refreshEveryMs);
}

function listen() {
  events = new EventSource("/v1/events");
  for (const name of eventNames) events.addEventListener(name, soon);
}

function stopListening() {
  clearTimeout(timer);
  events?.close();
  events = undefined;
}

async function change(pressed, path) {
  pressed.disabled = true;
  part("problem").textContent = "";
  try {
    await ask(path, "POST", {});
    await refresh();
  } catch (error) {
    part("problem").textContent = error.message;
  } finally {
    pressed.disabled = false;
  }
}

// ---------------------------------------------------------------------------------------------------------
// A run's output

let output;

function showOutput(run) {
  const path = `/v1/runs/${encodeURIComponent(run)}/log`;
  const text = part("output-text");
  part("output-title").textContent = `Output of ${run}`;
  part("output-whole").href = path;
  part("output-status").textContent = "";
  text.textContent = "";
  output?.close();
  output = new EventSource(`${path}/stream`);
  output.addEventListener("output", ({ data }) => {
    const atEnd = text.scrollHeight - text.scrollTop - text.clientHeight < 40;
    text.textContent = (text.textContent + JSON.parse(data).text).slice(-outputCapCharacters);
    if (atEnd) text.scrollTop = text.scrollHeight;
    part("output-status").textContent = "Following";
  });
  output.addEventListener("end", () =>
    endOutput(text.textContent === "" ? "It wrote nothing." : "That is all."),
  );
  output.addEventListener("gone", ({ data }) => endOutput(JSON.parse(data).detail));
  output.addEventListener("error", () => {
    if (output?.readyState === EventSource.CLOSED) endOutput("No output is in reach.");
  });
  part("output").showModal();
}

function endOutput(words) {
  output?.close();
  output = undefined;
  part("output-status").textContent = words;
}

// ---------------------------------------------------------------------------------------------------------
// In and out

async function start() {
  stopListening();
  const { loggedIn, name, tokenFile } = await ask("/login");
  part("peer-name").textContent = `on ${name}`;
  document.title = `${name} · cicada`;
  part("login").hidden = loggedIn;
  part("overview").hidden = !loggedIn;
  part("more").hidden = !loggedIn;
  if (loggedIn) {
    listen();
    soon();
    return;
  }
  tell("");
  part("login-hint").textContent = tokenFile === undefined ? "" : `It is in ${tokenFile} on this machine.`;
  part("token").focus();
}

part("login-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const problem = part("login-problem");
  problem.textContent = "";
  try {
    await ask("/login", "POST", { token: part("token").value });
    part("token").value = "";
    await start();
  } catch (error) {
    problem.textContent = error instanceof Refused ? error.message : "This peer does not answer.";
  }
});
part("logout").addEventListener("click", async () => {
  await ask("/logout", "POST", {}).catch(() => undefined);
  await start().catch(() => tell("This peer does not answer."));
});
part("search-form").addEventListener("submit", (event) => event.preventDefault());
part("search").addEventListener("input", soon);
part("output").addEventListener("close", () => endOutput(""));
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible" && events !== undefined) soon();
});

start().catch(() => tell("This peer does not answer; load the page again when it is up."));
