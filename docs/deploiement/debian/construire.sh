#!/bin/sh
# Fait le paquet Debian d'un programme déjà construit. Appelé par « install.sh --paquet ».
# Usage : construire.sh PROGRAMME DOSSIER [SUFFIXE]   → écrit DOSSIER/mulot_VERSION_ARCHITECTURE.deb et dit son nom
# MULOT_MAINTENEUR="Nom <adresse>" : qui répond de ce paquet, quand ce n'est pas le projet.
set -eu
umask 022

programme=$1
dossier=$2
suffixe=${3-}
racine=$(CDPATH='' cd -- "$(dirname -- "$0")/../../.." && pwd)
modeles=$racine/docs/deploiement
version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$racine/Cargo.toml" | head -n 1)$suffixe
architecture=$(dpkg --print-architecture)
mainteneur=${MULOT_MAINTENEUR:-Les auteurs de Mulot <mulot@localhost>}
# Le même contenu donne le même paquet : les dates sont celles de la dernière modification, pas de l'instant.
: "${SOURCE_DATE_EPOCH:=$(git -C "$racine" log -1 --format=%ct 2>/dev/null || stat -c %Y -- "$racine/Cargo.lock")}"
export SOURCE_DATE_EPOCH

travail=$(mktemp -d)
trap 'rm -rf -- "$travail"' EXIT
arbre=$travail/arbre
doc=$arbre/usr/share/doc/mulot

poser() { # droits, source, destination dans le paquet
    install -D -m "$1" -- "$2" "$arbre/$3"
}

poser 755 "$programme" usr/bin/mulot
strip --strip-unneeded --remove-section=.comment --remove-section=.note "$arbre/usr/bin/mulot"
for unite in "$modeles"/systemd/mulot*; do
    poser 644 "$unite" "usr/lib/systemd/system/${unite##*/}"
done
poser 755 "$modeles/debian/mulot-secrets" usr/lib/systemd/system-generators/mulot-secrets
poser 755 "$modeles/debian/sauvegarder" usr/lib/mulot/sauvegarder
poser 755 "$modeles/debian/refaire-les-sites" usr/lib/mulot/refaire-les-sites
poser 644 "$modeles/debian/entretien.conf" etc/mulot/entretien.conf
poser 644 "$modeles/debian/mulot.1" usr/share/man/man1/mulot.1
gzip -9n "$arbre/usr/share/man/man1/mulot.1"
mkdir -p "$arbre/usr/share/man/fr/man1"
ln -s ../../man1/mulot.1.gz "$arbre/usr/share/man/fr/man1/mulot.1.gz"

# La documentation, telle qu'elle est dans le dépôt ; CHANGELOG.md est à côté d'elle et non au-dessus.
(cd -- "$racine/docs" && find . -type f \( -name '*.md' -o -name '*.json' -o -path './deploiement/exemples/*' \) ! -path './deploiement/debian/*') |
    while read -r fichier; do
        poser 644 "$racine/docs/$fichier" "usr/share/doc/mulot/${fichier#./}"
    done
find "$doc" -name '*.md' -exec sed -i 's,(\.\./CHANGELOG\.md),(CHANGELOG.md),g' {} +
if [ -d "$doc/deploiement/exemples" ]; then
    mv "$doc/deploiement/exemples" "$doc/exemples"
    rmdir --ignore-fail-on-non-empty "$doc/deploiement"
fi
poser 644 "$modeles/debian/copyright" usr/share/doc/mulot/copyright
poser 644 "$racine/LICENSE" usr/share/doc/mulot/LICENSE
poser 644 "$racine/CHANGELOG.md" usr/share/doc/mulot/CHANGELOG.md
gzip -9n "$doc/LICENSE"
{
    printf 'mulot (%s) stable; urgency=medium\n\n' "$version"
    printf '  * Ce qui change est dit dans /usr/share/doc/mulot/CHANGELOG.md.\n\n'
    printf ' -- %s  %s\n' "$mainteneur" "$(LC_ALL=C date -u -d "@$SOURCE_DATE_EPOCH" '+%a, %d %b %Y %H:%M:%S +0000')"
} | gzip -9n >"$doc/changelog.gz"

# Les bibliothèques de la machine dont le programme a besoin, avec la plus ancienne version qui convient.
mkdir -p "$travail/shlibs/debian"
printf 'Source: mulot\n\nPackage: mulot\nArchitecture: any\n' >"$travail/shlibs/debian/control"
bibliotheques=$(cd -- "$travail/shlibs" && dpkg-shlibdeps -O -e"$arbre/usr/bin/mulot" 2>/dev/null | sed -n 's/^shlibs:Depends=//p')
[ -n "$bibliotheques" ] || {
    echo "erreur : dpkg-shlibdeps ne dit pas de quelles bibliothèques dépend $programme" >&2
    exit 2
}

mkdir -p "$arbre/DEBIAN"
for script in postinst prerm postrm; do
    install -m 755 -- "$modeles/debian/$script" "$arbre/DEBIAN/$script"
done
echo /etc/mulot/entretien.conf >"$arbre/DEBIAN/conffiles"
cat >"$arbre/DEBIAN/control" <<FIN
Package: mulot
Version: $version
Architecture: $architecture
Maintainer: $mainteneur
Installed-Size: $(du -k -s --apparent-size -- "$arbre" | cut -f 1)
Depends: $bibliotheques, adduser, ca-certificates
Suggests: caddy | nginx, clamav-daemon, openssh-client, rsync
Section: web
Priority: optional
Description: le site et le guichet d'une commune rurale
 Mulot fait le site d'une commune, ou de toutes celles d'un territoire, à partir
 d'un dossier de textes, et reçoit les demandes des habitants : il vérifie,
 garde, donne l'accusé que la loi demande et porte la demande à la boîte de la
 mairie.
 .
 Rien ne tourne après l'installation : /usr/share/doc/mulot/technicien.md dit le
 premier jour.
FIN
(cd -- "$arbre" && find . -type f ! -path './DEBIAN/*' -printf '%P\0' | sort -z | xargs -0 md5sum) >"$arbre/DEBIAN/md5sums"

mkdir -p -- "$dossier"
paquet=$dossier/mulot_${version}_$architecture.deb
dpkg-deb --root-owner-group --build "$arbre" "$paquet" >/dev/null
echo "$paquet"
