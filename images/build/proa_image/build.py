# SPDX-License-Identifier: Apache-2.0
"""build: a release from its definition, stage by stage; stages whose inputs are the same are not done again."""

import concurrent.futures
import json
import os
import pathlib

from . import (command, commit, digest, disk, initrd, packages, payload, programs, release as papers, root, sbom, suites, tree,
               uki)
from .cache import Cache, lock, remove
from .failure import Failure
from .progress import step

PACKAGE_TREES_KEPT = 4
PAYLOADS_KEPT = 36  # three a release
INITRDS_KEPT = 6
# Taken when the code is loaded: a build may wait for another one before it does anything.
CODE = digest.of_value(sorted([path.name, digest.of_file(path)] for path in pathlib.Path(__file__).parent.glob("*.py")))


class Builder:
    """What the stages share: the definition, the places, and the programs of this build."""

    def __init__(self, definition, top, meson_dir, with_payload=True):
        self.definition = definition
        self.with_payload = with_payload
        self.meson_dir = pathlib.Path(meson_dir)
        self.output = top / "build/images"
        self.cache_dir = top / "build/cache"
        self._lock = lock(self.cache_dir / "images.lock")
        self.package_trees = Cache(self.cache_dir / "packages")
        self.initrds = Cache(self.cache_dir / "initrds")
        self.payloads = Cache(self.cache_dir / "payloads")
        self.debs = self.cache_dir / "debs"
        self.programs = self.cache_dir / "programs"
        self.programs_digest = programs.stage(self.meson_dir, self.programs)
        programs.check_required(self.programs, definition.required_programs)
        self._feed_root()
        self._offered = {}

    def _feed_root(self):
        """Makes the keys and the root of the development feed on first use, so that its nodes trust it from the start."""
        feed, tool = self.definition.feed, self.meson_dir / "images/feed/proa-feed"
        if feed.root.exists():
            return
        if feed.development_keys is None:
            raise Failure(f"[feed] root: {feed.root} does not exist: the nodes of these images would trust no feed")
        if not tool.exists():
            raise Failure(f"{tool}: not compiled (./dev build), and the feed's root {feed.root} does not exist")
        step(f"making the development feed's keys and root: {feed.root}")
        command.run([tool, "init", "--feed", feed.root.parents[1], "--keys", feed.development_keys])

    def prepare(self, releases):
        """Makes the packages trees that the releases need and that are not kept: side by side, since each keeps one core busy."""
        origins = {origin.name: origin for origin in (self._lineage(release)[0] for release in releases)}
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(self._packages, origins.values()))
        self.package_trees.forget(max(PACKAGE_TREES_KEPT, len(origins)))

    def build(self, release):
        """Makes a release, unless it is there already, and returns what --json prints of it."""
        lineage = self._lineage(release)
        kept = self._packages(lineage[0])
        key = self._key(lineage, kept)
        folder = self.output / release.name
        state = folder / ".made.json"
        if state.exists() and (made := json.loads(state.read_text()))["key"] == key:
            step(f"{release.name}: unchanged")
            return made["summary"]
        work = self.output / f".{release.name}.new"
        remove(work)
        work.mkdir(parents=True)
        summary = self._make(release, lineage, kept, work)
        if self._key(lineage, kept) == key:
            (work / ".made.json").write_text(json.dumps({"key": key, "summary": summary}, indent=1) + "\n")
        else:
            step(f"{release.name}: its files were changed while it was being made, so the next build makes it again")
        self._replace(folder, work)
        commit.prune(self.output / "ostree")
        step(f"{release.name}: version {release.version}, root hash {summary['root_hash']}")
        return summary

    def _make(self, release, lineage, kept, work):
        known = json.loads((kept / "packages.json").read_text())
        built, version = known["built"], known["kernel"]
        files = work / "tree"
        root_hash, commit_id = self._root(release, lineage, kept, files, work, built, self.output / "ostree")
        step(f"{release.name}: initrd and UKI")
        archive = initrd.make(files, work / "initrd", self.definition, version, lineage, self.initrds)
        self.initrds.forget(INITRDS_KEPT)
        line = uki.command_line(self.definition, lineage, root_hash)
        uki.make(kept, files, archive, work / "uki.efi", line, version)
        if release.disk:
            step(f"{release.name}: disk image")
            disk.make(work, work / "repart", kept, self.definition, release.version, root_hash)
        on_node = sum(entry["on_node"] for entry in known["packages"])
        sbom.write(known["packages"], release, self.definition.os_release["ID"], root_hash, built, work / "sbom.spdx.json")
        papers.write_lock(known["packages"], work / "packages.lock")
        manifest = papers.write_manifest(work, self.definition, release, built, commit_id, on_node, root_hash)
        level = release.payload_level or self.definition.payload_level
        full = uki_payload = None
        if self.with_payload:
            maker = self.meson_dir / "images/payload/proa-payload"
            full = payload.make_full(maker, work / "root.img", root_hash, level, work / "root.full", self.payloads, release.name)
            payload.make_blocks(maker, work / "root.img", root_hash, self.definition.root_salt, release.payload_level,
                                work / "root.blocks", self.payloads, release.name)
            uki_payload = payload.make_uki(maker, work / "uki.efi", work / "root.img", root_hash, work / "uki.full",
                                           self.payloads, release.name)
            self.payloads.forget(PAYLOADS_KEPT)
        for name in ("tree", "initrd", "repart"):
            remove(work / name)
        return {
            "version": release.version, "root_hash": root_hash, "root_bytes": manifest["root"]["size"],
            "uki_bytes": manifest["uki"]["size"],
            "full_payload_bytes": None if full is None else full + uki_payload,
            "packages": on_node, "tree": commit_id,
        }

    def _root(self, release, lineage, kept, files, work, built, repo):
        """Tree, commit, root image and hash tree; returns root hash and commit."""
        step(f"{release.name}: tree")
        tree.make(files, kept, self.programs, self.definition, release, lineage)
        step(f"{release.name}: OSTree commit")
        commit_id = commit.make(repo, files, release, built)
        step(f"{release.name}: root image and hash tree")
        root.make_image(files, work / "root.img", self.definition, built)
        return root.make_hash_tree(work / "root.img", work / "root.verity", self.definition), commit_id

    def check_reproducible(self, release):
        """Makes a release's tree twice from nothing but packages; a Failure names the first difference."""
        lineage = self._lineage(release)
        found = []
        for turn in (1, 2):
            step(f"{release.name}: making it from nothing, {turn} of 2")
            work = self.output / f".{release.name}.check{turn}"
            remove(work)
            kept = work / "packages"
            kept.mkdir(parents=True)
            packages.make(self.definition, lineage[0], kept, self.debs)
            built = json.loads((kept / "packages.json").read_text())["built"]
            root_hash, commit_id = self._root(release, lineage, kept, work / "tree", work, built, work / "ostree")
            archive = initrd.make(work / "tree", work / "initrd", self.definition,
                                  json.loads((kept / "packages.json").read_text())["kernel"], lineage,
                                  Cache(work / "initrds"))
            uki.make(kept, work / "tree", archive, work / "uki.efi",
                     uki.command_line(self.definition, lineage, root_hash), "check")
            found.append({"root_hash": root_hash, "tree": commit_id, "uki": digest.of_file(work / "uki.efi")})
        if found[0] != found[1]:
            raise Failure(f"{release.name} is not reproducible: {found[0]} and {found[1]}; "
                          f"compare {self.output}/.{release.name}.check1/tree and .check2/tree")
        for turn in (1, 2):
            remove(self.output / f".{release.name}.check{turn}")
        return found[0]

    def _lineage(self, release):
        steps = [release]
        while steps[0].parent:
            steps.insert(0, self.definition.releases[steps[0].parent])
        return steps

    def _packages(self, origin):
        """The kept packages tree of a release with suites; made if the mirror's or the definition's packages changed."""
        components = self.definition.packages.components
        if origin.name not in self._offered:
            self._offered[origin.name] = suites.offered(origin.suites, components, self.cache_dir / "suites")
        key = packages.key(self.definition, origin, self._offered[origin.name])
        kept = self.package_trees.get(key)
        if kept is None:
            kept = self.package_trees.begin(key)
            packages.make(self.definition, origin, kept, self.debs)
            offered = json.loads((kept / "packages.json").read_text())["offered"]
            if offered != self._offered[origin.name]:
                raise Failure(f"the mirror changed while {origin.name} was being installed; once more, please")
            kept = self.package_trees.commit(key)
        return kept

    def _key(self, lineage, kept):
        """A digest of all that a release is made from."""
        definition = self.definition
        folders = [definition.folder / "files", definition.folder / "initrd"]
        for item in lineage:
            folders += [path for path in (item.overlay, item.initrd_overlay) if path]
        feed_root = definition.feed.root
        maker = self.meson_dir / "images/payload/proa-payload"
        return digest.of_value([
            kept.name, CODE, self.programs_digest, digest.of_file(definition.file) if not lineage[-1].parent else "",
            repr([definition.os_release, definition.kernel_command_line, definition.initrd, definition.enable,
                  definition.mask, definition.users, definition.root_uuid, definition.root_salt, definition.disk,
                  definition.feed.url, definition.feed.channel, definition.payload_level, lineage]),
            [digest.of_tree(path) for path in folders],
            digest.of_file(feed_root) if feed_root.exists() else "",
            digest.of_file(maker) if maker.exists() else "", self.with_payload,
        ])

    def _replace(self, folder, work):
        """Puts the new release directory in the old one's place."""
        old = self.output / f".{folder.name}.old"
        remove(old)
        if folder.exists():
            folder.rename(old)
        work.rename(folder)
        remove(old)
