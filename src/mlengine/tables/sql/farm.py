"""FARM_FINGERPRINT: FarmHash's Fingerprint64, by which tables are split into training and test rows.

DuckDB has no such function. Written after the published algorithm (FarmHash, `farmhashna`).
"""

from __future__ import annotations

from struct import unpack_from

_M = 0xFFFFFFFFFFFFFFFF
_K0, _K1, _K2 = 0xC3A5C85C97CB3127, 0xB492B66FBE98F273, 0x9AE16A3B2F90404F


def fingerprint(data: bytes) -> int:
    """The signed 64-bit fingerprint of `data`."""
    value = _hash(data)
    return value - (1 << 64) if value >> 63 else value


def _hash(s: bytes) -> int:
    size = len(s)
    if size <= 16:
        return _upto_16(s, size)
    if size <= 32:
        return _upto_32(s, size)
    if size <= 64:
        return _upto_64(s, size)
    return _longer(s, size)


def _eight(s: bytes, at: int) -> int:
    return int(unpack_from("<Q", s, at)[0])


def _four(s: bytes, at: int) -> int:
    return int(unpack_from("<I", s, at)[0])


def _turn(value: int, by: int) -> int:
    return ((value >> by) | (value << (64 - by))) & _M


def _mix(value: int) -> int:
    return value ^ (value >> 47)


def _pair(u: int, v: int, mul: int) -> int:
    a = ((u ^ v) * mul) & _M
    a ^= a >> 47
    b = ((v ^ a) * mul) & _M
    b ^= b >> 47
    return (b * mul) & _M


def _upto_16(s: bytes, size: int) -> int:
    if size >= 8:
        mul = (_K2 + size * 2) & _M
        a = (_eight(s, 0) + _K2) & _M
        b = _eight(s, size - 8)
        c = (_turn(b, 37) * mul + a) & _M
        d = ((_turn(a, 25) + b) * mul) & _M
        return _pair(c, d, mul)
    if size >= 4:
        mul = (_K2 + size * 2) & _M
        return _pair((size + (_four(s, 0) << 3)) & _M, _four(s, size - 4), mul)
    if size:
        y = s[0] + (s[size >> 1] << 8)
        z = size + (s[size - 1] << 2)
        return (_mix(((y * _K2) & _M) ^ ((z * _K0) & _M)) * _K2) & _M
    return _K2


def _upto_32(s: bytes, size: int) -> int:
    mul = (_K2 + size * 2) & _M
    a = (_eight(s, 0) * _K1) & _M
    b = _eight(s, 8)
    c = (_eight(s, size - 8) * mul) & _M
    d = (_eight(s, size - 16) * _K2) & _M
    return _pair(
        (_turn((a + b) & _M, 43) + _turn(c, 30) + d) & _M, (a + _turn((b + _K2) & _M, 18) + c) & _M, mul
    )


def _upto_64(s: bytes, size: int) -> int:
    mul = (_K2 + size * 2) & _M
    a = (_eight(s, 0) * _K2) & _M
    b = _eight(s, 8)
    c = (_eight(s, size - 8) * mul) & _M
    d = (_eight(s, size - 16) * _K2) & _M
    y = (_turn((a + b) & _M, 43) + _turn(c, 30) + d) & _M
    z = _pair(y, (a + _turn((b + _K2) & _M, 18) + c) & _M, mul)
    e = (_eight(s, 16) * mul) & _M
    f = _eight(s, 24)
    g = ((y + _eight(s, size - 32)) * mul) & _M
    h = ((z + _eight(s, size - 24)) * mul) & _M
    return _pair(
        (_turn((e + f) & _M, 43) + _turn(g, 30) + h) & _M, (e + _turn((f + a) & _M, 18) + g) & _M, mul
    )


def _weak(s: bytes, at: int, a: int, b: int) -> tuple[int, int]:
    w, x, y, z = unpack_from("<QQQQ", s, at)
    a = (a + w) & _M
    b = _turn((b + a + z) & _M, 21)
    c = a
    a = (a + x + y) & _M
    b = (b + _turn(a, 44)) & _M
    return (a + z) & _M, (b + c) & _M


def _longer(s: bytes, size: int) -> int:
    seed = 81
    x = seed
    y = (seed * _K1 + 113) & _M
    z = (_mix((y * _K2 + 113) & _M) * _K2) & _M
    v, w = (0, 0), (0, 0)
    x = (x * _K2 + _eight(s, 0)) & _M
    end = ((size - 1) // 64) * 64
    last = end + ((size - 1) & 63) - 63
    at = 0
    while at != end:
        x = (_turn((x + y + v[0] + _eight(s, at + 8)) & _M, 37) * _K1) & _M
        y = (_turn((y + v[1] + _eight(s, at + 48)) & _M, 42) * _K1) & _M
        x ^= w[1]
        y = (y + v[0] + _eight(s, at + 40)) & _M
        z = (_turn((z + w[0]) & _M, 33) * _K1) & _M
        v = _weak(s, at, (v[1] * _K1) & _M, (x + w[0]) & _M)
        w = _weak(s, at + 32, (z + w[1]) & _M, (y + _eight(s, at + 16)) & _M)
        z, x = x, z
        at += 64
    mul = (_K1 + ((z & 0xFF) << 1)) & _M
    at = last
    w = ((w[0] + ((size - 1) & 63)) & _M, w[1])
    v = ((v[0] + w[0]) & _M, v[1])
    w = ((w[0] + v[0]) & _M, w[1])
    x = (_turn((x + y + v[0] + _eight(s, at + 8)) & _M, 37) * mul) & _M
    y = (_turn((y + v[1] + _eight(s, at + 48)) & _M, 42) * mul) & _M
    x ^= (w[1] * 9) & _M
    y = (y + v[0] * 9 + _eight(s, at + 40)) & _M
    z = (_turn((z + w[0]) & _M, 33) * mul) & _M
    v = _weak(s, at, (v[1] * mul) & _M, (x + w[0]) & _M)
    w = _weak(s, at + 32, (z + w[1]) & _M, (y + _eight(s, at + 16)) & _M)
    z, x = x, z
    return _pair((_pair(v[0], w[0], mul) + _mix(y) * _K0 + z) & _M, (_pair(v[1], w[1], mul) + x) & _M, mul)
