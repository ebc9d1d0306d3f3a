/**
 * Secrets: names in the table, values on the peers. A value lies in a peer's own data folder, or sealed to chosen peers in the
 * table (real/secrets/seal.ts), where only they can read it. Of the two, a peer uses the one with the higher version.
 */
import { Type, type Static } from "typebox";
import type { PeerId } from "./ids.ts";
import { InstantSchema } from "./id-shapes.ts";

/** The form of an environment variable's name, because the secret becomes one. */
export const secretNamePattern = "^[A-Za-z_][A-Za-z0-9_]{0,63}$";
/** A shorter value would be found in every output, and masked there. */
export const secretLeastCharacters = 6;
/** Room for a certificate with its key. More makes the table larger, and masking slower. */
export const secretMaxBytes = 16_384;
/** How many one job may name, and how many bytes their values may have together: masking looks for all of them at once. */
export const secretsOfJobMax = 32;
export const secretsOfJobMaxBytes = 65_536;
/** How many a mesh may have sealed, and how many a peer may have of its own, which its heartbeats list. */
export const sealedMax = 256;
export const ownSecretsMax = 128;
/** Each takes about 200 bytes of the secret's entry. */
export const recipientsMax = 128;

const Base64 = (maxLength: number) => Type.String({ maxLength, pattern: "^[A-Za-z0-9_-]*$" });

/** A value that is sealed to peers: encrypted with a key of its own, which is encrypted to each of them. */
export const SealedSecretSchema = Type.Object(
  {
    /** when it was set, wall ms; higher than that of the value before it */
    version: InstantSchema,
    /** the encrypted value */
    box: Base64(32_768),
    /** by peer: the key of the box, encrypted to that peer */
    keys: Type.Record(Type.String({ maxLength: 128 }), Base64(256), { maxProperties: recipientsMax }),
  },
  { additionalProperties: false, $id: "SealedSecret" },
);
export type SealedSecret = Static<typeof SealedSecretSchema>;

/** What is bound to a sealed value, so that it can't be passed off as another one. */
export interface SecretLabel {
  readonly mesh: string;
  readonly name: string;
  readonly version: number;
}

/** Which secrets a peer has a value of, apart from those that are sealed to it. */
export interface HeldSecrets {
  /** in its own folder, by name: their versions */
  readonly own: ReadonlyMap<string, number>;
  /** what is wrong with a file of its folder, by the file's name, in words */
  readonly faults: ReadonlyMap<string, string>;
  /** sealed to it, and yet it can't open them */
  readonly unopened: readonly string[];
}

/**
 * A change of a secret, as `cicada secrets set` asks for it. `peers`: those to which it is sealed; absent = only the peer that is
 * asked keeps it.
 */
export interface SecretChange {
  readonly name: string;
  readonly value: string;
  readonly peers?: readonly PeerId[];
  readonly by: string;
}
