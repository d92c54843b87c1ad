# SPDX-License-Identifier: Apache-2.0
"""Root images, hash trees and commits, with the real tools."""

import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import support  # noqa: E402
from proa_image import commit, definition, release, root  # noqa: E402
from proa_image.failure import Failure  # noqa: E402

BUILT = 1700000000


class Made(support.Case):
    def setUp(self):
        super().setUp()
        self.definition = definition.load(support.TOP / "images/node/node.toml", support.TOP)
        self.release = self.definition.releases["base"]

    def tree(self, name, order):
        for path in order:
            self.file(f"{name}/{path}", path.encode() * 3000, 0o755 if "bin" in path else 0o644)
        (self.folder / name / "link").symlink_to("usr/bin/x")
        return self.folder / name

    def image(self, name, tree, built=BUILT):
        image, hashes = self.folder / f"{name}.img", self.folder / f"{name}.verity"
        root.make_image(tree, image, self.definition, built)
        return image, hashes, root.make_hash_tree(image, hashes, self.definition)

    def test_the_same_tree_gives_the_same_bytes_whenever_and_in_whatever_order_it_was_made(self):
        one = self.image("one", self.tree("a", ["usr/bin/x", "etc/y", "etc/z"]))
        other = self.tree("b", ["etc/z", "etc/y", "usr/bin/x"])
        for path in (other / "etc/y", other / "etc"):
            os.utime(path, (5, 5))
        two = self.image("two", other)
        self.assertEqual(one[2], two[2])
        for first, second in zip(one[:2], two[:2]):
            self.assertEqual(first.read_bytes(), second.read_bytes())

    def test_a_changed_byte_gives_another_root_hash(self):
        tree = self.tree("a", ["usr/bin/x"])
        before = self.image("one", tree)[2]
        self.file("a/usr/bin/x", b"y" * 30000, 0o755)
        self.assertNotEqual(self.image("two", tree)[2], before)

    def test_the_image_is_whole_blocks_and_the_tree_begins_with_a_superblock_of_the_feed(self):
        image, hashes, _ = self.image("one", self.tree("a", ["usr/bin/x"]))
        self.assertEqual(image.stat().st_size % root.BLOCK, 0)
        head = hashes.read_bytes()[:32]
        self.assertEqual(head[:6], b"verity")
        self.assertEqual(head[16:32].hex(), self.definition.root_uuid.replace("-", ""))

    def test_the_same_tree_gives_the_same_commit(self):
        one = commit.make(self.folder / "repo", self.tree("a", ["usr/bin/x", "etc/y"]), self.release, BUILT)
        two = commit.make(self.folder / "repo", self.tree("b", ["etc/y", "usr/bin/x"]), self.release, BUILT)
        self.assertRegex(one, "^[0-9a-f]{64}$")
        self.assertEqual(one, two)
        self.file("b/etc/y", b"other")
        self.assertNotEqual(commit.make(self.folder / "repo", self.folder / "b", self.release, BUILT), one)

    def papers(self):
        """A release directory in small."""
        tree = self.tree("a", ["usr/bin/x", "etc/y"])
        folder = self.folder / "release"
        folder.mkdir()
        root.make_image(tree, folder / "root.img", self.definition, BUILT)
        root_hash = root.make_hash_tree(folder / "root.img", folder / "root.verity", self.definition)
        for name in ("uki.efi", "sbom.spdx.json"):
            (folder / name).write_bytes(name.encode())
        release.write_manifest(folder, self.definition, self.release, BUILT, "a" * 64, 2, root_hash)
        return folder

    def test_a_release_that_is_whole_verifies(self):
        self.assertEqual(release.verify(self.papers())["version"], self.release.version)

    def test_a_flipped_bit_in_the_root_is_found(self):
        folder = self.papers()
        data = bytearray((folder / "root.img").read_bytes())
        data[len(data) // 2] ^= 1
        (folder / "root.img").write_bytes(data)
        with self.assertRaisesRegex(Failure, "root.img: does not have the root hash"):
            release.verify(folder)

    def test_a_shortened_root_is_found(self):
        folder = self.papers()
        with open(folder / "root.img", "r+b") as file:
            file.truncate(4096)
        with self.assertRaisesRegex(Failure, "root.img: 4096 bytes, release.json says"):
            release.verify(folder)

    def test_another_uki_is_found(self):
        folder = self.papers()
        (folder / "uki.efi").write_bytes(b"uki.efj")
        with self.assertRaisesRegex(Failure, "uki.efi: size or SHA-256 differs"):
            release.verify(folder)

    def test_a_release_that_was_not_made_is_said_so(self):
        with self.assertRaisesRegex(Failure, "no release.json"):
            release.verify(self.folder)


if __name__ == "__main__":
    support.unittest.main()
