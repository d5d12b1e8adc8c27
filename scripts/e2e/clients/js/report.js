// What a conformance program prints: a line for each operation, and what decides
// which it is.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

const print = (...fields) => console.log(fields.map((f) => String(f).split(/\s+/).join(" ")).join("\t"));

/** Does what an operation is. Whatever becomes of it, the program goes on: what needs
 * its result fails by itself. */
export async function operation(name, does) {
  try {
    await does();
    print(name, "passed", "");
  } catch (error) {
    print(name, "failed", `${error.name}: ${error.message}`);
  }
}

export const notOffered = (name, why) => print(name, "not offered", why);

export function version(name) {
  const file = new URL(`./node_modules/${name}/package.json`, import.meta.url);
  print("version", name, JSON.parse(readFileSync(file, "utf8")).version);
}

/** The call must be refused with this status and code, and a message that has this in
 * it, in any case. */
export async function refused(status, code, doing, saying = "") {
  const error = await doing.then(
    (got) => assert.fail(`got ${JSON.stringify(got)}, want it refused with ${status} ${code}`),
    (error) => error,
  );
  assert.deepEqual([error.statusCode, error.code], [status, code], `${error}, want ${status} ${code}`);
  assert.ok(error.message.toLowerCase().includes(saying.toLowerCase()), `${error}, want it to say ${saying}`);
}
