// What is judged on a page, whoever opened it. Each function gives findings, one line each; none means it is right.

import { spawn } from "node:child_process";
import fs from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import zlib from "node:zlib";

import { LOOKS, open, visitor } from "./browser.mjs";

const require = createRequire(import.meta.url);
const AXE = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const FRENCH = JSON.parse(fs.readFileSync(require.resolve("axe-core/locales/fr.json"), "utf8"));
const VNU = path.join(path.dirname(require.resolve("vnu-jar/package.json")), "build/dist/vnu.jar");

// What another width or scheme changes alone; the rest of the rules runs once a width.
const LOOK_ONLY = ["color-contrast", "link-in-text-block", "target-size", "scrollable-region-focusable"];

const LAW = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "RGAAv4"];

/** Bytes of HTML, CSS, scripts (compressed) and fonts a page may weigh. */
export const WEIGHT_LIMIT = 100_000;

/** A context where axe may run: the page's own policy is judged elsewhere. */
export const examiner = (browser, base, options = {}) =>
  visitor(browser, base, { ...options, context: { bypassCSP: true, ...options.context } });

/** axe-core on what the page shows now, in every look, with the rules of the RGAA, WCAG A and AA and good practice. */
export async function axe(page, name, { tags = [...LAW, "best-practice"], rules = {}, looks = LOOKS } = {}) {
  const findings = [];
  const before = page.viewportSize();
  const seen = new Set();
  for (const { width, scheme } of looks) {
    const runOnly = seen.has(width) ? { type: "rule", values: LOOK_ONLY } : { type: "tag", values: tags };
    seen.add(width);
    await page.setViewportSize({ width, height: 800 });
    await page.emulateMedia({ colorScheme: scheme });
    // A statement: axe itself, as a value, would be sent back whole.
    await page.evaluate(`if (!window.axe) { ${AXE} }`);
    const violations = await page.evaluate(
      async ({ runOnly, rules, locale }) => {
        axe.configure({ locale });
        const result = await axe.run(document, { runOnly, rules, resultTypes: ["violations"], iframes: false });
        return result.violations.map(({ id, help, nodes }) => ({ id, help, where: nodes.map((node) => node.target.join(" ")), why: nodes[0].failureSummary }));
      },
      { runOnly, rules, locale: FRENCH },
    );
    for (const { id, help, where, why } of violations) {
      findings.push(`${name}, ${width} px, ${scheme}: ${id}: ${help}: ${where.slice(0, 4).join(" | ")} (${where.length}) ${why.split("\n").slice(1, 3).join(" ").trim()}`);
    }
  }
  await page.emulateMedia({ colorScheme: "light" });
  if (before) await page.setViewportSize(before);
  return findings;
}

/** axe-core on a mail, which has no landmarks. */
export const axeMail = (page, name) => axe(page, name, { tags: LAW, rules: { region: { enabled: false } } });

/** Whether the page can be read without scrolling sideways. */
export async function sideways(page, name, width) {
  await page.setViewportSize({ width, height: 800 });
  const found = await page.evaluate(() => {
    const room = document.documentElement.clientWidth;
    const excess = document.documentElement.scrollWidth - room;
    if (excess <= 0) return null;
    const wide = [...document.querySelectorAll("body *")].filter((element) => element.getBoundingClientRect().right > room + 1);
    return { excess, wide: wide.slice(0, 3).map((element) => `${element.localName}.${element.className}`) };
  });
  return found ? [`${name}, ${width} px: ${found.excess} px too wide: ${found.wide.join(", ")}`] : [];
}

/** The same when the reader spaces the text out (RGAA 10.12), and no text is cut then. */
export async function spacedOut(page, name, width) {
  await page.setViewportSize({ width, height: 800 });
  const style = await page.addStyleTag({
    content: "*{line-height:1.5 !important;letter-spacing:.12em !important;word-spacing:.16em !important} p{margin-block-end:2em !important}",
  });
  const findings = await sideways(page, `${name}, spaced out`, width);
  const cut = await page.evaluate(() => {
    const hides = (element) => {
      const style = getComputedStyle(element);
      return ["hidden", "clip"].includes(style.overflowY) && element.clientHeight > 1 && element.scrollHeight > element.clientHeight + 2;
    };
    return [...document.querySelectorAll("main *, header *, footer *")]
      .filter((element) => !element.closest(".vh") && element.innerText?.trim() && hides(element))
      .map((element) => `${element.localName}.${element.className}`);
  });
  await style.evaluate((element) => element.remove());
  return [...findings, ...cut.map((element) => `${name}, ${width} px, spaced out: text cut in ${element}`)];
}

