#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Breaks a feed in one way, to see a node refuse it. Works on the feed it is given: give it a copy.

  bad-signature             timestamp.json gets a higher version and the signature of a key that nobody trusts
  wrong-root-hash VERSION   the release's manifest names another root hash, properly signed all the way up
  flip-payload VERSION      one byte of the release's full payload is another
  truncate-payload VERSION  the release's full payload ends halfway

wrong-root-hash counts the versions of the channel (or targets), snapshot and timestamp up by one, and a node that saw
them takes nothing older. So before the original feed is served to that node again, run `proa-feed publish` on it twice.
Needs the keys of these for wrong-root-hash, which signs through `proa-feed sign` (below $PROA_BUILD, default
build/meson); for the others --keys may be left out.
Prints what it did. Exit status 1 if the feed is not what it takes it for.
"""

import argparse
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

TOP = pathlib.Path(__file__).resolve().parents[2]
TOOL = pathlib.Path(os.environ.get("PROA_BUILD", TOP / "build/meson")) / "images/feed/proa-feed"


class Broken(Exception):
    """The feed cannot be broken in that way."""


def canonical(value):
    """OLPC canonical JSON; what a feed holds needs no more than this."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


class Feed:
    """A feed directory and its newest metadata."""

    def __init__(self, folder, keys):
        self.folder = pathlib.Path(folder)
        self.keys = keys and pathlib.Path(keys)
        self.timestamp = self.read("metadata/timestamp.json")
        version = self.timestamp["signed"]["meta"]["snapshot.json"]["version"]
        self.snapshot = self.read(f"metadata/{version}.snapshot.json")
        self.roles = {}
        for name, meta in self.snapshot["signed"]["meta"].items():
            role = name.removesuffix(".json")
            self.roles[role] = self.read(f"metadata/{meta['version']}.{role}.json")

    def read(self, name):
        """A JSON file of the feed."""
        try:
            return json.loads((self.folder / name).read_bytes())
        except (OSError, ValueError) as error:
            raise Broken(f"{self.folder / name}: {error}") from error

    def write(self, name, data):
        """Replaces a file; never writes into the old one, which may be a hard link of the original's."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(path.name + ".new")
        temporary.write_bytes(data)
        os.replace(temporary, path)

    def sign(self, envelope, role):
        """Signs an envelope's content with the keys of a role."""
        if not self.keys:
            raise Broken("--keys DIR is missing")
        with tempfile.TemporaryDirectory(prefix="feed-break-") as work:
            file = pathlib.Path(work) / "envelope.json"
            file.write_text(json.dumps({"signatures": [], "signed": envelope["signed"]}))
            done = subprocess.run([TOOL, "sign", "--key", self.keys / f"{role}.pem", file], text=True, capture_output=True)
            if done.returncode:
                raise Broken(f"signing {role}: {done.stderr.strip()}")
            envelope["signatures"] = json.loads(file.read_bytes())["signatures"]

    def put(self, envelope, name):
        """Writes an envelope; returns how its parent describes it."""
        data = json.dumps(envelope).encode()
        self.write(f"metadata/{name}", data)
        return {"version": envelope["signed"]["version"], "length": len(data),
                "hashes": {"sha256": hashlib.sha256(data).hexdigest()}}

    def publish(self, role):
        """Signs and writes a role, snapshot and timestamp with their versions counted up."""
        envelope = self.roles[role]
        for each in (envelope, self.snapshot, self.timestamp):
            each["signed"]["version"] += 1
        self.sign(envelope, role)
        self.snapshot["signed"]["meta"][f"{role}.json"] = self.put(
            envelope, f"{envelope['signed']['version']}.{role}.json")
        self.sign(self.snapshot, "snapshot")
        self.timestamp["signed"]["meta"]["snapshot.json"] = self.put(
            self.snapshot, f"{self.snapshot['signed']['version']}.snapshot.json")
        self.timestamp["signed"].setdefault("proa", {})["time"] = int(time.time())
        self.sign(self.timestamp, "timestamp")
        self.put(self.timestamp, "timestamp.json")

    def role_of(self, channel):
        """The role that signs for a channel's releases."""
        return channel if channel in self.roles else "targets"

    def target(self, channel, version):
        """The target of a release: its path and entry in its role's metadata, and the name of its manifest."""
        path = f"{channel}/{version}/manifest.json"
        try:
            entry = self.roles[self.role_of(channel)]["signed"]["targets"][path]
        except KeyError as error:
            raise Broken(f"the feed has published no {path}") from error
        return path, entry, f"targets/{channel}/{version}/{entry['hashes']['sha256']}.manifest.json"

    def payload(self, channel, version):
        """The path of a release's full payload, its own copy. The others are taken away: none can stand in for it."""
        manifest = self.read(self.target(channel, version)[2])
        for payload in manifest["payloads"]:
            if payload["type"] != "full":
                (self.folder / payload["file"]).unlink(missing_ok=True)
        for payload in manifest["payloads"]:
            if payload["type"] == "full":
                path = self.folder / payload["file"]
                own = path.with_name(path.name + ".new")
                shutil.copyfile(path, own)
                os.replace(own, path)
                return path
        raise Broken(f"{channel} {version} has no full payload")


