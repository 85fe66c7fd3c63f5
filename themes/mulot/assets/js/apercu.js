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
})();
