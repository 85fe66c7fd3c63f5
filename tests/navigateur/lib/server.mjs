// Starts the binary as a server on a commune's folder, with everything it may write in one temporary folder.

import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

const HERE = path.dirname(fileURLToPath(import.meta.url));

/** The project's folder. */
export const ROOT = path.resolve(HERE, "../../..");

/** The day the starter commune is written for. */
export const TODAY = "2026-11-21";

/** The binary under test. */
export function binary() {
  if (process.env.MULOT) return path.resolve(process.env.MULOT);
  const target = process.env.CARGO_TARGET_DIR ?? path.join(ROOT, "target");
  return path.join(target, "debug", "mulot");
}

/** The commune's folder that is copied and served. */
const COMMUNE = path.resolve(process.env.COMMUNE ?? path.join(ROOT, "starter-commune"));

/** Puts a copy of the starter commune in `folder`. */
const copyStarter = (folder) => fs.cpSync(COMMUNE, folder, { recursive: true });

/** `mulot serve` on the commune that `make(folder, home)` writes: `base` is its address, `folder` its files, `stop` ends it. */
export async function serve(make = copyStarter) {
  const home = fs.mkdtempSync(path.join(os.tmpdir(), "mulot-navigateur-"));
  const folder = path.join(home, "commune");
  make(folder, home);
  const port = await freePort();
  const server = await start(["serve", folder, "--port", String(port), "--date", TODAY], home);
  return { ...server, folder };
}

/** Runs `mulot` with `args` until it gives an address; `stop` ends it and takes `home` away. */
export async function start(args, home) {
  const temporary = path.join(home, "tmp");
  fs.mkdirSync(temporary, { recursive: true });
  const child = spawn(binary(), args, {
    cwd: home,
    env: { ...process.env, HOME: home, TMPDIR: temporary, XDG_CACHE_HOME: path.join(home, "cache"), XDG_STATE_HOME: path.join(home, "state") },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const end = () => child.kill("SIGKILL");
  process.once("exit", end);
  let said = "";
  const ended = once(child, "exit").catch((error) => [error.message]);
  const base = await new Promise((resolve, reject) => {
    const hear = (chunk) => {
      said += chunk;
      const found = said.match(/(?:127\.0\.0\.1|\blocalhost):\d+/);
      if (found) resolve(`http://${found[0]}`);
    };
    child.stdout.on("data", hear);
    child.stderr.on("data", hear);
    ended.then(([code]) => reject(new Error(`${binary()} ${args[0]} ended (${code}) before it gave an address:\n${said}`)));
  });
  return {
    base,
    home,
    said: () => said,
    async stop() {
      child.kill("SIGTERM");
      await ended;
      process.off("exit", end);
      fs.rmSync(home, { recursive: true, force: true });
    },
  };
}

/** A port of this machine that nobody listens on. */
export async function freePort() {
  const probe = net.createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address();
  probe.close();
  await once(probe, "close");
  return port;
}
