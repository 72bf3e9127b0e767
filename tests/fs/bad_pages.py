# SPDX-License-Identifier: Apache-2.0
"""bad_pages.py - what of a damaged file is lost, as the tests of it ask"""

import os


def bad_pages(orig, shown):
    """Offsets of the pages of 'shown' that are EIO: some, one after another;
    all others have the bytes of 'orig'."""
    with open(orig, "rb") as f:
        want = f.read()
    fd = os.open(shown, os.O_RDONLY)
    bad = []
    for off in range(0, len(want), 4096):
        try:
            have = os.pread(fd, 4096, off)
            assert have == want[off:off + 4096], f"wrong bytes at {off}"
        except OSError as e:
            assert e.errno == 5, e
            bad.append(off)
    os.close(fd)
    assert bad, "nothing is damaged"
    assert bad == list(range(bad[0], bad[-1] + 4096, 4096)), "not one range"
    return bad
