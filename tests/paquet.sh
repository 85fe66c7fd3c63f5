#!/bin/sh
# Makes the Debian package of a program already built and uses it as a technician would.
# Usage: tests/paquet.sh PROGRAM [--long]
#
# Every run: what is in the package, how exposed its units are, then — as root — its installation in a copy-on-write view of this
# machine where a systemd of its own starts the services: nothing the units forbid is needed by the program. --long does the same on
# a clean Debian made by debootstrap (the network, two minutes), then plays the first day of docs/technicien.md: a territoire of thirty
# communes, on one machine then on another.
# Prints « N passed, N failed »; exit code 1 if any failed.
# shellcheck disable=SC2016,SC2317,SC1091 # inner shells expand their own variables; functions are called by name
set -u

racine=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
programme=${1:?Usage: tests/paquet.sh PROGRAMME [--long]}
long=${2-}
essais=$(mktemp -d)
passed=0
failed=0
conteneurs=

fin() {
    for pid in $conteneurs; do
        kill -TERM "$pid" 2>/dev/null && wait "$pid" 2>/dev/null
    done
    for monte in "$essais"/*/racine; do
        mountpoint -q "$monte" 2>/dev/null && umount -R "$monte"
    done
    mountpoint -q "$essais/memoire" 2>/dev/null && umount "$essais/memoire"
    rm -rf -- "$essais"
}
trap fin EXIT
trap 'exit 1' HUP INT TERM

ok() {
    passed=$((passed + 1))
    printf 'ok    %s\n' "$1"
}
ko() {
    failed=$((failed + 1))
    printf 'FAIL  %s\n' "$1"
    tail -n 40 "$essais/sortie" | sed 's/^/      /'
}
# check NAME COMMAND…: the command succeeds; what it says is shown when it does not.
check() {
    nom=$1
    shift
    if "$@" >"$essais/sortie" 2>&1; then ok "$nom"; else ko "$nom"; fi
}
not() { ! "$@"; }
# until_true SECONDS COMMAND…: polls, with a deadline.
until_true() {
    fin_attente=$(($(date +%s) + $1))
    shift
    until "$@"; do
        [ "$(date +%s)" -lt "$fin_attente" ] || return 1
        sleep 0.1
    done
}

# --- The package ----------------------------------------------------------------------------------------------------

# A package that is only read here need not be small.
export DPKG_DEB_COMPRESSOR_TYPE=none
faire() { sh "$racine/install.sh" --paquet "$1" --programme "$programme" --suffixe "$2"; }
check "install.sh --paquet fait un paquet" faire "$essais/paquets" "+essai1"
paquet=$(ls "$essais"/paquets/*.deb)
faire "$essais/encore" "+essai1" >"$essais/sortie" 2>&1
check "deux fois le même programme donnent le même paquet" cmp "$paquet" "$essais/encore/${paquet##*/}"
rm -rf "$essais/encore"
faire "$essais/paquets" "+essai2" >"$essais/sortie" 2>&1
suivant=$(ls "$essais"/paquets/*essai2*.deb)
champ() { dpkg-deb -f "$paquet" "$1"; }
check "sa version est celle du programme" test "$(champ Version)" = "$("$programme" --version | sed 's/.* //')+essai1"
check "il dit de quelle bibliothèque C il a besoin" sh -c 'echo "$1" | grep -q "libc6 (>= [0-9.]*)"' - "$(champ Depends)"
dpkg-deb -x "$paquet" "$essais/contenu"
dpkg-deb -e "$paquet" "$essais/controle"
check "rien n'est à la place de ce que le technicien écrit" test "$(cat "$essais/controle/conffiles")" = /etc/mulot/entretien.conf
check "tout est à root, rien n'est ouvert à tous" sh -c '! dpkg-deb -c "$1" | grep -v "^l" | grep -Ev "^[d-]r..r-.r-. root/root"' - "$paquet"
check "les sommes sont justes" sh -c 'cd "$1" && md5sum -c --quiet ../controle/md5sums' - "$essais/contenu"
check "la page de manuel se lit" sh -c 'zcat "$1" | grep -q "^.SH NOM"' - "$essais/contenu/usr/share/man/man1/mulot.1.gz"
check "la documentation du technicien y est" test -s "$essais/contenu/usr/share/doc/mulot/technicien.md"
check "les scripts sont sains" shellcheck "$racine"/docs/deploiement/debian/construire.sh "$essais"/controle/postinst "$essais"/controle/prerm \
    "$essais"/controle/postrm "$racine"/docs/deploiement/debian/sauvegarder "$racine"/docs/deploiement/debian/refaire-les-sites \
    "$racine"/docs/deploiement/debian/mulot-secrets

# --- The units ------------------------------------------------------------------------------------------------------

unites=$essais/contenu/usr/lib/systemd/system
mkdir -p "$essais/unites"
# systemd-analyze wants the programs it is told of: these are in the package.
for unite in "$unites"/mulot*; do
    sed "s,=/usr/bin/mulot ,=$essais/contenu/usr/bin/mulot ,; s,=/usr/lib/mulot/,=$essais/contenu/usr/lib/mulot/,; /^Documentation=/d" "$unite" \
        >"$essais/unites/${unite##*/}"
