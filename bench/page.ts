/**
 * `npm run bench:page`: measures the dashboard in a browser: how soon a view is there, how long the page takes to answer a click or
 * a key, whether scrolling is smooth, how much of a view events draw anew, and how large the page's files are. The peer has 5,000
 * jobs, 100,000 runs, and 25 more jobs that run each second, which make about 50 events a second.
 */
import { gzipSync } from "node:zlib";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import type { Page } from "playwright-core";
import { logIn, noBrowser, openBrowser, openPage } from "../test/kit/browser.ts";
import { Cluster, root, type RunningPeer } from "../test/kit/cluster.ts";
import { openDisk } from "../src/real/disk.ts";
import type { JobId, PeerId } from "../src/schema/ids.ts";
import { endedRecord } from "./ended-record.ts";

const quietJobs = 5_000;
const runsPerJob = 20;
const busyJobs = 25;
/** How many jobs one `apply` takes. */
const jobsAtOnce = 1_000;
const watchedMs = 10_000;

/** Views, each with an element that is there once the view shows something of the mesh. */
const views = [
  ["/", ".next-list"],
  ["/jobs", "tbody tr"],
  ["/jobs?sort=next", "tbody tr"],
  ["/runs", "tbody tr"],
  ["/mesh", ".without"],
  ["/forecast", ".week-map"],
  ["/jobs/job-7", ".result-map"],
] as const;

if (noBrowser !== undefined) throw new Error(noBrowser);
const built = path.join(root, "dist", "ui");
const files = ["index.html", ...readdirSync(path.join(built, "assets")).map((name) => `assets/${name}`)];
for (const file of files) {
  console.log(`${file}: ${gzipSync(readFileSync(path.join(built, file))).length} bytes gzipped`);
}

await using cluster = new Cluster();
const ada = await cluster.start({ name: "ada" });
for (let made = 0; made < quietJobs; made += jobsAtOnce) {
  const objects = Array.from({ length: jobsAtOnce }, (_, index) => ({
    kind: "job",
    id: `job-${made + index}`,
    schedule: `${index % 60} ${index % 24} * * *`,
    command: "true",
  }));
  await ada.ask("POST", "/v1/apply", { objects });
}
await giveHistory(ada);
for (let made = 0; made < busyJobs; made++) {
  await ada.ask("POST", "/v1/jobs", { id: `busy-${made}`, schedule: "@every 1s", command: "true" });
}

const browser = await openBrowser();
try {
  const { page } = await openPage(browser, ada.ready.http);
  await logIn(page, ada.token);
  for (const [view, content] of views) {
    await page.goto(view, { waitUntil: "commit" });
    const from = performance.now();
    await page.locator(content).first().waitFor();
    const contentMs = performance.now() - from;
    const paint = await page.evaluate(
      "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0",
    );
    console.log(`${view}: first paint ${Math.round(Number(paint))} ms, content ${Math.round(contentMs)} ms`);
  }
  for (const view of ["/jobs", "/"]) await watchRedraws(page, view);
  await measureScrolling(page);
  await measureAnswers(page);
} finally {
  await browser.close();
}

/** Stores past runs of all jobs while the peer is down. */
async function giveHistory(peer: RunningPeer): Promise<void> {
  const self = peer.ready.peerId as PeerId;
  await peer.stop();
  const disk = await openDisk({
    folder: peer.data,
    log: { debug() {}, info() {}, warn() {}, error: console.error },
    lost: () => console.error("the disk thread has ended"),
  });
  const midnight = Math.floor(Date.now() / 86_400_000) * 86_400_000;
  for (let day = 1; day <= runsPerJob; day++) {
    for (let from = 0; from < quietJobs; from += jobsAtOnce) {
      const writes = Array.from({ length: jobsAtOnce }, (_, index) => {
        const instant = midnight - day * 86_400_000 + ((index % 24) * 60 + (index % 60)) * 60_000;
        return {
          kind: "record",
          record: endedRecord({
            job: `job-${from + index}` as JobId,
            instant,
            peer: self,
            failed: day % 7 === 3,
            tookMs: 747 + day,
          }),
        } as const;
      });
      // oxlint-disable-next-line no-await-in-loop -- one batch after the other
      await new Promise<void>((done, fail) =>
        disk.store(writes, (error) => (error === undefined ? done() : fail(error))),
      );
    }
  }
  await new Promise<void>((done) => disk.close(done));
  await peer.restart();
}

