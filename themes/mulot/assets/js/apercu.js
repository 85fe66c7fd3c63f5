// Aperçu seulement : recharge la page quand un fichier du dossier est enregistré.
"use strict";
(() => {
  let version = null;
  let depart = 0;
  const flux = new EventSource("/__mulot/flux");
  // Chaque message porte le numéro de la construction ; le premier dit celle que la page montre.
  flux.onmessage = (e) => {
    // Une page demandée attend peut-être que sa commune soit construite : recharger aussitôt l'annulerait.
    if (version !== null && e.data !== version) setTimeout(() => location.reload(), Date.now() - depart < 60000 ? 2000 : 0);
    version = e.data;
  };
  addEventListener("beforeunload", () => {
    depart = Date.now();
  });
  // Le navigateur garde en mémoire les pages quittées : sans cela, six flux ouverts l'empêchent d'en ouvrir une autre.
  addEventListener("pagehide", () => flux.close());
  addEventListener("pageshow", (e) => {
    if (e.persisted) location.reload();
  });
})();
