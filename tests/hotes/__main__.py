"""Several guichets on several machines: what docs/deploiement says of Kubernetes and of systemd, judged, then played.

Usage: python3 tests/hotes PROGRAM. The commands, environments and settings are those of the manifests and of the units; only paths,
addresses and the authority of a mail server are replaced. Each « pod » is a process of the loopback, with volumes of its own, in front of a
real PostgreSQL and behind the balancers of the examples. Prints « N passed, N failed »; exit code 1 if any failed.
"""

import http.client
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/paquet"))
sys.dont_write_bytecode = True

import around  # noqa: E402
import habitants  # noqa: E402
import manifests  # noqa: E402
from around import free_port, until  # noqa: E402

HOST, FORM, COMMUNE = "www.le-plantay.example", "saisir-la-mairie", "le-plantay"
USER, MAIL_PASSWORD, BASE_PASSWORD = "guichet@exemple.fr", "le-mot-du-courrier", "le-mot-de-la-base"
DEPLOYMENT = ROOT / "docs/deploiement"
PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
PASSED, FAILED = [], []
# Every process that was started: none outlives the tests, whatever happens to them.
STARTED = []


def check(name, is_right, told=""):
    """Counts one fact, and says it when it is wrong."""
    (PASSED if is_right else FAILED).append(name)
    if not is_right:
        print(f"FAIL  {name}\n      {told}", flush=True)


def put(text, paths):
    """A text with each path, and what is below it, moved to where it is here."""
    known = "|".join(re.escape(path) for path in sorted(paths, key=len, reverse=True))
    return re.sub(rf"(?<![\w/.-])({known})(?![\w-])", lambda found: str(paths[found[1]]), text)


class World:
    """What all guichets of a scenario share."""

    def __init__(self, folder, program, postgres, name):
        self.folder, self.program, self.postgres, self.name = folder / name, program, postgres, name
        self.folder.mkdir()
        tools = self.folder / "bin"
        tools.mkdir()
        (tools / "mulot").symlink_to(program)
        self.path = f"{tools}:/usr/bin:/bin:/usr/sbin:/sbin"
        postgres.order(f"CREATE DATABASE {name} TEMPLATE template0")
        self.files = around.certificate(self.folder, "localhost", HOST)
        self.letters, self.bucket = around.Letters(self.files, USER, MAIL_PASSWORD), around.Bucket()
        self.territoire = self.folder / "territoire"
        commune = self.territoire / "communes" / COMMUNE
        shutil.copytree(ROOT / "tests/communes/minimal", commune)
        (self.territoire / "territoire.toml").write_text('format = 1\nnom = "Pays du Trou"\n')
        described = commune / "commune.toml"
        described.write_text(re.sub(r"domaine = .*", f'domaine = "https://{HOST}"', described.read_text(), count=1))
        self.secrets = {"base": BASE_PASSWORD + "\n", "seau": "AKIDMULOT\nune-cle-tres-secrete\n"}
        for kind, files in (("acces", self.secrets), ("courrier", {"smtp": MAIL_PASSWORD + "\n"}),
                            ("cles", {COMMUNE: os.urandom(32).hex() + "\n"})):
            (self.folder / kind).mkdir()
            for file, text in files.items():
                (self.folder / kind / file).write_text(text)
                (self.folder / kind / file).chmod(0o400)

    def settings(self, text, paths, ports):
        """A guichet.toml of the documentation, with the addresses of this machine; `ports`: where to listen, where to give measures."""
        text = put(text, paths)
        for before, after in (
                (r'^ecoute = "0\.0\.0\.0:8080"', f'ecoute = "127.0.0.1:{ports[0]}"'),
                (r'^ecoute = "127\.0\.0\.1:9464"', f'ecoute = "127.0.0.1:{ports[1]}"'),
                (r'^proxy = .*', 'proxy = ["127.0.0.0/8"]'),
                (r'^base = .*', f'base = "postgresql://mulot@127.0.0.1:{self.postgres.port}/{self.name}"'),
                (r'^s3 = "https://[^/]*', f's3 = "{self.bucket.url}'),
                (r'^serveur = .*', f'serveur = "localhost"\nport = {self.letters.port}\nautorite = "{self.files[0]}"')):
            text = re.sub(before, lambda _: after, text, flags=re.M)
        return text

    def order(self, config, *words):
        """An order of the technician, in the place of the courrier."""
        done = subprocess.run([self.program, "demandes", *words, "--guichet", config], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              env={"PATH": self.path, "XDG_CACHE_HOME": str(self.folder / "cache")})
        return done.returncode, done.stdout.decode()

    def stop(self):
        self.letters.stop()
        self.bucket.stop()


