// MDN's HTTP Observatory on addresses of this machine. Run as a program, it grades its arguments, one line of JSON each.

import { execFile } from "node:child_process";
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";

const HERE = fileURLToPath(import.meta.url);
const PACKAGE = path.dirname(createRequire(import.meta.url).resolve("@mdn/mdn-http-observatory/package.json"));

/** Grades `urls`, whose certificate is in the file `certificate`: `{ url, grade, score, failed }` each. */
export async function grades(urls, certificate) {
  // Trust is read when a program starts: another program it is.
  const env = { ...process.env, NODE_EXTRA_CA_CERTS: certificate };
  const { stdout } = await promisify(execFile)(process.execPath, [HERE, ...urls], { env });
  return stdout.trim().split("\n").map((line) => JSON.parse(line));
}

async function grade(url) {
  const { scan } = await import(pathToFileURL(path.join(PACKAGE, "src/scanner/index.js")));
  const { host, pathname } = new URL(url);
  const { scan: result, tests } = await scan(`${host}${pathname}`);
  const failed = Object.values(tests).filter(({ pass }) => !pass).map((test) => `${test.constructor.title}: ${test.result}`);
  return { url, grade: result.grade, score: result.score, failed };
}

// Chromium's list of preloaded domains is fetched when the package is installed with its scripts. No name of this machine is in it.
function withoutPreloadedDomains() {
  const list = path.join(PACKAGE, "conf/hsts-preload.json");
  if (!fs.existsSync(list)) fs.writeFileSync(list, "{}\n");
}

if (process.argv[1] === HERE) {
  withoutPreloadedDomains();
  for (const url of process.argv.slice(2)) console.log(JSON.stringify(await grade(url)));
}
