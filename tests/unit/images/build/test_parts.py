# SPDX-License-Identifier: Apache-2.0
"""The small parts: indices of a mirror, package files, libraries, archives, caches, files of a tree."""

import hashlib
import io
import json
import os
import pathlib
import stat
import subprocess
import sys
import tarfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import support  # noqa: E402
from proa_image import cache, canary, digest, elf, initrd, kernel, packages, paths, sbom, suites, tree  # noqa: E402
from proa_image.failure import Failure  # noqa: E402

A, B = "a" * 64, "b" * 64


class Suites(support.Case):
    def text(self, date, value):
        return f"Date: {date}\nSHA256:\n {value} 123 main/binary-amd64/Packages.xz\n {B} 1 main/binary-arm64/Packages.xz\n"

    def test_a_file_signed_anew_offers_the_same(self):
        one, two = self.text("Mon", A), self.text("Tue", A)
        self.assertEqual(suites.indices(one, ["main"], "x"), suites.indices(two, ["main"], "x"))

    def test_another_index_offers_something_else(self):
        self.assertNotEqual(suites.indices(self.text("Mon", A), ["main"], "x"), suites.indices(self.text("Mon", B), ["main"], "x"))

    def test_a_file_without_the_index_is_refused(self):
        with self.assertRaisesRegex(Failure, "x: names no package index of contrib"):
            suites.indices(self.text("Mon", A), ["contrib"], "x")

    def test_with_no_mirror_the_last_answer_is_taken(self):
        os.environ["PROA_MIRROR"] = "http://127.0.0.1:9/debian"
        self.file("trixie.InRelease", self.text("Mon", A))
        self.assertEqual(suites.offered(["trixie"], ["main"], self.folder),
                         digest.of_value({"trixie": [["main/binary-amd64/Packages.xz", A]]}))

    def test_with_no_mirror_and_no_answer_it_fails(self):
        os.environ["PROA_MIRROR"] = "http://127.0.0.1:9/debian"
        with self.assertRaisesRegex(Failure, "does not answer for trixie"):
            suites.offered(["trixie"], ["main"], self.folder)


class Packages(support.Case):
    def test_reads_paragraphs_and_leaves_continued_lines_out(self):
        text = "Package: a\nDescription: one\n more: of it\nVersion: 1\n\nPackage: b\n\n"
        self.assertEqual(list(packages._paragraphs(text)),
                         [{"Package": "a", "Description": "one", "Version": "1"}, {"Package": "b"}])

    def test_reads_when_a_package_was_built(self):
        header = b"debian-binary   " + b"1700000000  " + b"0     0     100644  4         `\n"
        self.assertEqual(packages._built(self.file("a.deb", b"!<arch>\n" + header + b"2.0\n")), 1700000000)

    def test_what_is_no_package_is_refused(self):
        for content in (b"", b"!<arch>\n", b"x" * 68):
            with self.assertRaisesRegex(Failure, "a.deb: not a Debian package"):
                packages._built(self.file("a.deb", content))

    def test_files_that_two_packages_share_stay(self):
        info = self.folder / "var/lib/dpkg/info"
        for name in ("usr/bin/one", "usr/bin/both", "usr/share/one/x"):
            self.file(name)
        self.file(info.relative_to(self.folder) / "one.list", "/.\n/usr\n/usr/bin/one\n/usr/bin/both\n/usr/share/one\n/usr/share/one/x\n")
        self.file(info.relative_to(self.folder) / "two:amd64.list", "/.\n/usr\n/usr/bin/both\n")
        entries = [{"name": "one", "on_node": True}, {"name": "two", "on_node": True}]
        packages._remove_packages(self.folder, ["one"], entries)
        self.assertEqual(sorted(os.listdir(self.folder / "usr/bin")), ["both"])
        self.assertFalse((self.folder / "usr/share/one").exists())
        self.assertEqual([entry["on_node"] for entry in entries], [False, True])

    def test_a_package_to_remove_must_be_installed(self):
        (self.folder / "var/lib/dpkg/info").mkdir(parents=True)
        with self.assertRaisesRegex(Failure, "'perl-base' is not installed"):
            packages._remove_packages(self.folder, ["perl-base"], [])

    def test_completions_of_programs_that_are_not_there_go(self):
        completions = "usr/share/bash-completion/completions"
        for path in ("usr/bin/ls", "usr/sbin/ip", "usr/bin/zcat", f"{completions}/ls", f"{completions}/_ip", f"{completions}/xyz",
                     f"{completions}/apt"):
            self.file(path, b"x")
        (self.folder / completions / "zcat").symlink_to("xyz")
        packages.prune_completions(self.folder)
        self.assertEqual({path.name for path in (self.folder / completions).iterdir()}, {"ls", "_ip", "zcat", "xyz"})


