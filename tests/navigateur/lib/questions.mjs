// The questions a page asks, read from the page itself, and what a resident could answer to each.

import path from "node:path";

import { must } from "./cases.mjs";
import { plain } from "./journeys.mjs";

/**
 * Every question of the page, in its order.
 *
 * `optional` and `condition` (« vous avez répondu… ») are what the page says in words, those of the group around included;
 * `choices` are what a radio or a checkbox offers; `refused` tells that the page shows an error beside it.
 */
export async function read(page) {
  const questions = await page.locator("main form:not(details form)").first().evaluate((form) => {
    const frames = (element) => {
      const found = [];
      for (let at = element.closest(".champ, .copie, .etape"); at; at = at.parentElement?.closest(".champ, .copie, .etape")) found.push(at);
      return found;
    };
    const OPTIONAL = ":scope > legend > .facultatif, :scope > label > .facultatif, :scope > .choix-un > label > .facultatif";
    const words = (element) => {
      const copy = element?.cloneNode(true);
      copy?.querySelectorAll(".facultatif").forEach((mention) => mention.remove());
      return copy?.textContent ?? "";
    };
    const questions = new Map();
    for (const control of form.querySelectorAll("input:not([type=hidden]), textarea")) {
      if (control.closest("[aria-hidden=true], .fichiers")) continue;
      const around = frames(control);
      const [champ] = around;
      const type = control.localName === "textarea" ? "textarea" : control.type;
      const choice = { id: control.id, value: control.value, label: words(control.labels[0]), checked: control.checked };
      const known = questions.get(control.name);
      if (known) {
        known.choices.push(choice);
        continue;
      }
      const legends = around.map((frame) => words(frame.querySelector(":scope > legend")));
      const alone = !champ.matches(".champ-choix");
      questions.set(control.name, {
        name: control.name,
        type,
        id: control.id,
        label: alone ? choice.label : legends[0],
        context: legends.join(" "),
        hint: [...champ.querySelectorAll(":scope > .aide, :scope > .choix-un > .aide")].map((hint) => hint.textContent).join(" "),
        condition: around.flatMap((frame) => frame.querySelector(":scope > .condition")?.textContent.replace(/^\s*Si\s+/, "") ?? []).join(" et si "),
        optional: around.some((frame) => frame.querySelector(OPTIONAL)),
        inputmode: control.inputMode,
        accept: control.accept ?? "",
        value: control.value,
        choices: [choice],
        refused: around.some((frame) => frame.querySelector(":scope > .erreur")),
      });
    }
    return [...questions.values()];
  });
  for (const question of questions) {
    for (const key of ["label", "context", "hint", "condition"]) question[key] = plain(question[key]);
    for (const choice of question.choices) choice.label = plain(choice.label);
  }
  return questions;
}

/** Whether a question that shows `condition` is for the one who answered `given`: questions, each with its answers. */
export function isAsked(condition, given) {
  if (!condition) return true;
  const clauses = condition.split(/ et si (?=vous )/);
  return clauses.every((clause) => {
    const [, words, question] = clause.match(/^vous (?:avez|n’avez pas) (.+?) (?:à )?« ((?:(?! à « ).)+) »$/) ?? [];
    must(words, `« Si ${clause} » is not a condition this suite can follow`);
    const answers = given.get(question) ?? [];
    if (words === "coché") return answers.length > 0;
    if (words === "laissé non coché") return answers.length === 0;
    const bound = Number(words.match(/ (\d+)$/)?.[1]);
    const number = Number(answers[0]);
    if (/moins de \d/.test(words)) return number < bound;
    if (/au plus \d/.test(words)) return number <= bound;
    if (/plus de \d/.test(words)) return number > bound;
    if (/au moins \d/.test(words)) return number >= bound;
    const among = [...words.matchAll(/« (.+?) »/g)].some(([, label]) => answers.includes(label));
    return clause.startsWith("vous n’avez pas") ? answers.length > 0 && !among : among;
  });
}

