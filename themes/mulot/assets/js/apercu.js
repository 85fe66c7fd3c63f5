// Aperçu seulement : recharge la page quand un fichier du dossier est enregistré.
"use strict";
(() => {
  let version = null;
  const flux = new EventSource("/__mulot/flux");
  // Chaque message porte le numéro de la construction ; le premier dit celle que la page montre.
  flux.onmessage = (e) => {
    if (version !== null && e.data !== version) location.reload();
    version = e.data;
  };
  // Le navigateur garde en mémoire les pages quittées : sans cela, six flux ouverts l'empêchent d'en ouvrir une autre.
  addEventListener("pagehide", () => flux.close());
  addEventListener("pageshow", (e) => {
    if (e.persisted) location.reload();
  });
})();
