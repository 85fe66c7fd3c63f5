// Deux coups de main, dont la page se passe : « ouvert en ce moment » d'après les horaires écrits dans la page, et des photos
// plus légères avant l'envoi d'un formulaire.
"use strict";
(() => {
  const hour = (m) => `${Math.floor(m / 60)} h${m % 60 ? " " + String(m % 60).padStart(2, "0") : ""}`;
  const minutes = (t) => Number(t.slice(0, 2)) * 60 + Number(t.slice(3, 5));
  const dayName = (iso) =>
    new Intl.DateTimeFormat("fr-FR", { weekday: "long", timeZone: "UTC" }).format(new Date(iso + "T12:00:00Z"));

  // "2026-11-21=09:00-12:00,14:00-17:30;2026-11-22=" → [["2026-11-21", [[540, 720], …]], …]
  const parse = (text) =>
    text.split(";").map((day) => {
      const [date, ranges] = day.split("=");
      return [date, ranges ? ranges.split(",").map((r) => r.split("-").map(minutes)) : []];
    });

  function now(zone) {
    const part = {};
    const format = { timeZone: zone, hourCycle: "h23", year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit" };
    for (const p of new Intl.DateTimeFormat("fr-FR", format).formatToParts(new Date())) part[p.type] = p.value;
    return { date: `${part.year}-${part.month}-${part.day}`, minute: Number(part.hour) * 60 + Number(part.minute) };
  }

  function sentence(days, at) {
    const today = days.findIndex(([date]) => date === at.date);
    if (today < 0) return ["inconnu", "Voir les horaires"]; // page construite il y a trop longtemps
    for (const [from, to] of days[today][1]) {
      if (at.minute < from) return ["ferme", `Fermé en ce moment. Ouvre à ${hour(from)}`];
      if (at.minute < to) return ["ouvert", `Ouvert en ce moment, jusqu’à ${hour(to)}`];
    }
    const next = days.findIndex(([, ranges], i) => i > today && ranges.length);
    if (next < 0) return ["ferme", "Fermé en ce moment"];
    const when = next === today + 1 ? "demain" : next < today + 7 ? dayName(days[next][0]) : null;
    return ["ferme", when ? `Fermé en ce moment. Ouvre ${when} à ${hour(days[next][1][0][0])}` : "Fermé en ce moment"];
  }

  function refresh() {
    for (const el of document.querySelectorAll("[data-horaires]")) {
      const found = sentence(parse(el.dataset.horaires), now(el.dataset.fuseau));
      const text = el.querySelector(".ouverture-phrase");
      if (!text) continue;
      el.querySelector(".ouverture-date")?.remove();
      el.dataset.etat = found[0];
      if (text.textContent !== found[1]) text.textContent = found[1];
    }
  }

  try {
    refresh();
    setInterval(refresh, 60000);
  } catch (_) {
    // Navigateur trop ancien : la phrase écrite dans la page reste.
  }
})();

// Une photo de téléphone pèse souvent plus que ce qu'un formulaire accepte : elle est réduite ici, avant l'envoi, et perd du même
// coup le lieu de la prise de vue. Ce qui ne peut pas être réduit part tel quel : c'est le guichet qui répond.
(() => {
  const SIDE = 2000; // pixels du plus grand côté
  const LIGHT = 500000; // octets sous lesquels une photo reste telle quelle
  const QUALITY = 0.85;
  const size = (bytes) =>
    bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} ko` : `${(bytes / 1e6).toLocaleString("fr-FR", { maximumFractionDigits: 1 })} Mo`;

  async function smaller(file, accept) {
    const accepted = accept.includes(file.type);
    if (!file.type.startsWith("image/") || /svg|gif/.test(file.type) || (accepted && file.size <= LIGHT)) return file;
    try {
      const image = await createImageBitmap(file);
      const scale = Math.min(1, SIDE / Math.max(image.width, image.height));
      const canvas = document.createElement("canvas");
      canvas.width = Math.round(image.width * scale);
      canvas.height = Math.round(image.height * scale);
      const context = canvas.getContext("2d");
      context.fillStyle = "#fff"; // le JPEG n'a pas de transparence
      context.fillRect(0, 0, canvas.width, canvas.height);
      context.drawImage(image, 0, 0, canvas.width, canvas.height);
      image.close();
      const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", QUALITY));
      if (!blob || blob.type !== "image/jpeg" || (accepted && blob.size >= file.size)) return file;
      return new File([blob], file.name.replace(/\.[^.]*$/, "") + ".jpg", { type: blob.type, lastModified: file.lastModified });
    } catch (_) {
      return file;
    }
  }

  // Dit ce qui a été fait, sous le champ, et le lit à qui n'y voit pas.
  function told(input) {
    const next = input.nextElementSibling;
    if (next?.matches(".photo-reduite")) return next;
    const line = document.createElement("p");
    line.className = "aide photo-reduite";
    line.setAttribute("role", "status");
    input.after(line);
    return line;
  }

  async function shrink(input) {
    const chosen = [...input.files];
    const line = told(input);
    line.textContent = "";
    const kept = new DataTransfer();
    let before = 0;
    let after = 0;
    for (const file of chosen) {
      const made = await smaller(file, input.accept); // une à la fois : un téléphone a peu de mémoire
      kept.items.add(made);
      if (made !== file) [before, after] = [before + file.size, after + made.size];
    }
    // Un autre choix a pu être fait pendant ce temps.
    const same = input.files.length === chosen.length && chosen.every((file, at) => file === input.files[at]);
    if (!before || !same) return;
    input.files = kept.files;
    line.textContent = `Photo allégée avant l’envoi : ${size(before)} → ${size(after)}`;
  }

  for (const form of document.querySelectorAll("form[enctype='multipart/form-data']")) {
    const busy = new Set();
    for (const input of form.querySelectorAll("input[type=file][accept*=jpeg]")) {
      input.addEventListener("change", () => {
        const work = shrink(input)
          .catch(() => {})
          .finally(() => busy.delete(work));
        busy.add(work);
      });
    }
    form.addEventListener("submit", async (event) => {
      if (!busy.size) return;
      event.preventDefault();
      while (busy.size) await Promise.all(busy);
      if (form.requestSubmit) form.requestSubmit(event.submitter);
      else form.submit();
    });
  }
})();
