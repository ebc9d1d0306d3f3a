/** The values of settings in words. */

/** How many entries of a long list are shown. */
const listedMost = 12;

/** `2026-12-24 to 2026-12-26, 2027-01-01`, `attempts 3, backoff 10s`, `yes`. */
export function valueText(value: unknown): string {
  if (Array.isArray(value)) {
    const shown = value.slice(0, listedMost).map(valueText).join(", ");
    return value.length > listedMost ? `${shown} and ${value.length - listedMost} more` : shown;
  }
  if (typeof value === "object" && value !== null) {
    return Object.entries(value)
      .map(([name, one]) => `${name} ${valueText(one)}`)
      .join(", ");
  }
  if (typeof value === "boolean") return value ? "yes" : "no";
  const text = String(value);
  return /^\d{4}-\d\d-\d\d\/\d{4}-\d\d-\d\d$/.test(text) ? text.replace("/", " to ") : text;
}

/** Each field with its name, without the empty ones and those that are left out. */
export function fieldsText(item: Readonly<Record<string, unknown>>, left: readonly string[]): string {
  return Object.entries(item)
    .filter(([name, value]) => !left.includes(name) && value !== null && value !== undefined)
    .map(([name, value]) => `${name} ${valueText(value)}`)
    .join(" · ");
}
