# SPDX-License-Identifier: Apache-2.0
"""own: our payloads of an update, made, told apart and brought, by our own programs."""

import hashlib
import json
import os
import pathlib
import struct
import subprocess
import sys

from measuring import best, digest, drop_cache, make_empty, measure

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from harness.server import Server  # noqa: E402

BLOCK = 4096
PROGRAMS = ("images/payload/proa-payload", "tests/bench/bench-delta", "tests/bench/bench-hash-tree", "tests/bench/bench-bring",
            "updater/fetch/proa-fetch")


def compile_programs(programs):
    subprocess.run(["ninja", "-C", str(programs), *PROGRAMS], check=True, stdout=subprocess.DEVNULL)


def make_delta(programs, old, new, old_hash, new_hash, out):
    return measure(programs / PROGRAMS[0], "delta", "--from", old, "--from-hash", old_hash, "--to", new, "--to-hash", new_hash, out)


def make_uki(programs, base, security, out):
    """The smaller payload of the UKI for a node that runs base: its delta, or that of the kernels unpacked."""
    return measure(programs / PROGRAMS[0], "uki", "--uki", security.folder / "uki.efi", "--image", security.folder / "root.img",
                   "--root-hash", security.root_hash, "--from", base.folder / "uki.efi", "--from-image", base.folder / "root.img",
                   "--from-root-hash", base.root_hash, out)


def make_full(programs, image, root_hash, out):
    return measure(programs / PROGRAMS[0], "full", "--image", image, "--root-hash", root_hash, out)


def make_blocks(programs, image, root_hash, salt, out):
    return measure(programs / PROGRAMS[0], "blocks", "--image", image, "--root-hash", root_hash, "--salt", salt, out)


def _leaves(tree):
    """The salt, and the digests of a hash tree's lowest level."""
    data = tree.read_bytes()
    blocks, = struct.unpack_from("<Q", data, 72)
    levels, n = [], blocks
    while n > 1:
        n = (n + 127) // 128
        levels.append(n)
    at = BLOCK * (1 + sum(levels[1:]))
    return data[88:120], [data[at + 32 * i:at + 32 * i + 32] for i in range(blocks)]


def blocks_fetched(payload, old_tree):
    """Bytes of a blocks payload (docs/formats.md) that a node fetches which holds the image of @old_tree: head and frames."""
    salt, leaves = _leaves(old_tree)
    held = {leaf[:6] for leaf in leaves} | {hashlib.sha256(salt + bytes(BLOCK)).digest()[:6]}
    with open(payload, "rb") as file:
        fixed = file.read(112)
        size, frame_size, frames = struct.unpack_from("<QII", fixed, 16)
        sizes = [entry[0] for entry in struct.iter_unpack("<I16s", file.read(20 * frames))]
        blocks = size // BLOCK
        groups = file.read(32 * ((blocks + 127) // 128))
        names = file.read(6 * blocks)
    head = len(fixed) + 20 * frames + len(groups) + len(names)
    per_frame = frame_size // BLOCK
    missing = [names[6 * i:6 * i + 6] not in held for i in range(blocks)]
    return head + sum(size for i, size in enumerate(sizes) if any(missing[i * per_frame:(i + 1) * per_frame]))


def head_size(path):
    """Bytes before the first frame (docs/formats.md)."""
    with open(path, "rb") as file:
        fixed = file.read(112)
    kind, size, frames = struct.unpack_from("<I", fixed, 12)[0], *struct.unpack_from("<Q4xI", fixed, 16)
    blocks = size // BLOCK
    return {1: 64 + 40 * frames, 2: 112 + 48 * frames, 3: 112 + 20 * frames + 32 * ((blocks + 127) // 128) + 6 * blocks}[kind]


def _manifest(release, files):
    """A manifest of what @files holds, by type; the path of a payload is its type's name."""
    papers = dict(release.manifest, payloads=[])
    for kind, (path, old_hash) in files.items():
        size = head_size(path)
        with open(path, "rb") as file:
            head = hashlib.sha256(file.read(size)).hexdigest()
        payload = {"type": kind, "file": kind, "size": path.stat().st_size, "sha256": digest(path), "header_size": size, "header_sha256": head}
        papers["payloads"].append(payload | ({"from": old_hash} if old_hash else {}))
    for name in ("uki", "sbom"):
        papers[name] = papers[name] | {"file": name}
    return papers


def apply_delta(programs, delta, old, new, hashes, out):
    """What it costs to apply the delta, and the seconds to read it back and to hash it."""
    def write():
        make_empty(out, new.stat().st_size)
        return measure(programs / "tests/bench/bench-delta", delta, old, *hashes, out)

    def verify():
        drop_cache(out)
        return measure(programs / "tests/bench/bench-hash-tree", out)
    applied = best(write)
    if digest(out) != digest(new):
        raise RuntimeError("the delta does not make the image")
    return applied, best(verify)["seconds"]


def copy_with_dd(image, out):
    """Seconds to write the whole image and to read it back. Past the page cache both ways, as the updater does it."""
    def copy():
        make_empty(out, image.stat().st_size)
        return measure("dd", f"if={image}", f"of={out}", "bs=1M", "conv=notrunc,fsync", "oflag=direct", "status=none")
    back = ["dd", f"if={out}", "of=/dev/null", "bs=1M", "iflag=direct", "status=none"]
    return best(copy)["seconds"] + best(lambda: measure(*back))["seconds"]


def bring(programs, work, base, security, files):
    """
    Each payload as a node takes it, over a real server into a slot. Peaks are those of proa-install's own steps and of
    proa-fetch, added up, each the highest that the kernel saw.
    """
    served, site, peaks, helper = work / "served", work / "site", work / "fetch-peaks", work / "helper"
    for folder in (served, site):
        folder.mkdir()
    for kind, (path, _) in files.items():
        os.link(path, served / kind)
    (work / "manifest.json").write_text(json.dumps(_manifest(security, files)))
    helper.write_text(f'#!/bin/sh\nexec time -a -o {peaks} -f %M {programs / "updater/fetch/proa-fetch"} "$@"\n')
    helper.chmod(0o755)
    server = Server(work / "logs")
    server.serve(served)
    server.start()
    costs = {}
    try:
        for kind in files:
            peaks.write_text("")
            make_empty(work / "new", security.manifest["root"]["size"])
            make_empty(work / "new.tree", 16 << 20)
            done = subprocess.run([programs / "tests/bench/bench-bring", site, helper, f"http://127.0.0.1:{server.port}/", work / "manifest.json",
                                   base.root_hash, base.folder / "root.img", base.folder / "root.verity", work / "new", work / "new.tree",
                                   kind], check=True, stdout=subprocess.PIPE, text=True)
            cost = json.loads(done.stdout.splitlines()[-1])
            cost["peak_bytes"] += max(int(line) for line in peaks.read_text().split() if line.isdigit()) * 1024
            cost["seconds"] = round(cost.pop("bring_seconds") + cost.pop("verify_seconds"), 3)
            costs[kind] = cost
            if digest(work / "new") != digest(security.folder / "root.img"):
                raise RuntimeError(f"{kind} does not make the image")
            for file in site.iterdir():
                file.unlink()
    finally:
        server.stop()
    return costs
