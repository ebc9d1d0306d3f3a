/**
 * Things as the database keeps them: JSON text, or a table update's bytes, each with its sum. What is read back is
 * held against its sum and its schema, for a disk can return other bytes than it was given; a row that fails is
 * damage, and is never taken for a fact.
 */
import { crc32 } from "node:zlib";
import Compile from "typebox/compile";
import { CicadaError } from "../../errors.ts";
import { AskedOrderSchema, RunRecordSchema, type RequestedOrder, type RunRecord } from "../../schema/run.ts";
import { StoredVoteSchema, type StoredVote } from "../../schema/vote.ts";

/** CRC-32 of a row's content: finds every single flipped bit, and all but one in four billion of other damages. */
export function sumOf(content: string | Uint8Array): number {
  return crc32(content);
}

/** The content of a row, if it has the row's sum; one from before there were sums has none. */
export function checkSum<Content extends string | Uint8Array>(content: Content, sum: unknown): Content {
  if (sum === null || sum === sumOf(content)) return content;
  throw new CicadaError("DATA_FOLDER_DAMAGED", "cicada.db holds a row whose content has changed by itself");
}

const recordCheck = Compile(RunRecordSchema);
const orderCheck = Compile(AskedOrderSchema);
const voteCheck = Compile(StoredVoteSchema);

export function parseRecord(text: string): RunRecord {
  const value = parse(text);
  if (!recordCheck.Check(value)) throw damagedRow("run record", text);
  return value;
}

export function parseOrder(text: string): RequestedOrder {
  const value = parse(text);
  if (!orderCheck.Check(value)) throw damagedRow("order", text);
  return value;
}

export function parseVote(text: string): StoredVote {
  const value = parse(text);
  if (!voteCheck.Check(value)) throw damagedRow("vote", text);
  return value;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function damagedRow(what: string, text: string): CicadaError {
  return new CicadaError(
    "DATA_FOLDER_DAMAGED",
    `cicada.db holds a ${what} that can't be read: ${text.slice(0, 80)}`,
  );
}
