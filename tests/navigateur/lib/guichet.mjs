// The production server, `mulot guichet`, on a built site; its mails are laid down in a folder.

import { execFileSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";

import { generate } from "./commune.mjs";
import { binary, freePort, start } from "./server.mjs";

/** The name the site is published under. */
export const PUBLISHED = "www.laval.example";

/** Starts it for a generated commune, as the documentation says to once encryption works well. */
export async function guichet() {
  const home = fs.mkdtempSync(path.join(os.tmpdir(), "mulot-guichet-"));
  const folder = path.join(home, "commune");
  generate(folder, home);
  execFileSync(binary(), ["build", folder, "--sortie", path.join(home, "public")], { env: { ...process.env, HOME: home, TMPDIR: home }, stdio: "pipe" });
  const config = path.join(home, "guichet.toml");
  fs.writeFileSync(
    config,
    `confirmer_destinataires = false
dossier = "commune"
donnees = "donnees"
ecoute = "127.0.0.1:${await freePort()}"
site = "public"
proxy = ["127.0.0.1"]
hsts_jours = 365
[courriel]
transport = "dossier"
dossier = "boite"
`,
  );
  return start(["guichet", config], home);
}
