#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each rule of the TUF client workflow against a repository made with the reference implementation (python3-tuf).

Our client runs as a program of its own, and what it asks for is compared to the byte. Time is moved by libfaketime.
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
import tempfile
import unittest
import urllib.parse

from common import CLIENT, Liar, send
from securesystemslib.formats import encode_canonical
from securesystemslib.signer import CryptoSigner, Signature, SSlibKey
from tuf.api.metadata import DelegatedRole, Delegations, Metadata, MetaFile, Root, Snapshot, SuccinctRoles, TargetFile
from tuf.api.metadata import Targets, Timestamp

TODAY = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
MONTH = TODAY + datetime.timedelta(days=30)
KEYS = [CryptoSigner.generate_ed25519() for _ in range(6)] + [CryptoSigner.generate_ecdsa(), CryptoSigner.generate_rsa()]


class MlDsa:
    """A signer as TAP 21 says, made of hashlib and the openssl program: nothing of ours, and not yet in Debian's python3-tuf."""

    def __init__(self, folder, size, version=1):
        self.folder, self.private = folder, folder / f"ml-dsa-{size}.pem"
        subprocess.run(["openssl", "genpkey", "-algorithm", f"ML-DSA-{size}", "-out", self.private], check=True, capture_output=True)
        public = subprocess.run(["openssl", "pkey", "-in", self.private, "-pubout"], check=True, capture_output=True, text=True).stdout
        self.public_key = SSlibKey(f"id of {size}", "ml-dsa", f"ml-dsa-{size}/{version}", {"public": public})

    def sign(self, payload):
        message, signature = self.folder / "message", self.folder / "signature"
        message.write_bytes(b"tuf\x01" + hashlib.sha512(payload).digest())
        subprocess.run(["openssl", "pkeyutl", "-sign", "-rawin", "-inkey", self.private, "-in", message, "-out", signature], check=True)
        return Signature(self.public_key.keyid, signature.read_bytes().hex())


def day(number):
    return TODAY + datetime.timedelta(days=number)


class Repository:
    """A repository in memory behind an HTTP server, which remembers what was asked for, undecoded."""

    def __init__(self):
        self.files, self.requests, self.status = {}, [], {}
        self.signers = {"root": [KEYS[0]], "timestamp": [KEYS[1]], "snapshot": [KEYS[2]], "targets": [KEYS[3]]}
        self.root = Root(expires=MONTH)
        for role, signers in self.signers.items():
            self.root.add_key(signers[0].public_key, role)
        self.roles = {"timestamp": Timestamp(expires=MONTH), "snapshot": Snapshot(expires=MONTH), "targets": Targets(expires=MONTH)}
        self.hashes = False
        self.server = Liar(self.answer)
        self.publish_root()
        self.publish("targets")

    def answer(self, handler, path):
        self.requests.append(path.lstrip("/"))
        data = self.files.get(path.lstrip("/"))
        status = self.status.get(path.lstrip("/"), 200 if data is not None else 404)
        send(handler, data if status == 200 else b"", status)

    def sign(self, content, role):
        metadata = Metadata(content)
        for signer in self.signers[role]:
            metadata.sign(signer, append=True)
        return metadata.to_bytes()

    def name(self, role):
        quoted = urllib.parse.quote(role, "")
        return "metadata/timestamp.json" if role == "timestamp" else f"metadata/{self.roles[role].version}.{quoted}.json"

    def publish_root(self):
        self.files[f"metadata/{self.root.version}.root.json"] = self.sign(self.root, "root")

    def next_root(self):
        self.root.version += 1
        self.publish_root()

    def describe(self, role):
        data = self.files[self.name(role)]
        version = self.roles[role].version
        return MetaFile.from_data(version, data, ["sha256"]) if self.hashes else MetaFile(version)

    def publish(self, *roles):
        """Signs these roles as they are, and snapshot and timestamp, which describe them."""
        for role in roles:
            self.files[self.name(role)] = self.sign(self.roles[role], role)
            if role not in ("snapshot", "timestamp"):
                self.roles["snapshot"].meta[f"{role}.json"] = self.describe(role)
        self.files[self.name("snapshot")] = self.sign(self.roles["snapshot"], "snapshot")
        self.roles["timestamp"].snapshot_meta = self.describe("snapshot")
        self.files[self.name("timestamp")] = self.sign(self.roles["timestamp"], "timestamp")

    def next(self, *roles):
        """The next version of these roles, and of snapshot and timestamp."""
        for role in {*roles, "snapshot", "timestamp"}:
            self.roles[role].version += 1
        self.publish(*roles)

    def give(self, role, keys, threshold=1, signing=None):
        """The role gets other keys in the next root."""
        self.root.roles[role].keyids.clear()
        self.root.roles[role].threshold = threshold
        for key in keys:
            self.root.add_key(KEYS[key].public_key, role)
        self.signers[role] = [KEYS[key] for key in (keys if signing is None else signing)]

    def delegate(self, by, role, paths, key=4, terminating=False):
        delegator = self.roles[by]
        delegator.delegations = delegator.delegations or Delegations({}, {})
        delegator.delegations.roles[role] = DelegatedRole(role, [], 1, terminating, paths=paths)
        delegator.add_key(KEYS[key].public_key, role)
        self.signers.setdefault(role, [KEYS[key]])
        return self.roles.setdefault(role, Targets(expires=MONTH))

    def add(self, role, path, content=b"content", algorithms=("sha256",)):
        file = TargetFile.from_data(path, content, list(algorithms))
        self.roles[role].targets[path] = file
        folder, slash, name = path.rpartition("/")
        for digest in file.hashes.values():
            self.files["targets/" + urllib.parse.quote(f"{folder}{slash}{digest}.{name}", "/!$&'()*+,;=:@")] = content

    def asked(self):
        """What was asked for since the last call; metadata without folder and suffix."""
        asked = [path.removeprefix("metadata/").removesuffix(".json") for path in self.requests]
        self.requests.clear()
        return asked


