// Every démarche of the catalogue, filed as a resident would; a new fiche is covered without a line here.

import { open, visitor } from "./lib/browser.mjs";
import { must, none } from "./lib/cases.mjs";
import * as checks from "./lib/checks.mjs";
import { EVERY_KIND } from "./lib/commune.mjs";
import { Examiners } from "./lib/examiner.mjs";
import { file } from "./lib/filing.mjs";
import { finger, keyboard } from "./lib/hands.mjs";
import * as journeys from "./lib/journeys.mjs";

/** Filed both with JavaScript and without; the others one way or the other. */
const BOTH_WAYS = ["saisir-la-mairie", "contact", "signaler-un-probleme", "reserver-une-salle", "inscription-scolaire", EVERY_KIND];

/** Filed with the keyboard alone: pages, a group that is repeated, a file, every kind of question. */
const BY_KEYBOARD = ["acte-d-etat-civil", "cantine-et-periscolaire", "emprunter-du-materiel", "branche-ou-haie-genante", EVERY_KIND];

const WIDTH = 360;
// What the browser itself writes on the console when a page is refused.
const REFUSED = /Failed to load resource: .* status of 422/;

/** Adds the cases of the catalogue served at `base`. */
export async function addCatalogue(cases, { browser, base, files }) {
  const { forms, elsewhere } = await fiches(base);
  const examiners = new Examiners(browser, base, WIDTH);
  const states = new Map();
  const nameless = new Set();

  cases.add("catalogue: the page of the démarches leads to the whole catalogue", async () => {
    must(forms.length >= 33, `${forms.length} forms, the catalogue had 33`);
    must(elsewhere.length >= 10, `${elsewhere.length} fiches that send elsewhere, the catalogue had 10`);
  });

  const journey = (name, way, { javaScriptEnabled, ...filer }) =>
    cases.add(`catalogue: ${name}, ${way}`, () => fileLooking(name, javaScriptEnabled, filer), { together: true });

  // Looks at each state once: what another way of filing shows anew is its width.
  async function fileLooking(name, javaScriptEnabled, filer) {
    const { context, findings, close } = await visitor(browser, base, {
      width: WIDTH,
      expected: (text) => REFUSED.test(text),
      context: { javaScriptEnabled },
    });
    const page = await context.newPage();
    const examiner = await examiners.follow(page);
    const see = async (state) => {
      const key = `${name}: ${state}`;
      if (states.has(key)) return examiner.glance(state);
      states.set(key, await examiner.html());
      return examiner.look(state);
    };
    const errors = [];
    await file(page, `/demarches/${name}/`, { ...filer, files, see, nameless: errors });
    errors.forEach((error) => nameless.add(`${name}: ${error}`));
    await close();
    examiner.leave();
    none([...findings, ...examiner.findings], "faults");
  }

  forms.forEach((name, at) => {
    const both = BOTH_WAYS.includes(name);
    if (both || at % 2 === 0) journey(name, "without JavaScript", { javaScriptEnabled: false, hand: finger, character: "first" });
    if (both || at % 2 === 1) journey(name, "with JavaScript", { javaScriptEnabled: true, hand: finger, character: "last" });
    if (BY_KEYBOARD.includes(name)) journey(name, "with the keyboard alone", { javaScriptEnabled: true, hand: keyboard, character: "last", clumsy: false });
  });

  for (const name of elsewhere) {
    cases.add(`catalogue: ${name} says where to go and why`, () => sendsElsewhere(browser, base, name), { together: true });
  }

  cases.add("catalogue: every state of the journeys is valid for the Nu HTML checker", async () => {
    must(states.size > 0, "no journey was made: run this case with some");
    const documents = [...states].map(([name, text]) => ({ name, text }));
    none(await checks.nu(documents), "errors of the Nu HTML checker");
  });

  cases.add("catalogue: every error of the journeys names its question", async () => {
    must(states.size > 0, "no journey was made: run this case with some");
    none([...nameless], "errors that do not");
  });
}

/** Names of the fiches that have a form and of those that send elsewhere, as the site leads to them. */
async function fiches(base) {
  const list = await (await fetch(`${base}/demarches/`)).text();
  const names = [...new Set([...list.matchAll(/href="\/demarches\/([^"/]+)\/"/g)].map((found) => found[1]))].sort();
  const pages = await Promise.all(names.map(async (name) => (await fetch(`${base}/demarches/${name}/`)).text()));
  const hasForm = (name) => pages[names.indexOf(name)].includes(`/demarches/${name}/formulaire/`);
  return { forms: names.filter(hasForm), elsewhere: names.filter((name) => !hasForm(name)) };
}

// Who handles it, how to do it, and a way there: another site, or someone to call.
async function sendsElsewhere(browser, base, name) {
  const { context, findings, close } = await visitor(browser, base, { width: WIDTH });
  const page = await context.newPage();
  await open(page, `/demarches/${name}/`);
  must(/^Traité par \S/.test(await journeys.said(page, ".titre .surtitre")), "the page does not say who handles it");
  for (const section of ["pour-qui", "comment", "contact"]) {
    must((await journeys.said(page, `section:has(#bloc-${section})`)).length > 20, `the section « ${section} » is empty`);
  }
  const ways = await page.locator("main .action a[rel=external], main .texte a[href^='http'], main a[href^='tel:']").count();
  must(ways > 0, "the page leads nowhere");
  const action = page.locator("main .action a");
  if (await action.count()) must(/^https:/.test(await action.first().getAttribute("href")), "the button does not lead to another site");
  findings.push(...(await checks.sideways(page, name, WIDTH)), ...(await checks.axe(page, name, { looks: [{ width: WIDTH, scheme: "light" }] })));
  await close();
  none(findings, "faults");
}