done
for unite in "$essais"/unites/mulot*; do
    check "systemd comprend ${unite##*/}" sh -c 'systemd-analyze verify "$1" >"$2" 2>&1; ! grep "mulot" "$2"' - "$unite" "$essais/verify"
done
# exposed UNIT TENTHS…: what systemd-analyze counts, ten times the figure it prints.
expose() {
    check "exposition de $1 : $2 dixièmes au plus" systemd-analyze security --offline=true --threshold="$2" "$unites/$1"
}
expose mulot-accueil.service 5
expose mulot-courrier.service 12
expose mulot-sauvegarde.service 5
expose mulot-entretien.service 5
expose mulot-sites.service 12
expose mulot-etat.service 12
expose mulot.service 12

# What gives each secret to who needs it, and to nobody else.
mkdir -p "$essais/secrets" "$essais/generes"
touch "$essais/secrets/smtp" "$essais/secrets/smtp-le-plantay" "$essais/secrets/cle" "$essais/secrets/smtp~" "$essais/secrets/a b"
MULOT_SECRETS=$essais/secrets sh "$essais/contenu/usr/lib/systemd/system-generators/mulot-secrets" "$essais/generes" >"$essais/sortie" 2>&1
donne() { grep -qx "LoadCredential=$2:$essais/secrets/$2" "$essais/generes/$1.service.d/mulot-secrets.conf"; }
check "le courrier reçoit le mot de passe commun" donne mulot-courrier smtp
check "et celui d'une commune" donne mulot-courrier smtp-le-plantay
check "le message de la semaine part avec le même" donne mulot-etat smtp
check "l'accueil ne reçoit que la clé" sh -c 'test "$(grep -c LoadCredential "$1")" -eq 1 && grep -q "=cle:" "$1"' - \
    "$essais/generes/mulot-accueil.service.d/mulot-secrets.conf"
check "ni copie de l'éditeur ni nom impossible" not grep -rq 'smtp~\|a b' "$essais/generes"

# --- The container file ---------------------------------------------------------------------------------------------

conteneur=$racine/docs/deploiement/conteneur/Containerfile
copies() { sed -n '/--from=/d; s/^COPY \(.*\) [^ ]*$/\1/p' "$conteneur"; }
# shellcheck disable=SC2046 # a list of words
check "chaque COPY du conteneur existe" sh -c 'cd "$1" && shift && ls -d "$@"' - "$racine" $(copies)
check "tout ce que Cargo.toml nomme est copié" sh -c '
    sed -n "s/^path = \"\([^/\"]*\).*/\1/p" "$1/Cargo.toml" | sort -u | while read -r besoin; do
        sed -n "/--from=/d; s/^COPY //p" "$2" | tr " " "\n" | grep -qx "$besoin" || { echo "$besoin"; exit 1; }
    done' - "$racine" "$conteneur"
check "son Rust est celui de Cargo.toml" grep -q "rust:$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$racine/Cargo.toml")-" "$conteneur"
check "il ne tourne pas sous root" sh -c 'sed "1,/^FROM docker.io.library.debian/d" "$1" | grep -q "^USER [1-9]"' - "$conteneur"

# --- A machine ------------------------------------------------------------------------------------------------------

bilan() {
    printf 'paquet: %s passed, %s failed\n' "$passed" "$failed"
    [ "$failed" -eq 0 ]
    exit
}
if [ "$(id -u)" -ne 0 ] || ! command -v systemd-nspawn >/dev/null 2>&1; then
    echo "skip  la machine d'essai : il faut être root et systemd-nspawn (paquet systemd-container)"
    bilan
fi

mkdir "$essais/memoire"
mount -t tmpfs -o size=4g,mode=0755 mulot-essai "$essais/memoire"
mkdir -p "$essais/memoire/vue"

