/**
 * A real split on the dashboard: three peers in network namespaces, cut apart and joined again, and a browser on the host of
 * one of them. Its page shows the split while it lasts, and afterwards what ran where, what ran twice and what did not run.
 */
import assert from "node:assert/strict";
import { chmodSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { items, until } from "./kit/cluster.ts";
import { logIn, noBrowser, openBrowser, openPage, program } from "./kit/browser.ts";
import { Lab, type LabPeer } from "./kit/fault/lab.ts";
import { labProblem } from "./kit/fault/net.ts";

/** A program that starts the browser on the peer's host. */
function browserAt({ site }: LabPeer, lab: Lab): string {
  const file = path.join(lab.folder, "browser");
  const words = [...site.prefix, program ?? ""].map((word) => `'${word}'`).join(" ");
  writeFileSync(file, `#!/bin/sh\nexec ${words} "$@"\n`);
  chmodSync(file, 0o755);
  return file;
}

/** The peer of the last run that fits, as that peer knows. */
async function lastRunner({ running }: LabPeer, query: string): Promise<string | undefined> {
  const [run] = await items<{ peer: string }>(running, `/v1/runs?limit=1&${query}`);
  return run?.peer;
}

const skip = noBrowser ?? (await labProblem()) ?? false;

test(
  "a split is shown while it lasts, and told after the heal: who ran what, what ran twice, what did not run",
  { skip },
  async (t) => {
    await using lab = await Lab.open({ peers: 3 });
    const [ann, ben, cyd] = lab.peers as [LabPeer, LabPeer, LabPeer];
    await ann.running.ask("POST", "/v1/jobs", { id: "both", schedule: "*/2 * * * * *", command: "true" });
    await ann.running.ask("POST", "/v1/jobs", {
      id: "voted",
      schedule: "*/5 * * * * *",
      command: "true",
      partition: "majority",
      catchUp: { policy: "latest", window: "4s" },
    });
    const browser = await openBrowser(browserAt(ann, lab));
    t.after(() => browser.close());
    await lab.untilVoters();
    const { page, complaints } = await openPage(browser, ann.running.ready.http);
    await logIn(page, ann.running.token, "/mesh");
    await page.getByRole("heading", { name: "Who hears whom" }).waitFor();
    assert.equal(await page.getByText("Split").count(), 0);

    const joins = await Promise.all([lab.split([ann], [ben, cyd]), lab.split([ben], [cyd])]);
    await page.getByRole("heading", { name: "Split: ben and cyd not heard" }).waitFor();
    await page.getByText(/most voters can vote. Here they can't/).waitFor();
    const status = page.getByRole("status").filter({ hasText: "Not heard from here" });
    assert.match(
      await status.innerText(),
      /This side\s+ann\s+Not heard from here\s+ben since .*: silent\s+cyd since .*: silent/,
    );
    await page.getByRole("link", { name: "Now", exact: true }).click();
    await page.getByText(/^Split: ben and cyd not heard on this side/).waitFor();
    await page.getByRole("link", { name: "Show the mesh" }).click();
    await until("both sides have run the same job, and nobody a tick of the other", 60_000, async () => {
      const both = "job=both&state=succeeded";
      if ((await lastRunner(ann, both)) !== ann.id || (await lastRunner(ben, both)) !== ben.id) return false;
      return (await lastRunner(ann, "job=voted&state=skipped,missed")) !== undefined;
    });

    await Promise.all(joins.map((join) => join()));
    const story = page.getByRole("listitem").filter({ hasText: "ann ∣ ben and cyd" });
    await story.getByText("ben was not heard for").waitFor();
    await story
      .getByText(/kept running meanwhile/)
      .first()
      .waitFor();
    await story.getByText(/\d+ ticks? ran more than once/).waitFor();
    await story.getByText(/\d+ ticks? did not run/).waitFor();
    await story.getByText(/^ann started \d+ runs?: .*both/).waitFor();
    await story.getByText(/^ben started \d+ runs?: .*both/).waitFor();
    await page.getByRole("heading", { name: /^Split: / }).waitFor({ state: "detached" });
    assert.deepEqual(complaints, []);
  },
);