class Guichet:
    """A guichet that runs as a deployment says; it may die and be started again in the same place."""

    def __init__(self, world, name):
        self.world, self.name, self.folder = world, name, world.folder / name
        self.folder.mkdir()
        self.port, self.measures = free_port(), free_port()
        self.process = self.socket = None

    def run(self, order, environment, stdin=subprocess.DEVNULL):
        environment = {"PATH": self.world.path, **environment}
        STARTED.append(subprocess.Popen(order, stdin=stdin, stdout=self.journal(), stderr=self.journal(), env=environment, cwd=self.folder,
                                        start_new_session=True))
        return STARTED[-1]

    def journal(self):
        return open(self.folder / "journal", "ab")

    def told(self):
        return (self.folder / "journal").read_text()[-4000:]

    def get(self, path, host="localhost"):
        """Status and body, asked directly; 0 when nobody answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path, headers={"Host": host})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except (OSError, http.client.HTTPException) as error:
            return 0, str(error)
        finally:
            connection.close()

    def kill(self):
        """Without a farewell, and nobody listens any more."""
        self.process.kill()
        self.process.wait()
        if self.socket:
            self.socket.close()

    def stop(self):
        """As asked politely; gives how it ended."""
        if self.process is None or self.process.poll() is not None:
            return None
        self.process.terminate()
        code = self.process.wait(self.grace)
        if self.socket:
            self.socket.close()
        return code

    def memory(self):
        """Megabytes it has held at most."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024


class Pod(Guichet):
    """A pod of the manifests."""

    def __init__(self, world, known, name, number):
        super().__init__(world, f"{name}-{number}")
        self.spec = dict(known.pods())[name]["spec"]
        self.grace, self.known = self.spec.get("terminationGracePeriodSeconds", 30), known
        self.volumes, self.paths = {}, {"/srv/mulot/territoire": world.territoire}
        for volume in self.spec["volumes"]:
            self.volumes[volume["name"]] = self.volume(volume)
        for container in manifests.containers(self.spec and {"spec": self.spec}):
            self.paths.update({mount["mountPath"]: self.volumes[mount["name"]] for mount in container["volumeMounts"]})
        self.config = self.paths["/etc/mulot"] / "guichet.toml"
        self.config.write_text(world.settings(known.config(), self.paths, (self.port, self.measures)))

    def volume(self, volume):
        if "secret" in volume:
            return self.world.folder / volume["secret"]["secretName"].removeprefix("mulot-")
        shared = "persistentVolumeClaim" in volume
        folder = (self.world.folder if shared else self.folder) / volume["name"]
        folder.mkdir(exist_ok=True)
        return folder

    def container(self, container):
        """Its order and its environment; the image's own command is `mulot`."""
        order = [put(word, self.paths) for word in [*container.get("command", ["mulot"]), *container.get("args", [])]]
        return order, {one["name"]: put(one["value"], self.paths) for one in container.get("env", [])}

    def start(self):
        for container in self.spec.get("initContainers", []):
            code = self.run(*self.container(container)).wait()
            check(f"{self.name}/{container['name']} prépare", code == 0, self.told())
        self.process = self.run(*self.container(self.spec["containers"][0]))
        return self

    def probe(self, kind):
        """What a probe of the pod finds."""
        probe = self.spec["containers"][0][kind]
        if "exec" in probe:
            order = [word.replace(":9464", f":{self.measures}") for word in probe["exec"]["command"]]
            return subprocess.run(order, stderr=subprocess.DEVNULL).returncode == 0
        asked = probe["httpGet"]
        return 200 <= self.get(asked["path"], asked["httpHeaders"][0]["value"])[0] < 400

    def is_ready(self):
        return self.probe("readinessProbe" if "readinessProbe" in self.spec["containers"][0] else "startupProbe")


