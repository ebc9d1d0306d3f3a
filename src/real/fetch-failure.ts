/**
 * Why a `fetch` failed, for people: itself it says only "fetch failed", and its cause says why. `limitMs`: the longest that the
 * answer was waited for.
 */
export function describeFetchFailure(error: unknown, limitMs: number): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === "TimeoutError") return `no answer within ${limitMs / 1_000} s`;
  const { cause } = error;
  return cause instanceof Error && cause.message !== "" ? cause.message : error.message;
}
