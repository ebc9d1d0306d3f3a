/** Callers of every kind for tests of the API, and a peer with jobs of two groups: one may not learn of the other. */
import { hashOfToken, makeToken } from "../../src/api/access/token-text.ts";
import type { Role, TokenEntry } from "../../src/schema/access.ts";
import type { JobId } from "../../src/schema/ids.ts";
import { checkedJob } from "../../src/core/checks/job.ts";
import { call, fakeApi, type Asked, type FakeApi } from "./fake-api.ts";

/** Stands in every text of the group "a" that only its callers may see. */
export const marker = "only-for-group-a";

export interface Stage extends FakeApi {
  /** a token with this role, limited to these groups */
  tokenFor(role: Role, groups?: string[], more?: Partial<TokenEntry>): { id: string; text: string };
  /** one call with a token */
  as(token: string, asked: Asked): ReturnType<typeof call>;
}

export async function accessStage(change: Parameters<typeof fakeApi>[0] = {}): Promise<Stage> {
  const fake = fakeApi(change);
  const { control } = fake;
  for (const group of ["a", "b"]) {
    const spec = checkedJob({
      id: `in-${group}` as JobId,
      command: "true",
      group,
      description: group === "a" ? marker : "of the other group",
    });
    const answer = await control.ask({ kind: "put-job", spec, mode: "create", by: "test" });
    if (answer.kind === "refused") throw answer.error;
    await control.ask({ kind: "run-job", id: spec.id, by: "test" });
  }
  control.settingValues.set(
    "groups",
    new Map([
      ["a", { description: marker }],
      ["b", { description: "of the other group" }],
    ]),
  );
  control.settingValues.set(
    "maintenance",
    new Map([
      ["m-a", { from: "2030-01-01T00:00:00Z", to: "2030-01-02T00:00:00Z", group: "a", note: marker }],
      ["m-b", { from: "2030-01-01T00:00:00Z", to: "2030-01-02T00:00:00Z", group: "b" }],
    ]),
  );
  control.settingValues.set("calendars", new Map([["holidays", { dates: ["2030-01-01"], at: 0 }]]));
  control.settingValues.set("pools", new Map([["db", { slots: 1 }]]));
  control.roots.set("channels", new Map([["ops", { type: "slack", url: "https://hooks.example/x" }]]));
  return {
    ...fake,
    tokenFor(role, groups, more = {}) {
      const { id, text } = makeToken();
      const entry: TokenEntry = {
        hash: hashOfToken(text),
        name: `${role}-${id}`,
        role,
        ...(groups === undefined ? {} : { groups }),
        createdAt: Date.now(),
        createdBy: "test",
        ...more,
      };
      control.roots.set("tokens", new Map(control.roots.get("tokens")).set(id, entry));
      return { id, text };
    },
    as: (token, asked) =>
      call(fake, { ...asked, headers: { authorization: `Bearer ${token}`, ...asked.headers } }),
  };
}
