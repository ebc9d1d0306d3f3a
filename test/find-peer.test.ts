/** Which peer a person means by a text. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { describeAmbiguous, describeMissing, findPeer, isAmong } from "../src/schema/find-peer.ts";
import type { PeerId } from "../src/schema/ids.ts";

const peers = [
  { id: "12D3KooWaaaa1111" as PeerId, name: "web-1" },
  { id: "12D3KooWbbbb2222" as PeerId, name: "web-10" },
  { id: "12D3KooWcccc3333" as PeerId, name: "db" },
  { id: "12D3KooWdddd4444" as PeerId, name: "db" },
  { id: "12D3KooWeeee5555" as PeerId, name: undefined },
  { id: "12D3KooWweb-6666" as PeerId, name: "12D3KooWaaaa1111" },
];

describe("a person names a peer", () => {
  const cases: [what: string, text: string, meant: string | number | undefined][] = [
    ["by its id, even if that is another peer's name", "12D3KooWaaaa1111", "aaaa1111"],
    ["by its name, even if another's name begins with it", "web-1", "aaaa1111"],
    ["by a name that two peers have", "db", 2],
    ["by a name that two peers have, in the form in which it is shown", "db·cccc3333", "cccc3333"],
    ["by the end of its id", "bbbb2222", "bbbb2222"],
    ["by a part from within its id", "ccc3", "cccc3333"],
    ["by the end of an id whose peer has no name", "eeee5555", "eeee5555"],
    ["by the beginning that all ids share", "12D3KooW", 6],
    ["by fewer than four characters of an id", "555", undefined],
    ["by the beginning of its name", "web-10", "bbbb2222"],
    ["by the beginning of two names, which an id contains too", "web-", 3],
    ["by the end of a name", "10", undefined],
    ["in upper case", "WEB-1", undefined],
    ["by nothing", "", undefined],
  ];
  for (const [what, text, meant] of cases) {
    const result = meant === undefined ? "nobody" : typeof meant === "number" ? "ambiguous" : meant;
    test(`${what}: ${result}`, () => {
      const found = findPeer(peers, text);
      if (typeof meant === "string") assert.ok(found.kind === "one" && found.peer.id.endsWith(meant));
      else if (meant === undefined) assert.equal(found.kind, "none");
      else assert.ok(found.kind === "ambiguous" && found.candidates.length === meant);
    });
  }
});

test("the message about an unknown peer counts the peers whose names aren't known", () => {
  assert.equal(describeMissing("web", []), 'there is no peer "web"');
  const unnamed = peers.map((peer) => ({ ...peer, name: undefined }));
  assert.match(
    describeMissing("web", unnamed.slice(0, 1)),
    /is called "web"; one other peer has not been heard: give an id$/,
  );
  assert.match(
    describeMissing("web", unnamed.slice(0, 3)),
    /; 3 other peers have not been heard: give an id$/,
  );
});

test("the message about an ambiguous name lists the candidates, but not a hundred of them", () => {
  assert.equal(
    describeAmbiguous("db", peers.slice(2, 4)),
    '"db" could be db (12D3KooWcccc3333), db (12D3KooWdddd4444): give the id of one',
  );
  assert.match(describeAmbiguous("12D3", peers), /12D3KooWeeee5555, and 1 more: give the id of one$/);
});

describe("a job's target admits peers by their whole id or whole name, and every peer of that name", () => {
  const cases: [target: string[], admitted: number][] = [
    [["db"], 2],
    [["db·dddd4444"], 1],
    [["12D3KooWeeee5555"], 1],
    [["db", "12D3KooWeeee5555"], 3],
    [["web"], 0],
    [[], 0],
  ];
  for (const [target, admitted] of cases) {
    test(`${target.join(", ") || "nothing"}: ${admitted}`, () => {
      assert.equal(peers.filter((peer) => isAmong(target, peer)).length, admitted);
    });
  }
});
