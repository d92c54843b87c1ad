# SPDX-License-Identifier: Apache-2.0
"""machine: QEMU as a machine that is reset. Each reset is a process of its own.

In software emulation, what was translated of one boot makes the next one slow: each write to a page that once held code has to look
for translations of it, which costs a sixth of a boot. A new process has none.
"""

import json
import subprocess
import threading

from .channel import connect
from .process import die_with_parent

# What QEMU says when the guest, the watchdog or the test resets the machine (qapi/run-state.json, ShutdownCause).
RESETS = ("guest-reset", "host-qmp-system-reset")
END_TIME_LIMIT = 10


class Machine:
    """`command` without what concerns monitors and resets; `work`: a directory for sockets; `log`: a file for what QEMU says.
    running() is called each time that a process begins."""

    def __init__(self, command, work, log, running):
        self._command = [*command, "-action", "watchdog=reset,reboot=shutdown", "-qmp", f"unix:{work}/qmp,server=on,wait=off",
                         "-qmp", f"unix:{work}/events,server=on,wait=off"]
        self._work = work
        self._log = log
        self._running = running
        self._process = self._failure = None
        self._stopping = False
        self._began = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self):
        """Switches the machine on."""
        self._thread.start()
        self._began.wait()
        if self._failure:
            raise self._failure

    def stop(self):
        """Switches it off at once."""
        self._stopping = True
        self.ask("quit")
        self._thread.join(END_TIME_LIMIT)
        while self._thread.is_alive():
            self._process.kill()
            self._thread.join(1)

    def gone(self):
        """Whether the machine is off, by itself or not."""
        return self._ended.is_set()

    @property
    def status(self):
        """The exit status of a machine that is gone."""
        return self._process.returncode

    def ask(self, *commands):
        """Runs commands of the QEMU machine protocol. Returns the first that was refused with why, or None; a machine that is gone
        is no error."""
        try:
            with connect(self._work / "qmp", 5) as made:
                made.settimeout(END_TIME_LIMIT)
                file = made.makefile("rw")
                file.readline()
                for command in ("qmp_capabilities", *commands):
                    answer = _asked(file, command)
                    if "error" in answer:
                        return f"{command}: {answer['error']}"
        except (OSError, ValueError):
            pass
        return None

    def _run(self):
        # In one thread, since the kernel ends a process together with the thread that started it.
        try:
            reason = RESETS[0]
            while reason in RESETS and not self._stopping:
                with open(self._log, "ab") as log:
                    self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                                     preexec_fn=die_with_parent)
                reason = self._watch()
                self._process.wait()
        except Exception as error:
            self._failure = error
            if self._process:
                self._process.kill()
                self._process.wait()
        finally:
            self._ended.set()
            self._began.set()

    def _watch(self):
        """Until the process ends; returns why, in the words of QEMU's SHUTDOWN event."""
        reason = None
        with connect(self._work / "events", gone=lambda: self._process.poll() is not None) as made:
            file = made.makefile("rw")
            file.readline()
            _asked(file, "qmp_capabilities")
            self._running()
            self._began.set()
            try:
                for line in file:
                    event = json.loads(line)
                    if event.get("event") == "SHUTDOWN":
                        reason = event["data"]["reason"]
            except OSError:
                pass
        return reason


def _asked(file, command):
    """The answer to a command; events that come before it are left out."""
    file.write(json.dumps({"execute": command}) + "\n")
    file.flush()
    while True:
        answer = json.loads(file.readline())
        if "return" in answer or "error" in answer:
            return answer