class Rules(unittest.TestCase):
    def setUp(self):
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="proa-rules-"))
        self.store, self.got = self.work / "store", self.work / "got"
        self.repository = Repository()

    def tearDown(self):
        self.repository.server.shutdown()
        self.repository.server.server_close()
        shutil.rmtree(self.work)

    def client(self, *arguments, at=None):
        """Exit status of our client; `at` is the time that it is made to see."""
        if not self.store.exists():
            first = self.work / "root.json"
            first.write_bytes(self.repository.files["metadata/1.root.json"])
            subprocess.run([CLIENT, "--metadata-dir", self.store, "init", first], check=True)
        fake = ["faketime", str(at)] if at else []
        done = subprocess.run([*fake, CLIENT, "--metadata-url", f"{self.repository.server.url}/metadata/", "--metadata-dir",
                               self.store, *arguments], capture_output=True, text=True)
        self.message = done.stderr
        return done.returncode

    def refresh(self, at=None):
        return self.client("refresh", at=at)

    def download(self, *names, at=None):
        names = [word for name in names for word in ("--target-name", name)]
        return self.client(*names, "--target-dir", self.got, "--target-base-url", f"{self.repository.server.url}/targets/",
                           "download", at=at)

    def versions(self):
        return {path.name.removesuffix(".json"): json.loads(path.read_bytes())["signed"]["version"]
                for path in self.store.glob("*.json")}

    def contents(self):
        return sorted(path.read_bytes() for path in self.got.glob("*")) if self.got.exists() else []

    def refused(self, reason, at=None):
        self.assertEqual(self.refresh(at), 1, self.message)
        self.assertIn(f"({reason})", self.message)

    def accepted(self, at=None):
        self.assertEqual(self.refresh(at), 0, self.message)


class Requests(Rules):
    """What is asked for, in which order, and what is not."""

    def test_order_and_no_more_than_needed(self):
        self.accepted()
        self.assertEqual(self.repository.asked(), ["2.root", "timestamp", "1.snapshot", "1.targets"])
        self.accepted()
        self.assertEqual(self.repository.asked(), ["2.root", "timestamp"])
        self.repository.next()
        self.accepted()
        self.assertEqual(self.repository.asked(), ["2.root", "timestamp", "2.snapshot"])

    def test_without_consistent_snapshots(self):
        self.repository.root.consistent_snapshot = False
        self.repository.next_root()
        for role in ("snapshot", "targets"):
            self.repository.files[f"metadata/{role}.json"] = self.repository.files[f"metadata/1.{role}.json"]
        self.accepted()
        self.assertEqual(self.repository.asked(), ["2.root", "3.root", "timestamp", "snapshot", "targets"])

    def test_no_next_root_is_403_or_404_and_nothing_else(self):
        for status, ends in ((404, 0), (403, 0), (500, 1), (410, 1)):
            with self.subTest(status):
                self.repository.status["metadata/2.root.json"] = status
                self.assertEqual(self.refresh(), ends)
                self.assertEqual(len(self.repository.asked()) > 1, ends == 0)

    def test_missing_files_keep_what_came_before(self):
        self.accepted()
        self.repository.next("targets")
        for name, kept in (("timestamp", 1), ("2.snapshot", 1), ("2.targets", 1)):
            self.repository.status = {f"metadata/{name}.json": 404}
            self.refused("not-found")
            self.assertEqual(self.versions()["targets"], kept)
        self.assertEqual(self.versions(), {"root": 1, "timestamp": 2, "snapshot": 2, "targets": 1})

    def test_kept_as_served(self):
        self.repository.files["metadata/timestamp.json"] += b" \n"
        self.accepted()
        self.assertEqual((self.store / "timestamp.json").read_bytes(), self.repository.files["metadata/timestamp.json"])

    def test_failures_end_with_1(self):
        self.assertEqual(self.client("--no-such-option"), 1)
        self.assertEqual(self.client(), 1)
        empty = [CLIENT, "--metadata-dir", self.work / "empty", "--metadata-url", self.repository.server.url, "refresh"]
        self.assertEqual(subprocess.run(empty, capture_output=True).returncode, 1)
        self.assertEqual(self.repository.asked(), [], "a client without a root asks for nothing")
        self.repository.server.shutdown()
        self.repository.server.server_close()
        self.refused("feed-unreachable")

    def test_first_root_is_verified_before_anything_is_asked(self):
        self.repository.signers["root"] = [KEYS[5]]
        self.repository.publish_root()
        self.refused("bad-signature")
        self.assertEqual(self.repository.asked(), [])


