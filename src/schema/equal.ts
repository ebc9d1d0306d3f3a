/**
 * Says whether two JSON values have equal content. Edits, commands and imports all use this rule.
 *
 * The order of an object's members doesn't matter. A member that is undefined counts as absent, as it does in JSON.
 */
export function sameValue(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((item, index) => sameValue(item, b[index]));
  }
  if (!isObject(a) || !isObject(b)) return false;
  const names = namesOf(a);
  return (
    names.length === namesOf(b).length &&
    names.every((name) => Object.hasOwn(b, name) && sameValue(a[name], b[name]))
  );
}

function namesOf(object: Readonly<Record<string, unknown>>): string[] {
  return Object.keys(object).filter((name) => object[name] !== undefined);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
