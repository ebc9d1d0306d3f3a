/**
 * Bodies that a server has compressed, although a request of ours asks for none: they are kept as a person would read them, so that
 * patterns see the text, and no secret is in what is kept.
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

/** A way to read a body of that coding; undefined = it is kept as it comes, as one that was coded several times is. */
export function decoderOf(coding: string): Decoder | undefined {
  const name = coding.trim().toLowerCase();
  return Object.hasOwn(decoders, name) ? decoders[name]?.() : undefined;
}
