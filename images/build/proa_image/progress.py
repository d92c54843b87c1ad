# SPDX-License-Identifier: Apache-2.0
"""progress: lines with times on standard error. Standard output belongs to results."""

import sys
import time

_began = time.monotonic()


def step(text):
    """Says what is being done now, with the seconds since the start."""
    print(f"[{time.monotonic() - _began:4.0f}s] {text}", file=sys.stderr, flush=True)
