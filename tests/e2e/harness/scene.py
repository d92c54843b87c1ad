# SPDX-License-Identifier: Apache-2.0
"""scene: what a chain of tests stands on: releases, a feed, a server, a node."""

import pathlib
import time

from . import feed, release
from .node import Node
from .server import Server

TOP = pathlib.Path(__file__).resolve().parents[3]
# An operator's configuration: updates happen when the test says so, not when a timer does.
BY_HAND = ("d /etc/proa/update.conf.d 0755 - - -\n"
           r"f /etc/proa/update.conf.d/50-by-hand.conf 0644 - - - [update]\nautomatic=no\n" "\n")
# Where the feed is: the server takes whatever port is free on this host.
FEED_AT = r"f /etc/proa/update.conf.d/60-feed.conf 0644 - - - [feed]\nurl={}\n" "\n"
# The machine's hardware watchdog, as servers have one.
WATCHDOG = ("-device", "i6300esb")


class Scene:
    """Built once a chain; throw_away() ends all of it. The node's disk is that of the release `first`."""

    def __init__(self, logs, names, first="base"):
        self.logs = pathlib.Path(logs)
        for old in self.logs.glob("*"):
            if old.is_file():
                old.unlink()
        self.logs.mkdir(parents=True, exist_ok=True)
        self.releases = release.build(names, self.logs / "images.log")
        self.feed = feed.Feed.new(TOP / "build/e2e" / self.logs.name / "feed")
        self.server = Server(self.logs)
        self.server.serve(self.feed.folder)
        self.server.start()
        self.node = Node(self.logs, self.releases[first].disk, devices=WATCHDOG,
                         credentials={"tmpfiles.extra": BY_HAND + FEED_AT.format(self.server.url)})

    def work(self, name):
        """A directory for things made on the way."""
        return TOP / "build/e2e" / self.logs.name / name

    def begin(self):
        """The node, new, has booted and is at rest."""
        try:
            self.node.start()
            self.node.wait_boot()
            self.node.settle()
            return self
        except BaseException:
            self.after_failure("setup")
            self.throw_away()
            raise

    def after_failure(self, name):
        """Keeps what the node knows; None if the chain can go on, otherwise why not."""
        self.node.collect(name)
        return None if self.node.alive() else "the node does not answer any more"

    def throw_away(self):
        self.node.throw_away()
        self.server.throw_away()


def timed(action, *arguments):
    """(result, seconds) of a call."""
    began = time.monotonic()
    result = action(*arguments)
    return result, time.monotonic() - began
