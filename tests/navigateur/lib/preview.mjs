// The tools `mulot serve` adds to the site: the letterbox and the diagnostics.

import fs from "node:fs";
import path from "node:path";

/** Address of `letterbox` or `diagnostics`, as the pages give it. */
export async function toolUrl(page, base, tool) {
  await page.goto(`${base}/`);
  const letterbox = await page.locator(".apercu-bandeau a").first().evaluate((link) => link.href);
  if (tool === "letterbox") return letterbox;
  await page.goto(letterbox);
  return page.locator(".outil-tete nav a").last().evaluate((link) => link.href);
}

/**
 * Every mail of the letterbox: subject, recipient, raw text with its headers unfolded.
 *
 * Mails leave after the page has answered, and the letterbox reloads itself when one comes: it is looked at again until
 * `count` mails of this reference are there.
 */
export async function letters(page, base, reference, count) {
  let found = [];
  for (let look = 0; look < 40; look += 1) {
    found = await lettersNow(page, base).catch(() => []);
    if (found.filter((letter) => letter.raw.includes(reference)).length >= count) break;
  }
  return found;
}

async function lettersNow(page, base) {
  await page.goto(await toolUrl(page, base, "letterbox"));
  const links = await page.locator(".lettre-objet a").evaluateAll((all) => all.map((link) => ({ url: link.href, subject: link.innerText })));
  const letters = [];
  for (const { url, subject } of links) {
    await page.goto(url);
    const rawUrl = await page.locator(".vers-liste a").last().evaluate((link) => link.href);
    const raw = (await (await fetch(rawUrl)).text()).replace(/\r\n/g, "\n").replace(/\n[ \t]+/g, " ");
    letters.push({ url, subject, raw, to: raw.match(/^To: (.*)$/m)?.[1] ?? "" });
  }
  return letters;
}

/** Writes a content with a misspelt key; `words` are told by the diagnostic, `mend` takes the file away. */
export function makeMistake(folder) {
  const name = "2026-11-20-essai.md";
  const file = path.join(folder, "actualites", name);
  fs.writeFileSync(file, '+++\ntitre = "Essai"\nresumee = "Une clé mal écrite"\n+++\n\nBonjour.\n');
  return { name, words: "la clé « resumee »", mend: () => fs.rmSync(file) };
}