/** Targets a finger misses: under 24 px anywhere (links inside a sentence apart), under 44 px for the main ones. */
export async function targets(page, name) {
  await page.setViewportSize({ width: 360, height: 800 });
  const small = await page.evaluate(() => {
    const main = ".bouton, .entete-telephone, .menu-replie summary, .tuile a, input, textarea, select";
    // What a touch at a point does: the link, button or control it lands on, a label being its control.
    const hit = (x, y) => {
      const target = document.elementFromPoint(x, y)?.closest("a, button, summary, label, input, textarea, select");
      return target?.localName === "label" ? (target.control ?? target) : target;
    };
    // How far one may slide from the middle along an axis and still touch it: links drawn over a whole card count whole.
    const reach = (element, x, y, dx, dy) => {
      let steps = 0;
      while (steps < 48 && hit(x + dx * steps, y + dy * steps) === element) steps += 1;
      return steps;
    };
    const found = [];
    for (const element of document.querySelectorAll("a[href], button, input:not([type=hidden]), textarea, select, summary")) {
      if (!element.checkVisibility({ visibilityProperty: true }) || element.closest("[aria-hidden=true], .evitement")) continue;
      const important = element.matches(main);
      if (!important && element.localName === "a" && getComputedStyle(element).display === "inline") continue;
      element.scrollIntoView({ block: "center" });
      const box = element.getBoundingClientRect();
      const [x, y] = [box.left + box.width / 2, box.top + box.height / 2];
      const height = Math.max(box.height, reach(element, x, y, 0, 1) + reach(element, x, y, 0, -1));
      const width = Math.max(box.width, reach(element, x, y, 1, 0) + reach(element, x, y, -1, 0));
      const least = important ? 44 : 24;
      if (height < least - 1 || width < 23) {
        const label = (element.innerText || element.name || "").trim().slice(0, 30);
        found.push(`${element.localName}.${element.className} « ${label} » ${Math.round(width)}×${Math.round(height)}, wanted ${least}`);
      }
    }
    return found;
  });
  return small.map((finding) => `${name}: ${finding}`);
}

/** Bytes of a page as a first visitor gets it: texts compressed, fonts as they are, pictures counted apart. */
export async function weigh(browser, base, url) {
  const { context, close } = await visitor(browser, base, { width: 360 });
  const page = await context.newPage();
  const answers = [];
  page.on("response", (response) => answers.push(response));
  await open(page, url);
  const weight = { document: 0, stylesheet: 0, script: 0, font: 0, image: 0 };
  for (const response of answers) {
    const type = response.request().resourceType();
    // The preview's own script does not exist on the published site.
    if (!(type in weight) || response.url().includes("/__mulot/")) continue;
    const body = await response.body();
    weight[type] += ["font", "image"].includes(type) && !response.url().endsWith(".svg") ? body.length : zlib.gzipSync(body).length;
  }
  await close();
  const page_bytes = weight.document + weight.stylesheet + weight.script + weight.font;
  return { ...weight, page: page_bytes };
}

/** Pages of a PDF, each with how many times it draws text. */
export function pdfPages(pdf) {
  const bytes = pdf.toString("latin1");
  const objects = new Map([...bytes.matchAll(/(\d+) 0 obj([\s\S]*?)endobj/g)].map((found) => [found[1], found[2]]));
  return [...objects.values()]
    .filter((object) => /\/Type\s*\/Page\b/.test(object))
    .map((object) => {
      const refs = object.match(/\/Contents\s*(\[[^\]]*\]|\d+ 0 R)/)?.[1] ?? "";
      const streams = [...refs.matchAll(/(\d+) 0 R/g)].map((ref) => stream(objects.get(ref[1]) ?? ""));
      return { text: streams.join("\n").match(/T[jJ]\b/g)?.length ?? 0 };
    });
}

function stream(object) {
  const start = object.search(/stream\r?\n/);
  if (start < 0) return "";
  const from = object.indexOf("\n", start) + 1;
  const data = Buffer.from(object.slice(from, object.lastIndexOf("endstream")), "latin1");
  return /FlateDecode/.test(object.slice(0, start)) ? zlib.inflateSync(data).toString("latin1") : data.toString("latin1");
}

// The checker's grammar of CSS is older than these, which every browser of 2024 knows.
const UNKNOWN_TO_VNU = [/^CSS: “container-(type|name)”: Property “container-(type|name)” doesn't exist\.$/];

/** The Nu HTML checker on documents and stylesheets `{ name, text, extension }`: errors and warnings alike. */
export async function nu(documents) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "mulot-nu-"));
  const names = new Map();
  documents.forEach(({ name, text, extension = "html" }, at) => {
    const file = path.join(folder, `${String(at).padStart(3, "0")}.${extension}`);
    names.set(path.basename(file), name);
    fs.writeFileSync(file, text);
  });
  const files = [...names.keys()].map((file) => path.join(folder, file));
  const told = await run("java", ["-Xmx512m", "-Xss1m", "-jar", VNU, "--format", "json", "--stdout", "--exit-zero-always", "--also-check-css", "--also-check-svg", ...files]);
  fs.rmSync(folder, { recursive: true, force: true });
  const { messages } = JSON.parse(told);
  return messages
    .filter(({ type, subType, message }) => (type === "error" || type === "non-document-error" || subType === "warning") && !UNKNOWN_TO_VNU.some((known) => known.test(message)))
    .map(({ type, subType, url, lastLine, message, extract }) => `${names.get(path.basename(url ?? "")) ?? url}:${lastLine}: ${subType ?? type}: ${message} ${(extract ?? "").trim().slice(0, 120)}`);
}

function run(program, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
    const out = [];
    let err = "";
    child.stdout.on("data", (chunk) => out.push(chunk));
    child.stderr.on("data", (chunk) => (err += chunk));
    child.on("error", reject);
    child.on("close", (code) => (code === 0 ? resolve(Buffer.concat(out).toString()) : reject(new Error(`${program} ended with ${code}: ${err}`))));
  });
}
