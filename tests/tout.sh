#!/bin/sh
# Installs what the tests need, then runs every suite and says how each ended.
# As root, or with a sudo that asks nothing, missing packages come from apt; otherwise they are named.
# CARGO_TARGET_DIR is respected; the default is a cache outside the clone. Exit code 1 if any suite failed.
# --long adds the long forms of tests/preuves (about an hour): a thousand kills, power cuts, all faults, the mutants.
set -u

long=
case ${1-} in
'') ;;
--long) long=oui ;;
*)
    echo "Emploi : tests/tout.sh [--long]" >&2
    exit 2
    ;;
esac

racine=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
cd -- "$racine" || exit 2
[ -d "${CARGO_HOME:-${HOME:-}/.cargo}/bin" ] && PATH=${CARGO_HOME:-${HOME:-}/.cargo}/bin:$PATH
: "${CARGO_TARGET_DIR:=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/mulot-target}"
export CARGO_TARGET_DIR PATH CARGO_INCREMENTAL=0
export CARGO_TERM_COLOR="${CARGO_TERM_COLOR:-never}" INSTA_UPDATE=no
journaux=$(mktemp -d)
trap 'rm -rf -- "$journaux"' EXIT
bilan=$journaux/bilan
: >"$bilan"

say() { printf '\n=== %s\n' "$*"; }
present() { command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ]; }

# --- What the tests need -------------------------------------------------------------------------------------------

packages=
need() { # command, package
    present "$1" || packages="$packages $2"
}
need caddy caddy
need cc build-essential
need chromium chromium
need clamd clamav-daemon
need curl curl
need dpkg-shlibdeps dpkg-dev
need faketime faketime
need haproxy haproxy
need java default-jre-headless
need nginx nginx-light
need node nodejs
need npm npm
need pdftotext poppler-utils
need pgrep procps
need postfix postfix
[ -n "$(find /usr/lib/postgresql -name initdb 2>/dev/null)" ] || packages="$packages postgresql"
need rsync rsync
need sshd openssh-server
need strace strace
need systemd-nspawn systemd-container
need openssl openssl
need python3 python3
need unshare util-linux
need lynx lynx
need script bsdutils
need shellcheck shellcheck
need git git
if [ -n "$long" ]; then
    need qemu-system-x86_64 qemu-system-x86
    need busybox busybox-static
    need debootstrap debootstrap
    need cpio cpio
    need mkfs.ext4 e2fsprogs
    set -- /boot/vmlinuz-*
    [ -e "$1" ] || packages="$packages linux-image-cloud-amd64"
fi
need dovecot dovecot-imapd
need curl curl
need pebble pebble
need_python() { # module, package
    /usr/bin/python3 -c "import $1" 2>/dev/null || packages="$packages $2"
}
need_python dkim python3-dkim
need_python nacl python3-nacl
need_python jsonschema python3-jsonschema
need_python pip python3-pip
need_python yaml python3-yaml

if [ -n "$packages" ]; then
    say "paquets :$packages"
    as_root=
    if [ "$(id -u)" -ne 0 ]; then
        if command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then as_root='sudo -n'; else as_root=non; fi
    fi
    if [ "$as_root" = non ] || ! command -v apt-get >/dev/null 2>&1; then
        echo "Il manque des programmes. Installez-les, puis relancez : sudo apt install$packages"
    else
        export DEBIAN_FRONTEND=noninteractive
        # Postfix is driven by the tests with a configuration of their own: the machine's stays as it is.
        echo 'postfix postfix/main_mailer_type select No configuration' | $as_root debconf-set-selections 2>/dev/null
        $as_root apt-get update -qq
        # shellcheck disable=SC2086 # a list of words
        $as_root apt-get install -y -qq --no-install-recommends $packages </dev/null >"$journaux/apt" 2>&1 ||
            tail -n 20 "$journaux/apt"
    fi
fi
if present node && [ "$(node -p 'parseInt(process.versions.node)')" -lt 20 ]; then
    echo "Node $(node --version) est ancien : les essais dans le navigateur demandent la version 20 (https://nodejs.org)."
fi
if command -v rustup >/dev/null 2>&1; then
    cargo fmt --version >/dev/null 2>&1 || rustup component add rustfmt
    cargo clippy --version >/dev/null 2>&1 || rustup component add clippy
fi
if [ -f tests/navigateur/package-lock.json ] && present npm; then
    lu=tests/navigateur/node_modules/.package-lock.json
    if [ ! -f "$lu" ] || [ -n "$(find tests/navigateur/package-lock.json -newer "$lu")" ]; then
        say "npm ci"
        (cd tests/navigateur && npm ci --ignore-scripts --no-audit --no-fund </dev/null)
    fi
fi

# --- The suites ----------------------------------------------------------------------------------------------------

# suite NAME COMMAND…: runs it, keeps its closing line and how it ended.
suite() {
    nom=$1
    shift
    say "$nom"
    debut=$(date +%s)
    { "$@" </dev/null 2>&1; echo $? >"$journaux/code"; } | tee "$journaux/suite"
    code=$(cat "$journaux/code")
    fin=$(closing_line "$journaux/suite")
    if [ "$code" -eq 0 ]; then etat=réussi; else etat=ÉCHEC; fi
    printf '%-14s %s %4s s  %s\n' "$nom" "$etat" "$(($(date +%s) - debut))" "$fin" >>"$bilan"
}

# « N passed, N failed »: cargo's results added up, or the last line a suite gives in that form.
closing_line() {
    awk '
        /^test result:/ {
            for (at = 1; at < NF; at++) {
                if ($(at + 1) ~ /^passed/) passed += $at
                if ($(at + 1) ~ /^failed/) failed += $at
            }
            cargo = 1
        }
        /[0-9]+ passed, [0-9]+ failed/ { last = $0 }
        END { if (cargo) printf "%d passed, %d failed\n", passed, failed; else print last }
    ' "$1"
}

suite format cargo fmt --check
suite clippy cargo clippy --locked --all-targets -- -D warnings
suite cargo-test cargo test --locked --no-fail-fast
if [ -n "$long" ]; then
    suite preuves env MULOT_LONG=1 cargo test --locked --test preuves -- \
        --include-ignored --nocapture --test-threads=1
    suite morts env MULOT_KILL_CYCLES=1000 cargo test --locked --test kill -- --nocapture
fi
suite scripts shellcheck install.sh .ci/run tests/*.sh docs/deploiement/debian/construire.sh
suite installation sh tests/installation.sh
suite programme cargo build --locked
MULOT=$CARGO_TARGET_DIR/debug/mulot
export MULOT
suite paquet sh tests/paquet.sh "$MULOT" ${long:+--long}
suite frontal python3 tests/frontal.py "$MULOT"
suite hotes /usr/bin/python3 tests/hotes "$MULOT"
if [ -f tests/navigateur/suite.mjs ]; then
    suite navigateur node tests/navigateur/suite.mjs
fi

say "bilan"
cat "$bilan"
! grep -q 'ÉCHEC' "$bilan"
