/**
 * Unpacks bodies that a server has compressed although the request didn't ask for that. The output then holds the text that a
 * person would read, patterns see it, and secrets in it can be masked.
 */
import {
  createBrotliDecompress,
  createGunzip,
  createInflate,
  createZstdDecompress,
  type BrotliDecompress,
  type Gunzip,
  type Inflate,
  type ZstdDecompress,
} from "node:zlib";

export type Decoder = BrotliDecompress | Gunzip | Inflate | ZstdDecompress;

/** The body is not what its headers say. */
export class Undecodable extends Error {
  constructor(coding: string, cause: Error) {
    super(`http: the answer's ${coding} can't be read: ${cause.message}`, { cause });
  }
}

const decoders: Readonly<Record<string, () => Decoder>> = {
  br: createBrotliDecompress,
  deflate: createInflate,
  gzip: createGunzip,
  "x-gzip": createGunzip,
  zstd: createZstdDecompress,
};

/**
 * Returns a decoder for a body of that coding. Undefined = the body is kept as it comes, for example if it was coded several
 * times.
 */
export function decoderOf(coding: string): Decoder | undefined {
  const name = coding.trim().toLowerCase();
  return Object.hasOwn(decoders, name) ? decoders[name]?.() : undefined;
}
