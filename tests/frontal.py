"""Starts Caddy and nginx, from Debian's packages, on what `mulot exemple` writes, and compares them with our own server.

Usage: python3 tests/frontal.py PROGRAM. Free ports of the loopback, everything in a temporary folder, stopped by pid.
Prints « N passed, N failed »; exit code 1 if any failed.
"""

import gzip
import http.server
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
HOST, OTHER = "www.trou.example", "trou.example"
PASSED, FAILED = [], []


def check(name, is_right, told=""):
    """Counts one fact, and says it when it is wrong."""
    (PASSED if is_right else FAILED).append(name)
    if not is_right:
        print(f"FAIL  {name}\n      {told}")


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def until(is_done, what, process, journal, seconds=60):
    """Polls a condition, with a deadline."""
    deadline = time.monotonic() + seconds
    while not is_done():
        if time.monotonic() > deadline or process.poll() is not None:
            sys.exit(f"{what} ne démarre pas : {journal.read_text()}")
        threading.Event().wait(0.05)


def answers(port):
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


class Answer:
    """Status, headers in lower case, body."""

    def __init__(self, raw):
        head, _, self.body = raw.partition(b"\r\n\r\n")
        while re.match(rb"HTTP/\S+ 1\d\d", head):
            head, _, self.body = self.body.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        self.status = int(lines[0].split()[1])
        self.headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            self.headers.setdefault(name.lower(), []).append(value.strip())

    def get(self, name):
        return ", ".join(self.headers.get(name, []))


