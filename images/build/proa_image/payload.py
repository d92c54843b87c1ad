# SPDX-License-Identifier: Apache-2.0
"""payload: the full payload of a root image, made by the program proa-payload; kept, since it is slow to make."""

import os
import shutil

from . import command, digest
from .failure import Failure
from .progress import step


def make(program, image, root_hash, level, to, cache, name):
    """Makes the payload at `to` and returns its size."""
    if not program.exists():
        raise Failure(f"{program}: not compiled (./dev build)")
    key = digest.of_value(["payload", root_hash, level, digest.of_file(program)])
    kept = cache.get(key)
    if kept is None:
        step(f"{name}: compressing the full payload (zstd {level})")
        folder = cache.begin(key)
        command.run([program, "full", "--image", image, "--root-hash", root_hash, "--level", level, folder / "root.full"])
        kept = cache.commit(key)
    try:
        os.link(kept / "root.full", to)
    except OSError:
        shutil.copyfile(kept / "root.full", to)
    return to.stat().st_size
