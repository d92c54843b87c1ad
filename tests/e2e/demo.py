#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`./dev demo`: the way of a release, told as a story, on real images in QEMU. One line a step, with its time.

Two nodes, side by side: node-1 takes the security update, goes back and forth; node-2, of a pool that gets releases early, meets
a broken one. Ends with exit status 0 and "demo: boot ok, update ok, broken release ok, rollback ok", or says what failed and
where the log is.
"""

import pathlib
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from harness import release  # noqa: E402
from harness.node import check, check_runs  # noqa: E402
from harness.scene import Scene  # noqa: E402

TOP = pathlib.Path(__file__).resolve().parents[2]
LOGS = TOP / "build/test-logs/demo"
NAMES = ("base", "security", "broken-panic")
PARTS = ("boot", "update", "broken release", "rollback")


class Story(threading.Thread):
    """One node's story: prints each step when it is done, with the seconds that it took; keeps what is shown so far."""

    def __init__(self, name, chapters, names, first):
        super().__init__(name=name, daemon=True)
        self.last = time.monotonic()
        self.chapters = chapters
        self.releases = names
        self.first = first
        self.shown = []
        self.now = "setting up"
        self.failure = None
        self.scene = None

    def run(self):
        try:
            self.scene = Scene(LOGS / self.name, self.releases, self.first)
            for chapter in self.chapters:
                chapter(self, self.scene)
        except Exception as error:
            self.failure = error
            if self.scene:
                self.scene.node.collect("demo")
        finally:
            self.throw_away()  # here, since on a small machine the other node waits for this one's place

    def throw_away(self):
        if self.scene:
            self.scene.throw_away()
            self.scene = None

    def does(self, text):
        """What is under way, for the message if it fails."""
        self.now = text

    def tell(self, text):
        now = time.monotonic()
        print(f"{now - self.last:5.0f} s  {self.name}: {text}", flush=True)
        self.last = now

    def ok(self, part):
        self.shown.append(part)


def short(root_hash):
    return f"{root_hash[:12]}..."


def switch_on(story, scene):
    story.does("the first boot")
    scene.node.start()
    scene.node.wait_boot()
    story.tell("A new node is switched on: UEFI firmware, systemd-boot, kernel; its disk image has never run before.")
    check_runs(scene.node.settle(), scene.releases[story.first], "root-a")


def boot(story, scene):
    switch_on(story, scene)
    node, base = scene.node, scene.releases["base"]
    story.tell(f"It runs release {base.version} from slot root-a. Every block it reads is checked against root hash "
               f"{short(base.root_hash)}; health checks passed, so the release is blessed.")
    check(node.run("touch /usr/probe").status != 0, "/usr could be written")
    story.tell("Nothing can write to / or /usr.")
    story.ok("boot")


def update(story, scene):
    story.does("the update to security")
    node, security = scene.node, scene.releases["security"]
    scene.feed.publish(security)
    story.tell(f"Release {security.version} (Debian's security updates) is signed and published; nginx serves the feed.")
    code, answer = node.update()
    check(code == 0 and answer.get("ok") is True, f"`proa update` gave {code}: {answer}")
    check(node.bootd()["next"] == f"proa_{security.version}+3.efi", "the new release is not the firmware's next choice")
    story.tell("`proa update` checks the signatures, writes the release into slot root-b, reads it back, and arms it for three "
               "tries. The running slot was not touched.")
    check_runs(node.trial_of(security), security, "root-b")
    story.tell(f"`proa reboot`: the node runs {security.version} from root-b, found itself healthy, and blessed it.")
    story.ok("update")


