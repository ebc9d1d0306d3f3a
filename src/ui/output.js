/**
 * The dialog with a run's output, live while it runs. At the end it says how the run ended, and what part of the output
 * isn't shown.
 */
import { ask } from "./ask.js";
import { part } from "./elements.js";
import { exitOf, sentence, tookOf } from "./words.js";

/** Longest text shown. Of a longer one, the end is shown. Unit: characters. More makes a phone slow. */
const shownAtMost = 200_000;

// Colours and cursor movements of a terminal (ECMA-48 CSI and OSC sequences) are removed.
// eslint-disable-next-line no-control-regex -- this searches for control characters
const terminalCodes = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[@-Z\\-_])/g;

let source;

export function showOutput({ id, job, due, peerName, peer }) {
  const path = `/v1/runs/${encodeURIComponent(id)}`;
  const shown = part("output-text");
  let text = "";
  let cut = false;
  part("output-title").textContent = `Output of ${job}`;
  part("output-run").textContent = `${id}, due ${due}, on ${peerName ?? peer}`;
  part("output-whole").href = `${path}/log`;
  part("output-status").textContent = "";
  shown.textContent = "";
  source?.close();
  source = new EventSource(`${path}/log/stream`);
  source.addEventListener("output", ({ data }) => {
    const atEnd = shown.scrollHeight - shown.scrollTop - shown.clientHeight < 40;
    text += JSON.parse(data).text;
    cut ||= text.length > shownAtMost;
    text = text.slice(-shownAtMost);
    shown.textContent = text.replaceAll(terminalCodes, "");
    if (atEnd) shown.scrollTop = shown.scrollHeight;
    part("output-status").textContent = "Live";
  });
  source.addEventListener("end", () => {
    const following = source;
    end("");
    ask(path).then(
      // Another output may have been opened in the meantime.
      (run) => source === undefined && following !== undefined && setStatus(endOf(run, text, cut)),
      () => setStatus("Ended."),
    );
  });
  source.addEventListener("gone", ({ data }) => end(sentence(JSON.parse(data).detail)));
  source.addEventListener("error", () => {
    if (source?.readyState === EventSource.CLOSED) end("No reachable peer has this output.");
  });
  part("output").showModal();
}

function endOf(run, text, cut) {
  const how = exitOf(run) || (run.state === "succeeded" ? "exit 0" : run.state);
  const took = tookOf(run);
  const words = [`Ended: ${how}${took === "" ? "" : ` after ${took}`}.`];
  if (run.reason !== null) words.push(sentence(run.reason));
  if (text === "") words.push("It wrote nothing.");
  if (run.logTruncated)
    words.push("The middle is left out: the output is longer than the job's keep.logBytes.");
  if (cut) words.push("Only the end is shown here; open it as text to see everything that is kept.");
  return words.join(" ");
}

function setStatus(words) {
  part("output-status").textContent = words;
}

function end(words) {
  source?.close();
  source = undefined;
  setStatus(words);
}

part("output").addEventListener("close", () => end(""));
