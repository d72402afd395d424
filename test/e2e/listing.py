"""The canonical listing that both sides of a comparison print: one JSON object per name, in byte order.

Paths, names of xattrs and link targets are bytes; JSON holds them as the characters of Latin-1, so
nothing is lost. "data" is a digest of the contents that does not read what both sides know to be a
hole: SHA-256 over every aligned 64 KiB window that has a byte other than zero, each preceded by its
number. "link" is the first path of the same inode.
"""
import hashlib
import json
import struct
import sys

WINDOW = 1 << 16
ZEROS = bytes(WINDOW)


def text(b):
    return b.decode('latin-1')


def digest(size, ranges, read):
    """Digests a file of that size; read(off, n) gives bytes, ranges tells where data may be."""
    h, done = hashlib.sha256(), 0
    for off, length in ranges:
        end = min(off + length, size)
        at = max(off // WINDOW * WINDOW, done)
        while at < end:
            b = read(at, min(WINDOW, size - at))
            if b != ZEROS[:len(b)]:
                h.update(struct.pack('<Q', at // WINDOW))
                h.update(b)
            at = done = at + WINDOW
    return h.hexdigest()


def record(path, kind, mode, uid, gid, sec, nsec, nlink, link, xattrs, **more):
    return dict(path=text(path), type=kind, mode='%04o' % mode, uid=uid, gid=gid,
                mtime='%d.%09d' % (sec, nsec), nlink=nlink, link=text(link),
                xattrs={text(k): v.hex() for k, v in sorted(xattrs.items())}, **more)


def write(records, out=sys.stdout):
    for r in sorted(records, key=lambda r: r['path']):
        out.write(json.dumps(r, sort_keys=True) + '\n')
