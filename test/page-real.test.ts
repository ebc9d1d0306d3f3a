/** The dashboard in a browser, against real peers: as a person uses it, and as axe judges it. */
import axe from "axe-core";
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import type { Browser, Page } from "playwright-core";
import { logIn, noBrowser, openBrowser, openPage, widths } from "./kit/browser.ts";
import { Cluster, until, type RunningPeer } from "./kit/cluster.ts";

interface AxeResult {
  violations: { id: string; help: string; nodes: { html: string }[] }[];
}

/** The rules of axe that look at colours. */
const ofColours = { runOnly: { type: "rule", values: ["color-contrast", "link-in-text-block"] } };

/** What axe has to say against the page as it is now. */
async function violations(page: Page, options: object = {}): Promise<string[]> {
  if ((await page.evaluate("typeof axe")) === "undefined") await page.evaluate(axe.source);
  const result = await page.evaluate(`axe.run(document, ${JSON.stringify(options)})`);
  const { violations: found } = result as AxeResult;
  return found.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html }) => html).join(" ")}`);
}

/** As long as a name may be, without a place where a browser would break it. */
const longName = "n".repeat(128);
/** Where the night is hours away: the nightly job has no tick while the tests run. */
const zoneByDay = new Date().getUTCHours() < 12 ? "Asia/Tokyo" : "America/New_York";
/** The pages, each with a heading that is there once it is shown. */
const judged = [
  ["/", "Coming up"],
  ["/jobs", "Jobs"],
  ["/runs", "Runs"],
  ["/jobs/hello", "How it went"],
  ["/jobs/broken?tab=ticks", "broken"],
  ["/jobs/broken?tab=runs", "broken"],
  ["/jobs/nightly?tab=edits", "nightly"],
  ["/runs/broken~failed", "Its story"],
  ["/new", "What the schedule means"],
  ["/mesh", "Who hears whom"],
  ["/forecast", "Forecast"],
  ["/settings", "Pools"],
  ["/access", "Audit"],
  ["/jobs/nightly?tab=change", "What the schedule means"],
  [`/jobs/${longName}`, "How it went"],
] as const;

/** How much of a table can be seen only by scrolling it to the side, unless it says that it scrolls. Unit: px. */
const cutOfTables =
  'Math.max(0, ...[...document.querySelectorAll(".table-wrap:not([tabindex])")].map((one) => one.scrollWidth - one.clientWidth))';

/** What only changes something. */
const doing = /^(run|skip|pause|resume|revert|edit|clone|delete|new|remove|test|choose|save|create)\b/i;

describe("the dashboard", { skip: noBrowser ?? false }, () => {
  const cluster = new Cluster();
  let browser: Browser;
  let peers: RunningPeer[] = [];
  let ada: RunningPeer;

  before(async () => {
    [browser, peers] = await Promise.all([openBrowser(), cluster.mesh(["ada", "bob", "cyd"])]);
    const [first] = peers;
    assert.ok(first);
    ada = first;
    for (const job of [
      { id: "hello", schedule: "@every 2s", command: "printf '\\033[31mred\\033[0m and plain\\n'" },
      {
        id: "broken",
        schedule: "@every 3s",
        command: "echo on the way; exit 3",
        description: "always fails",
      },
      { id: "nowhere", schedule: "@hourly", command: "true", target: { tags: { disk: "big" } } },
      { id: "report", command: "true", after: { jobs: ["hello"] } },
      {
        id: longName,
        schedule: "@every 20s",
        command: `true ${"x".repeat(3_000)}`,
        description: "d".repeat(500),
        group: "g".repeat(64),
        labels: { ["k".repeat(60)]: "v".repeat(60) },
      },
      {
        id: "mirrored",
        schedule: "30 3 * * *",
        command: "true",
        description: "\u202eevil\u202c tail",
        owner: "\u05d3\u05df 12",
        labels: { of: "\u202eolive" },
      },
      { id: "switched-off", schedule: "0 3 * * *", command: "true", enabled: false },
      { id: "nightly", schedule: "30 2 * * *", timezone: zoneByDay, command: "true" },
    ]) {
      await ada.ask("POST", "/v1/jobs", job);
    }
    await ada.ask("PUT", "/v1/pools/db", { slots: 2 });
    await ada.ask("PUT", "/v1/channels/ops", { type: "webhook", url: "http://127.0.0.1:1/hook" });
    await ada.ask("POST", "/v1/tokens", { name: "reader", role: "viewer" });
    await until("broken has failed", 20_000, async () => {
      const { state } = (await ada.ask("GET", "/v1/jobs/broken")) as { state: string };
      return state === "failing";
    });
  });
  after(async () => {
    await browser?.close();
    await cluster[Symbol.asyncDispose]();
  });

  test(`axe finds nothing on any page, light or dark, ${widths.join(", ")} wide; nothing is wider than the screen`, async () => {
    const { context, page, complaints } = await openPage(browser, ada.ready.http);
    const setWidth = async (width: number): Promise<void> => {
      await page.setViewportSize({ width, height: 900 });
      // What follows the width by script, such as a chart, has done so after two frames.
      await page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))");
    };
    const judgeAt = async (width: number, what: string): Promise<void> => {
      await setWidth(width);
      assert.deepEqual(await violations(page), [], what);
      // In the dark the page has other colours, and everything else is the same.
      await page.emulateMedia({ colorScheme: "dark" });
      assert.deepEqual(await violations(page, ofColours), [], `${what}, dark`);
      await page.emulateMedia({ colorScheme: "light" });
      const wide = Number(await page.evaluate("document.documentElement.scrollWidth"));
      assert.ok(wide <= width, `${what} is ${wide} wide`);
      const cut = Number(await page.evaluate(cutOfTables));
      assert.ok(cut <= 0, `${what}: ${cut} px of a table are out of view`);
      const links = await page.getByRole("navigation", { name: "Pages" }).getByRole("link").all();
      assert.equal(links.length > 3, !what.startsWith("login"), `${what}: ${links.length} links to pages`);
      for (const link of links) {
        const { x = -1, width: own = 0 } = (await link.boundingBox()) ?? {};
        assert.ok(x >= 0 && x + own <= width, `${what}: ${await link.innerText()} is out of view`);
      }
    };
    const judge = async (what: string): Promise<void> => {
      for (const width of widths) await judgeAt(width, `${what} at ${width}`);
    };
    // Each page is loaded at the least width, as on a phone.
    await setWidth(widths[0]);
    await page.goto("/jobs");
    await page.getByLabel("Token").waitFor();
    await judge("login");
    await logIn(page, ada.token);
    for (const [view, landmark] of judged) {
      await setWidth(widths[0]);
      await page.goto(view);
      await page.getByRole("heading", { name: landmark }).first().waitFor();
      await page.locator(".skeleton").first().waitFor({ state: "detached" });
      await judge(view);
    }
    assert.deepEqual(complaints, []);
    await context.close();
  });

  test("a job that fails is on the first page, in the title and in the sign, and one click from its output", async () => {
    const { context, page } = await openPage(browser, ada.ready.http);
    await logIn(page, ada.token);
    await page.getByRole("heading", { name: /1 blocked, 1 failing/ }).waitFor();
    await page.waitForFunction("document.title.startsWith('(2) ')");
    const icon = await page.locator('link[rel="icon"]').getAttribute("href");
    assert.equal(icon, "/icon.svg?failing=2");
    const row = page.getByRole("row", { name: /broken/ });
    await row.getByText(/exit 3/).waitFor();
    await row.getByRole("link").nth(1).click();
    await page.getByText("on the way").waitFor();
    await page.getByText(/Ended: exit 3/).waitFor();
    await context.close();
  });

  test("a job whose ticks were missed because no peer can run it says what keeps it, too", async () => {
    const { context, page } = await openPage(browser, ada.ready.http);
    const times = { due: new Date().toISOString(), startedAt: null, finishedAt: null, retryAt: null };
    const ended = { state: "missed", reason: "superseded", exitCode: null, range: null, peerName: null };
    const missed = { id: "nowhere@1", job: "nowhere", ...times, ...ended };
    const wrong = { job: "nowhere", state: "blocked", counts: { missed: 1 }, last: missed };
    await page.route("**/v1/failures?*", (route) => route.fulfill({ json: { items: [wrong], total: 1 } }));
    await logIn(page, ada.token);
    const row = page.getByRole("row", { name: /^nowhere/ });
    await row.getByText("missed", { exact: true }).waitFor();
    await row.getByText(/no peer could run it in time/).waitFor();
    await row.getByText(/disk=big/).waitFor();
    await context.close();
  });

  test("on a phone, a job's card tells how its last tick went, why and how long it took, and all pages stand in one line", async () => {
    const { context, page } = await openPage(browser, ada.ready.http, { width: 390 });
    await logIn(page, ada.token, "/jobs");
    const card = page.getByRole("row", { name: /broken/ });
    await card.getByText(/exit 3/).waitFor();
    const lastTick = /failed \d+ s ago · exit 3 · [\d.]+\sm?s/;
    await until("the card tells of the last tick", 20_000, async () => lastTick.test(await card.innerText()));
    const tops =
      "[...document.querySelectorAll('.places a')].map((one) => Math.round(one.getBoundingClientRect().top))";
    assert.equal(new Set(await page.evaluate<number[]>(tops)).size, 1);
    await context.close();
  });

  test("an output of many lines is followed to its last one, until a person scrolls up", async () => {
    const lines = 400_000;
    const command = `seq 1 ${lines}; while [ ! -e ${ada.data}/enough ]; do sleep 0.1; done`;
    await ada.ask("POST", "/v1/jobs", { id: "lines", command, keep: { logBytes: "8MiB" } });
    await ada.ask("POST", "/v1/jobs/lines/run", {});
    await until("lines runs", 20_000, async () => {
      const { lastRun } = (await ada.ask("GET", "/v1/jobs/lines")) as { lastRun: { state: string } | null };
      return lastRun?.state === "running";
    });
    const { context, page } = await openPage(browser, ada.ready.http);
    await logIn(page, ada.token, "/runs/lines");
    await page.getByText(String(lines), { exact: true }).waitFor();
    const follow = page.getByLabel("Follow");
    // The box tells of its scrolling when more lines have come: its end is further away then, and nobody has scrolled up.
    await page.evaluate(`(() => {
      const box = document.querySelector(".output-box");
      box.style.height = "240px";
      box.dispatchEvent(new Event("scroll"));
    })()`);
    assert.ok(await follow.isChecked());
    await page.getByRole("region", { name: "Output" }).hover();
    await page.mouse.wheel(0, -2_000);
    await page.getByText(String(lines), { exact: true }).waitFor({ state: "detached" });
    assert.equal(await follow.isChecked(), false);
    writeFileSync(path.join(ada.data, "enough"), "");
    await page.getByText(/^\s*Ended: exit 0/).waitFor();
    // Nothing more comes.
    await follow.waitFor({ state: "detached" });
    await ada.ask("DELETE", "/v1/jobs/lines");
    await context.close();
  });

  test("a session that has ended says so, and a new login goes on at the same place", async () => {
    const { context, page } = await openPage(browser, ada.ready.http);
    await logIn(page, ada.token, "/jobs?q=bro");
    await page.getByRole("rowheader", { name: /broken/ }).waitFor();
    await context.clearCookies();
    await page.getByText("The session has ended").waitFor();
    await page.getByLabel("Token").fill(ada.token);
    await page.getByRole("button", { name: "Log in" }).click();
    await page.getByRole("rowheader", { name: /broken/ }).waitFor();
    assert.match(page.url(), /\/jobs\?q=bro$/);
    await context.close();
  });

  test("a job that is being written when the session ends is still there after the next login, with what others changed meanwhile beneath", async () => {
    const { context, page } = await openPage(browser, ada.ready.http);
    const logInAgain = async (): Promise<void> => {
      await context.clearCookies();
      await page.getByText("The session has ended").waitFor();
      await page.keyboard.type(ada.token);
      await page.keyboard.press("Enter");
    };
    await logIn(page, ada.token, "/new");
    await page.getByLabel("id (required)").fill("half-written");
    await logInAgain();
    await page.getByLabel("id (required)").waitFor();
    assert.equal(await page.getByLabel("id (required)").inputValue(), "half-written");
    await page.goto("/jobs/nightly?tab=change");
    await page.getByLabel("description", { exact: true }).fill("written here");
    await ada.ask("PATCH", "/v1/jobs/nightly", { owner: "somebody else" });
    await logInAgain();
    await page.getByText("Somebody has changed this job since your edit began.").waitFor();
    assert.equal(await page.getByLabel("description", { exact: true }).inputValue(), "written here");
    assert.equal(await page.getByLabel("owner", { exact: true }).inputValue(), "somebody else");
    await page.getByRole("link", { name: "Cancel" }).click();
    await context.close();
  });

  test("an edit that meets another one shows it, and is saved on top of it or dropped", async () => {
    const { context, page } = await openPage(browser, ada.ready.http);
    const id = "written-by-two";
    await ada.ask("POST", "/v1/jobs", { id, command: "true", description: "first", umask: "022" });
    const description = page.getByLabel("description", { exact: true });
    const change = page.getByRole("link", { name: "Edit", exact: true });
    const meanwhile = page.locator(".notice", { hasText: "since your edit began" });
    await logIn(page, ada.token, `/jobs/${id}`);
    await change.click();
    await description.fill("mine");
    await page.getByLabel("command", { exact: true }).first().fill("false");
    await ada.ask("PATCH", `/v1/jobs/${id}`, { owner: "theirs", description: "theirs", umask: null });
    await page.getByRole("button", { name: "Save" }).click();
    await meanwhile.getByText(/^edited by /).waitFor();
    assert.match(
      await meanwhile.innerText(),
      /umask\s+022.*owner\s+theirs.*You have changed description, too: saving replaces theirs/s,
    );
    assert.deepEqual(await violations(page), []);
    // A reload forgets neither of both.
    await page.reload();
    await meanwhile.getByText(/^edited by /).waitFor();
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByText(`${id} is changed.`).waitFor();
    const saved = (await ada.ask("GET", `/v1/jobs/${id}`)) as Record<string, unknown>;
    const expected = { command: "false", description: "mine", owner: "theirs", umask: undefined };
    for (const [name, value] of Object.entries(expected)) assert.equal(saved[name], value, name);
    await change.click();
    await description.fill("dropped");
    await ada.ask("PATCH", `/v1/jobs/${id}`, { owner: "again" });
    await page.getByRole("button", { name: "Save" }).click();
    await meanwhile.waitFor();
    const cancel = page.getByRole("link", { name: "Cancel" });
    const [other] = await Promise.all([
      context.waitForEvent("page"),
      cancel.click({ modifiers: ["ControlOrMeta"] }),
    ]);
    await other.close();
    await page.reload();
    assert.equal(await description.inputValue(), "dropped");
    await cancel.click();
    await change.click();
    assert.equal(await description.inputValue(), "mine");
    assert.equal(await meanwhile.count(), 0);
    await ada.ask("DELETE", `/v1/jobs/${id}`);
    await context.close();
  });

  test("an edit that comes after the one that a form shows is told as one that it doesn't show yet, and shown when asked for", async () => {
    const { context, page } = await openPage(browser, ada.ready.http);
    const id = "written-by-three";
    await ada.ask("POST", "/v1/jobs", { id, command: "true" });
    await logIn(page, ada.token, `/jobs/${id}?tab=change`);
    const meanwhile = page.locator(".notice", { hasText: "since your edit began" });
    const owner = page.getByLabel("owner", { exact: true });
    await page.getByLabel("description", { exact: true }).fill("mine");
    await ada.ask("PATCH", `/v1/jobs/${id}`, { owner: "the second" });
    await page.getByRole("button", { name: "Save" }).click();
    await meanwhile.getByText(/the second/).waitFor();
    assert.equal(await meanwhile.getByText(/changed again since/).count(), 0);
    await ada.ask("PATCH", `/v1/jobs/${id}`, { owner: "the third", description: "theirs" });
    await meanwhile.getByText(/changed again since/).waitFor();
    // Nothing of it is in the form, so none of it is told as if it were.
    assert.doesNotMatch(await meanwhile.innerText(), /the third|You have changed/);
    assert.equal(await owner.inputValue(), "the second");
    // What is written while the peer is asked for it stays, too.
    const asked = Promise.withResolvers<() => Promise<void>>();
    await page.route(`**/v1/jobs/${id}`, (route) => asked.resolve(() => route.continue()), { times: 1 });
    await meanwhile.getByRole("button", { name: "Show it in the form" }).click();
    const answer = await asked.promise;
    await page.getByLabel("command", { exact: true }).first().fill("false");
    await answer();
    await meanwhile.getByText(/You have changed description, too/).waitFor();
    assert.equal(await page.getByLabel("command", { exact: true }).first().inputValue(), "false");
    assert.match(await meanwhile.innerText(), /the third/);
    assert.equal(await owner.inputValue(), "the third");
    assert.equal(await page.getByLabel("description", { exact: true }).inputValue(), "mine");
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByText(`${id} is changed.`).waitFor();
    await ada.ask("DELETE", `/v1/jobs/${id}`);
    await context.close();
  });

  test("what is written while a job is being saved is kept, and told as not saved yet", async () => {
    const { context, page, complaints } = await openPage(browser, ada.ready.http);
    const id = "written-on";
    const description = page.getByLabel("description", { exact: true });
    const command = page.getByLabel("command", { exact: true }).first();
    const notSaved = "What you have written since is not saved yet.";
    const written = /\/v1\/jobs(\/written-on)?$/;
    /** Presses the button, and goes on writing before the peer has answered. */
    const writeWhileSaving = async (button: string, write: () => Promise<void>): Promise<void> => {
      const asked = Promise.withResolvers<() => Promise<void>>();
      await page.route(written, (route) => {
        if (route.request().method() === "GET") return route.fallback();
        return asked.resolve(() => route.continue());
      });
      await page.getByRole("button", { name: button }).click();
      const answer = await asked.promise;
      await write();
      await answer();
      await page.unroute(written);
    };
    await logIn(page, ada.token, "/new");
    await page.getByLabel("id (required)").fill(id);
    await command.fill("true");
    await writeWhileSaving("Create job", () => description.fill("after the first save"));
    await page.getByText(`${id} is created. ${notSaved}`).waitFor();
    await page.getByRole("button", { name: "Save" }).waitFor();
    assert.equal(await description.inputValue(), "after the first save");
    assert.equal(await command.inputValue(), "true");
    await writeWhileSaving("Save", () => command.fill("false"));
    await page.getByText(`${id} is changed. ${notSaved}`).waitFor();
    assert.equal(await command.inputValue(), "false");
    // The edit that was saved is the person's own.
    assert.equal(await page.getByText("Somebody has changed this job").count(), 0);
    const first = (await ada.ask("GET", `/v1/jobs/${id}`)) as Record<string, unknown>;
    assert.deepEqual([first["command"], first["description"]], ["true", "after the first save"]);
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByText(`${id} is changed.`, { exact: true }).waitFor();
    const saved = (await ada.ask("GET", `/v1/jobs/${id}`)) as Record<string, unknown>;
    assert.deepEqual([saved["command"], saved["description"]], ["false", "after the first save"]);
    await page.goto("/new");
    await description.waitFor();
    assert.equal(await description.inputValue(), "");
    await ada.ask("DELETE", `/v1/jobs/${id}`);
    assert.deepEqual(complaints, []);
    await context.close();
  });

  test("what one person was writing is not there for another who logs in on the same tab, but is for the first when they come back", async () => {
    const { context, page } = await openPage(browser, ada.ready.http);
    const { token: other } = (await ada.ask("POST", "/v1/tokens", { name: "other", role: "editor" })) as {
      token: string;
    };
    const id = page.getByLabel("id (required)");
    const logInAs = async (token: string): Promise<string> => {
      await context.clearCookies();
      await page.getByText("The session has ended").waitFor();
      await page.keyboard.type(token);
      await page.keyboard.press("Enter");
      return id.inputValue();
    };
    await logIn(page, ada.token, "/new");
    await id.fill("ours-alone");
    assert.equal(await logInAs(other), "");
    assert.equal(await page.getByText(/ours-alone|had written before/).count(), 0);
    await page.getByLabel("description", { exact: true }).fill("of the other");
    assert.equal(await logInAs(ada.token), "ours-alone");
    await page.getByText("This is what you had written before.").waitFor();
    assert.equal(await page.getByLabel("description", { exact: true }).inputValue(), "");
    await context.close();
  });

  test("a job that is being written survives a reload, with YAML that can't be read yet, and without what seems to hold a credential", async () => {
    const { context, page } = await openPage(browser, ada.ready.http);
    await logIn(page, ada.token, "/new");
    const id = page.getByLabel("id (required)");
    const yaml = page.getByLabel("The same as YAML");
    await id.fill("half-written");
    await page.reload();
    assert.equal(await id.inputValue(), "half-written");
    await yaml.fill("id: other\ncommand: [");
    await page.locator("#yaml[aria-invalid=true]").waitFor();
    await page.reload();
    await page.locator("#yaml[aria-invalid=true]").waitFor();
    assert.equal(await yaml.inputValue(), "id: other\ncommand: [");
    assert.ok(await page.getByRole("button", { name: "Create job" }).isDisabled());
    await yaml.fill("id: other\nenv: {DB_PASSWORD: x}");
    await page.getByRole("button", { name: "Create job", disabled: false }).waitFor();
    assert.equal(await page.evaluate("sessionStorage.getItem('cicada drafts')"), "[]");
    await page.reload();
    assert.equal(await id.inputValue(), "");
    await id.fill("half-written");
    await page.getByRole("button", { name: "Log out" }).click();
    await page.getByLabel("Token").waitFor();
    assert.equal(await page.evaluate("sessionStorage.length"), 0);
    await context.close();
  });

  test("what is written in the fields while the YAML can't be read is added to it once it can, also after a reload, unless the YAML says it anew", async () => {
    const { context, page } = await openPage(browser, ada.ready.http);
    await logIn(page, ada.token, "/new");
    const [description, owner] = ["description", "owner"].map((name) =>
      page.getByLabel(name, { exact: true }),
    );
    assert.ok(description && owner);
    const yaml = page.getByLabel("The same as YAML");
    const create = page.getByRole("button", { name: "Create job" });
    await page.getByText("Ownership").click();
    await yaml.fill("id: apart\ncommand: [");
    await page.locator("#yaml[aria-invalid=true]").waitFor();
    await description.fill("from the form");
    await owner.fill("me");
    await page.reload();
    await page.locator("#yaml[aria-invalid=true]").waitFor();
    assert.equal(await description.inputValue(), "from the form");
    assert.ok(await create.isDisabled());
    await yaml.fill("id: apart\ncommand: 'true'\nowner: you");
    await page.getByRole("button", { name: "Create job", disabled: false }).waitFor();
    await yaml.press("End");
    await yaml.pressSequentially("rs");
    await yaml.blur();
    assert.equal(
      await yaml.inputValue(),
      "id: apart\ncommand: 'true'\nowner: yours\ndescription: from the form\n",
    );
    assert.equal(await description.inputValue(), "from the form");
    await yaml.fill("id: [");
    await page.getByRole("button", { name: "Drop this text" }).click();
    assert.match(await yaml.inputValue(), /^id: apart$/m);
    await create.click();
    await page.getByText("apart is created.").waitFor();
    const saved = (await ada.ask("GET", "/v1/jobs/apart")) as Record<string, unknown>;
    assert.deepEqual([saved["description"], saved["owner"]], ["from the form", "yours"]);
    await ada.ask("DELETE", "/v1/jobs/apart");
    await context.close();
  });

  test("a job that is being written when a link leads away is still there on the way back, until it is cancelled, saved or left by a logout", async () => {
    const { context, page } = await openPage(browser, ada.ready.http);
    await logIn(page, ada.token, "/new");
    const id = page.getByLabel("id (required)");
    const jobs = page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: /^Jobs/ });
    const openNew = async (): Promise<string> => {
      await page.getByRole("link", { name: "New job" }).click();
      return id.inputValue();
    };
    await id.fill("half-written");
    await jobs.click();
    assert.equal(await openNew(), "half-written");
    await page.getByText("This is what you had written before.").waitFor();
    // Unchanged since.
    await jobs.click();
    assert.equal(await openNew(), "half-written");
    await page.getByRole("link", { name: "Cancel" }).click();
    assert.equal(await openNew(), "");
    await id.fill("written");
    await page.getByLabel("command", { exact: true }).first().fill("true");
    await page.getByRole("button", { name: "Create job" }).click();
    await page.getByText("written is created.").waitFor();
    await jobs.click();
    assert.equal(await openNew(), "");
    await id.fill("half-written");
    await jobs.click();
    await page.getByRole("button", { name: "Log out" }).click();
    await page.getByLabel("Token").fill(ada.token);
    await page.getByRole("button", { name: "Log in" }).click();
    assert.equal(await openNew(), "");
    await page.goto("/jobs/nightly?tab=change");
    await page.getByLabel("description", { exact: true }).fill("half an edit");
    await page.getByRole("link", { name: "Edits" }).click();
    // A draft is its job's, whatever else the address says.
    await page.goto("/jobs/nightly?tab=change&zone=job");
    assert.equal(await page.getByLabel("description", { exact: true }).inputValue(), "half an edit");
    await ada.ask("DELETE", "/v1/jobs/written");
    await context.close();
  });

  test("the reason why a job can't be saved is in view on a phone, too, and has the focus", async () => {
    const { context, page } = await openPage(browser, ada.ready.http, { width: 390 });
    await logIn(page, ada.token, "/new");
    await page.getByLabel("id (required)").fill("Not An Id");
    await page.getByRole("button", { name: "Create job" }).click();
    await page.locator(".refusal:focus", { hasText: "an id is 1 to 128" }).waitFor();
    const isInView =
      "(({ top, bottom }) => top >= 0 && bottom <= innerHeight)(document.activeElement.getBoundingClientRect())";
    assert.ok(await page.evaluate(isInView));
    assert.deepEqual(await violations(page), []);
    await context.close();
  });

  test("an address that is not well formed leads to a page, and a part that can't be loaded is named", async () => {
    const { context, page, complaints } = await openPage(browser, ada.ready.http);
    await logIn(page, ada.token, "/?back=http%3A%2F%2F%5B");
    await page.getByRole("heading", { name: "Coming up" }).waitFor();
    await page.goto("/?#job=%zz");
    await page.getByRole("heading", { name: "%zz" }).waitFor();
    assert.deepEqual(complaints, []);
    await page.route("**/assets/yaml-*", (route) => route.abort());
    await page.goto("/new");
    await page.getByText("A part of this page could not be loaded").waitFor();
    await context.close();
  });

  test("a filter or a job that doesn't exist says so, and leads to what does", async () => {
    const { context, page } = await openPage(browser, ada.ready.http);
    await logIn(page, ada.token, "/jobs?state=odd&q=night");
    for (const [what, filter, landmark] of [
      ["jobs", "state", "needs attention first"],
      ["runs", "state", "any state"],
      ["runs", "peer", "on any peer"],
    ] as const) {
      // oxlint-disable no-await-in-loop -- one view after the other
      await page.goto(`/${what}?${filter}=odd`);
      await page.getByRole("alert").waitFor();
      assert.equal(await page.getByText("openapi").count(), 0);
      await page.getByRole("link", { name: `Show the ${what} without the filters of this address` }).click();
      await page.getByRole("table").waitFor();
      assert.equal(await page.getByText(landmark).count(), 1);
      // oxlint-enable no-await-in-loop
    }
    await page.goto("/jobs/never-was");
    await page.getByText('There is no job "never-was".').waitFor();
    await page.getByRole("link", { name: "Show all jobs" }).click();
    await page.getByRole("heading", { name: "Jobs" }).waitFor();
    await context.close();
  });

  test("a run that isn't there leads to the runs of its job", async () => {
    const { context, page } = await openPage(browser, ada.ready.http);
    await logIn(page, ada.token, "/runs/nightly~failed");
    await page.getByText('No run of the job "nightly" has failed.').waitFor();
    await page.getByRole("link", { name: "Show the runs of nightly" }).click();
    await page.getByText("Nothing has run yet.").waitFor();
    await context.close();
  });

  test("a reason that is long, or stands beside the job's state already, takes little of the list", async () => {
    await ada.ask("POST", "/v1/jobs", {
      id: "no-folder",
      command: "true",
      cwd: `/nowhere/${"deep/".repeat(60)}`,
    });
    await ada.ask("POST", "/v1/jobs/no-folder/run", {});
    const { context, page } = await openPage(browser, ada.ready.http);
    await logIn(page, ada.token, "/jobs?q=no-folder");
    const row = page
      .getByRole("row")
      .filter({ has: page.getByRole("link", { name: "no-folder", exact: true }) });
    await row.getByText("failed", { exact: true }).waitFor();
    for (const width of widths) {
      // oxlint-disable-next-line no-await-in-loop -- one width after the other
      await page.setViewportSize({ width, height: 900 });
      // oxlint-disable-next-line no-await-in-loop
      const { height } = (await row.boundingBox()) ?? { height: Infinity };
      assert.ok(height < 220, `${height} px at ${width} px`);
      // oxlint-disable-next-line no-await-in-loop
      assert.equal((await row.innerText()).match(/\/nowhere\//g)?.length, 1, `${width}`);
    }
    await ada.ask("DELETE", "/v1/jobs/no-folder");
    await context.close();
  });

  test("in colours that the reader has chosen, it is still shown what is chosen and what is not known; on paper, what can be read", async () => {
    const { context, page } = await openPage(browser, ada.ready.http, { scheme: "dark" });
    await logIn(page, ada.token, "/");
    await page.emulateMedia({ forcedColors: "active" });
    const style = (selector: string, name: string): Promise<unknown> =>
      page.evaluate(`getComputedStyle(document.querySelector(${JSON.stringify(selector)}))["${name}"]`);
    await page.getByRole("button", { name: "1 h", exact: true }).waitFor();
    for (const [chosen, other] of [
      [".places a[aria-current]", ".places a:not([aria-current])"],
      ['.chip[aria-pressed="true"]', '.chip[aria-pressed="false"]'],
    ] as const) {
      assert.equal(await style(chosen, "outlineStyle"), "solid", chosen);
      assert.equal(await style(other, "outlineStyle"), "none", other);
    }
    await page.locator(".lane-unknown").first().waitFor();
    assert.equal(await style(".lane-unknown", "forcedColorAdjust"), "none");
    await page.emulateMedia({ forcedColors: "none", media: "print" });
    assert.equal(await page.getByRole("link", { name: "Forecast" }).isVisible(), false);
    // Browsers print no backgrounds, so light letters could not be read.
    assert.equal(await style("h1", "color"), "rgb(27, 31, 29)");
    await context.close();
  });

  test("an address that is no page says so, and leads on", async () => {
    const { context, page } = await openPage(browser, ada.ready.http);
    await page.goto("/nothing");
    await page.getByLabel("Token").fill(ada.token);
    await page.getByRole("button", { name: "Log in" }).click();
    await page.getByText("There is no such page.").waitFor();
    await page.getByRole("link", { name: "Go to what is happening now" }).click();
    await page.getByRole("heading", { name: "Coming up" }).waitFor();
    await context.close();
  });

  test("a text that would turn its neighbours around is shown with escapes, and a name from right to left stands apart", async () => {
    const { context, page } = await openPage(browser, ada.ready.http);
    await logIn(page, ada.token, "/jobs/mirrored");
    await page.getByText("\\u202eevil\\u202c tail", { exact: true }).waitFor();
    await page.getByText("of=\\u202eolive", { exact: true }).waitFor();
    // Only the name itself: what stands before it stays before it.
    assert.equal(await page.locator("bdi").first().innerText(), "\u05d3\u05df 12");
    await ada.ask("POST", "/v1/jobs/mirrored/pause", { note: "\u05e1\u05d9\u05d1\u05d4" });
    const note = page.locator(".notice bdi");
    await note.waitFor();
    assert.equal(await note.innerText(), "\u05e1\u05d9\u05d1\u05d4");
    await ada.ask("POST", "/v1/jobs/mirrored/resume");
    await page.goto("/jobs?q=mirrored");
    await page.getByText("\\u202eevil\\u202c tail", { exact: true }).waitFor();
    await context.close();
  });

  test("settings are shown in words, with their state", async () => {
    const { context, page } = await openPage(browser, ada.ready.http);
    await ada.ask("PUT", "/v1/maintenance/patching", {
      schedule: "0 3 * * sun",
      duration: "2h",
      note: "the hosts are patched",
    });
    await logIn(page, ada.token, "/settings");
    await page.getByRole("row", { name: /^db 2 slots/ }).waitFor();
    await page.getByText("0 of 2 taken, 0 ticks waiting, 0 jobs").waitFor();
    await page.getByText("0 3 * * sun (UTC), each time for 2h, all jobs").waitFor();
    await page.getByText("the hosts are patched").waitFor();
    await page.getByText("webhook, url http://127.0.0.1:1/…").waitFor();
    await page.getByRole("button", { name: "Edit db" }).press("Enter");
    await page.locator("textarea:focus").waitFor();
    await page.keyboard.press("Escape");
    for (const one of ["pool", "maintenance", "calendar", "group", "channel"]) {
      await page.getByRole("button", { name: `New ${one}`, exact: true }).press("Enter");
      await page.getByRole("dialog", { name: `New ${one}`, exact: true }).waitFor();
      await page.keyboard.press("Escape");
    }
    await ada.ask("DELETE", "/v1/maintenance/patching");
    await context.close();
  });

  test("a list whose runs a filter leaves out doesn't say that there are no runs", async () => {
    const { context, page } = await openPage(browser, ada.ready.http);
    await logIn(page, ada.token, "/runs?state=cancelled");
    await page.getByText("No run matches.").waitFor();
    await page.goto("/jobs/nightly?tab=runs");
    await page.getByText("Nothing has run yet.").waitFor();
    await context.close();
  });

  test("a pause with a note gives a receipt, and its undo resumes the job", async () => {
    const { context, page } = await openPage(browser, ada.ready.http);
    await logIn(page, ada.token, "/jobs/nightly");
    await page.getByRole("button", { name: "Pause" }).click();
    await page.getByLabel("Why").fill("the disk is being replaced");
    await page.getByRole("dialog").getByRole("button", { name: "Pause" }).click();
    await page.getByText(/Paused by .*the disk is being replaced/i).waitFor();
    await page.getByRole("button", { name: "Undo" }).click();
    await page.getByText(/Paused by/).waitFor({ state: "detached" });
    await context.close();
  });

  test("if the peer goes away while a dialog is open, the dialog says so, and what was written there is kept", async () => {
    const { context, page } = await openPage(browser, ada.ready.http);
    await logIn(page, ada.token, "/jobs/nightly");
    await page.getByRole("button", { name: "Pause" }).press("Enter");
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Why").fill("the disk is being replaced");
    await page.route("**/pause", (route) => route.abort());
    await dialog.getByLabel("Why").press("Enter");
    await dialog.getByText("The peer does not answer.").waitFor();
    assert.deepEqual(await violations(page), []);
    await dialog.getByRole("button", { name: "Close this message" }).press("Enter");
    await dialog.getByText("The peer does not answer.").waitFor({ state: "detached" });
    assert.equal(await page.evaluate("document.activeElement.tagName"), "DIALOG");
    assert.equal(await dialog.getByLabel("Why").inputValue(), "the disk is being replaced");
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "detached" });
    await context.close();
  });

  test("an output is not called live while the peer does not answer", async () => {
    const { context, page } = await openPage(browser, ada.ready.http);
    await ada.ask("POST", "/v1/jobs", { id: "never-ends", command: "echo begun; sleep 300" });
    const { tick } = (await ada.ask("POST", "/v1/jobs/never-ends/run", {})) as { tick: string };
    await logIn(page, ada.token, `/runs/${encodeURIComponent(`never-ends@${tick}`)}`);
    const live = page.getByText("Live.", { exact: true });
    await live.waitFor();
    await page.route(/\/v1\//, (route) => route.abort());
    await page.getByText("Not live while this peer does not answer.").waitFor();
    assert.equal(await live.count(), 0);
    await page.unroute(/\/v1\//);
    await live.waitFor();
    await page.getByRole("button", { name: "Cancel" }).click();
    await page.getByRole("button", { name: "Cancel it" }).click();
    await page.getByText(/Ended: .*after/).waitFor();
    await ada.ask("DELETE", "/v1/jobs/never-ends");
    await context.close();
  });

  test("while a peer does not answer, no time of its page counts on, and none is shown twice", async () => {
    const { context, page } = await openPage(browser, ada.ready.http);
    await logIn(page, ada.token, "/runs?job=broken");
    const row = page.getByRole("row", { name: /^broken/ }).first();
    await row.getByText(/ago$/).waitFor();
    await page.route(/\/v1\//, (route) => route.abort());
    await page.getByText(/has not answered since/).waitFor();
    const times = /\d\d:\d\d:\d\d|\d (s|min) ago/g;
    assert.equal((await row.innerText()).match(times)?.length, 1);
    await context.close();
  });

  test("the search says what is searched for after a link has changed it", async () => {
    const { context, page } = await openPage(browser, ada.ready.http);
    await logIn(page, ada.token, "/jobs");
    const search = page.getByLabel("Find jobs");
    await search.fill("no such job");
    await page.getByRole("link", { name: "Show all jobs" }).click();
    await page.getByRole("rowheader", { name: /nightly/ }).waitFor();
    assert.equal(await search.inputValue(), "");
    await context.close();
  });

  test("a filter of the address is asked for as it is written there, whatever characters it has", async () => {
    const { context, page } = await openPage(browser, ada.ready.http);
    await logIn(page, ada.token, "/runs");
    const odd = "a&b=c #d%20e+f";
    for (const [view, list, names] of [
      ["/jobs", "/v1/jobs", ["q", "group", "label", "sort", "state"]],
      ["/runs", "/v1/runs", ["job", "peer", "state"]],
      ["/access", "/v1/audit", ["job"]],
    ] as const) {
      for (const name of names) {
        const asked = page.waitForRequest(
          (request) => new URL(request.url()).pathname === list && request.url().includes(`${name}=a`),
        );
        // oxlint-disable-next-line no-await-in-loop -- one view after the other
        await page.goto(`${view}?${name}=${encodeURIComponent(odd)}`);
        // oxlint-disable-next-line no-await-in-loop
        assert.equal(new URL((await asked).url()).searchParams.get(name), odd, `${view} ${name}`);
      }
    }
    await context.close();
  });

  test("a label of a job leads to all jobs that have it, and each of several labels is taken away alone", async () => {
    const { context, page } = await openPage(browser, ada.ready.http);
    for (const id of ["one", "two"]) {
      const labels = { team: "ops & co", tier: id };
      await ada.ask("POST", "/v1/jobs", { id: `labelled-${id}`, command: "true", labels });
    }
    await logIn(page, ada.token, "/jobs/labelled-one");
    await page.getByRole("link", { name: "team=ops & co" }).click();
    await page.getByRole("rowheader", { name: /labelled-two/ }).waitFor();
    assert.equal(await page.getByRole("rowheader").count(), 2);
    await page.goto(`${page.url()}&label=tier%3Done`);
    await page.getByRole("rowheader", { name: /labelled-two/ }).waitFor({ state: "detached" });
    await page.getByRole("button", { name: "team=ops & co ✕" }).click();
    await page.waitForURL(/\?label=tier%3Done$/);
    await page.getByRole("rowheader", { name: /labelled-one/ }).waitFor();
    for (const id of ["one", "two"]) await ada.ask("DELETE", `/v1/jobs/labelled-${id}`);
    await context.close();
  });

  test("what was dismissed in one tab is dismissed in the others", async () => {
    const { context, page } = await openPage(browser, ada.ready.http);
    await logIn(page, ada.token);
    const other = await context.newPage();
    await other.goto("/");
    const row = { name: /^nowhere/ } as const;
    await other.getByRole("row", row).waitFor();
    await page.getByRole("button", { name: "Dismiss nowhere" }).click();
    await other.getByRole("row", row).waitFor({ state: "detached" });
    await other.getByRole("button", { name: "Show" }).click();
    await page.getByRole("row", row).waitFor();
    await context.close();
  });

  test("the map of results says of which times nothing is known, and has no square for those to come", async () => {
    const { context, page } = await openPage(browser, ada.ready.http);
    const dayMs = 86_400_000;
    const noon = Math.floor(Date.now() / dayMs) * dayMs + dayMs / 2;
    const daysAgo = (days: number): string => new Date(noon - days * dayMs).toISOString();
    const dayOf = (days: number): string => daysAgo(days).slice(0, 10);
    const ended = { state: "succeeded", trigger: "schedule", startedAt: null, finishedAt: null };
    const runs = [2, 20, 50].map((days) => ({ ...ended, id: `hello@${days}`, due: daysAgo(days) }));
    let nextCursor: string | null = null;
    await page.route(/\/v1\/jobs\/hello\/runs/, (route) =>
      route.fulfill({ json: { items: runs, nextCursor } }),
    );
    await page.route(/\/v1\/jobs\/hello$/, async (route) => {
      if (route.request().resourceType() === "document") return route.continue();
      const job = (await (await route.fetch()).json()) as object;
      return route.fulfill({ json: { ...job, keptFrom: daysAgo(10) } });
    });
    await logIn(page, ada.token, "/jobs/hello");
    await page.getByText(/^Runs from before .* are no longer kept\.$/).waitFor();
    const map = page.getByRole("img", { name: /^Results by day/ });
    const titles = (await map.locator("title").allTextContents()).slice(-60);
    for (const title of [
      `${dayOf(2)}: 1 succeeded`,
      `${dayOf(3)}: no run`,
      `${dayOf(11)}: no longer kept`,
      `${dayOf(20)}: 1 succeeded; others no longer kept`,
    ])
      assert.ok(titles.includes(title), `${title} in ${titles.join(", ")}`);
    nextCursor = "more";
    runs.splice(1);
    await page.goto("/jobs/hello");
    await page.getByText(/are not shown here, because there are more than 1000\.$/).waitFor();
    const byHour = page.getByRole("img", { name: /^Results of the last days by hour/ });
    const last = (await byHour.locator("title").allTextContents()).at(-1) ?? "";
    // `2026-11-30 09`: this hour, or the one that ended a moment ago.
    const hours = [0, 60_000].map((ago) =>
      new Date(Date.now() - ago).toLocaleString("sv", { timeZone: "Europe/Berlin" }).slice(0, 13),
    );
    assert.ok(hours.includes(last.slice(0, 13)), last);
    await context.close();
  });

  test("a job that runs each second hides no other from what is coming up", async () => {
    await ada.ask("POST", "/v1/jobs", { id: "each-second", schedule: "@every 1s", command: "true" });
    const { context, page } = await openPage(browser, ada.ready.http);
    await logIn(page, ada.token);
    const list = page.locator(".next-list");
    await list.getByRole("link", { name: longName }).first().waitFor();
    assert.ok((await list.getByRole("link", { name: "each-second" }).count()) <= 2);
    await ada.ask("DELETE", "/v1/jobs/each-second");
    await context.close();
  });

  test("a token of some groups is not told that the slots of a pool are free, where it may not see who holds them", async () => {
    const { token } = (await ada.ask("POST", "/v1/tokens", {
      name: "some",
      role: "viewer",
      groups: ["db"],
    })) as { token: string };
    const { context, page } = await openPage(browser, ada.ready.http);
    await logIn(page, token, "/settings");
    await page.getByText("0 of 2 taken, 0 ticks waiting, 0 jobs, of the jobs that you may see").waitFor();
    await context.close();
  });

  test("where more jobs went wrong than are listed, Now says so", async () => {
    const { context, page } = await openPage(browser, ada.ready.http);
    await page.route("**/v1/failures?*", async (route) => {
      const { items } = (await (await route.fetch()).json()) as { items: { last: object }[] };
      const last = { ...items[0]?.last, due: new Date().toISOString() };
      const some = Array.from({ length: 13 }, (_, index) => ({ ...items[0], job: `wrong-${index}`, last }));
      const often = { ...some[0], counts: { failed: 1_000 } };
      await route.fulfill({ json: { items: [often, ...some.slice(1)], total: 20 } });
    });
    await logIn(page, ada.token);
    await page.getByRole("row", { name: /^wrong-0 failed at least 1,000 times/ }).waitFor();
    await page.getByRole("link", { name: /^and \d+ jobs more$/ }).waitFor();
    await page.getByText(/^At least 13 jobs went wrong since midnight: /).waitFor();
    await context.close();
  });

  test("a job is made in the form, seen in words and ticks and as YAML first, runs, is edited in YAML, and is what it was again after a revert", async () => {
    const { context, page, complaints } = await openPage(browser, ada.ready.http);
    await logIn(page, ada.token, "/new");
    await page.getByLabel("id (required)").fill("Backup");
    await page.getByLabel("schedule", { exact: true }).fill("30 2 * * mon");
    await page.getByLabel("schedule", { exact: true }).blur();
    await page.getByLabel("timezone", { exact: true }).fill("Europe/Berlin");
    await page.getByLabel("command", { exact: true }).first().fill("echo saved");
    await page.getByText("At 02:30 on Monday (Europe/Berlin).").waitFor();
    assert.equal(await page.locator(".preview li").count(), 8);
    await page.getByRole("button", { name: "Create job" }).click();
    await page.getByRole("alert").getByText(/^id/).waitFor();
    const yaml = page.getByLabel("The same as YAML");
    assert.match(await yaml.inputValue(), /schedule: 30 2 \* \* mon\n/);
    await yaml.fill((await yaml.inputValue()).replace("Backup", "backup"));
    await page.getByRole("button", { name: "Create job" }).click();
    await page.waitForURL(/\/jobs\/backup$/);
    await page.getByRole("button", { name: "Run now" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Run now" }).click();
    await page.getByRole("link", { name: "Show its run" }).click();
    await page.getByText("saved", { exact: true }).waitFor();
    await page.goto("/jobs/backup?tab=change");
    await yaml.fill("command: [");
    assert.ok(await page.getByRole("button", { name: "Save" }).isDisabled());
    await yaml.fill("id: backup\ncommand: echo other\nretry:\n  attempts: 2\n");
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByText("2 more attempts").waitFor();
    await page.getByRole("link", { name: "Edits" }).click();
    await page.getByText("echo other").waitFor();
    await page.getByRole("button", { name: /Revert to this revision/ }).click();
    await page.getByText("backup is reverted").waitFor();
    const job = (await ada.ask("GET", "/v1/jobs/backup")) as Record<string, unknown>;
    assert.equal(job["command"], "echo saved");
    assert.equal(job["retry"], undefined);
    assert.deepEqual(complaints, []);
    await context.close();
  });

  test("notices, params and variables are written in fields, and are the same in the YAML", async () => {
    const { context, page, complaints } = await openPage(browser, ada.ready.http);
    await logIn(page, ada.token, "/new");
    const yaml = page.getByLabel("The same as YAML");
    await yaml.fill("id: asks\ncommand: env\nenv:\n  OLD: one\n");
    await page.getByText("What runs").click();
    await page.getByRole("button", { name: "Add to env" }).click();
    await page.getByLabel("env: name 2").fill("NEW");
    await page.getByLabel("env: value 2").fill("two\nlines");
    await page.getByText("params", { exact: true }).click();
    await page.getByRole("button", { name: "Add to params" }).click();
    await page.getByRole("group", { name: "NAME" }).getByLabel(/^type/).selectOption("number");
    await page.getByLabel("name", { exact: true }).fill("LEVEL");
    await page.getByLabel("name", { exact: true }).blur();
    const param = page.getByRole("group", { name: "LEVEL" });
    await param.getByLabel("default", { exact: true }).fill("3");
    await page.getByText("When it goes wrong").click();
    await page.getByText("notify", { exact: true }).click();
    await page.getByRole("button", { name: "Add to notify" }).click();
    const rule = page.getByRole("group", { name: "notify 1" });
    await rule.getByLabel("recovered").check();
    await rule.getByLabel("failed").check();
    await rule.getByLabel(/^to/).fill("ops");
    await rule.getByLabel(/^to/).blur();
    assert.deepEqual(await violations(page), []);
    assert.match(await yaml.inputValue(), /OLD: one\n {2}NEW: \|-\n/);
    await page.getByRole("button", { name: "Remove env OLD" }).click();
    await page.getByRole("button", { name: "Create job" }).click();
    await page.waitForURL(/\/jobs\/asks$/);
    const job = (await ada.ask("GET", "/v1/jobs/asks")) as Record<string, unknown>;
    assert.deepEqual(job["env"], { NEW: "two\nlines" });
    assert.deepEqual(job["params"], { LEVEL: { type: "number", default: 3 } });
    assert.deepEqual(job["notify"], [{ on: ["failed", "recovered"], to: ["ops"] }]);
    assert.deepEqual(complaints, []);
    await ada.ask("DELETE", "/v1/jobs/asks");
    await context.close();
  });

  test("rows hold still under the mouse, and selected text stays selected, while jobs run", async () => {
    const { context, page } = await openPage(browser, ada.ready.http);
    await logIn(page, ada.token, "/jobs?sort=next");
    const names = () => page.getByRole("rowheader").allInnerTexts();
    await page
      .getByRole("rowheader", { name: /broken/ })
      .locator("a")
      .first()
      .dblclick({ modifiers: ["Alt"] });
    await page.getByRole("rowheader", { name: /hello/ }).locator(".under").selectText();
    const namesBefore = await names();
    const selected = await page.evaluate("String(getSelection())");
    const runs = async () => (await ada.call("GET", "/v1/runs?job=hello&limit=1")).headers["x-total-count"];
    const then = await runs();
    await until("hello has run twice more", 20_000, async () => Number(await runs()) >= Number(then) + 2);
    assert.deepEqual(await names(), namesBefore);
    assert.equal(await page.evaluate("String(getSelection())"), selected);
    await context.close();
  });

  test("choosing a job moves no row, and what can be done with the chosen ones is in view", async () => {
    const { context, page } = await openPage(browser, ada.ready.http);
    // Nothing but the choice changes the list meanwhile.
    await page.route(/\/v1\/events/, (route) => route.abort());
    await logIn(page, ada.token, "/jobs?sort=id");
    const row = page.getByRole("row", { name: /nightly/ });
    await row.waitFor();
    const top = async (): Promise<number | undefined> => (await row.boundingBox())?.y;
    const first = await top();
    await row.getByRole("checkbox").check();
    const bar = page.getByRole("group", { name: "For the chosen jobs" });
    await bar.getByText("1 job chosen").waitFor();
    assert.equal(await top(), first);
    const { y = 0, height = 0 } = (await bar.boundingBox()) ?? {};
    assert.ok(y > 0 && y + height <= 900, `from ${y} to ${y + height}`);
    await page.getByLabel("Choose all jobs that are shown").check();
    assert.ok(await page.getByRole("checkbox", { name: "Choose hello" }).isChecked());
    await bar.getByRole("button", { name: "Clear" }).click();
    await bar.waitFor({ state: "detached" });
    assert.equal(await row.getByRole("checkbox").isChecked(), false);
    await context.close();
  });

  test("by keyboard, one key leads from a chosen job to what can be done with it, which is announced, and one back", async () => {
    const { context, page } = await openPage(browser, ada.ready.http);
    await logIn(page, ada.token, "/jobs?sort=id");
    const choose = page.getByRole("checkbox", { name: "Choose nightly" });
    const bar = page.getByRole("group", { name: "For the chosen jobs" });
    const run = bar.getByRole("button", { name: "Run" });
    const focused = async (): Promise<unknown> =>
      page.evaluate("document.activeElement.ariaLabel ?? document.activeElement.textContent.slice(0, 20)");
    await choose.focus();
    await page.keyboard.press("a");
    assert.equal(await focused(), "Choose nightly");
    await page.keyboard.press("Space");
    await page.getByRole("status").getByText("1 job chosen. Press a for what can be done with it.").waitFor();
    await page.keyboard.press("a");
    await bar.locator("button:focus").waitFor();
    assert.equal(await focused(), await run.textContent());
    await page.keyboard.press("Escape");
    assert.equal(await focused(), "Choose nightly");
    await page.keyboard.press("a");
    // Escape closes the question first, which leads back to the button that asked.
    await page.keyboard.press("Enter");
    await page.getByRole("dialog", { name: "Run nightly?" }).waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    assert.equal(await focused(), "Run");
    for (const name of ["Pause", "Resume", "Delete", "Clear"]) {
      await page.keyboard.press("Tab");
      assert.equal(await focused(), name);
    }
    await page.keyboard.press("Enter");
    await bar.waitFor({ state: "detached" });
    assert.equal(await focused(), "Choose nightly");
    assert.equal(await page.getByRole("status").getByText("chosen").count(), 0);
    // A checkbox is nothing to write into, so the other keys work there, too.
    await page.keyboard.press("g");
    await page.keyboard.press("r");
    await page.getByRole("heading", { name: "Runs" }).waitFor();
    await context.close();
  });

  test("jobs that were deleted together are told of before, and come back together", async () => {
    const { context, page } = await openPage(browser, ada.ready.http);
    const ids = ["old-1", "old-2"];
    for (const id of ids) await ada.ask("POST", "/v1/jobs", { id, command: `echo ${id}` });
    await logIn(page, ada.token, "/jobs?q=old-");
    await page.getByLabel("Choose all jobs that are shown").check();
    await page.getByRole("button", { name: "Delete" }).press("Enter");
    const dialog = page.getByRole("dialog", { name: "Delete 2 jobs?" });
    await dialog.getByText("old-1, old-2").waitFor();
    await dialog.getByRole("button", { name: "Delete them" }).press("Enter");
    await page.getByText("2 jobs are deleted.").waitFor();
    await page.getByText("No job matches.").waitFor();
    // What had the focus is gone.
    const focused = "document.activeElement.id";
    assert.equal(await page.evaluate(focused), "main");
    await page.getByRole("button", { name: "Undo" }).press("Enter");
    await page.getByText("Undone.").waitFor();
    assert.equal(await page.evaluate(focused), "main");
    await page.getByRole("rowheader", { name: /old-2/ }).waitFor();
    for (const id of ids) {
      const { command } = (await ada.ask("GET", `/v1/jobs/${id}`)) as { command: string };
      assert.equal(command, `echo ${id}`);
      await ada.ask("DELETE", `/v1/jobs/${id}`);
    }
    await context.close();
  });

  test("jobs are run together only after a question, because their runs can't be taken back", async () => {
    const { context, page } = await openPage(browser, ada.ready.http);
    const ids = ["by-hand-1", "by-hand-2"];
    for (const id of ids) await ada.ask("POST", "/v1/jobs", { id, command: "true" });
    await logIn(page, ada.token, "/jobs?q=by-hand-");
    await page.getByLabel("Choose all jobs that are shown").check();
    const bar = page.getByRole("group", { name: "For the chosen jobs" });
    const dialog = page.getByRole("dialog", { name: "Run 2 jobs?" });
    await bar.getByRole("button", { name: "Run" }).press("Enter");
    await dialog.getByText("by-hand-1, by-hand-2").waitFor();
    await page.locator("button:focus", { hasText: "Don't run them" }).press("Enter");
    await dialog.waitFor({ state: "detached" });
    await bar.getByRole("button", { name: "Run" }).press("Enter");
    await dialog.getByRole("button", { name: "Run them", exact: true }).press("Enter");
    await page.getByText("2 jobs are asked to run.").waitFor();
    for (const id of ids) {
      await until(`${id} has run once`, 20_000, async () => {
        const { headers } = await ada.call("GET", `/v1/runs?job=${id}`);
        return headers["x-total-count"] === "1";
      });
      await ada.ask("DELETE", `/v1/jobs/${id}`);
    }
    await context.close();
  });

  test("a single chosen job is asked about by its name, as one", async () => {
    const { context, page } = await openPage(browser, ada.ready.http);
    await logIn(page, ada.token, "/jobs?q=nightly");
    await page.getByLabel("Choose nightly").check();
    const bar = page.getByRole("group", { name: "For the chosen jobs" });
    for (const [verb, no] of [
      ["Run", "Don't run it"],
      ["Delete", "Keep it"],
    ] as const) {
      await bar.getByRole("button", { name: verb }).click();
      const dialog = page.getByRole("dialog", { name: `${verb} nightly?` });
      await dialog.getByRole("button", { name: `${verb} it`, exact: true }).waitFor();
      assert.doesNotMatch(await dialog.innerText(), /\b(they|them|jobs|each)\b/i);
      await dialog.getByRole("button", { name: no }).click();
    }
    await context.close();
  });

  test("what others change of the settings is shown soon after they did", async () => {
    const { context, page } = await openPage(browser, ada.ready.http);
    await page.addInitScript(`window.EventSource = class extends EventSource {
      constructor(...given) { super(...given); window.events = this; }
    }`);
    // Only an event can make the page ask again.
    await page.clock.install();
    await logIn(page, ada.token, "/settings");
    const pool = page.getByRole("row", { name: /^of-another/ });
    await page.getByRole("row", { name: /^db / }).waitFor();
    await page.clock.pauseAt(Date.now() + 60_000);
    await page.clock.runFor(1_000);
    await page.getByRole("row", { name: /^db / }).waitFor();
    await page.evaluate(`events.readyState === EventSource.OPEN ||
      new Promise((done) => events.addEventListener("open", () => done()))`);
    // The page itself listens for longer, so it is told first.
    await page.evaluate(
      `void (window.written = new Promise((done) => events.addEventListener("cicada.pool.written", () => done())))`,
    );
    assert.equal(await pool.count(), 0);
    await peers[1]?.ask("PUT", "/v1/pools/of-another", { slots: 3 });
    await page.evaluate("written");
    await page.clock.runFor(6_000);
    await pool.waitFor();
    await ada.ask("DELETE", "/v1/pools/of-another");
    await context.close();
  });

  test("the keyboard goes on where a new view begins, and back where the old one does", async () => {
    const { context, page } = await openPage(browser, ada.ready.http);
    await logIn(page, ada.token, "/jobs");
    const focused = "document.activeElement.id";
    await page.getByRole("link", { name: "nightly", exact: true }).press("Enter");
    await page.getByRole("heading", { name: "What it does" }).waitFor();
    assert.equal(await page.evaluate(focused), "main");
    await page.getByRole("link", { name: "Runs" }).last().press("Enter");
    await page.getByText("Nothing has run yet.").waitFor();
    assert.equal(await page.evaluate("document.activeElement.textContent"), "Runs");
    await page.goBack();
    await page.getByRole("heading", { name: "What it does" }).waitFor();
    await page.getByRole("link", { name: "Edits" }).focus();
    await page.goBack();
    await page.getByRole("heading", { name: "Jobs" }).waitFor();
    assert.equal(await page.evaluate(focused), "main");
    await context.close();
  });

  test("a job that is switched off says so and who wrote it last, on its own page", async () => {
    const { context, page } = await openPage(browser, ada.ready.http);
    await logIn(page, ada.token, "/jobs/switched-off");
    await page.getByText(/The job is disabled; admin@ada last edited it at/).waitFor();
    await context.close();
  });

  test("Now shows its peers, what went wrong and what comes before the states of all jobs are known", async () => {
    const { context, page } = await openPage(browser, ada.ready.http);
    for (const needsStates of ["**/v1/summary", "**/v1/jobs?sort=attention*"])
      await page.route(needsStates, () => {});
    await logIn(page, ada.token);
    await page.getByRole("heading", { name: "3 peers", exact: true }).waitFor();
    await page.getByRole("row", { name: /^broken/ }).waitFor();
    await page.locator(".next-list li").first().waitFor();
    await context.close();
  });

  test("the jobs are listed by name before the states of all of them are known, and ordered then", async () => {
    const { context, page } = await openPage(browser, ada.ready.http);
    const { promise: known, resolve: allow } = Promise.withResolvers<void>();
    for (const needsStates of ["**/v1/summary", /v1.jobs.*(sort=attention|state=)/]) {
      await page.route(needsStates, async (route) => {
        await known;
        await route.continue();
      });
    }
    await logIn(page, ada.token, "/jobs?state=failing");
    await page.getByText(/^The states of all jobs are still being read …$/).waitFor();
    await page.goto("/jobs");
    const note = page.getByText("of all jobs are still being read. Until then the jobs are listed by name.");
    await note.waitFor();
    const rows = page.getByRole("rowheader");
    const named = (await rows.allInnerTexts()).map((text) => text.split("\n")[0] ?? "");
    assert.deepEqual(
      named,
      named.toSorted((a, b) => (a < b ? -1 : 1)),
    );
    assert.notEqual(named[0], "nowhere");
    await page.getByRole("row", { name: /broken.* failing/ }).waitFor();
    assert.deepEqual(await violations(page), []);
    allow();
    await note.waitFor({ state: "detached" });
    await page.getByRole("button", { name: /^failing/ }).waitFor();
    await until(
      "what needs a person comes first",
      5_000,
      async () => (await rows.allInnerTexts())[0]?.startsWith("nowhere") === true,
    );
    await context.close();
  });

  test("the forecast shows what is counted so far, and says so, until all of it is", async () => {
    const { context, page } = await openPage(browser, ada.ready.http);
    let parts = 2;
    await page.route("**/v1/forecast?soFar=true", async (route) => {
      const answer = await route.fetch();
      const body = (await answer.json()) as { jobs: object };
      const jobs = { ...body.jobs, counted: 2, uncounted: 3_000 };
      await route.fulfill({ json: parts-- > 0 ? { ...body, complete: false, quiet: [], jobs } : body });
    });
    await logIn(page, ada.token, "/forecast");
    const note = page.getByText("2 of 3,002 jobs are counted so far.");
    await note.waitFor();
    await page.locator(".week-map").first().waitFor();
    assert.equal(await page.getByRole("heading", { name: "Quiet hours" }).count(), 0);
    const whole = page.waitForRequest(/\/v1\/forecast$/);
    await page.getByRole("heading", { name: "Quiet hours" }).waitFor();
    assert.equal(await note.count(), 0);
    await whole;
    await context.close();
  });

  test("Now does not say that nothing has gone wrong before it knows", async () => {
    const { context, page } = await openPage(browser, ada.ready.http);
    await page.route("**/v1/failures?*", () => {});
    await logIn(page, ada.token);
    await page.getByRole("heading", { name: /jobs can run/ }).waitFor();
    assert.equal(await page.getByText(/gone wrong/).count(), 0);
    await context.close();
  });

  test("a page whose stream of events comes back reads its lists again only if events were missed, or may have been", async () => {
    const { context, page } = await openPage(browser, ada.ready.http);
    await page.addInitScript(`window.EventSource = class extends EventTarget {
      static CLOSED = 2;
      readyState = 1;
      constructor() { super(); window.stream = this; }
      close() {}
      dispatch(name, fields) { this.dispatchEvent(new MessageEvent(name, { data: "{}", ...fields })); }
    }`);
    await page.clock.install();
    let asked = 0;
    page.on("request", (request) => {
      if (new URL(request.url()).pathname === "/v1/failures") asked++;
    });
    const back = async (lost: string, opened: string, times: number): Promise<void> => {
      const expected = asked + times;
      await page.evaluate(lost);
      await page.clock.runFor(3_500);
      const running = page.waitForRequest(/\/v1\/running$/);
      await page.evaluate(opened);
      // As long as any list waits after an event.
      await page.clock.runFor(6_000);
      await running;
      await until("the failures have been asked for", 5_000, () => asked >= expected);
      assert.equal(asked, expected, opened);
    };
    const cut = 'stream.dispatch("error")';
    const open = 'stream.dispatch("open")';
    await logIn(page, ada.token);
    await page.getByRole("row", { name: /^broken/ }).waitFor();
    await page.evaluate(open);
    await back(cut, open, 1); // no event has come yet
    await page.evaluate('stream.dispatch("cicada.run.succeeded", { lastEventId: "1" })');
    await back(cut, open, 0);
    await back(cut, open, 0);
    await back(cut, `${open}; stream.dispatch("cicada.events.missed")`, 1);
    await back(`stream.readyState = 2; ${cut}`, open, 1); // a new stream
    await context.close();
  });

  test("Now asks for what went wrong when a run has gone wrong, and not when one has succeeded", async () => {
    const { context, page } = await openPage(browser, ada.ready.http);
    await page.addInitScript(`window.EventSource = class extends EventTarget {
      constructor() { super(); window.events = this; }
      close() {}
    }`);
    await page.clock.install();
    let asked = 0;
    page.on("request", (request) => {
      if (new URL(request.url()).pathname === "/v1/failures") asked++;
    });
    const dispatch = (state: string): Promise<unknown> =>
      page.evaluate(
        `events.dispatchEvent(new MessageEvent("cicada.run.${state}", { data: '{"subject":"hello@1"}' }))`,
      );
    await logIn(page, ada.token);
    await page.getByRole("row", { name: /^broken/ }).waitFor();
    assert.equal(asked, 1);
    const running = page.waitForRequest(/\/v1\/running$/);
    await dispatch("succeeded");
    await page.clock.runFor(12_000);
    await running;
    assert.equal(asked, 1);
    await dispatch("failed");
    await page.clock.runFor(4_000);
    await until("the failures have been asked for again", 20_000, () => asked === 2);
    await context.close();
  });

  test("a viewer sees everything and is offered nothing that it may not do", async () => {
    const { token } = (await ada.ask("POST", "/v1/tokens", { name: "looks", role: "viewer" })) as {
      token: string;
    };
    const { context, page, complaints } = await openPage(browser, ada.ready.http);
    await logIn(page, token, "/jobs/hello");
    await page.getByRole("heading", { name: "How it went" }).waitFor();
    await page.getByRole("button", { name: "Run now" }).waitFor({ state: "detached" });
    assert.equal(await page.getByRole("link", { name: "Access" }).count(), 0);
    await ada.ask("POST", "/v1/jobs/report/pause", { note: "the printer is away" });
    for (const [view, landmark] of [
      ["/jobs/hello", "Next ticks"],
      ["/jobs/nightly?tab=edits", "nightly"],
      ["/jobs/report", "the printer is away"],
      ["/jobs", "Jobs"],
      ["/settings", "Pools"],
      ["/new", "You have no right to write jobs."],
      ["/jobs/nightly?tab=change", "You have no right to write jobs."],
    ] as const) {
      await page.goto(view);
      await page.getByText(landmark).first().waitFor();
      await page.locator(".skeleton").first().waitFor({ state: "detached" });
      for (const role of ["button", "link", "checkbox"] as const) {
        const offered = page.locator("main").getByRole(role, { name: doing });
        assert.deepEqual(await offered.allInnerTexts(), [], view);
      }
    }
    await ada.ask("POST", "/v1/jobs/report/resume");
    await page.goto("/access");
    await page.getByText("You have no right to see the audit.").waitFor();
    assert.deepEqual(complaints, []);
    await context.close();
  });

  test("a peer is drained and undrained on the mesh's page, which says what would become of its ticks", async () => {
    const { context, page } = await openPage(browser, ada.ready.http);
    await logIn(page, ada.token, "/mesh");
    const cyd = page.getByRole("listitem").filter({ has: page.getByRole("heading", { name: "cyd" }) });
    await ada.ask("POST", "/v1/jobs", {
      id: "only-there",
      schedule: "@yearly",
      command: "true",
      target: { peers: ["cyd"] },
    });
    await cyd.getByText(/Next hour: .*Without it: /).waitFor();
    const only = /Nobody else can run .*only-there \(1 Jan /;
    await cyd.getByText(only).waitFor();
    await cyd.getByRole("button", { name: "Drain" }).click();
    await page.getByRole("dialog").getByText(only).waitFor();
    await page.getByRole("button", { name: "Drain it" }).click();
    await cyd.getByText("it takes no ticks").waitFor();
    assert.deepEqual(await violations(page, ofColours), [], "with a receipt");
    await page.getByRole("link", { name: "Now", exact: true }).click();
    await page.getByText(/ disabled jobs?\. Drained: cyd\.$/).waitFor();
    await page.getByRole("button", { name: "Undo" }).click();
    await page.getByText(/ disabled jobs?\.$/).waitFor();
    await ada.ask("DELETE", "/v1/jobs/only-there");
    await context.close();
  });

  test("a drained peer is told as one at once, before the next regular look at the peers", async () => {
    const { context, page } = await openPage(browser, ada.ready.http);
    const asked = (): Promise<unknown> => page.waitForResponse(/\/v1\/peers$/);
    await page.clock.install();
    const first = asked();
    await logIn(page, ada.token, "/mesh");
    await first;
    const cyd = page.getByRole("listitem").filter({ has: page.getByRole("heading", { name: "cyd" }) });
    await cyd.getByRole("button", { name: "Drain" }).click();
    // The regular look comes 5 s after the one before it, and no sooner than 2 s after this.
    const regular = asked();
    await page.clock.pauseAt(((await page.evaluate("Date.now()")) as number) + 5_000);
    await regular;
    const [drained, again] = [page.waitForResponse(/\/drain$/), asked()];
    await page.getByRole("button", { name: "Drain it" }).click();
    await (await drained).finished();
    // A later answer, when the page has had the one before.
    await page.evaluate("fetch('/v1/me').then((answer) => answer.text())");
    await page.clock.runFor(1_100);
    await again;
    await cyd.getByText("it takes no ticks").waitFor();
    await ada.ask("POST", "/v1/peers/cyd/undrain");
    await context.close();
  });

  test("the audit says in words what was done to what, and names peers", async () => {
    const { context, page } = await openPage(browser, ada.ready.http);
    await ada.ask("POST", "/v1/jobs/report/pause", { note: "no paper" });
    await ada.ask("POST", "/v1/jobs/report/resume");
    await ada.ask("POST", "/v1/peers/bob/drain");
    await ada.ask("POST", "/v1/peers/bob/undrain");
    await ada.ask("PUT", "/v1/pools/told", { slots: 1 });
    await ada.ask("DELETE", "/v1/pools/told");
    await logIn(page, ada.token, "/access");
    const audit = page.getByRole("table", { name: "Audit" });
    for (const [words, on, action] of [
      ["pause", "job report", "pause-job"],
      ["resume", "job report", "resume-job"],
      ["drain", "peer bob", "drain-peer"],
      ["undrain", "peer bob", "undrain-peer"],
      ["write", "pool told", "put-setting"],
      ["delete", "pool told", "remove-setting"],
    ] as const) {
      const row = audit
        .getByRole("row")
        .filter({ has: page.locator(`[title="${action}"]`), hasText: on })
        .first();
      // oxlint-disable-next-line no-await-in-loop -- one row after the other
      assert.equal(await row.locator(".what").innerText(), words);
    }
    await context.close();
  });

  test("a cancelled run says by whom, and a skipped tick its time in the browser's zone", async () => {
    const { context, page } = await openPage(browser, ada.ready.http);
    await ada.ask("POST", "/v1/jobs", { id: "slow", command: "sleep 60", schedule: "30 2 * * *" });
    await logIn(page, ada.token, "/jobs/slow");
    await page.getByRole("button", { name: "Run now" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Run now" }).click();
    await page.getByRole("link", { name: "Show its run" }).click();
    assert.equal(
      await page.getByText("slow was asked to run.").count(),
      0,
      "a receipt whose link was followed",
    );
    await page.getByRole("button", { name: "Cancel" }).click();
    await page.getByRole("button", { name: "Cancel it" }).click();
    await page.locator(".notice", { hasText: /^Cancelled by admin@ada\.$/ }).waitFor();
    const run = page.url();
    await page.goto("/access?job=slow");
    await page.getByRole("link", { name: /^slow@manual-/ }).click();
    assert.ok(page.url().startsWith(run), "the audit leads to the run that was cancelled");
    await page.locator(".notice", { hasText: /^Cancelled by admin@ada\.$/ }).waitFor();
    await page.getByRole("link", { name: "slow" }).first().click();
    await page
      .getByRole("button", { name: /^Skip / })
      .first()
      .click();
    await page.getByText(/^slow will skip its tick of (\d+ \w+ )?0[34]:30:00\./).waitFor();
    await page.getByText("skipped by admin@ada").waitFor();
    await ada.ask("DELETE", "/v1/jobs/slow");
    await context.close();
  });

  test("a voter that is heard, but has lost its votes, is not counted among those that can vote", async () => {
    const { context, page } = await openPage(browser, ada.ready.http);
    await page.route("**/v1/peers", async (route) => {
      const answer = await route.fetch();
      const { items, ...others } = (await answer.json()) as { items: { name: string }[] };
      const changed = items.map((peer) =>
        peer.name === "bob" ? { ...peer, voter: false, votesLost: true } : { ...peer, state: "dead" },
      );
      await route.fulfill({ json: { ...others, items: changed } });
    });
    await logIn(page, ada.token, "/mesh");
    await page.getByText(/0 of 3 voters can vote \(epoch \d+\)$/).waitFor();
    await page.getByText(/only where most voters can vote. Here they can't.$/).waitFor();
    await context.close();
  });

  test("by keyboard: / searches, g j goes to the jobs, g f to the forecast, ? lists the keys", async () => {
    const { context, page } = await openPage(browser, ada.ready.http);
    await logIn(page, ada.token);
    await page.keyboard.press("g");
    await page.keyboard.press("j");
    await page.getByRole("heading", { name: "Jobs" }).waitFor();
    await page.keyboard.press("/");
    await page.keyboard.type("night");
    await page.waitForURL(/q=night/);
    await page.getByRole("rowheader", { name: /broken/ }).waitFor({ state: "detached" });
    await page.keyboard.press("Escape");
    await page.keyboard.press("?");
    await page.getByRole("dialog", { name: "Keys" }).waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    await page.keyboard.press("g");
    await page.keyboard.press("f");
    await page.getByRole("img", { name: /^All peers\. / }).waitFor();
    await page.getByText(/1 job runs by hand or after others/).waitFor();
    await context.close();
  });

  // The last one, because it kills a peer.
  test("a run is followed live; its peer is killed, its page, left open at another peer, tells that it was lost and who took over; the dead peer's own page says so and leads to the others", async () => {
    await ada.ask("POST", "/v1/jobs", {
      id: "long",
      command: "for n in $(seq 600); do echo line $n; sleep 0.2; done",
      retry: { attempts: 1, backoff: "0s", on: ["lost"], where: "other" },
      target: { peers: ["bob", "cyd"] },
    });
    const { context, page } = await openPage(browser, ada.ready.http);
    await logIn(page, ada.token, "/jobs/long");
    await page.getByRole("button", { name: "Run now" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Run now" }).click();
    await page.getByRole("link", { name: "Show its run" }).click();
    await page.getByText("line 3", { exact: true }).waitFor();
    const where = (await page.locator(".under").first().innerText()).includes("on bob") ? "bob" : "cyd";
    const runner = peers.find(({ name }) => name === where);
    assert.ok(runner);
    const other = await openPage(browser, runner.ready.http);
    await logIn(other.page, runner.token, "/jobs");
    await other.page.getByRole("rowheader", { name: /long/ }).waitFor();
    await runner.crash();
    await other.page.getByText(/has not answered since/).waitFor();
    assert.ok((await other.page.getByRole("alert").getByRole("link").count()) >= 1);
    const rest = where === "bob" ? "cyd" : "bob";
    // The page has been open all the time, and goes on with the run that counts.
    await page
      .locator(".under")
      .filter({ hasText: `on ${rest} · attempt 2` })
      .waitFor();
    await page
      .getByRole("listitem")
      .filter({ hasText: `attempt 1 on ${where}` })
      .getByText("lost")
      .waitFor();
    await page.goto("/jobs/long?tab=ticks");
    await page.getByRole("link", { name: `attempt 2 on ${rest}` }).click();
    await page
      .getByText(/^line \d+$/)
      .first()
      .waitFor();
    await page.getByRole("button", { name: "Cancel" }).click();
    await page.getByRole("button", { name: "Cancel it" }).click();
    await page.getByText(/Ended: .*after/).waitFor();
    await Promise.all([context.close(), other.context.close()]);
  });
});
