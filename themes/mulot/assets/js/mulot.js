// Précise « ouvert en ce moment » à partir des horaires écrits dans la page. Rien d'autre ; la page se lit sans.
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
