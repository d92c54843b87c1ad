#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Feeds and clients against the reference implementation of TUF (python3-tuf), both ways, over a real nginx.

`./dev test feed` runs it; PROA_BUILD names another build directory than build/meson.
"""

import datetime
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import unittest

from common import CLIENT, FEED, TOP, ReferenceRepository, Served, make_release, root_signers, run
from securesystemslib.signer import CryptoSigner
from tuf.api.exceptions import DownloadError, RepositoryError
from tuf.api.metadata import DelegatedRole, Delegations, SuccinctRoles, Targets
from tuf.ngclient import Updater, UpdaterConfig


class OurFeed(Served):
    """A feed made by proa-feed, with one release."""

    def setUp(self):
        super().setUp()
        self.keys = self.work / "keys"
        # The reference client of Debian knows no ML-DSA.
        self.feed("init", "--keys", self.keys, "--algorithm", "ed25519")
        self.feed("add", make_release(self.work / "images/base", "1.0.0"))
        self.feed("publish", "--keys", self.keys)

    def feed(self, verb, *arguments, status=0):
        return run(FEED, verb, "--feed", self.served, *arguments, status=status)


class PythonTufReadsOurFeed(OurFeed):
    """What proa-feed publishes, as the reference client sees it."""

    def updater(self):
        store = self.work / "python-store"
        if not store.exists():
            store.mkdir()
            shutil.copy(self.served / "metadata/1.root.json", store / "root.json")
        (self.work / "python-targets").mkdir(exist_ok=True)
        return Updater(str(store), f"{self.url}/metadata/", str(self.work / "python-targets"), f"{self.url}/targets/",
                       config=UpdaterConfig(prefix_targets_with_hash=True))

    def test_refresh_and_download(self):
        updater = self.updater()
        updater.refresh()
        info = updater.get_targetinfo("stable/1.0.0/manifest.json")
        self.assertEqual(info.custom, {"proa": {"version": "1.0.0", "channel": "stable", "architecture": "x86-64"}})
        manifest = json.loads(pathlib.Path(updater.download_target(info)).read_text())
        for file in (manifest["payloads"][0], manifest["uki"], manifest["sbom"]):
            data = (self.served / file["file"]).read_bytes()
            self.assertEqual((len(data), hashlib.sha256(data).hexdigest()), (file["size"], file["sha256"]))
        run("ostree", f"--repo={self.served}/trees", "fsck")
        self.assertIn(manifest["tree"], run("ostree", f"--repo={self.served}/trees", "rev-parse", "proa/stable/x86-64/1.0.0"))

    def test_later_releases_and_refreshes(self):
        self.updater().refresh()
        self.feed("add", make_release(self.work / "images/security", "1.0.1"))
        before = self.updater()
        before.refresh()
        self.assertIsNone(before.get_targetinfo("stable/1.0.1/manifest.json"), "pending is not published")
        self.feed("publish", "--keys", self.keys)
        self.feed("refresh", "--keys", self.keys)
        after = self.updater()
        after.refresh()
        self.assertIsNotNone(after.get_targetinfo("stable/1.0.0/manifest.json"))
        self.assertIsNotNone(after.get_targetinfo("stable/1.0.1/manifest.json"))

    def test_expiry(self):
        self.feed("refresh", "--keys", self.keys, "--timestamp-expires", "1s")
        subprocess.run(["sleep", "1.5"], check=True)
        with self.assertRaises(RepositoryError):
            self.updater().refresh()
        self.assertIn("EXPIRED", self.feed("list"))

    def test_refresh_renews_what_nears_its_expiry(self):
        self.feed("publish", "--keys", self.keys, "--snapshot-expires", "1h", "--targets-expires", "1h")
        self.feed("refresh", "--keys", self.keys)
        metadata = json.loads(self.feed("list", "--json"))["metadata"]
        self.assertEqual([metadata[role]["version"] for role in ("targets", "stable", "snapshot", "timestamp")], [4, 4, 4, 4])
        # With the timestamp's key alone it renews what it can.
        self.feed("publish", "--keys", self.keys, "--snapshot-expires", "1h", "--targets-expires", "1h")
        for role in ("root", "targets", "stable", "snapshot", "break-glass"):
            (self.keys / f"{role}.pem").unlink()
        self.feed("refresh", "--keys", self.keys)
        metadata = json.loads(self.feed("list", "--json"))["metadata"]
        self.assertEqual([metadata[role]["version"] for role in ("targets", "snapshot", "timestamp")], [5, 5, 6])
        self.updater().refresh()

    def test_refresh_tells_what_has_expired_and_it_cannot_sign(self):
        self.assertEqual(json.loads(self.feed("refresh", "--keys", self.keys, "--json"))["expired"], [])
        self.feed("publish", "--keys", self.keys, "--targets-expires", "1s")
        subprocess.run(["sleep", "2"], check=True)
        (self.keys / "stable.pem").rename(self.work / "stable.pem")
        told = self.feed("refresh", "--keys", self.keys, "--json").splitlines()
        self.assertEqual(json.loads(told[0])["expired"], ["stable"])
        self.assertRegex(told[1], "stable expired at .*`proa-feed refresh .*--key FILE")
        told = self.feed("refresh", "--keys", self.keys, "--key", self.work / "stable.pem", "--json")
        self.assertEqual(json.loads(told)["expired"], [])

    def test_refusals(self):
        self.assertIn("already holds a feed", self.feed("init", "--keys", self.keys, status=1))
        changed = make_release(self.work / "other/base", "1.0.0")
        self.assertIn("other content", self.feed("add", changed, status=1))
        (changed / "uki.efi").write_bytes(b"another")
        self.assertIn("no channel beta", self.feed("add", changed, "--channel", "beta", status=1))
        self.feed("channel", "beta", "--keys", self.keys)
        self.assertIn("metadata-mismatch", self.feed("add", changed, "--channel", "beta", status=3))
        stranger = make_release(self.work / "other/stranger", "2.0.0")
        shutil.copy(changed / "root.full", stranger / "root.full")
        self.assertIn("bad-payload", self.feed("add", stranger, status=1))
        (stranger / "release.json").write_text("{}")
        self.assertIn("bad-manifest", self.feed("add", stranger, status=3))
        self.assertEqual(len(json.loads(self.feed("list", "--json"))["releases"]), 1, "nothing half added")
        self.assertIn("not-found", self.feed("publish", "--keys", self.work / "nothing", status=1))


class Ceremonies(OurFeed):
    """Keys change hands; our client and the reference client follow, each from the root that it had."""

    def follow(self):
        """Both clients refresh; the version of root that ours has then."""
        store = self.work / "store"
        if not store.exists():
            run(CLIENT, "--metadata-dir", store, "init", self.served / "metadata/1.root.json")
        run(CLIENT, "--metadata-dir", store, "--metadata-url", f"{self.url}/metadata", "refresh")
        PythonTufReadsOurFeed.updater(self).refresh()
        return json.loads((store / "root.json").read_bytes())["signed"]["version"]

    def test_rotate_everything(self):
        self.assertEqual(self.follow(), 1)
        for version, role in enumerate(("root", "timestamp", "snapshot", "targets"), 2):
            self.assertIn("published", self.feed("rotate", role, "--keys", self.keys, "--algorithm", "ed25519"))
            self.assertEqual(self.follow(), version)
        self.feed("rotate", "stable", "--keys", self.keys, "--algorithm", "ecdsa-p256")
        self.feed("add", make_release(self.work / "images/security", "1.0.1"))
        self.feed("publish", "--keys", self.keys)
        self.follow()
        updater = PythonTufReadsOurFeed.updater(self)
        self.assertIsNotNone(updater.get_targetinfo("stable/1.0.1/manifest.json"))

    def test_init_from_public_keys_alone(self):
        """The publishing machine makes the online keys alone; two holders of root and one of targets never lend theirs."""
        feed, away, online, store = (self.work / name for name in ("born", "away", "online", "born-store"))
        away.mkdir()
        for holder in ("alice", "bob", "carol"):
            run(FEED, "key", "--algorithm", "ed25519", away / f"{holder}.pem")
        public = [word for role, holder in (("root", "alice"), ("root", "bob"), ("targets", "carol"), ("break-glass", "carol"))
                  for word in ("--public", f"{role}={away / holder}.pem.pub")]
        answer = json.loads(run(FEED, "init", "--feed", feed, "--keys", online, "--algorithm", "ed25519", *public, "--json"))
        self.assertEqual(answer["state"], "draft")
        self.assertEqual(sorted(path.name for path in online.glob("*")), ["snapshot.pem", "stable.pem", "timestamp.pem"])
        self.assertIn("waits for signatures", run(FEED, "list", "--feed", feed, status=1))
        self.assertIn("(busy)", run(FEED, "init", "--feed", feed, "--keys", online, *public, status=3))
        for draft in answer["drafts"]:
            copy = away / pathlib.Path(draft).name
            shutil.copy(draft, copy)
            for holder in ("alice", "bob", "carol"):
                run(FEED, "sign", copy, "--key", away / f"{holder}.pem")
        copies = [away / pathlib.Path(draft).name for draft in answer["drafts"]]
        self.assertIn("waits", run(FEED, "merge", "--feed", feed, copies[0]))
        self.assertIn("published", run(FEED, "merge", "--feed", feed, *copies[1:], "--keys", online))
        run(FEED, "refresh", "--feed", feed, "--keys", online)
        self.server.serve(feed)
        run(CLIENT, "--metadata-dir", store, "init", feed / "metadata/1.root.json")
        run(CLIENT, "--metadata-dir", store, "--metadata-url", f"{self.url}/metadata", "refresh")

    def test_signed_elsewhere(self):
        """Two holders who never see the feed; between the steps the old feed is whole."""
        away = self.work / "away"
        away.mkdir()
        for holder in ("alice", "bob"):
            run(FEED, "key", "--algorithm", "ed25519", away / f"{holder}.pem")
        answer = json.loads(self.feed("rotate", "root", "--keys", self.keys, "--add", away / "alice.pem.pub", "--add",
                                      away / "bob.pem.pub", "--threshold", "2", "--json"))
        self.assertEqual((answer["state"], [need["have"] for need in answer["needs"]]), ("draft", [0]))
        self.assertEqual(self.follow(), 1)
        self.feed("refresh", "--key", self.keys / "timestamp.pem")  # the draft hinders no timer
        for holder in ("alice", "bob"):
            copy = away / f"{holder}.json"
            shutil.copy(answer["drafts"][0], copy)
            run(FEED, "sign", copy, "--key", away / f"{holder}.pem")
            self.assertEqual(self.follow(), 1)
        self.assertIn("waits", self.feed("merge", away / "alice.json"))
        self.assertIn("published", self.feed("merge", away / "bob.json", "--keys", self.keys))
        self.assertEqual(self.follow(), 2)
        # The key that began it all has no say any more; one of two has none alone.
        self.assertIn("waits", self.feed("renew", "--keys", self.keys, "--key", away / "alice.pem"))
        self.feed("drop")
        self.assertIn("published", self.feed("renew", "--keys", self.keys, "--key", away / "alice.pem", "--key", away / "bob.pem"))
        self.assertEqual(self.follow(), 3)
        keyid = json.loads((self.served / "metadata/3.root.json").read_bytes())["signed"]["roles"]["root"]["keyids"][0]
        both = ["--keys", self.keys, "--key", away / "alice.pem", "--key", away / "bob.pem"]
        self.assertIn("--threshold", self.feed("revoke", "root", keyid, *both, status=2))  # that one will do must be said
        self.assertIn("published", self.feed("revoke", "root", away / "alice.pem.pub", "--threshold", "1", *both))
        self.assertEqual(self.follow(), 4)
        self.assertIn("not-found", self.feed("revoke", "root", keyid, "--keys", self.keys, status=1))

    def test_hybrid(self):
        """The default: each role has an Ed25519 and an ML-DSA-65 key, and needs both."""
        served, keys, store = self.work / "hybrid", self.work / "hybrid-keys", self.work / "hybrid-store"
        run(FEED, "init", "--feed", served, "--keys", keys)
        self.server.serve(served)
        root = json.loads((served / "metadata/1.root.json").read_bytes())["signed"]
        for role in root["roles"].values():
            self.assertEqual(role["threshold"], 2)
            self.assertEqual(sorted(root["keys"][keyid]["scheme"] for keyid in role["keyids"]), ["ed25519", "ml-dsa-65/1"])
        run(CLIENT, "--metadata-dir", store, "init", served / "metadata/1.root.json")
        run(CLIENT, "--metadata-dir", store, "--metadata-url", f"{self.url}/metadata", "refresh")
        # Without one of the two signatures it is nothing.
        timestamp = json.loads((served / "metadata/timestamp.json").read_bytes())
        timestamp["signatures"].pop()
        (served / "metadata/timestamp.json").write_text(json.dumps(timestamp))
        self.assertIn("bad-signature", run(CLIENT, "--metadata-dir", store, "--metadata-url", f"{self.url}/metadata",
                                           "refresh", status=1))


class BrokenFeeds(OurFeed):
    """What tests/tools/feed-break.py does to a feed is what it says."""

    def broken(self, *how):
        copy = self.work / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self.served, copy, copy_function=os.link)
        run(sys.executable, TOP / "tests/tools/feed-break.py", "--feed", copy, "--keys", self.keys, *how)
        self.server.serve(copy)
        return copy

    def client(self, *arguments, status=0):
        store = self.work / "store"
        if not store.exists():
            run(CLIENT, "--metadata-dir", store, "init", self.served / "metadata/1.root.json")
        return run(CLIENT, "--metadata-dir", store, "--metadata-url", f"{self.url}/metadata", *arguments, status=status)

    def manifest(self, feed):
        got = self.work / "got"
        shutil.rmtree(got, ignore_errors=True)
        self.client("--target-name", "stable/1.0.0/manifest.json", "--target-dir", got, "--target-base-url",
                    f"{self.url}/targets", "download")
        manifest = json.loads(next(got.glob("*")).read_text())
        payload = manifest["payloads"][0]
        data = (feed / payload["file"]).read_bytes()
        return manifest, len(data) - payload["size"], hashlib.sha256(data).hexdigest() == payload["sha256"]

    def test_bad_signature(self):
        self.client("refresh")
        self.broken("bad-signature")
        self.assertIn("bad-signature", self.client("refresh", status=1))
        self.server.serve(self.served)
        self.client("refresh")

    def test_wrong_root_hash(self):
        right = self.manifest(self.served)[0]
        wrong, longer, same = self.manifest(self.broken("wrong-root-hash", "1.0.0"))
        self.assertNotEqual(wrong["root"]["hash"], right["root"]["hash"])
        self.assertEqual((longer, same), (0, True))
        # The way back that the tool's help tells.
        self.server.serve(self.served)
        self.assertIn("metadata-rollback", self.client("refresh", status=1))
        self.feed("publish", "--keys", self.keys)
        self.feed("publish", "--keys", self.keys)
        self.assertEqual(self.manifest(self.served)[0], right)

    def test_flip_payload(self):
        self.assertEqual(self.manifest(self.broken("flip-payload", "1.0.0"))[1:], (0, False))
        self.assertEqual(self.manifest(self.served)[1:], (0, True), "the original is not touched")

    def test_truncate_payload(self):
        _, longer, same = self.manifest(self.broken("truncate-payload", "1.0.0"))
        self.assertLess(longer, 0)
        self.assertFalse(same)


class OurClientReadsPythonTuf(ReferenceRepository):
    """What the reference implementation publishes, as our client sees it."""

    def test_several_targets_by_one_client(self):
        """One client looks up both; a name that is missing is a failure of the whole."""
        self.make(root_signers(CryptoSigner.generate_ed25519))
        self.add(self.targets, "a/file", b"one")
        self.add(self.targets, "b/file", b"two")
        self.publish()
        names = ("--target-name", "a/file", "--target-name", "b/file")
        rest = ("--target-dir", self.work / "got", "--target-base-url", f"{self.url}/targets", "download")
        self.client(*names, *rest)
        self.assertEqual(self.got(), [b"one", b"two"])
        self.assertIn("not-found", self.client(*names, "--target-name", "c", *rest, status=1))

    def check_keys(self, make):
        self.make(root_signers(make))
        self.add(self.targets, "a/file", b"content")
        self.publish()
        self.download("a/file")
        self.assertEqual(self.got(), [b"content"])

    def test_ed25519(self):
        self.check_keys(CryptoSigner.generate_ed25519)

    def test_ecdsa(self):
        self.check_keys(CryptoSigner.generate_ecdsa)

    def test_rsassa_pss(self):
        self.check_keys(CryptoSigner.generate_rsa)

    def test_stored_as_served(self):
        self.make(root_signers(CryptoSigner.generate_ed25519))
        self.publish()
        self.client("refresh")
        for stored, served in (("root", "1.root"), ("timestamp", "timestamp"), ("snapshot", "1.snapshot"), ("targets", "1.targets")):
            self.assertEqual((self.store / f"{stored}.json").read_bytes(), (self.served / f"metadata/{served}.json").read_bytes())
        self.assertEqual(self.requests(), [f"/metadata/{name}.json" for name in
                                           ("2.root", "timestamp", "1.snapshot", "1.targets")])

    def test_without_consistent_snapshots(self):
        self.make(root_signers(CryptoSigner.generate_ed25519), consistent=False)
        self.add(self.targets, "file", b"content")
        self.publish()
        self.download("file")

    def test_sha512_only(self):
        self.make(root_signers(CryptoSigner.generate_ed25519))
        self.add(self.targets, "file", b"content", ["sha512"])
        self.publish()
        self.download("file")

    def test_unknown_members_count_for_signatures(self):
        self.make(root_signers(CryptoSigner.generate_ed25519))
        self.targets.unrecognized_fields["x"] = {"b": [1, "\u00e9\t\"\\\u20ac", None, True], "a": -3, "\U0001f600": "", "\uff61": 2**80}
        self.publish()
        self.client("refresh")

    def test_delegations(self):
        self.make(root_signers(CryptoSigner.generate_ed25519))
        signer = CryptoSigner.generate_ed25519()
        self.targets.delegations = Delegations({}, {
            "beta": DelegatedRole("beta", [], 1, True, paths=["beta/*/*"]),
            "odd ?/name": DelegatedRole("odd ?/name", [], 1, False, path_hash_prefixes=["0", "1", "2", "3", "4", "5", "6", "7", "8",
                                                                                       "9", "a", "b", "c", "d", "e", "f"])})
        for name in ("beta", "odd ?/name"):
            self.targets.add_key(signer.public_key, name)
        beta, odd = Targets(expires=self.expires), Targets(expires=self.expires)
        self.add(beta, "beta/1/file", b"beta")
        self.add(beta, "stable/1/file", b"not for beta to say")
        self.add(odd, "deep/in/odd", b"odd")
        self.delegated = {"beta": (beta, signer)}
        self.publish()
        # The name of the second does not make a plain file name; publish it by hand.
        quoted = "odd%20%3F%2Fname"
        self.snapshot.meta["odd ?/name.json"] = self.write(odd, f"1.{quoted}.json", signer)
        self.timestamp.snapshot_meta = self.write(self.snapshot, "1.snapshot.json", self.signers["snapshot"])
        self.write(self.timestamp, "timestamp.json", self.signers["timestamp"])
        (self.served / f"metadata/1.{quoted}.json").rename(self.served / "metadata/1.odd ?%2Fname.json")
        self.served.joinpath("metadata/1.odd ?").mkdir()
        shutil.copy(self.served / "metadata/1.odd ?%2Fname.json", self.served / "metadata/1.odd ?/name.json")
        self.download("beta/1/file")
        self.download("deep/in/odd")
        self.assertEqual(self.got(), [b"beta", b"odd"])
        self.assertIn("not-found", self.download("stable/1/file", status=1))
        self.assertTrue((self.store / f"{quoted}.json").exists())

    def test_succinct_roles(self):
        self.make(root_signers(CryptoSigner.generate_ed25519))
        signer = CryptoSigner.generate_ed25519()
        bins = SuccinctRoles([], 1, 3, "bin")
        self.targets.delegations = Delegations({}, succinct_roles=bins)
        self.targets.add_key(signer.public_key)
        self.delegated = {name: (Targets(expires=self.expires), signer) for name in bins.get_roles()}
        for number in range(10):
            path = f"dir/file{number}"
            self.add(self.delegated[bins.get_role_for_target(path)][0], path, f"content {number}".encode())
        self.publish()
        for number in range(10):
            self.download(f"dir/file{number}")
        self.assertEqual(len(self.got()), 10)

    def test_root_rotation(self):
        self.make(root_signers(CryptoSigner.generate_ed25519))
        self.publish()
        self.client("refresh")
        for _ in range(3):
            old, new = self.signers["root"], CryptoSigner.generate_ecdsa()
            self.root.revoke_key(old.public_key.keyid, "root")
            self.root.add_key(new.public_key, "root")
            self.root.version += 1
            self.write(self.root, f"{self.root.version}.root.json", old, new)
            self.signers["root"] = new
        self.client("refresh")
        self.assertEqual(json.loads((self.store / "root.json").read_text())["signed"]["version"], 4)

    def test_threshold(self):
        self.make(root_signers(CryptoSigner.generate_ed25519))
        second = CryptoSigner.generate_ecdsa()
        self.root.add_key(second.public_key, "timestamp")
        self.root.roles["timestamp"].threshold = 2
        self.root.version = 2
        self.publish_root()
        self.publish()
        self.client("--help")
        shutil.copy(self.served / "metadata/2.root.json", self.served / "metadata/1.root.json")
        self.assertIn("bad-signature", self.client("refresh", status=1))
        self.write(self.timestamp, "timestamp.json", self.signers["timestamp"], second)
        self.client("refresh")

    def test_wrong_target(self):
        self.make(root_signers(CryptoSigner.generate_ed25519))
        self.add(self.targets, "file", b"content")
        self.publish()
        path = next((self.served / "targets").glob("*.file"))
        path.write_bytes(b"cOntent")
        self.assertIn("metadata-mismatch", self.download("file", status=1))
        path.write_bytes(b"content and endless more")
        self.assertIn("too-large", self.download("file", status=1))
        self.assertEqual(self.got(), [])

    def test_both_refuse_the_same(self):
        """Attacks on a repository that both clients knew: neither takes them."""
        self.make(root_signers(CryptoSigner.generate_ed25519))
        self.publish()
        self.client("refresh")
        python_store = self.work / "python-store"
        python_store.mkdir()
        shutil.copy(self.served / "metadata/1.root.json", python_store / "root.json")

        def python_refresh():
            Updater(str(python_store), f"{self.url}/metadata/").refresh()

        def stale():
            self.timestamp.expires = self.expires - datetime.timedelta(days=3)

        def rolled_back():
            self.timestamp.version = 1
            self.snapshot.version = 1

        def stranger():
            self.signers = dict(self.signers, timestamp=CryptoSigner.generate_ed25519())

        python_refresh()
        self.timestamp.version = self.snapshot.version = 5
        self.publish()
        self.client("refresh")
        python_refresh()
        for attack, reason in ((stale, "stale-feed"), (rolled_back, "metadata-rollback"), (stranger, "bad-signature")):
            with self.subTest(attack.__name__):
                kept = self.signers
                self.timestamp.version, self.snapshot.version, self.timestamp.expires = 6, 6, self.expires
                attack()
                self.publish()
                self.assertIn(f"({reason})", self.client("refresh", status=1))
                with self.assertRaises((RepositoryError, DownloadError)):
                    python_refresh()
                self.signers = kept


if __name__ == "__main__":
    unittest.main()
