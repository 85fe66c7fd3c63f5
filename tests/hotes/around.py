"""What stands around the guichets of a test: a database, a mail server, a bucket. All of this machine, on free ports, ended with the test."""

import base64
import collections
import email.utils
import http.server
import os
import pathlib
import re
import shutil
import socket
import socketserver
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.parse


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def until(what, is_done, seconds=90):
    """Polls a condition, with a deadline; says what never came."""
    deadline = time.monotonic() + seconds
    while not is_done():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        threading.Event().wait(0.05)


def certificate(folder, *names):
    """A certificate of its own authority for these names: (certificate, key)."""
    files = folder / "certificat.pem", folder / "certificat.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj",
                    f"/CN={names[0]}", "-addext", "subjectAltName=" + ",".join(f"DNS:{name}" for name in names), "-addext",
                    "basicConstraints=critical,CA:FALSE", "-keyout", files[1], "-out", files[0]], check=True, stderr=subprocess.DEVNULL)
    return files


class Postgres:
    """PostgreSQL of Debian's packages, which wants a password."""

    def __init__(self):
        parent = "/dev/shm" if os.path.isdir("/dev/shm") else None
        self.folder, self.port = pathlib.Path(tempfile.mkdtemp(prefix="mulot-pg-", dir=parent)), free_port()
        # It refuses to run as root.
        self.alone = []
        if os.getuid() == 0:
            shutil.chown(self.folder, "postgres")
            self.alone = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        self.programs = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))[-1]
        data, log = self.folder / "data", open(self.folder / "journal", "wb")
        subprocess.run([*self.alone, self.programs / "initdb", "-D", data, "-U", "mulot", "--auth-local=trust", "--auth-host=scram-sha-256",
                        "-E", "UTF8", "--locale=C", "--no-sync"], check=True, stdout=log, stderr=log, cwd=self.folder)
        self.process = subprocess.Popen(
            [*self.alone, self.programs / "postgres", "-D", data, "-c", "listen_addresses=127.0.0.1", "-c", f"port={self.port}",
             "-c", f"unix_socket_directories={self.folder}", "-c", "max_connections=200"], stdout=log, stderr=log, cwd=self.folder)
        ready = [self.programs / "pg_isready", "-q", "-h", self.folder, "-p", str(self.port)]
        until("PostgreSQL", lambda: subprocess.run(ready).returncode == 0)

    def order(self, sql, database="postgres"):
        done = subprocess.run([self.programs / "psql", "-U", "mulot", "-d", database, "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h",
                               self.folder, "-p", str(self.port), "-c", sql], check=True, stdout=subprocess.PIPE)
        return done.stdout.decode().split()

    def stop(self):
        self.process.send_signal(subprocess.signal.SIGQUIT)
        self.process.wait(60)
        shutil.rmtree(self.folder)


class Letters(socketserver.ThreadingTCPServer):
    """A mail server that wants STARTTLS and a password, takes everything and counts messages by their identifier."""

    daemon_threads = allow_reuse_address = True

    def __init__(self, files, user, password):
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(*files)
        self.secret = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
        self.taken, self.texts, self.lock = collections.Counter(), {}, threading.Lock()
        super().__init__(("127.0.0.1", 0), Talk)
        self.port = self.server_address[1]
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def of_mairie(self, reference, words=""):
        """Messages to the mairie about a request, in which these words are."""
        name = f"{reference.lower()}.mairie@"
        with self.lock:
            return sum(count for known, count in self.taken.items() if known.startswith(name) and words in self.texts[known])

    def codes(self):
        """Codes that confirm a mailbox, in the order they came."""
        return [code for text in list(self.texts.values()) for code in re.findall(r"--confirmer (\d{6})", text)]

    def handle_error(self, *_):
        """Who is killed in the middle of a message has sent none."""

    def stop(self):
        self.shutdown()
        self.server_close()


