// One démarche filed in a browser of text.

import { must } from "./lib/cases.mjs";
import { CONTACT } from "./lib/journeys.mjs";
import { drive, keysToFill, keysToPress } from "./lib/lynx.mjs";

const ANSWERS = {
  "Votre message": "A quelle heure ferme la dechetterie ?",
  "Votre nom": "Paul Chauvin",
  "Adresse électronique": "paul@exemple.example",
};

/** Adds the case. */
export function addTextBrowser(cases, { base }) {
  cases.add("a text browser files a question, from the fiche to the follow-up page", async () => {
    const fiche = `${base}${CONTACT}`;
    const fill = await keysToFill(`${fiche}formulaire/`, ANSWERS);
    const draw = (...keys) => drive(fiche, keys.flat());
    // Keys without an accent.
    const toCheck = [keysToPress("crire un message"), fill, keysToPress("Continuer")];
    const check = await draw(...toCheck);
    for (const answer of Object.values(ANSWERS)) must(check.includes(answer), `the check page lacks « ${answer} »: ${check}`);
    const receipt = await draw(...toCheck, keysToPress("Envoyer"));
    must(/Votre référence 2026-\w{4}-\w{4}-\w/.test(receipt), `no receipt: ${receipt}`);
    const followed = await draw(...toCheck, keysToPress("Envoyer"), keysToPress("Suivre ma demande"));
    must(/Ce qui s’est passé/.test(followed), `no follow-up page: ${followed}`);
  });
}
