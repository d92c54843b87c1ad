# SPDX-License-Identifier: Apache-2.0
"""own: our payloads of an update, made, told apart and brought, by our own programs."""

import hashlib
import json
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import time

from measuring import children, digest, drop_cache, make_empty, measure, quickest, resident

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from harness.server import Server  # noqa: E402

BLOCK = 4096
PROGRAMS = ("images/payload/proa-payload", "tests/bench/bench-delta", "tests/bench/bench-bring",
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


def make_blocks(programs, image, root_hash, salt, out, *options):
    return measure(programs / PROGRAMS[0], "blocks", "--image", image, "--root-hash", root_hash, "--salt", salt, *options, out)


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


def _manifest(papers, files):
    """A release's manifest, with what @files holds, by type; the path of a payload is its type's name."""
    papers = dict(papers, payloads=[])
    for kind, (path, old_hash) in files.items():
        size = head_size(path)
        with open(path, "rb") as file:
            head = hashlib.sha256(file.read(size)).hexdigest()
        payload = {"type": kind, "file": kind, "size": path.stat().st_size, "sha256": digest(path), "header_size": size, "header_sha256": head}
        papers["payloads"].append(payload | ({"from": old_hash} if old_hash else {}))
    if "full" not in files:  # every manifest has one; nobody takes this
        papers["payloads"].append({"type": "full", "file": "full", "size": papers["root"]["size"], "sha256": "0" * 64})
    for name in ("uki", "sbom"):
        papers[name] = papers[name] | {"file": name}
    return papers


def apply_delta(programs, delta, old, new, papers, out, times=9):
    """
    What it costs to apply the delta; the seconds to apply it and verify what was written, as a transaction does it; and the
    seconds that dd needs to write the whole image and to read it back. All write over a file whose blocks are allocated, as a
    partition's are, and past the page cache. One after the other, several times: the quickest of each counts.
    """
    old_hash, new_hash, salt, uuid = papers
    shutil.copyfile(old, out)
    drop_cache(out)
    command = [programs / "tests/bench/bench-delta", delta, old, old_hash, new_hash, out]
    write = ["dd", f"if={new}", f"of={out}", "bs=1M", "conv=notrunc,fsync", "oflag=direct", "status=none"]
    back = ["dd", f"if={out}", "of=/dev/null", "bs=1M", "iflag=direct", "status=none"]
    tree = out.with_suffix(".tree")
    applied, verified, dd = [], [], []
    for _ in range(times):
        applied.append(measure(*command))
        verified.append(measure(*command, tree, salt, uuid))
        if digest(out) != digest(new):
            raise RuntimeError("the delta does not make the image")
        dd.append(measure(*write)["seconds"] + measure(*back)["seconds"])
    return quickest(applied), quickest(verified), min(dd)


def _run_watched(command):
    """What a command said; the most bytes that it and what it started had resident together, and that each had, added up."""
    together, highest = 0, {}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            sizes = {pid: resident(pid) for pid in (process.pid, *children(process.pid))}
            together = max(together, sum(now for now, _ in sizes.values()))
            highest |= {pid: most for pid, (_, most) in sizes.items() if most}
            time.sleep(0.001)
        said = process.stdout.read()
    if process.returncode:
        raise RuntimeError(f"{command[0]} failed with status {process.returncode}")
    # Of what was started one process at a time runs.
    own = highest.pop(process.pid, 0)
    return said, together, own + max(highest.values(), default=0)


def _bring_one(programs, work, url, old, size, kind):
    """What it costs to take one payload: `peak_bytes` and `peaks_added_up` are told of below."""
    site, slot, tree = work / "site", work / "new", work / "new.tree"
    old_hash, old_image, old_tree = old
    make_empty(slot, size)
    make_empty(tree, (size >> 6) + (16 << 20))
    said, together, added_up = _run_watched([programs / "tests/bench/bench-bring", site, programs / "updater/fetch/proa-fetch", url,
                                             work / "manifest.json", old_hash, old_image, old_tree, slot, tree, kind])
    cost = json.loads(said.splitlines()[-1])
    cost["peaks_added_up"] = added_up
    cost["peak_bytes"] = together
    cost["seconds"] = round(cost.pop("bring_seconds") + cost.pop("verify_seconds"), 3)
    for file in site.iterdir():
        file.unlink()
    return cost


def bring(programs, work, papers, old, new, files):
    """
    Each payload as a node takes it that runs @old (root hash, image, hash tree), over a real server into a slot, which must be
    @new in the end; @papers is the manifest of the release. `peak_bytes` is the most that proa-install's own steps and
    proa-fetch had resident together, looked at a thousand times a second; `peaks_added_up` the highest of each that the kernel
    saw, as if they had been at the same time.
    """
    served, site = work / "served", work / "site"
    for folder in (served, site):
        folder.mkdir()
    for kind, (path, _) in files.items():
        os.link(path, served / kind)
    (work / "manifest.json").write_text(json.dumps(_manifest(papers, files)))
    server = Server(work / "logs")
    server.serve(served)
    server.start()
    costs = {}
    try:
        for kind in files:
            costs[kind] = _bring_one(programs, work, f"http://127.0.0.1:{server.port}/", old, new.stat().st_size, kind)
            if digest(work / "new") != digest(new):
                raise RuntimeError(f"{kind} does not make the image")
    finally:
        server.stop()
    return costs