class Talk(socketserver.StreamRequestHandler):
    timeout = 60

    def say(self, words):
        self.wfile.write(words.encode() + b"\r\n")
        self.wfile.flush()

    def handle(self):
        is_safe = is_known = False
        self.say("220 boite")
        while line := self.rfile.readline().decode().strip():
            order = line.upper().split(" ")[0]
            if order == "EHLO":
                self.say("250-boite\r\n250 " + ("AUTH PLAIN" if is_safe else "STARTTLS"))
            elif order == "STARTTLS":
                self.say("220 allez")
                self.connection = self.server.tls.wrap_socket(self.connection, server_side=True)
                self.rfile, self.wfile, is_safe = self.connection.makefile("rb"), self.connection.makefile("wb"), True
            elif order == "AUTH":
                is_known = is_safe and line.split(" ")[-1] == self.server.secret
                self.say("235 bien" if is_known else "535 mot de passe faux")
            elif order == "QUIT":
                return self.say("221 au revoir")
            elif not is_known and order != "NOOP":
                self.say("530 qui etes-vous ?")
            elif order == "DATA":
                self.say("354 dites")
                self.take()
                self.say("250 pris")
            else:
                self.say("250 bien")

    def take(self):
        lines = []
        while (line := self.rfile.readline()) != b".\r\n":
            if not line:
                raise EOFError
            lines.append(line.decode("utf-8", "replace"))
        text = "".join(lines)
        name = re.search(r"^Message-ID: <(.*?)>", text, re.M | re.I)[1].lower()
        with self.server.lock:
            self.server.taken[name] += 1
            self.server.texts[name] = text.replace("=\r\n", "")


class Bucket(http.server.ThreadingHTTPServer):
    """Objects by their path, as S3 gives them to who asks with a signature; what signatures are worth is proved elsewhere (`tests/support/s3.rs`)."""

    daemon_threads = True

    def __init__(self):
        self.objects, self.written, self.refused = {}, {}, 0
        super().__init__(("127.0.0.1", 0), Shelf)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def stop(self):
        self.shutdown()
        self.server_close()


class Shelf(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        self.send_header("Content-Length", headers.pop("length", len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def asked(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        place = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(place.query, keep_blank_values=True))
        if "Authorization" not in self.headers and "X-Amz-Signature" not in query:
            self.server.refused += 1
            self.answer(403)
            return None
        return urllib.parse.unquote(place.path), query, body

    def do_PUT(self):
        if asked := self.asked():
            source = self.headers.get("x-amz-copy-source")
            self.server.written[asked[0]] = time.time()
            self.server.objects[asked[0]] = self.server.objects[urllib.parse.unquote(source)] if source else asked[2]
            self.answer(200, ETag='"1"')

    def do_DELETE(self):
        if asked := self.asked():
            self.server.objects.pop(asked[0], None)
            self.answer(204)

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        if not (asked := self.asked()):
            return
        path, query, _ = asked
        if "list-type" in query:
            bucket = path.rstrip("/") + "/"
            keys = sorted(key[len(bucket):] for key in list(self.server.objects) if key.startswith(bucket + query.get("prefix", "")))
            day = lambda key: time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(self.server.written[bucket + key]))
            rows = "".join(f"<Contents><Key>{key}</Key><LastModified>{day(key)}</LastModified>"
                           f"<ETag>\"1\"</ETag><Size>{len(self.server.objects[bucket + key])}</Size></Contents>" for key in keys)
            text = ('<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
                    f"<KeyCount>{len(keys)}</KeyCount><IsTruncated>false</IsTruncated>{rows}</ListBucketResult>")
            return self.answer(200, text.encode(), Content_Type="application/xml")
        body = self.server.objects.get(path)
        if body is None:
            return self.answer(404)
        told = {"ETag": '"1"', "Last_Modified": email.utils.formatdate(self.server.written[path], usegmt=True)}
        part = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if part:
            first, last = int(part[1]), int(part[2] or len(body) - 1)
            return self.answer(206, body[first:last + 1], Content_Range=f"bytes {first}-{last}/{len(body)}", **told)
        self.answer(200, body, length=len(body), **told)

    def log_message(self, *_):
        pass
