/** A browser that uses the dashboard as a person does: Debian's chromium, by playwright-core. */
import { existsSync } from "node:fs";
import { chromium, type Browser, type BrowserContext, type Page } from "playwright-core";

const places = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
export const program = process.env["CHROMIUM"] ?? places.find((place) => existsSync(place));

/** Why there is no browser to test with; undefined = there is one. */
export const noBrowser =
  program === undefined ? "no chromium is installed here (apt-get install chromium)" : undefined;

/** The widths that the dashboard is made for: a phone, a tablet and a desk. Unit: px. */
export const widths = [390, 768, 1280] as const;

/** `launcher`: a program that starts the browser with its own arguments, for example in a network namespace. */
export async function openBrowser(launcher = program): Promise<Browser> {
  return chromium.launch({
    ...(launcher === undefined ? {} : { executablePath: launcher }),
    // A container's root has no sandbox, and little shared memory.
    args: ["--no-sandbox", "--disable-dev-shm-usage"],
  });
}

interface Opened {
  context: BrowserContext;
  page: Page;
  /** what the browser complained about: errors of scripts, and breaches of the content security policy */
  complaints: string[];
}

export async function openPage(
  browser: Browser,
  base: string,
  how: { width?: number; scheme?: "light" | "dark"; timezone?: string } = {},
): Promise<Opened> {
  const { width = 1_280, scheme = "light", timezone = "Europe/Berlin" } = how;
  const context = await browser.newContext({
    baseURL: base,
    viewport: { width, height: 900 },
    colorScheme: scheme,
    reducedMotion: "reduce",
    timezoneId: timezone,
  });
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => {
    // Answers that refuse, and a peer that is gone, are shown on the page.
    if (message.type() === "error" && !/Failed to load resource|ERR_/.test(message.text()))
      complaints.push(message.text());
  });
  return { context, page, complaints };
}

export async function logIn(page: Page, token: string, path = "/"): Promise<void> {
  await page.goto(path);
  await page.getByLabel("Token").fill(token);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByRole("button", { name: "Log out" }).waitFor();
}
