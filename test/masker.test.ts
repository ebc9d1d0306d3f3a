/** Masking (real/executor/masker.ts): no secret gets into an output, in whatever way it is written and wherever it is cut. */
import assert from "node:assert/strict";
import { describe, it, test } from "node:test";
import fc from "fast-check";
import { Masker } from "../src/real/executor/masker.ts";

const awkward = 'pä ss/w+ö"r\\d=😀&';
const base64 = (text: string) => Buffer.from(text).toString("base64");

function ascii(json: string): string {
  return json.replaceAll(/[^ -~]/gu, (character) =>
    [...Array(character.length).keys()]
      .map((place) => `\\u${character.charCodeAt(place).toString(16).padStart(4, "0")}`)
      .join(""),
  );
}

describe("a secret is masked", () => {
  const cases: [title: string, written: string, shown: string][] = [
    ["as it stands", `key=${awkward};`, "key=***;"],
    ["several times in a row", awkward + awkward, "***"],
    ["in URL escapes", `?k=${encodeURIComponent(awkward)}&x=1`, "?k=***&x=1"],
    ["in URL escapes in small letters", `?k=${encodeURIComponent(awkward).toLowerCase()}&x=1`, "?k=***&x=1"],
    ["with every byte escaped", `<${escapeAll(awkward)}>`, "<***>"],
    ["in a form's encoding", new URLSearchParams({ k: awkward }).toString(), "k=***"],
    ["in JSON", JSON.stringify({ k: awkward }), '{"k":"***"}'],
    ["in JSON of ASCII alone", ascii(JSON.stringify({ k: awkward })), '{"k":"***"}'],
    ["in JSON whose slashes are escaped", JSON.stringify(awkward).replaceAll("/", "\\/"), '"***"'],
  ];
  for (const [title, written, shown] of cases) {
    it(title, () => assert.equal(new Masker([awkward]).text(written), shown));
  }

  for (const before of ["", "u", "u:", "u:x", "Aladdin:"]) {
    for (const after of ["", "|", "|rest"]) {
      it(`in base64, with ${before.length} bytes before it and ${after.length} behind`, () => {
        const text = base64(before + awkward + after);
        for (const written of [text, text.replaceAll("+", "-").replaceAll("/", "_")]) {
          const shown = new Masker([awkward]).text(written);
          assert.match(shown, /\*\*\*/);
          // At most the digits that it shares with its neighbours are left.
          const left = shown.split("***").join("");
          assert.ok(left.length <= Math.ceil(((before.length + after.length) * 4) / 3) + 7, shown);
        }
      });
    }
  }

  // Its base64 has digits that are escaped.
  const long = `${awkward}~~~???>>>${awkward}~~~???>>>`;
  const broken = base64(`user:${long}`).replaceAll(/.{16}/g, "$&\n");
  const ofBase64: [title: string, written: string][] = [
    ["that is broken into lines", broken],
    ["that is broken into lines and indented", broken.replaceAll("\n", "\r\n    ")],
    ["that is broken into lines, in JSON", JSON.stringify(broken)],
    ["in JSON whose slashes are escaped", JSON.stringify(base64(long)).replaceAll("/", "\\/")],
    ["in URL escapes", encodeURIComponent(base64(long))],
  ];
  for (const [title, written] of ofBase64) {
    it(`in base64 ${title}`, () => {
      const shown = new Masker([long]).text(written);
      assert.ok(shown.includes("***") && shown.length < 20, shown);
    });
  }

  it("without the spaces around it", () => {
    assert.equal(new Masker(["  a secret "]).text("key=a secret;"), "key=***;");
    assert.equal(new Masker(["a secret\n"]).text("key=a secret;"), "key=***;");
  });

  it("in Latin-1, as a header has it", () => {
    const stream = new Masker(["schlüssel"]).stream();
    const shown = Buffer.concat([stream.push(Buffer.from("k=schlüssel;", "latin1")), stream.end()]);
    assert.equal(shown.toString("latin1"), "k=***;");
  });

  it("line by line, if it has several", () => {
    const key = "-----BEGIN KEY-----\nAAAAB3NzaC1yc2EAAAADAQABAAABgQC7\nzz\n-----END KEY-----";
    const shown = new Masker([key]).text("> AAAAB3NzaC1yc2EAAAADAQABAAABgQC7\n> zz\n");
    assert.equal(shown, "> ***\n> zz\n");
    assert.equal(new Masker([key]).text(`[${key}]`), "[***]");
  });

  it("when another one begins with it, or overlaps it", () => {
    const masker = new Masker(["secret", "secret-and-more", "more-to-come"]);
    assert.equal(masker.text("a secret-and-mo b"), "a ***-and-mo b");
    assert.equal(masker.text("a secret-and-more b"), "a *** b");
    assert.equal(masker.text("a secret-and-more-to-come b"), "a *** b");
  });
});

