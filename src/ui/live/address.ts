/** The address of the page: which view is shown, and its filters, so that every view can be sent as a link. */
import { computed, signal } from "@preact/signals";

const address = signal(new URL(location.href));

/** The path as decoded parts: `/jobs/a%2Fb` → `["jobs", "a/b"]`. */
export const place = computed(() => address.value.pathname.split("/").filter(Boolean).map(decoded));
export const query = computed(() => address.value.searchParams);

export function go(href: string, how: "push" | "replace" = "push"): void {
  const url = new URL(href, location.href);
  if (url.href === address.peek().href) return;
  if (how === "push") {
    history.pushState(null, "", url);
    scrollTo(0, 0);
  } else history.replaceState(null, "", url);
  show(url);
}

/**
 * If the focus was in the old view, it moves to the beginning of the new one. It is moved first: a browser that loses the element
 * with the focus lays out the half-made view at once.
 */
function show(url: URL): void {
  const main = document.getElementById("main");
  if (url.pathname !== address.peek().pathname && main?.contains(document.activeElement) === true)
    main.focus({ preventScroll: true });
  address.value = url;
}

/** Changes filters in place; an empty value removes one. */
export function setQuery(changes: Readonly<Record<string, string | undefined>>): void {
  const url = new URL(address.peek());
  for (const [name, value] of Object.entries(changes)) {
    if (value === undefined || value === "") url.searchParams.delete(name);
    else url.searchParams.set(name, value);
  }
  go(url.href, "replace");
}

/** Removes one value of a filter that may have several. */
export function dropFromQuery(name: string, value: string): void {
  const url = new URL(address.peek());
  url.searchParams.delete(name, value);
  go(url.href, "replace");
}

export const jobLink = (id: string): string => `/jobs/${encodeURIComponent(id)}`;
export const runLink = (id: string): string => `/runs/${encodeURIComponent(id)}`;
/** The address of a job in the API. */
export const jobPath = (id: string): string => `/v1/jobs/${encodeURIComponent(id)}`;

/** Whether a click on a link leads on in this tab, and not in another one. */
export function isForHere({ button, metaKey, ctrlKey, shiftKey, altKey }: MouseEvent): boolean {
  return button === 0 && !metaKey && !ctrlKey && !shiftKey && !altKey;
}

/** Links of the page itself are followed without a new page load. */
export function followLinks(): void {
  addEventListener("popstate", () => show(new URL(location.href)));
  document.addEventListener("click", (event) => {
    if (event.defaultPrevented || !isForHere(event)) return;
    const link = event.target instanceof Element ? event.target.closest("a") : null;
    if (link === null || link.target !== "" || link.origin !== location.origin) return;
    if (/^\/(v1|docs|openapi\.json|schemas|metrics)\b/.test(link.pathname)) return;
    event.preventDefault();
    go(link.href);
  });
  // Notices link to a job in this form.
  const [, job] = /^#job=(.+)$/.exec(location.hash) ?? [];
  if (job !== undefined) go(jobLink(decoded(job)), "replace");
}

/** Text that isn't encoded correctly stays as it is, and then names no page or job. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
