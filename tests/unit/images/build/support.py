# SPDX-License-Identifier: Apache-2.0
"""support: what the tests of proa-image share. The package under test is images/build/proa_image."""

import pathlib
import shutil
import sys
import tempfile
import unittest

TOP = pathlib.Path(__file__).resolve().parents[4]
sys.path.insert(0, str(TOP / "images/build"))


class Case(unittest.TestCase):
    """A test with a scratch directory."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="proa-image-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def file(self, name, content=b"", mode=0o644):
        """A file in the scratch directory, with the directories that it needs."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        path.chmod(mode)
        return path
