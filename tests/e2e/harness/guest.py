# SPDX-License-Identifier: Apache-2.0
"""guest: a node in QEMU: real firmware, a disk image that is not changed, and a way to run commands in it.

As many guests run at a time as guests() says: one of build/qemu-N.lock is held from start() to stop().
"""

import fcntl
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time

from . import agent
from .channel import Channel, Stream
from .machine import Machine

TOP = pathlib.Path(__file__).resolve().parents[3]
OVMF_CODE = pathlib.Path("/usr/share/OVMF/OVMF_CODE_4M.fd")
OVMF_VARS = pathlib.Path("/usr/share/OVMF/OVMF_VARS_4M.fd")
# Servers' processors have instructions for SHA-256, and all that a node reads is hashed. What qemu64 has besides makes udev
# load kvm and powernow, modules whose signatures the kernel checks for nothing.
EMULATED_PROCESSOR = "qemu64,+ssse3,+sse4.1,+sse4.2,+sha-ni,+rdrand,-svm,family=6"
# Nothing boots from the network, and the firmware's stack for it takes a while. It is also what asks a virtio-rng device, by a driver
# that waits for ever if a timer interrupts it (edk2 before 2026, OvmfPkg/VirtioRngDxe): so there is none, the processor has RDRAND.
NO_NETWORK_BOOT = [word for family in ("IPv4", "IPv6") for word in ("-fw_cfg", f"name=opt/org.tianocore/{family}Support,string=no")]
# What guards a processor against speculation, and memory against what was left in it, is only dear in emulation.
EMULATED_COMMAND_LINE = "mitigations=off init_on_alloc=0"
# In software emulation a second processor was seen to get no timer after a reset, and the kernel to report stalls for ever.
PROCESSORS = "1"
# A boot takes 60 s in software emulation on an idle machine and 100 s on a busy one. If it hangs before the kernel has left the firmware,
# the firmware's own watchdog ends that after 5 minutes, and the node goes on.
BOOT_TIME_LIMIT = 720
COMMAND_TIME_LIMIT = 120


