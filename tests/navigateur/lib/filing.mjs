// How a resident files a démarche, whatever its form asks: from the fiche to the follow-up page.

import { must, none } from "./cases.mjs";
import { open } from "./browser.mjs";
import * as journeys from "./journeys.mjs";
import * as questions from "./questions.mjs";

const MOVE_ON = "main .envoi button[type=submit]";
const CHECK = "Vérifiez et envoyez";
const MOST_PAGES = 12;
const MOST_TRIES = 8;

/**
 * Files the démarche of this fiche, mistakes and second thoughts included; gives the reference.
 *
 * `hand` fills in (see hands.mjs), `character` decides (see questions.mjs), one who is `clumsy` writes nonsense first.
 * `see(state)` is called in each new state of the page; errors that do not name their question are added to `nameless`.
 */
export async function file(page, fiche, { hand, character, clumsy = true, files, see = async () => {}, nameless = [] }) {
  const form = fiche.split("/").filter(Boolean).at(-1);
  const person = { word: "Essai", email: `${form}@exemple.example` };
  const filer = { page, hand, see, nameless, character, clumsy, files, person, given: new Map(), shown: new Map(), attempts: new Map() };
  await open(page, fiche);
  await hand.press(page, ".action a.bouton");
  await fillPages(filer);
  await checkAnswers(filer);
  await thinkAgain(filer);
  const reference = await send(filer);
  await follow(filer, reference);
  return reference;
}

// Pages of questions, until the one that shows all the answers.
async function fillPages(filer) {
  const { page, hand, see } = filer;
  const seen = new Set();
  for (let turn = 0; turn < MOST_PAGES; turn += 1) {
    if (await isCheckPage(page)) return;
    const name = await stepName(page);
    if (!seen.has(name)) {
      await see(`questions${name}`);
      await answerNothing(filer, name);
      if (filer.clumsy) await answerNonsense(filer, name);
      await addCopies(filer, name);
    }
    seen.add(name);
    const asked = await fillPage(filer);
    if (await isExit(page)) {
      await see("exit");
      await hand.press(page, MOVE_ON);
      await answersAreKept(page, asked);
      for (const { name, type } of asked) if (type === "radio") again(filer, name);
    }
  }
  must(await isCheckPage(page), `${page.url()} is not the check page after ${MOST_PAGES} pages: ${await journeys.said(page, "h1")}`);
}

const heading = (page) => journeys.said(page, "h1");
const isCheckPage = async (page) => (await heading(page)) === CHECK;
const isExit = async (page) => (await page.locator("main .message form .envoi").count()) > 0;
const again = (filer, name) => filer.attempts.set(name, (filer.attempts.get(name) ?? 0) + 1);

async function stepName(page) {
  const [, step] = (await journeys.said(page, "main .surtitre")).match(/^Étape (\d+) sur/) ?? [];
  return step ? `, page ${step}` : "";
}

// Nothing answered: every question that must be is told, by its name, with a link to its control.
async function answerNothing({ page, hand, see, nameless }, name) {
  const required = (await questions.read(page)).filter(({ optional, condition }) => !optional && !condition);
  if (required.length === 0) return;
  const response = await hand.press(page, MOVE_ON);
  must(response.status() === 422, `an empty page answered ${response.status()}, not 422`);
  await page.locator(".resume-erreurs:focus").waitFor();
  const told = await questions.read(page);
  const silent = required.filter(({ name }) => !told.find((question) => question.name === name)?.refused);
  none(silent.map(({ label }) => `« ${label} » must be answered and no error says so`), "questions let through empty");
  await see(`errors${name}`);
  await journeys.summaryLeadsToFields(page);
  nameless.push(...(await namelessErrors(page, told)));
}

// Answers that cannot be: each is told, by the name of its question, and given back to be mended.
async function answerNonsense({ page, hand, see, given, nameless }, name) {
  const asked = (await questions.read(page)).filter(({ condition }) => questions.isAsked(condition, given));
  const wrong = asked.map((question) => ({ ...question, write: questions.nonsense(question) })).filter(({ write }) => write);
  if (wrong.length === 0) return;
  for (const question of wrong) await hand.write(page, question, question.write);
  const response = await hand.press(page, MOVE_ON);
  must(response.status() === 422, `nonsense answered ${response.status()}, not 422`);
  const told = await questions.read(page);
  const through = wrong.filter(({ type, name }) => type !== "date" && !told.find((question) => question.name === name)?.refused);
  none(through.map(({ label, write }) => `« ${label} »: « ${write} »`), "nonsense let through");
  await answersAreKept(page, wrong);
  await see(`nonsense${name}`);
  nameless.push(...(await namelessErrors(page, told)));
}

const stems = (text) => (text.toLowerCase().normalize("NFD").match(/[a-z]{3,}/g) ?? []).map((word) => word.slice(0, 5));
const EMPTY_WORDS = new Set(stems("les des une sur vous votre vos est pour avec dans que qui quel quelle quels indiquez repondez cette question"));

