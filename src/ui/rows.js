/** The rows of the page's three tables: peers, jobs, runs. */
import { button, cell, heading, quiet, row } from "./elements.js";
import { exitOf, fromNow, stateOf, ticksOf, timeOf, timeThere, tookOf } from "./words.js";

export function peerRow(peer) {
  const isThere = peer.state === "alive" || peer.state === "suspect";
  const notes = isThere ? [peer.draining ? "draining" : "", peer.warmingUp ? "warming up" : ""] : [];
  const offset = Math.round(peer.clockOffsetMs ?? 0);
  const hasClock = isThere && !peer.self && peer.clockOffsetMs !== null;
  const state = [stateOf(peer.state, "", ...notes)];
  if (!isThere && peer.heardAt !== null) state.push(quiet("last heard ", timeOf(peer.heardAt)));
  return row(
    peer.id,
    heading(peer.name, quiet(peer.self ? `${peer.id.slice(-8)}, this peer` : peer.id.slice(-8))),
    cell("State", "", ...state),
    cell("Load", "number", !isThere || peer.load === null ? "–" : `${peer.load} of ${peer.capacity}`),
    cell("Clock", "number wide", hasClock ? `${offset > 0 ? "+" : ""}${offset} ms` : "–"),
    cell("Version", "wide", peer.version ?? "–"),
  );
}

/** `act(button, path)` sends the request of a button. */
export function jobRow(job, act) {
  return row(
    job.id,
    heading(job.id, ...(job.description === undefined ? [] : [quiet(job.description)])),
    cell("Next tick", "", ...nextTickOf(job)),
    cell("Runs on", "", job.nextPeer?.name ?? "–"),
    cell("Last tick", "", ...lastTickOf(job)),
    cell("", "actions", ...actionsOf(job, act)),
  );
}

/** States of a job in which only its next tick is shown. */
const plainStates = ["scheduled", "failing", "manual"];

function nextTickOf(job) {
  const held = !plainStates.includes(job.state);
  if (job.nextTick === null) return ["–", held ? underNext(job) : quiet(whyNoNext(job))];
  const there = job.timezone === undefined ? "" : timeThere(job.nextTick, job.timezone);
  const when = quiet([fromNow(job.nextTick), there].filter(Boolean).join(", "));
  return held ? [timeOf(job.nextTick), when, underNext(job)] : [timeOf(job.nextTick), when];
}

function whyNoNext({ state, after }) {
  if (after?.on === "failure" && state !== "manual") return `if ${after.jobs.join(", ")} fails`;
  return state === "manual" ? "by hand" : "none";
}

function underNext({ state, paused, problems }) {
  const shown = stateOf(state, "", state === "paused" ? (paused?.note ?? "") : (problems[0]?.message ?? ""));
  const until = paused?.until ?? null;
  return until === null ? quiet(shown) : quiet(shown, " until ", timeOf(until));
}

/**
 * The outcome of the last tick, which may have been missed or skipped. Beside a bad outcome, when a run last succeeded.
 */
function lastTickOf({ lastTick, lastRun, lastSuccess }) {
  if (lastTick === null) return ["–"];
  const isRun = lastRun !== null && lastRun.tick === lastTick.tick;
  const exit = isRun ? exitOf({ signal: null, exitCode: lastRun.exitCode }) : "";
  const at = isRun ? (lastRun.startedAt ?? lastTick.tick) : lastTick.tick;
  const when = Number.isNaN(Date.parse(at)) ? [] : [timeOf(at)];
  const shown = [stateOf(lastTick.state, lastTick.reason ?? "", exit), quiet(...when)];
  if (lastTick.state === "succeeded") return shown;
  return [
    ...shown,
    quiet(...(lastSuccess === null ? ["never succeeded"] : ["succeeded ", timeOf(lastSuccess)])),
  ];
}

function actionsOf(job, act) {
  if (job.state === "invalid") return [];
  const path = `/v1/jobs/${encodeURIComponent(job.id)}`;
  const toggle = job.paused === null ? "pause" : "resume";
  const label = job.paused === null ? "Pause" : "Resume";
  const actions = [
    button(label, `${label} ${job.id}`, `${toggle} ${job.id}`, (pressed) =>
      act(pressed, `${path}/${toggle}`),
    ),
  ];
  // Running a paused or disabled job needs `force`, which the command line offers.
  if (job.paused === null && job.state !== "disabled") {
    const run = (pressed) => act(pressed, `${path}/run`);
    actions.unshift(button("Run now", `Run ${job.id} now`, `run ${job.id}`, run));
  }
  return actions;
}

/** `showOutput(run)` opens the dialog. */
export function runRow(run, showOutput) {
  const output =
    run.startedAt === null
      ? []
      : [button("Output", `Output of ${run.id}`, `output ${run.id}`, () => showOutput(run))];
  return row(
    run.id,
    heading(run.job, ...(run.trigger === "schedule" ? [] : [quiet(run.trigger)])),
    cell(
      "State",
      "",
      stateOf(run.state, run.reason ?? "", exitOf(run), run.duplicate ? "duplicate" : "", ticksOf(run)),
    ),
    cell("Tick", "", timeOf(run.due)),
    cell("Peer", "", run.peerName ?? run.peer.slice(-8)),
    cell("Took", "number", tookOf(run) || "–"),
    cell("", "actions", ...output),
  );
}
