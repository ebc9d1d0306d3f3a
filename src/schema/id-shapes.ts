/** The shapes of ids and instants. They are apart from ids.ts, so that a thread that checks no shapes doesn't read typebox. */
import { Type } from "typebox";
import {
  farthestMs,
  jobIdPattern,
  peerIdLetters,
  tickIdPattern,
  type JobId,
  type PeerId,
  type TickId,
} from "./ids.ts";

export const PeerIdSchema = Type.Unsafe<PeerId>(Type.String({ minLength: 1, maxLength: peerIdLetters }));
export const JobIdSchema = Type.Unsafe<JobId>(Type.String({ pattern: jobIdPattern }));
export const TickIdSchema = Type.Unsafe<TickId>(Type.String({ pattern: tickIdPattern }));
/** An instant from outside: ms since the epoch. */
export const InstantSchema = Type.Number({ minimum: -farthestMs, maximum: farthestMs });
