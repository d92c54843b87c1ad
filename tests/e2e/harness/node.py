# SPDX-License-Identifier: Apache-2.0
"""node: a guest that runs Proa, asked in its own words: proa, proa-bootd, the kernel."""

import json
import re
import time

from .guest import BOOT_TIME_LIMIT, Guest

# Streaming a release through software emulation, on a busy machine.
UPDATE_TIME_LIMIT = 900
# Health has a deadline of 5 minutes, and up to three tries.
FALLBACK_TIME_LIMIT = 1500


def check(condition, message):
    """An assertion that says what was expected, with the values that it met."""
    if not condition:
        raise AssertionError(message)


class Node(Guest):
    """A guest with what the tests ask it."""

    # --- asking ---

    def status(self):
        """`proa status --json`"""
        return self.json("proa status --json")

    def bootd(self):
        """`proa-bootd status`: slots and entries as they are, without proad."""
        return self.json("/usr/lib/proa/proa-bootd status")

    def history(self):
        """`proa history --json` as a list, oldest first."""
        document = self.json("proa history --json")
        return document if isinstance(document, list) else document["history"]

    def events(self, event, **members):
        """The history's entries of one kind whose members have the given values."""
        return [entry for entry in self.history()
                if entry["event"] == event and all(entry.get(key) == value for key, value in members.items())]

    def rejected(self, root_hash):
        """What `proa status` remembers of a rejected root hash, or None."""
        return next((entry for entry in self.status()["rejected"] if entry["root_hash"] == root_hash), None)

    def on_esp(self, command):
        """Runs a command in EFI/Linux of the ESP, which is mounted for that alone."""
        return self.ok("mkdir -p /run/proa-test/esp && mount -t vfat /dev/disk/by-partlabel/esp /run/proa-test/esp && "
                       f"(cd /run/proa-test/esp/EFI/Linux && {command}); status=$?; umount /run/proa-test/esp; exit $status")

    def entries(self):
        """The names of the boot entries on the ESP."""
        return sorted(line for line in self.on_esp("ls").splitlines() if line.startswith("proa_"))

    def leave_one_try(self, release):
        """As if an armed release had used two of its three tries: what takes minutes is then seen once, not three times."""
        self.on_esp(f"mv proa_{release.version}+3.efi proa_{release.version}+1-2.efi")

    def command_line(self):
        return self.ok("cat /proc/cmdline").strip()

    def root_hash(self):
        """The root hash on the running kernel's command line."""
        match = re.search(r"\broothash=([0-9a-f]{64})\b", self.command_line())
        check(match, "no roothash= on the kernel's command line")
        return match[1]

    # --- doing ---

    def update(self, *arguments, time_limit=UPDATE_TIME_LIMIT):
        """`proa update --json` once the node has its address: (exit status, the answer)."""
        self.wait_for("ip -4 route show default | grep -q .", 120)
        result = self.run(f"proa update --json {' '.join(arguments)} 2>/run/proa-test/update.err", time_limit)
        return result.status, self._answer("proa update", result)

    def rollback(self, *arguments):
        """`proa rollback --json`: (exit status, the answer)."""
        result = self.run(f"proa rollback --json {' '.join(arguments)} 2>/run/proa-test/rollback.err", 120)
        return result.status, self._answer("proa rollback", result)

    def settle(self, time_limit=BOOT_TIME_LIMIT):
        """Waits until the system has come up and the booted release is blessed; returns `proa status`."""
        end = time.monotonic() + time_limit
        said = self.wait_journal("proa-bootd.*: (release .* is (?:healthy: blessed|not healthy.*))", time_limit)[1]
        while True:
            answer = self.run("proa status --json 2>/dev/null", 60)
            status = json.loads(answer.output) if answer.status == 0 and answer.output.startswith("{") else {}
            booted = status.get("booted") or {}
            if booted.get("blessed") and status.get("state") in ("good", "idle", "fallen-back"):
                return status
            # A blessed release that is not healthy goes on; one on trial is about to be left.
            if "is healthy" not in said and booted:
                raise self.error(f"{said}: {self.run('systemctl --failed --no-legend --plain').output.strip()}")
            if time.monotonic() > end:
                raise self.error(f"the release that runs was not blessed within {time_limit} s: {answer.output.strip()[-500:]}")
            time.sleep(1)

    def comes_back_with(self, release, time_limit=FALLBACK_TIME_LIMIT):
        """Waits, over as many boots as it takes, until `release` runs and is blessed; returns `proa status`."""
        began = time.monotonic()
        end = began + time_limit
        while True:
            self.wait_boot(max(end - time.monotonic(), 10))
            if self.root_hash() == release.root_hash:
                break
        status = self.settle(max(end - time.monotonic(), 60))
        self._took(began, f"{release.version} is healthy")
        return status

    def falls_back_to(self, release, time_limit=FALLBACK_TIME_LIMIT):
        """Waits, over as many boots as it takes, until `release` runs and has settled what the last boot came to; returns
        `proa status`. Whether it is healthy is not waited for."""
        began = time.monotonic()
        end = began + time_limit
        while True:
            self.wait_boot(max(end - time.monotonic(), 10))
            if self.root_hash() == release.root_hash:
                break
        self.wait_journal(r"proa-bootd\[.*: (not healthy yet|release .* is )", max(end - time.monotonic(), 60))
        self._took(began, f"{release.version} runs")
        return self.status()

    def _took(self, began, what):
        """Notes how long a way back was, in the order of the tests, for docs/boot.md."""
        with open(self.logs / "back.txt", "a", encoding="utf-8") as out:
            out.write(f"{time.monotonic() - began:.0f} s until {what}\n")

    def _answer(self, command, result):
        try:
            return json.loads(result.output)
        except ValueError:
            raise self.error(f"`{command} --json` gave status {result.status} and no JSON: {result.output[-300:]!r}") from None

    def trial_of(self, release):
        """Reboots through `proa reboot` into the armed release and waits until it is blessed; returns `proa status`."""
        self.reboot("proa reboot")
        status = self.settle()
        check_runs(status, release)
        return status


def check_runs(status, release, slot=None):
    """Asserts that a status document says: this release runs, verified, from that slot."""
    booted = status["booted"]
    check(booted["version"] == release.version, f"version {booted['version']} runs, not {release.version}")
    check(booted["root_hash"] == release.root_hash, f"root hash {booted['root_hash']} runs, not {release.root_hash}")
    check(booted["verified"] is True, f"the booted root is not said to be verified: {booted}")
    if slot:
        check(booted["slot"] == slot, f"{release.version} runs from {booted['slot']}, not from {slot}")