class Signatures(Rules):
    def test_thresholds(self):
        """Keys listed, threshold, keys that sign, whether that is enough; keys of three kinds."""
        for number, (keys, threshold, signing, enough) in enumerate((
                ([4], 1, [4], True), ([4], 1, [1, 5], False), ([4, 5, 6], 2, [4, 6], True), ([4, 5, 6], 2, [6], False),
                ([5, 6, 7], 3, [7, 6, 5], True), ([5, 6, 7], 3, [7, 6, 4], False), ([4], 1, [5, 4, 0, 1], True),
                ([4, 5], 3, [4, 5], False))):
            for role in ("timestamp", "snapshot", "targets"):
                with self.subTest(role=role, number=number):
                    self.tearDown()
                    self.setUp()
                    self.repository.give(role, keys, threshold, signing)
                    self.repository.next_root()
                    self.repository.publish("targets")
                    self.assertEqual(self.refresh(), 0 if enough else 1, self.message)
                    self.assertEqual(role in self.versions(), enough)

    def test_ml_dsa(self):
        """A hybrid role, whose ML-DSA signature somebody else made; another version of the scheme is unknown."""
        for size, version, bare, good in ((44, 1, False, True), (65, 1, False, True), (87, 1, False, True), (65, 2, False, False),
                                          (65, 1, True, False)):
            with self.subTest(size=size, version=version, bare=bare):
                self.tearDown()
                self.setUp()
                signer = MlDsa(self.work, size, version)
                self.repository.give("snapshot", [2], threshold=2)
                self.repository.root.add_key(signer.public_key, "snapshot")
                self.repository.signers["snapshot"].append(signer)
                self.repository.next_root()
                self.repository.next()
                if bare:  # of the message itself, as ML-DSA would sign it without TAP 21
                    name = self.repository.name("snapshot")
                    envelope = json.loads(self.repository.files[name])
                    (self.work / "message").write_bytes(encode_canonical(envelope["signed"]).encode())
                    subprocess.run(["openssl", "pkeyutl", "-sign", "-rawin", "-inkey", signer.private, "-in", self.work / "message",
                                    "-out", self.work / "signature"], check=True)
                    envelope["signatures"][1]["sig"] = (self.work / "signature").read_bytes().hex()
                    self.repository.files[name] = json.dumps(envelope).encode()
                self.accepted() if good else self.refused("bad-signature")

    def test_root_is_signed_by_both(self):
        """Keys, threshold and signing keys of root 1 and root 2."""
        for (keys, threshold), (new, new_threshold), signing, good in (
                (([0], 1), ([4], 1), [0, 4], True), (([0], 1), ([4], 1), [4], False), (([0], 1), ([4], 1), [0], False),
                (([0, 4, 5], 2), ([0, 4, 6], 2), [0, 4], True), (([0, 4, 5], 2), ([0, 4, 6], 2), [0, 6], False),
                (([0, 4], 1), ([0, 4], 2), [0], False), (([0, 4], 2), ([0, 4], 1), [0], False)):
            with self.subTest(keys=keys, new=new, signing=signing):
                self.tearDown()
                self.setUp()
                self.repository.give("root", keys, threshold)
                self.repository.publish_root()
                self.repository.give("root", new, new_threshold, signing)
                self.repository.next_root()
                self.assertEqual(self.refresh(), 0 if good else 1, self.message)
                self.assertEqual(self.versions()["root"], 2 if good else 1)

    def test_duplicates_are_refused(self):
        def twice(name, change):
            kept = self.repository.files[name]
            envelope = json.loads(kept)
            change(envelope)
            self.repository.files[name] = json.dumps(envelope).encode()
            self.refused("bad-metadata")
            self.repository.files[name] = kept

        twice("metadata/1.snapshot.json", lambda envelope: envelope["signatures"].append(envelope["signatures"][0]))
        self.repository.root.roles["snapshot"].keyids *= 2
        self.repository.next_root()
        self.refused("bad-metadata")

    def test_broken_extra_signatures_do_no_harm(self):
        self.repository.give("timestamp", [1, 5])
        self.repository.next_root()
        self.repository.publish()
        for signature in ("", "00", "not hexadecimal"):
            envelope = json.loads(self.repository.files["metadata/timestamp.json"])
            envelope["signatures"][1]["sig"] = signature
            self.repository.files["metadata/timestamp.json"] = json.dumps(envelope).encode()
            self.accepted()

    def test_unknown_members_are_signed_too(self):
        self.repository.root.unrecognized_fields["x"] = {"b": [1, "\u00e9\t\"\\"], "a": None}
        self.repository.root.roles["root"].unrecognized_fields["y"] = "z"
        self.repository.next_root()
        self.accepted()
        self.repository.roles["targets"].unrecognized_fields["x"] = [True, -1, 2 ** 70]
        self.repository.next("targets")
        self.accepted()
        self.assertEqual(self.versions()["targets"], 2)

    def test_another_type_under_a_good_key(self):
        snapshot = self.repository.roles["snapshot"]
        snapshot.meta["snapshot.json"] = MetaFile(1)
        self.repository.files["metadata/timestamp.json"] = self.repository.sign(snapshot, "timestamp")
        self.refused("bad-metadata")
        self.assertEqual(self.versions(), {"root": 1})


    def test_a_bad_root_on_the_way_ends_the_way(self):
        """A good one after it is not reached, and what came before is kept."""
        self.repository.next_root()
        self.repository.signers["root"] = [KEYS[5]]
        self.repository.next_root()
        self.repository.signers["root"] = [KEYS[0]]
        self.repository.next_root()
        self.refused("bad-signature")
        self.assertEqual(self.repository.asked(), ["2.root", "3.root"])
        self.assertEqual(self.versions(), {"root": 2})

    def test_keys_go_by_the_name_that_root_gives_them(self):
        """An id need not be the digest of its key; two roles may share a key."""
        root = self.repository.root
        key = KEYS[6].public_key
        root.keys["any name"] = type(key)("any name", key.keytype, key.scheme, key.keyval)
        for role in ("timestamp", "snapshot"):
            root.roles[role].keyids = ["any name"]
            self.repository.signers[role] = [CryptoSigner(KEYS[6]._private_key, root.keys["any name"])]
        self.repository.next_root()
        self.repository.publish("targets")
        self.accepted()


