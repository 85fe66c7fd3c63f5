// Every démarche of the catalogue, filed as a resident would; a new fiche is covered without a line here.

import { open, visitor } from "./lib/browser.mjs";
import { must, none } from "./lib/cases.mjs";
import * as checks from "./lib/checks.mjs";
import { EVERY_KIND } from "./lib/commune.mjs";
import { Examiner } from "./lib/examiner.mjs";
import { file } from "./lib/filing.mjs";
import { finger, keyboard } from "./lib/hands.mjs";
import * as journeys from "./lib/journeys.mjs";

/** Filed both with JavaScript and without; the others one way or the other. */
const BOTH_WAYS = ["saisir-la-mairie", "contact", "signaler-un-probleme", "reserver-une-salle", "inscription-scolaire", EVERY_KIND];

/** Filed with the keyboard alone: pages, a group that is repeated, a file, every kind of question. */
const BY_KEYBOARD = ["acte-d-etat-civil", "cantine-et-periscolaire", "emprunter-du-materiel", "branche-ou-haie-genante", EVERY_KIND];

const WIDTH = 360;
const CHROME_SAYS = /Failed to load resource: .* status of 422/;

/** Adds the cases of the catalogue served at `base`. */
export async function addCatalogue(cases, { browser, base, files }) {
  const { forms, elsewhere } = await fiches(base);
  const states = [];

  cases.add("catalogue: the page of the démarches leads to the whole catalogue", async () => {
    must(forms.length >= 33, `${forms.length} forms, the catalogue had 33`);
    must(elsewhere.length >= 10, `${elsewhere.length} fiches that send elsewhere, the catalogue had 10`);
  });

  const journey = (name, way, options) =>
    cases.add(`catalogue: ${name}, ${way}`, () => fileLookingAtEachState(`${name}, ${way}`, `/demarches/${name}/`, options), { together: true });

  async function fileLookingAtEachState(name, fiche, { javaScriptEnabled, hand, character }) {
    const { context, findings, close } = await visitor(browser, base, {
      width: WIDTH,
      expected: (text) => CHROME_SAYS.test(text),
      context: { javaScriptEnabled },
    });
    const page = await context.newPage();
    const examiner = await Examiner.of(browser, base, page, WIDTH);
    const see = async (state) => states.push({ name: `${name}: ${state}`, text: await examiner.look(state) });
    await file(page, fiche, { hand, character, files, see });
    await close();
    await examiner.close();
    none([...findings, ...examiner.findings], "faults");
  }

  forms.forEach((name, at) => {
    const both = BOTH_WAYS.includes(name);
    if (both || at % 2 === 0) journey(name, "without JavaScript", { javaScriptEnabled: false, hand: finger, character: "first" });
    if (both || at % 2 === 1) journey(name, "with JavaScript", { javaScriptEnabled: true, hand: finger, character: "last" });
    if (BY_KEYBOARD.includes(name)) journey(name, "with the keyboard alone", { javaScriptEnabled: true, hand: keyboard, character: "last" });
  });

  for (const name of elsewhere) {
    cases.add(`catalogue: ${name} says where to go and why`, () => sendsElsewhere(browser, base, name), { together: true });
  }

  cases.add("catalogue: every state of the journeys is valid for the Nu HTML checker", async () => {
    must(states.length > 0, "no journey was made: run this case with some");
    none(await checks.nu(states), "errors of the Nu HTML checker");
  });
}

/** Names of the fiches that have a form and of those that send elsewhere, as the site leads to them. */
async function fiches(base) {
  const list = await (await fetch(`${base}/demarches/`)).text();
  const names = [...new Set([...list.matchAll(/href="\/demarches\/([^"/]+)\/"/g)].map((found) => found[1]))].sort();
  const forms = [];
  const elsewhere = [];
  for (const name of names) {
    const page = await (await fetch(`${base}/demarches/${name}/`)).text();
    (page.includes(`/demarches/${name}/formulaire/`) ? forms : elsewhere).push(name);
  }
  return { forms, elsewhere };
}

// Who handles it, how to do it, and a way there: another site, or someone to call.
async function sendsElsewhere(browser, base, name) {
  const { context, findings, close } = await visitor(browser, base, { width: WIDTH });
  const page = await context.newPage();
  await open(page, `/demarches/${name}/`);
  must(/^Traité par \S/.test(await journeys.said(page, ".titre .surtitre")), "the page does not say who handles it");
  for (const section of ["pour-qui", "comment", "contact"]) {
    must((await journeys.said(page, `section:has(#bloc-${section})`)).length > 40, `the section « ${section} » is empty`);
  }
  const ways = await page.locator("main .action a[rel=external], main .texte a[href^='http'], main a[href^='tel:']").count();
  must(ways > 0, "the page leads nowhere");
  const action = page.locator("main .action a");
  if (await action.count()) must(/^https:/.test(await action.first().getAttribute("href")), "the button does not lead to another site");
  findings.push(...(await checks.sideways(page, name, WIDTH)), ...(await checks.axe(page, name, { looks: [{ width: WIDTH, scheme: "light" }] })));
  await close();
  none(findings, "faults");
}
