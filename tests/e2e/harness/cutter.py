# SPDX-License-Identifier: Apache-2.0
"""cutter: stands between guest and server, breaks connections in the middle of an answer, counts what goes over the wire."""

import select
import socket
import threading

BUFFER = 64 * 1024


class Cutter:
    """Listens on a port of its own for the server at `port`."""

    def __init__(self, port):
        self._to = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._cuts = self._after = 0
        self.answered = 0  # bytes of answers, headers among them
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self):
        """The feed's address as the guest sees it."""
        return f"http://10.0.2.2:{self._listener.getsockname()[1]}/"

    @property
    def cuts_left(self):
        """How many connections are still to be cut."""
        return self._cuts

    def cut(self, cuts, after):
        """Cuts the next `cuts` connections that bring so many bytes, each `after` that many."""
        with self._lock:
            self._cuts, self._after = cuts, after

    def close(self):
        self._listener.close()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
        given = 0
        try:
            with client, socket.create_connection(("127.0.0.1", self._to)) as server:
                while True:
                    ready = select.select([client, server], [], [])[0]
                    source = client if client in ready else server
                    data = source.recv(BUFFER)
                    if not data:
                        return
                    (server if source is client else client).sendall(data)
                    if source is server:
                        given += len(data)
                        if not self._count(len(data), given):
                            return
        except OSError:
            pass

    def _count(self, size, given):
        """Takes an answer's bytes into account; False if the connection is to be cut now."""
        with self._lock:
            self.answered += size
            if self._cuts and given >= self._after:
                self._cuts -= 1
                return False
        return True