class Machine(Guichet):
    """A service of the units, on a machine of its own, with the settings of the example."""

    grace = 40

    def __init__(self, world, role, number):
        super().__init__(world, f"{role}-{number}")
        unit = (DEPLOYMENT / f"systemd/mulot-{role}.service").read_text()
        self.order = re.search(r"^ExecStart=/usr/bin/(.*)", unit, re.M)[1].split()
        self.role, public = role, self.folder / "territoire-public"
        public.mkdir()
        self.paths = {"/srv/mulot/mon-territoire": world.territoire, "/srv/mulot/mon-territoire-public": public, "/etc/mulot/cles": world.folder / "cles",
                      "/etc/mulot/base": world.folder / "acces/base", "/etc/mulot/seau": world.folder / "acces/seau",
                      "/var/lib/mulot": self.folder / "donnees", "/etc/mulot": self.folder}
        self.config = self.folder / "guichet.toml"
        example = (DEPLOYMENT / "exemples/plusieurs-machines/guichet.toml").read_text()
        self.config.write_text(world.settings(example, self.paths, (self.port, self.measures)))

    def start(self):
        environment = {"XDG_CACHE_HOME": str(self.folder / "cache")}
        order = [put(word, self.paths) for word in self.order]
        if self.role == "courrier":
            # As the generator of the package has systemd do.
            self.process = self.run(order, {**environment, "CREDENTIALS_DIRECTORY": str(self.world.folder / "courrier")})
            return self
        subprocess.run(["mulot", "build", self.world.territoire, "--sortie", self.folder / "territoire-public"], check=True,
                       stdout=self.journal(), stderr=self.journal(), env={"PATH": self.world.path, **environment})
        self.socket = socket.create_server(("127.0.0.1", self.port), backlog=64)
        # The socket of the unit is the fourth file.
        words = 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" "$@" 3<&0 </dev/null'
        self.process = self.run(["sh", "-c", words, *order], environment, stdin=self.socket)
        return self

    def is_ready(self):
        return self.role == "courrier" or self.get("/guichet/pret")[0] == 200


class Balancer:
    """A balancer of the examples, in front of these ports."""

    def __init__(self, world, kind, ports):
        self.port, self.folder = free_port(), world.folder / kind
        self.folder.mkdir()
        text = (DEPLOYMENT / "exemples/plusieurs-machines" / ("haproxy.cfg" if kind == "haproxy" else "Caddyfile")).read_text()
        order = self.haproxy(world, text, ports) if kind == "haproxy" else self.caddy(text, ports)
        log = open(self.folder / "journal", "wb")
        environment = {"PATH": world.path, "HOME": str(self.folder), "XDG_DATA_HOME": str(self.folder), "XDG_CONFIG_HOME": str(self.folder)}
        self.process = subprocess.Popen(order, stdout=log, stderr=log, env=environment)
        STARTED.append(self.process)
        self.trust = ssl._create_unverified_context()
        until(kind, lambda: self.get("/robots.txt")[0] == 200)

    def haproxy(self, world, text, ports):
        (self.folder / "certificats").mkdir()
        (self.folder / "certificats/tous.pem").write_bytes(world.files[0].read_bytes() + world.files[1].read_bytes())
        servers = "".join(f"    server s{number} 127.0.0.1:{port}\n" for number, port in enumerate(ports))
        text = re.sub(r"(    server \w+ 10\..*\n)+", servers, text)
        text = re.sub(r"^    (user|group) .*\n", "", text, flags=re.M)
        text = text.replace("bind :80\n", f"bind 127.0.0.1:{free_port()}\n").replace("bind :443", f"bind 127.0.0.1:{self.port}")
        file = self.folder / "haproxy.cfg"
        file.write_text(text.replace("/etc/haproxy/certificats/", f"{self.folder}/certificats/"))
        return [shutil.which("haproxy") or "/usr/sbin/haproxy", "-db", "-f", str(file)]

    def caddy(self, text, ports):
        file = self.folder / "Caddyfile"
        top = f"{{\nadmin off\nhttp_port {free_port()}\nhttps_port {self.port}\ndefault_bind 127.0.0.1\nlocal_certs\nskip_install_trust\n" \
              f'storage file_system "{self.folder}"\n}}\n'
        file.write_text(top + re.sub(r"10\.0\.0\.11:8080 10\.0\.0\.12:8080", " ".join(f"127.0.0.1:{port}" for port in ports), text))
        return ["caddy", "run", "--config", str(file), "--adapter", "caddyfile"]

    def connect(self):
        connection = http.client.HTTPSConnection(HOST, self.port, timeout=60, context=self.trust)
        # The name for the certificate, the address of this machine.
        connection._create_connection = lambda _, *rest: socket.create_connection(("127.0.0.1", self.port), *rest)
        return connection

    def get(self, path):
        connection = self.connect()
        try:
            connection.request("GET", path, headers={"Host": HOST})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except (OSError, http.client.HTTPException) as error:
            return 0, str(error)
        finally:
            connection.close()

    def stop(self):
        self.process.terminate()
        self.process.wait(60)


