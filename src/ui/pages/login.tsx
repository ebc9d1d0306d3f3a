import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { loginReason, Refused } from "../live/ask.ts";
import { loginInfo, logIn } from "../live/session.ts";
import { textIn } from "../parts/parts.tsx";
import { sentence } from "../words.ts";

export function Login(): JSX.Element {
  const [problem, setProblem] = useState("");
  const [isBusy, setBusy] = useState(false);
  const { name = "this peer", tokenFile } = loginInfo.value ?? {};
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.focus(), []);
  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    setBusy(true);
    setProblem("");
    try {
      await logIn(textIn(new FormData(form), "token"));
    } catch (error) {
      setProblem(
        // The hint is for callers of the API. The form says below where a person finds the token.
        error instanceof Refused ? sentence(error.message) : "The peer does not answer.",
      );
    }
    setBusy(false);
  };
  return (
    <form class="login" onSubmit={(event) => void submit(event)}>
      <h1>Log in to {name}</h1>
      {loginReason.value !== "" && (
        <p class="notice" role="status">
          {loginReason.value}
        </p>
      )}
      <input type="text" name="username" value="admin" autoComplete="username" hidden />
      <div class="field">
        <label for="token">Token</label>
        <input ref={field} id="token" name="token" type="password" autoComplete="current-password" required />
        {problem !== "" && (
          <p class="problem" role="alert">
            {problem}
          </p>
        )}
      </div>
      <button class="primary" disabled={isBusy}>
        Log in
      </button>
      {tokenFile !== undefined && (
        <p class="quiet small">
          Its token is in <code>{tokenFile}</code> on the host of {name}.
        </p>
      )}
    </form>
  );
}
