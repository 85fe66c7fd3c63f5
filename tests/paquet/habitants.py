"""Residents who send requests one after the other, until told to stop, and note every reference they were shown.

Usage: python3 habitants.py ADDRESS HOST FORM NOTES. Stops when NOTES.fin exists. A refused connection is counted and tried again:
what matters is that nothing shown is lost. Last line of NOTES: « fin, N refused connections ».
"""

import html
import http.client
import os
import re
import sys
import urllib.parse

address, host, form, notes = sys.argv[1:]
KIND = {"Content-Type": "application/x-www-form-urlencoded", "Host": host}


def post(path, fields):
    connection = http.client.HTTPConnection(address, timeout=60)
    try:
        connection.request("POST", path, urllib.parse.urlencode(fields), KIND)
        answer = connection.getresponse()
        return answer.status, answer.getheader("Location") or "", answer.read().decode()
    finally:
        connection.close()


def hidden(page):
    tags = re.findall(r"<input[^>]*>", page)
    attribute = lambda tag, name: html.unescape((re.search(rf' {name}="([^"]*)"', tag) or ["", ""])[1])
    return [(attribute(tag, "name"), attribute(tag, "value")) for tag in tags if 'type="hidden"' in tag]


def main():
    refused, number = 0, 0
    with open(notes, "w", buffering=1) as file:
        while not os.path.exists(notes + ".fin"):
            number += 1
            fields = {"objet": f"Benne numéro {number}", "message": f"Bonjour, ceci est le message numéro {number}.",
                      "qualite": "personne", "prenom": "Jeanne", "nom": "Martin", "courriel": f"jeanne.{number}@exemple.example",
                      "adresse.voie": "1 rue du Four", "adresse.code_postal": "01330", "adresse.commune": "Le Plantay"}
            try:
                status, _, page = post(f"/guichet/{form}/verifier", fields)
                if status != 200:
                    sys.exit(f"verifier: {status} {page[:2000]}")
                inputs = hidden(page)
            except OSError:
                refused += 1
                continue
            # The same page, sent again until it is answered, as a person would: one request only must come of it.
            for _ in range(2000):
                try:
                    status, place, page = post(f"/guichet/{form}/envoyer", inputs)
                except OSError:
                    refused += 1
                    continue
                if status == 303:
                    file.write(re.search(r"\d{4}-\w{4}-\w{4}-\w", place)[0] + "\n")
                    break
                if status != 503:
                    sys.exit(f"envoyer: {status} {page[:2000]}")
        file.write(f"fin, {refused} refused connections\n")


main()