class Town:
    """Residents who send requests through a balancer, all the while."""

    def __init__(self, balancer):
        self.shown, self.with_file, self.faults = [], [], []
        self.over, self.lock = threading.Event(), threading.Lock()
        self.residents = [habitants.Resident(balancer.connect, HOST, FORM) for _ in range(3)]
        self.threads = [threading.Thread(target=self.live, args=(number,)) for number in range(3)]
        for thread in self.threads:
            thread.start()

    def live(self, who):
        number = who
        while not self.over.is_set():
            file = ("pieces", "plan.pdf", PDF) if number % 4 == 0 else None
            try:
                reference = self.residents[who].send(number, file)
            except (habitants.Fault, TypeError) as fault:
                self.faults.append(str(fault))
                return
            with self.lock:
                self.shown.append(reference)
                self.with_file.extend([reference] if file else [])
            number += 3

    def more(self, count):
        """Waits until so many more requests have been taken."""
        wanted = len(self.shown) + count
        until("des demandes sont prises", lambda: self.faults or len(self.shown) >= wanted)

    def refused(self):
        return sum(resident.refused for resident in self.residents)

    def stop(self):
        self.over.set()
        for thread in self.threads:
            thread.join()


def play(world, kind, new, fronts_wanted, backs_wanted):
    """The same life for any deployment; gives the guichets that still run and the references that were shown."""
    label = f"{world.name}/{kind}"
    fronts = [new("accueil", number).start() for number in range(fronts_wanted)]
    backs = [new("courrier", number).start() for number in range(backs_wanted)]
    balancer = town = None
    try:
        for one in (*fronts, *backs):
            until(f"{one.name} est prêt", lambda: one.is_ready() or one.process.poll() is not None)
            if one.process.poll() is not None:
                raise TimeoutError(f"{one.name} s'est arrêté")
            check(f"{label} : {one.name} est prêt", True)
        balancer = Balancer(world, kind, [front.port for front in fronts])
        status, page = balancer.get("/")
        check(f"{label} : le site se lit", status == 200 and "Trou-la-Ville" in page, page[:500])
        status, page = balancer.get("/guichet/pret")
        check(f"{label} : la commune répond", status == 200 and '"pret":true' in page, page)

        until("le code d'une boîte", world.letters.codes)
        code, told = world.order(backs[0].config, "destinataires", "--commune", COMMUNE, "--confirmer", world.letters.codes()[-1])
        check(f"{label} : la boîte de la mairie se confirme", code == 0, told)
        is_open = lambda: all('name="message"' in front.get(f"/guichet/{FORM}/", HOST)[1] for front in fronts)
        until("le formulaire est ouvert partout", is_open)
        check(f"{label} : le formulaire est ouvert partout", True)

        town = Town(balancer)
        town.more(6)
        fronts[0].kill()
        town.more(9)
        check(f"{label} : un accueil tué, les autres servent", not town.faults, town.faults)
        fronts[0].start()
        until("l'accueil relancé est prêt", fronts[0].is_ready)
        status, page = fronts[0].get(f"/guichet/{FORM}/", HOST)
        check(f"{label} : relancé, il sert de nouveau", status == 200 and 'name="message"' in page, page[:500])
        town.more(3)
        if kind == "haproxy":
            # An update: one after the other goes, nobody notices.
            before = town.refused()
            for front in fronts[1:]:
                check(f"{label} : {front.name} finit ce qu'il fait et s'arrête", front.stop() == 0, front.told())
                town.more(3)
                front.start()
                until("l'accueil mis à jour est prêt", front.is_ready)
                town.more(3)
            check(f"{label} : pendant une mise à jour, personne n'est refusé", town.refused() == before, f"{town.refused() - before} fois")
        backs[0].kill()
        town.more(6)
        town.stop()
        check(f"{label} : aucun habitant n'a vu de faute", not town.faults, town.faults)

        # What the dead courrier had in hand waits for it; all the rest leaves by the other, who is told of each.
        late = lambda: [reference for reference in town.shown if world.letters.of_mairie(reference) == 0]
        until("toutes les demandes partent, sauf une au plus", lambda: len(late()) <= 1)
        check(f"{label} : un courrier tué, l'autre envoie", True)
        backs[0].start()
        until("toutes les demandes partent", lambda: not late())
        check(f"{label} : relancé, il rend ce qu'il avait en main", True)
        joined = [reference for reference in town.with_file if world.letters.of_mairie(reference, "plan.pdf") > 0]
        check(f"{label} : un fichier reçu par l'un est envoyé par l'autre", town.with_file and joined == town.with_file,
              f"{len(joined)} sur {len(town.with_file)}")
        objects = [body for path, body in world.bucket.objects.items() if path.startswith(f"/mulot-pieces/guichet/{COMMUNE}/pj/")]
        check(f"{label} : le seau a tous les fichiers, scellés", len(objects) == len(town.with_file) and not any(b"%PDF" in one for one in objects),
              sorted(world.bucket.objects))
        twice = [name for name, count in world.letters.taken.items() if count > 1]
        check(f"{label} : chaque message est parti une fois", len(twice) <= 1, twice)
        kept = world.postgres.order(f"SELECT count(*) FROM commune_le_plantay.submission", world.name)
        check(f"{label} : tout ce qui a été lu est gardé, et rien d'autre", len(set(town.shown)) == len(town.shown) == int(kept[0]), kept)
        code, told = world.order(backs[0].config, "reconcilier", "--commune", COMMUNE)
        check(f"{label} : les comptes tombent juste", code == 0, told)
        _, told = world.order(backs[0].config)
        check(f"{label} : le tableau du territoire les compte", re.search(rf"{COMMUNE}\s+{len(town.shown)}\s", told), told)
        held = {one.name: round(one.memory()) for one in (*fronts, *backs)}
        print(f"      {label} : {len(town.shown)} demandes, {town.refused()} réponses sans page, mémoire {held} Mo", flush=True)
        return fronts, backs, balancer
    except TimeoutError as what:
        check(f"{label} : {what}", False)
        if town:
            town.stop()
        for one in (*fronts, *backs):
            print(f"--- {one.name}\n{one.told()}")
            one.stop()
        if balancer:
            balancer.stop()
        return None


