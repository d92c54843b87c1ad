#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each attack of docs/trust.md's table, mounted against the real client over real HTTP.

The client is proa-install with proa-fetch, as on a node; the publisher is proa-feed; the server is nginx, or one that
lies. `./dev test feed` runs it; PROA_BUILD names another build directory than build/meson.
"""

import json
import pathlib
import shutil
import sys
import tempfile
import time
import unittest

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tests/e2e"), str(TOP / "tests/conformance")]

from common import FEED, FETCH, Liar, Node, make_release, run, send  # noqa: E402
from harness.server import Server  # noqa: E402

BREAK = TOP / "tests/tools/feed-break.py"


class Attacks(unittest.TestCase):
    algorithm = "ed25519"

    def setUp(self):
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="proa-attack-"))
        self.folder, self.keys = self.work / "feed", self.work / "keys"
        run(FEED, "init", "--feed", self.folder, "--keys", self.keys, "--channel", "stable", "--channel", "beta",
            "--algorithm", self.algorithm)
        self.publish("1.0.0")
        self.server = Server(self.work / "logs")
        self.server.serve(self.folder)
        self.server.start()
        self.node = self.new_node(f"http://127.0.0.1:{self.server.port}")
        self.assertEqual(self.node.check(), "1.0.0")

    def tearDown(self):
        self.server.throw_away()
        shutil.rmtree(self.work)

    def new_node(self, url):
        return Node(self.work / f"node{len(list(self.work.glob('node*')))}", self.folder / "metadata/1.root.json", url)

    def feed(self, verb, *arguments):
        return run(FEED, verb, "--feed", self.folder, *arguments)

    def publish(self, version):
        self.feed("add", "--no-trees", make_release(self.work / f"images/{version}", version))
        self.feed("publish", "--keys", self.keys)

    def copy(self, name="copy"):
        """A copy of the feed, for an attacker to serve."""
        shutil.copytree(self.folder, self.work / name)
        return self.work / name

    def serve(self, folder):
        self.server.serve(folder)

    def newest(self, role):
        return max((self.folder / "metadata").glob(f"*.{role}.json"), key=lambda path: int(path.name.split(".")[0]))

    def refused(self, reason, offered="1.0.0"):
        """The node refuses what is served, and takes the honest feed as before."""
        self.assertEqual(self.node.check(), reason)
        self.serve(self.folder)
        self.assertEqual(self.node.check(), offered)

    def test_arbitrary_software(self):
        stranger = self.copy()
        run(sys.executable, BREAK, "--feed", stranger, "bad-signature")
        self.serve(stranger)
        self.refused("bad-signature")

    def test_wrong_hashes(self):
        altered = self.copy()
        self.publish("1.0.1")
        shutil.rmtree(altered)
        altered = self.copy()
        manifest = next((altered / "targets/stable/1.0.1").glob("*.manifest.json"))
        manifest.write_bytes(manifest.read_bytes().replace(b'"packages" : 1', b'"packages" : 2'))
        self.serve(altered)
        self.refused("metadata-mismatch", "1.0.1")

    def test_rollback(self):
        old = self.copy("old")
        self.publish("1.0.1")
        self.assertEqual(self.node.check(), "1.0.1")
        self.serve(old)
        self.refused("metadata-rollback", "1.0.1")

    def test_freeze(self):
        self.feed("refresh", "--keys", self.keys, "--timestamp-expires", "1s")
        time.sleep(2.1)
        self.assertEqual(self.node.check(), "stale-feed")
        self.assertEqual(self.node.check("--accept-stale", "2099-12-31"), "1.0.0")
        history = (self.node.folder / "var/lib/proa/history.jsonl").read_text()
        self.assertIn("accepted-stale", history)
        self.feed("refresh", "--keys", self.keys)
        self.assertEqual(self.node.check(), "1.0.0")

    def test_freeze_of_a_channel(self):
        """Only the channel's own role has expired: nobody with its key has spoken for long."""
        self.feed("add", "--no-trees", make_release(self.work / "images/1.0.1", "1.0.1"))
        self.feed("publish", "--keys", self.keys, "--targets-expires", "1s")
        time.sleep(2.1)
        self.assertEqual(self.node.check(), "stale-feed")
        self.assertEqual(self.node.check("--accept-stale", "2099-12-31"), "1.0.1")
        self.assertIn("accepted-stale", (self.node.folder / "var/lib/proa/history.jsonl").read_text())
        self.publish("1.0.2")
        self.assertEqual(self.node.check(), "1.0.2")

    def test_freeze_by_304(self):
        """A server that says for ever that nothing has changed."""
        def answer(handler, path):
            file = self.folder / path.lstrip("/")
            if path.endswith("timestamp.json") and handler.headers["If-None-Match"]:
                return send(handler, b"", 304, ETag='"x"')
            return send(handler, file.read_bytes(), ETag='"x"') if file.exists() else send(handler, b"", 404)

        liar = Liar(answer)
        self.feed("refresh", "--keys", self.keys, "--timestamp-expires", "6s")
        node = self.new_node(liar.url)
        self.assertEqual(node.check(), "1.0.0")
        self.publish("1.0.1")
        time.sleep(6.1)
        self.assertEqual(node.check(), "stale-feed")
        liar.shutdown()

    def test_mix_and_match(self):
        old = self.newest("stable").read_bytes()
        self.publish("1.0.1")
        mixed = self.copy()
        (mixed / "metadata" / self.newest("stable").name).write_bytes(old)
        self.serve(mixed)
        self.refused("metadata-mismatch", "1.0.1")

    def test_endless_data(self):
        def answer(handler, path):
            handler.send_response(200)
            handler.end_headers()
            while True:
                handler.wfile.write(b" " * 65536)

        liar = Liar(answer)
        self.assertEqual(self.new_node(liar.url).check(), "too-large")
        liar.shutdown()

    def test_slow_retrieval(self):
        def answer(handler, path):
            handler.send_response(200)
            handler.send_header("Content-Length", "1000")
            handler.end_headers()
            for _ in range(1000):
                handler.wfile.write(b" ")
                handler.wfile.flush()
                time.sleep(0.2)

        # As on a node, but for the patience: two seconds in place of a minute.
        hasty = self.work / "proa-fetch"
        hasty.write_text(f'#!/bin/sh\nexec {FETCH} --low-speed 1024:2 "$@"\n')
        hasty.chmod(0o755)
        liar = Liar(answer)
        self.assertEqual(self.new_node(liar.url).check("--fetch-helper", hasty), "transfer-slow")
        liar.shutdown()

    def test_channel_key_speaks_for_another_channel(self):
        """Whoever holds the keys of beta, snapshot and timestamp puts a release of his own into stable."""
        self.publish("1.0.1")
        stolen = self.copy()
        path = stolen / "metadata" / self.newest("stable").name
        envelope = json.loads(path.read_bytes())
        envelope["signed"]["version"] += 1
        envelope["signed"]["targets"] = {}
        draft = self.work / "stable.json"
        draft.write_text(json.dumps({"signatures": [], "signed": envelope["signed"]}))
        run(FEED, "sign", draft, "--key", self.keys / "beta.pem")
        forged = json.loads(draft.read_bytes())
        forged["signatures"][0]["keyid"] = envelope["signatures"][0]["keyid"]
        self.bring_out(stolen, {"stable": forged})
        self.serve(stolen)
        self.assertEqual(self.node.check(), "bad-signature")

    def bring_out(self, folder, roles, keys=None, timestamp_version=0):
        """Writes roles, and a snapshot and a timestamp that are signed with the true keys."""
        keys = keys or self.keys
        timestamp = json.loads((folder / "metadata/timestamp.json").read_bytes())["signed"]
        version = timestamp["meta"]["snapshot.json"]["version"]
        snapshot = json.loads((folder / f"metadata/{version}.snapshot.json").read_bytes())["signed"]
        for role, envelope in roles.items():
            version = envelope["signed"]["version"]
            data = json.dumps(envelope).encode()
            (folder / f"metadata/{version}.{role}.json").write_bytes(data)
            snapshot["meta"][f"{role}.json"] = {"version": version}
        snapshot["version"] += 1
        timestamp["version"] = timestamp_version or timestamp["version"] + 1
        timestamp["meta"]["snapshot.json"] = {"version": snapshot["version"]}
        for role, content, name in (("snapshot", snapshot, f"{snapshot['version']}.snapshot.json"),
                                    ("timestamp", timestamp, "timestamp.json")):
            path = folder / "metadata" / name
            path.write_text(json.dumps({"signatures": [], "signed": content}))
            run(FEED, "sign", path, "--key", keys / f"{role}.pem")

    def test_fast_forward(self):
        """Stolen online keys push the versions up; new keys bring the nodes back."""
        stolen = self.copy()
        self.bring_out(stolen, {}, timestamp_version=2 ** 31)
        self.serve(stolen)
        self.assertEqual(self.node.check(), "1.0.0")
        self.assertEqual(self.node.trusted("timestamp"), 2 ** 31)
        self.serve(self.folder)
        self.assertEqual(self.node.check(), "metadata-rollback")
        for role in ("snapshot", "timestamp"):
            self.feed("rotate", role, "--keys", self.keys, "--algorithm", "ed25519")
        self.assertEqual(self.node.check(), "1.0.0")
        self.assertLess(self.node.trusted("timestamp"), 100)

    def test_replayed_root(self):
        self.feed("renew", "--keys", self.keys)
        self.assertEqual(self.node.check(), "1.0.0")
        self.assertEqual(self.node.trusted("root"), 2)
        self.publish("1.0.1")
        replayed = self.copy()
        shutil.copy(replayed / "metadata/1.root.json", replayed / "metadata/3.root.json")
        self.serve(replayed)
        self.refused("metadata-rollback", "1.0.1")


class HybridAttacks(Attacks):
    """The same feed with hybrid keys; one kind of key alone is below the threshold."""

    algorithm = "hybrid"

    def test_compromise_below_the_threshold(self):
        """All the Ed25519 keys are broken, none of the ML-DSA keys is."""
        classical = self.work / "classical"
        classical.mkdir()
        for path in self.keys.glob("*.pem"):
            blocks = path.read_text().split("-----END PRIVATE KEY-----\n")
            (classical / path.name).write_text(blocks[0] + "-----END PRIVATE KEY-----\n")
        stolen = self.copy()
        self.bring_out(stolen, {}, keys=classical)
        self.serve(stolen)
        self.refused("bad-signature")


# The attacks themselves need no second round with the slower keys.
for name in [name for name in dir(Attacks) if name.startswith("test_")]:
    setattr(HybridAttacks, name, None)


if __name__ == "__main__":
    unittest.main()
