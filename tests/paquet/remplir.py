"""Completes a commune as its secretary would: what opens its forms.

Usage: python3 remplir.py FOLDER HOST. Each key must be there already, empty or behind a « # ».
"""

import pathlib
import re
import sys


def key(path, name, value):
    text, found = re.subn(rf"(?m)^#? ?{name} *= *[^#\n]*", f"{name} = {value} ", path.read_text(), count=1)
    assert found, f"{path}: {name}"
    path.write_text(text)


def main(folder, host):
    commune = pathlib.Path(folder) / "commune.toml"
    for name, value in (("adresse", '["1, place de la Mairie"]'), ("courriel", f'"mairie@{host}"'), ("telephone", '"04 74 98 15 02"'),
                        ("expediteur", f'"guichet@{host}"'), ("destinataires", f'["mairie@{host}"]'), ("domaine", f'"http://{host}"')):
        key(commune, name, value)
    key(pathlib.Path(folder) / "annuaire/services/secretariat.md", "telephone", '"04 74 98 15 02"')


main(*sys.argv[1:])
