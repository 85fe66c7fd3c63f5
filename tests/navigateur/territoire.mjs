// The pages of who looks after a whole territoire: the list of its preview, and the page that says how all communes are.

import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";

import { open, visitor } from "./lib/browser.mjs";
import { must, none } from "./lib/cases.mjs";
import * as checks from "./lib/checks.mjs";
import { ROOT, binary, freePort, start } from "./lib/server.mjs";

const COMMUNES = { baneins: "Baneins", chalamont: "Chalamont", "le-plantay": "Le Plantay", "saint-andre": "Saint-André-le-Bouchoux" };
/** The one whose folder has an error. */
const BROKEN = "chalamont";

/** A4 on its side, margins of 12 mm off, in pixels. */
const LANDSCAPE = { width: 1032, height: 703 };

/** Adds the cases. */
export function addTerritoire(cases, { browser }) {
  cases.add("the list of a previewed territoire: valid, accessible, narrow, and it follows what is saved", async () => {
    const home = territoire();
    const server = await start(["serve", path.join(home, "pays"), "--port", String(await freePort())], home);
    try {
      none(await list(browser, server), "faults of the list");
    } finally {
      await server.stop();
    }
  });

  cases.add("the page of the state of a territoire: valid, accessible, narrow, whole on paper", async () => {
    const home = territoire();
    run(home, ["build", "pays"], 1);
    const address = run(home, ["etat", "guichet.toml", "--adresse"], 0).trim();
    const server = await start(["guichet", "guichet.toml"], home);
    try {
      none(await state(browser, server, address), "faults of the page");
    } finally {
      await server.stop();
    }
  });
}

async function list(browser, server) {
  const port = new URL(server.base).port;
  // One of each state: built, refused, not looked at yet.
  for (const name of ["baneins", BROKEN]) await visit(name, port, browser);
  const { context, findings, close } = await checks.examiner(browser, server.base, { expected: (text) => /status of 404/.test(text) });
  const page = await context.newPage();
  for (const url of ["/", `http://inconnue.localhost:${port}/`]) {
    const response = await open(page, url);
    const html = await response.text();
    findings.push(...(await checks.nu([{ name: url, text: html }])), ...(await checks.axe(page, url)), ...(await checks.targets(page, url)));
    for (const width of [320, 360, 640]) findings.push(...(await checks.sideways(page, url, width)));
    for (const width of [360, 1280]) findings.push(...(await checks.spacedOut(page, url, width)));
  }
  await open(page, "/");
  const said = await page.locator("main").innerText();
  for (const words of ["refusée", "construite", "pas encore ouverte", "titree", "pages/mairie/index.md"]) {
    if (!said.includes(words)) findings.push(`the list lacks « ${words} »: ${said}`);
  }
  // Mended, the list shows it without being asked.
  const file = path.join(server.home, "pays/communes", BROKEN, "pages/mairie/index.md");
  fs.writeFileSync(file, fs.readFileSync(file, "utf8").replace("titree", "titre"));
  await page.getByText("À corriger").first().waitFor({ state: "detached" });
  // The way to a commune and back.
  await page.getByRole("link", { name: "Le Plantay" }).click();
  await page.waitForURL(`http://le-plantay.localhost:${port}/`);
  must((await page.locator("h1").innerText()).length > 0, "the commune shows nothing");
  await page.goto(`http://le-plantay.localhost:${port}/__mulot/boite`);
  await page.getByRole("link", { name: "Toutes les communes" }).click();
  await page.waitForURL(`http://localhost:${port}/`);
  await close();
  // What is asked of the communes themselves is not elsewhere.
  return findings.filter((finding) => !new RegExp(`^request elsewhere: http://[a-z-]+\\.localhost:${port}/`).test(finding));
}

async function visit(name, port, browser) {
  const { context, close } = await visitor(browser, `http://${name}.localhost:${port}`);
  await open(await context.newPage(), "/");
  await close();
}

async function state(browser, server, address) {
  // A browser asks for an icon by itself; the host is that of no commune.
  const expected = (text) => text.includes("/favicon.ico");
  const { context, findings, close } = await checks.examiner(browser, server.base, { expected });
  const page = await context.newPage();
  const response = await open(page, address);
  must(response.status() === 200, `the page answered ${response.status()}`);
  findings.push(...(await checks.nu([{ name: address, text: await response.text() }])), ...(await checks.axe(page, address)));
  for (const width of [320, 360, 640]) findings.push(...(await checks.sideways(page, address, width)));
  for (const width of [360, 1280]) findings.push(...(await checks.spacedOut(page, address, width)));
  const said = await page.locator("main").innerText();
  for (const name of Object.values(COMMUNES)) if (!said.includes(name)) findings.push(`the page lacks ${name}`);
  // On paper nothing scrolls: the table must fit the sheet.
  await page.setViewportSize(LANDSCAPE);
  await page.emulateMedia({ media: "print" });
  const excess = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  if (excess > 0) findings.push(`on a sheet of paper the table is ${excess} px too wide`);
  const sheets = checks.pdfPages(await page.pdf({ preferCSSPageSize: true }));
  sheets.forEach(({ text }, at) => text === 0 && findings.push(`sheet ${at + 1} of ${sheets.length} is blank`));
  await close();
  return findings;
}

/** A territoire of small communes, one of them broken, with the requests that an earlier guichet took. */
function territoire() {
  const home = fs.mkdtempSync(path.join(os.tmpdir(), "mulot-territoire-"));
  for (const [name, title] of Object.entries(COMMUNES)) {
    const folder = path.join(home, "pays/communes", name);
    fs.cpSync(path.join(ROOT, "tests/communes/minimal"), folder, { recursive: true });
    const file = path.join(folder, "commune.toml");
    const text = fs.readFileSync(file, "utf8").replace("Trou-la-Ville", title).replaceAll("trou.example", `${name}.example`);
    fs.writeFileSync(file, text);
  }
  const broken = path.join(home, "pays/communes", BROKEN, "pages/mairie/index.md");
  fs.writeFileSync(broken, fs.readFileSync(broken, "utf8").replace("titre", "titree"));
  fs.writeFileSync(path.join(home, "pays/territoire.toml"), 'nom = "Communauté de communes de la Dombes"\n');
  fs.cpSync(path.join(ROOT, "tests/anciens/0004"), path.join(home, "donnees/baneins"), { recursive: true });
  const settings = ['territoire = "pays"', 'donnees = "donnees"', 'ecoute = "127.0.0.1:0"', "[courriel]", 'transport = "dossier"', 'dossier = "boite"'];
  fs.writeFileSync(path.join(home, "guichet.toml"), `${settings.join("\n")}\n`);
  return home;
}

/** What an order says, in `home`. */
function run(home, args, code) {
  const done = spawnSync(binary(), args, { cwd: home, encoding: "utf8", env: { ...process.env, HOME: home, XDG_CACHE_HOME: path.join(home, "cache") } });
  must(done.status === code, `mulot ${args.join(" ")} ended with ${done.status}: ${done.stdout}${done.stderr}`);
  return done.stdout;
}
