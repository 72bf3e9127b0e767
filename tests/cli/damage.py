# SPDX-License-Identifier: Apache-2.0
"""Where the parts of a container lie, by docs/format.md: for damaging them.

usage: damage.py FILE chunk N      flip a bit of chunk N's stored bytes
       damage.py FILE every-chunk  ... of each chunk
       damage.py FILE page N       ... of page record N's page
       damage.py FILE section N    ... of section N (by its type)
       damage.py FILE first        ... of the first superblock
       damage.py FILE last         ... of the copy at the end
       damage.py FILE where N      print where chunk N lies in the file it
                                   came from: offset, length
       damage.py FILE at OFFSET    print the number of the chunk that holds
                                   this byte of the file it came from
       damage.py FILE chunks       print how many there are
"""

import struct
import sys

SUPERBLOCK = 512


class Container:
    def __init__(self, path):
        self.path = path
        with open(path, "rb") as f:
            self.raw = bytearray(f.read())
        self.sections = {}
        for i in range(self.raw[78]):
            kind, _, _, off, length, _ = self.get("<HHIQQQ", 208 + 32 * i)
            self.sections[kind] = (off, length)
        self.blobs = [self.get("<QQQQB", off) for off in self.records(4, 96)]
        self.extents = [self.get("<QQQQ", off) for off in self.records(2, 32)]
        self.pages = [self.get("<QI", off) for off in self.records(5, 24)]
        n_chunks, = self.get("<Q", 184)
        per_page = 1 << self.raw[79]
        self.index_pages = -(-n_chunks // per_page)
        self.chunks = []  # (stored offset, stored length, coding)
        for off, length in self.pages[:self.index_pages]:
            self.chunks += [self.get("<QIB", off + i)
                            for i in range(0, length, 32)]

    def get(self, form, off):
        return struct.unpack_from(form, self.raw, off)

    def records(self, kind, size):
        off, length = self.sections[kind]
        return range(off, off + length, size)

    def flip(self, off, bit=3):
        self.raw[off] ^= 1 << bit

    def where(self, chunk):
        """(offset, length) of a chunk in the file, by its first extent."""
        for number, (length, first, count, first_len, log2) in \
                enumerate(self.blobs):
            if not first <= chunk < first + count:
                continue
            begin = 0
            if chunk > first:
                begin = first_len + (chunk - first - 1 << log2)
            end = min(length, first_len + (chunk - first << log2))
            for off, n, blob, blob_off in self.extents:
                if blob == number and blob_off <= begin < blob_off + n:
                    return off + begin - blob_off, end - begin
        raise ValueError("no such chunk")

    def save(self, path=None):
        with open(path or self.path, "wb") as f:
            f.write(self.raw)


def main():
    box = Container(sys.argv[1])
    what = sys.argv[2]
    number = int(sys.argv[3]) if len(sys.argv) > 3 else 0
    if what == "chunks":
        print(len(box.chunks))
        return
    if what == "where":
        print(*box.where(number))
        return
    if what == "at":
        for i in range(len(box.chunks)):
            off, length = box.where(i)
            if off <= number < off + length:
                print(i)
                return
        sys.exit("no chunk has byte %d" % number)
    if what in ("chunk", "every-chunk"):
        every = what == "every-chunk"
        for off, length, _ in box.chunks if every else [box.chunks[number]]:
            box.flip(off + length // 2)
    elif what == "page":
        off, length = box.pages[number]
        box.flip(off + length // 2)
    elif what == "section":
        off, length = box.sections[number]
        box.flip(off + length // 2)
    elif what == "first":
        box.flip(80)
    elif what == "last":
        box.flip(len(box.raw) - SUPERBLOCK + 80)
    else:
        sys.exit(__doc__)
    box.save()


if __name__ == "__main__":
    main()
