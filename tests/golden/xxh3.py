# SPDX-License-Identifier: Apache-2.0
"""XXH3 with seed 0 in plain Python, from its public specification.

The programs of this folder share it: they must run on a machine that has
nothing but Python, and agree with the library that the codec uses.
"""

import struct

M32 = 0xFFFFFFFF
M64 = 0xFFFFFFFFFFFFFFFF

P32_1, P32_2, P32_3 = 0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D
P64_1, P64_2, P64_3 = (0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F,
                       0x165667B19E3779F9)
P64_4, P64_5 = 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5
MX1, MX2 = 0x165667919E3779F9, 0x9FB21C651E98DF25

SECRET = bytes.fromhex(
    "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671f"
    "cb79e64eccc0e578825ad07dccff7221b8084674f743248ee03590e6813a264c"
    "3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8"
    "a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364"
    "eac5ac8334d3ebc3c581a0fffa1363eb170ddd51b7f0da49d316552629d4689e"
    "2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e")


def _w(data, off):
    return int.from_bytes(data[off:off + 8], "little")


def _s(off):
    return int.from_bytes(SECRET[off:off + 8], "little")


def _avalanche(x):
    x ^= x >> 37
    x = x * MX1 & M64
    return x ^ x >> 32


def _avalanche_64(x):
    x ^= x >> 33
    x = x * P64_2 & M64
    x ^= x >> 29
    x = x * P64_3 & M64
    return x ^ x >> 32


def _rotl(x, n, bits):
    return (x << n | x >> (bits - n)) & ((1 << bits) - 1)


def _swap(x, size):
    return int.from_bytes(x.to_bytes(size, "little"), "big")


def _fold(a, b):
    x = a * b
    return (x ^ x >> 64) & M64


def _short(data, wide):
    n = len(data)
    if n == 0:
        if not wide:
            return _avalanche_64(_s(56) ^ _s(64))
        return _avalanche_64(_s(64) ^ _s(72)), _avalanche_64(_s(80) ^ _s(88))
    if n <= 3:
        c = data[-1] | n << 8 | data[0] << 16 | data[n >> 1] << 24
        k = struct.unpack_from("<4I", SECRET)
        low = _avalanche_64(k[0] ^ k[1] ^ c)
        if not wide:
            return low
        return low, _avalanche_64(k[2] ^ k[3] ^ _rotl(_swap(c, 4), 13, 32))
    if n <= 8:
        first = int.from_bytes(data[:4], "little")
        last = int.from_bytes(data[-4:], "little")
        if not wide:
            v = _s(8) ^ _s(16) ^ (last | first << 32)
            v ^= _rotl(v, 49, 64) ^ _rotl(v, 24, 64)
            v = v * MX2 & M64
            v ^= (v >> 35) + n
            v = v * MX2 & M64
            return v ^ v >> 28
        v = (_s(16) ^ _s(24) ^ (first | last << 32)) * (P64_1 + (n << 2) & M64)
        low, high = v & M64, v >> 64
        high = high + (low << 1) & M64
        low ^= high >> 3
        low ^= low >> 35
        low = low * MX2 & M64
        return low ^ low >> 28, _avalanche(high)
    first, last = _w(data, 0), _w(data, n - 8)
    if not wide:
        low = _s(24) ^ _s(32) ^ first
        high = _s(40) ^ _s(48) ^ last
        return _avalanche(n + _swap(low, 8) + high + _fold(low, high) & M64)
    a = _s(32) ^ _s(40) ^ first ^ last
    b = _s(48) ^ _s(56) ^ last
    m = a * P64_1
    low = (m & M64) + (n - 1 << 54) & M64
    high = (m >> 64) + b + (b & M32) * (P32_2 - 1) & M64
    low ^= _swap(high, 8)
    m = low * P64_2
    return _avalanche(m & M64), _avalanche((m >> 64) + high * P64_2 & M64)


