/**
 * Splits a stream of bytes into frames: 4 bytes of length, the most significant first, then the content.
 *
 * The length is checked before anything is kept, so a stranger can't make the peer hold more than one frame.
 */
import { assert } from "../../errors.ts";
import { messageCapBytes } from "../../schema/message.ts";

const headerBytes = 4;

export function toFrame(bytes: Uint8Array): Uint8Array {
  assert(bytes.length <= messageCapBytes, `a message has at most ${messageCapBytes} bytes`);
  const frame = new Uint8Array(headerBytes + bytes.length);
  new DataView(frame.buffer).setUint32(0, bytes.length);
  frame.set(bytes, headerBytes);
  return frame;
}

export class FrameReader {
  private header = new Uint8Array(headerBytes);
  private headerFilled = 0;
  private body: Uint8Array | undefined;
  private bodyFilled = 0;

  /** True if a stream that ended now would end in the middle of a frame. */
  get isTorn(): boolean {
    return this.headerFilled > 0;
  }

  /**
   * The frames that these bytes complete, in order. Undefined if one is too long; the caller must then stop reading.
   */
  read(chunk: Uint8Array): Uint8Array[] | undefined {
    const frames: Uint8Array[] = [];
    let rest = chunk;
    while (rest.length > 0) {
      if (this.body === undefined) {
        rest = this.readHeader(rest);
        if (this.headerFilled < headerBytes) break;
        const length = new DataView(this.header.buffer).getUint32(0);
        if (length > messageCapBytes) return undefined;
        this.body = new Uint8Array(length);
        this.bodyFilled = 0;
      }
      const taken = rest.subarray(0, this.body.length - this.bodyFilled);
      this.body.set(taken, this.bodyFilled);
      this.bodyFilled += taken.length;
      rest = rest.subarray(taken.length);
      if (this.bodyFilled < this.body.length) break;
      frames.push(this.body);
      this.body = undefined;
      this.headerFilled = 0;
    }
    return frames;
  }

  private readHeader(chunk: Uint8Array): Uint8Array {
    const taken = chunk.subarray(0, headerBytes - this.headerFilled);
    this.header.set(taken, this.headerFilled);
    this.headerFilled += taken.length;
    return chunk.subarray(taken.length);
  }
}
