#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a node without news costs: one request, and less than 1 KiB on the wire, request, headers and all.

The real client (proa-install with proa-fetch), nginx, and a relay between them that counts bytes. `./dev test feed` runs it;
PROA_BUILD names another build directory than build/meson.
"""

import socketserver
import selectors
import socket
import threading
import unittest

from common import FEED, Node, Served, make_release, run


class Relay(socketserver.ThreadingTCPServer):
    """Hands every byte on to a port of this machine, and counts them both ways."""

    daemon_threads = True

    def __init__(self, port):
        self.port, self.bytes, self.lock = port, 0, threading.Lock()
        super().__init__(("127.0.0.1", 0), self.Handler)
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            with socket.create_connection(("127.0.0.1", self.server.port)) as far, selectors.DefaultSelector() as ready:
                ready.register(self.request, selectors.EVENT_READ, far)
                ready.register(far, selectors.EVENT_READ, self.request)
                while True:
                    for key, _ in ready.select():
                        data = key.fileobj.recv(65536)
                        if not data:
                            return
                        with self.server.lock:
                            self.server.bytes += len(data)
                        key.data.sendall(data)

    def taken(self):
        """Bytes since the last call."""
        with self.lock:
            count, self.bytes = self.bytes, 0
        return count


class Polls(Served):
    def publish(self, version):
        run(FEED, "add", "--feed", self.served, "--no-trees", make_release(self.work / f"images/{version}", version))
        run(FEED, "publish", "--feed", self.served, "--keys", self.work / "keys")

    def test_nothing_new(self):
        """With hybrid keys, whose signatures alone are 7 kB."""
        run(FEED, "init", "--feed", self.served, "--keys", self.work / "keys")
        self.publish("0.9.0")  # what the node runs
        relay = Relay(self.server.port)
        node = Node(self.work / "node", self.served / "metadata/1.root.json", f"http://127.0.0.1:{relay.server_address[1]}")
        self.assertEqual(node.check(), "no-update")
        self.assertGreater(relay.taken(), 10000)
        before = len(self.requests())
        for _ in range(3):
            self.assertEqual(node.check(), "no-update")
            self.assertLess(relay.taken(), 1024)
        self.assertEqual(self.requests()[before:], ["/metadata/timestamp.json"] * 3)
        run(FEED, "refresh", "--feed", self.served, "--keys", self.work / "keys")
        self.assertEqual(node.check(), "no-update")
        self.assertEqual(self.requests()[before + 3:], [
            "/metadata/timestamp.json", "/metadata/2.root.json", "/metadata/timestamp.json"])
        relay.shutdown()
        relay.server_close()


if __name__ == "__main__":
    unittest.main()