# machine NAME: makes the root of a machine, mounted at $essais/NAME/racine.
machine() {
    dossier=$essais/$1/racine
    mkdir -p "$dossier"
    if [ "$long" = --long ]; then
        propre=$essais/debian
        if [ ! -d "$propre" ]; then
            suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
            debootstrap --variant=minbase --include=systemd,systemd-sysv,adduser,ca-certificates,curl,python3,sudo "$suite" "$propre" \
                >"$essais/sortie" 2>&1 || { ko "debootstrap"; bilan; }
        fi
        bas=$propre
    else
        bas=/
    fi
    mkdir -p "$essais/memoire/vue/$1/haut" "$essais/memoire/vue/$1/travail"
    mount -t overlay -o "lowerdir=$bas,upperdir=$essais/memoire/vue/$1/haut,workdir=$essais/memoire/vue/$1/travail" mulot-essai "$dossier" || return 1
    # What this machine has of its own stays out: its services, what forbids packages to start theirs, an installed Mulot.
    rm -rf "$dossier/etc/systemd/system" "$dossier/etc/mulot" "$dossier/var/lib/mulot" "$dossier/var/backups/mulot" "$dossier/srv/mulot" \
        "$dossier/usr/sbin/policy-rc.d"
    mkdir -p "$dossier/etc/systemd/system" "$dossier/tmp" "$dossier/root"
    : >"$dossier/etc/machine-id"
    printf '127.0.0.1 localhost %s\n' "$(cat "$dossier/etc/hostname" 2>/dev/null) essai" >"$dossier/etc/hosts"
    cp "$paquet" "$suivant" "$racine/tests/paquet/habitants.py" "$racine/tests/paquet/remplir.py" "$dossier/root/"
}

# start NAME: its systemd; its first process is then $chef.
demarre() {
    # In a folder of its own: the machine is called « essai » inside.
    systemd-nspawn --quiet --directory="$essais/$1/racine" --machine="mulot-$1-$$" --hostname=essai --register=no --keep-unit --private-network \
        --console=pipe --boot systemd.unit=basic.target </dev/null >"$essais/$1/console" 2>&1 &
    nspawn=$!
    conteneurs="$conteneurs $nspawn"
    vit() {
        chef=$(pgrep -P "$nspawn" | head -n 1)
        [ -n "$chef" ] && dedans systemctl is-active --quiet basic.target
    }
    until_true 60 vit 2>/dev/null
}
dedans() { nsenter -t "$chef" -a env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 "$@"; }
dans() { # NAME SCRIPT: counts what a script of the machine does
    nom=$1
    shift
    check "$nom" dedans sh -ec "$1"
}

machine premiere || { echo "skip  la machine d'essai : pas de vue en écriture (overlayfs) ici"; bilan; }
if ! demarre premiere; then
    cat "$essais/premiere/console"
    echo "skip  la machine d'essai : systemd ne démarre pas dans un conteneur ici"
    bilan
fi

dans "le paquet s'installe" 'DEBIAN_FRONTEND=noninteractive dpkg -i /root/mulot_*essai1*.deb'
dans "il crée son utilisateur, sans mot de passe ni terminal" 'getent passwd mulot | grep -q "/var/lib/mulot:/usr/sbin/nologin"; passwd -S mulot | grep -q " [L!]"'
dans "ses dossiers ne sont qu'à lui" 'test "$(stat -c "%a %U" /var/lib/mulot /var/backups/mulot | sort -u)" = "700 mulot"; test "$(stat -c "%a %U" /etc/mulot/secrets)" = "700 root"'
dans "rien ne tourne avant que le technicien le dise" 'test -z "$(systemctl list-units --plain --no-legend "mulot*")"'
dans "l'installer encore ne change rien" 'stat -c "%i %a %U" /var/lib/mulot >/tmp/avant; dpkg -i /root/mulot_*essai1*.deb; stat -c "%i %a %U" /var/lib/mulot | cmp - /tmp/avant'

dedans sh -ec '
    install -d -o mulot -g mulot /srv/mulot
    cd /srv/mulot
    runuser -u mulot -- mulot new ma-commune --insee 01299 --sans-exemples
    python3 /root/remplir.py ma-commune le-plantay.example
    runuser -u mulot -- mulot build ma-commune
    cp /usr/share/doc/mulot/exemples/guichet.toml /etc/mulot/guichet.toml
    sed -i "s,^# site,site," /etc/mulot/guichet.toml
    printf "\n[limites]\nenvois_par_adresse = 10000\nenvois_par_heure = 10000\nenvois_par_formulaire = 10000\nquarantaine_heures = 1\n" >>/etc/mulot/guichet.toml
    sed -i "1i confirmer_destinataires = false" /etc/mulot/guichet.toml
    sed -i "s,MULOT_SITES=.*,MULOT_SITES=/srv/mulot/ma-commune," /etc/mulot/entretien.conf
