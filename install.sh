#!/bin/sh
# Construit Mulot et l'installe pour vous. Sans droits particuliers : rien n'est écrit hors du préfixe.
# Codes de sortie : 0 fait · 1 la commande est à revoir · 2 il manque quelque chose à la machine.
set -eu

racine=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
prefixe=
essai=non
desinstaller=non
dossier_service=
dossier_paquet=
programme=
suffixe=

aide() {
    cat <<'FIN'
Usage : ./install.sh [OPTIONS]

Construit Mulot et installe la commande « mulot ».

  --prefix DIR          installe dans DIR/bin (par défaut ~/.local, ou /usr/local pour root)
  --essai               installe, puis ouvre la commune d'exemple sur cet ordinateur
  --service DOSSIER     installe, puis crée le service systemd qui lance
                        « mulot guichet DOSSIER/guichet.toml » à chaque démarrage
  --paquet DOSSIER      n'installe rien : fait le paquet Debian (.deb) dans DOSSIER
  --programme FICHIER   avec --paquet : prend ce programme au lieu de le construire
  --suffixe TEXTE       avec --paquet : ajoute TEXTE à la version, par exemple « +cdg53.1 »
  --desinstaller        retire la commande et le service ; les dossiers et les demandes restent
  --aide                affiche cette aide

Il faut Rust 1.95 ou plus récent et un compilateur C. CARGO_TARGET_DIR est respecté.
FIN
}

dire() { printf '%s\n' "$*" >&2; }
refuser() { # code, message, aide
    dire "erreur : $2"
    [ -z "${3-}" ] || dire "aide : $3"
    exit "$1"
}

while [ $# -gt 0 ]; do
    case $1 in
        --prefix | --service | --paquet | --programme | --suffixe)
            case $1 in --programme) attendu='un fichier' ;; --suffixe) attendu='un texte' ;; *) attendu='un dossier' ;; esac
            [ -n "${2-}" ] || refuser 1 "$1 attend $attendu" "./install.sh --aide"
            case $1 in
                --prefix) prefixe=$2 ;;
                --service) dossier_service=$2 ;;
                --paquet) dossier_paquet=$2 ;;
                --programme) programme=$2 ;;
                --suffixe) suffixe=$2 ;;
            esac
            shift
            ;;
        --prefix=?*) prefixe=${1#*=} ;;
        --service=?*) dossier_service=${1#*=} ;;
        --essai) essai=oui ;;
        --desinstaller) desinstaller=oui ;;
        --aide | --help | -h) aide; exit 0 ;;
        *) refuser 1 "l'option « $1 » n'existe pas" "./install.sh --aide" ;;
    esac
    shift
done

root=non
[ "$(id -u)" -ne 0 ] || root=oui
if [ -z "$prefixe" ]; then
    if [ $root = oui ]; then prefixe=/usr/local; else prefixe=${HOME:?}/.local; fi
fi
case $prefixe in
    /*) ;;
    *) prefixe=$PWD/$prefixe ;;
esac
bin=$prefixe/bin
if [ $root = oui ]; then
    unites=/etc/systemd/system
else
    unites=${XDG_CONFIG_HOME:-${HOME:?}/.config}/systemd/user
fi
unite=$unites/mulot-guichet.service

# Le systemd de la machine pour root, celui de l'utilisateur sinon.
systemd() {
    if [ $root = oui ]; then systemctl "$@"; else systemctl --user "$@"; fi
}
systemd_repond() { command -v systemctl >/dev/null 2>&1 && systemd show-environment >/dev/null 2>&1; }

retirer() {
    if [ -f "$unite" ]; then
        if systemd_repond; then systemd disable --now mulot-guichet.service >/dev/null 2>&1 || true; fi
        rm -f -- "$unite"
        if systemd_repond; then systemd daemon-reload || true; fi
        dire "Service retiré : $unite"
    fi
    if [ -e "$bin/mulot" ]; then
        rm -f -- "$bin/mulot" || refuser 2 "« $bin/mulot » ne peut pas être supprimé" "vérifiez vos droits sur $bin"
        dire "Commande retirée : $bin/mulot"
    else
        dire "Aucune commande dans $bin : rien à retirer."
    fi
    dire "Les dossiers des communes et les demandes reçues n'ont pas été touchés."
}

verifier_outils() {
    if ! command -v cargo >/dev/null 2>&1; then
        for dossier in "${CARGO_HOME:-${HOME:-/nulle-part}/.cargo}/bin" /usr/local/cargo/bin; do
            [ ! -x "$dossier/cargo" ] || PATH=$dossier:$PATH
        done
    fi
    command -v cargo >/dev/null 2>&1 ||
        refuser 2 "Rust n'est pas installé" "suivez https://rustup.rs, ouvrez un nouveau terminal, puis relancez ./install.sh"
    version=$(cargo --version 2>/dev/null | sed -n 's/^cargo \([0-9]*\.[0-9]*\).*/\1/p')
    [ -n "$version" ] || refuser 2 "Rust est installé sans version active" "tapez : rustup default stable"
    voulue=$(sed -n 's/^rust-version = "\([0-9.]*\)"/\1/p' "$racine/Cargo.toml")
    plus_ancienne=$(printf '%s\n%s\n' "$version" "$voulue" | sort -t. -k1,1n -k2,2n | head -n 1)
    [ "$plus_ancienne" = "$voulue" ] || [ "$version" = "$voulue" ] ||
        refuser 2 "Rust $version est trop ancien : il faut $voulue ou plus récent" "tapez : rustup update stable"
    for compilateur in ${CC:-cc gcc clang}; do
        ! command -v "$compilateur" >/dev/null 2>&1 || return 0
    done
    refuser 2 "il manque un compilateur C" "sur Debian ou Ubuntu : sudo apt install build-essential"
}