/** While jobs run: counts tasks of more than 50 ms, which delay what a person does, and elements that are made anew. */
async function watchRedraws(page: Page, view: string): Promise<void> {
  await page.goto(view);
  await page.locator("tbody tr, .next-list").first().waitFor();
  await page.waitForTimeout(2_000);
  await page.evaluate(`(() => {
    window.tasks = []; window.made = 0; window.patched = 0;
    new PerformanceObserver((list) => tasks.push(...list.getEntries().map(({ duration }) => duration))).observe({ type: "longtask" });
    new MutationObserver((changes) => {
      for (const { type, addedNodes } of changes) {
        if (type !== "childList") patched++;
        else for (const node of addedNodes) if (node.nodeType === 1) made += 1 + node.querySelectorAll("*").length;
      }
    }).observe(document.querySelector("main"), { childList: true, subtree: true, characterData: true, attributes: true });
  })()`);
  await page.waitForTimeout(watchedMs);
  const [tasks, made, patched, all] = (await page.evaluate(
    "[tasks.map(Math.round), made, patched, document.querySelectorAll('main *').length]",
  )) as [number[], number, number, number];
  console.log(
    `${view}, ${watchedMs / 1_000} s beside running jobs: ${tasks.length} tasks of more than 50 ms (${tasks.join()}); ` +
      `${made} elements made anew, ${patched} texts and attributes changed, of ${all} elements`,
  );
}

/** Measures the gaps between frames while a wheel scrolls the list of jobs. */
async function measureScrolling(page: Page): Promise<void> {
  await page.goto("/jobs");
  await page.locator("tbody tr").first().waitFor();
  await page.mouse.move(600, 500);
  await page.evaluate(`(() => {
    window.gaps = []; let last = performance.now();
    const frame = (at) => { gaps.push(at - last); last = at; requestAnimationFrame(frame); };
    requestAnimationFrame(frame);
  })()`);
  for (let turn = 0; turn < 100; turn++) {
    // oxlint-disable-next-line no-await-in-loop -- as a person turns a wheel
    await page.mouse.wheel(0, turn < 50 ? 240 : -240);
    // oxlint-disable-next-line no-await-in-loop
    await page.waitForTimeout(25);
  }
  const gaps = ((await page.evaluate("gaps")) as number[]).toSorted((a, b) => a - b);
  const at = (share: number): number => Math.round(gaps[Math.floor((gaps.length - 1) * share)] ?? 0);
  console.log(
    `scrolling: ${gaps.length} frames, median gap ${at(0.5)} ms, p95 ${at(0.95)} ms, longest ${at(1)} ms`,
  );
}

/** How long it takes from a click or a key to the next frame that shows what it did, as the browser itself measures it. */
async function measureAnswers(page: Page): Promise<void> {
  const acts: readonly (readonly [string, () => Promise<unknown>])[] = [
    ["choose a job", () => page.getByRole("row").nth(3).getByRole("checkbox").check()],
    ["type in the search", () => page.getByLabel("Find jobs").pressSequentially("busy-7", { delay: 60 })],
    ["open a job", () => page.getByRole("link", { name: "busy-7", exact: true }).click()],
    ["its ticks", () => page.getByRole("link", { name: "Ticks" }).first().click()],
    ["go to Now", () => page.keyboard.press("g").then(() => page.keyboard.press("n"))],
    ["go to the forecast", () => page.keyboard.press("g").then(() => page.keyboard.press("f"))],
  ];
  await page.goto("/jobs");
  await page.locator("tbody tr").first().waitFor();
  await page.evaluate(
    "window.answers = []; new PerformanceObserver((list) => answers.push(...list.getEntries().filter(({ interactionId }) => interactionId > 0).map(({ duration }) => duration))).observe({ type: 'event', durationThreshold: 16 })",
  );
  for (const [what, act] of acts) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other, as a person does
    await page.evaluate("answers.length = 0");
    // oxlint-disable-next-line no-await-in-loop
    await act();
    // oxlint-disable-next-line no-await-in-loop
    await page.waitForTimeout(1_500);
    // oxlint-disable-next-line no-await-in-loop
    const answers = (await page.evaluate("answers")) as number[];
    console.log(`${what}: ${Math.max(0, ...answers)} ms to the next frame`);
  }
  await page.goto("/jobs");
  await page.locator("tbody tr").first().waitFor();
  const from = performance.now();
  await page.getByLabel("Find jobs").fill("busy-7");
  await page.getByText("1 of 1 job").waitFor();
  console.log(
    `search until found: ${Math.round(performance.now() - from)} ms, 200 of them until typing has paused`,
  );
}