class Content(Rules):
    """What is well signed and yet no metadata, or none of ours, at every level."""

    def alter(self, role, change):
        """The role's file, changed by `change` and signed anew, though python3-tuf would not have made it."""
        name = f"metadata/{self.repository.root.version}.root.json" if role == "root" else self.repository.name(role)
        content = json.loads(self.repository.files[name])["signed"]
        change(content)
        data = encode_canonical(content).encode()
        signatures = [signer.sign(data).to_dict() for signer in self.repository.signers[role]]
        self.repository.files[name] = json.dumps({"signatures": signatures, "signed": content}).encode()

    def cases(self, role, reason, *changes):
        for member, value in changes:
            with self.subTest(role, member=member, value=value):
                self.tearDown()
                self.setUp()

                def change(content):
                    *way, last = member.split("/")
                    for step in way:
                        content = content[step]
                    content[last] = value
                if role == "root":
                    self.repository.next_root()
                self.alter(role, change)
                self.refused(reason) if reason else self.accepted()

    def test_head(self):
        for role in ("timestamp", "snapshot", "targets"):
            self.cases(role, "bad-metadata", ("_type", "root"), ("_type", None), ("spec_version", "2.0.0"), ("spec_version", "1"),
                       ("spec_version", 1), ("version", 0), ("version", -1), ("version", "1"), ("version", True), ("version", 2 ** 63),
                       ("version", 2 ** 64 + 1), ("expires", "2999-01-01"), ("expires", "2999-01-01T00:00:00.5Z"),
                       ("expires", "2999-01-01T00:00:00+00:00"), ("expires", 99999999999))
            self.cases(role, None, ("spec_version", "1.9"), ("spec_version", "1.0.99"), ("expires", "9999-12-31T23:59:59Z"),
                       ("x", {"y": [None, False, 10 ** 40, "\n\u20ac"]}))

    def test_root(self):
        self.cases("root", "bad-metadata", ("_type", "targets"), ("spec_version", "2.0.0"), ("keys", []), ("keys", {"k": 1}),
                   ("roles", {}), ("roles/snapshot", None), ("roles/snapshot/threshold", 0), ("roles/snapshot/threshold", -1),
                   ("roles/targets/threshold", 2 ** 40), ("roles/targets/keyids", {}), ("roles/targets/keyids", [1]),
                   ("consistent_snapshot", "true"), ("consistent_snapshot", 1))
        self.cases("root", "bad-signature", ("roles/root/threshold", 2), ("roles/root/keyids", []), ("roles/root/keyids", ["none"]))

    def test_parents(self):
        for role, name in (("timestamp", "snapshot.json"), ("snapshot", "targets.json")):
            self.cases(role, "bad-metadata", ("meta", []), ("meta", {}), (f"meta/{name}", 1), (f"meta/{name}/version", 0),
                       (f"meta/{name}/version", 2 ** 70), (f"meta/{name}/length", -1), (f"meta/{name}/length", "9"),
                       (f"meta/{name}/hashes", None), (f"meta/{name}/hashes", {}), (f"meta/{name}/hashes", {"sha256": "00"}), (f"meta/{name}/hashes", {"sha256": 1}))
            self.cases(role, "too-large", (f"meta/{name}/length", 9))
            self.cases(role, "metadata-mismatch", (f"meta/{name}/length", 2 ** 40), (f"meta/{name}/hashes", {"sha256": "00" * 32}),
                       (f"meta/{name}/hashes", {"unknown": "00"}))
            self.cases(role, None, (f"meta/{name}/x", [1]))

    def test_targets(self):
        good = {"length": 1, "hashes": {"sha256": "00" * 32}}
        self.cases("targets", "bad-metadata", ("targets", []), ("targets", {"a": 1}), ("targets", {"a": {**good, "length": -1}}),
                   ("targets", {"a": {**good, "hashes": {}}}), ("targets", {"a": {**good, "hashes": ["sha256"]}}), ("delegations", []))
        self.cases("targets", None, ("targets", {"a": {**good, "custom": [1], "x": 2}}), ("targets", {"../../a": good, "/": good, "": good}))

    def test_delegations(self):
        def delegations(**members):
            role = {"name": "a", "keyids": [], "threshold": 1, "paths": ["*"], "terminating": False, **members}
            return "delegations", {"keys": {}, "roles": [{key: value for key, value in role.items() if value is not ...}]}

        self.cases("targets", "bad-metadata", delegations(name=""), delegations(name="root"), delegations(name=1), delegations(threshold=0),
                   delegations(threshold=-1), delegations(keyids=["a", "a"]), delegations(terminating="no"), delegations(terminating=1),
                   delegations(paths=...), delegations(path_hash_prefixes=["0"]), delegations(paths=[1]), delegations(name="x" * 300),
                   ("delegations", {"keys": {}}), ("delegations", {"keys": {}, "roles": {}}), ("delegations", {"roles": []}),
                   ("delegations", {"keys": {}, "roles": [delegations()[1]["roles"][0]] * 2}))
        self.cases("targets", None, delegations(keyids=["unknown"]), delegations(terminating=...), delegations(paths=[]),
                   delegations(threshold=99), delegations(x={"y": 1}))


