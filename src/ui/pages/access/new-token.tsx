/** The dialog in which a token is made. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { ask, Refused } from "../../live/ask.ts";
import { Dialog, textIn } from "../../parts/parts.tsx";
import { sentence } from "../../words.ts";

const roles: readonly (readonly [string, string])[] = [
  ["viewer", "reads"],
  ["operator", "also runs, cancels, pauses and skips"],
  ["editor", "also writes jobs"],
  ["admin", "everything"],
  ["metrics", "reads /metrics only"],
];

export function NewToken({
  onClose,
  onMade,
}: {
  onClose: () => void;
  onMade: (token: string) => void;
}): JSX.Element {
  const [problem, setProblem] = useState("");
  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const groups = textIn(form, "groups")
      .split(/[\s,]+/)
      .filter((name) => name !== "");
    const until = textIn(form, "until");
    const body = {
      name: textIn(form, "name").trim(),
      role: textIn(form, "role"),
      ...(groups.length === 0 ? {} : { groups }),
      ...(until === "" ? {} : { expires: new Date(until).toISOString() }),
    };
    try {
      onMade((await ask<{ token: string }>("/v1/tokens", { method: "POST", body })).body.token);
    } catch (error) {
      const [first] = error instanceof Refused ? error.problems : [];
      setProblem(
        sentence(first === undefined ? (error as Error).message : `${first.pointer} ${first.message}`),
      );
    }
  };
  return (
    <Dialog title="New token" onClose={onClose}>
      <form onSubmit={(event) => void submit(event)}>
        <div class="field">
          <label for="token-name">Name</label>
          <input id="token-name" name="name" required autoFocus autoComplete="off" />
        </div>
        <div class="field">
          <label for="token-role">Role</label>
          <select id="token-role" name="role">
            {roles.map(([role, words]) => (
              <option key={role} value={role}>
                {role}: {words}
              </option>
            ))}
          </select>
        </div>
        <div class="field">
          <label for="token-groups">Groups</label>
          <input id="token-groups" name="groups" placeholder="all" autoComplete="off" />
          <small>The groups that it is limited to, separated by commas.</small>
        </div>
        <div class="field">
          <label for="token-until">Expires</label>
          <input id="token-until" name="until" type="datetime-local" />
          <small>In this browser's zone. Empty: never.</small>
        </div>
        {problem !== "" && (
          <p class="problem" role="alert">
            {problem}
          </p>
        )}
        <div class="actions">
          <button type="button" onClick={onClose}>
            Cancel
          </button>
          <button class="primary">Create token</button>
        </div>
      </form>
    </Dialog>
  );
}
