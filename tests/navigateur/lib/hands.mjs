// Two ways to fill a page in: with a finger on the glass, and with the keyboard alone.

import { must } from "./cases.mjs";
import { tabTo } from "./journeys.mjs";

const byId = (id) => `[id="${id}"]`;

/** Touches and types, as on a phone. */
export const finger = {
  async write(page, { id }, value) {
    await page.locator(byId(id)).fill(value);
  },
  async choose(page, _question, ids) {
    for (const id of ids) {
      if (await page.locator(byId(id)).isChecked()) continue;
      await page.locator(`label[for="${id}"]`).click();
    }
  },
  async attach(page, { id }, file) {
    await page.locator(byId(id)).setInputFiles(file);
  },
  /** Presses a button or a link that leads to another page; gives the answer. */
  async press(page, selector) {
    const [response] = await Promise.all([page.waitForNavigation({ waitUntil: "load" }), page.locator(selector).first().click()]);
    return response;
  },
};

/** Tab, arrows, Space, Enter and letters: never the mouse. Every stop of Tab on the way must be seen. */
export const keyboard = {
  async write(page, { id, type }, value) {
    await reach(page, byId(id));
    if (type === "date") await typeDate(page, value);
    else if (type === "time") await typeTime(page, value);
    else {
      await page.keyboard.press("Control+A");
      await page.keyboard.type(value);
    }
    const typed = await page.locator(byId(id)).inputValue();
    must(typed === value, `${id}: « ${value} » was typed, the field holds « ${typed} »`);
  },
  async choose(page, { type, name }, ids) {
    for (const id of ids) {
      if (await page.locator(byId(id)).isChecked()) continue;
      if (type === "radio") await pick(page, name, id);
      else {
        await reach(page, byId(id));
        await page.keyboard.press("Space");
      }
      must(await page.locator(byId(id)).isChecked(), `${id} is not chosen with the keyboard`);
    }
  },
  async attach(page, { id }, file) {
    // The system's own window belongs to the system: the keyboard reaches the field, the file is then given to it.
    await reach(page, byId(id));
    await page.locator(byId(id)).setInputFiles(file);
  },
  async press(page, selector) {
    await reach(page, selector);
    const [response] = await Promise.all([page.waitForNavigation({ waitUntil: "load" }), page.keyboard.press("Enter")]);
    return response;
  },
};

async function reach(page, selector) {
  if (await page.evaluate((selector) => document.activeElement?.matches(selector), selector)) return;
  await tabTo(page, selector, { limit: 250 });
}

// Tab leads to one of the circles; the arrows go round.
async function pick(page, name, id) {
  await reach(page, `[name="${name}"]`);
  for (let turns = 0; turns < 40; turns += 1) {
    if ((await page.evaluate(() => document.activeElement.id)) === id) break;
    await page.keyboard.press("ArrowDown");
  }
  if (!(await page.locator(byId(id)).isChecked())) await page.keyboard.press("Space");
}

// Browsers order the parts of a date by their own language, not by the page's.
const habits = new WeakMap();

async function habitsOf(page) {
  const browser = page.context().browser();
  if (!habits.has(browser)) {
    const blank = await page.context().newPage();
    await blank.setContent('<html lang="fr"><title>Essai</title><input type="date"><input type="time"></html>');
    await blank.locator("[type=date]").focus();
    await blank.keyboard.type("01022003");
    const monthFirst = (await blank.locator("[type=date]").inputValue()) === "2003-01-02";
    await blank.locator("[type=time]").focus();
    await blank.keyboard.type("0930");
    const meridiem = (await blank.locator("[type=time]").inputValue()) === "";
    await blank.close();
    habits.set(browser, { monthFirst, meridiem });
  }
  return habits.get(browser);
}

async function typeDate(page, value) {
  const [year, month, day] = value.split("-");
  const { monthFirst } = await habitsOf(page);
  await page.keyboard.type((monthFirst ? month + day : day + month) + year);
}

async function typeTime(page, value) {
  const [hour, minute] = value.split(":").map(Number);
  const { meridiem } = await habitsOf(page);
  const two = (number) => String(number).padStart(2, "0");
  if (meridiem) await page.keyboard.type(`${two(hour % 12 || 12)}${two(minute)}${hour < 12 ? "AM" : "PM"}`);
  else await page.keyboard.type(two(hour) + two(minute));
}
