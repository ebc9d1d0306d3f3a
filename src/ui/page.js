/**
 * The page at `/`: this peer and its mesh, the next ticks with the peers that run them, the last runs with their
 * output.
 *
 * Everything comes from the API. The page asks it when the peer reports an event, but at most about once a second, and
 * also every 10 s.
 */
import { ask, askList, Refused } from "./ask.js";
import { make, part, Rows } from "./elements.js";
import { showOutput } from "./output.js";
import { Refreshing } from "./refreshing.js";
import { jobRow, peerRow, runRow } from "./rows.js";
import { clockNow, sentence } from "./words.js";

const jobsShown = 200;
const runsShown = 25;

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
/** The states of past ticks. A claim is for a future tick, which the table of jobs shows. */
const statesShown = runStates.filter((state) => state !== "claimed" && state !== "withdrawn").join();
const peerStates = ["alive", "suspect", "dead", "left"];
const eventNames = [
  "cicada.job.written",
  "cicada.job.deleted",
  ...runStates.map((state) => `cicada.run.${state}`),
  ...peerStates.map((state) => `cicada.peer.${state}`),
];

const peers = new Rows("peers", 5);
const jobs = new Rows("jobs", 5);
const runs = new Rows("runs", 6);
const refreshing = new Refreshing(refresh, { atMostEveryMs: 800, atLeastEveryMs: 10_000 });
let events;
/** How to call this peer's command line. */
let program = "cicada";
/** The peers when they were last seen, for links to them when this peer doesn't answer. */
let others = [];

async function refresh() {
  try {
    const search = part("search").value.trim();
    const query = new URLSearchParams({ limit: String(jobsShown), ...(search === "" ? {} : { q: search }) });
    const [foundPeers, foundJobs, foundRuns] = await Promise.all([
      ask("/v1/peers"),
      askList(`/v1/jobs?${query}`),
      ask(`/v1/runs?limit=${runsShown}&state=${statesShown}`),
    ]);
    others = foundPeers.items.filter(({ self, state }) => !self && state === "alive");
    peers.show(foundPeers.items.map(peerRow), "No peer is known.");
    jobs.show(
      foundJobs.items.toSorted(bySoonest).map((job) => jobRow(job, change)),
      search === ""
        ? `No job yet. Make one: ${program} jobs create hello --schedule '@every 1m' --command 'echo hello'`
        : `No job matches "${search}".`,
    );
    runs.show(
      foundRuns.items.map((run) => runRow(run, showOutput)),
      "Nothing has run yet.",
    );
    part("jobs-count").textContent = countOf(foundJobs, search);
    part("unreachable").hidden = true;
    setStatus(`Up to date at ${clockNow()}`);
  } catch (error) {
    if (error instanceof Refused && error.status === 401) await start("The session has ended. Log in again.");
    else if (error instanceof Refused) setStatus(sentence(error.message));
    else showUnreachable();
  }
}

function bySoonest(a, b) {
  if (a.nextTick === b.nextTick) return a.id < b.id ? -1 : 1;
  if (a.nextTick === null || b.nextTick === null) return a.nextTick === null ? 1 : -1;
  return a.nextTick < b.nextTick ? -1 : 1;
}

function countOf({ items, total }, search) {
  if (items.length < total) {
    return `the first ${items.length} of ${total} jobs by name; search for the others`;
  }
  const matching = search === "" ? "" : " found";
  return total === 1 ? `1 job${matching}` : `${total} jobs${matching}`;
}

/**
 * Screen readers announce the text only when more than the time has changed; otherwise they would repeat it every few
 * seconds.
 */
function setStatus(text) {
  const status = part("status");
  status.setAttribute("aria-live", text.startsWith("Up to date") ? "off" : "polite");
  status.textContent = text;
}

