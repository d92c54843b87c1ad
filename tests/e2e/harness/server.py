# SPDX-License-Identifier: Apache-2.0
"""server: a feed behind a real nginx on this host; the guest reaches it as http://10.0.2.2:PORT/."""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

from .process import die_with_parent

CONFIG = """
daemon off;
master_process on;
worker_processes 1;
user root;
pid {work}/nginx.pid;
error_log {logs}/nginx-error.log info;
events {{ worker_connections 64; }}
http {{
	access_log {logs}/nginx-access.log;
	client_body_temp_path {work}/body;
	proxy_temp_path {work}/proxy;
	fastcgi_temp_path {work}/fastcgi;
	uwsgi_temp_path {work}/uwsgi;
	scgi_temp_path {work}/scgi;
	sendfile off;
	default_type application/octet-stream;
	server {{
		listen 127.0.0.1:{port};
		root {work}/current;
		{limits}
	}}
}}
"""


class Server:
    """nginx. What it serves can be switched at any time with serve()."""

    def __init__(self, logs):
        self.logs = pathlib.Path(logs)
        self.logs.mkdir(parents=True, exist_ok=True)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._work = pathlib.Path(tempfile.mkdtemp(prefix="proa-nginx-"))
        self._process = None

    @property
    def url(self):
        """The feed's address as the guest sees it."""
        return f"http://10.0.2.2:{self.port}/"

    def serve(self, folder):
        """Serves another directory from the next request on."""
        new = self._work / "new"
        new.unlink(missing_ok=True)
        new.symlink_to(pathlib.Path(folder).resolve())
        new.rename(self._work / "current")

    def start(self, bytes_a_second=0):
        """Starts nginx; bytes_a_second limits each transfer, after its first 64 KiB."""
        limits = f"limit_rate {bytes_a_second}; limit_rate_after 64k;" if bytes_a_second else ""
        config = self._work / "nginx.conf"
        config.write_text(CONFIG.format(work=self._work, logs=self.logs, port=self.port, limits=limits))
        with open(self.logs / "nginx.log", "ab") as log:
            self._process = subprocess.Popen(["nginx", "-e", f"{self.logs}/nginx-error.log", "-c", str(config)], stdout=log,
                                             stderr=log, start_new_session=True, preexec_fn=die_with_parent)
        end = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                if self._process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError(f"nginx did not start on port {self.port}; see {self.logs}/nginx-error.log") from None
                time.sleep(0.05)

    def stop(self):
        """Ends nginx in order."""
        if self._process:
            self._process.terminate()
            self._process.wait()
            self._process = None

    def kill(self):
        """Ends nginx as a crash does: every connection breaks."""
        if self._process:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def kill_after(self, size):
        """Kills nginx once it has sent `size` bytes; returns a thread to join, whose `sent` tells how many it were."""
        worker = self._workers()[0]
        start = self._written(worker)

        def watch():
            while self._process and self._process.poll() is None:
                thread.sent = self._written(worker) - start
                if thread.sent >= size:
                    self.kill()
                    return
                time.sleep(0.02)

        thread = threading.Thread(target=watch, daemon=True)
        thread.sent = 0
        thread.start()
        return thread

    def throw_away(self):
        self.stop()
        shutil.rmtree(self._work, ignore_errors=True)

    def _workers(self):
        # task/.../children needs a kernel option that not every host has; ask each process for its parent.
        master = self._process.pid
        end = time.monotonic() + 10
        while True:
            found = [int(path.parent.name) for path in pathlib.Path("/proc").glob("[0-9]*/stat") if _parent(path) == master]
            if found or time.monotonic() > end:
                return found
            time.sleep(0.05)

    @staticmethod
    def _written(pid):
        """Bytes that a process has passed to write(2) and the like: with sendfile off, what nginx has sent."""
        try:
            fields = dict(line.split(": ") for line in pathlib.Path(f"/proc/{pid}/io").read_text().splitlines())
            return int(fields["wchar"])
        except OSError:
            return 0


def _parent(stat):
    try:
        return int(stat.read_text().rpartition(")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return -1
