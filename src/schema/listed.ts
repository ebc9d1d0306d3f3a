/** Lists names in a sentence: "ada, bob and carol". Of many, the first ones: "ada, bob and 7 more". */
export function listSome(names: readonly string[], most: number): string {
  // Naming one more takes no more room than saying that one is left out.
  if (names.length <= most + 1) return listAll(names);
  return listAll([...names.slice(0, most), `${names.length - most} more`]);
}

function listAll(names: readonly string[]): string {
  const last = names.at(-1) ?? "";
  return names.length < 2 ? last : `${names.slice(0, -1).join(", ")} and ${last}`;
}