construire() { # profil
    dire "Construction de Mulot (quelques minutes la première fois)…"
    (cd -- "$racine" && cargo build --profile "$1" --locked --bin mulot) ||
        refuser 2 "la construction a échoué" "le message ci-dessus dit pourquoi ; sans réseau, les bibliothèques ne peuvent pas être téléchargées"
    cible=$(cd -- "$racine" && cargo metadata --format-version 1 --no-deps --locked |
        sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
    binaire=$cible/${CARGO_BUILD_TARGET:+$CARGO_BUILD_TARGET/}$1/mulot
    [ -x "$binaire" ] || refuser 2 "« $binaire » est introuvable après la construction" "vérifiez CARGO_TARGET_DIR"
}

faire_paquet() {
    case $suffixe in
        *[!A-Za-z0-9.+~]*) refuser 1 "« $suffixe » ne va pas dans une version Debian" "lettres sans accent, chiffres, point, + et ~" ;;
    esac
    for outil in dpkg-deb dpkg-shlibdeps strip; do
        command -v $outil >/dev/null 2>&1 ||
            refuser 2 "il manque $outil" "sur Debian ou Ubuntu : sudo apt install build-essential"
    done
    if [ -z "$programme" ]; then
        verifier_outils
        construire dist
    elif [ -x "$programme" ]; then
        binaire=$programme
    else
        refuser 1 "« $programme » n'est pas un programme" "donnez celui que cargo a construit, par exemple target/dist/mulot"
    fi
    paquet=$(sh "$racine/docs/deploiement/debian/construire.sh" "$binaire" "$dossier_paquet" "$suffixe") ||
        refuser 2 "le paquet n'a pas pu être fait" "le message ci-dessus dit pourquoi"
    dire "Paquet fait : $paquet"
    dire "Pour l'installer : sudo apt install \"$(CDPATH='' cd -- "$dossier_paquet" && pwd)/${paquet##*/}\""
}

# Le nouveau programme prend la place de l'ancien d'un coup, même si celui-ci tourne.
installer() {
    mkdir -p -- "$bin" || refuser 2 "« $bin » ne peut pas être créé" "choisissez un autre dossier avec --prefix"
    provisoire=$bin/.mulot.$$
    trap 'rm -f -- "$provisoire"' EXIT
    trap 'exit 2' HUP INT TERM
    { cp -- "$binaire" "$provisoire" && chmod 755 "$provisoire" && mv -f -- "$provisoire" "$bin/mulot"; } ||
        refuser 2 "« $bin/mulot » ne peut pas être écrit" "choisissez un autre dossier avec --prefix"
    trap - EXIT HUP INT TERM
    dire "Installé : $bin/mulot ($("$bin/mulot" --version))"
    case :$PATH: in
        *:"$bin":*) ;;
        *)
            dire "Votre terminal ne cherche pas encore dans $bin. Tapez, puis ajoutez à la fin de ~/.profile :"
            dire "    export PATH=\"$bin:\$PATH\""
            ;;
    esac
}

# Un chemin tel que systemd le lit entre guillemets.
pour_systemd() { printf '%s' "$1" | sed 's/[\\"]/\\&/g; s/%/%%/g; s/\$/$$/g'; }