' >"$essais/sortie" 2>&1 || { ko "une commune du premier jour"; bilan; }
dans "le modèle de guichet.toml convient, une fois copié" 'mulot demandes --guichet /etc/mulot/guichet.toml etat 2>&1 | tee /tmp/etat; ! grep -q "erreur\[" /tmp/etat'

# answers: the guichet of the machine says it can take requests.
repond() { dedans curl -fsS http://127.0.0.1:8080/guichet/pret >"$essais/pret" 2>&1; }
# jailed UNIT: the kernel itself says what its process may not do.
cloisonne() {
    dans "$1 : aucun privilège, appels au noyau filtrés" "
        pid=\$(systemctl show -P MainPID $1)
        grep -q '^NoNewPrivs:.1' /proc/\$pid/status && grep -q '^Seccomp:.2' /proc/\$pid/status && grep -q '^CapEff:.0*\$' /proc/\$pid/status
        test \$(stat -c %U /proc/\$pid) = mulot"
}
# upgraded UNIT FORM PACKAGE: residents send requests all the while; nothing they were shown is lost.
mise_a_jour() {
    rm -f "$essais/fini"
    dedans sh -c 'rm -f /tmp/notes*; cd /tmp && exec python3 /root/habitants.py 127.0.0.1:8080 le-plantay.example saisir-la-mairie /tmp/notes' >"$essais/habitants" 2>&1 &
    habitants=$!
    envoie() { [ "$(dedans sh -c 'wc -l </tmp/notes')" -ge "$1" ]; }
    check "$1 : des habitants envoient des demandes" until_true 60 envoie 3
    avant=$(dedans systemctl show -P MainPID "$1")
    dans "$1 : le paquet se met à jour" "DEBIAN_FRONTEND=noninteractive dpkg -i $2"
    check "$1 : le programme est un autre" test "$avant" != "$(dedans systemctl show -P MainPID "$1")"
    check "$1 : le guichet répond encore" until_true 60 repond
    envoyees=$(dedans sh -c 'wc -l </tmp/notes')
    check "$1 : les habitants continuent" until_true 60 envoie $((envoyees + 3))
    dedans touch /tmp/notes.fin
    check "$1 : aucun n'a vu de faute" wait "$habitants"
    [ ! -s "$essais/habitants" ] || cat "$essais/habitants"
    # Nobody else sends anything here: as many are kept as were shown, and the last are there by name.
    dans "$1 : tout ce qu'ils ont lu est gardé" 'sed "\$d" /tmp/notes >>/tmp/lues; test -z "$(sort /tmp/lues | uniq -d)"
        gardees=$(mulot demandes --guichet /etc/mulot/guichet.toml reconcilier --format json | grep -m 1 "\"acceptees\"" | tr -dc 0-9)
        echo "$gardees gardées, $(wc -l </tmp/lues) lues"; test "$gardees" -eq "$(wc -l </tmp/lues)"
        for reference in $(tail -n 20 /tmp/lues); do mulot demandes --guichet /etc/mulot/guichet.toml voir "$reference" >/tmp/voir 2>&1 || { cat /tmp/voir; exit 1; }; done'
}

dans "mulot.service démarre" 'systemctl enable --now mulot.service'
check "le guichet répond" until_true 60 repond
repond || { dedans journalctl --no-pager -u mulot.service | tail -n 20; bilan; }
dans "le site aussi" 'curl -fsS http://127.0.0.1:8080/ | grep -q "Le Plantay"'
cloisonne mulot.service
mise_a_jour mulot.service '/root/mulot_*essai2*.deb'
dans "la mise à jour a d'abord fait une sauvegarde" 'test -s /var/backups/mulot/*/manifeste.json'
remis() { dedans sh -c 'test "$(ls /var/cache/mulot/essai | wc -l)" -ge "$(grep -c - /tmp/notes)"'; }
check "les messages partent, sous le cloisonnement" until_true 60 remis

dans "l'entretien de la nuit se fait" 'systemctl start mulot-entretien.service; test -z "$(systemctl list-units --failed --plain --no-legend "mulot*")"'
dans "il a sauvegardé" 'test "$(ls /var/backups/mulot | wc -l)" -ge 2; ! ls -l /var/backups/mulot/* | grep -q " cle$"'
dans "le site refait se lit par le serveur web" 'setpriv --reuid=65534 --regid=65534 --clear-groups cat /srv/mulot/ma-commune-public/index.html >/dev/null'
dans "une vieille sauvegarde s'en va, le reste du dossier non" '
    runuser -u mulot -- sh -c "mkdir /var/backups/mulot/2020-01-01-000500 /var/backups/mulot/mon-dossier"
    systemctl start mulot-sauvegarde.service; test ! -e /var/backups/mulot/2020-01-01-000500; test -d /var/backups/mulot/mon-dossier; rmdir /var/backups/mulot/mon-dossier'
dans "deux sauvegardes dans la même seconde aussi" 'systemctl start mulot-sauvegarde.service; systemctl start mulot-sauvegarde.service'
dans "une faute de réglage se voit et ne tourne pas en rond" '
    cp /etc/mulot/guichet.toml /tmp/bon; echo "faute = 1" >>/etc/mulot/guichet.toml; sed -i "1i impossible = 1" /etc/mulot/guichet.toml
    systemctl restart mulot.service || true
    for essai in $(seq 100); do systemctl is-failed --quiet mulot.service && break; sleep 0.1; done
    systemctl is-failed --quiet mulot.service; journalctl -u mulot.service | grep -q impossible
    cp /tmp/bon /etc/mulot/guichet.toml; systemctl restart mulot.service'
check "corrigée, le guichet reprend" until_true 60 repond

dans "le droit d'écouter en HTTPS se donne par un exemple, seul" '
    install -D -m 644 /usr/share/doc/mulot/exemples/https.conf /etc/systemd/system/mulot.service.d/https.conf
    systemctl daemon-reload; systemctl restart mulot.service
    grep "^CapEff:.0*400$" /proc/$(systemctl show -P MainPID mulot.service)/status
    rm -r /etc/systemd/system/mulot.service.d; systemctl daemon-reload; systemctl restart mulot.service'
check "sans lui, le guichet répond de même" until_true 60 repond

if dedans mulot guichet --aide 2>&1 | grep -q -- --role; then
    dans "l'accueil et le courrier remplacent le tout-en-un" 'systemctl disable --now mulot.service; printf "tres-secret\n" >/etc/mulot/secrets/smtp; chmod 600 /etc/mulot/secrets/smtp
        systemctl daemon-reload; systemctl enable --now mulot-accueil.socket mulot-courrier.service; systemctl is-active mulot-courrier.service'
    check "la première demande réveille l'accueil" until_true 60 repond
    cloisonne mulot-accueil.service
    cloisonne mulot-courrier.service
    dans "l'accueil n'a pas de réseau" 'pid=$(systemctl show -P MainPID mulot-accueil.service); test "$(nsenter -t $pid -n cat /proc/net/dev | grep -c :)" -eq 1; test "$(nsenter -t $pid -n cat /proc/net/route | wc -l)" -le 1'
    dans "il ne voit pas le mot de passe" 'pid=$(systemctl show -P MainPID mulot-accueil.service)
        ! nsenter -t $pid -m setpriv --reuid=mulot --regid=mulot --clear-groups cat /run/credentials/mulot-courrier.service/smtp
        ! nsenter -t $pid -m setpriv --reuid=mulot --regid=mulot --clear-groups cat /etc/mulot/secrets/smtp'
    dans "le courrier l'a" 'pid=$(systemctl show -P MainPID mulot-courrier.service); test "$(nsenter -t $pid -m cat /run/credentials/mulot-courrier.service/smtp)" = tres-secret'
    mise_a_jour mulot-accueil.service '/root/mulot_*essai1*.deb'
    dans "personne n'a été refusé" 'grep -x "fin, 0 refused connections" /tmp/notes'
else
    echo "skip  l'accueil et le courrier séparés : ce programme n'a pas encore --role"
fi

# --- A second machine -----------------------------------------------------------------------------------------------

premiere=$chef
dans "une sauvegarde d'adieu" 'systemctl start mulot-sauvegarde.service'
nombre() { dedans sh -c 'mulot demandes reconcilier --guichet /etc/mulot/guichet.toml --format json | grep -m 1 -o "\"acceptees\": *[0-9]*"'; }
copie=$(dedans sh -c 'ls -d /var/backups/mulot/2* | tail -n 1')
attendu=$(nombre)
case $copie in
    /var/backups/mulot/2*) ;;
    *)
        ko "il y a une sauvegarde à remettre"
        bilan
        ;;