class Rollback(Rules):
    def test_the_same_root_again(self):
        """Only N+1 will do under the name of N+1."""
        self.repository.files["metadata/2.root.json"] = self.repository.files["metadata/1.root.json"]
        self.refused("metadata-rollback")
        self.assertEqual(self.versions(), {"root": 1})
        del self.repository.files["metadata/2.root.json"]
        self.repository.root.version = 3
        self.repository.publish_root()
        self.repository.files["metadata/2.root.json"] = self.repository.files["metadata/3.root.json"]
        self.refused("bad-metadata")
        self.assertEqual(self.versions(), {"root": 1})

    def test_version_in_the_name_is_the_version_inside(self):
        for role in ("snapshot", "targets"):
            self.repository.roles[role].version = 2
            self.repository.files[f"metadata/1.{role}.json"] = self.repository.sign(self.repository.roles[role], role)
            self.refused("metadata-mismatch")
            self.repository.roles[role].version = 1
            self.repository.publish("targets")

    def test_older_versions(self):
        for self.repository.hashes in (False, True):
            self.repository.next("targets")
            self.accepted()
            for role in ("timestamp", "snapshot", "targets"):
                with self.subTest(role, hashes=self.repository.hashes):
                    kept = {name: content.version for name, content in self.repository.roles.items()}
                    self.repository.next()
                    self.repository.roles[role].version = 1
                    self.repository.publish("targets")
                    self.refused("metadata-rollback")
                    for name, version in kept.items():
                        self.repository.roles[name].version = version + 2 * (name != "targets")
                    self.repository.publish("targets")
                    self.accepted()

    def test_equal_timestamp_keeps_the_old(self):
        self.accepted()
        before = (self.store / "timestamp.json").read_bytes()
        self.repository.roles["timestamp"].snapshot_meta.version = 99
        self.repository.files["metadata/timestamp.json"] = self.repository.sign(self.repository.roles["timestamp"], "timestamp")
        self.accepted()
        self.assertEqual((self.store / "timestamp.json").read_bytes(), before)

    def test_vanished_role(self):
        self.repository.delegate("targets", "other", ["other/*"])
        self.repository.next("targets", "other")
        self.accepted()
        del self.repository.roles["snapshot"].meta["other.json"]
        self.repository.next()
        self.refused("metadata-rollback")

    def test_older_delegated_role(self):
        """Whether or not the client ever asked for the role: the snapshot is what remembers."""
        self.repository.delegate("targets", "other", ["other/*"]).version = 5
        self.repository.next("targets", "other")
        self.accepted()
        self.repository.roles["snapshot"].meta["other.json"] = MetaFile(4)
        self.repository.next()
        self.refused("metadata-rollback")
        self.assertEqual(self.versions()["snapshot"], 2)

    def test_new_keys_recover_from_fast_forward(self):
        for role, rotated in (("timestamp", ["timestamp"]), ("snapshot", ["snapshot", "timestamp"]), ("targets", ["snapshot"])):
            with self.subTest(role):
                self.tearDown()
                self.setUp()
                self.repository.roles[role].version = 99
                self.repository.publish("targets")
                self.accepted()
                self.assertEqual(self.versions()[role], 99)
                self.repository.roles[role].version = 2
                self.repository.roles["snapshot"].version += role == "targets"
                self.repository.roles["timestamp"].version += role != "timestamp"
                self.repository.publish("targets")
                self.refused("metadata-rollback")
                for name in rotated:
                    self.repository.give(name, [5])
                self.repository.next_root()
                self.repository.publish("targets")
                self.accepted()
                self.assertEqual(self.versions()[role], 2)


