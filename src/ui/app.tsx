/** The frame of the page: the navigation, what is wrong with the connection, and the page that the address names. */
import type { ComponentType, JSX } from "preact";
import { useEffect } from "preact/hooks";
import { place } from "./live/address.ts";
import { isLoggedIn, lostSince } from "./live/ask.ts";
import { may } from "./live/me.ts";
import { mesh, summary } from "./live/mesh.ts";
import { loginInfo, logOut } from "./live/session.ts";
import { addRefusal } from "./live/receipts.ts";
import { Receipts } from "./parts/receipts.tsx";
import { Help, useKeys } from "./parts/keys.tsx";
import { Empty } from "./parts/parts.tsx";
import { Job } from "./pages/job/job.tsx";
import { Jobs } from "./pages/jobs/jobs.tsx";
import { NewJob } from "./pages/form/form.tsx";
import { Forecast } from "./pages/forecast/forecast.tsx";
import { Access } from "./pages/access/access.tsx";
import { Mesh } from "./pages/mesh/mesh.tsx";
import { Settings } from "./pages/settings/settings.tsx";
import { Login } from "./pages/login.tsx";
import { Now } from "./pages/now/now.tsx";
import { Run } from "./pages/run/run.tsx";
import { Runs } from "./pages/runs.tsx";
import { browserZone, minuteText } from "./words.ts";

interface Place {
  path: string;
  name: string;
  /** pressed after `g` */
  key: string;
  page: ComponentType<{ rest: readonly string[] }>;
}

export const places: readonly Place[] = [
  { path: "", name: "Now", key: "n", page: Now },
  {
    path: "jobs",
    name: "Jobs",
    key: "j",
    page: ({ rest: [id] }) => (id === undefined ? <Jobs /> : <Job key={id} id={id} />),
  },
  {
    path: "runs",
    name: "Runs",
    key: "r",
    page: ({ rest: [id] }) => (id === undefined ? <Runs /> : <Run key={id} id={id} />),
  },
  { path: "mesh", name: "Mesh", key: "m", page: Mesh },
  { path: "forecast", name: "Forecast", key: "f", page: Forecast },
  { path: "settings", name: "Settings", key: "s", page: Settings },
  { path: "access", name: "Access", key: "a", page: Access },
];

export function App(): JSX.Element {
  useKeys(places);
  const [first = "", ...rest] = place.value;
  const current = places.find(({ path }) => path === first);
  const isNew = first === "new";
  useTitle(current, isNew ? "New job" : rest[0]);
  return (
    <div class={lostSince.value === undefined ? "" : "is-lost"}>
      <a class="unseen" href="#main">
        Skip to the content
      </a>
      <Bar current={current} />
      <Lost />
      <main id="main" tabIndex={-1}>
        {isLoggedIn.value === false ? (
          <Login />
        ) : isLoggedIn.value === undefined ? null : isNew ? (
          <NewJob />
        ) : current === undefined ? (
          <Empty title="There is no such page.">
            <a href="/">Go to what is happening now</a>
          </Empty>
        ) : (
          <current.page rest={rest} />
        )}
      </main>
      <Foot />
      <Receipts />
      <Help places={places} />
    </div>
  );
}

function Bar({ current }: { current: Place | undefined }): JSX.Element {
  const failing = failingCount();
  return (
    <header class="bar">
      <a class="brand" href="/">
        <img src="/icon.svg" alt="" width="22" height="22" />
        cicada <span>{loginInfo.value?.name}</span>
      </a>
      <nav class="places" aria-label="Pages">
        {isLoggedIn.value === true && (
          <ul>
            {places
              .filter(({ path }) => path !== "access" || may("admin"))
              .map((one) => (
                <li key={one.path}>
                  <a href={`/${one.path}`} aria-current={one === current ? "page" : undefined}>
                    {one.name}
                    {one.path === "jobs" && failing > 0 && <span class="count">{failing}</span>}
                    {one.path === "jobs" && failing > 0 && <span class="unseen"> in trouble</span>}
                  </a>
                </li>
              ))}
          </ul>
        )}
      </nav>
      {isLoggedIn.value === true && (
        <div class="bar-end small">
          <a href="/docs">API</a>
          <button class="plain" onClick={() => void logOut().catch(addRefusal)}>
            Log out
          </button>
        </div>
      )}
    </header>
  );
}

/** Jobs that a person should look at: they fail, can't run or can't be read. */
function failingCount(): number {
  const states = summary.value?.states;
  return (states?.["failing"] ?? 0) + (states?.["blocked"] ?? 0) + (states?.["invalid"] ?? 0);
}

function Lost(): JSX.Element | null {
  const since = lostSince.value;
  if (since === undefined) return null;
  const others = (mesh.value?.items ?? []).filter(({ self, state }) => !self && state === "alive");
  const links = others.flatMap((peer) => (peer.page === null ? [] : [{ name: peer.name, href: peer.page }]));
  return (
    <div class="banner" role="alert">
      <div>
        <strong>
          {loginInfo.value?.name ?? "This peer"} has not answered since {minuteText(since)}.
        </strong>{" "}
        This page shows what it knew then; it asks again every few seconds.{" "}
        {links.length > 0 && "The other peers show the same mesh: "}
        {links.map(({ name, href }, index) => (
          <span key={href}>
            {index > 0 && ", "}
            <a href={href}>{name}</a>
          </span>
        ))}
      </div>
    </div>
  );
}

function Foot(): JSX.Element {
  return (
    <footer class="foot">
      <span>Times are in {browserZone}, this browser's zone, where a page names no other.</span>
      <span>
        <kbd>?</kbd> shows the keys.
      </span>
    </footer>
  );
}

/** The title and the favicon carry the number of jobs in trouble, so that a tab in the background shows it too. */
function useTitle(current: Place | undefined, detail: string | undefined): void {
  const failing = failingCount();
  const name = loginInfo.value?.name;
  const what = detail ?? current?.name ?? "cicada";
  useEffect(() => {
    document.title = `${failing > 0 ? `(${failing}) ` : ""}${what} · ${name ?? "cicada"}`;
  }, [failing, what, name]);
  useEffect(() => {
    const icon = document.querySelector<HTMLLinkElement>('link[rel="icon"]');
    if (icon !== null) icon.href = failing > 0 ? `/icon.svg?failing=${failing}` : "/icon.svg";
  }, [failing]);
}
