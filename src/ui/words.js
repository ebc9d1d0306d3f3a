/** Instants, durations and codes in words. Times are in the reader's own zone, which is named. */
import { make } from "./elements.js";

const sameDay = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
  timeZoneName: "short",
});
const otherDay = new Intl.DateTimeFormat(undefined, {
  year: "numeric",
  month: "short",
  day: "numeric",
  hour: "2-digit",
  minute: "2-digit",
  hourCycle: "h23",
  timeZoneName: "short",
});
const ownZone = sameDay.resolvedOptions().timeZone;

export const clockNow = () => sameDay.format(new Date());

/** The UTC instant is in the tooltip. */
export function timeOf(instant) {
  const date = new Date(instant);
  const today = date.toDateString() === new Date().toDateString();
  return make("time", { dateTime: instant, title: instant }, (today ? sameDay : otherDay).format(date));
}

/** `03:00 Europe/Berlin`: what a clock in the job's zone shows. Empty if that is the reader's own zone. */
export function timeThere(instant, timeZone) {
  if (timeZone === ownZone) return "";
  const clock = new Intl.DateTimeFormat(undefined, {
    weekday: "short",
    hour: "2-digit",
    minute: "2-digit",
    hourCycle: "h23",
    timeZone,
  });
  return `${clock.format(new Date(instant))} ${timeZone}`;
}

export function durationOf(ms) {
  const seconds = Math.round(ms / 1_000);
  if (Math.abs(ms) < 1_000) return `${Math.round(ms)} ms`;
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 120) return `${minutes} min`;
  const hours = Math.round(minutes / 60);
  return hours < 48 ? `${hours} h` : `${Math.round(hours / 24)} days`;
}

export function fromNow(instant) {
  const ms = Date.parse(instant) - Date.now();
  return ms > 0 ? `in ${durationOf(ms)}` : "now";
}

const colours = {
  good: ["succeeded", "alive"],
  busy: ["running", "claimed", "waiting", "pending"],
  bad: ["failed", "timeout", "lost", "missed", "dead", "invalid", "blocked", "failing"],
  odd: ["suspect", "cancelled", "skipped", "paused", "disabled", "withdrawn", "left"],
};

/** Why a tick was skipped, missed or lost. A reason that isn't listed here is already a sentence. */
const reasons = {
  overlap: "an earlier run was still in progress",
  paused: "the job was paused",
  "no-quorum": "no majority of the voters",
  window: "no peer could run it in time",
  superseded: "a newer tick was due",
  limit: "too many ticks were overdue",
  policy: "it was overdue, and catchUp is none",
  "exit-code": "its exit code says that there was nothing to do",
  restarted: "the peer was restarted",
  asked: "a person asked for it",
};

/** A state in its colour, with the reason in words. The tooltip shows the code. */
export function stateOf(state, reason = "", ...notes) {
  const colour = Object.keys(colours).find((name) => colours[name].includes(state)) ?? "plain";
  const words = [reasons[reason] ?? reason, ...notes].filter(Boolean).join(", ");
  const title = reasons[reason] === undefined ? "" : `${state}(${reason})`;
  return make("span", { class: colour, title }, words === "" ? state : `${state}: ${words}`);
}

/** `exit 3` or `SIGKILL`; empty after a success. */
export function exitOf({ exitCode, signal }) {
  if (signal !== null) return signal;
  return exitCode === null || exitCode === 0 ? "" : `exit ${exitCode}`;
}

/** How long a run took; empty while it runs. */
export function tookOf({ startedAt, finishedAt }) {
  if (startedAt === null || finishedAt === null) return "";
  return durationOf(Date.parse(finishedAt) - Date.parse(startedAt));
}

/** Problems arrive in lower case and without a full stop. */
export function sentence(text) {
  const [first = ""] = text;
  return `${first.toUpperCase()}${text.slice(first.length)}${/[.!?]$/.test(text) ? "" : "."}`;
}

/** How many ticks a range record stands for, and since when. */
export function ticksOf({ range }) {
  if (range === null || range === undefined) return "";
  return `${range.count.toLocaleString("en")} ticks since ${range.from.slice(0, 16).replace("T", " ")} UTC`;
}