class Expiry(Rules):
    """What is good today has expired in ten days, for a client whose clock libfaketime sets."""

    def expire(self, role, at):
        if role == "root":
            self.repository.root.expires = at
            self.repository.next_root()
        else:
            self.repository.roles[role].expires = at
            self.repository.next(*({role} - {"snapshot", "timestamp"}))

    def test_each_role(self):
        for role in ("root", "timestamp", "snapshot", "targets"):
            with self.subTest(role):
                self.tearDown()
                self.setUp()
                self.expire(role, day(7))
                self.accepted()
                self.refused("stale-feed", at=day(10))
                self.expire(role, day(20))
                self.accepted(at=day(10))

    def test_expired_when_first_seen_is_not_kept(self):
        for role, kept in (("root", {"root": 2}), ("timestamp", {"root": 1}), ("snapshot", {"root": 1, "timestamp": 2}),
                           ("targets", {"root": 1, "timestamp": 2, "snapshot": 2})):
            with self.subTest(role):
                self.tearDown()
                self.setUp()
                self.expire(role, day(-1))
                self.refused("stale-feed")
                self.assertEqual(self.versions(), kept)

    def test_an_expired_timestamp_still_forbids_an_older_one(self):
        self.repository.roles["timestamp"].version = 5
        self.expire("timestamp", day(7))
        self.accepted()
        self.repository.roles["timestamp"].version = 3
        self.expire("timestamp", day(20))
        self.refused("metadata-rollback", at=day(10))

    def test_an_expired_snapshot_still_forbids_older_targets(self):
        self.repository.roles["targets"].version = 5
        self.repository.publish("targets")
        self.expire("snapshot", day(7))
        self.accepted()
        self.repository.roles["targets"].version = 4
        self.repository.publish("targets")
        self.expire("snapshot", day(20))
        self.refused("metadata-rollback", at=day(10))
        self.assertEqual(self.versions()["targets"], 5)

    def test_delegated(self):
        delegated = self.repository.delegate("targets", "other", ["other/*"])
        delegated.expires = day(7)
        self.repository.add("other", "other/a", b"a")
        self.repository.add("other", "other/b", b"b")
        self.repository.next("targets", "other")
        self.assertEqual(self.download("other/a"), 0, self.message)
        self.assertEqual(self.download("other/b", at=day(10)), 1)
        self.assertEqual(self.contents(), [b"a"])
        delegated.expires = day(20)
        self.repository.next("other")
        self.assertEqual(self.download("other/b", at=day(10)), 0, self.message)


