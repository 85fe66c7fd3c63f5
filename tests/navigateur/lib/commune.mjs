// A commune as `mulot new` makes it, its blanks filled in, every démarche of the catalogue open.

import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";

import { ROOT, binary } from "./server.mjs";

/** What only the mairie knows: the first key of that name, its value. */
const BLANKS = [
  ["commune.toml", "domaine", '"https://www.laval.example"'],
  ["commune.toml", "adresse", '["12, place du Tilleul"]'],
  ["commune.toml", "telephone", '"02 61 91 12 34"'],
  ["commune.toml", "courriel", '"mairie@laval.example"'],
  ["commune.toml", "expediteur", '"formulaires@laval.example"'],
  ["commune.toml", "destinataires", '["mairie@laval.example"]'],
  ["commune.toml", "demarches", '"toutes"'],
  ["annuaire/services/secretariat.md", "telephone", '"02 61 91 12 34"'],
];

/** Fiche of a form that has a question of every kind. */
export const EVERY_KIND = "toutes-les-questions";

const EVERY_KIND_HEAD = `titre = "Toutes les questions"
resume = "Une question de chaque sorte."
qui_traite = "commune"
service = "secretariat"

[formulaire]
nature = "demande"
identite = "toutes"
regime = "inconnu"

[formulaire.donnees]
finalite = "essayer chaque sorte de question"
base_legale = "mission d’intérêt public"
conservation = "6 mois"
`;

/** Makes the commune in `folder`, which must not exist; `home` receives what the binary may keep. */
export function generate(folder, home) {
  execFileSync(binary(), ["new", folder, "--insee", "53130"], { env: { ...process.env, HOME: home, TMPDIR: home }, stdio: "pipe" });
  for (const [file, key, value] of BLANKS) complete(path.join(folder, file), key, value);
  const questions = fs.readFileSync(path.join(ROOT, "tests/formulaires/tout.toml"), "utf8");
  write(folder, `demarches/${EVERY_KIND}.md`, `+++\n${EVERY_KIND_HEAD}\n${questions}+++\n`);
  write(folder, "annuaire/equipements/salle.md", '+++\ntitre = "Salle des fêtes"\ntype = "salle"\n+++\n');
}

function complete(file, key, value) {
  const text = fs.readFileSync(file, "utf8");
  const line = new RegExp(`^${key} = [^#\\n]*`, "m");
  if (!line.test(text)) throw new Error(`${file} has no « ${key} » to fill in`);
  fs.writeFileSync(file, text.replace(line, `${key} = ${value}   `));
}

function write(folder, name, text) {
  const file = path.join(folder, name);
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, text);
}
