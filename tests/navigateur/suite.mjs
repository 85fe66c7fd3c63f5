// The browser suite: every page type of the starter commune and the journeys of a resident, in Debian's Chromium.
//
//   MULOT=…/mulot CHROMIUM=/usr/bin/chromium COMMUNE=…/starter-commune node suite.mjs [words of the cases to run]
//
// Needs no network: the site is served on the loopback, on a copy of the starter commune, at a fixed date.

import { attachments, launch, open, visitor } from "./lib/browser.mjs";
import { addCatalogue } from "./catalogue.mjs";
import { Cases, must, none } from "./lib/cases.mjs";
import * as checks from "./lib/checks.mjs";
import { generate } from "./lib/commune.mjs";
import * as journeys from "./lib/journeys.mjs";
import { KINDS, NOWHERE, discover, sample } from "./lib/pages.mjs";
import * as preview from "./lib/preview.mjs";
import { serve } from "./lib/server.mjs";
import { addObservatory } from "./observatory.mjs";
import { addTerritoire } from "./territoire.mjs";
import { addTextBrowser } from "./textbrowser.mjs";

const filter = process.argv.length > 2 ? new RegExp(process.argv.slice(2).join(" "), "i") : undefined;

const server = await serve();
const browser = await launch();
const files = await attachments(browser);
const cases = new Cases();
const { base } = server;
const pages = await discover(base);
const chosen = sample(pages);

// What the browser itself writes on the console when an answer is an error, which these pages are on purpose.
const anErrorWasAsked = (text) => /Failed to load resource: .* status of (404|422|503)/.test(text);

// ── The site ────────────────────────────────────────────────────────────────────────────────────────────────────────

cases.add("the starter commune shows every kind of page", async () => {
  const missing = KINDS.filter((kind) => !pages.some((page) => page.kinds.includes(kind)));
  none(missing, "kinds without a page");
});