class Delegated(Rules):
    def visited(self, *edges):
        """Who is asked, in order, for a file that nobody has; edges are "by role [terminating] [pattern]"."""
        self.tearDown()
        self.setUp()
        roles = ["targets"]
        for edge in edges:
            by, role, *rest = edge.split()
            pattern = next((word for word in rest if word != "terminating"), "*")
            self.repository.delegate(by, role, [pattern], terminating="terminating" in rest)
            roles += [role] if role not in roles else []
        self.repository.next(*roles)
        self.assertEqual(self.download("nothing"), 1)
        return [name.partition(".")[2] for name in self.repository.asked()[4:]]

    def test_search(self):
        self.assertEqual(self.visited("targets a", "targets b", "a c", "c d"), ["a", "c", "d", "b"])
        self.assertEqual(self.visited("targets a", "targets b", "a c terminating", "a d", "c e"), ["a", "c", "e"])
        self.assertEqual(self.visited("targets a terminating *.py", "targets b"), ["b"])
        self.assertEqual(self.visited("targets a", "a b", "b c", "c a", "b targets-too"), ["a", "b", "c", "targets-too"])
        self.assertEqual(self.visited("targets a", "targets b", "b c", "a c x/*"), ["a", "b", "c"])
        self.assertEqual(self.visited("targets a ?othing", "targets b nothin?", "targets c not?ing/"), ["a", "b"])
        deep = [f"r{number} r{number + 1}" for number in range(100)]
        self.assertLess(len(self.visited("targets r0", *deep)), 70, "an endless chain has an end")

    def test_case_and_slashes_count(self):
        self.repository.delegate("targets", "a", ["*.md", "d/*/e"])
        for path, found in (("x.md", True), ("x.MD", False), ("d/x.md", False), ("d/x/e", True), ("d/x/y/e", False)):
            self.repository.add("a", path, path.encode())
        self.repository.next("targets", "a")
        for path, status in (("x.md", 0), ("x.MD", 1), ("d/x.md", 1), ("d/x/e", 0), ("d/x/y/e", 1)):
            self.assertEqual(self.download(path), status, path)

    def test_verified_for_whoever_delegates(self):
        """One process looks up both: what the key of one delegator signed is nothing to the other."""
        for name, key in (("left", 4), ("right", 5)):
            self.repository.delegate("targets", name, [f"{name}/*"])
            self.repository.delegate(name, "shared", [f"{name}/*"], key=key)
            self.repository.add("shared", f"{name}/file", name.encode())
        self.repository.next("targets", "left", "right", "shared")
        self.assertEqual(self.download("left/file", "right/file"), 1)
        self.assertIn("(bad-signature)", self.message)
        self.assertEqual(self.contents(), [b"left"])
        shutil.rmtree(self.got)
        self.assertEqual(self.client("--target-name", "left/file", "right/file", "--target-dir", self.got, "--target-base-url",
                                     f"{self.repository.server.url}/targets/", "download"), 1)
        self.assertEqual(self.contents(), [b"left"])

    def test_threshold_of_a_delegated_role(self):
        """Keys that the role has, threshold, keys that sign."""
        for keys, threshold, signing, enough in (([4, 5, 6], 2, [6, 4], True), ([4, 5, 6], 2, [5], False),
                                                 ([4, 5], 1, [3, 0, 6], False), ([4], 2, [4], False)):
            with self.subTest(keys=keys, threshold=threshold, signing=signing):
                self.tearDown()
                self.setUp()
                self.repository.delegate("targets", "other", ["*"], key=keys[0])
                for key in keys[1:]:
                    self.repository.roles["targets"].add_key(KEYS[key].public_key, "other")
                self.repository.roles["targets"].delegations.roles["other"].threshold = threshold
                self.repository.signers["other"] = [KEYS[key] for key in signing]
                self.repository.add("other", "file")
                self.repository.next("targets", "other")
                self.assertEqual(self.download("file"), 0 if enough else 1, self.message)
                self.assertEqual("other" in self.versions(), enough)

    def test_new_keys_of_a_delegated_role(self):
        """What the old key signed is worth nothing from then on, though it lies in the store."""
        self.repository.delegate("targets", "other", ["*"], key=4)
        self.repository.add("other", "file")
        self.repository.next("targets", "other")
        self.assertEqual(self.download("file"), 0, self.message)
        targets = self.repository.roles["targets"]
        targets.revoke_key(KEYS[4].public_key.keyid, "other")
        targets.add_key(KEYS[5].public_key, "other")
        self.repository.next("targets")
        self.assertEqual(self.download("file"), 1)
        self.assertIn("(bad-signature)", self.message)
        self.repository.signers["other"] = [KEYS[5]]
        self.repository.next("other")
        self.assertEqual(self.download("file"), 0, self.message)

    def test_a_delegation_taken_back(self):
        self.repository.delegate("targets", "other", ["*"])
        self.repository.add("other", "file")
        self.repository.next("targets", "other")
        self.assertEqual(self.download("file"), 0, self.message)
        del self.repository.roles["targets"].delegations.roles["other"]
        self.repository.next("targets")
        self.repository.asked()
        self.assertEqual(self.download("file"), 1)
        self.assertIn("(not-found)", self.message)
        self.assertEqual(self.repository.asked(), ["2.root", "timestamp", "3.snapshot", "3.targets"])

    def test_path_hash_prefixes(self):
        """All roles in the chain must be trusted with the path."""
        for prefixes, found in ((["", "f"], True), ([hashlib.sha256(b"file").hexdigest()[:3]], True), (["zz"], False), ([], False)):
            with self.subTest(prefixes=prefixes):
                self.tearDown()
                self.setUp()
                self.repository.delegate("targets", "bins", ["*"])
                self.repository.delegate("bins", "bin", ["*"])
                role = self.repository.roles["bins"].delegations.roles["bin"]
                role.paths, role.path_hash_prefixes = None, prefixes
                self.repository.add("bin", "file")
                self.repository.next("targets", "bins", "bin")
                self.assertEqual(self.download("file"), 0 if found else 1, self.message)

    def test_a_role_that_the_snapshot_does_not_list_is_not_asked_for(self):
        self.repository.delegate("targets", "other", ["*"])
        self.repository.next("targets")
        self.assertEqual(self.download("file"), 1)
        self.assertNotIn("1.other", self.repository.asked())

    def test_odd_names_of_roles(self):
        for role in ("?", "#", "/role", "../role", "..", "a b", "%2F", "\u20ac", "root/../x", "a+b&c=d", "timestamp.json"):
            with self.subTest(role):
                self.tearDown()
                self.setUp()
                self.repository.delegate("targets", role, ["*"])
                self.repository.add(role, "file")
                self.repository.next("targets", role)
                self.assertEqual(self.download("file"), 0, self.message)
                self.assertIn("2." + urllib.parse.quote(role, ""), self.repository.asked())
                self.assertEqual(len(list(self.store.glob("*.json"))), 5)

    def test_bins(self):
        bins = SuccinctRoles([], 1, 12, "bin")
        self.repository.roles["targets"].delegations = Delegations({}, succinct_roles=bins)
        self.repository.roles["targets"].add_key(KEYS[4].public_key)
        name = bins.get_role_for_target("dir/file")
        self.repository.roles[name], self.repository.signers[name] = Targets(expires=MONTH), [KEYS[4]]
        self.repository.add(name, "dir/file")
        self.repository.next("targets", name)
        self.assertEqual(self.download("dir/file"), 0, self.message)
        self.assertEqual(self.repository.asked()[4:-1], [f"2.{name}"])