def roll_back(story, scene):
    story.does("the rollback to base")
    node, base = scene.node, scene.releases["base"]
    code, answer = node.rollback()
    check(code == 0, f"`proa rollback` gave {code}: {answer}")
    node.reboot("proa reboot")
    check_runs(node.settle(), base, "root-a")
    story.tell(f"An operator changes her mind. `proa rollback`, one reboot: {base.version} runs again from root-a.")
    story.does("going forward again")
    security = scene.releases["security"]
    code, answer = node.rollback()
    check(code == 0, f"`proa rollback` gave {code}: {answer}")
    check_runs(node.trial_of(security), security, "root-b")
    story.tell(f"And forward again: {security.version} from root-b, without a download.")
    story.ok("rollback")


def early(story, scene):
    switch_on(story, scene)
    story.tell(f"It is of a pool that gets releases early, and runs {scene.releases[story.first].version} already.")
    node = scene.node
    node.ok("ctr images import /usr/share/proa/images/canary.tar >/dev/null")
    said = node.ok("ctr run --rm $(ctr images ls -q | head -n 1) demo", 180).strip().splitlines()
    check(said, "the container said nothing")
    story.tell(f"Its containerd runs a container from an image in the tree; it says: {said[-1]!r}.")


def broken(story, scene):
    story.does("the update to a broken release")
    node, security, bad = scene.node, scene.releases["security"], scene.releases["broken-panic"]
    scene.feed.publish(bad)
    code, answer = node.update()
    check(code == 0, f"`proa update` gave {code}: {answer}")
    story.tell(f"Release {bad.version} is published for that pool. It is properly signed, so the node takes it, but its kernel "
               "will panic.")
    story.does("falling back from the broken release")
    panics = scene.node.serial.read_text(errors="replace").count("Kernel panic")
    node.start_command("proa reboot")
    status = node.comes_back_with(security)
    check_runs(status, security, "root-a")
    panics = scene.node.serial.read_text(errors="replace").count("Kernel panic") - panics
    check(panics > 0, "no panic was seen on the console")
    entry = node.rejected(bad.root_hash)
    check(entry, "the broken release is not remembered as rejected")
    story.tell(f"The kernel panicked {panics} times, the firmware had counted the tries, and the node came back with "
               f"{security.version}. Nobody touched it.")
    code, answer = node.update()
    check(code != 0 and answer.get("reason") == "rejected-before", f"`proa update` gave {code}: {answer}")
    story.tell(f"`proa update` refuses {bad.version} from now on: {answer['reason']} (it failed as {entry['reason']}).")
    story.ok("broken release")


def main():
    if sys.argv[1:]:
        asked = sys.argv[1:] in (["-h"], ["--help"])
        print(__doc__.strip(), file=sys.stdout if asked else sys.stderr)
        return 0 if asked else 2
    began = time.monotonic()
    stories = []
    try:
        release.build(NAMES, LOGS / "images.log")
        print(f"{time.monotonic() - began:5.0f} s  Three releases are there: base, security, and one that is broken on purpose.",
              flush=True)
        stories = [Story("node-1", (boot, update, roll_back), ("base", "security"), "base"),
                   Story("node-2", (early, broken), ("security", "broken-panic"), "security")]
        for story in stories:
            story.start()
        for story in stories:
            story.join()
    except KeyboardInterrupt:
        print("demo: interrupted", file=sys.stderr)
        return 1
    except Exception as error:
        print(f"demo: failed at setting up: {error}; logs: {LOGS}", file=sys.stderr)
        return 1
    finally:
        for story in stories:
            story.throw_away()
    shown = [part for part in PARTS if any(part in story.shown for story in stories)]
    for story in stories:
        if story.failure:
            so_far = f" ({', '.join(f'{part} ok' for part in shown)})" if shown else ""
            print(f"demo: {story.name} failed at {story.now}: {story.failure}{so_far}; logs: {LOGS / story.name}",
                  file=sys.stderr)
    if any(story.failure for story in stories):
        return 1
    print(f"{time.monotonic() - began:5.0f} s  in all")
    print("demo: " + ", ".join(f"{part} ok" for part in shown))
    return 0


if __name__ == "__main__":
    sys.exit(main())