def kubernetes(folder, program, postgres, known):
    world = World(folder, program, postgres, "kubernetes")
    wanted = {name: known.get("Deployment", name)["spec"]["replicas"] for name in ("accueil", "courrier")}
    running = play(world, "haproxy", lambda name, number: Pod(world, known, name, number), wanted["accueil"], wanted["courrier"])
    if not running:
        return world.stop()
    fronts, backs, balancer = running
    for one in (*fronts, *backs):
        limit = int(one.spec["containers"][0]["resources"]["limits"]["memory"].removesuffix("Mi"))
        check(f"{one.name} : reste sous la mémoire de son manifeste", one.memory() < limit / 2, f"{one.memory():.0f} Mo sur {limit}")
        check(f"{one.name} : vivant pour sa sonde", one.probe("livenessProbe"))
    environment = pathlib.Path(f"/proc/{fronts[0].process.pid}/environ").read_bytes()
    opened = [os.readlink(file) for file in pathlib.Path(f"/proc/{fronts[0].process.pid}/fd").iterdir()]
    check("l'accueil ne sait rien de la messagerie", b"courrier" not in environment.replace(str(folder).encode(), b"").replace(b"--role", b"")
          and not any("courrier" in name for name in opened), environment)

    # The nightly rebuilding of a pod, and how it ends.
    beside = fronts[0].run(*fronts[0].container(fronts[0].spec["containers"][1]))
    alive = lambda: subprocess.run(["pgrep", "-P", str(beside.pid)], stdout=subprocess.DEVNULL).returncode == 0
    until("la reconstruction attend son heure", alive)
    beside.terminate()
    check("la reconstruction s'arrête aussitôt", beside.wait(30) == 0)
    os.killpg(beside.pid, signal.SIGKILL)

    nightly = Pod(world, known, "sauvegarde", 0)
    code = nightly.run(*nightly.container(nightly.spec["containers"][0])).wait()
    copies = list((world.folder / "sauvegardes").glob("2*"))
    check("la sauvegarde de nuit se fait", code == 0 and len(copies) == 1 and list(copies[0].rglob("manifeste.json")), nightly.told())
    os.utime(copies[0], (0, 0))
    code = nightly.run(*nightly.container(nightly.spec["containers"][0])).wait()
    check("elle efface ce qui a plus de trente jours", code == 0 and not copies[0].exists()
          and len(list((world.folder / "sauvegardes").glob("2*"))) == 1, nightly.told())

    # What a version that changes the base would do to those before it.
    version = postgres.order("SELECT version FROM commune_le_plantay.mulot", world.name)[0]
    postgres.order("UPDATE commune_le_plantay.mulot SET version = 99", world.name)
    check("une base plus récente : qui l'avait ouverte continue", fronts[1].get(f"/guichet/{FORM}/", HOST)[0] == 200)
    fronts[0].stop()
    fronts[0].start()
    until("l'ancien programme démarre", fronts[0].is_ready)
    status, page = fronts[0].get(f"/guichet/{FORM}/", HOST)
    check("qui arrive ne l'ouvre pas, et donne le téléphone", status == 503 and "04 65 71 00 01" in page, page)
    code, told = world.order(fronts[0].config)
    check("mulot demandes dit pourquoi", code == 1 and "version plus récente" in told, told)
    postgres.order(f"UPDATE commune_le_plantay.mulot SET version = {version}", world.name)

    for one in (*fronts, *backs):
        check(f"{one.name} : s'arrête dans le temps de son manifeste", one.stop() == 0, one.told())
    status, _ = balancer.get("/")
    check("sans personne, le répartiteur le dit", status in (502, 503), status)
    balancer.stop()
    world.stop()


