/**
 * `npm run bench:page`: the dashboard in a browser, on one peer with 5,000 jobs and 25 more that run each second, which is about 50
 * events a second: how soon a view is there, how long a search takes, whether the browser is ever held up, and how large all is.
 */
import { gzipSync } from "node:zlib";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { logIn, noBrowser, openBrowser, openPage } from "../test/kit/browser.ts";
import { Cluster, root } from "../test/kit/cluster.ts";

const quietJobs = 5_000;
const busyJobs = 25;
/** What one `apply` takes. */
const jobsAtOnce = 1_000;
const watchedMs = 10_000;

/** Views, and what is there once they show something of the mesh. */
const views = [
  ["/", ".next-list"],
  ["/jobs", "tbody tr"],
  ["/jobs?sort=next", "tbody tr"],
  ["/runs", "tbody tr"],
  ["/mesh", ".without"],
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
  await page.goto("/jobs");
  await page.locator("tbody tr").first().waitFor();
  // Tasks longer than 50 ms, which delay what a person does.
  await page.evaluate(
    "window.tasks = []; new PerformanceObserver((list) => tasks.push(...list.getEntries().map(({ duration }) => duration)))" +
      ".observe({ type: 'longtask' })",
  );
  await page.waitForTimeout(watchedMs);
  const tasks = (await page.evaluate("tasks")) as number[];
  console.log(`${tasks.length} tasks of more than 50 ms in ${watchedMs / 1_000} s beside running jobs`);
  const from = performance.now();
  await page.getByLabel("Find jobs").fill("busy-7");
  await page.getByText("1 of 1 job").waitFor();
  console.log(`search: ${Math.round(performance.now() - from)} ms, 200 of them until typing has paused`);
} finally {
  await browser.close();
}