cases.add("every page is valid for the Nu HTML checker, its stylesheets too", async () => {
  const documents = pages.map(({ url, html }) => ({ name: url, text: html }));
  const sheets = new Set(pages.flatMap(({ html }) => [...html.matchAll(/<link rel="stylesheet" href="([^"]+)"/g)].map((found) => found[1])));
  for (const url of sheets) documents.push({ name: url, text: await (await fetch(base + url)).text(), extension: "css" });
  none(await checks.nu(documents), "errors of the Nu HTML checker");
});

for (const { url, kind } of chosen) {
  cases.add(`axe finds nothing on: ${kind} (${url})`, async () => {
    const { context, close } = await checks.examiner(browser, base);
    const page = await context.newPage();
    await open(page, url);
    const findings = await checks.axe(page, url);
    await close();
    none(findings, "violations");
  });
}

cases.add("every page reads without scrolling sideways at 320 and 360 px and at 200 %", async () => {
  const findings = [];
  const zoomed = await visitor(browser, base, { context: { deviceScaleFactor: 2 } });
  const page = await zoomed.context.newPage();
  for (const { url } of pages) {
    await open(page, url);
    for (const width of [320, 360, 640]) findings.push(...(await checks.sideways(page, url, width)));
  }
  await zoomed.close();
  none(findings, "pages too wide");
});

cases.add("text may be spaced out without loss", async () => {
  const { context, close } = await checks.examiner(browser, base);
  const page = await context.newPage();
  const findings = [];
  for (const { url } of chosen) {
    await open(page, url);
    for (const width of [360, 1280]) findings.push(...(await checks.spacedOut(page, url, width)));
  }
  await close();
  none(findings, "losses");
});

cases.add("a finger finds every target: 24 px, 44 px for the main ones", async () => {
  const { context, close } = await visitor(browser, base, { width: 360, context: { hasTouch: true } });
  const page = await context.newPage();
  const findings = [];
  for (const { url } of chosen) {
    await open(page, url);
    findings.push(...(await checks.targets(page, url)));
  }
  await close();
  none(findings, "targets too small");
});

cases.add("every page loads nothing from elsewhere, sets no cookie, breaks no policy, writes no error", async () => {
  const { context, findings, close } = await visitor(browser, base, { expected: anErrorWasAsked });
  const page = await context.newPage();
  for (const { url } of pages) {
    const response = await open(page, url);
    const wanted = url === NOWHERE ? 404 : 200;
    if (response.status() !== wanted) findings.push(`${url} answered ${response.status()}`);
    if (!response.headers()["content-security-policy"]) findings.push(`${url} has no content security policy`);
  }
  await close();
  none(findings, "things a page should not do");
});

cases.add(`every kind of page weighs less than ${checks.WEIGHT_LIMIT / 1000} kB without its pictures`, async () => {
  const findings = [];
  let heaviest = { page: 0 };
  let most = { image: 0 };
  for (const { url } of chosen) {
    const weight = { url, ...(await checks.weigh(browser, base, url)) };
    if (weight.page >= checks.WEIGHT_LIMIT) findings.push(JSON.stringify(weight));
    if (weight.page > heaviest.page) heaviest = weight;
    if (weight.image > most.image) most = weight;
  }
  console.log(`     heaviest: ${JSON.stringify(heaviest)}\n     most pictures at 360 px: ${JSON.stringify(most)}`);
  none(findings, "pages too heavy");
});

cases.add("a page, an alert and a form print on paper, no sheet blank", async () => {
  const { context, close } = await visitor(browser, base);
  const page = await context.newPage();
  const findings = [];
  const printed = ["home", "page", "page with table", "alert", "event", "demarche with form", "questions", "paper form"];
  for (const kind of printed) {
    const { url } = pages.find((page) => page.kinds.includes(kind)) ?? {};
    if (!url) continue;
    await open(page, url);
    const sheets = checks.pdfPages(await page.pdf({ preferCSSPageSize: true }));
    if (sheets.length === 0) findings.push(`${url} prints nothing`);
    sheets.forEach(({ text }, at) => text === 0 && findings.push(`${url}: sheet ${at + 1} of ${sheets.length} is blank`));
    if (kind === "alert" && sheets.length !== 1) findings.push(`${url}: a poster is one sheet, this one is ${sheets.length}`);
  }
  await close();
  none(findings, "prints that fail");
});

cases.add("every page is whole without JavaScript", async () => {
  const plain = await visitor(browser, base, { context: { javaScriptEnabled: false } });
  const scripted = await visitor(browser, base);
  const one = await plain.context.newPage();
  const other = await scripted.context.newPage();
  const findings = [];
  for (const { url } of chosen) {
    await open(one, url);
    await open(other, url);
    // The script words « ouvert en ce moment » anew, and nothing else.
    const read = async (page) => {
      await page.locator("[data-horaires]").evaluateAll((all) => all.forEach((phrase) => phrase.replaceChildren()));
      return journeys.said(page);
    };
    const [without, with_] = [await read(one), await read(other)];
    if (without !== with_) findings.push(`${url}: ${without.length} signs without JavaScript, ${with_.length} with`);
  }
  await plain.close();
  await scripted.close();
  none(findings, "pages that lose text");
});

cases.add("the skip link leads to the content, the menu works, with the keyboard alone", async () => {
  for (const width of [1280, 360]) {
    const { context, close } = await visitor(browser, base, { width });
    const page = await context.newPage();
    await open(page, "/");
    await journeys.skipToContent(page);
    await journeys.tabTo(page, "main a, main button, main summary", { limit: 1 });
    await open(page, "/");
    if (width === 360) {
      await journeys.tabTo(page, ".menu-replie summary");
      await page.keyboard.press("Enter");
      await page.locator(".menu-replie ul a").first().waitFor({ state: "visible" });
      await journeys.tabTo(page, ".menu-replie ul a", { limit: 1 });
    } else {
      await journeys.tabTo(page, ".menu a");
    }
    await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
    must(new URL(page.url()).pathname !== "/", `${width} px: the menu leads nowhere`);
    await close();
  }
});

cases.add("every stop of Tab is seen, on every kind of page", async () => {
  const { context, close } = await visitor(browser, base);
  const page = await context.newPage();
  const findings = [];
  for (const { url } of chosen) {
    await open(page, url);
    try {
      await journeys.tabThrough(page);
    } catch (error) {
      findings.push(error.message);
    }
  }
  await close();
  none(findings, "pages where the focus is lost");
});

// ── The guichet ─────────────────────────────────────────────────────────────────────────────────────────────────────

for (const javaScriptEnabled of [false, true]) {
  const how = javaScriptEnabled ? "with" : "without";
  cases.add(`a resident writes to the mairie ${how} JavaScript, mistakes and second thoughts included`, async () => {
    const { context, findings, close } = await visitor(browser, base, { expected: anErrorWasAsked, context: { javaScriptEnabled } });
    const page = await context.newPage();
    await writeToTheMairie(page);
    await close();
    none(findings, "things a page should not do");
  });
}

async function writeToTheMairie(page) {
  await journeys.openQuestions(page, journeys.SAISIR);

  // Nothing filled: 422, a summary that leads to the fields.
  let response = await journeys.submit(page);
  must(response.status() === 422, `empty form answered ${response.status()}, not 422`);
  must(await page.evaluate(() => document.activeElement?.matches(".resume-erreurs")), "the summary of errors has not the focus");
  const wrong = await journeys.summaryLeadsToFields(page);
  must(wrong >= 8, `${wrong} errors on an empty form, expected one for each required question`);

  // Some answers and a file, the rest still wrong: all kept.
  await journeys.fill(page, { ...journeys.DEMANDE, courriel: "jeanne(arobase)exemple", "adresse.code_postal": "5399" });
  await journeys.control(page, "pieces").setInputFiles(files.pdf);
  response = await journeys.submit(page);
  must(response.status() === 422, `half a form answered ${response.status()}, not 422`);
  for (const [name, value] of Object.entries({ ...journeys.DEMANDE, courriel: "jeanne(arobase)exemple", "adresse.code_postal": "5399" })) {
    const kept = await journeys.control(page, name).inputValue();
    must(kept === value, `${name} was « ${value} », the page gives back « ${kept} »`);
  }
  must((await journeys.said(page, ".fichiers")).includes("Plan du terrain"), "the file is not kept");

  // A program named .pdf: refused in words, the other file still there.
  await journeys.control(page, "pieces").setInputFiles(files.program);
  await journeys.submit(page);
  must((await page.locator(".champ-fichier .erreur").count()) === 1, "a program named .pdf is not refused");
  must((await journeys.said(page, ".fichiers")).includes("Plan du terrain"), "the good file is lost with the bad one");

  // All right: the check page, which gives everything back.
  await journeys.fillSaisir(page);
  response = await journeys.submit(page);
  must(response.status() === 200, `the check page answered ${response.status()}`);
  const check = await journeys.said(page);
  for (const value of [journeys.DEMANDE.objet, "du 8 au 12 mars", "Merci & bonne journée <Jeanne>", journeys.JEANNE.nom, "53999", journeys.JEANNE.courriel, "Plan du terrain"]) {
    must(check.includes(journeys.plain(value)), `the check page lacks « ${value} »`);
  }

  // « Modifier » brings back to the question, nothing lost.
  await Promise.all([page.waitForNavigation(), page.locator("main button[formaction]").first().click()]);
  must((await journeys.control(page, "objet").inputValue()) === journeys.DEMANDE.objet, "« Modifier » lost the answer");
  must((await journeys.said(page, ".fichiers")).includes("Plan du terrain"), "« Modifier » lost the file");
  await journeys.fill(page, { objet: "Poser une benne rue du Four" });
  await journeys.submit(page);
  must((await journeys.said(page)).includes("Poser une benne rue du Four"), "the new answer is not on the check page");

  // « Envoyer »: the confirmation is the receipt.
  response = await journeys.submit(page);
  must(response.status() === 200 && response.request().redirectedFrom(), "sending does not redirect to the confirmation");
  const reference = await journeys.reference(page);
  const receipt = await journeys.said(page);
  must(/\d{1,2}(er)? (janvier|février|mars|avril|mai|juin|juillet|août|septembre|octobre|novembre|décembre) \d{4}/.test(receipt), "the receipt has no date");
  must(/02 61 91 12 34/.test(receipt), "the receipt has no telephone");
  must(/secrétariat/i.test(receipt), "the receipt does not name the service");
  must(/accusé/i.test(receipt), "the receipt does not say what it is");

  // The letterbox: the mairie's mail answers to the resident, who has a receipt.
  const letters = await preview.letters(page, base, reference, 2);
  const mairie = letters.find((letter) => letter.subject.includes(reference) && /^mairie@saint-mulot\.example$/m.test(letter.to));
  const receiptMail = letters.find((letter) => letter.raw.includes(reference) && letter.to.includes(journeys.JEANNE.courriel));
  must(mairie, `the mairie has no mail with ${reference}: ${letters.map((letter) => `${letter.to} « ${letter.subject} »`).join(", ")}`);
  must(receiptMail, "the resident has no receipt");
  must(/^Reply-To:.*jeanne\.lefevre@exemple\.example/im.test(mairie.raw), "the mairie's mail does not answer to the resident");
  must(!mairie.subject.includes("Lefèvre"), "the subject of the mairie's mail gives a name");
  must(/filename/i.test(mairie.raw), "the mairie's mail has no attachment");

}

for (const javaScriptEnabled of [false, true]) {
  const how = javaScriptEnabled ? "with" : "without";
  cases.add(`back then send again, ${how} JavaScript: the same reference and no second mail`, () => sendTwice(javaScriptEnabled));
}

async function sendTwice(javaScriptEnabled) {
  const { context, findings, close } = await visitor(browser, base, { context: { javaScriptEnabled } });
  const page = await context.newPage();
  await journeys.openQuestions(page, journeys.SAISIR);
  await journeys.fillSaisir(page, files.pdf);
  await journeys.submit(page);
  const sent = await journeys.formData(page);
  await journeys.submit(page);
  const reference = await journeys.reference(page);
  // « Back » shows the check page again, answers and all, and its button may be pressed.
  await page.goBack();
  must((await journeys.said(page)).includes(journeys.DEMANDE.objet), "« back » does not show the answers again");
  await journeys.submit(page);
  must((await journeys.reference(page)) === reference, "back then « Envoyer » gives another reference");
  none(findings, "things a page should not do");
  // The very same check page sent from another tab, or by a phone that never saw the answer.
  const tab = await context.newPage();
  await open(tab, journeys.SAISIR);
  await journeys.post(tab, sent);
  must((await journeys.reference(tab)) === reference, "the same check page sent twice gives two references");
  const mails = (await preview.letters(tab, base, reference, 2)).filter((letter) => letter.raw.includes(reference));
  must(mails.length === 2, `${mails.length} mails for one request, expected the mairie's and the receipt`);
  await close();
}

cases.add("a large photograph is made smaller before it is sent; without JavaScript the refusal says what to do", async () => {
  for (const javaScriptEnabled of [true, false]) {
    const { context, findings, close } = await visitor(browser, base, { width: 360, expected: anErrorWasAsked, context: { javaScriptEnabled } });
    const page = await context.newPage();
    await journeys.openQuestions(page, journeys.SIGNALER);
    await journeys.choose(page, "danger", "non");
    await journeys.choose(page, "categorie", "eclairage");
    await journeys.fill(page, { lieu: "Chemin des Haies", description: "La lampe est éteinte." });
    await journeys.control(page, "photo").setInputFiles(files.large);
    // Pressed at once: the page itself waits for the photograph.
    const response = await journeys.submit(page);
    const said = await journeys.said(page);
    if (javaScriptEnabled) {
      must(response.status() === 200, `a large photograph is refused: ${said}`);
      must(said.includes("grande.jpg"), `the check page does not name the photograph: ${said}`);
    } else {
      must(response.status() === 422, `a large photograph answered ${response.status()}`);
      for (const remedy of ["plus petite taille", "par courriel", "sans elle"]) must(said.includes(remedy), `the refusal lacks « ${remedy} »: ${said}`);
    }
    await close();
    none(findings, "things a page should not do");
  }
});

cases.add("the keyboard alone leads from the fiche to the confirmation", async () => {
  const { context, close } = await visitor(browser, base);
  const page = await context.newPage();
  const follow = () => Promise.all([page.waitForNavigation({ waitUntil: "load" }), page.keyboard.press("Enter")]);
  const type = async (name, value) => {
    await journeys.tabTo(page, `main [name="${name}"]`);
    await page.keyboard.type(value);
  };
  await open(page, journeys.SAISIR);
  await journeys.skipToContent(page);
  await journeys.tabTo(page, ".action a.bouton", { limit: 3 });
  await follow();
  await type("objet", journeys.DEMANDE.objet);
  await type("message", "Une benne du 8 au 12 mars.");
  await journeys.tabTo(page, "main input[name=pieces]");
  // The system's own window belongs to the system: the keyboard reaches the field, the file is then given to it.
  await journeys.control(page, "pieces").setInputFiles(files.pdf);
  await journeys.tabTo(page, "main [name=reponse_par_courrier]");
  await page.keyboard.press("Space");
  await journeys.tabTo(page, "main [name=qualite]");
  await page.keyboard.press("Space");
  must(await journeys.control(page, "qualite").first().isChecked(), "Space does not choose");
  for (const [name, value] of Object.entries(journeys.JEANNE)) await type(name, value);
  await journeys.tabTo(page, "main .envoi button[type=submit]");
  await follow();
  must((await page.locator(".resume-erreurs").count()) === 0, `refused: ${await journeys.said(page)}`);
  await journeys.tabTo(page, "main .envoi button[type=submit]");
  await follow();
  await journeys.reference(page);
  await journeys.tabThrough(page);
  await close();
});

cases.add("a neighbour reports a lamp with a photograph and without a name", async () => {
  const { context, findings, close } = await visitor(browser, base, { width: 360, expected: anErrorWasAsked, context: { javaScriptEnabled: false } });
  const page = await context.newPage();
  await journeys.openQuestions(page, journeys.SIGNALER);
  let response = await journeys.submit(page);
  must(response.status() === 422, `empty report answered ${response.status()}, not 422`);
  must((await journeys.summaryLeadsToFields(page)) === 4, "an empty report should have four errors");
  await journeys.choose(page, "danger", "non");
  await journeys.choose(page, "categorie", "eclairage");
  await journeys.fill(page, { lampe: "SM-042", lieu: "Chemin des Haies, après le calvaire", description: "La lampe est éteinte depuis lundi." });
  await journeys.control(page, "photo").setInputFiles(files.photo);
  response = await journeys.submit(page);
  must(response.status() === 200, `the report is refused: ${await journeys.said(page)}`);
  const check = await journeys.said(page);
  for (const value of ["SM-042", "Chemin des Haies", "Éclairage public", "lampadaire"]) must(check.includes(value), `the check page lacks « ${value} »`);
  await journeys.submit(page);
  const reference = await journeys.reference(page);
  const mail = (await preview.letters(page, base, reference, 1)).find((letter) => letter.subject.includes(reference));
  must(mail, "the mairie has no mail of the report");
  must(!/^Reply-To:\s*$/im.test(mail.raw), "an anonymous report has an empty Reply-To");
  must(/image\/jpeg/i.test(mail.raw), "the photograph is not attached");
  await close();
  none(findings, "things a page should not do");
});

cases.add("a question to the mairie takes a name, an address and a message", async () => {
  const { context, findings, close } = await visitor(browser, base, { context: { javaScriptEnabled: false } });
  const page = await context.newPage();
  await journeys.askQuestion(page);
  await close();
  none(findings, "things a page should not do");
});

cases.add("every state of the guichet: axe, the Nu checker, widths, targets", async () => {
  const { context, close } = await checks.examiner(browser, base);
  const page = await context.newPage();
  const findings = [];
  const documents = [];
  const visit = async (name, text) => {
    documents.push({ name, text });
    findings.push(...(await checks.axe(page, name)));
    for (const width of [320, 360, 640]) findings.push(...(await checks.sideways(page, name, width)));
    findings.push(...(await checks.spacedOut(page, name, 360)));
    findings.push(...(await checks.targets(page, name)));
    await page.setViewportSize({ width: 1280, height: 800 });
  };
  await journeys.tour(page, files, visit);
  await journeys.dossier(page, base, preview.toolUrl, async (name) => visit(name, await page.content()));
  await close();
  findings.push(...(await checks.nu(documents)));
  none(findings, "faults");
});

for (const javaScriptEnabled of [false, true]) {
  const how = javaScriptEnabled ? "with" : "without";
  cases.add(`the hall is asked for in pages, ${how} JavaScript, an exit and second thoughts included`, async () => {
    const { context, findings, close } = await visitor(browser, base, { expected: anErrorWasAsked, context: { javaScriptEnabled } });
    await journeys.hall(await context.newPage());
    await close();
    none(findings, "things a page should not do");
  });
}

cases.add("the receipt prints, no sheet blank", async () => {
  const { context, close } = await visitor(browser, base);
  const page = await context.newPage();
  await journeys.askQuestion(page);
  const sheets = checks.pdfPages(await page.pdf({ preferCSSPageSize: true }));
  await close();
  must(sheets.length > 0 && sheets.every(({ text }) => text > 0), `sheets of the receipt: ${JSON.stringify(sheets)}`);
});

// ── The preview's tools ─────────────────────────────────────────────────────────────────────────────────────────────

cases.add("the letterbox and a mail: axe, the Nu checker, widths", async () => {
  const { context, close } = await checks.examiner(browser, base);
  const page = await context.newPage();
  const findings = [];
  const documents = [];
  const look = async (name, judge = checks.axe) => {
    documents.push({ name, text: await (await fetch(page.url())).text() });
    findings.push(...(await judge(page, name)));
    findings.push(...(await checks.sideways(page, name, 320)));
    await page.setViewportSize({ width: 1280, height: 800 });
  };
  // Once its mails are there, the letterbox has no reason to reload under axe.
  await preview.letters(page, base, await journeys.askQuestion(page), 2);
  await page.goto(await preview.toolUrl(page, base, "letterbox"));
  await look("letterbox");
  await page.goto(await page.locator(".lettre-objet a").first().evaluate((link) => link.href));
  await look("mail in the letterbox");
  const frame = page.locator("iframe.lettre-cadre");
  if (await frame.count()) {
    await page.goto(await frame.evaluate((element) => element.src));
    await look("mail as HTML", checks.axeMail);
  }
  await close();
  findings.push(...(await checks.nu(documents)));
  none(findings, "faults");
});

cases.add("a mistake in the folder shows on the diagnostics page, in the open browser, and goes when mended", async () => {
  const { context, close } = await checks.examiner(browser, base);
  const page = await context.newPage();
  await page.goto(await preview.toolUrl(page, base, "diagnostics"));
  const mistake = preview.makeMistake(server.folder);
  const told = page.locator(".diagnostic-erreur", { hasText: mistake.words });
  await told.waitFor();
  must((await journeys.said(page, ".diagnostic-erreur")).includes(mistake.name), "the diagnostic does not name the file");
  const findings = await checks.axe(page, "diagnostics");
  findings.push(...(await checks.sideways(page, "diagnostics", 320)));
  findings.push(...(await checks.nu([{ name: "diagnostics", text: await (await fetch(page.url())).text() }])));
  await page.setViewportSize({ width: 1280, height: 800 });
  mistake.mend();
  await told.waitFor({ state: "detached" });
  await close();
  none(findings, "faults");
});

// ── The catalogue ───────────────────────────────────────────────────────────────────────────────────────────────────

const generated = await serve(generate);
await addCatalogue(cases, { browser, base: generated.base, files });
addTextBrowser(cases, { base: generated.base });
addObservatory(cases, { browser });
addTerritoire(cases, { browser });

try {
  process.exitCode = (await cases.run(filter)) ? 1 : 0;
} finally {
  await browser.close();
  await server.stop();
  await generated.stop();
  files.remove();
}