class Kernel(support.Case):
    def setUp(self):
        super().setUp()
        self.file("usr/lib/modules/6/modules.dep", "kernel/a-b.ko: kernel/c.ko kernel/d.ko\nkernel/c.ko:\nkernel/d.ko:\nkernel/e.ko:\n")
        self.file("usr/lib/modules/6/modules.builtin", "kernel/ext4.ko\n")

    def test_takes_a_module_with_what_it_needs(self):
        found = kernel.modules_with_dependencies(self.folder, "6", ["a_b", "ext4"])
        self.assertEqual([path.name for path in found], ["a-b.ko", "c.ko", "d.ko"])

    def test_names_a_module_that_the_kernel_does_not_have(self):
        with self.assertRaisesRegex(Failure, "no module 'dm-vanity'"):
            kernel.modules_with_dependencies(self.folder, "6", ["dm-vanity"])


class Elf(support.Case):
    def test_finds_what_ldd_finds(self):
        words = subprocess.run(["ldd", "/usr/bin/systemctl"], capture_output=True, text=True, check=True).stdout.split()
        expected = {os.path.basename(word) for word in words if word.startswith("/")}
        found = {os.path.basename(path) for path in elf.closure("/", ["usr/bin/systemctl"])}
        self.assertTrue(expected)
        self.assertEqual(found, expected)

    def test_names_who_needs_a_library_that_is_not_there(self):
        path = self.file("usr/bin/systemctl", pathlib.Path("/usr/bin/systemctl").read_bytes())
        with self.assertRaisesRegex(Failure, f"no library lib.*{path}"):
            elf.closure(self.folder, ["usr/bin/systemctl"])

    def test_a_script_needs_no_library(self):
        self.file("usr/bin/x", "#!/bin/sh\n")
        self.assertEqual(elf.closure(self.folder, ["usr/bin/x"]), [])


class Initrd(support.Case):
    def archive(self, name):
        to = self.folder / f"{name}.cpio"
        initrd.write_cpio(self.folder / "in", to)
        return to.read_bytes()

    def test_the_archive_is_one_that_cpio_reads(self):
        self.file("in/usr/bin/x", b"12345", 0o755)
        self.file("in/etc/empty")
        (self.folder / "in/init").symlink_to("usr/bin/x")
        self.archive("a")
        out = self.folder / "out"
        out.mkdir()
        subprocess.run(["cpio", "--extract", "--quiet", "--make-directories", "-F", self.folder / "a.cpio"], cwd=out, check=True)
        self.assertEqual(digest.of_tree(out), digest.of_tree(self.folder / "in"))
        self.assertEqual((out / "init").read_bytes(), b"12345")

    def test_times_and_the_order_of_making_do_not_show(self):
        self.file("in/b", b"b")
        self.file("in/a", b"a")
        one = self.archive("one")
        for name in ("a", "b"):
            (self.folder / "in" / name).unlink()
        self.file("in/a", b"a")
        self.file("in/b", b"b")
        os.utime(self.folder / "in/a", (1, 1))
        self.assertEqual(self.archive("two"), one)


class Caches(support.Case):
    def test_what_was_not_finished_is_not_found(self):
        kept = cache.Cache(self.folder / "c")
        (kept.begin("k") / "x").write_text("half")
        self.assertIsNone(kept.get("k"))
        self.assertEqual(list(kept.begin("k").iterdir()), [])

    def test_what_was_finished_is_found(self):
        kept = cache.Cache(self.folder / "c")
        (kept.begin("k") / "x").write_text("whole")
        kept.commit("k")
        self.assertEqual((kept.get("k") / "x").read_text(), "whole")

    def test_forgets_what_was_used_longest_ago(self):
        kept = cache.Cache(self.folder / "c")
        for number, name in enumerate(("a", "b", "c")):
            kept.begin(name)
            os.utime(kept.commit(name), (number, number))
        kept.get("a")
        kept.begin("d")
        kept.forget(2)
        self.assertEqual(sorted(os.listdir(self.folder / "c")), ["a", "c"])


class Digests(support.Case):
    def test_content_mode_and_targets_count_and_times_do_not(self):
        self.file("t/a", b"1")
        first = digest.of_tree(self.folder / "t")
        os.utime(self.folder / "t/a", (1, 1))
        self.assertEqual(digest.of_tree(self.folder / "t"), first)
        (self.folder / "t/a").chmod(0o755)
        second = digest.of_tree(self.folder / "t")
        (self.folder / "t/a").write_bytes(b"2")
        third = digest.of_tree(self.folder / "t")
        (self.folder / "t/l").symlink_to("a")
        fourth = digest.of_tree(self.folder / "t")
        self.assertEqual(len({first, second, third, fourth}), 4)


