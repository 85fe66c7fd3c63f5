// Looks at what a resident's page shows, from a page beside it: axe needs scripts, which the resident may be without.

import * as checks from "./checks.mjs";

/** Those who examine pages `width` px wide; each serves again, since a browser is slow to open a page. */
export class Examiners {
  #idle = [];
  #browser;
  #base;
  #width;

  constructor(browser, base, width) {
    this.#browser = browser;
    this.#base = base;
    this.#width = width;
  }

  /** One who follows `page`, until `leave`. */
  async follow(page) {
    const beside = this.#idle.pop() ?? (await this.#newPage());
    return new Examiner(page, beside, this.#width, () => this.#idle.push(beside));
  }

  async #newPage() {
    const { context } = await checks.examiner(this.#browser, this.#base, { width: this.#width });
    return context.newPage();
  }
}

/** Follows one page; `findings` grows with what is wrong in the states that are looked at. */
class Examiner {
  findings = [];
  #page;
  #beside;
  #width;
  #answer;

  constructor(page, beside, width, leave) {
    this.#page = page;
    this.#beside = beside;
    this.#width = width;
    /** To be called when the page has nothing more to show. */
    this.leave = leave;
    page.on("response", (response) => {
      if (response.request().isNavigationRequest() && response.frame() === page.mainFrame() && response.status() !== 303) this.#answer = response;
    });
  }

  /** What the page is made of. */
  html() {
    return this.#answer.text();
  }

  /** Whether the page can be read at its width. */
  async glance(state) {
    this.findings.push(...(await checks.sideways(this.#page, state, this.#width)));
  }

  /** The same, and all that axe finds. */
  async look(state) {
    await this.glance(state);
    const body = await this.html();
    const [address] = this.#page.url().split("#");
    await this.#beside.route(
      (url) => url.href === address,
      (route) => route.fulfill({ body, contentType: "text/html; charset=utf-8" }),
      { times: 1 },
    );
    await this.#beside.goto(address);
    this.findings.push(...(await checks.axe(this.#beside, state, { looks: [{ width: this.#width, scheme: "light" }] })));
  }
}
