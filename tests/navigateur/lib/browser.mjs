// Debian's Chromium, and contexts that record all a page should never do.

import fs from "node:fs";
import os from "node:os";
import path from "node:path";

import { chromium } from "playwright-core";

const FLAGS = [
  "--headless=new",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Widths and schemes every page is looked at in. */
export const LOOKS = [
  { width: 1280, scheme: "light" },
  { width: 1280, scheme: "dark" },
  { width: 360, scheme: "light" },
  { width: 360, scheme: "dark" },
];

/** Starts Chromium with a profile of its own. Going back finds the page as it was left, as it does for people. */
export async function launch() {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: FLAGS,
    ignoreDefaultArgs: ["--disable-back-forward-cache"],
  });
  return browser;
}

/** A context on `base`; `findings` grows with every request elsewhere, cookie, console error and refusal of the policy. */
export async function visitor(browser, base, options = {}) {
  const context = await browser.newContext({
    baseURL: base,
    locale: "fr-FR",
    timezoneId: "Europe/Paris",
    reducedMotion: "reduce",
    viewport: { width: options.width ?? 1280, height: 800 },
    ...options.context,
  });
  context.setDefaultTimeout(30_000);
  const findings = [];
  const origin = new URL(base).origin;
  const expected = options.expected ?? (() => false);
  context.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith(`${origin}/`) && !/^(data|blob|about|chrome-error):/.test(url)) findings.push(`request elsewhere: ${url}`);
  });
  context.on("response", async (response) => {
    const cookie = await response.headerValue("set-cookie").catch(() => null);
    if (cookie) findings.push(`cookie: ${cookie} from ${response.url()}`);
  });
  context.on("console", (message) => {
    if (message.type() !== "error") return;
    const text = `${message.text()} (${message.location().url})`;
    if (!expected(text)) findings.push(`console error: ${text}`);
  });
  context.on("weberror", (error) => findings.push(`script error: ${error.error().message}`));
  const close = async () => {
    for (const cookie of await context.cookies()) findings.push(`cookie kept: ${cookie.name}`);
    await context.close();
  };
  return { context, findings, close };
}

/** Opens a path of the site; gives the answer. The preview keeps a stream open, so the network is never idle. */
export async function open(page, url) {
  const response = await page.goto(url, { waitUntil: "load" });
  return response;
}

/** A small PDF and a photograph to attach. */
export async function attachments(browser) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "mulot-pieces-"));
  const pdf = path.join(folder, "Plan du terrain été.pdf");
  fs.writeFileSync(pdf, onePagePdf());
  const photo = path.join(folder, "lampadaire.jpg");
  const page = await browser.newPage({ viewport: { width: 640, height: 480 } });
  await page.setContent(`<body style="background:linear-gradient(#246,#fa4)"><h1>Lampe éteinte</h1>`);
  await page.screenshot({ path: photo, type: "jpeg", quality: 80 });
  // Noise, which no format makes small: more bytes than a form takes, as a telephone's photograph.
  const large = path.join(folder, "grande.jpg");
  const noise = await page.evaluate(async () => {
    const canvas = Object.assign(document.createElement("canvas"), { width: 4000, height: 3000 });
    const context = canvas.getContext("2d");
    const image = context.createImageData(4000, 3000);
    const words = new Uint32Array(image.data.buffer);
    for (let at = 0; at < words.length; at += 1) words[at] = ((Math.random() * 0x1000000) | 0xff000000) >>> 0;
    context.putImageData(image, 0, 0);
    return canvas.toDataURL("image/jpeg", 0.8).split(",")[1];
  });
  fs.writeFileSync(large, Buffer.from(noise, "base64"));
  await page.close();
  const program = path.join(folder, "facture.pdf");
  fs.writeFileSync(program, "#!/bin/sh\necho pas un PDF\n");
  return { pdf, photo, large, program, remove: () => fs.rmSync(folder, { recursive: true, force: true }) };
}

function onePagePdf() {
  const objects = [
    "<</Type/Catalog/Pages 2 0 R>>",
    "<</Type/Pages/Kids[3 0 R]/Count 1>>",
    "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Resources<</Font<</F<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>>>",
    "<</Length 44>>stream\nBT /F 24 Tf 72 720 Td (Plan du terrain) Tj ET \nendstream",
  ];
  let text = "%PDF-1.4\n";
  const at = objects.map((body, index) => {
    const offset = text.length;
    text += `${index + 1} 0 obj${body}endobj\n`;
    return String(offset).padStart(10, "0");
  });
  const table = text.length;
  const rows = at.map((offset) => `${offset} 00000 n \n`).join("");
  return `${text}xref\n0 5\n0000000000 65535 f \n${rows}trailer<</Size 5/Root 1 0 R>>\nstartxref\n${table}\n%%EOF\n`;
}
