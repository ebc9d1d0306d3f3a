/**
 * `npm run screenshots`: takes the pictures of the dashboard that the README shows. They are of three real peers with a few jobs
 * that have run for a while. It takes about two minutes and needs Chromium.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as passes } from "node:timers/promises";
import { logIn, noBrowser, openBrowser, openPage } from "../test/kit/browser.ts";
import { Cluster, root } from "../test/kit/cluster.ts";

const folder = path.join(root, "src", "ui", "pictures");
/** How long the jobs run before the pictures are taken. Unit: ms. */
const historyMs = 90_000;
/** The quality of the pictures, of 100. A higher one makes them larger than the README should load. */
const quality = 70;

const jobs: readonly object[] = [
  {
    id: "backup-db",
    description: "dumps the database to the store",
    schedule: "@every 15s",
    command: "sleep 2; echo 1.2 GiB dumped",
    group: "db",
  },
  {
    id: "verify-backup",
    description: "restores the last dump and counts its rows",
    command: "sleep 1; echo rows agree",
    after: { jobs: ["backup-db"] },
    group: "db",
  },
  {
    id: "tell-monitoring",
    command: "echo told",
    after: { jobs: ["verify-backup"], on: "always" },
    group: "db",
  },
  {
    id: "sync-photos",
    description: "fails while the store is full",
    schedule: "@every 20s",
    command: "[ $(( $(date +%s) / 60 % 2 )) -eq 0 ] || { echo 'no space left on store'; exit 28; }",
  },
  { id: "renew-certs", schedule: "17 3 * * *", timezone: "Europe/Berlin", command: "certbot renew -q" },
  { id: "rotate-logs", schedule: "@every 10s", command: "echo rotated 12 files" },
  {
    id: "index-search",
    description: "builds the search index anew",
    schedule: "@every 30s",
    command: "sleep 12; echo done",
    overlap: "skip",
  },
  {
    id: "invoices",
    description: "starts only on the side with a majority of the voters",
    schedule: "0 6 1 * *",
    timezone: "Europe/Berlin",
    command: "./invoices",
    partition: "majority",
  },
  { id: "clean-tmp", schedule: "@hourly", command: "find /tmp -mtime +7 -delete", target: { count: "all" } },
];

const pictures = [
  { name: "now", view: "/?minutes=15", width: 1_180, height: 900, scheme: "light" },
  { name: "jobs-dark", view: "/jobs", width: 1_180, height: 720, scheme: "dark" },
  { name: "job", view: "/jobs/backup-db", width: 1_180, height: 820, scheme: "light" },
  { name: "forecast", view: "/forecast", width: 1_180, height: 760, scheme: "light" },
  { name: "phone", view: "/jobs/sync-photos?tab=ticks", width: 390, height: 760, scheme: "dark" },
] as const;

if (noBrowser !== undefined) throw new Error(noBrowser);
await using cluster = new Cluster();
const [ada] = await cluster.mesh(["ada", "bob", "cyd"]);
if (ada === undefined) throw new Error("no peer was started");
for (const job of jobs) await ada.ask("POST", "/v1/jobs", job);
await ada.ask("POST", "/v1/jobs/renew-certs/pause", { note: "the new name server comes first" });
await passes(historyMs);
mkdirSync(folder, { recursive: true });
const browser = await openBrowser();
try {
  for (const { name, view, width, height, scheme } of pictures) {
    const { context, page } = await openPage(browser, ada.ready.http, { width, scheme });
    await page.setViewportSize({ width, height });
    await logIn(page, ada.token);
    await page.goto(view);
    await page.locator(".skeleton").first().waitFor({ state: "detached" });
    await page.locator("svg, .ticks").first().waitFor();
    await passes(1_500);
    const devtools = await context.newCDPSession(page);
    const shot = await devtools.send("Page.captureScreenshot", { format: "webp", quality });
    const bytes = Buffer.from(shot.data, "base64");
    writeFileSync(path.join(folder, `${name}.webp`), bytes);
    console.log(`${name}: ${Math.round(bytes.length / 1_000)} kB`);
    await context.close();
  }
} finally {
  await browser.close();
}