def guests():
    """How many guests run at a time: each takes a processor and 1 GiB. PROA_GUESTS overrides."""
    chosen = os.environ.get("PROA_GUESTS", "")
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 30
    return int(chosen) if chosen.isdigit() and int(chosen) else max(1, min(os.cpu_count() or 1, memory_gib // 3, 4))


class GuestError(AssertionError):
    """The guest did not do what was asked; the message says what and where the logs are."""


class Guest:
    """A node. `logs` is a directory for its serial log, journal and command log; `disk` an image to start from."""

    def __init__(self, logs, disk, memory_mib=1024, disk_gib=8, credentials=None, devices=(), network=True):
        self.logs = pathlib.Path(logs)
        self.logs.mkdir(parents=True, exist_ok=True)
        self.serial = self.logs / "serial.log"
        self.journal = self.logs / "journal.log"
        self._work = pathlib.Path(tempfile.mkdtemp(prefix="proa-guest-"))
        self._memory = memory_mib
        self._devices = list(devices)
        if network:
            self._devices += ["-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net,romfile="]
        self._credentials = {**agent.credentials(), **(credentials or {})}
        self._machine = self._channel = self._stream = self._lock = None
        self._seen = 0
        scratch = TOP / "build/guests"
        scratch.mkdir(parents=True, exist_ok=True)
        self.disk = scratch / f"{self._work.name}.qcow2"
        disk = pathlib.Path(disk).resolve()
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw" if disk.suffix == ".raw" else "qcow2",
                        "-b", str(disk), str(self.disk), f"{disk_gib}G"], check=True)
        shutil.copy(OVMF_VARS, self._work / "vars.fd")

    # --- power ---

    def start(self, extra_command_line=""):
        """Switches the machine on; extra_command_line is added to the kernel's."""
        self._take_lock()
        given = agent.smbios(self._credentials)
        words = f"{extra_command_line} {EMULATED_COMMAND_LINE if self._emulated() else ''}".strip()
        if words:
            given += ["-smbios", f"type=11,value=io.systemd.stub.kernel-cmdline-extra={words}"]
        command = [
            "qemu-system-x86_64", "-machine", "q35,sata=off", *self._accelerator(), "-smp", PROCESSORS, "-m", str(self._memory),
            "-nodefaults", "-display", "none", "-no-user-config",
            "-drive", f"if=pflash,format=raw,readonly=on,file={OVMF_CODE}",
            "-drive", f"if=pflash,format=raw,file={self._work}/vars.fd",
            "-drive", f"if=none,id=disk,file={self.disk},format=qcow2,cache=unsafe,discard=unmap",
            "-device", "virtio-blk-pci,drive=disk", "-device", "virtio-serial-pci", *NO_NETWORK_BOOT,
            "-chardev", f"file,id=serial,path={self.serial},append=on", "-serial", "chardev:serial",
            *self._port("command", agent.COMMAND_PORT), *self._port("journal", agent.JOURNAL_PORT),
            *self._devices, *given,
        ]
        (self.logs / "qemu.command").write_text(" ".join(command) + "\n")
        self._channel = Channel(self._work / "command", self.logs / "commands.log")
        self._stream = Stream(self._work / "journal", self.journal)
        self._machine = Machine(command, self._work, self.logs / "qemu.log", self._plug)
        self._seen = 0
        try:
            self._machine.start()
        except OSError as error:
            raise self.error(f"QEMU: {error}") from None

    def stop(self):
        """Switches the machine off at once."""
        if self._machine:
            self._machine.stop()
            self._channel.close()
            self._stream.close()
            self._machine = self._channel = None
        if self._lock:
            self._lock.close()
            self._lock = None

    def cut_power(self):
        """What a power cut does: memory is gone, the disk keeps what it had taken. The machine starts again."""
        refused = self._machine.ask("system_reset")
        if refused:
            raise self.error(f"QEMU refused {refused}")

    def throw_away(self):
        """Ends the guest and removes its disk."""
        self.stop()
        self.disk.unlink(missing_ok=True)
        shutil.rmtree(self._work, ignore_errors=True)

    # --- boots ---

    @property
    def boots(self):
        """The boots so far in which the agent came up."""
        return self._channel.boots

    def wait_boot(self, time_limit=BOOT_TIME_LIMIT):
        """Waits for the next boot that this has not yet returned."""
        boot = self._channel.wait_boot(self._seen, time_limit, self._gone)
        if boot is None:
            raise self.error(f"the machine ended with status {self._machine.status}" if self._gone()
                             else f"no boot came up within {time_limit} s")
        self._seen = len(self.boots)
        return boot

    def wait_journal(self, pattern, time_limit=BOOT_TIME_LIMIT):
        """Waits until this boot's journal matches a regular expression; returns the match. The guest has no work with it."""
        begins = f"boot {self.boots[-1].boot_id}".encode()
        end = time.monotonic() + time_limit
        while time.monotonic() < end and not self._gone():
            _, found, told = self.journal.read_bytes().rpartition(begins)
            match = re.search(pattern, told.decode(errors="replace")) if found else None
            if match:
                return match
            time.sleep(0.5)
        raise self.error(f"the journal did not say {pattern!r} within {time_limit} s")

    def wait_running(self, time_limit=BOOT_TIME_LIMIT):
        """Waits until systemd has finished starting; returns its word: running or degraded."""
        return self.run("systemctl is-system-running --wait", time_limit).output.strip()

    def reboot(self, command="systemctl reboot", time_limit=BOOT_TIME_LIMIT):
        """Reboots by a command and waits for the next boot."""
        self.start_command(command)
        return self.wait_boot(time_limit)

    # --- commands ---

    def run(self, command, time_limit=COMMAND_TIME_LIMIT):
        """Runs a shell command as root; returns its Result (status, output with standard error in it)."""
        result = self._channel.result(self._channel.send(command), time_limit, self._gone)
        if result is None:
            raise self.error(f"`{command}`: the machine ended with status {self._machine.status}" if self._gone()
                             else f"`{command}` did not end within {time_limit} s")
        return result

    def start_command(self, command):
        """Starts a command whose end nobody awaits, such as a reboot; returns an id for result()."""
        return self._channel.send(command)

    def result(self, number, time_limit=COMMAND_TIME_LIMIT):
        """The Result of a command started before; None if it has not ended in time."""
        return self._channel.result(number, time_limit)

    def ok(self, command, time_limit=COMMAND_TIME_LIMIT):
        """The output of a command that must succeed."""
        result = self.run(command, time_limit)
        if result.status != 0:
            raise self.error(f"`{command}` gave status {result.status}: {result.output.strip()[-600:]}")
        return result.output

    def json(self, command, time_limit=COMMAND_TIME_LIMIT):
        """The JSON that a command prints on standard output, whatever its exit status."""
        result = self.run(f"{command} 2>/dev/null", time_limit)
        try:
            return json.loads(result.output)
        except ValueError:
            raise self.error(f"`{command}` gave status {result.status} and no JSON: {result.output.strip()[-600:]!r}") from None

    def wait_for(self, command, time_limit=COMMAND_TIME_LIMIT, pause=1.0):
        """Runs a command until it succeeds; returns its output."""
        end = time.monotonic() + time_limit
        while True:
            result = self.run(command, max(end - time.monotonic(), 10))
            if result.status == 0:
                return result.output
            if time.monotonic() > end:
                raise self.error(f"`{command}` did not succeed within {time_limit} s: {result.output.strip()[-300:]}")
            time.sleep(pause)

    def alive(self):
        """Whether the guest answers."""
        if not self._machine or self._gone() or not self.boots:
            return False
        result = self._channel.result(self._channel.send("true"), 30)
        return result is not None and result.status == 0

    # --- evidence ---

    def error(self, message):
        """An error that tells where the logs are."""
        return GuestError(f"{message} (serial log and journal: {self.logs})")

    def collect(self, name):
        """After a failure: what the node itself knows, into the log directory. The live journal is there already."""
        if not self.alive():
            return
        script = "; ".join(f"echo '# {one}'; {one}; echo" for one in (
            "journalctl --no-pager -o short-monotonic -b", "systemctl --failed --no-pager", "systemctl list-jobs --no-pager",
            "cat /proc/cmdline", "proa status", "proa history", "/usr/lib/proa/proa-bootd status",
            "cat /var/lib/proa/state.json /var/lib/proa/rejected.json /var/lib/proa/history.jsonl"))
        try:
            (self.logs / f"{name}.node.txt").write_text(self.run(f"{{ {script}; }} 2>&1", 120).output)
        except (AssertionError, OSError):
            pass

    # --- inside ---

    def _gone(self):
        return self._machine.gone()

    def _plug(self):
        """The machine runs, for the first time or again: its ports are new."""
        self._channel.plug()
        self._stream.plug()

    def _take_lock(self):
        """A place for a guest: as many as run side by side on this machine, whoever starts them."""
        places = [open(TOP / f"build/qemu-{number}.lock", "w", encoding="utf-8") for number in range(guests())]
        told = False
        while not self._lock:
            for place in places:
                try:
                    fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    self._lock = place
                    break
                except BlockingIOError:
                    continue
            else:
                if not told:
                    print("      waiting for another guest on this machine to end", flush=True)
                    told = True
                time.sleep(0.5)
        for place in places:
            if place is not self._lock:
                place.close()

    @staticmethod
    def _emulated():
        return os.environ.get("PROA_ACCEL", "tcg") == "tcg"

    def _accelerator(self):
        if self._emulated():
            return ["-accel", "tcg,thread=multi", "-cpu", EMULATED_PROCESSOR]
        return ["-accel", os.environ["PROA_ACCEL"], "-cpu", "host"]

    def _port(self, name, port):
        return ["-chardev", f"socket,id={name},path={self._work}/{name},server=on,wait=off",
                "-device", f"virtserialport,chardev={name},name={port}"]
