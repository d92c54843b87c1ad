# SPDX-License-Identifier: Apache-2.0
"""growth: how bytes and time of our payloads grow with the packages changed, the releases between, and the image."""

import hashlib
import json
import os
import pathlib
import random
import re
import shutil
import subprocess

import own
from measuring import digest, make_empty, measure, say

PACKAGES = (1, 10, 100)
RELEASES = (1, 5, 10, 20)
# Packages that each release of a series changes.
EACH_RELEASE = 5
SIZES_MIB = (256, 512, 1024, 2048, 4096)
# Of images that differ in size memory and time are of interest: level 19 would take an hour.
BLOCKS_QUICKLY = ("--level", "3")
# A piece of what fills an image up.
BALLAST = 4 << 20


class Trees:
    """Trees that are derived from base's, and images of them. Files are shared by hard links and replaced, never changed."""

    def __init__(self, top, programs, work, base, security):
        self.top, self.programs, self.work, self.papers = top, programs, work, base.manifest
        self.base, self.security = work / "base", work / "security"
        for folder, release in ((self.base, base), (self.security, security)):
            subprocess.run(["ostree", f"--repo={top}/build/images/ostree", "checkout", "--user-mode", release.manifest["tree"], folder], check=True)
        self._files = {}
        self.blocks_of = None  # root hash of the image that the blocks payload at hand is of, and options of its maker

    def copy(self, tree, name):
        shutil.copytree(tree, self.work / name, copy_function=os.link, symlinks=True)
        return self.work / name

    def image(self, tree, name):
        """The image of a tree as proa-image makes it, and its root hash; the tree is removed."""
        image, root = self.work / f"{name}.img", self.papers["root"]
        subprocess.run(["mkfs.erofs", "--quiet", f"-U{root['uuid']}", f"-T{self.papers['built']}", "--all-time", "-b4096", image, tree],
                       check=True, stdout=subprocess.DEVNULL)
        size = image.stat().st_size
        os.truncate(image, size + -size % own.BLOCK)
        said = subprocess.run(["veritysetup", "format", image, self.work / f"{name}.tree", f"--salt={root['salt']}", f"--uuid={root['uuid']}"],
                              check=True, capture_output=True, text=True).stdout
        shutil.rmtree(tree)
        return image, re.search(r"^Root hash:\s+([0-9a-f]{64})$", said, re.MULTILINE)[1]

    def packages(self):
        """The packages whose files are on the node, those that security changed first, the others in a fixed shuffled order."""
        locks = [dict(line.split()[0:2] for line in (self.top / f"build/images/{name}/packages.lock").read_text().splitlines()
                      if line.endswith(" node")) for name in ("base", "security")]
        changed = [name for name in locks[0] if name in locks[1] and locks[0][name] != locks[1][name]]
        rest = sorted(set(locks[0]) - set(changed))
        random.Random(1).shuffle(rest)
        return [(name, locks[0][name]) for name in changed + rest]

    def files(self, package):
        """Paths of a package's regular files that are in base's tree."""
        if package not in self._files:
            name, version = package
            debs = list((self.top / "build/cache/debs").glob(f"{name}_{version.replace(':', '%3a')}_*.deb"))
            if not debs:
                raise RuntimeError(f"the package {name} {version} is not in build/cache/debs; run ./dev image first")
            tar = subprocess.run(["dpkg-deb", "--fsys-tarfile", debs[0]], check=True, capture_output=True).stdout
            listed = subprocess.run(["tar", "-t"], check=True, capture_output=True, input=tar).stdout.decode().splitlines()
            paths = (re.sub(r"^\./", "", path).removesuffix(".xz") for path in listed)
            self._files[package] = [path for path in paths if (self.base / path).is_file() and not (self.base / path).is_symlink()]
        return self._files[package]

    def rebuild(self, tree, package, salt):
        """Each file of a package as a new version has it: security's if it has another one, else touched here and there."""
        for path in self.files(package):
            file, news = tree / path, self.security / path
            data = file.read_bytes()
            if not salt and news.is_file() and news.read_bytes() != data:
                data = news.read_bytes()
            else:
                data = _touched(data, f"{path} {salt}")
            mode = file.stat().st_mode
            file.unlink()
            file.write_bytes(data)
            file.chmod(mode)


def _touched(data, seed):
    """20 bytes in each 64 KiB are others, as a build's digests and stamps are; and 48 come in at a third, so that what follows moves."""
    chance = random.Random(hashlib.sha256(seed.encode()).digest())
    data = bytearray(data)
    for at in range(0, len(data) - 64, 1 << 16):
        at += chance.randrange(min(len(data) - at - 32, 1 << 16))
        data[at:at + 20] = chance.randbytes(20)
    if len(data) > 4096:
        third = len(data) // 3
        data[third:third] = chance.randbytes(48)
    return bytes(data)


