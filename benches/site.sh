#!/bin/sh
# Compares mulot with nginx and Caddy on the same files, on loopback: requests a second and p99, plain and TLS.
#
#   benches/site.sh [MULOT]        MULOT: the program (target/release/mulot if not given)
#
# All answer with the same security headers, those that mulot gives: nginx and Caddy are told to.
#
# Needs nginx, caddy, wrk, curl and openssl; installs nothing. SECONDS_EACH (4) and ROUNDS (3) may be set. Servers and wrk share
# the machine; rounds are interleaved and the median is told, so that a busy moment spares nobody.
set -eu

mulot=${1:-target/release/mulot}
each=${SECONDS_EACH:-4}
rounds=${ROUNDS:-3}
for program in nginx caddy wrk curl openssl; do
    command -v "$program" >/dev/null || { echo "il manque : $program" >&2; exit 2; }
done
work=$(mktemp -d)
pids=
stop() {
    for pid in $pids; do kill "$pid" 2>/dev/null || true; done
    rm -rf "$work"
}
trap stop EXIT INT TERM
chmod 755 "$work"

# --- The same files for all ------------------------------------------------------------------------------------------
here=$(cd "$(dirname "$0")/.." && pwd)
cp -r "$here/starter-commune" "$work/commune"
"$mulot" build "$work/commune" --sortie "$work/public" >/dev/null
page=$work/public/agenda/index.html
[ -f "$page" ] || page=$work/public/index.html
# A page of 28 kB, whatever the sample is today.
head -c 28672 "$page" >"$work/public/page.html"
asset=$(cd "$work/public" && find assets -type f -size -4k | sort | head -1)
# nginx and Caddy need copies made before; ours compresses by itself, so it gets none.
cp -r "$work/public" "$work/copies"
find "$work/copies" -type f \( -name '*.html' -o -name '*.css' -o -name '*.js' \) -exec gzip -6 -k {} +
chmod -R a+rX "$work"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=localhost \
    -addext subjectAltName=DNS:localhost -keyout "$work/cle.pem" -out "$work/chaine.pem" 2>/dev/null
chmod 644 "$work/cle.pem"

# --- The servers -----------------------------------------------------------------------------------------------------
cat >"$work/guichet.toml" <<EOF
dossier = "commune"
donnees = "donnees"
ecoute = "127.0.0.1:9103"
site = "public"
confirmer_destinataires = false
[courriel]
transport = "dossier"
dossier = "boite"
[https]
ecoute = "127.0.0.1:9113"
ecoute_http = "aucune"
[[https.certificats]]
certificat = "chaine.pem"
cle_privee = "cle.pem"
EOF
"$mulot" guichet "$work/guichet.toml" 2>"$work/mulot.log" & pids="$pids $!"
curl -s --noproxy '*' --retry 60 --retry-delay 1 --retry-connrefused -o /dev/null -D "$work/tete" http://127.0.0.1:9103/page.html
security() { # TEMPLATE of printf: one line a header
    tr -d '\r' <"$work/tete" | grep -Ei '^(content-security|x-|referrer|cross-origin|permissions|origin-agent|cache-control)' |
        while IFS=': ' read -r name value; do
            # shellcheck disable=SC2059 # the template is ours
            printf "$1" "$name" "$value"
        done
}
cat >"$work/nginx.conf" <<EOF
worker_processes 2;
pid $work/nginx.pid;
error_log /dev/null;
daemon off;
events { worker_connections 1024; }
http {
    include /etc/nginx/mime.types;
    access_log off;
    sendfile on;
    tcp_nopush on;
    gzip_static on;
$(security '    add_header %s "%s" always;\n')
    ssl_certificate $work/chaine.pem;
    ssl_certificate_key $work/cle.pem;
    server { listen 127.0.0.1:9101; listen 127.0.0.1:9111 ssl; root $work/copies; index index.html; }
}
EOF
cat >"$work/Caddyfile" <<EOF
{
    admin off
    auto_https off
}
http://127.0.0.1:9102 {
$(security '    header %s "%s"\n')
    root * $work/copies
    file_server {
        precompressed gzip
    }
}
https://localhost:9112 {
    bind 127.0.0.1
    tls $work/chaine.pem $work/cle.pem
$(security '    header %s "%s"\n')
    root * $work/copies
    file_server {
        precompressed gzip
    }
}
EOF
nginx -c "$work/nginx.conf" 2>/dev/null & pids="$pids $!"
XDG_DATA_HOME=$work HOME=$work caddy run --config "$work/Caddyfile" --adapter caddyfile >"$work/caddy.log" 2>&1 & pids="$pids $!"
for port in 9101 9102 9103; do
    curl -s --noproxy '*' --retry 40 --retry-delay 1 --retry-connrefused -o /dev/null "http://127.0.0.1:$port/page.html"
done

# --- The questions ---------------------------------------------------------------------------------------------------
# ask URL [HEADER]: « requests/s p99 » of one run of wrk.
ask() {
    url=$1
    shift
    wrk -t2 -c32 -d"${each}s" --latency "$@" "$url" >"$work/wrk" 2>&1
    if grep -q 'Non-2xx' "$work/wrk" && [ "${want304:-}" = "" ]; then echo "erreur sur $url" >&2; cat "$work/wrk" >&2; fi
    awk '/99%/ { p99 = $2 } /Requests\/sec/ { rate = $2 } END { print rate, p99 }' "$work/wrk"
}
median() { sort -n "$1" | awk '{ line[NR] = $0 } END { print line[int((NR + 1) / 2)] }'; }

compare() { # TITLE PATH SCHEME [HEADER…]
    title=$1 path=$2 scheme=$3
    shift 3
    for server in nginx caddy mulot; do : >"$work/$server.rates"; done
    round=0
    while [ "$round" -lt "$rounds" ]; do
        for server in nginx caddy mulot; do
            case $scheme$server in
                httpnginx) base=http://127.0.0.1:9101 ;;
                httpcaddy) base=http://127.0.0.1:9102 ;;
                httpmulot) base=http://127.0.0.1:9103 ;;
                httpsnginx) base=https://localhost:9111 ;;
                httpscaddy) base=https://localhost:9112 ;;
                httpsmulot) base=https://localhost:9113 ;;
            esac
            if [ "${want304:-}" ]; then
                tag=$(curl -sk --noproxy '*' -D - -o /dev/null "$base/$path" | tr -d '\r' | sed -n 's/^[Ee][Tt][Aa][Gg]: //p')
                ask "$base/$path" -H "If-None-Match: $tag" >>"$work/$server.rates"
            else
                ask "$base/$path" "$@" >>"$work/$server.rates"
            fi
        done
        round=$((round + 1))
    done
    for server in nginx caddy mulot; do median "$work/$server.rates" >"$work/$server.median"; done
    awk -v title="$title" '{ rate[NR] = $1; p99[NR] = $2 } END {
        printf "%-28s nginx %7d/s %-9s caddy %7d/s %-9s mulot %7d/s %-9s  /nginx %.2f  /caddy %.2f\n",
            title, rate[1], p99[1], rate[2], p99[2], rate[3], p99[3], rate[3] / rate[1], rate[3] / rate[2] }' \
        "$work/nginx.median" "$work/caddy.median" "$work/mulot.median"
}

for scheme in http https; do
    compare "$scheme, page de 28 ko" page.html "$scheme"
    compare "$scheme, page compressée" page.html "$scheme" -H 'Accept-Encoding: gzip'
    compare "$scheme, petit fichier" "$asset" "$scheme"
    want304=oui
    compare "$scheme, 304" page.html "$scheme"
    want304=
done
