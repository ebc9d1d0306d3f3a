/**
 * Assertions of what cannot happen. They hold in the product and in the simulator alike: a core whose own rules contradict
 * each other must not go on deciding who runs people's jobs.
 */
import { AssertionFailed } from "../../errors.ts";

export function assertThat(condition: boolean, what: string): asserts condition {
  if (!condition) throw new AssertionFailed(`assertion failed: ${what}`);
}
