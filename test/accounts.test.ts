/** Who is a user of this host: its own files, and whatever else its programs know. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { Accounts, AccountsLater } from "../src/real/executor/accounts.ts";
import { lookUpUsers, runAsUser } from "../src/real/executor/users.ts";

function hostWith(answers: Readonly<Record<string, string>>) {
  const asked: string[] = [];
  let now = 0;
  const accounts = new Accounts(
    (...words) => {
      asked.push(words.join(" "));
      return answers[words.join(" ")];
    },
    () => now,
  );
  return { accounts, asked, pass: (ms: number) => (now += ms) };
}

const ldap = { name: "ann", uid: 70_001, gid: 70_000, home: "/home/ann", shell: "/bin/bash" };
const ldapLine = "ann:*:70001:70000:Ann:/home/ann:/bin/bash\n";

test("a user of /etc/passwd is found without asking a directory", () => {
  const { accounts, asked } = hostWith({});
  assert.equal(accounts.find("root")?.uid, 0);
  assert.deepEqual(asked, []);
});

test("a user that only a directory knows is found, with all groups", () => {
  const { accounts } = hostWith({ "getent passwd -- ann": ldapLine, "id -G -- ann": "70000 10 20\n" });
  assert.deepEqual(accounts.find("ann"), ldap);
  assert.deepEqual(accounts.groupsOf(ldap), [70_000, 10, 20]);
});

test("no user is made of a number, an option, a broken answer or another user's line", () => {
  for (const [name, line] of [
    ["0", "root:x:0:0::/root:/bin/sh"],
    ["--help", "Usage: getent"],
    ["eve", ldapLine],
    ["bob", "bob:x::5::/:"],
    ["bob", "bob:x:1 0:5::/:"],
    ["bob", ""],
  ] as const) {
    const { accounts } = hostWith({ [`getent passwd -- ${name}`]: line });
    assert.equal(accounts.find(name), undefined, line);
  }
});

test("without the programs, groups come from /etc/group, and a user that the files don't name is unknown", () => {
  const { accounts } = hostWith({});
  assert.equal(accounts.find("ann"), undefined);
  assert.deepEqual(accounts.groupsOf({ ...ldap, name: "nobody-in-group" }), [70_000]);
});

test("an answer is used for ten seconds, and then asked for again, also if there was none", () => {
  const { accounts, asked, pass } = hostWith({});
  for (const wait of [0, 9_000, 2_000, 9_000]) {
    pass(wait);
    accounts.find("ann");
  }
  assert.equal(asked.length, 2);
});

test("whether there is a user isn't answered by a host that can't ask, and is asked again next time", () => {
  let isStarved = true;
  const accounts = new Accounts((program) => {
    if (isStarved) throw Object.assign(new Error("spawnSync getent EAGAIN"), { code: "EAGAIN" });
    return program === "getent" ? ldapLine : "70000 10\n";
  });
  assert.throws(() => accounts.find("ann"), /EAGAIN/);
  assert.throws(() => accounts.groupsOf(ldap), /EAGAIN/, "not with fewer groups, either");
  isStarved = false;
  assert.deepEqual(accounts.find("ann"), ldap);
  assert.deepEqual(accounts.groupsOf(ldap), [70_000, 10]);
});

test("many users are looked up with at most four questions to the directory at a time", async () => {
  const open = new Map<string, (answer: string | undefined) => void>();
  const starved = new Set(["user7", "user8"]);
  let most = 0;
  const accounts = new AccountsLater((_program, ...words) => {
    const name = words.at(-1) ?? "";
    if (starved.has(name)) return Promise.reject(new Error("spawn getent EAGAIN"));
    return new Promise((answer) => {
      open.set(name, answer);
      most = Math.max(most, open.size);
    });
  });
  const names = Array.from({ length: 40 }, (_, index) => `user${index}`);
  const found = new Map<string, unknown>();
  const ended = Promise.all([
    accounts.find(["root", ...names.slice(0, 20)], (name, user) => found.set(name, user)),
    accounts.find(names.slice(20), (name, user) => found.set(name, user)),
  ]);
  while (found.size < names.length + 1) {
    for (const [name, answer] of open) {
      open.delete(name);
      answer(name === "user3" ? `user3:*:7:7::/:\n` : undefined);
    }
    await turn();
  }
  await ended;
  assert.equal(most, 4);
  assert.deepEqual(found.get("root"), new Accounts().find("root"));
  assert.deepEqual(found.get("user3"), { name: "user3", uid: 7, gid: 7, home: "/", shell: "/bin/sh" });
  const others = names.filter((name) => name !== "user3");
  for (const name of others) assert.equal(found.get(name), starved.has(name) ? "unknown" : undefined, name);
});

test("a directory that doesn't answer is given up after half a minute, and what it said before then is told", async () => {
  let now = 0;
  const accounts = new AccountsLater(
    async (_program, ...words) => {
      const name = words.at(-1) ?? "";
      if (name === "user0") return undefined;
      await turn();
      // Two seconds for four at a time.
      now += 500;
      throw new Error("getent did not answer");
    },
    () => now,
  );
  const names = Array.from({ length: 1_000 }, (_, index) => `user${index}`);
  const found = new Map<string, unknown>();
  await accounts.find(["root", ...names], (name, user) => found.set(name, user));
  assert.ok(now >= 30_000 && now <= 32_000, `after ${now} ms`);
  assert.equal(found.size, 1_001);
  assert.deepEqual(found.get("root"), new Accounts().find("root"));
  assert.equal(found.get("user0"), undefined);
  assert.ok(names.slice(1).every((name) => found.get(name) === "unknown"));
});

test("a host says that it lacks those users as whom it would refuse to run a job", async () => {
  const names = ["root", "nobody", "no-such-user", "0"];
  const refused = names.filter((name) => "reason" in runAsUser(name));
  assert.ok(refused.includes("no-such-user"));
  const missing: string[] = [];
  await lookUpUsers(names, (name, isMissing) => {
    if (isMissing === true) missing.push(name);
  });
  assert.deepEqual(missing.toSorted(), refused.toSorted());
});