test("what is no secret stays as it is, bytes that are no text included", () => {
  const masker = new Masker(["hunter2-hunter2"]);
  for (const text of [
    "",
    "hunter2-hunter",
    "%",
    "%4",
    "\\u00",
    "\\ud83d",
    "\\",
    "a\\x",
    "100%",
    "aHVudGVy",
  ]) {
    assert.equal(masker.text(text), text);
  }
  const bytes = Buffer.from(Array.from({ length: 4_096 }, (_, place) => (place * 197) % 256));
  const stream = masker.stream();
  assert.deepEqual(Buffer.concat([stream.push(bytes), stream.end()]), bytes);
});

test("only what may be the beginning of a secret is held back", () => {
  const stream = new Masker(["password"]).stream();
  assert.equal(stream.push(Buffer.from("the pass")).toString(), "the ");
  assert.equal(stream.push(Buffer.from("age\n")).toString(), "passage\n");
  assert.equal(stream.push(Buffer.from("it is password")).toString(), "it is ***");
});

test("however an output is cut into pieces, the same is shown, and no secret is in it", () => {
  const secret = fc.oneof(
    fc.string({ minLength: 6, maxLength: 30, unit: fc.constantFrom(...'ab%+/\\"u0=é😀 ') }),
    fc.string({ minLength: 6, maxLength: 20, unit: "grapheme" }),
  );
  const way = fc.constantFrom<(text: string) => string>(
    (text) => text,
    encodeURIComponent,
    (text) => encodeURIComponent(text).toLowerCase(),
    (text) => JSON.stringify(text),
    (text) => ascii(JSON.stringify(text)),
    base64,
    (text) => base64(`k${text}`),
    (text) => base64(`kk${text}`),
  );
  let hidden = 0;
  fc.assert(
    fc.property(
      fc.array(secret, { minLength: 1, maxLength: 3 }),
      fc.array(fc.tuple(fc.nat(2), way, fc.string({ maxLength: 12 })), { maxLength: 6 }),
      fc.array(fc.nat(9), { maxLength: 40 }),
      (secrets, parts, cuts) => {
        const whole = secrets.filter((one) => one.isWellFormed() && !one.includes("\n"));
        if (whole.length === 0) return;
        const text = parts.map(
          ([which, write, between]) => write(whole[which % whole.length] ?? "") + between,
        );
        const bytes = Buffer.from(text.join(""));
        const masker = new Masker(whole);
        const stream = masker.stream();
        const shown: Buffer[] = [];
        let from = 0;
        for (const cut of cuts) {
          shown.push(stream.push(bytes.subarray(from, from + cut)));
          from += cut;
        }
        shown.push(stream.push(bytes.subarray(from)), stream.end());
        const all = Buffer.concat(shown).toString();
        assert.equal(all, masker.text(bytes.toString()));
        if (all !== bytes.toString()) hidden++;
        // A secret of stars alone would be found in the mask.
        for (const one of whole) assert.ok(!all.includes(one) || /^\*+$/.test(one), JSON.stringify(all));
      },
    ),
    { numRuns: 2_000 },
  );
  assert.ok(hidden > 1_000, `only ${hidden} texts held a secret`);
});

function escapeAll(text: string): string {
  return [...Buffer.from(text)].map((byte) => `%${byte.toString(16).padStart(2, "0")}`).join("");
}
