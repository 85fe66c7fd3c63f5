// What a resident does, by clicking or with the keyboard alone, and the states of the guichet it leads to.

import { must } from "./cases.mjs";
import { open } from "./browser.mjs";

/** Fiche of the form every commune must offer. */
export const SAISIR = "/demarches/saisir-la-mairie/";
export const SIGNALER = "/demarches/signaler-un-probleme/";
export const HALL = "/demarches/reserver-une-salle/";
export const THINGS = "/demarches/emprunter-du-materiel/";
export const CONTACT = "/demarches/contact/";

/** Someone who writes to the mairie. */
export const JEANNE = {
  prenom: "Jeanne",
  nom: "Lefèvre-d’Aubigné",
  "adresse.voie": "3, chemin des Haies",
  "adresse.code_postal": "53999",
  "adresse.commune": "Saint-Mulot-des-Champs",
  courriel: "jeanne.lefevre@exemple.example",
};

/** What she asks. */
export const DEMANDE = {
  objet: "Poser une benne devant chez moi",
  message: "Bonjour,\nje refais ma toiture et j’aurais besoin d’une benne du 8 au 12 mars.\n\nMerci & bonne journée <Jeanne>",
};

/** A control by its name. */
export const control = (page, name) => page.locator(`main [name="${name}"]:not([type=hidden])`);

/** Fills controls by name. */
export async function fill(page, answers) {
  for (const [name, value] of Object.entries(answers)) await control(page, name).fill(value);
}

/** Presses the button that moves on. */
export async function submit(page) {
  const [response] = await Promise.all([page.waitForNavigation({ waitUntil: "load" }), page.locator("main .envoi button[type=submit]").first().click()]);
  return response;
}

/** From the fiche to its questions, by its button. */
export async function openQuestions(page, fiche) {
  await open(page, fiche);
  await Promise.all([page.waitForNavigation({ waitUntil: "load" }), page.locator(".action a.bouton").click()]);
}

/** Text as it is read: one space between words, typographic spaces included. */
export const plain = (text) => text.replace(/[\s\u00a0\u202f]+/g, " ").trim();

/** What the page says. */
export const said = async (page, selector = "main") => plain(await page.locator(selector).first().innerText());

/** The reference on the confirmation page. */
export async function reference(page) {
  const found = await said(page, ".recu-reference dd");
  must(/^\d{4}-[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]$/.test(found), `« ${found} » is not a reference`);
  return found;
}

/** Chooses one answer of several by touching its words. */
export async function choose(page, name, value) {
  const id = await page.locator(`main input[name="${name}"][value="${value}"]`).getAttribute("id");
  await page.locator(`label[for="${id}"]`).click();
}

/** What the form of this page would send, to send it again later. */
export const formData = (page) =>
  page.locator("main form:has(.envoi)").first().evaluate((form) => ({ action: form.action, fields: [...new FormData(form)].map(([name, value]) => [name, String(value)]) }));

/** Sends what [`formData`] kept, as the page itself would. */
export async function post(page, { action, fields }) {
  await page.evaluate(
    ({ action, fields }) => {
      const form = Object.assign(document.createElement("form"), { action, method: "post" });
      for (const [name, value] of fields) form.append(Object.assign(document.createElement("textarea"), { name, value }));
      form.hidden = true;
      document.body.append(form);
    },
    { action, fields },
  );
  await Promise.all([page.waitForNavigation({ waitUntil: "load" }), page.locator("body > form").evaluate((form) => form.submit())]);
}

/** Fills the whole of « saisir la mairie », as a person. */
export async function fillSaisir(page, pdf) {
  await fill(page, DEMANDE);
  if (pdf) await control(page, "pieces").setInputFiles(pdf);
  await choose(page, "qualite", "personne");
  await fill(page, JEANNE);
}

/** A question to the mairie, from the fiche to the confirmation. */
export async function askQuestion(page) {
  await openQuestions(page, CONTACT);
  await fill(page, { message: "À quelle heure ferme la déchèterie ?", nom: "Paul Chauvin", courriel: "paul@exemple.example" });
  const response = await submit(page);
  must(response.status() === 200, `the question is refused: ${await said(page)}`);
  await submit(page);
  return reference(page);
}

