# SPDX-License-Identifier: Apache-2.0
"""The model of boot counter, trial and reject memory (tests/model/boot.pml), checked exhaustively by spin."""

import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

MODEL = pathlib.Path(__file__).resolve().parents[2] / "model/boot.pml"


def check(*macros):
    """Runs the model with the macros defined; (number of errors, number of states, output)."""
    with tempfile.TemporaryDirectory(prefix="proa-model-") as folder:
        shutil.copy(MODEL, folder)

        def run(*command):
            return subprocess.run(command, cwd=folder, check=True, text=True, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT).stdout
        run("spin", *[f"-D{macro}" for macro in macros], "-a", MODEL.name)
        run("cc", "-O1", "-w", "-DSAFETY", "-DCOLLAPSE", "-o", "pan", "pan.c")
        output = run("./pan", "-m1000000", "-w24", "-n")
    errors = re.search(r"errors: (\d+)", output)
    states = re.search(r"(\d+) states, stored", output)
    if not errors or not states or "Search not completed" in output and errors[1] == "0":
        raise AssertionError(f"spin gave no verdict:\n{output}")
    return int(errors[1]), int(states[1]), output


class Model(unittest.TestCase):
    def test_a_good_release_boots_whatever_happens(self):
        errors, states, output = check("CUTS=2", "RELEASES=4", "WORDS=1")
        self.assertEqual(errors, 0, output)
        # Fewer would mean that something of the model is never reached.
        self.assertGreater(states, 200_000, output)

    def test_more_cuts_in_a_shorter_life(self):
        errors, _, output = check("CUTS=4", "RELEASES=3", "WORDS=1")
        self.assertEqual(errors, 0, output)

    def test_an_operator_who_does_much(self):
        errors, _, output = check("CUTS=2", "RELEASES=3", "WORDS=3")
        self.assertEqual(errors, 0, output)

    def test_planted_mistakes_are_found(self):
        for mistake in re.findall(r"#ifn?def (WRONG_\w+)", MODEL.read_text()):
            with self.subTest(mistake):
                errors, _, output = check("CUTS=2", "RELEASES=3", mistake)
                self.assertGreater(errors, 0, output)


if __name__ == "__main__":
    unittest.main()
