# SPDX-License-Identifier: Apache-2.0
"""What the tests against the reference implementation of TUF (python3-tuf) share: programs, nginx, a repository.

PROA_BUILD names another build directory than build/meson.
"""

import datetime
import hashlib
import http.server
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests/e2e"))

from harness.server import Server  # noqa: E402
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, TargetFile, Targets, Timestamp  # noqa: E402
from tuf.api.serialization.json import JSONSerializer  # noqa: E402

BUILD = pathlib.Path(os.environ.get("PROA_BUILD", TOP / "build/meson"))
FEED = BUILD / "images/feed/proa-feed"
PAYLOAD = BUILD / "images/payload/proa-payload"
CLIENT = BUILD / "tests/conformance/tuf-client"
INSTALL = BUILD / "updater/install/proa-install"
FETCH = BUILD / "updater/fetch/proa-fetch"


def run(*command, status=0):
    """Runs a command that must end with this status; what it printed."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode != status:
        raise AssertionError(f"{command}: status {done.returncode}, not {status}: {done.stderr}")
    return done.stdout + done.stderr


class Node:
    """A root directory in which proa-install finds what a node has."""

    def __init__(self, folder, root, url, channel="stable"):
        self.folder = folder
        for name, text in {"usr/lib/os-release": "ID=proa\nIMAGE_VERSION=0.9.0\n",
                           "proc/cmdline": f"roothash={'ab' * 32}\n",
                           "etc/machine-id": "0123456789abcdef0123456789abcdef\n",
                           "etc/proa/update.conf": f"[feed]\nurl={url}\nchannel={channel}\n"}.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        (folder / "usr/lib/proa/trust").mkdir(parents=True)
        shutil.copy(root, folder / "usr/lib/proa/trust/root.json")

    def check(self, *arguments):
        """What `proa-install --check` says at the end: the version offered, or the reason code."""
        command = [INSTALL, "--check", "--root", self.folder, "--fetch-helper", FETCH, *arguments]
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
        last = json.loads(done.stdout.splitlines()[-1])
        return last.get("version") or last["reason"]

    def trusted(self, role):
        """The version of a role in the store; 0: none."""
        try:
            return json.loads((self.folder / f"var/lib/proa/trust/{role}.json").read_bytes())["signed"]["version"]
        except OSError:
            return 0


class Liar(http.server.ThreadingHTTPServer):
    """A server that answers as `answer(handler, path)` does."""

    def __init__(self, answer):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                try:
                    answer(self, self.path)
                except OSError:
                    pass  # the client had enough

            def log_message(self, *arguments):
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()


def send(handler, data, status=200, **headers):
    handler.send_response(status)
    for name, value in {"Content-Length": len(data), **headers}.items():
        handler.send_header(name, str(value))
    handler.end_headers()
    handler.wfile.write(data)


class Served(unittest.TestCase):
    """A folder of its own, whose `served` is served by nginx."""

    def setUp(self):
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="proa-tuf-"))
        self.served = self.work / "served"
        self.served.mkdir()
        self.server = Server(self.work / "logs")
        self.url = f"http://127.0.0.1:{self.server.port}"
        self.server.serve(self.served)
        self.server.start()

    def tearDown(self):
        self.server.throw_away()
        shutil.rmtree(self.work)

    def requests(self):
        """The paths that were asked for, in order."""
        lines = (self.work / "logs/nginx-access.log").read_text().splitlines()
        return [line.split('"')[1].split()[1] for line in lines]


def make_release(folder, version):
    """A small release directory with a real payload and a real OSTree commit."""
    folder.mkdir(parents=True)
    image = os.urandom(4096 * 16)
    (folder / "root.img").write_bytes(image)
    root_hash = hashlib.sha256(image).hexdigest()  # any 64 digits: nobody opens this image
    (folder / "uki.efi").write_bytes(b"MZ" + os.urandom(1000))
    (folder / "sbom.spdx.json").write_text('{"spdxVersion":"SPDX-2.3"}')
    run(PAYLOAD, "full", "--image", folder / "root.img", "--root-hash", root_hash, folder / "root.full")
    tree, repo = folder / "tree", folder.parent / "ostree"
    (tree / "usr").mkdir(parents=True)
    (tree / "usr/version").write_text(version)
    if not repo.exists():
        run("ostree", f"--repo={repo}", "init", "--mode=bare-user")
    commit = run("ostree", f"--repo={repo}", "commit", "--branch=node", "--parent=none", f"--tree=dir={tree}").strip()

    def file(name):
        data = (folder / name).read_bytes()
        return {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}

    (folder / "release.json").write_text(json.dumps({
        "format": "proa-manifest", "format_version": 1, "version": version, "architecture": "x86-64", "built": 1700000000,
        "tree": commit, "packages": 1, "uki": file("uki.efi"), "sbom": file("sbom.spdx.json"),
        "root": {"hash": root_hash, "salt": "0" * 64, "size": len(image), "uuid": "0f0f0f0f-0000-4000-8000-000000000000"}}))
    return folder


def root_signers(make):
    return {role: make() for role in ("root", "timestamp", "snapshot", "targets")}


class ReferenceRepository(Served):
    """A repository made with the reference implementation's metadata API, and our client before it."""

    def setUp(self):
        super().setUp()
        self.expires = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0) + datetime.timedelta(days=1)
        self.delegated = {}  # name -> (Targets, signer)
        self.store = self.work / "store"

    def make(self, signers, consistent=True):
        """A fresh repository with version 1 of everything."""
        self.signers = signers
        self.root = Root(expires=self.expires, consistent_snapshot=consistent)
        for role, signer in signers.items():
            self.root.add_key(signer.public_key, role)
        self.timestamp, self.snapshot, self.targets = (
            Timestamp(expires=self.expires), Snapshot(expires=self.expires), Targets(expires=self.expires))
        self.consistent = consistent
        self.publish_root()

    def write(self, signed, name, *signers):
        metadata = Metadata(signed)
        for signer in signers:
            metadata.sign(signer, append=True)
        data = metadata.to_bytes(JSONSerializer())
        path = self.served / "metadata" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        return MetaFile.from_data(signed.version, data, ["sha256", "sha512"])

    def versioned(self, signed, name):
        return f"{signed.version}.{name}" if self.consistent else name

    def publish_root(self):
        self.write(self.root, f"{self.root.version}.root.json", self.signers["root"])

    def publish(self):
        self.snapshot.meta["targets.json"] = self.write(
            self.targets, self.versioned(self.targets, "targets.json"), self.signers["targets"])
        for name, (targets, signer) in self.delegated.items():
            self.snapshot.meta[f"{name}.json"] = self.write(targets, self.versioned(targets, f"{name}.json"), signer)
        self.timestamp.snapshot_meta = self.write(
            self.snapshot, self.versioned(self.snapshot, "snapshot.json"), self.signers["snapshot"])
        self.write(self.timestamp, "timestamp.json", self.signers["timestamp"])

    def add(self, targets, path, content, algorithms=("sha256",)):
        file = TargetFile.from_data(path, content, list(algorithms))
        targets.targets[path] = file
        folder, _, name = path.rpartition("/")
        for digest in file.hashes.values():
            to = self.served / "targets" / folder / (f"{digest}.{name}" if self.consistent else name)
            to.parent.mkdir(parents=True, exist_ok=True)
            to.write_bytes(content)

    def client(self, *arguments, status=0):
        if not self.store.exists():
            run(CLIENT, "--metadata-dir", self.store, "init", self.served / "metadata/1.root.json")
        return run(CLIENT, "--metadata-dir", self.store, "--metadata-url", f"{self.url}/metadata", *arguments, status=status)

    def download(self, name, status=0):
        return self.client("--target-name", name, "--target-dir", self.work / "got", "--target-base-url",
                           f"{self.url}/targets", "download", status=status)

    def got(self):
        return sorted(path.read_bytes() for path in (self.work / "got").glob("*"))
