"""Residents who send requests one after the other, until told to stop, and note every reference they were shown.

Usage: python3 habitants.py ADDRESS HOST FORM NOTES [COUNT]. Stops when NOTES.fin exists, or after COUNT requests. A refused connection
is counted and tried again: what matters is that nothing shown is lost. Last line of NOTES: « fin, N refused connections ».
"""

import html
import http.client
import os
import re
import sys
import urllib.parse

# What a balancer says when the machine behind it has gone away.
AWAY = (502, 503, 504)


class Fault(Exception):
    """A page that a resident should never have seen."""


class Resident:
    """Fills a form and sends it; `connect` gives a connection to whoever answers."""

    def __init__(self, connect, host, form):
        self.connect, self.host, self.form, self.refused = connect, host, form, 0

    def post(self, step, fields, file=None):
        connection = self.connect()
        try:
            kind, body = encoded(fields, file)
            connection.request("POST", f"/guichet/{self.form}/{step}", body, {"Content-Type": kind, "Host": self.host})
            answer = connection.getresponse()
            return answer.status, answer.getheader("Location") or "", answer.read().decode()
        finally:
            connection.close()

    def insist(self, step, fields, good, file=None):
        """The same, sent again until it is answered, as a person would: one request only must come of it."""
        for _ in range(2000):
            try:
                status, place, page = self.post(step, fields, file)
            except (OSError, http.client.HTTPException):
                self.refused += 1
                continue
            if status == good:
                return place, page
            if status not in AWAY:
                raise Fault(f"{step}: {status} {page[:2000]}")
            # A full or busy guichet keeps the answers and asks to press again.
            self.refused += step != "envoyer" or status != 503
        raise Fault(f"{step}: nobody answers")

    def send(self, number, file=None):
        """Sends a request, with a file or without (its question, name and bytes), and gives the reference that is shown."""
        fields = {"objet": f"Benne numéro {number}", "message": f"Bonjour, ceci est le message numéro {number}.",
                  "qualite": "personne", "prenom": "Jeanne", "nom": "Martin", "courriel": f"jeanne.{number}@exemple.example",
                  "adresse.voie": "1 rue du Four", "adresse.code_postal": "01330", "adresse.commune": "Le Plantay"}
        _, page = self.insist("verifier", fields, 200, file)
        place, _ = self.insist("envoyer", hidden(page), 303)
        return re.search(r"\d{4}-\w{4}-\w{4}-\w", place)[0]


def encoded(fields, file):
    """A form as a browser sends it: its kind and its bytes."""
    if file is None:
        return "application/x-www-form-urlencoded", urllib.parse.urlencode(fields).encode()
    question, name, content = file
    parts = [f'--limite\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode() for key, value in fields.items()]
    head = f'--limite\r\nContent-Disposition: form-data; name="{question}"; filename="{name}"\r\nContent-Type: application/pdf\r\n\r\n'
    return "multipart/form-data; boundary=limite", b"".join([*parts, head.encode(), content, b"\r\n--limite--\r\n"])


def hidden(page):
    tags = re.findall(r"<input[^>]*>", page)
    attribute = lambda tag, name: html.unescape((re.search(rf' {name}="([^"]*)"', tag) or ["", ""])[1])
    return [(attribute(tag, "name"), attribute(tag, "value")) for tag in tags if 'type="hidden"' in tag]


def main(address, host, form, notes, count=None):
    resident = Resident(lambda: http.client.HTTPConnection(address, timeout=60), host, form)
    number = 0
    with open(notes, "w", buffering=1) as file:
        while not os.path.exists(notes + ".fin") and (count is None or number < int(count)):
            number += 1
            try:
                file.write(resident.send(number) + "\n")
            except Fault as fault:
                sys.exit(str(fault))
        file.write(f"fin, {resident.refused} refused connections\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
