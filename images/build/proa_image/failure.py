# SPDX-License-Identifier: Apache-2.0
"""failure: what stops a build, in one line that a person can act on."""


class Failure(Exception):
    """The message is the whole report: it names the file, key, command or release, and what is wrong with it."""
