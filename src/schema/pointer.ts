/** The place of a field in a job or a request, as problems name it: a JSON pointer (RFC 6901). */
export function pointerTo(...names: string[]): string {
  return names.map((name) => `/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
}
