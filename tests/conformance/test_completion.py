#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What bash completes for proa-feed is what proa-feed takes. `./dev test feed` runs it."""

import os
import re
import subprocess
import unittest

from common import FEED, TOP, run

SCRIPT = TOP / "images/feed/completion/proa-feed"


def complete(*words):
    """The completions of the last word."""
    script = ('source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
              '_proa_feed proa-feed "${COMP_WORDS[-1]}" "${COMP_WORDS[-2]}"; printf "%s\\n" "${COMPREPLY[@]}"')
    done = subprocess.run(["bash", "-c", script, "bash", str(SCRIPT), *map(str, words)], capture_output=True, text=True,
                          env=dict(os.environ, LC_ALL="C"), check=True)
    return done.stdout.split()


class Completion(unittest.TestCase):
    def test_verbs(self):
        verbs = re.findall(r"^  ([a-z]+) ", run(FEED, "--help"), re.M)
        self.assertGreater(len(verbs), 12)
        self.assertEqual(sorted(complete(FEED, "")), sorted([*verbs, "--help", "--version"]))
        self.assertEqual(sorted(complete(FEED, "re")), ["refresh", "renew", "revoke"])

    def test_options_of_each_verb(self):
        for verb in complete(FEED, "")[:-2]:
            options = re.findall(r"^ +(?:-., )?(--[a-z-]+)", run(FEED, verb, "--help"), re.M)
            self.assertEqual(sorted(set(complete(FEED, verb, "--"))), sorted(set(options)), verb)

    def test_values(self):
        self.assertEqual(complete(FEED, "key", "--algorithm", "ed"), ["ed25519"])
        self.assertEqual(complete(FEED, "rotate", "ti"), ["timestamp"])
        self.assertEqual(complete(FEED, "list", "--feed", f"{TOP}/imag"), [f"{TOP}/images"])


if __name__ == "__main__":
    unittest.main()