/** Every error of the summary leads to a control of the page; gives how many. */
export async function summaryLeadsToFields(page) {
  const links = page.locator(".resume-erreurs li a");
  const count = await links.count();
  for (let at = 0; at < count; at += 1) {
    const target = (await links.nth(at).getAttribute("href")).slice(1);
    await links.nth(at).click();
    const focused = await page.evaluate(() => document.activeElement?.id);
    must(focused === target, `the error « ${await links.nth(at).innerText()} » leads to #${target}, the focus is on #${focused}`);
    const described = await page.evaluate((id) => {
      const element = document.getElementById(id);
      const owners = [element, element.closest("fieldset[aria-describedby]")].filter(Boolean);
      const ids = owners.flatMap((owner) => (owner.getAttribute("aria-describedby") ?? "").split(/\s+/));
      return ids.map((part) => document.getElementById(part)?.innerText ?? "").join(" ");
    }, target);
    must(plain(described).includes(plain(await links.nth(at).innerText())), `#${target} is not tied to its error`);
  }
  return count;
}

/** Presses Tab until `selector` has the focus; every stop on the way must be seen. */
export async function tabTo(page, selector, { limit = 80 } = {}) {
  for (let presses = 0; presses < limit; presses += 1) {
    await page.keyboard.press("Tab");
    await focusIsSeen(page);
    if (await page.evaluate((selector) => Boolean(document.activeElement?.matches(selector)), selector)) return;
  }
  must(false, `${selector} is not reached after ${limit} presses of Tab on ${page.url()}`);
}

/** Tabs through a whole page; every stop must be seen. */
export async function tabThrough(page, { limit = 200 } = {}) {
  for (let presses = 0; presses < limit; presses += 1) {
    await page.keyboard.press("Tab");
    const inside = await page.evaluate(() => document.activeElement !== document.body && document.activeElement !== document.documentElement);
    if (!inside) return;
    await focusIsSeen(page);
  }
}

/** The control that has the focus stands in the window and differs from what it is without. */
async function focusIsSeen(page) {
  const problem = await page.evaluate(() => {
    const element = document.activeElement;
    if (!element || element === document.body) return null;
    const name = `${element.localName}.${element.className}#${element.id}`;
    const box = element.getBoundingClientRect();
    if (box.width < 2 || box.height < 2) return `${name} has the focus and no size`;
    if (box.bottom <= 0 || box.top >= innerHeight || box.right <= 0 || box.left >= innerWidth) return `${name} has the focus out of the window`;
    const drawn = [element, element.closest(".choix-un")].filter(Boolean).some((one) => {
      const style = getComputedStyle(one);
      return (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2 && !/, 0\)$/.test(style.outlineColor)) || style.boxShadow !== "none";
    });
    return drawn ? null : `${name} has the focus and nothing shows it`;
  });
  must(!problem, `${problem} on ${page.url()}`);
}

/** Goes past the menus by the skip link, as the first press of Tab offers. */
export async function skipToContent(page) {
  await tabTo(page, ".evitement a", { limit: 1 });
  await page.keyboard.press("Enter");
  const focused = await page.evaluate(() => document.activeElement?.localName);
  must(focused === "main", `the skip link gives the focus to ${focused}, not to the content, on ${page.url()}`);
}

/** Calls `visit(name, html)` in each state of the guichet a resident can meet, « saisir la mairie » serving as example. */
export async function tour(page, files, visit) {
  let last;
  page.on("response", (response) => {
    if (response.request().isNavigationRequest() && response.frame() === page.mainFrame() && response.status() !== 303) last = response;
  });
  const see = async (name) => visit(name, await last.text());
  await openQuestions(page, SAISIR);
  await submit(page);
  await see("questions with an error on every field");
  await control(page, "pieces").setInputFiles(files.pdf);
  await fill(page, { courriel: "jeanne(arobase)exemple", "adresse.code_postal": "53" });
  await submit(page);
  await see("questions with a kept file and wrong answers");
  await fillSaisir(page);
  await submit(page);
  await see("check page");
  await page.locator("main input[tabindex='-1']").first().evaluate((input) => (input.value = "https://spam.example"));
  await submit(page);
  await see("check page with the trap sprung");
  await page.locator("main form:has(.envoi) [aria-invalid=true]").first().fill("");
  await submit(page);
  await see("confirmation");
  await openQuestions(page, SIGNALER);
  await submit(page);
  await see("questions of a report with errors");
  await hall(page, see);
  await openQuestions(page, THINGS);
  await press(page, "main button[value^='+']");
  await see("group with two copies");
  await open(page, "/guichet/recu/2026-AAAAAA/faux");
  await see("receipt that does not exist");
  await open(page, "/guichet/formulaire-inconnu/");
  await see("form that does not exist");
}