// An error is read alone, in the summary: it says a word of its question, and two of them are not the same.
async function namelessErrors(page, told) {
  const links = await page.locator(".resume-erreurs li a").evaluateAll((all) => all.map((link) => ({ words: link.innerText, target: link.hash.slice(1) })));
  const errors = links.map(({ words, target }) => ({ message: journeys.plain(words), target }));
  const messages = errors.map(({ message }) => message);
  return errors.flatMap(({ message, target }) => {
    const question = told.find(({ id, choices, name }) => id === decodeURIComponent(target) || choices.some((choice) => choice.id === target) || target === `champ-${name}`);
    const about = new Set(stems(`${question?.label ?? ""} ${question?.context ?? ""}`).filter((word) => !EMPTY_WORDS.has(word)));
    if (question && message.includes(`« ${question.label} »`)) return [];
    if (question && !stems(message).some((word) => about.has(word))) return [`« ${message} » for « ${question.label} »`];
    return messages.filter((other) => other === message).length > 1 ? [`« ${message} » is said twice`] : [];
  });
}

// One more of what may be several.
async function addCopies({ page, hand, see }, name) {
  if ((await page.locator("main button[value^='+']").count()) === 0) return;
  const before = (await questions.read(page)).length;
  await hand.press(page, "main button[value^='+']");
  must((await questions.read(page)).length > before, "the button that adds one adds none");
  await see(`group with one more${name}`);
}

// Answers, moves on; what the page refuses is answered anew. Gives what was asked, each with its answer.
async function fillPage(filer) {
  const { page, hand } = filer;
  let refused;
  for (let tries = 0; tries < MOST_TRIES; tries += 1) {
    const asked = await answerPage(filer, refused);
    const response = await hand.press(page, MOVE_ON);
    if (response.status() === 200) return asked;
    must(response.status() === 422, `the page answered ${response.status()}`);
    await answersAreKept(page, asked);
    refused = new Set((await questions.read(page)).filter((question) => question.refused).map(({ name }) => name));
    for (const name of refused) again(filer, name);
  }
  return must(false, `still refused: ${await journeys.said(page, ".resume-erreurs")}`);
}

async function answerPage(filer, only) {
  const { page, hand, given, shown, attempts } = filer;
  const asked = [];
  for (const question of await questions.read(page)) {
    if (!questions.isAsked(question.condition, given)) {
      given.delete(question.label);
      shown.delete(question.name);
      continue;
    }
    const given_ = questions.answer(question, { ...filer, attempt: attempts.get(question.name) });
    given.set(question.label, given_.write ? [given_.write] : given_.shows);
    shown.set(question.name, given_.shows);
    asked.push({ ...question, ...given_ });
    if (only && !only.has(question.name)) continue;
    if (given_.write) await hand.write(page, question, given_.write);
    else if (given_.choose) await hand.choose(page, question, given_.choose);
    else await hand.attach(page, question, given_.attach);
  }
  return asked;
}

async function answersAreKept(page, asked) {
  const now = new Map((await questions.read(page)).map((question) => [question.name, question]));
  const lost = asked.filter(({ name, write, choose }) => {
    const { value, choices } = now.get(name) ?? { choices: [] };
    if (write) return value !== write;
    return choose?.some((id) => !choices.find((choice) => choice.id === id)?.checked);
  });
  none(lost.map(({ label, write }) => `« ${label} »${write ? `: « ${write} »` : ""}`), "answers lost");
}

// The check page gives back what was answered, and nothing else is needed to send.
async function checkAnswers({ page, see, shown }) {
  await see("check");
  const said = await journeys.said(page);
  const missing = [...shown].flatMap(([name, parts]) => parts.filter((part) => !said.includes(journeys.plain(part))).map((part) => `${name}: « ${part} »`));
  none(missing, "answers the check page does not show");
}

// « Modifier » leads back to the answer, which is still there.
async function thinkAgain(filer) {
  const { page, hand } = filer;
  await hand.press(page, "main button[formaction]");
  const [first] = (await questions.read(page)).filter(({ name }) => filer.shown.has(name));
  must(first && (first.value || first.choices.some(({ checked }) => checked)), "« Modifier » loses the answers");
  for (let turn = 0; turn < MOST_PAGES && !(await isCheckPage(page)); turn += 1) {
    const response = await hand.press(page, MOVE_ON);
    must(response.status() === 200, `going back to the check page answered ${response.status()}: ${await journeys.said(page)}`);
  }
}

async function send({ page, hand, see }) {
  const response = await hand.press(page, MOVE_ON);
  must(response.status() === 200 && response.request().redirectedFrom(), `sending answered ${response.status()}: ${await journeys.said(page)}`);
  const reference = await journeys.reference(page);
  const said = await journeys.said(page);
  must(/02 61 91 12 34/.test(said), "the confirmation has no telephone");
  await see("confirmation");
  return reference;
}

async function follow({ page, hand, see }, reference) {
  await hand.press(page, "main a[href*='/guichet/suivi/']");
  const said = await journeys.said(page);
  must(said.includes(reference), `the follow-up page does not name ${reference}: ${said}`);
  must(/Ce qui s’est passé/.test(said), "the follow-up page does not tell what happened");
  await see("follow-up");
}
