# SPDX-License-Identifier: Apache-2.0
"""process: children that end with the test, however the test ends."""

import ctypes
import signal

PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


def die_with_parent():
    """For preexec_fn: the kernel kills the child when the process that started it is gone."""
    _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
