// Lynx, a browser of text and keys: what is left of a page without style sheets, scripts or a mouse.

import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { promisify } from "node:util";

import { plain } from "./journeys.mjs";

// A screen so high that every page is seen whole.
const SCREEN = "stty rows 400 cols 100";
const OPTIONS = ["-nopause", "-case", "-display_charset=utf-8", "-assume_charset=utf-8"];

const ENTER = "^J";
const TAB = "<tab>";

/** The keys that fill the form at `url` in, `answers` being texts by the words before their field, and leave its fields. */
export async function keysToFill(url, answers) {
  const { stdout } = await promisify(execFile)("lynx", ["-dump", "-number_fields", "-nolist", "-width=100", ...OPTIONS, url], { env: environment(os.tmpdir()) });
  const stops = stopsOf(stdout);
  const keys = [];
  let at = 0;
  for (const [words, text] of Object.entries(answers)) {
    const next = stops.find(({ field, place }) => field && place > stdout.indexOf(words, stdout.indexOf("BUTTON")));
    if (!next) throw new Error(`no field after « ${words} » in:\n${stdout}`);
    keys.push(...Array(stops.indexOf(next) - at).fill(TAB), ...text);
    at = stops.indexOf(next);
  }
  const out = stops.findIndex(({ field }, stop) => stop > at && !field);
  return [...keys, ...Array(out - at).fill(TAB)];
}

/** The keys that look for what is called `words` and follow it or press it. */
export const keysToPress = (words) => ["/", ...words, ENTER, ENTER];

/** Opens `url`, presses the keys, leaves; gives all that was drawn on the screen. */
export async function drive(url, keys) {
  const home = fs.mkdtempSync(path.join(os.tmpdir(), "mulot-lynx-"));
  const script = path.join(home, "touches");
  const named = (key) => `key ${key === " " ? "<space>" : key}`;
  fs.writeFileSync(script, [...keys, "^L", "q", "y"].map(named).join("\n") + "\n");
  const command = `${SCREEN}; exec lynx ${OPTIONS.join(" ")} -cmd_script=${script} ${url}`;
  const child = spawn("script", ["-qec", command, "/dev/null"], { stdio: ["ignore", "pipe", "inherit"], env: environment(home) });
  const drawn = [];
  child.stdout.on("data", (chunk) => drawn.push(chunk));
  const end = () => child.kill();
  process.once("exit", end);
  await once(child, "close");
  process.off("exit", end);
  fs.rmSync(home, { recursive: true, force: true });
  return readable(Buffer.concat(drawn).toString());
}

const environment = (home) => ({ PATH: process.env.PATH, HOME: home, TERM: "vt100", LANG: "C.UTF-8" });

// What Tab stops at, as the numbers of the dump say: a text of several lines has a number a line and is one stop.
function stopsOf(dump) {
  const stops = [];
  let inText = false;
  for (const found of dump.matchAll(/^.*$/gm)) {
    const numbers = [...found[0].matchAll(/\[\d+\](_*)/g)];
    const line = /^\s*\[\d+\]_+\s*$/.test(found[0]);
    if (!(line && inText)) numbers.forEach((number) => stops.push({ place: found.index + number.index, field: number[1] !== "" }));
    inText = line;
  }
  return stops;
}

// Without the orders to the terminal, which separate words.
const readable = (drawn) => plain(drawn.replace(/\x1b(?:\[[0-9;?]*[A-Za-z]|[()][A-Z0-9]|[=>])|[\x0e\x0f\r\b]/g, " "));
