/** How a contract suite runs its tests: each gets its own bed, which ends with the test. */
import { test } from "node:test";

export function testOnBeds<Bed extends { end(): Promise<void> }>(
  name: string,
  make: () => Promise<Bed>,
): (title: string, body: (bed: Bed) => Promise<void>) => void {
  return (title, body) => {
    void test(`${name}: ${title}`, async () => {
      const bed = await make();
      try {
        await body(bed);
      } finally {
        await bed.end();
      }
    });
  };
}
