"""The manifests of docs/deploiement/kubernetes: what Kubernetes says of their shape, and what we say of what they hold together."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import urllib.parse
import zipfile

import jsonschema
import yaml

# The schemas of Kubernetes itself, as a package of PyPI ships them; nothing of it is run.
SCHEMAS = "kubernetes-validate==1.37.0"
SCHEMAS_SHA256 = "85136d018a27b50ec7fc049d902bfa5193f5976807e6c0f408e3ab6fe078cad9"
# The oldest that is still kept up somewhere, and the newest known.
VERSIONS = ("1.31", "1.37")


def schemas():
    """The package, fetched once by pip, which checks its digest; `None` without a network."""
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "mulot-essais"
    found = list(cache.glob(SCHEMAS.replace("kubernetes-validate==", "kubernetes_validate-") + "-*.whl"))
    if not found:
        cache.mkdir(parents=True, exist_ok=True)
        wanted = cache / "schemas.txt"
        wanted.write_text(f"{SCHEMAS} --hash=sha256:{SCHEMAS_SHA256}\n")
        order = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes", "--dest", cache, "-r", wanted]
        if subprocess.run(order).returncode != 0:
            return None
        found = list(cache.glob("kubernetes_validate-*.whl"))
    return zipfile.ZipFile(found[0])


def faults(document, package, version):
    """What Kubernetes would refuse in a document, unknown keys included."""
    group, _, number = document["apiVersion"].rpartition("/")
    folder = f"kubernetes_validate/kubernetes-json-schema/v{version}.0-local-strict/"
    name = "-".join(part for part in (document["kind"].lower(), group.split(".")[0], number) if part)
    read = lambda file: json.loads(package.read(folder + file))
    try:
        schema = read(f"{name}.json")
    except KeyError:
        return [f"{document['apiVersion']} {document['kind']} : inconnu de Kubernetes {version}"]
    base, definitions = "https://kubernetes.io/api/", "_definitions.json"
    resolver = jsonschema.RefResolver(base, schema, store={urllib.parse.urljoin(base, definitions): read(definitions)})
    errors = jsonschema.Draft7Validator(schema, resolver=resolver).iter_errors(document)
    return [f"{'.'.join(map(str, error.absolute_path))} : {error.message}" for error in errors]


class Manifests:
    """All documents of the folder, by kind and name."""

    def __init__(self, folder):
        self.folder = folder
        self.files = {file.name: list(yaml.safe_load_all(file.read_text())) for file in sorted(folder.glob("*.yaml"))}
        self.all = [one for name, documents in self.files.items() if name != "kustomization.yaml" for one in documents]

    def get(self, kind, name):
        return next(one for one in self.all if one["kind"] == kind and one["metadata"]["name"] == name)

    def pods(self):
        """Name and pod of each that runs something."""
        for one in self.all:
            if one["kind"] == "Deployment":
                yield one["metadata"]["name"], one["spec"]["template"]
            if one["kind"] == "CronJob":
                yield one["metadata"]["name"], one["spec"]["jobTemplate"]["spec"]["template"]

    def config(self):
        return self.get("ConfigMap", "guichet")["data"]["guichet.toml"]


def containers(pod):
    return [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]


def judge(manifests, check):
    """Shape, and whatever no schema knows."""
    package = schemas()
    check("les schémas de Kubernetes sont là", package is not None, f"pip download {SCHEMAS} : pas de réseau ?")
    for version in VERSIONS if package else ():
        for one in manifests.all:
            told = faults(one, package, version)
            check(f"Kubernetes {version} accepte {one['kind']} {one['metadata']['name']}", not told, "\n      ".join(told))
    if package:
        wrong = yaml.safe_load(yaml.safe_dump(manifests.get("Deployment", "accueil")))
        wrong["spec"]["template"]["spec"]["containers"][0]["ressources"] = {}
        check("une clé mal écrite serait vue", faults(wrong, package, VERSIONS[-1]))

    listed = manifests.files["kustomization.yaml"][0]
    others = {"kustomization.yaml", "secrets.exemple.yaml"}
    check("kustomization.yaml nomme chaque fichier, sauf les secrets", set(listed["resources"]) == set(manifests.files) - others, listed)
    names = {container["image"] for _, pod in manifests.pods() for container in containers(pod)}
    check("une seule image, dont la version est à un seul endroit", names == {listed["images"][0]["name"]}, names)
    if shutil.which("kubectl"):
        done = subprocess.run(["kubectl", "kustomize", manifests.folder], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        built = list(yaml.safe_load_all(done.stdout)) if done.returncode == 0 else []
        check("kustomize les assemble", len(built) == len(manifests.all) - len(manifests.files["secrets.exemple.yaml"]), done.stdout.decode())
    else:
        print("skip  kustomize : kubectl n'est pas sur cette machine")
    check("tous sont dans le même espace", {one["metadata"].get("namespace", "mulot") for one in manifests.all} == {"mulot"})
    for name, pod in manifests.pods():
        judge_pod(name, pod, manifests, check)
    judge_network(manifests, check)
    secrets = [one for one in manifests.all if one["kind"] == "Secret"]
    check("aucun secret n'a de valeur", all(value == "" for one in secrets for value in one["stringData"].values()))
    for name in ("accueil", "courrier"):
        deployment, budget = manifests.get("Deployment", name), manifests.get("PodDisruptionBudget", name)
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        check(f"{name} : choisit ses pods", deployment["spec"]["selector"]["matchLabels"] == labels)
        check(f"{name} : son budget aussi, et laisse partir un pod",
              budget["spec"]["selector"]["matchLabels"] == labels and budget["spec"]["minAvailable"] == deployment["spec"]["replicas"] - 1)
    service = manifests.get("Service", "accueil")["spec"]
    front = manifests.get("Deployment", "accueil")["spec"]["template"]
    check("le service mène à l'accueil", service["selector"] == front["metadata"]["labels"]
          and service["ports"][0]["targetPort"] in [port["name"] for port in front["spec"]["containers"][0]["ports"]])
    backends = [path["backend"]["service"] for rule in manifests.get("Ingress", "communes")["spec"]["rules"] for path in rule["http"]["paths"]]
    check("l'entrée mène au service", all(one == {"name": "accueil", "port": {"name": "http"}} for one in backends), backends)


def judge_pod(name, pod, manifests, check):
    """What the standard « restricted » wants, and that every volume is there."""
    spec = pod["spec"]
    person = spec["securityContext"]
    check(f"{name} : une personne sans droits", person["runAsNonRoot"] and person["runAsUser"] > 0
          and person["seccompProfile"]["type"] == "RuntimeDefault" and spec["automountServiceAccountToken"] is False)
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        check(f"{name} : rien de la machine ({key})", not spec.get(key))
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    check(f"{name} : ni dossier de la machine", not any("hostPath" in volume for volume in volumes.values()))
    used = set()
    for container in containers(pod):
        who, rights = f"{name}/{container['name']}", container["securityContext"]
        check(f"{who} : ne peut rien de plus que lire et écrire dans ses volumes", rights["readOnlyRootFilesystem"]
              and rights["allowPrivilegeEscalation"] is False and rights["capabilities"] == {"drop": ["ALL"]}, rights)
        check(f"{who} : mémoire bornée", {"memory"} <= set(container["resources"]["limits"]) and container["resources"]["requests"])
        mounts = [mount["mountPath"] for mount in container["volumeMounts"]]
        check(f"{who} : aucun volume dans un autre", not any(a != b and b.startswith(a + "/") for a in mounts for b in mounts), mounts)
        used |= {mount["name"] for mount in container["volumeMounts"]}
    check(f"{name} : ses volumes, tous et rien qu'eux", used == set(volumes), used ^ set(volumes))
    known = {("configMap", "guichet")} | {("secret", one["metadata"]["name"]) for one in manifests.all if one["kind"] == "Secret"}
    for volume in volumes.values():
        for kind, key in (("configMap", "name"), ("secret", "secretName")):
            if kind in volume:
                check(f"{name} : {kind} {volume[kind][key]} existe", (kind, volume[kind][key]) in known)
    mailing = [volume for volume in volumes.values() if volume.get("secret", {}).get("secretName") == "mulot-courrier"]
    check(f"{name} : le mot de passe de la messagerie est au courrier seul", bool(mailing) == (name == "courrier"))
    grace = spec.get("terminationGracePeriodSeconds")
    if name != "sauvegarde":
        # What the program takes at most (`Limits::shutdown` and the mail in hand), as the units of systemd have it.
        unit = (manifests.folder.parent / "systemd" / f"mulot-{name}.service").read_text()
        wanted = int(re.search(r"TimeoutStopSec=(\d+)", unit)[1])
        wait = spec["containers"][0].get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", ["", "0"])[1]
        check(f"{name} : assez de temps pour s'arrêter", grace >= wanted + int(wait), grace)


def judge_network(manifests, check):
    """Who may reach whom, as the union of the policies that choose a pod."""
    policies = [one["spec"] for one in manifests.all if one["kind"] == "NetworkPolicy"]
    check("rien n'est permis d'office", {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]} in policies)

    def ports(name, way):
        labels = dict(dict(manifests.pods())[name]["metadata"]["labels"])
        chosen = [one for one in policies if one["podSelector"].get("matchLabels", {}).items() <= labels.items()]
        return sorted(str(port["port"]) for one in chosen for rule in one.get(way, []) for port in rule["ports"])

    check("l'accueil : les noms, la base, le seau, et rien d'autre", ports("accueil", "egress") == ["443", "53", "53", "5432"], ports("accueil", "egress"))
    check("la sauvegarde : de même", ports("sauvegarde", "egress") == ["443", "53", "53", "5432"], ports("sauvegarde", "egress"))
    check("le courrier : la messagerie en plus", ports("courrier", "egress") == ["443", "53", "53", "5432", "587", "993"], ports("courrier", "egress"))
    check("seul l'accueil est joint", [ports(name, "ingress") for name in ("accueil", "courrier", "sauvegarde")] == [["http"], [], []])
