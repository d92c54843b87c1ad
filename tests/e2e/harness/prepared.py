# SPDX-License-Identifier: Apache-2.0
"""prepared: nodes whose disk was prepared from outside: base in one slot, another release armed in the other."""

import pathlib
import shutil
import time

from . import release
from .agent import credentials
from .disk import Disk
from .node import Node
from .scene import BY_HAND, TOP, WATCHDOG


class Prepared:
    """Releases, and at most one node at a time."""

    def __init__(self, logs, names):
        self.logs = pathlib.Path(logs)
        shutil.rmtree(self.logs, ignore_errors=True)
        self.logs.mkdir(parents=True)
        self.releases = release.build(names, self.logs / "images.log")
        self.node = self.disk = self.began = None

    def start(self, name, armed, change=lambda disk: None, extra="", tries="+3", units=None, dropins=None, network=True, devices=()):
        """Prepares a disk and switches the machine on. `tries`: the counter of the armed release's entry. `units`, but for templates, are
        started by multi-user.target; `dropins` is {unit: text}."""
        self.throw_away()
        self.disk = Disk(TOP / f"build/e2e/{self.logs.name}.raw", self.releases["base"])
        self.disk.arm(self.releases[armed], tries=tries)
        change(self.disk)
        given = {"tmpfiles.extra": BY_HAND, **credentials(units)}
        if units:
            given["systemd.unit-dropin.multi-user.target~proa-test"] = f"[Unit]\nWants={' '.join(unit for unit in units if '@.' not in unit)}\n"
        given |= {f"systemd.unit-dropin.{unit}~proa-test": text for unit, text in (dropins or {}).items()}
        self.node = Node(self.logs / name, self.disk.path, devices=(*WATCHDOG, *devices), credentials=given, network=network)
        self.node.start(extra)
        self.began = (name, time.monotonic())
        return self.node

    def took(self, what):
        """Notes how long it took from power-on, for docs/boot.md."""
        name, began = self.began
        with open(self.logs / "seconds.txt", "a", encoding="utf-8") as out:
            out.write(f"{name}: {time.monotonic() - began:.0f} s until {what}\n")

    def after_failure(self, name):
        """Keeps what the node knows, if there is one; nothing hinders the next claim, which starts a node of its own."""
        if self.node:
            self.node.collect(name)

    def throw_away(self):
        if self.node:
            self.node.throw_away()
            self.node = None
        if self.disk:
            self.disk.throw_away()
            self.disk = None