def ask(port, path, *options, host=HOST, scheme="https"):
    """What a server of the loopback answers, by curl; `None` when it does not even speak."""
    order = ["curl", "-sSik", "--http1.1", "--max-time", "30", "--path-as-is", "--resolve", f"{host}:{port}:127.0.0.1",
             "-H", f"Host: {host}", *options, f"{scheme}://{host}:{port}{path}"]
    done = subprocess.run(order, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    return Answer(done.stdout) if done.stdout.startswith(b"HTTP/") else None


class Echo(http.server.BaseHTTPRequestHandler):
    """Says what it was told of the visitor."""

    def do_GET(self):
        text = "\n".join(f"{name.lower()}: {value}" for name, value in self.headers.items()).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


class Front:
    """A web server on what `mulot exemple` wrote; only ports and certificates are replaced."""

    def __init__(self, kind, folder, program, commune, desk):
        self.kind, self.http, self.https = kind, free_port(), free_port()
        self.folder = folder / f"{kind}-{desk}"
        self.folder.mkdir()
        text = subprocess.run([program, "exemple", kind, commune, "--guichet", f"127.0.0.1:{desk}"], check=True,
                              stdout=subprocess.PIPE).stdout.decode()
        self.text = text
        order = self.caddy(text) if kind == "caddy" else self.nginx(text, folder)
        log = open(self.folder / "journal", "wb")
        environment = dict(os.environ, HOME=str(self.folder), XDG_DATA_HOME=str(self.folder), XDG_CONFIG_HOME=str(self.folder))
        self.process = subprocess.Popen(order, stdout=log, stderr=log, env=environment)
        ready = lambda: answers(self.http) and answers(self.https) and ask(self.https, "/robots.txt") is not None
        until(ready, kind, self.process, self.folder / "journal")

    def caddy(self, text):
        top = f"""{{
            admin off
            http_port {self.http}
            https_port {self.https}
            default_bind 127.0.0.1
            local_certs
            skip_install_trust
            storage file_system "{self.folder}"
        }}
        """
        file = self.folder / "Caddyfile"
        file.write_text(top + text)
        return ["caddy", "run", "--config", str(file), "--adapter", "caddyfile"]

    def nginx(self, text, folder):
        text = re.sub(r"\n *listen \[::\][^;]*;", "", text)
        text = text.replace("listen 80", f"listen 127.0.0.1:{self.http}").replace("listen 443", f"listen 127.0.0.1:{self.https}")
        text = re.sub(r"/etc/letsencrypt/live/[^/]*", str(folder / "certificat"), text)
        temporary = "".join(f"{one}_temp_path {self.folder}/{one};\n" for one in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        file = self.folder / "nginx.conf"
        user = "user root;" if os.getuid() == 0 else ""
        file.write_text(f"{user}daemon off; pid {self.folder}/pid; error_log stderr;\nevents {{}}\nhttp {{\naccess_log off;\n"
                        f"{temporary}{text}\n}}\n")
        nginx = shutil.which("nginx") or "/usr/sbin/nginx"
        return [nginx, "-e", "stderr", "-p", str(self.folder), "-c", str(file)]

    def stop(self):
        self.process.terminate()
        self.process.wait(20)


SECURITY = ["content-security-policy", "strict-transport-security", "x-content-type-options", "x-frame-options", "referrer-policy",
            "cross-origin-opener-policy", "cross-origin-embedder-policy", "cross-origin-resource-policy", "permissions-policy",
            "origin-agent-cluster", "x-permitted-cross-domain-policies"]


def compare(front, own, site):
    """The same request to both: same status, same headers, same bytes."""
    pages = [path.relative_to(site).as_posix() for path in sorted(site.rglob("*"))
             if path.is_file() and not path.name.startswith(".")]
    kinds = {pathlib.PurePosixPath(page).suffix: page for page in pages if not page.endswith((".gz", ".br"))}
    paths = ["/", "/mairie/", "/nulle-part", "/nulle-part.ics", "/assets/rien.css", *("/" + page for page in kinds.values())]
    for path in paths:
        theirs, ours = ask(front.https, path), ask(own, path, scheme="http")
        check(f"{front.kind} {path}: même état", theirs.status == ours.status, f"{theirs.status}, pour nous {ours.status}")
        for name in [*SECURITY, "cache-control", "content-type"]:
            check(f"{front.kind} {path}: même {name}", theirs.get(name).lower() == ours.get(name).lower(),
                  f"« {theirs.get(name)} », pour nous « {ours.get(name)} »")
        check(f"{front.kind} {path}: mêmes octets", theirs.body == ours.body, f"{len(theirs.body)} et {len(ours.body)} octets")
        check(f"{front.kind} {path}: Vary", "accept-encoding" in theirs.get("vary").lower(), theirs.get("vary"))
        check(f"{front.kind} {path}: ne dit pas sa version", not re.search(r"\d", theirs.get("server")), theirs.get("server"))
    for name in SECURITY:
        check(f"{front.kind}: {name} n'est pas vide", ask(front.https, "/").get(name) != "")


def behave(front, own, site):
    """What there is to say beyond the headers."""
    kind = front.kind
    (site / "index.html.gz").write_bytes(gzip.compress(b"copie compressee"))
    squeezed = ask(front.https, "/", "-H", "Accept-Encoding: gzip")
    check(f"{kind}: sert la copie compressée", squeezed.get("content-encoding") == "gzip"
          and gzip.decompress(squeezed.body) == b"copie compressee", squeezed.headers)
    (site / "index.html.gz").unlink()
    style = next(site.glob("assets/*.css")).relative_to(site)
    squeezed = ask(front.https, f"/{style}", "-H", "Accept-Encoding: gzip")
    check(f"{kind}: compresse ce qui n'a pas de copie", squeezed.get("content-encoding") == "gzip", squeezed.headers)

    first = ask(front.https, "/mairie/")
    again = ask(front.https, "/mairie/", "-H", f"If-None-Match: {first.get('etag')}")
    check(f"{kind}: 304 quand rien n'a changé", again.status == 304 and first.get("etag") != "", again.status)
    part = ask(front.https, f"/{style}", "-H", "Range: bytes=0-9")
    check(f"{kind}: un morceau de fichier", part.status == 206 and len(part.body) == 10, part.status)

    slash = ask(front.https, "/mairie")
    check(f"{kind}: ajoute la barre finale", slash.status in (301, 308) and slash.get("location").endswith("/mairie/"), slash.headers)
    plain = ask(front.http, "/mairie/?a=b", scheme="http")
    check(f"{kind}: http mène à https", plain.status == 308 and plain.get("location") == f"https://{HOST}/mairie/?a=b", plain.headers)
    for port, scheme in ((front.http, "http"), (front.https, "https")):
        other = ask(port, "/x?y", host=OTHER, scheme=scheme)
        check(f"{kind}: l'autre nom mène au premier ({scheme})",
              other is not None and other.status == 308 and other.get("location") == f"https://{HOST}/x?y", other and other.headers)
    stranger = ask(front.http, "/", host="inconnu.example", scheme="http")
    check(f"{kind}: un nom inconnu est refusé", stranger.status == 421 and HOST.encode() not in stranger.body, stranger.status)
    check(f"{kind}: et n'a pas de certificat", ask(front.https, "/", host="inconnu.example") is None)
    posted = ask(front.https, "/", "-X", "POST", "-d", "a=b")
    check(f"{kind}: une page ne se poste pas", posted.status == 405, posted.status)
    hidden = ask(front.https, "/.mulot")
    check(f"{kind}: un fichier caché n'est pas servi", hidden.status == 404, hidden.status)
    climbed = ask(front.https, "/../../../../etc/hostname")
    check(f"{kind}: ne sort pas du dossier", climbed.status in (400, 404), climbed.status)

    health = ask(front.https, "/guichet/pret")
    check(f"{kind}: le guichet répond", health.status == 200 and b'"pret":true' in health.body, health.body)
    theirs, ours = ask(front.https, "/guichet/rien/"), ask(own, "/guichet/rien/", scheme="http")
    for name in [*SECURITY, "cache-control", "content-type"]:
        check(f"{kind}: le guichet garde ses en-têtes, {name}", theirs.headers.get(name) == ours.headers.get(name),
              f"{theirs.headers.get(name)} {ours.headers.get(name)}")
    large = front.folder / "lourd"
    with open(large, "wb") as file:
        file.truncate(71 << 20)
    heavy = ask(front.https, "/guichet/saisir-la-mairie/verifier", "-H", "Expect:", "-H",
                "Content-Type: application/x-www-form-urlencoded", "-T", str(large), "-X", "POST")
    # The guichet refuses before all has come, and closes: Caddy may still be writing, and then says 502 itself.
    check(f"{kind}: un envoi démesuré est refusé", heavy is None or heavy.status in (413, 502), heavy and heavy.status)


def visitor(kind, folder, program, commune):
    """The guichet is told who visits, and not what a visitor claims."""
    echo = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=echo.serve_forever, daemon=True).start()
    front = Front(kind, folder, program, commune, echo.server_address[1])
    told = ask(front.https, "/guichet/x", "-H", "X-Forwarded-For: 192.0.2.66").body.decode()
    check(f"{kind}: dit l'adresse du visiteur", "x-forwarded-for: 127.0.0.1\n" in told + "\n", told)
    check(f"{kind}: dit le nom demandé", re.search(rf"^host: {re.escape(HOST)}", told, re.M), told)
    check(f"{kind}: dit que c'était chiffré", "x-forwarded-proto: https" in told, told)
    echo.shutdown()
    echo.server_close()
    front.stop()


def main(program):
    with tempfile.TemporaryDirectory(prefix="mulot-frontal-") as temporary:
        folder = pathlib.Path(temporary)
        territoire = folder / "territoire"
        commune = territoire / "communes" / "trou"
        shutil.copytree(ROOT / "tests/communes/minimal", commune)
        (territoire / "commun").mkdir()
        (territoire / "territoire.toml").write_text(
            f'format = 1\nnom = "Pays du Trou"\n[[commune]]\ndossier = "trou"\n'
            f'domaines = ["https://{HOST}", "https://{OTHER}"]\n')
        described = commune / "commune.toml"
        described.write_text(re.sub(r"domaine = .*", f'domaine = "https://{HOST}"', described.read_text(), count=1))
        subprocess.run([program, "build", territoire], check=True, stdout=subprocess.DEVNULL)
        site = folder / "territoire-public" / "trou"
        certificate = folder / "certificat"
        certificate.mkdir()
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj",
                        f"/CN={HOST}", "-keyout", certificate / "privkey.pem", "-out", certificate / "fullchain.pem"],
                       check=True, stderr=subprocess.DEVNULL)
        port = free_port()
        config = folder / "guichet.toml"
        config.write_text(f'dossier = "{commune}"\ndonnees = "{folder}/donnees"\necoute = "127.0.0.1:{port}"\nsite = "{site}"\n'
                          f'proxy = ["127.0.0.1"]\nconfirmer_destinataires = false\n'
                          f'[courriel]\ntransport = "dossier"\ndossier = "{folder}/boite"\n')
        (folder / "boite").mkdir()
        with open(folder / "journal", "wb") as log:
            desk = subprocess.Popen([program, "guichet", config], stdout=log, stderr=log)
        try:
            until(lambda: answers(port), "mulot guichet", desk, folder / "journal")
            for kind in ("caddy", "nginx"):
                front = Front(kind, folder, program, territoire, port)
                try:
                    compare(front, port, site)
                    behave(front, port, site)
                finally:
                    front.stop()
                visitor(kind, folder, program, territoire)
        finally:
            desk.terminate()
            desk.wait(60)
    print(f"frontal: {len(PASSED)} passed, {len(FAILED)} failed")
    sys.exit(1 if FAILED else 0)


main(sys.argv[1])
