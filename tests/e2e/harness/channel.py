# SPDX-License-Identifier: Apache-2.0
"""channel: talks with the agent inside the guest. Each power-on has sockets of its own; each boot says hello."""

import base64
import dataclasses
import itertools
import pathlib
import socket
import threading
import time


NOTED = 8000  # characters of a command's output that the log keeps


@dataclasses.dataclass
class Boot:
    """One time that the agent came up."""

    boot_id: str
    uptime: float  # seconds since the kernel started, when the agent said hello
    at: float  # time.monotonic() of the host


@dataclasses.dataclass
class Result:
    """What a command gave. status None: the guest went away before it ended."""

    status: int
    output: str


def connect(path, time_limit=20, gone=lambda: False):
    """Connects to a socket that QEMU is about to make; an OSError if it does not in time, or is gone()."""
    end = time.monotonic() + time_limit
    while True:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            made.connect(str(path))
            return made
        except OSError:
            made.close()
            if time.monotonic() > end or gone():
                raise
            time.sleep(0.05)


class Port:
    """A virtio port of the guest, as a socket that QEMU listens on."""

    def __init__(self, path):
        self._path = path
        self._socket = None

    def plug(self):
        """The machine was switched on: connects, and reads until it is off."""
        self._socket = connect(self._path)
        threading.Thread(target=self._read, args=(self._socket,), daemon=True).start()

    def close(self):
        if self._socket:
            try:
                self._socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _read(self, plugged):
        with plugged:
            while True:
                try:
                    piece = plugged.recv(65536)
                except OSError:
                    piece = b""
                self._take(piece)
                if not piece:
                    return


class Channel(Port):
    """Commands in, results out; and the boots that said hello, in order."""

    def __init__(self, path, log):
        super().__init__(path)
        self.boots = []
        self._numbers = itertools.count(1)
        self._open = {}  # id -> lines of the output so far
        self._done = {}  # id -> Result
        self._changed = threading.Condition()
        self._rest = b""
        self._log = open(log, "a", encoding="utf-8", errors="replace")

    def send(self, command):
        """Starts a command in the boot that said hello last; returns its id."""
        number = f"c{next(self._numbers)}"
        with self._changed:
            self._open[number] = []
        self._note(f"$ {command}")
        try:
            self._socket.sendall(f"{number} {base64.b64encode(command.encode()).decode()}\n".encode())
        except OSError:
            with self._changed:
                self._give_up()
        return number

    def result(self, number, time_limit, gone=lambda: False):
        """Waits for a command's end; None when the time is over or gone()."""
        end = time.monotonic() + time_limit
        with self._changed:
            while number not in self._done and time.monotonic() < end and not gone():
                self._changed.wait(min(1, max(end - time.monotonic(), 0)))
            return self._done.pop(number, None)

    def wait_boot(self, known, time_limit, gone=lambda: False):
        """Waits until more than `known` boots said hello; returns the newest, None when the time is over or gone()."""
        end = time.monotonic() + time_limit
        with self._changed:
            while len(self.boots) <= known:
                if time.monotonic() > end or gone():
                    return None
                self._changed.wait(1)
            return self.boots[-1]

    def _take(self, piece):
        *lines, self._rest = (self._rest + piece).split(b"\n") if piece else (b"",)
        with self._changed:
            if not piece:
                self._give_up()
            for line in lines:
                self._take_line(line.decode(errors="replace").strip())
            self._changed.notify_all()

    def _give_up(self):
        """Nobody answers any more what is asked for now."""
        for number in list(self._open):
            self._done[number] = Result(None, "the guest restarted")
        self._open.clear()

    def _take_line(self, line):
        first, _, rest = line.partition(" ")
        kind, _, value = rest.partition(" ")
        # What comes first after a reset may have half a line of the boot before in front of it.
        if first.endswith("hello"):
            boot_id, _, uptime = rest.partition(" ")
            self.boots.append(Boot(boot_id, float(uptime or 0), time.monotonic()))
            self._give_up()
            self._note(f"--- boot {boot_id}, up {uptime} s")
        elif kind == "out" and first in self._open:
            self._open[first].append(value)
        elif kind == "end" and first in self._open:
            output = base64.b64decode("".join(self._open.pop(first))).decode(errors="replace")
            self._done[first] = Result(int(value), output)
            self._note(output[:NOTED].rstrip() + f"\n[{value}]")

    def _note(self, text):
        self._log.write(f"{time.strftime('%H:%M:%S')} {text}\n")
        self._log.flush()


class Stream(Port):
    """Copies what the guest writes to a port into a file."""

    def __init__(self, path, log):
        super().__init__(path)
        self._log = open(pathlib.Path(log), "ab")

    def _take(self, piece):
        self._log.write(piece)
        self._log.flush()
