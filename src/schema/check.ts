/**
 * Checks of values by their schema. Each is compiled at its first use, because the program has hundreds and a peer without work
 * uses a few. Of what the compiler makes, only the check itself is kept: typebox's `Compile` also keeps the text of each.
 */
import type { Static, TSchema } from "typebox";
import type { TLocalizedValidationError } from "typebox/error";
import { Build, Errors } from "typebox/schema";

export interface Check<Value> {
  accepts(value: unknown): value is Value;
  /** Why the value isn't accepted; empty if it is. */
  errors(value: unknown): readonly TLocalizedValidationError[];
}

export function checkOf<Schema extends TSchema>(schema: Schema): Check<Static<Schema>> {
  let compiled: { Check(value: unknown): boolean } | undefined;
  const accepts = (value: unknown): value is Static<Schema> => {
    compiled ??= Build(schema).Evaluate();
    return compiled.Check(value);
  };
  return { accepts, errors: (value) => (accepts(value) ? [] : Errors(schema, value)[1]) };
}