def _mix(data, off, k):
    return _fold(_w(data, off) ^ _s(k), _w(data, off + 8) ^ _s(k + 8))


def _medium_64(data):
    n = len(data)
    acc = n * P64_1
    if n <= 128:
        for i in range((n - 1 >> 5) + 1):
            acc += _mix(data, 16 * i, 32 * i)
            acc += _mix(data, n - 16 * i - 16, 32 * i + 16)
        return _avalanche(acc & M64)
    for i in range(8):
        acc += _mix(data, 16 * i, 16 * i)
    acc = _avalanche(acc & M64)
    for i in range(8, n >> 4):
        acc += _mix(data, 16 * i, 16 * (i - 8) + 3)
    return _avalanche(acc + _mix(data, n - 16, 119) & M64)


def _medium_128(data):
    n = len(data)
    acc = [n * P64_1 & M64, 0]

    def two(a, b, k):
        acc[0] = (acc[0] + _mix(data, a, k) & M64) ^ (
            _w(data, b) + _w(data, b + 8) & M64)
        acc[1] = (acc[1] + _mix(data, b, k + 16) & M64) ^ (
            _w(data, a) + _w(data, a + 8) & M64)

    if n <= 128:
        for i in reversed(range((n - 1 >> 5) + 1)):
            two(16 * i, n - 16 * i - 16, 32 * i)
    else:
        for i in range(4):
            two(32 * i, 32 * i + 16, 32 * i)
        acc[0], acc[1] = _avalanche(acc[0]), _avalanche(acc[1])
        for i in range(4, n >> 5):
            two(32 * i, 32 * i + 16, 32 * (i - 4) + 3)
        two(n - 16, n - 32, 103)
    high = acc[0] * P64_1 + acc[1] * P64_4 + n * P64_2 & M64
    return _avalanche(acc[0] + acc[1] & M64), -_avalanche(high) & M64


_KEYS = [struct.unpack_from("<8Q", SECRET, 8 * i) for i in range(16)]
_KEY_LAST = struct.unpack_from("<8Q", SECRET, 121)
_KEY_SCRAMBLE = struct.unpack_from("<8Q", SECRET, 128)


def _accumulate(acc, stripe, key):
    for i in range(8):
        d = stripe[i]
        v = d ^ key[i]
        acc[i ^ 1] += d
        acc[i] += (v & M32) * (v >> 32)


def _large(data, wide):
    n = len(data)
    acc = [P32_3, P64_1, P64_2, P64_3, P64_4, P32_2, P64_5, P32_1]
    stripe = struct.Struct("<8Q").unpack_from
    for at in range(0, (n - 1) // 64):
        _accumulate(acc, stripe(data, 64 * at), _KEYS[at & 15])
        # The range stops short of the last block's end: it is not scrambled.
        if at & 15 == 15:
            for i in range(8):
                a = acc[i] & M64
                acc[i] = (a ^ a >> 47 ^ _KEY_SCRAMBLE[i]) * P32_1 & M64
    _accumulate(acc, stripe(data, n - 64), _KEY_LAST)

    def merge(start, off):
        for i in range(0, 8, 2):
            start += _fold(acc[i] & M64 ^ _s(off + 8 * i),
                           acc[i + 1] & M64 ^ _s(off + 8 * i + 8))
        return _avalanche(start & M64)

    low = merge(n * P64_1, 11)
    return (low, merge(~(n * P64_2) & M64, 117)) if wide else low


def xxh3_64(data):
    """The hash as an integer."""
    data = bytes(data)
    if len(data) <= 16:
        return _short(data, False)
    return _medium_64(data) if len(data) <= 240 else _large(data, False)


def xxh3_128(data):
    """The hash as 16 bytes, most significant first."""
    data = bytes(data)
    if len(data) <= 16:
        low, high = _short(data, True)
    elif len(data) <= 240:
        low, high = _medium_128(data)
    else:
        low, high = _large(data, True)
    return (high << 64 | low).to_bytes(16, "big")
