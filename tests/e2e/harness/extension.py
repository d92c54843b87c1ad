# SPDX-License-Identifier: Apache-2.0
"""extension: a system extension as an operator makes it (systemd-sysext(8)), signed by a key of the test's own."""

import base64
import gzip
import pathlib
import subprocess
import tempfile


class Extension:
    """`image` is a disk image with a hash tree and a signature, `certificate` what verifies it (PEM)."""

    def __init__(self, name, files):
        with tempfile.TemporaryDirectory(prefix="proa-extension-") as folder:
            work = pathlib.Path(folder)
            files = {f"usr/lib/extension-release.d/extension-release.{name}": "ID=_any\n", **files}
            for path, text in files.items():
                (work / "tree" / path).parent.mkdir(parents=True, exist_ok=True)
                (work / "tree" / path).write_text(text)
            _run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=extensions of a test", "-days", "30",
                 "-keyout", work / "key.pem", "-out", work / "certificate.pem")
            _run("systemd-repart", "--make-ddi=sysext", f"--copy-source={work}/tree", f"--private-key={work}/key.pem",
                 f"--certificate={work}/certificate.pem", "--offline=yes", work / "image.raw")
            self.image = (work / "image.raw").read_bytes()
            self.certificate = (work / "certificate.pem").read_bytes()


def put(node, path, data):
    """Writes a small file on a node, by way of its command channel."""
    words = base64.b64encode(gzip.compress(data, mtime=0)).decode()
    node.ok(f"mkdir -p {pathlib.PurePath(path).parent} && echo {words} | base64 -d | gzip -d >{path}")


def _run(*command):
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"`{command[0]}` gave status {done.returncode}: {done.stdout.strip()[-400:]}")
