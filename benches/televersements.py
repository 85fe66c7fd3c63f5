#!/usr/bin/env python3
"""Many heavy uploads at once, and the memory they take (VmHWM of the server).

    python3 benches/televersements.py target/release/mulot [--photo photo.jpg] [--nombre 200] [--mo 7]

Makes a guichet of its own in a temporary folder, from the smallest commune of the tests and a form that takes files of
7 MB, then sends as many files at once. Without --photo they are PDFs of exactly that size; with it, the photograph itself.
"""

import argparse
import http.client
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BOUNDARY = "----televersements"
ANSWERS = {
    "objet": "Essai de charge", "message": "Bonjour", "qualite": "personne", "prenom": "Jeanne", "nom": "Martin",
    "adresse.voie": "1 rue du Four", "adresse.code_postal": "01500", "adresse.commune": "Trou-la-Ville",
    "courriel": "jeanne@exemple.example", "telephone": "",
}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def memory(pid, key):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(rf"{key}:\s+(\d+)", text).group(1)) // 1024


def body_of(name, content):
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n' for key, value in ANSWERS.items()
    ]
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="pieces"; filename="{name}"\r\n\r\n'
    return "".join(parts).encode() + head.encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()


def main():
    words = argparse.ArgumentParser()
    words.add_argument("programme")
    words.add_argument("--photo")
    words.add_argument("--nombre", type=int, default=200)
    words.add_argument("--mo", type=int, default=7)
    asked = words.parse_args()

    if asked.photo:
        name, content = "photo.jpg", pathlib.Path(asked.photo).read_bytes()
    else:
        start, end = b"%PDF-1.4\n%", b"\n%%EOF\n"
        name, content = "plan.pdf", start + b" " * ((asked.mo << 20) - len(start) - len(end)) + end
    body = body_of(name, content)

    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        shutil.copytree(ROOT / "tests/communes/minimal", root / "commune")
        fiche = (ROOT / "content/demarches/saisir-la-mairie.md").read_text().replace("nombre_max = 3", "nombre_max = 2")
        (root / "commune/demarches").mkdir(exist_ok=True)
        (root / "commune/demarches/saisir-la-mairie.md").write_text(fiche.replace("taille_max = 5", "taille_max = 7"))
        port = free_port()
        (root / "guichet.toml").write_text(
            f'dossier = "commune"\ndonnees = "donnees"\necoute = "127.0.0.1:{port}"\n'
            '[courriel]\ntransport = "dossier"\ndossier = "boite"\n'
            "[limites]\nconnexions_par_adresse = 1000\nbrouillons_mo = 4000\n"
        )
        server = subprocess.Popen(
            [asked.programme, "guichet", str(root / "guichet.toml")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            for _ in range(600):
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    time.sleep(0.1)
            idle = memory(server.pid, "VmRSS")
            answers, times, lock = {}, [], threading.Lock()

            def send():
                begun = time.monotonic()
                try:
                    client = http.client.HTTPConnection("127.0.0.1", port, timeout=1800)
                    kind = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
                    client.request("POST", "/guichet/saisir-la-mairie/verifier", body, kind)
                    status = client.getresponse().status
                except OSError as error:
                    status = type(error).__name__
                with lock:
                    answers[status] = answers.get(status, 0) + 1
                    times.append(time.monotonic() - begun)

            threads = [threading.Thread(target=send) for _ in range(asked.nombre)]
            begun = time.monotonic()
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            took = time.monotonic() - begun
            print(f"{asked.nombre} envois de {len(content) / 2**20:.1f} Mo à la fois : réponses {answers}")
            print(f"  durée {took:.1f} s, la plus longue {max(times):.1f} s")
            print(
                f"  mémoire : {idle} Mo au repos, {memory(server.pid, 'VmHWM')} Mo au plus haut, "
                f"{memory(server.pid, 'VmRSS')} Mo après"
            )
        finally:
            server.terminate()
            server.wait()


main()
