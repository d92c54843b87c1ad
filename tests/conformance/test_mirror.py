#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Mirrors of a feed, over HTTP and as files on a medium: nodes take them as they take the original.

`./dev test feed` runs it; PROA_BUILD names another build directory than build/meson.
"""

import json
import shutil
import time
import unittest

from common import FEED, Node, Served, make_release, run


class Mirrors(Served):
    def setUp(self):
        super().setUp()
        self.keys, self.mirror = self.work / "keys", self.work / "mirror"
        self.feed("init", "--keys", self.keys, "--algorithm", "ed25519", "--channel", "stable", "--channel", "beta")
        self.publish("stable", "1.0.0")
        self.publish("beta", "1.1.0")

    def feed(self, verb, *arguments, status=0):
        return run(FEED, verb, "--feed", self.served, *arguments, status=status)

    def publish(self, channel, version):
        self.feed("add", "--channel", channel, make_release(self.work / f"images/{version}", version))
        self.feed("publish", "--keys", self.keys)

    def copy(self, source, *options):
        return json.loads(run(FEED, "mirror", "--feed", self.mirror, source, *options, "--json"))

    def check(self, url, channel="stable"):
        """What a new node, which has the original's first root, says of the feed at this URL."""
        node = Node(self.work / f"node{len(list(self.work.glob('node*')))}", self.served / "metadata/1.root.json", url, channel)
        return node.check()

    def refs(self):
        return run("ostree", f"--repo={self.mirror}/trees", "refs").split()

    def test_over_http_and_from_a_medium(self):
        for source in (self.url, self.served, f"file://{self.served}"):
            with self.subTest(source):
                shutil.rmtree(self.mirror, ignore_errors=True)
                answer = self.copy(source)
                self.assertEqual((answer["fetched"], answer["trees"]), (answer["files"], 2))
                self.assertEqual(self.copy(source)["fetched"], 0)
                run("ostree", f"--repo={self.mirror}/trees", "fsck")
                self.assertEqual(len(self.refs()), 2)
                self.assertEqual(self.check(f"file://{self.mirror}"), "1.0.0")
                self.server.serve(self.mirror)
                self.assertEqual(self.check(self.url), "1.0.0")
                self.assertEqual(self.check(self.url, "beta"), "1.1.0")
                self.server.serve(self.served)
        self.assertIn("0 wrong", run(FEED, "audit", "--feed", self.mirror))

    def test_one_channel_and_nothing_else(self):
        self.copy(self.served)
        self.publish("stable", "1.0.1")
        answer = self.copy(self.served, "--channel", "stable", "--prune")
        self.assertGreater(answer["removed"], 3)
        self.assertEqual(sorted(self.refs()), ["proa/stable/x86-64/1.0.0", "proa/stable/x86-64/1.0.1"])
        run("ostree", f"--repo={self.mirror}/trees", "fsck")
        self.assertEqual(sorted(path.name for path in (self.mirror / "targets").glob("*")), ["stable"])
        self.assertEqual(self.check(f"file://{self.mirror}"), "1.0.1")
        self.assertEqual(self.copy(self.served, "--channel", "stable", "--prune")["removed"], 0)
        self.assertIn("0 wrong", run(FEED, "audit", "--feed", self.mirror, "--channel", "stable"))

    def test_what_it_refuses(self):
        self.assertIn("(bad-state)", run(FEED, "mirror", "--feed", self.served, self.url, "--prune", status=1))
        payload = next((self.served / "payloads").glob("*.efi"))
        payload.write_bytes(b"XX" + payload.read_bytes()[2:])
        self.assertIn("(payload-digest)", run(FEED, "mirror", "--feed", self.mirror, self.served, status=1))
        self.assertFalse((self.mirror / "metadata/timestamp.json").exists())
        self.assertFalse((self.mirror / "payloads" / payload.name).exists())

    def test_damage_with_the_size_unchanged(self):
        self.copy(self.served)
        payload = next((self.mirror / "payloads").glob("*.efi"))
        payload.write_bytes(b"XX" + payload.read_bytes()[2:])
        answer = self.copy(self.served)
        self.assertEqual((answer["fetched"], answer["damaged"]), (1, 1))
        self.assertIn("0 wrong", run(FEED, "audit", "--feed", self.mirror))

    def test_a_stale_feed(self):
        self.feed("publish", "--keys", self.keys, "--timestamp-expires", "1s")
        time.sleep(2)
        self.assertIn("(stale-feed)", run(FEED, "mirror", "--feed", self.mirror, self.url, status=3))
        self.assertIn("no time to come",
                      run(FEED, "mirror", "--feed", self.mirror, self.url, "--accept-stale", "2020-01-01", status=2))
        self.assertFalse(self.mirror.exists())
        told = run(FEED, "mirror", "--feed", self.mirror, self.url, "--accept-stale", "2099-12-31")
        self.assertRegex(told, "timestamp expired at .*accepted until 2099-12-31T23:59:59Z")
        node = Node(self.work / "node", self.served / "metadata/1.root.json", f"file://{self.mirror}")
        self.assertEqual(node.check(), "stale-feed")
        self.assertEqual(node.check("--accept-stale", "2099-12-31"), "1.0.0")
        # An audit tells the same, and checks the files all the same.
        told = run(FEED, "audit", "--feed", self.mirror, status=1)
        self.assertRegex(told, "timestamp +version [0-9]+ +EXPIRED")
        self.assertIn(", 1 wrong", told)

    def test_without_trees(self):
        self.assertEqual(self.copy(self.served, "--no-trees")["trees"], 0)
        self.assertFalse((self.mirror / "trees").exists())
        shutil.rmtree(self.served / "trees")
        self.assertEqual(self.copy(self.served)["trees"], 0)


if __name__ == "__main__":
    unittest.main()