/** The content of the page is out of date, and the other peers show the same mesh. */
function showUnreachable() {
  setStatus("");
  const banner = part("unreachable");
  if (!banner.hidden) return;
  const links = others.flatMap(pageOf);
  banner.replaceChildren(
    `This peer has not answered since ${clockNow()}. This page shows the state at that time, and keeps trying.`,
    ...(links.length === 0 ? [] : [" The other peers show the same: ", ...listed(links), "."]),
  );
  banner.hidden = false;
}

function listed(items) {
  return items.flatMap((item, index) => (index === 0 ? [item] : [", ", item]));
}

/** A link to a peer's page, if its mesh address names its host. The link assumes that the pages use the same port. */
function pageOf({ name, addresses }) {
  for (const address of addresses) {
    const [, kind = "", host = ""] = address.split("/");
    if (host === "" || host.startsWith("127.") || host === "::1") continue;
    const port = location.port === "" ? "" : `:${location.port}`;
    const href = `${location.protocol}//${kind === "ip6" ? `[${host}]` : host}${port}/`;
    return [make("a", { href, rel: "noopener" }, `${name} (${host})`)];
  }
  return [name];
}

/** Sends the request of a button, and says when the peer has taken it. */
async function change(pressed, path) {
  pressed.disabled = true;
  part("problem").textContent = "";
  part("receipt").textContent = "";
  try {
    const answer = await ask(path, "POST", {});
    part("receipt").textContent = receiptOf(path, answer);
  } catch (error) {
    part("problem").textContent =
      error instanceof Refused
        ? sentence(error.message)
        : "This peer does not answer; whether the request was carried out is unknown.";
  } finally {
    pressed.disabled = false;
  }
  refreshing.soon();
}

function receiptOf(path, answer) {
  const [, , , job = "", action = ""] = path.split("/");
  const name = decodeURIComponent(job);
  if (action === "run") return `${name}: run ordered, ${answer.job}@${answer.tick}.`;
  return action === "pause" ? `${name} is paused.` : `${name} is resumed.`;
}

async function start(why = "") {
  stopListening();
  const login = await ask("/login");
  const { loggedIn, name, tokenFile } = login;
  program = login.program;
  part("peer-name").textContent = `on ${name}`;
  document.title = `${name} · cicada`;
  part("login").hidden = loggedIn;
  part("overview").hidden = !loggedIn;
  part("more").hidden = !loggedIn;
  part("unreachable").hidden = true;
  setStatus("");
  if (loggedIn) {
    listen();
    refreshing.start();
    return;
  }
  part("login-why").textContent = why;
  part("login-hint").textContent =
    tokenFile === undefined ? "" : `It is in ${tokenFile} on the machine where ${name} runs.`;
  part("token").focus();
}

function listen() {
  events = new EventSource("/v1/events");
  for (const name of eventNames) events.addEventListener(name, () => refreshing.soon());
  // The browser reconnects by itself. The lists show what has happened in the meantime.
  events.addEventListener("open", () => refreshing.soon());
  events.addEventListener("error", () => refreshing.soon());
}

function stopListening() {
  refreshing.stop();
  events?.close();
  events = undefined;
}

part("login-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const problem = part("login-problem");
  problem.textContent = "";
  try {
    await ask("/login", "POST", { token: part("token").value });
    part("token").value = "";
    // A person who was sent here from another page goes back to it.
    const back = new URLSearchParams(location.search).get("back");
    if (back !== null && /^\/docs(\/|$)/.test(back)) location.assign(back);
    else await start();
  } catch (error) {
    problem.textContent = error instanceof Refused ? sentence(error.message) : "This peer does not answer.";
  }
});
part("logout").addEventListener("click", async () => {
  await ask("/logout", "POST", {}).catch(() => undefined);
  await start().catch(() => setStatus("This peer does not answer."));
});
part("search-form").addEventListener("submit", (event) => event.preventDefault());
part("search").addEventListener("input", () => refreshing.soon());
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") refreshing.soon();
});

start().catch(() => setStatus("This peer does not answer; load the page again when it is up."));
