// A runner of one screen: named cases one after the other, none hides another, the last line counts.

const LIMIT_MS = 240_000;

/** Collects cases, then runs those whose name matches. */
export class Cases {
  #cases = [];

  /** Adds a case; `run` throws when the product is wrong. */
  add(name, run) {
    this.#cases.push({ name, run });
  }

  /** Runs the cases in order and prints the count; gives the number of failures. */
  async run(filter) {
    let passed = 0;
    const failed = [];
    for (const { name, run } of this.#cases) {
      if (filter && !filter.test(name)) continue;
      const start = performance.now();
      try {
        await steadily(run, name);
        passed += 1;
        console.log(`ok   ${name} (${seconds(start)} s)`);
      } catch (error) {
        failed.push(name);
        console.log(`FAIL ${name} (${seconds(start)} s)\n${indent(error instanceof Wrong ? error.message : error.stack)}`);
      }
    }
    if (failed.length) console.log(`\nFailed:\n${indent(failed.join("\n"))}`);
    console.log(`\n${passed} passed, ${failed.length} failed`);
    return failed.length;
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
