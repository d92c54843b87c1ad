# SPDX-License-Identifier: Apache-2.0
"""suites: where packages come from, and a digest of what the mirror offers now."""

import http.client
import os
import pathlib
import re
import urllib.error
import urllib.request

from . import digest
from .failure import Failure
from .progress import step

TIMEOUT = 30
MAX_BYTES = 8 << 20
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


def sources(suites, components):
    """The apt source lines of a release's suites. The mirrors come from the environment and go into no file that is kept."""
    return [f"deb [signed-by={KEYRING}] {mirror(suite)} {suite} {' '.join(components)}" for suite in suites]


def mirror(suite):
    """The mirror of a suite."""
    name = "PROA_SECURITY_MIRROR" if suite.endswith("-security") else "PROA_MIRROR"
    value = os.environ.get(name, "")
    if not value:
        raise Failure(f"{name} is not set: the mirror of {suite}, such as http://deb.debian.org/debian")
    return value.rstrip("/")


def offered(suites, components, folder):
    """A digest of the package indices that the mirrors offer for the suites: one small request each.

    Of an InRelease file only the digests of the indices count, so a file signed anew with the same packages changes
    nothing. `folder` keeps the last answer; with no mirror in reach that is taken, and said.
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    found = {}
    for suite in suites:
        kept = folder / f"{suite}.InRelease"
        url = f"{mirror(suite)}/dists/{suite}/InRelease"
        try:
            with urllib.request.urlopen(url, timeout=TIMEOUT) as answer:
                text = answer.read(MAX_BYTES).decode()
        except (urllib.error.URLError, OSError, http.client.HTTPException, UnicodeDecodeError) as error:
            if not kept.exists():
                raise Failure(f"the mirror does not answer for {suite} and nothing is cached: {error}") from error
            step(f"no mirror in reach for {suite} ({error}); going on with what it offered last")
            text = kept.read_text()
        else:
            kept.write_text(text)
        found[suite] = indices(text, components, url)
    return digest.of_value(found)


def indices(text, components, where):
    """The digests of the amd64 package indices named by an InRelease file."""
    wanted = {f"{component}/binary-{machine}/Packages.xz" for component in components for machine in ("amd64", "all")}
    lines = re.findall(r"^ ([0-9a-f]{64}) +[0-9]+ (\S+)$", text, re.MULTILINE)
    found = sorted([name, value] for value, name in lines if name in wanted)
    if not found:
        raise Failure(f"{where}: names no package index of {' '.join(components)} for amd64")
    return found