def bad_signature(feed, args):
    """A timestamp that anybody could have made."""
    feed.timestamp["signed"]["version"] += 1
    stranger = Ed25519PrivateKey.generate().sign(canonical(feed.timestamp["signed"])).hex()
    for signature in feed.timestamp["signatures"]:
        signature["sig"] = stranger
    feed.put(feed.timestamp, "timestamp.json")
    return "timestamp.json is signed by a stranger"


def wrong_root_hash(feed, args):
    """A manifest whose root hash is not that of its payload; the publisher's own mistake, properly signed."""
    path, entry, name = feed.target(args.channel, args.version)
    manifest = feed.read(name)
    right = manifest["root"]["hash"]
    manifest["root"]["hash"] = ("0" if right[0] != "0" else "1") + right[1:]
    data = json.dumps(manifest, indent=1).encode()
    entry["length"] = len(data)
    entry["hashes"] = {"sha256": hashlib.sha256(data).hexdigest()}
    feed.write(f"targets/{path.rsplit('/', 1)[0]}/{entry['hashes']['sha256']}.manifest.json", data)
    feed.publish(feed.role_of(args.channel))
    return f"{path} names root hash {manifest['root']['hash']}, its payload holds {right}"


def flip_payload(feed, args):
    """One bit of one byte in the middle."""
    path = feed.payload(args.channel, args.version)
    offset = args.offset if args.offset is not None else path.stat().st_size // 2
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)
        if not byte:
            raise Broken(f"{path} is shorter than {offset} bytes")
        file.seek(offset)
        file.write(bytes([byte[0] ^ 0x01]))
    return f"{path}: byte {offset} flipped"


def truncate_payload(feed, args):
    """The first half, which a server serves as if it were the whole."""
    path = feed.payload(args.channel, args.version)
    size = args.size if args.size is not None else path.stat().st_size // 2
    os.truncate(path, size)
    return f"{path}: cut to {size} bytes"


def main():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--feed", required=True, metavar="DIR", help="the feed to break: a copy")
    parser.add_argument("--keys", metavar="DIR", help="private keys of its roles (ROLE.pem)")
    parser.add_argument("--channel", default="stable", help="channel of VERSION (default: stable)")
    how = parser.add_subparsers(dest="how", required=True, metavar="HOW")
    for name, act in (("bad-signature", bad_signature), ("wrong-root-hash", wrong_root_hash),
                      ("flip-payload", flip_payload), ("truncate-payload", truncate_payload)):
        verb = how.add_parser(name, help=act.__doc__)
        verb.set_defaults(act=act)
        if name != "bad-signature":
            verb.add_argument("version", metavar="VERSION")
        if name == "flip-payload":
            verb.add_argument("--offset", type=int, metavar="BYTE", help="which byte (default: the middle one)")
        if name == "truncate-payload":
            verb.add_argument("--size", type=int, metavar="BYTES", help="how many are left (default: half)")
    args = parser.parse_args()
    try:
        print(args.act(Feed(args.feed, args.keys), args))
    except Broken as error:
        print(f"feed-break.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
