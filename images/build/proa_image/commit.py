# SPDX-License-Identifier: Apache-2.0
"""commit: the tree as an OSTree commit: its content by name, from which publishers find what changed."""

from . import command


def make(repo, tree, release, built):
    """Commits the tree and returns the commit's digest. Equal trees of equal version give equal commits."""
    if not (repo / "config").exists():
        repo.mkdir(parents=True, exist_ok=True)
        command.run(["ostree", f"--repo={repo}", "init", "--mode=bare"])
    branch = f"proa/x86-64/{release.name}"
    return command.run([
        "ostree", f"--repo={repo}", "commit", f"--branch={branch}", "--parent=none", "--fsync=no",
        f"--timestamp=@{built}", f"--subject=Proa {release.version}", f"--add-metadata-string=version={release.version}",
        f"--tree=dir={tree}",
    ], env={"SOURCE_DATE_EPOCH": str(built)}).strip()


def prune(repo):
    """Removes trees that no release has any more."""
    command.run(["ostree", f"--repo={repo}", "prune", "--refs-only"])
