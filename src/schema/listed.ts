/** Lists names in a sentence: "ada, bob and carol". Of many, the first ones: "ada, bob and 7 more". */
export function listSome(names: readonly string[], most: number): string {
  // One that is left out takes no more room than to say so.
  if (names.length <= most + 1) return listAll(names);
  return listAll([...names.slice(0, most), `${names.length - most} more`]);
}

function listAll(names: readonly string[]): string {
  const last = names.at(-1) ?? "";
  return names.length < 2 ? last : `${names.slice(0, -1).join(", ")} and ${last}`;
}