creer_service() {
    dossier=$(CDPATH='' cd -- "$dossier_service" 2>/dev/null && pwd) ||
        refuser 1 "le dossier « $dossier_service » n'existe pas" "créez-le, avec son guichet.toml (voir docs/guichet.md)"
    utilisateur=
    if [ $root = oui ]; then
        utilisateur=$(stat -c %U -- "$dossier")
        if [ "$utilisateur" = root ]; then
            utilisateur=mulot
            id mulot >/dev/null 2>&1 ||
                useradd --system --user-group --home-dir "$dossier" --no-create-home --shell /usr/sbin/nologin mulot ||
                refuser 2 "l'utilisateur « mulot » ne peut pas être créé" "créez-le, donnez-lui $dossier, puis relancez"
            chown -R mulot: "$dossier"
            dire "Le dossier $dossier appartient maintenant à l'utilisateur « mulot », sous lequel tourne le service."
        fi
    fi
    mkdir -p -- "$unites"
    # Les ports 80 et 443 demandent un droit, donné seulement à qui sert en HTTPS lui-même.
    ports=
    if grep -Eq '^[[:space:]]*\[+https[].]' "$dossier/guichet.toml" 2>/dev/null; then ports=CAP_NET_BIND_SERVICE; fi
    {
        cat <<FIN
# Écrit par install.sh de Mulot : relancez-le plutôt que de modifier ce fichier.
[Unit]
Description=Guichet des communes (Mulot)
Documentation=file://$(pour_systemd "$racine")/docs/guichet.md
After=network-online.target
Wants=network-online.target

[Service]
ExecStart="$(pour_systemd "$bin")/mulot" guichet "$(pour_systemd "$dossier")/guichet.toml"
WorkingDirectory=$(printf '%s' "$dossier" | sed 's/%/%%/g')
ExecReload=/bin/sh -c 'kill -HUP \$MAINPID'
Restart=on-failure
RestartSec=5
TimeoutStopSec=40
UMask=0077
NoNewPrivileges=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
FIN
        if [ $root = oui ]; then
            cat <<FIN
User=$utilisateur
StateDirectory=mulot
StateDirectoryMode=0700
RuntimeDirectory=mulot
CacheDirectory=mulot
Environment=XDG_CACHE_HOME=/var/cache/mulot
CapabilityBoundingSet=$ports
AmbientCapabilities=$ports
PrivateDevices=yes
PrivateTmp=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHome=read-only
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
ProtectSystem=strict
ReadWritePaths="$(pour_systemd "$dossier")"

[Install]
WantedBy=multi-user.target
FIN
        else
            printf '\n[Install]\nWantedBy=default.target\n'
        fi
    } >"$unite.$$" && mv -f -- "$unite.$$" "$unite"
    dire "Service créé : $unite"
    commande=systemctl
    [ $root = oui ] || commande='systemctl --user'
    if [ ! -f "$dossier/guichet.toml" ]; then
        dire "Il reste à écrire $dossier/guichet.toml (voir docs/guichet.md), puis : $commande enable --now mulot-guichet"
    elif systemd_repond; then
        { systemd daemon-reload && systemd enable mulot-guichet.service >/dev/null 2>&1 &&
            systemd restart mulot-guichet.service; } ||
            refuser 2 "le service est créé mais ne démarre pas" "tapez : $commande status mulot-guichet"
        dire "Le guichet tourne. Pour le voir : $commande status mulot-guichet"
    else
        dire "systemd ne répond pas ici. Au prochain démarrage : $commande enable --now mulot-guichet"
    fi
    [ $root = oui ] || dire "Pour qu'il tourne aussi quand vous n'êtes pas connecté : loginctl enable-linger"
}

if [ $desinstaller = oui ]; then
    retirer
    exit 0
fi
if [ -n "$dossier_service" ] && [ ! -d "$dossier_service" ]; then
    refuser 1 "le dossier « $dossier_service » n'existe pas" "créez-le, avec son guichet.toml (voir docs/guichet.md)"
fi
if [ -n "$dossier_paquet" ]; then
    faire_paquet
    exit 0
fi
if [ -n "$programme$suffixe" ]; then
    refuser 1 "--programme et --suffixe vont avec --paquet" "./install.sh --aide"
fi
verifier_outils
construire release
installer
[ -z "$dossier_service" ] || creer_service
if [ $essai = oui ]; then
    dire "La commune d'exemple s'ouvre. Pour arrêter : Ctrl-C."
    exec "$bin/mulot" serve "$racine/starter-commune"
fi
dire "Pour commencer : mulot new ma-commune --insee CODE, ou ./install.sh --essai pour voir un exemple."
