/** Sends requests to the API, with the cookie of the page's session. */

/** The peer has refused the request. */
export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail ?? `the peer answered ${status}`);
    this.status = status;
  }
}

async function send(path, method, body) {
  const response = await fetch(path, {
    method,
    headers: body === undefined ? {} : { "content-type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  if (!response.ok) throw new Refused(response.status, await response.json().catch(() => ({})));
  return response;
}

export async function ask(path, method = "GET", body) {
  const response = await send(path, method, body);
  return response.status === 204 ? undefined : response.json();
}

/** One page of a list, and the total number of its items. */
export async function askList(path) {
  const response = await send(path, "GET");
  const { items } = await response.json();
  return { items, total: Number(response.headers.get("x-total-count") ?? items.length) };
}