def _blocks(trees, old, new, options):
    """Bytes, memory and time of the blocks payload of @new for a node that runs @old."""
    blocks, bringing = trees.work / "blocks", trees.work / "bringing"
    made_of = (new[1], options)
    if trees.blocks_of != made_of:
        own.make_blocks(trees.programs, new[0], new[1], trees.papers["root"]["salt"], blocks, *options)
        trees.blocks_of = made_of
    bringing.mkdir()
    papers = dict(trees.papers, root=trees.papers["root"] | {"hash": new[1], "size": new[0].stat().st_size})
    applied = own.bring(trees.programs, bringing, papers, (old[1], old[0], old[0].with_suffix(".tree")), new[0],
                        {"blocks": (blocks, None)})["blocks"]
    shutil.rmtree(bringing)
    return {"blocks_bytes": own.blocks_fetched(blocks, old[0].with_suffix(".tree")), "blocks_applied": applied}


def _payloads(trees, name, old, new, blocks_options=()):
    """Bytes and time of the payloads that make @new of @old."""
    out, slot = trees.work / "delta", trees.work / "slot"
    made = own.make_delta(trees.programs, old[0], new[0], old[1], new[1], out)
    make_empty(slot, new[0].stat().st_size)
    applied = measure(trees.programs / "tests/bench/bench-delta", out, old[0], old[1], new[1], slot)
    if digest(slot) != digest(new[0]):
        raise RuntimeError(f"{name}: the delta does not make the image")
    row = {"of": name, "image_bytes": new[0].stat().st_size, "delta_bytes": out.stat().st_size, "delta_made": made, "delta_applied": applied}
    slot.unlink()
    row |= _blocks(trees, old, new, blocks_options)
    say(f"growth: {json.dumps(row)}")
    return row


def packages(trees, base_image):
    rows = []
    for count in PACKAGES:
        tree = trees.copy(trees.base, "changed")
        for package in trees.packages()[:count]:
            trees.rebuild(tree, package, "")
        new = trees.image(tree, "changed")
        rows.append(_payloads(trees, f"{count} packages", base_image, new))
        new[0].unlink()
    return rows


def releases(trees, base_image):
    """A series of 21 releases, base the first; the last is updated to from some of those before."""
    chance, names, last = random.Random(2), trees.packages(), max(RELEASES)
    tree, images = trees.copy(trees.base, "series"), {last: base_image}
    for number in range(1, last + 1):
        for package in chance.sample(names, EACH_RELEASE):
            trees.rebuild(tree, package, f"release {number}")
        if last - number in (0, *RELEASES):
            images[last - number] = trees.image(trees.copy(tree, "one"), f"back-{last - number}")
    shutil.rmtree(tree)
    rows = [_payloads(trees, f"{back} releases back", images[back], images[0]) for back in RELEASES]
    for back, (image, _) in images.items():
        if back != last:
            image.unlink()
    return rows


def _resize(tree, size, source):
    """Takes the largest files out of a tree, or fills it up with files like those of an image, to about @size bytes."""
    files = sorted(((path.stat().st_size, path) for path in tree.rglob("*") if path.is_file() and not path.is_symlink()), reverse=True)
    total = sum(bytes_ for bytes_, _ in files)
    for bytes_, path in files:
        if total <= size:
            break
        if "modules" in path.parts:
            path.unlink()
            total -= bytes_
    (tree / "ballast").mkdir()
    with open(source, "rb") as file:
        for number in range(max(0, size - total) // BALLAST):
            data = file.read(BALLAST)
            if len(data) < BALLAST:
                file.seek(0)
                data = file.read(BALLAST)
            data = bytearray(data)
            for at in range(0, BALLAST, own.BLOCK):  # no block is like another's
                data[at:at + 8] = (number * BALLAST + at).to_bytes(8, "little")
            (tree / "ballast" / f"{number:05}").write_bytes(data)


def sizes(trees, wanted, source):
    """The same update, base to security, in images that are smaller or larger; bytes of blocks are those of a quick level."""
    rows = []
    for mib in wanted:
        images = []
        for name, tree in (("old", trees.base), ("new", trees.security)):
            tree = trees.copy(tree, name)
            _resize(tree, mib << 20, source)
            images.append(trees.image(tree, name))
        rows.append(_payloads(trees, f"{mib} MiB", *images, BLOCKS_QUICKLY))
        for image, _ in images:
            image.unlink()
            image.with_suffix(".tree").unlink()
    return rows


def run(top, programs, work, base, security, sizes_mib=SIZES_MIB):
    say("growth: checking the trees out")
    trees = Trees(top, programs, pathlib.Path(work), base, security)
    image = trees.image(trees.copy(trees.base, "start"), "start")
    return {"packages": packages(trees, image), "releases": releases(trees, image), "sizes": sizes(trees, sizes_mib, image[0])}