def machines(folder, program, postgres):
    world = World(folder, program, postgres, "machines")
    running = play(world, "caddy", lambda role, number: Machine(world, role, number), 2, 2)
    if running:
        fronts, backs, balancer = running
        for one in (*fronts, *backs):
            check(f"{one.name} : s'arrête dans le temps de son unité", one.stop() == 0, one.told())
        balancer.stop()
    world.stop()


def units(folder):
    """The units with what is added to them: systemd understands them, and how exposed they then are."""
    if not shutil.which("systemd-analyze"):
        return print("skip  les unités : systemd-analyze n'est pas sur cette machine")
    root = folder / "unites"
    shutil.copytree(DEPLOYMENT / "systemd", root)
    for unit, file in (("mulot-accueil.service", "accueil.conf"), ("mulot-sauvegarde.service", "accueil.conf"),
                       ("mulot-accueil.socket", "adresse.conf")):
        (root / f"{unit}.d").mkdir()
        shutil.copy(DEPLOYMENT / "exemples/plusieurs-machines" / file, root / f"{unit}.d")
    for unit in root.glob("mulot*.*"):
        if unit.is_dir():
            continue
        text = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", unit.read_text(), flags=re.M)
        unit.write_text(re.sub(r"^Documentation=.*\n", "", text, flags=re.M))
    for unit in ("mulot-accueil.service", "mulot-accueil.socket", "mulot-sauvegarde.service"):
        done = subprocess.run(["systemd-analyze", "verify", root / unit], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              env=dict(os.environ, SYSTEMD_UNIT_PATH=f"{root}:"))
        told = [line for line in done.stdout.decode().splitlines() if "mulot" in line]
        check(f"systemd comprend {unit} et son ajout", not told, told)
    text = (DEPLOYMENT / "exemples/plusieurs-machines/accueil.conf").read_text()
    # It is judged offline in one file.
    whole = folder / "mulot-accueil.service"
    whole.write_text((root / "mulot-accueil.service").read_text() + text)
    exposed = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=12", whole], stdout=subprocess.PIPE)
    check("l'accueil n'est guère plus exposé", exposed.returncode == 0, exposed.stdout.decode()[-200:])
    check("l'accueil ne joint que ce qui est nommé", "IPAddressAllow=any" not in text and "IPAddressDeny=any" in
          (DEPLOYMENT / "systemd/mulot-accueil.service").read_text() and re.search(r"^SocketBindDeny=any", text, re.M))


def main(program):
    program = pathlib.Path(program).resolve()
    known = manifests.Manifests(DEPLOYMENT / "kubernetes")
    manifests.judge(known, check)
    with tempfile.TemporaryDirectory(prefix="mulot-hotes-") as temporary:
        folder = pathlib.Path(temporary)
        units(folder)
        postgres = around.Postgres()
        try:
            postgres.order(f"ALTER ROLE mulot PASSWORD '{BASE_PASSWORD}'")
            kubernetes(folder, program, postgres, known)
            machines(folder, program, postgres)
        finally:
            for process in STARTED:
                if process.poll() is None:
                    process.kill()
            postgres.stop()
    print(f"hotes: {len(PASSED)} passed, {len(FAILED)} failed")
    sys.exit(1 if FAILED else 0)


main(sys.argv[1])