/** Presses a button that posts the form elsewhere than its main one. */
export async function press(page, selector) {
  await Promise.all([page.waitForNavigation({ waitUntil: "load" }), page.locator(selector).first().click()]);
}

/** Asks for the hall, page after page, an exit and its way back included; `see` is called in each new state. */
export async function hall(page, see = async () => {}) {
  await openQuestions(page, HALL);
  must(!(await control(page, "courriel").count()), "the first page asks everything");
  await submit(page);
  await see("page of questions with errors in a block");
  await fill(page, { "creneau.du": "2027-06-12", "creneau.heure_du": "09:00", "creneau.au": "2027-06-13", "creneau.heure_au": "20:00" });
  await submit(page);
  await see("second page of questions");
  await choose(page, "profil", "exterieur");
  await fill(page, { participants: "400" });
  await submit(page);
  must((await said(page, "h1")).includes("trop petite"), "too many people do not lead to the exit");
  await see("exit");
  await press(page, "main form button");
  must((await control(page, "participants").inputValue()) === "400", "the exit loses the answers");
  await fill(page, { participants: "120" });
  await choose(page, "nature_evenement", "famille");
  await page.locator("label[for='champ-reglement']").click();
  await submit(page);
  await press(page, "main button[name=aller]");
  must((await control(page, "participants").inputValue()) === "120", "going back loses the answers");
  await submit(page);
  await choose(page, "qualite", "personne");
  await fill(page, JEANNE);
  await submit(page);
  const check = await said(page);
  must(check.includes("340 €") && check.includes("du samedi 12 juin 2027 à 9 h"), `the check page says ${check}`);
  await see("check page with a sum");
  await submit(page);
  must((await said(page)).includes("340 €"), "the confirmation does not tell the sum");
  return reference(page);
}

/** From the letterbox, as the mairie and then the resident: act, answer, follow. */
export async function dossier(page, base, toolUrl, see = async () => {}) {
  const number = await askForAnswer(page);
  // The address of the page that a mail of this request leads to, if it is there.
  const leading = async (title) => {
    await page.goto(await toolUrl(page, base, "letterbox"));
    const letters = page.locator(".lettres li", { hasText: number });
    for (const href of await letters.locator("a").evaluateAll((all) => all.map((link) => link.href))) {
      await page.goto(href);
      const [there] = await page.locator(`main a[href*='/guichet/${title}/']`).evaluateAll((all) => all.map((one) => one.href));
      if (there) return there;
    }
    return undefined;
  };
  const open = async (title) => {
    // Mails leave after the page has answered: the letterbox, which reloads itself then, is looked at again.
    for (let look = 0; look < 60; look += 1) {
      const there = await leading(title).catch(() => undefined);
      if (there) return page.goto(there);
    }
    throw new Error(`no mail of ${number} leads to ${title}`);
  };
  await open("agir");
  await see("what the mairie can do");
  await page.goto(await page.locator("main .actions a[href*='/demander']").first().evaluate((one) => one.href));
  await see("letter that asks for pieces");
  await submit(page);
  await see("letter with something missing");
  await fill(page, { pieces: "Un plan du jardin", date_limite: "2026-12-20" });
  await fill(page, { agent_prenom: "Claire", agent_nom: "Denis", agent_qualite: "secrétaire de mairie" });
  await submit(page);
  await see("letter sent");
  await open("suivi");
  const followed = await said(page);
  must(followed.includes("Un plan du jardin"), `the follow-up page says ${followed}`);
  await see("follow-up page with pieces to add");
}

async function askForAnswer(page) {
  await openQuestions(page, SAISIR);
  await fillSaisir(page);
  await submit(page);
  await submit(page);
  return reference(page);
}
