import type { JSX } from "preact";
import { loginInfo } from "../live/session.ts";
import { Empty } from "../parts/parts.tsx";

/** What stands in place of the jobs while there are none: three ways to begin. */
export function FirstJob(): JSX.Element {
  const program = loginInfo.value?.program ?? "cicada";
  return (
    <Empty title="There is no job yet.">
      <dl class="pairs first-job">
        <dt>Make one</dt>
        <dd>
          <a href="/new">in the form</a>, or
        </dd>
        <dt />
        <dd>
          <code>{program} jobs create hello --schedule '@every 1m' --command 'echo hello'</code>
        </dd>
        <dt>Bring your crontab along</dt>
        <dd>
          <code>{program} import crontab /etc/crontab --system --dry-run</code>
        </dd>
        <dt>Let a second machine join</dt>
        <dd>
          <code>{program} peers invite</code>
        </dd>
      </dl>
    </Empty>
  );
}
