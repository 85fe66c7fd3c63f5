// A runner of one screen: named cases in order, none hides another, the last line counts.

const LIMIT_MS = 240_000;

/** Cases that may run together run so many at a time. */
const LANES = 2;

/** Collects cases, then runs those whose name matches. */
export class Cases {
  #cases = [];

  /** Adds a case; `run` throws when the product is wrong. Neighbours that may run `together` do. */
  add(name, run, { together = false } = {}) {
    this.#cases.push({ name, run, together });
  }

  /** Runs the cases in order and prints the count; gives the number of failures. */
  async run(filter) {
    const queue = this.#cases.filter(({ name }) => !filter || filter.test(name));
    const count = queue.length;
    const failed = [];
    const lane = async (together) => {
      while (queue.length && queue[0].together === together) {
        const { name, run } = queue.shift();
        if (!(await passes(name, run))) failed.push(name);
      }
    };
    while (queue.length) {
      const { together } = queue[0];
      await Promise.all(Array.from({ length: together ? LANES : 1 }, () => lane(together)));
    }
    if (failed.length) console.log(`\nFailed:\n${indent(failed.join("\n"))}`);
    console.log(`\n${count - failed.length} passed, ${failed.length} failed`);
    return failed.length;
  }
}

async function passes(name, run) {
  const start = performance.now();
  try {
    await steadily(run, name);
    console.log(`ok   ${name} (${seconds(start)} s)`);
    return true;
  } catch (error) {
    console.log(`FAIL ${name} (${seconds(start)} s)\n${indent(error instanceof Wrong ? error.message : error.stack)}`);
    return false;
  }
}

/** What the product does wrong, one finding a line. */
export class Wrong extends Error {}

/** Throws when there is at least one finding. */
export function none(findings, what) {
  if (findings.length === 0) return;
  const shown = findings.slice(0, 40);
  const more = findings.length > shown.length ? [`… and ${findings.length - shown.length} more`] : [];
  throw new Wrong([`${findings.length} × ${what}`, ...shown, ...more].join("\n"));
}

/** Throws unless `condition` holds. */
export function must(condition, message) {
  if (!condition) throw new Wrong(message);
}

// What the product does wrong is final; a browser that stumbled on a busy machine, or whose page was reloaded by a mail that
// came in, may try again.
async function steadily(run, name, tries = 3) {
  for (;;) {
    try {
      return await within(run(), name);
    } catch (error) {
      tries -= 1;
      if (error instanceof Wrong || tries === 0) throw error;
      console.log(`again ${name}: ${String(error.message).split("\n")[0]}`);
    }
  }
}

async function within(work, name) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Wrong(`${name}: not done after ${LIMIT_MS / 1000} s`)), LIMIT_MS);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

const seconds = (start) => ((performance.now() - start) / 1000).toFixed(1);
const indent = (text) => String(text).replace(/^/gm, "     ");