esac
check "une deuxième machine" machine deuxieme
mkdir -p "$essais/deuxieme/racine/root/reprise"
cp -a "$essais/premiere/racine$copie" "$essais/deuxieme/racine/root/reprise/copie"
cp -a "$essais/premiere/racine/var/lib/mulot/cle" "$essais/premiere/racine/etc/mulot/guichet.toml" "$essais/deuxieme/racine/root/reprise/"
cp -a "$essais/premiere/racine/srv/mulot" "$essais/deuxieme/racine/srv/"
check "elle démarre" demarre deuxieme
dans "le paquet s'y installe" 'dpkg -i /root/mulot_*essai2*.deb'
dans "la sauvegarde y est remise" 'chown -R mulot: /srv/mulot; mv /root/reprise /var/lib/reprise; chown -R mulot: /var/lib/reprise; cp /var/lib/reprise/guichet.toml /etc/mulot/
    runuser -u mulot -- mulot restore --guichet /etc/mulot/guichet.toml --cle /var/lib/reprise/cle /var/lib/reprise/copie'
dans "et le guichet y reprend" 'systemctl enable --now mulot.service'
check "il répond" until_true 60 repond
check "avec toutes les demandes" test "$attendu" = "$(nombre)"

# --- Removal --------------------------------------------------------------------------------------------------------

