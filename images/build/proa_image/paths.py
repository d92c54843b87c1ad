# SPDX-License-Identifier: Apache-2.0
"""paths: paths below a tree, by patterns; never following a symbolic link out of it."""

import fnmatch
import os
import pathlib
import shutil


def matching(tree, pattern):
    """What matches a pattern of shell wildcards, part by part. Names that begin with a dot match too."""
    found = [pathlib.Path(tree)]
    for part in pattern.strip("/").split("/"):
        found = [pathlib.Path(folder, name) for folder in found if folder.is_dir() and not folder.is_symlink()
                 for name in sorted(os.listdir(folder)) if fnmatch.fnmatchcase(name, part)]
    return found


def remove(path):
    """Removes a file, a link or a whole directory."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
