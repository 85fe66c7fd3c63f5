// Looks at what a resident's page shows, from a page beside it: axe needs scripts, which the resident may be without.

import * as checks from "./checks.mjs";

/** Follows one page; `findings` grows with what is wrong in the states that are looked at. */
export class Examiner {
  findings = [];
  #page;
  #beside;
  #context;
  #width;
  #answer;

  /** An examiner of `page`, which is `width` px wide. */
  static async of(browser, base, page, width) {
    const { context } = await checks.examiner(browser, base, { width });
    return new Examiner(page, context, await context.newPage(), width);
  }

  constructor(page, context, beside, width) {
    this.#page = page;
    this.#context = context;
    this.#beside = beside;
    this.#width = width;
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
    await this.#beside.route(
      (url) => url.href === this.#page.url().split("#")[0],
      (route) => route.fulfill({ body, contentType: "text/html; charset=utf-8" }),
      { times: 1 },
    );
    await this.#beside.goto(this.#page.url().split("#")[0]);
    this.findings.push(...(await checks.axe(this.#beside, state, { looks: [{ width: this.#width, scheme: "light" }] })));
  }

  close() {
    return this.#context.close();
  }
}