dans "retiré, le paquet arrête tout et laisse les demandes" 'dpkg -r mulot; test -z "$(systemctl list-units --plain --no-legend --state=active "mulot*")"; test -s /var/lib/mulot/guichet.db; test -e /etc/mulot/guichet.toml'
dans "effacé, il laisse les demandes et le dit" 'dpkg -P mulot >/tmp/efface 2>&1; cat /tmp/efface; test -s /var/lib/mulot/guichet.db; test -e /var/lib/mulot/cle; grep -q "Mulot laisse en place .*/var/lib/mulot" /tmp/efface
    test ! -e /etc/mulot/entretien.conf; test ! -e /var/cache/mulot; test -z "$(find /etc/systemd -name "mulot*")"'
dans "réinstallé, il les retrouve" 'dpkg -i /root/mulot_*essai2*.deb; systemctl start mulot.service'
check "le guichet répond de nouveau" until_true 60 repond
chef=$premiere
[ "$long" = --long ] || bilan

# --- A technician's first day -----------------------------------------------------------------------------------------

# What docs/technicien.md says to type, with `sudo`, on a machine that has nothing but Debian; a folder of mails in the place of a mail server.
trois='baneins chalamont le-plantay'
check "une troisième machine, vide" machine jour
check "elle démarre" demarre jour
dans "1. installer" 'apt-get install -y /root/mulot_*essai1*.deb'
dans "2. trente communes, par le SIREN de leur intercommunalité" '
    sudo install -d -o mulot -g mulot /srv/mulot
    cd /srv/mulot
    sudo -u mulot mulot new mon-territoire --territoire 200069193
    test "$(ls mon-territoire/communes | wc -l)" -ge 30'
dans "3. compléter ce qui est vrai de toutes, et trois communes" '
    for commune in '"$trois"'; do
        sudo -u mulot python3 - /srv/mulot/mon-territoire/communes/$commune $commune.example </root/remplir.py
    done
    cd /srv/mulot/mon-territoire
    sudo -u mulot sed -i "s|^\\[defauts\\]|[defauts.publication]\ndossier = \"/var/www/communes/{commune}\"\n\n[defauts]|" territoire.toml
    sudo -u mulot mulot check /srv/mulot/mon-territoire'
dans "4. construire les sites" 'sudo -u mulot mulot build /srv/mulot/mon-territoire; test "$(ls -d /srv/mulot/mon-territoire-public/*/ | wc -l)" -ge 30'
dans "5. régler le guichet" '
    sudo cp /usr/share/doc/mulot/exemples/guichet.toml /etc/mulot/guichet.toml
    sudo sed -i "s|^dossier = \"/srv.*|territoire = \"/srv/mulot/mon-territoire\"|; s|^# site = .*|site = \"/srv/mulot/mon-territoire-public\"|" /etc/mulot/guichet.toml
    sudo install -m 600 /dev/null /etc/mulot/secrets/smtp
    sudo systemctl daemon-reload'
