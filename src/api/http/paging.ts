/**
 * Lists in pages: `{"items": […], "nextCursor": "…"|null}`, with `Link` and `X-Total-Count`.
 *
 * A cursor names the item after which the next page begins, so a list that changes meanwhile shows no item twice. It is
 * opaque to callers, and valid only for the list that returned it.
 */
import type { FastifyReply, FastifyRequest } from "fastify";
import { Type, type TSchema } from "typebox";
import { CicadaError } from "../../errors.ts";

/** Items per page. More saves calls; less keeps each answer small. */
export const defaultLimit = 100;
export const maxLimit = 1_000;

export const PageQuery = {
  limit: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: maxLimit,
      description: `items per page; default ${defaultLimit}`,
    }),
  ),
  cursor: Type.Optional(
    Type.String({
      maxLength: 2_048,
      pattern: "^[A-Za-z0-9_-]*$",
      description: "`nextCursor` of the previous page",
    }),
  ),
};

export const ListOf = <Item extends TSchema>(item: Item) =>
  Type.Object({
    items: Type.Array(item),
    nextCursor: Type.Union([Type.String(), Type.Null()], { description: "null on the last page" }),
  });

export function writeCursor(list: string, after: string): string {
  return Buffer.from(JSON.stringify([list, after])).toString("base64url");
}

/** The item after which to continue; undefined for the first page. */
export function readCursor(list: string, cursor: string | undefined): string | undefined {
  if (cursor === undefined) return undefined;
  let read: unknown;
  try {
    read = JSON.parse(Buffer.from(cursor, "base64url").toString());
  } catch {
    read = undefined;
  }
  if (Array.isArray(read) && read.length === 2 && read[0] === list && typeof read[1] === "string") {
    return read[1];
  }
  throw new CicadaError("UNPROCESSABLE", "cursor: give `nextCursor` of the previous page, unchanged", [
    { pointer: "/cursor", message: "is not a cursor of this list" },
  ]);
}

export interface Found<Item> {
  items: Item[];
  /** the item after which the next page begins; null on the last page */
  next: string | null;
  total?: number;
}

/** Sets the headers of a list and returns its body. */
export function page<Item>(
  request: FastifyRequest,
  reply: FastifyReply,
  list: string,
  found: Found<Item>,
): { items: Item[]; nextCursor: string | null } {
  const { headers, body } = pageAt(request.url, list, found);
  reply.headers(headers);
  return body;
}

/** The headers and the body of a list that was asked for at this address. */
export function pageAt<Item>(
  url: string,
  list: string,
  { items, next, total }: Found<Item>,
): { headers: Record<string, string | number>; body: { items: Item[]; nextCursor: string | null } } {
  const headers: Record<string, string | number> = total === undefined ? {} : { "x-total-count": total };
  const nextCursor = next === null ? null : writeCursor(list, next);
  if (nextCursor !== null) {
    const [path, query] = url.split("?", 2);
    const parameters = new URLSearchParams(query);
    parameters.set("cursor", nextCursor);
    headers["link"] = `<${path}?${parameters.toString()}>; rel="next"`;
  }
  return { headers, body: { items, nextCursor } };
}
