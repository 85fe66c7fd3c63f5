#!/bin/sh
# Exercises install.sh from outside with a cargo that builds nothing: prefix, replacement, service, removal, refusals.
# Prints « N passed, N failed »; exit code 1 if any failed.
# shellcheck disable=SC2016 # inner shells expand their own variables
set -u

racine=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
essais=$(mktemp -d)
trap 'rm -rf -- "$essais"' EXIT
passed=0
failed=0

ok() {
    passed=$((passed + 1))
    printf 'ok    %s\n' "$1"
}
ko() {
    failed=$((failed + 1))
    printf 'FAIL  %s\n' "$1"
    sed 's/^/      /' "$essais/sortie"
}
# check NAME COMMAND…: the command succeeds.
check() {
    nom=$1
    shift
    if "$@" >>"$essais/sortie" 2>&1; then ok "$nom"; else ko "$nom"; fi
}
says() { grep -qF -- "$1" "$essais/sortie"; }

# install CODE ARGUMENTS…: runs install.sh and checks its exit code.
install() {
    attendu=$1
    shift
    env -i HOME="$essais/maison" PATH="$essais/outils:/usr/bin:/bin" CARGO_TARGET_DIR="$essais/cible" \
        sh "$racine/install.sh" "$@" >"$essais/sortie" 2>&1 </dev/null
    code=$?
    check "install.sh $* → $attendu" test "$code" -eq "$attendu"
}

mkdir -p "$essais/outils" "$essais/maison"
cat >"$essais/outils/cargo" <<'FIN'
#!/bin/sh
case $1 in
    --version) echo "cargo ${FAUX_CARGO:-1.95.0} (0000000 2026-01-01)" ;;
    build)
        profil=$3
        mkdir -p "$CARGO_TARGET_DIR/$profil"
        printf '#!/bin/sh\necho "mulot 0.0.0 $*"\n' >"$CARGO_TARGET_DIR/$profil/mulot"
        chmod +x "$CARGO_TARGET_DIR/$profil/mulot"
        ;;
    metadata) printf '{"packages":[],"target_directory":"%s","version":1}\n' "$CARGO_TARGET_DIR" ;;
esac
FIN
chmod +x "$essais/outils/cargo"
prefixe="$essais/un préfixe"

install 0 --aide
check "l'aide nomme chaque option" sh -c 'for o in prefix essai service paquet programme suffixe desinstaller aide; do grep -q -- "--$o" "$1" || exit 1; done' - "$essais/sortie"

install 1 --inconnue
check "une option inconnue est nommée" says "l'option « --inconnue » n'existe pas"
install 1 --prefix
install 1 --service "$essais/absent"
check "un dossier absent est nommé" says "$essais/absent"

install 1 --paquet
install 1 --programme "$essais/absent"
check "une option du paquet, seule, est refusée" says "vont avec --paquet"
install 1 --paquet "$essais/paquets" --programme "$essais/absent"
check "un programme absent est nommé" says "« $essais/absent » n'est pas un programme"
install 1 --paquet "$essais/paquets" --suffixe '+a b'
check "un suffixe impossible est nommé" says "« +a b » ne va pas dans une version"
check "rien n'a été fait" test ! -e "$essais/paquets"

install 0 --prefix "$prefixe"
check "la commande est installée" test -x "$prefixe/bin/mulot"
check "le PATH est expliqué" says "export PATH=\"$prefixe/bin:\$PATH\""
check "rien d'autre n'est laissé" sh -c 'test "$(ls -A "$1" | wc -l)" -eq 1' - "$prefixe/bin"
inode=$(ls -i "$prefixe/bin/mulot")
install 0 --prefix="$prefixe"
check "une nouvelle installation remplace le fichier d'un coup" test "$inode" != "$(ls -i "$prefixe/bin/mulot")"

install 0 --prefix "$prefixe" --essai
check "--essai ouvre la commune d'exemple" says "mulot 0.0.0 serve $racine/starter-commune"

sed -i 's/1\.95\.0/1.63.0/' "$essais/outils/cargo"
install 2 --prefix "$prefixe"
check "un Rust trop ancien est dit" says "Rust 1.63 est trop ancien"
sed -i 's/1\.63\.0/1.100.1/' "$essais/outils/cargo"
install 0 --prefix "$prefixe"

mkdir -p "$essais/guichet 100 %"
if [ "$(id -u)" -eq 0 ]; then
    unite=/etc/systemd/system/mulot-guichet.service
    chown daemon "$essais/guichet 100 %"
else
    unite=$essais/maison/.config/systemd/user/mulot-guichet.service
fi
if [ -e "$unite" ]; then
    printf 'skip  le service : %s existe déjà sur cette machine\n' "$unite"
else
    install 0 --prefix "$prefixe" --service "$essais/guichet 100 %"
    check "l'unité systemd est écrite" test -f "$unite"
    check "elle lance le guichet du dossier" grep -qF "guichet \"$essais/guichet 100 %%/guichet.toml\"" "$unite"
    check "l'absence de guichet.toml est dite" says "Il reste à écrire $essais/guichet 100 %/guichet.toml"
    if command -v systemd-analyze >/dev/null 2>&1 && [ "$(id -u)" -eq 0 ]; then
        systemd-analyze verify "$unite" >"$essais/sortie" 2>&1
        check "systemd comprend l'unité" sh -c '! grep -q mulot-guichet "$1"' - "$essais/sortie"
    fi
    install 0 --prefix "$prefixe" --desinstaller
    check "le service est retiré" test ! -e "$unite"
    check "la commande est retirée" test ! -e "$prefixe/bin/mulot"
    check "le dossier du guichet reste" test -d "$essais/guichet 100 %"
fi
install 0 --prefix "$prefixe" --desinstaller

rm "$essais/outils/cargo"
if [ -x /usr/bin/cargo ] || [ -x /usr/local/cargo/bin/cargo ]; then
    echo "skip  l'absence de Rust : cette machine l'a pour tous"
else
    install 2 --prefix "$prefixe"
    check "l'absence de Rust est dite" says "Rust n'est pas installé"
fi

printf 'installation: %s passed, %s failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