class Files(Rules):
    def test_odd_names(self):
        for name in ("a b", "100%", "%41", "\u00e4/\u20ac.bin", "a+b@c:d", "x#y?z", "it's(1)!", "dir/../x", ".hidden"):
            with self.subTest(name):
                self.repository.add("targets", name, name.encode())
                self.repository.next("targets")
                self.assertEqual(self.download(name), 0, self.message)
                self.assertIn(name.encode(), self.contents())
        self.assertEqual(len(self.contents()), len(os.listdir(self.got)), "all of them inside of the directory")

    def test_digests(self):
        for algorithms in (("sha256",), ("sha512",), ("sha256", "sha512")):
            name = "-".join(algorithms)
            self.repository.add("targets", name, name.encode(), algorithms)
            self.repository.next("targets")
            self.assertEqual(self.download(name), 0, self.message)
        self.repository.roles["targets"].targets["sha256"].hashes = {"unknown": "00"}
        self.repository.next("targets")
        self.assertEqual(self.download("sha256"), 1)
        self.assertIn("(metadata-mismatch)", self.message)
        self.repository.add("targets", "other", b"other")
        self.repository.next("targets")
        self.assertEqual(self.download("other"), 0, "one file that cannot be checked does not take the others with it")

    def test_nothing_in_it(self):
        """A target of no bytes is a target."""
        self.repository.add("targets", "empty", b"")
        self.repository.next("targets")
        self.assertEqual(self.download("empty"), 0, self.message)
        self.assertEqual(self.contents(), [b""])
        self.repository.files[next(name for name in self.repository.files if name.endswith(".empty"))] = b"x"
        shutil.rmtree(self.got)
        self.assertEqual(self.download("empty"), 1)
        self.assertEqual(self.contents(), [])

    def test_what_is_there_is_not_fetched_again(self):
        self.repository.add("targets", "file")
        self.repository.next("targets")
        for count in (1, 0):
            self.assertEqual(self.download("file"), 0)
            self.assertEqual(sum(path.startswith("targets/") for path in self.repository.asked()), count)

    def test_another_file_is_never_left_under_the_name(self):
        self.repository.add("targets", "file")
        self.repository.next("targets")
        name = next(name for name in self.repository.files if name.endswith(".file"))
        for wrong in (b"c0ntent", b"content and more", b"", b"cont"):
            self.repository.files[name] = wrong
            self.assertEqual(self.download("file"), 1)
            self.assertEqual(self.contents(), [])


if __name__ == "__main__":
    sys.exit(unittest.main())