const FUTURE = ["2026-12-17", "2027-01-05", "2026-12-23", "2027-02-13"];
const PAST = ["2019-03-12", "2010-10-05", "1985-06-21", "2026-11-19"];
// What people paste, and no screen is wide enough for.
const LONG_WORD = `https://www.exemple.example/${"un-tres-long-chemin-".repeat(8)}`;
const NUMBERS = ["3", "12", "1", "60"];

/**
 * What a resident of this `character` answers: `{ write }`, `{ choose }` (identifiers) or `{ attach }`, and what the check page
 * `shows` of it. One who is « first » takes the first choice of each, one who is « last » the last. When the page refuses, the
 * next `attempt` takes the next answer.
 */
export function answer(question, { character, attempt = 0, files, person }) {
  const { type, choices, label, hint, context } = question;
  if (type === "radio") {
    const at = character === "first" ? attempt : choices.length - 1 - attempt;
    const choice = choices.at(at % choices.length);
    return { choose: [choice.id], shows: [named(choice)] };
  }
  if (type === "checkbox") {
    const taken = choices.length > 1 && character === "last" ? choices.slice(-2) : choices.slice(0, 1);
    return { choose: taken.map(({ id }) => id), shows: taken.map(named) };
  }
  if (type === "file") {
    const file = question.accept.includes("jpeg") && character === "last" ? files.photo : question.accept.includes("pdf") ? files.pdf : files.photo;
    return { attach: file, shows: [path.basename(file)] };
  }
  if (type === "date") {
    const days = isPast({ label, hint, context }) ? [...PAST, ...FUTURE] : [...FUTURE, ...PAST];
    const day = days[attempt % days.length];
    return { write: day, shows: [inWords(day)] };
  }
  if (type === "time") return { write: /fin|jusqu|_au$/i.test(`${label} ${question.name}`) ? "18:00" : "09:30", shows: [] };
  return written(question, attempt, person);
}

const isPast = ({ label, hint, context }) => /naissance|né|mort|décès|inhum|depuis quand|retrouv|perdu|passé/i.test(`${context} ${label} ${hint}`);

/** What nobody could mean, when the question is one whose answer can be wrong. */
export function nonsense(question) {
  const { type, inputmode, name, label, hint } = question;
  if (type === "date") return isPast(question) ? "2190-01-01" : "1890-01-01";
  if (type === "email") return "jeanne(arobase)exemple";
  if (type === "tel") return "12";
  if (inputmode === "numeric" || inputmode === "decimal") return "beaucoup";
  const about = `${name} ${label} ${hint}`;
  if (type === "text" && /\brna\b/i.test(about)) return "W";
  if (type === "text" && /iban/i.test(about)) return "beaucoup";
  return undefined;
}

function written({ type, name, label, hint, inputmode }, attempt, person) {
  const about = `${name} ${label} ${hint}`;
  if (type === "email") return { write: person.email, shows: [person.email] };
  if (type === "tel") return { write: "02 61 91 12 35", shows: [] };
  if (/siret/i.test(about)) return { write: "732 829 320 00074", shows: [] };
  if (/\brna\b/i.test(about)) return { write: "W532001234", shows: [] };
  if (/iban/i.test(about)) return { write: "FR76 3000 6000 0112 3456 7890 189", shows: [] };
  if (/code postal/i.test(label)) return { write: "53000", shows: ["53000"] };
  if (inputmode === "numeric" || inputmode === "decimal") return { write: NUMBERS[attempt % NUMBERS.length], shows: [] };
  const text = `${person.word} ${name.replace(/[^a-z0-9]+/g, " ")}`.slice(0, 38).trim();
  return { write: type === "textarea" ? `${text},\nsur deux lignes & <entières> : ${LONG_WORD}` : text, shows: [text] };
}

// What a choice is called, without its price.
const named = ({ label }) => label.replace(/ \([\d,. ]+ €\)$/, "");

const inWords = (day) => new Intl.DateTimeFormat("fr-FR", { dateStyle: "long", timeZone: "UTC" }).format(new Date(`${day}T12:00:00Z`)).replace(/^1 /, "1er ");
