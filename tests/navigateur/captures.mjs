// Screenshots of every kind of page and every state of the guichet, for people to look at.
//
//   MULOT=…/mulot node captures.mjs FOLDER [words of the kinds to take]
//
// Gives, for each: 360, 768 and 1280 px light, 360 and 1280 px dark, and the print as a PDF and as a picture.

import fs from "node:fs";
import path from "node:path";

import { attachments, launch, open, visitor } from "./lib/browser.mjs";
import * as journeys from "./lib/journeys.mjs";
import { discover, sample } from "./lib/pages.mjs";
import * as preview from "./lib/preview.mjs";
import { serve } from "./lib/server.mjs";

const SHOTS = [
  { name: "360", width: 360 },
  { name: "768", width: 768 },
  { name: "1280", width: 1280 },
  { name: "360-dark", width: 360, media: { colorScheme: "dark" } },
  { name: "1280-dark", width: 1280, media: { colorScheme: "dark" } },
  { name: "print", width: 794, media: { media: "print" } },
];

const [folder, ...words] = process.argv.slice(2);
if (!folder) {
  console.error("usage: node captures.mjs FOLDER [words of the kinds to take]");
  process.exit(2);
}
const filter = new RegExp(words.join(" "), "i");
fs.mkdirSync(folder, { recursive: true });

const server = await serve();
const browser = await launch();
const files = await attachments(browser);
const { base } = server;
let count = 0;

async function shoot(page, name) {
  count += 1;
  if (!filter.test(name)) return;
  const stem = path.join(folder, `${String(count).padStart(2, "0")}-${name.normalize("NFD").replace(/[^a-z0-9]+/gi, "-")}`);
  for (const shot of SHOTS) {
    await page.setViewportSize({ width: shot.width, height: 800 });
    await page.emulateMedia({ colorScheme: "light", media: null, ...shot.media });
    // Pictures that wait to be seen are asked for before the shot.
    await page.evaluate(() => Promise.all([...document.images].map((image) => ((image.loading = "eager"), image.decode().catch(() => null)))));
    await page.screenshot({ path: `${stem}-${shot.name}.png`, fullPage: true });
  }
  await page.emulateMedia({ colorScheme: "light", media: null });
  fs.writeFileSync(`${stem}.pdf`, await page.pdf({ preferCSSPageSize: true }));
  await page.setViewportSize({ width: 1280, height: 800 });
  console.log(stem);
}

const { context } = await visitor(browser, base);
const page = await context.newPage();
for (const { url, kind } of sample(await discover(base))) {
  await open(page, url);
  await shoot(page, kind);
}
await open(page, "/");
await page.setViewportSize({ width: 360, height: 800 });
await page.locator(".menu-replie summary").click();
await page.screenshot({ path: path.join(folder, "menu-open-360.png") });
await journeys.tour(page, files, (name) => shoot(page, name));
await open(page, await preview.toolUrl(page, base, "letterbox"));
await shoot(page, "letterbox");
await Promise.all([page.waitForNavigation(), page.locator(".lettre-objet a").first().click()]);
await shoot(page, "mail in the letterbox");
await open(page, await preview.toolUrl(page, base, "diagnostics"));
const mistake = preview.makeMistake(server.folder);
await page.locator(".diagnostic-erreur", { hasText: mistake.words }).waitFor();
await shoot(page, "diagnostics");

await browser.close();
await server.stop();
files.remove();
