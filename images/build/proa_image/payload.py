# SPDX-License-Identifier: Apache-2.0
"""payload: the payloads of a root image, made by the program proa-payload; kept, since they are slow to make."""

import os
import pathlib
import shutil

from . import command, digest
from .failure import Failure
from .progress import step


def make_full(program, image, root_hash, level, to, cache, name):
    """Makes the full payload at `to` and returns its size."""
    return _make(program, "full", ["--image", image, "--root-hash", root_hash, "--level", level], root_hash, to, cache, name)


def make_blocks(program, image, root_hash, salt, level, to, cache, name):
    """Makes the blocks payload at `to` and returns its size. level: None for the program's own."""
    chosen = [] if level is None else ["--level", level]
    return _make(program, "blocks", ["--image", image, "--root-hash", root_hash, "--salt", salt, *chosen], root_hash, to, cache, name)


def make_uki(program, uki, image, root_hash, to, cache, name):
    """Makes the payload of the UKI, for a node that has the root image and nothing else, at `to` and returns its size."""
    return _make(program, "uki", ["--image", image, "--root-hash", root_hash, "--uki", uki], root_hash, to, cache, name)


def _make(program, verb, arguments, root_hash, to, cache, name):
    if not program.exists():
        raise Failure(f"{program}: not compiled (./dev build)")
    # The root image is known by its hash.
    plain = [digest.of_file(argument) if isinstance(argument, pathlib.Path) else str(argument)
             for argument in arguments if argument != arguments[1]]
    key = digest.of_value(["payload", verb, root_hash, plain, digest.of_file(program)])
    kept = cache.get(key)
    if kept is None:
        step(f"{name}: making the {verb} payload")
        folder = cache.begin(key)
        command.run([program, verb, *arguments, folder / to.name])
        kept = cache.commit(key)
    try:
        os.link(kept / to.name, to)
    except OSError:
        shutil.copyfile(kept / to.name, to)
    return to.stat().st_size
