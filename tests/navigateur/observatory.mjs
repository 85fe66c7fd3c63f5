// Headers of every class of page, graded by MDN's HTTP Observatory on the production server behind encryption.

import { visitor } from "./lib/browser.mjs";
import { none } from "./lib/cases.mjs";
import { front } from "./lib/front.mjs";
import { PUBLISHED, guichet } from "./lib/guichet.mjs";
import * as journeys from "./lib/journeys.mjs";
import { grades } from "./lib/observatory.mjs";
import { NOWHERE } from "./lib/pages.mjs";

/** Adds the case. */
export function addObservatory(cases, { browser }) {
  cases.add("HTTP Observatory: A+ for every class of page", async () => {
    const server = await guichet();
    // The Observatory refuses a page that is not there, whose headers count as much as those of the others.
    const door = await front(server.base, PUBLISHED, server.home, { status: (code) => (code === 404 ? 200 : code) });
    try {
      const urls = await classes(browser, door.origin);
      const wrong = (await grades(urls, door.certificate)).filter(({ grade }) => grade !== "A+");
      none(wrong.map((result) => JSON.stringify(result)), "pages under A+");
    } finally {
      await door.stop();
      await server.stop();
    }
  });
}

// One address of each class; the pages a resident gets after sending come from a request that is made here.
async function classes(browser, origin) {
  const { context, findings, close } = await visitor(browser, origin, { context: { ignoreHTTPSErrors: true } });
  const page = await context.newPage();
  await journeys.askQuestion(page);
  const receipt = page.url();
  const tracking = await page.locator("main a[href*='/guichet/suivi/']").first().evaluate((link) => link.href);
  const sheet = await page.locator("link[rel=stylesheet]").first().evaluate((link) => link.href);
  await close();
  none(findings, "things a page should not do");
  const places = ["/", "/mairie/", "/plan-du-site/", "/demarches/", journeys.CONTACT, `${journeys.CONTACT}formulaire/`, "/guichet/contact/", NOWHERE];
  return [...places.map((place) => `${origin}${place}`), receipt, tracking, sheet];
}