dans "6. démarrer" 'sudo systemctl enable --now mulot'
check "le guichet répond" until_true 60 repond
# A long line of a mail is cut by « = » at the end.
demandes_de_code() { dedans sh -c 'for commune in "$@"; do cat /var/cache/mulot/essai/$commune/*.eml | sed -z "s/=\r*\n//g" | grep -q -- "--commune $commune --confirmer" || exit 1; done' - "$@" 2>/dev/null; }
# shellcheck disable=SC2086 # a list of names
check "chaque mairie a reçu son code" until_true 90 demandes_de_code $trois
dans "7. confirmer les boîtes" '
    for commune in '"$trois"'; do
        code=$(cat /var/cache/mulot/essai/$commune/*.eml | sed -z "s/=\\r*\\n//g" | sed -n "s/.*--confirmer \\([0-9]\\{6\\}\\).*/\\1/p" | tail -n 1)
        sudo -u mulot mulot demandes destinataires --guichet /etc/mulot/guichet.toml --commune $commune --confirmer "$code"
    done'
dans "8. régler la nuit : sauvegarder, construire, publier dans un dossier" '
    sudo install -d -o mulot -g mulot /var/www/communes
    sudo sed -i "s|^MULOT_SITES=.*|MULOT_SITES=\"/srv/mulot/mon-territoire\"|; s|^MULOT_PUBLIER=.*|MULOT_PUBLIER=oui|" /etc/mulot/entretien.conf
    sudo mkdir -p /etc/systemd/system/mulot-sites.service.d
    printf "[Service]\nReadWritePaths=/var/www/communes\n" | sudo tee /etc/systemd/system/mulot-sites.service.d/override.conf >/dev/null
    sudo systemctl daemon-reload
    sudo systemctl enable --now mulot-entretien.timer
    sudo systemctl start mulot-entretien
    journalctl -u mulot-sauvegarde -u mulot-sites -n 60 --no-pager
    test -z "$(systemctl list-units --failed --plain --no-legend "mulot*")"
    test "$(ls -d /var/www/communes/*/ | grep -v versions | wc -l)" -ge 30; test -s /var/www/communes/le-plantay/index.html'
dans "le message de la semaine, à qui s'occupe du territoire et aux mairies, une seule fois" '
    printf "[etat]\ndestinataires = [\"technique@exemple.fr\"]\nexpediteur = \"guichet@exemple.fr\"\n" | sudo tee -a /etc/mulot/guichet.toml >/dev/null
    sudo systemctl enable --now mulot-etat.timer; sudo systemctl start mulot-etat
    journalctl -u mulot-etat -n 20 --no-pager
    ecrits() { find /var/cache/mulot/essai -name "*.eml" -exec grep -l "^To: .*technique@exemple.fr" {} + | wc -l; }
    test "$(ecrits)" -eq 1; find /var/cache/mulot/essai -name "*.eml" -exec grep -l "Quatre points" {} + | grep -q .
    sudo systemctl start mulot-etat; test "$(ecrits)" -eq 1'
# demandent COUNT: residents of the three communes send so many requests each.
demandent() {
    dans "des habitants de trois communes demandent ($1 chacune)" '
        for commune in '"$trois"'; do
            python3 /root/habitants.py 127.0.0.1:8080 $commune.example saisir-la-mairie /tmp/notes-$commune '"$1"'
            grep -x "fin, 0 refused connections" /tmp/notes-$commune; sed "\$d" /tmp/notes-$commune >>/root/lues-$commune
        done'
}
gardees() { # what is kept is what was shown, commune by commune
    dans "$1" '
        for commune in '"$trois"'; do
            gardees=$(mulot demandes --guichet /etc/mulot/guichet.toml --commune $commune reconcilier --format json | grep -m 1 "\"acceptees\"" | tr -dc 0-9)
            echo "$commune : $gardees gardées, $(wc -l </root/lues-$commune) lues"; test "$gardees" -eq "$(wc -l </root/lues-$commune)"
        done'
}
demandent 3
dans "9. la clé au coffre" 'sudo mkdir -p /media/coffre; sudo sh -c "cd /var/lib/mulot && cp --parents */cle /media/coffre/"; test -s /media/coffre/le-plantay/cle'

dans "une commune mal écrite : les autres servent, la nuit le dit" '
    cp -a /srv/mulot/mon-territoire/communes/chalamont/commune.toml /tmp/bonne
    echo "nom = " >>/srv/mulot/mon-territoire/communes/chalamont/commune.toml
    sudo systemctl reload mulot
    curl -fsS -H "Host: baneins.example" http://127.0.0.1:8080/guichet/saisir-la-mairie/ | grep -q "<form"
    curl -fsS -H "Host: chalamont.example" http://127.0.0.1:8080/ | grep -q Chalamont
    sudo systemctl start mulot-sites && exit 1
    systemctl list-units --failed --plain --no-legend | grep -q mulot-sites
    journalctl -u mulot-sites -n 80 --no-pager | grep -q "chalamont.*refusé"
    sudo -u mulot mulot check /srv/mulot/mon-territoire/communes/chalamont 2>&1 | grep -q "commune.toml:"
    test -s /var/www/communes/chalamont/index.html'
dans "corrigée, tout reprend" '
    cp -a /tmp/bonne /srv/mulot/mon-territoire/communes/chalamont/commune.toml
    sudo systemctl reload mulot; sudo systemctl start mulot-sites
    test -z "$(systemctl list-units --failed --plain --no-legend "mulot*")"'
demandent 2
dans "mettre à jour" 'apt-get install -y /root/mulot_*essai2*.deb'
check "le guichet répond encore" until_true 60 repond
gardees "tout ce qui a été lu est gardé"
dans "une dernière sauvegarde" 'sudo systemctl start mulot-sauvegarde; for commune in '"$trois"'; do test -s "$(ls -d /var/backups/mulot/2* | tail -n 1)/$commune/manifeste.json"; done'

copie=$(dedans sh -c 'ls -d /var/backups/mulot/2* | tail -n 1')
check "10. l'exercice : une quatrième machine" machine reprise
media=$essais/reprise/racine/media
mkdir -p "$media/sauvegarde" "$media/coffre"
cp -a "$essais/jour/racine/srv/mulot" "$media/sauvegarde/srv-mulot"
cp -a "$essais/jour/racine/etc/mulot/guichet.toml" "$media/sauvegarde/"
cp -a "$essais/jour/racine$copie" "$media/sauvegarde/copie"
cp -a "$essais/jour/racine/media/coffre/." "$media/coffre/"
cp "$essais"/jour/racine/root/lues-* "$essais/reprise/racine/root/"
check "elle démarre" demarre reprise
dans "restaurer, comme la page le dit" '
    sudo apt-get install -y /root/mulot_*essai2*.deb
    sudo mkdir -p /srv/mulot /var/lib/reprise
    sudo cp -a /media/sauvegarde/srv-mulot/. /srv/mulot/ && sudo chown -R mulot: /srv/mulot
    sudo cp /media/sauvegarde/guichet.toml /etc/mulot/
    sudo cp -a /media/sauvegarde/copie /var/lib/reprise/copie
    sudo cp -a /media/coffre /var/lib/reprise/coffre && sudo chown -R mulot: /var/lib/reprise
    sudo -u mulot mulot restore --guichet /etc/mulot/guichet.toml --cle /var/lib/reprise/coffre /var/lib/reprise/copie
    sudo -u mulot mulot demandes reconcilier --guichet /etc/mulot/guichet.toml
    sudo rm -r /var/lib/reprise'
gardees "les mêmes demandes, commune par commune"
dans "et le guichet y reprend" 'sudo systemctl enable --now mulot'
check "il répond" until_true 60 repond
demandent 1
gardees "et prend celles d'après"

# What docs/plusieurs-machines.md says to type, read in the page itself.
dans "les commandes de plusieurs-machines.md se tapent telles quelles" '
    sed -n "/^## L.installer/,/^## Le répartiteur/p" /usr/share/doc/mulot/plusieurs-machines.md | sed -n "/^\`\`\`sh/,/^\`\`\`\$/{/^\`\`\`/d;p}" >/tmp/commandes
    test "$(wc -l </tmp/commandes)" -ge 10
    sudo systemctl disable --now mulot
    sh -ex /tmp/commandes
    test "$(ls /etc/mulot/cles | wc -l)" -ge 30; test "$(stat -c "%a %U %s" /etc/mulot/cles/* | sort -u)" = "600 mulot 65"
    test "$(stat -c "%a %G" /etc/mulot/base /etc/mulot/seau | sort -u)" = "640 mulot"'
dans "les unités prennent ce qui leur est ajouté" '
    sudo systemctl start mulot-accueil.socket; systemctl is-active mulot-accueil.socket
    systemctl show -P Listen mulot-accueil.socket | grep -x "10.0.0.11:8080 (Stream)"
    for unite in mulot-accueil mulot-sauvegarde; do
        test "$(systemctl show -P PrivateNetwork $unite)" = no; systemctl show -P IPAddressAllow $unite | grep -q 10.0.0.20
        systemctl show -P IPAddressDeny $unite | grep -q 0.0.0.0/0
    done'
chef=$premiere
bilan