class Trees(support.Case):
    def test_a_pattern_matches_hidden_files_and_follows_no_link(self):
        self.file("outside/x")
        self.file("tree/etc/.hidden")
        (self.folder / "tree/link").symlink_to("../outside")
        self.assertEqual([path.name for path in paths.matching(self.folder / "tree", "etc/*")], [".hidden"])
        self.assertEqual(paths.matching(self.folder / "tree", "*/x"), [])

    def test_a_path_to_remove_must_be_there(self):
        self.file("tree/a/b")
        tree.remove_paths(self.folder / "tree", ["/a/*"], "x")
        with self.assertRaisesRegex(Failure, "x: there is no /a/b"):
            tree.remove_paths(self.folder / "tree", ["/a/b"], "x")

    def test_an_overlay_replaces_links_and_gives_plain_modes(self):
        self.file("over/bin/x", b"new", 0o770)
        self.file("over/etc/y", b"new", 0o600)
        self.file("tree/bin/old")
        (self.folder / "tree/bin/x").symlink_to("old")
        tree._overlay(self.folder / "over", self.folder / "tree")
        self.assertEqual((self.folder / "tree/bin/old").read_bytes(), b"")
        modes = [stat.S_IMODE((self.folder / "tree" / name).stat().st_mode) for name in ("bin/x", "etc/y")]
        self.assertEqual(modes, [0o755, 0o644])

    def test_keys_are_set_in_their_place_or_at_the_end_of_their_group(self):
        text = "[a]\nurl=old\n[b]\nurl=kept\n"
        self.assertEqual(tree.set_keys(text, "a", {"url": "new", "channel": "stable"}),
                         "[a]\nurl=new\nchannel=stable\n[b]\nurl=kept\n")
        self.assertEqual(tree.set_keys("", "a", {"url": "new"}), "[a]\nurl=new\n")

    def test_what_packages_put_into_var_is_made_again_at_boot(self):
        self.file("etc/passwd", "root:x:0:0::/:/x\n_chrony:x:989:989::/:/x\n")
        self.file("etc/group", "root:x:0:\n_chrony:x:989:\n")
        self.file("var/lib/chrony/keys", b"seed", 0o640)
        os.chown(self.folder / "var/lib/chrony", 989, 989)
        (self.folder / "var/lib/chrony").chmod(0o750)
        (self.folder / "var/run").symlink_to("../run")
        (self.folder / "usr/lib/tmpfiles.d").mkdir(parents=True)
        tree._empty_var(self.folder)
        lines = (self.folder / "usr/lib/tmpfiles.d/proa-var.conf").read_text().splitlines()
        self.assertIn("d /var/lib/chrony 0750 _chrony _chrony - -", lines)
        self.assertIn("C /var/lib/chrony/keys 0640 root root - /usr/share/factory/var/lib/chrony/keys", lines)
        self.assertIn("L /var/run - - - - ../run", lines)
        self.assertEqual(os.listdir(self.folder / "var"), [])
        self.assertEqual((self.folder / "usr/share/factory/var/lib/chrony/keys").read_bytes(), b"seed")


class Canary(support.Case):
    def test_every_blob_has_the_digest_that_it_is_named_by(self):
        self.file(canary.CANARY, b"\x7fELF", 0o755)
        canary.make(self.folder)
        self.assertFalse((self.folder / canary.CANARY).exists())
        with tarfile.open(self.folder / canary.IMAGE) as tar:
            content = {entry.name: tar.extractfile(entry).read() for entry in tar}
        index = json.loads(content["index.json"])
        queue, seen = [index["manifests"][0]], 0
        while queue:
            item = queue.pop()
            name, data = item["digest"], content["blobs/sha256/" + item["digest"].removeprefix("sha256:")]
            self.assertEqual((name, item["size"]), ("sha256:" + hashlib.sha256(data).hexdigest(), len(data)))
            seen += 1
            if item["mediaType"].endswith("manifest.v1+json"):
                manifest = json.loads(data)
                queue += [manifest["config"], *manifest["layers"]]
        self.assertEqual(seen, 3)
        self.assertEqual(index["manifests"][0]["annotations"]["io.containerd.image.name"], canary.NAME)
        layer = content["blobs/sha256/" + manifest["layers"][0]["digest"].removeprefix("sha256:")]
        with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
            self.assertEqual([(entry.name, entry.mode) for entry in tar], [("canary", 0o755)])


class Sbom(support.Case):
    def test_every_reference_leads_somewhere(self):
        class Release:
            version = "1.0.0"
        entry = {"name": "libc6", "version": "2:2.41+x~1", "architecture": "amd64", "sha256": A, "source": "glibc",
                 "source_version": "2.41", "homepage": "", "on_node": True}
        gone = {**entry, "name": "dpkg", "on_node": False}
        to = self.folder / "sbom.json"
        sbom.write([entry, gone], Release, "proa", B, 1700000000, to)
        document = json.loads(to.read_text())
        known = {package["SPDXID"] for package in document["packages"]} | {"SPDXRef-DOCUMENT"}
        self.assertEqual(len(known), 3)
        for relation in document["relationships"]:
            self.assertLessEqual({relation["spdxElementId"], relation["relatedSpdxElement"]}, known)
        locator = document["packages"][1]["externalRefs"][0]["referenceLocator"]
        self.assertTrue(locator.startswith("pkg:deb/debian/libc6@2%3A2.41%2Bx~1?arch=amd64"))
        self.assertEqual(document["creationInfo"]["created"], "2023-11-14T22:13:20Z")


if __name__ == "__main__":
    support.unittest.main()
