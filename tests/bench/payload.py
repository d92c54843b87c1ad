# SPDX-License-Identifier: Apache-2.0
"""payload: deltas of the real update from base to security, against what others make of the same two trees."""

import hashlib
import os
import pathlib
import resource
import shutil
import subprocess
import tempfile
import time

REPOSITORY = "build/images/ostree"


def _measure(*command):
    """Runs a command; its seconds, CPU seconds and peak of resident bytes."""
    with tempfile.NamedTemporaryFile("r") as report:
        began = time.monotonic()
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(["time", "-f", "%M", "-o", report.name, *map(str, command)], check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return {"seconds": time.monotonic() - began, "peak_bytes": int(report.read().split()[-1]) * 1024,
                "cpu_seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime}


def _digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _row(name, path, cost):
    return {"bench": "payload", "name": name, "bytes": path.stat().st_size, **{key: round(value, 2) for key, value in cost.items()}}


def _ostree(top, work, old_tree, new_tree):
    """A static delta of the trees, made and applied in copies of the repository that share its objects."""
    repo, target, delta = work / "repo", work / "target", work / "ostree.delta"
    shutil.copytree(top / REPOSITORY, repo, copy_function=os.link, symlinks=True)
    made = _measure("ostree", f"--repo={repo}", "static-delta", "generate", f"--from={old_tree}", f"--to={new_tree}",
                    "--inline", "--min-fallback-size=0", f"--filename={delta}")
    subprocess.run(["ostree", "init", f"--repo={target}", "--mode=bare-user"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["ostree", f"--repo={target}", "pull-local", repo, old_tree], check=True, stdout=subprocess.DEVNULL)
    applied = _measure("ostree", f"--repo={target}", "static-delta", "apply-offline", delta)
    return delta, made, applied


def _delta(programs, old, new, old_hash, new_hash, out):
    return _measure(programs / "images/payload/proa-payload", "delta", "--from", old, "--from-hash", old_hash, "--to", new,
                    "--to-hash", new_hash, out)


def _make_slot(path, size):
    """What is written over: nothing of it is in the page cache."""
    path.unlink(missing_ok=True)
    with open(path, "wb") as file:
        file.truncate(size)


def _best(measure, times=3):
    """The quickest of a few: what else the machine does only makes it slower."""
    return min((measure() for _ in range(times)), key=lambda cost: cost["seconds"])


def _copy_with_dd(image, out):
    """Seconds to write the whole image and to read it back. Past the page cache both ways, as the updater does it."""
    def copy():
        _make_slot(out, image.stat().st_size)
        return _measure("dd", f"if={image}", f"of={out}", "bs=1M", "conv=notrunc,fsync", "oflag=direct", "status=none")
    back = ["dd", f"if={out}", "of=/dev/null", "bs=1M", "iflag=direct", "status=none"]
    return _best(copy)["seconds"] + _best(lambda: _measure(*back))["seconds"]


def _apply(programs, delta, old, new, hashes, out):
    """What it costs to apply the delta; and the seconds until it is verified as well: read back and hashed."""
    def write():
        _make_slot(out, new.stat().st_size)
        return _measure(programs / "tests/bench/bench-delta", delta, old, *hashes, out)
    applied = _best(write)
    if _digest(out) != _digest(new):
        raise RuntimeError("the delta does not make the image")

    def verify():
        with open(out, "rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        return _measure(programs / "tests/bench/bench-hash-tree", out)
    return applied, applied["seconds"] + _best(verify)["seconds"]


def run(top, programs, base, security):
    """Rows of the table as they are measured, and {"ratios": ...}: less is better. What is not measured is not named."""
    subprocess.run(["ninja", "-C", str(programs), "images/payload/proa-payload", "tests/bench/bench-delta", "tests/bench/bench-hash-tree"],
                   check=True, stdout=subprocess.DEVNULL)
    old, new = base.folder / "root.img", security.folder / "root.img"
    ukis = [release.folder / "uki.efi" for release in (base, security)]
    with tempfile.TemporaryDirectory(dir=top / "build") as folder:
        work = pathlib.Path(folder)
        delta, uki, out = work / "root.delta", work / "uki.delta", work / "out.img"
        made = _delta(programs, old, new, base.root_hash, security.root_hash, delta)
        yield _row("delta, root, made", delta, made)
        applied, verified_seconds = _apply(programs, delta, old, new, (base.root_hash, security.root_hash), out)
        yield _row("delta, root, applied", delta, applied)
        dd_seconds = _copy_with_dd(new, work / "dd.img")
        yield _row("delta, UKI, made", uki, _delta(programs, *ukis, *map(_digest, ukis), uki))
        reference, reference_made, reference_applied = _ostree(top, work, base.manifest["tree"], security.manifest["tree"])
        yield _row("ostree static delta, made", reference, reference_made)
        yield _row("ostree static delta, applied", reference, reference_applied)
        full = sum((security.folder / name).stat().st_size for name in ("root.full", "uki.efi"))
        ratios = {
            "delta_vs_ostree": delta.stat().st_size / reference.stat().st_size,
            "delta_vs_full": (delta.stat().st_size + min(uki.stat().st_size, ukis[1].stat().st_size)) / full,
            "make_time_vs_ostree": made["seconds"] / reference_made["seconds"],
            "make_peak_bytes": made["peak_bytes"],
            "apply_time_vs_dd": verified_seconds / dd_seconds,
            "apply_cpu_vs_ostree": applied["cpu_seconds"] / reference_applied["cpu_seconds"],
        }
        yield {"bench": "payload", "ratios": {name: round(value, 3) for name, value in ratios.items()}}
        cost = _measure("zstd", "-q", "-19", "--long=30", f"--patch-from={old}", new, "-o", work / "zstd")
        yield _row("zstd -19 --patch-from, made", work / "zstd", cost)
