// Which page shows what: every page of the site map, sorted by the template that drew it.

/** Kinds of page the starter commune must show, so that each is looked at. */
export const KINDS = [
  "home",
  "section",
  "page",
  "page with table of contents",
  "page with table",
  "news list",
  "news",
  "alert list",
  "alert",
  "agenda",
  "event",
  "cancelled event",
  "directory",
  "elus",
  "elu",
  "services",
  "service",
  "associations",
  "association",
  "commerces",
  "commerce",
  "equipements",
  "equipement",
  "demarches",
  "demarche with form",
  "demarche elsewhere",
  "questions",
  "paper form",
  "plan",
  "legal page",
  "not found",
];

const LEGAL = ["/mentions-legales/", "/donnees-personnelles/", "/accessibilite/", "/conditions-du-guichet/"];

/** An address the site does not have. */
export const NOWHERE = "/cette-page/n-existe-pas/";

/** Reads the site map, then the forms its fiches lead to. Gives `{ url, kinds, html }`, in the order of the map. */
export async function discover(base) {
  const map = await text(`${base}/sitemap.xml`);
  const urls = [...map.matchAll(/<loc>([^<]+)<\/loc>/g)].map((found) => new URL(found[1]).pathname);
  if (urls.length === 0) throw new Error("the site map is empty");
  const pages = [];
  const seen = new Set();
  const queue = [...new Set(urls), NOWHERE];
  while (queue.length) {
    const url = queue.shift();
    if (seen.has(url)) continue;
    seen.add(url);
    const html = await text(base + url, url === NOWHERE ? 404 : 200);
    pages.push({ url, kinds: kinds(url, html), html });
    for (const found of html.matchAll(/href="(\/demarches\/[^"/]+\/(?:formulaire|papier)\/)"/g)) queue.push(found[1]);
  }
  return pages;
}

/** One page of each kind, in the order of [`KINDS`]; a page that stands for several kinds comes once. */
export function sample(pages) {
  const chosen = new Map();
  for (const kind of KINDS) {
    const page = richest(pages.filter((page) => page.kinds.includes(kind)));
    if (page && !chosen.has(page.url)) chosen.set(page.url, { ...page, kind });
  }
  return [...chosen.values()];
}

/** The page that shows most. */
const richest = (pages) => pages.reduce((best, page) => (!best || page.html.length > best.html.length ? page : best), undefined);

function kinds(url, html) {
  const parts = url.split("/").filter(Boolean);
  const [first, second, third] = parts;
  const main = html.slice(html.indexOf("<main"), html.indexOf("</main>"));
  if (url === NOWHERE) return ["not found"];
  if (url === "/") return ["home"];
  if (url === "/plan-du-site/") return ["plan"];
  if (LEGAL.includes(url)) return ["legal page"];
  switch (first) {
    case "actualites":
      return [/^\d{4}-/.test(second ?? "") ? "news" : "news list"];
    case "alertes":
      return [second ? "alert" : "alert list"];
    case "agenda":
      if (!/^\d{4}-/.test(second ?? "")) return ["agenda"];
      return [/Évènement annulé/.test(main) ? "cancelled event" : "event"];
    case "annuaire":
      if (!second) return ["directory"];
      return [third ? second.replace(/s$/, "") : second];
    case "demarches":
      if (!second) return ["demarches"];
      if (third) return [third === "papier" ? "paper form" : "questions"];
      if (/\/formulaire\/"/.test(main)) return ["demarche with form"];
      return [/rel="external"/.test(main) ? "demarche elsewhere" : "demarche"];
    default:
      if (parts.length === 1) return ["section"];
      return [
        "page",
        ...(/class="sommaire/.test(main) ? ["page with table of contents"] : []),
        ...(/<table/.test(main) ? ["page with table"] : []),
      ];
  }
}

async function text(url, status = 200) {
  const response = await fetch(url);
  if (response.status !== status) throw new Error(`${url} answered ${response.status}, not ${status}`);
  return response.text();
}
