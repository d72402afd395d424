#!/usr/bin/env python3
"""tarmodel.py TAR...: prints the canonical listing of the file system that a tar means.

An interpreter of tar of its own, written from POSIX.1-2017 pax, the GNU tar manual (Basic Tar Format,
Sparse Formats) and the OCI image-spec (layer.md), sharing nothing with what it judges. An archive that
must be refused ends it with exit code 3 and one line. With several archives, the lowest layer first,
it prints what a container sees: whiteouts applied and gone.

Where the formats leave a choice, the choice is that of containerd's archive package, and it is marked
CHOICE below.
"""
import base64
import re
import sys
from urllib.parse import unquote_to_bytes

import listing

BLOCK = 512
MAX_SYMLINKS = 255
HEADER_ONLY = b'123456'


class Refuse(Exception):
    pass


class Node:
    def __init__(self, kind, mode=0o755, uid=0, gid=0, sec=0, nsec=0):
        self.kind, self.mode, self.uid, self.gid, self.sec, self.nsec = kind, mode, uid, gid, sec, nsec
        self.xattrs, self.target, self.rdev, self.size, self.data = {}, b'', (0, 0), 0, None
        self.children = {} if kind == 'dir' else None
        self.implied = kind == 'dir'

    def whiteout(self):
        return self.kind == 'char' and self.rdev == (0, 0)


class Header:
    pass


# ---- bytes to headers -------------------------------------------------------------------------------

def cstring(b):
    return b.split(b'\0', 1)[0]


def number(field):
    """A numeric field: octal, or base-256 in two's complement when the first bit is set."""
    if field[0] & 0x80:
        v = int.from_bytes(field, 'big') & ((1 << (8 * len(field) - 1)) - 1)
        return v - (1 << (8 * len(field) - 1)) if field[0] & 0x40 else v
    s = cstring(field.strip(b' \0')).strip(b' ')
    if not s:
        return 0
    if not re.fullmatch(b'[0-7]+', s):
        raise Refuse('not a number: %r' % field)
    return int(s, 8)


def decimal(s, what):
    if not re.fullmatch(rb'-?[0-9]+', s):
        raise Refuse('%s: not a number: %r' % (what, s))
    return int(s)


def pax_time(s):
    m = re.fullmatch(rb'(-?)([0-9]+)(?:\.([0-9]*))?', s)
    if not m:
        raise Refuse('not a time: %r' % s)
    sec, nsec = int(m[2]), int((m[3] or b'')[:9].ljust(9, b'0'))
    if m[1]:
        sec, nsec = -sec, -nsec
    if nsec < 0:
        sec, nsec = sec - 1, nsec + 10**9
    return sec, nsec


def pax_records(b):
    out = []
    while b.strip(b'\0'):
        m = re.match(rb'([0-9]+) ', b)
        n = int(m[1]) if m else 0
        r = b[:n]
        if n < 5 or len(r) != n or r[-1:] != b'\n' or b'=' not in r:
            raise Refuse('bad pax record %r' % b[:40])
        k, v = r[len(m[0]):-1].split(b'=', 1)
        out.append((k, v))
        b = b[n:]
    return out


def parse_header(b):
    total = sum(b[:148]) + 8 * 32 + sum(b[156:])
    signed = sum(x - 256 if x > 127 else x for x in b[:148]) + 8 * 32 + sum(x - 256 if x > 127 else x for x in b[156:])
    if number(b[148:156]) not in (total, signed):
        raise Refuse('header checksum')
    h = Header()
    h.name, h.mode, h.uid, h.gid = cstring(b[:100]), number(b[100:108]), number(b[108:116]), number(b[116:124])
    h.size, h.sec, h.nsec = number(b[124:136]), number(b[136:148]), 0
    h.type, h.link, h.rdev, h.raw = b[156:157], cstring(b[157:257]), (0, 0), b
    magic = b[257:265]
    if magic[:5] == b'ustar':
        if h.type in b'34':
            h.rdev = (number(b[329:337]), number(b[337:345]))
        if magic[5:6] == b'\0':
            prefix = cstring(b[345:500] if b[508:512] != b'tar\0' else b[345:476])
            if prefix:
                h.name = prefix + b'/' + h.name
    return h


class Archive:
    """Iterates over the members of a tar file: headers with everything applied, and where the data is."""

    def __init__(self, path):
        self.f = open(path, 'rb')
        self.size = self.f.seek(0, 2)
        if self.size == 0:
            raise Refuse('no archive at all')

    def pread(self, off, n):
        self.f.seek(off)
        b = self.f.read(n)
        if len(b) != n:
            raise Refuse('truncated at %d' % (off + len(b)))
        return b

    def members(self):
        at, zero, glob, pax, longname, longlink = 0, False, {}, None, None, None
        while at < self.size:
            b = self.pread(at, BLOCK)
            at += BLOCK
            if b == bytes(BLOCK):
                if zero:
                    return
                zero = True
                continue
            if zero:
                raise Refuse('data behind a single zero block')
            h = parse_header(b)
            if h.type in HEADER_ONLY and h.type:
                h.size = 0  # CHOICE: as Go's archive/tar, links carry no data whatever their size field says
            if h.type in b'xgLK' and h.type:
                body = self.pread(at, self.checked(h.size, at))
                at += -(-h.size // BLOCK) * BLOCK
                if h.type == b'x':
                    if pax is not None:
                        raise Refuse('extended header follows an extended header')
                    pax = pax_records(body)
                elif h.type == b'g':
                    glob = dict(pax_records(body))
                elif h.type == b'L':
                    longname = cstring(body)
                else:
                    longlink = cstring(body)
                continue
            at = self.apply(h, at, list(glob.items()) + (pax or []), longname, longlink)
            pax = longname = longlink = None
            yield h
        if zero and self.size % BLOCK == 0:
            return

    def checked(self, size, at):
        if not 0 <= size <= self.size - at:
            raise Refuse('size %d at %d' % (size, at))
        return size

    def apply(self, h, at, records, longname, longlink):
        """Puts the extension records into h, finds the data of the member, returns where the next one starts."""
        if longname is not None:
            h.name = longname
        if longlink is not None:
            h.link = longlink
        last = dict(records)
        sparse = [(k, v) for k, v in records if k.startswith(b'GNU.sparse.')]
        for key, set_ in SETTERS.items():
            if last.get(key):
                set_(h, last[key])
        if h.type in HEADER_ONLY and h.type:
            h.size = 0
        h.xattrs = {unquote_to_bytes(k[17:]): base64.b64decode(v + b'=' * (-len(v) % 4))
                    for k, v in last.items() if k.startswith(b'LIBARCHIVE.xattr.')}
        h.xattrs.update({k[13:]: v for k, v in last.items() if k.startswith(b'SCHILY.xattr.')})
        stored = h.size
        if h.size < 0 or at + h.size > self.size:
            raise Refuse('%r: size %d at %d' % (h.name, h.size, at))
        h.map = [(0, h.size)] if h.size else []
        data = at
        if h.type == b'S':
            data = self.gnu_sparse(h, at)
            at = data
        elif sparse and h.type in b'0\0':
            data = self.pax_sparse(h, at, records, dict(sparse))
        h.pieces, used = [], data
        for off, n in h.map:
            h.pieces.append((off, n, used))
            used += n
        if used - at != stored and (h.type == b'S' or sparse):
            raise Refuse('%r: sparse map of %d bytes, %d stored' % (h.name, used - at, stored))
        return at + -(-stored // BLOCK) * BLOCK

    def gnu_sparse(self, h, at):
        fields, more, h.size = h.raw[386:482], h.raw[482], number(h.raw[483:495])
        while more:
            b = self.pread(at, BLOCK)
            at += BLOCK
            fields, more = fields + b[:504], b[504]
        h.map = []
        for i in range(0, len(fields), 24):
            if fields[i] == 0 or fields[i + 12] == 0:
                break
            h.map.append((number(fields[i:i + 12]), number(fields[i + 12:i + 24])))
        self.check_map(h)
        return at

    def pax_sparse(self, h, at, records, s):
        if s.get(b'GNU.sparse.major') == b'1' and s.get(b'GNU.sparse.minor') == b'0':
            start = at

            def line():
                nonlocal at
                end = self.pread(at, min(64, self.size - at)).find(b'\n')
                if end < 0:
                    raise Refuse('%r: sparse map without end' % h.name)
                v = decimal(self.pread(at, end), 'sparse map')
                at += end + 1
                return v
            h.map = [(line(), line()) for _ in range(line())]
            at = start + -(-(at - start) // BLOCK) * BLOCK
        elif b'GNU.sparse.map' in s:
            v = [decimal(x, 'sparse map') for x in s[b'GNU.sparse.map'].split(b',')] if s[b'GNU.sparse.map'] else []
            h.map = list(zip(v[::2], v[1::2], strict=True))
        elif b'GNU.sparse.offset' in s:
            v = [decimal(x, k) for k, x in records if k in (b'GNU.sparse.offset', b'GNU.sparse.numbytes')]
            h.map = list(zip(v[::2], v[1::2], strict=True))
        elif b'GNU.sparse.size' in s:
            h.map = []  # no piece at all
        else:
            return at
        h.size = decimal(s.get(b'GNU.sparse.realsize', s.get(b'GNU.sparse.size')), 'sparse size')
        h.name = s.get(b'GNU.sparse.name', h.name)
        self.check_map(h)
        return at

    def check_map(self, h):
        end = 0
        for off, n in h.map:
            if off < end or n < 0 or off + n > h.size:
                raise Refuse('%r: sparse map' % h.name)
            end = off + n
        h.map = [(off, n) for off, n in h.map if n]


def set_time(h, v):
    h.sec, h.nsec = pax_time(v)


SETTERS = {
    b'path': lambda h, v: setattr(h, 'name', v),
    b'linkpath': lambda h, v: setattr(h, 'link', v),
    b'size': lambda h, v: setattr(h, 'size', decimal(v, 'size')),
    b'uid': lambda h, v: setattr(h, 'uid', decimal(v, 'uid')),
    b'gid': lambda h, v: setattr(h, 'gid', decimal(v, 'gid')),
    b'mtime': set_time,
}


# ---- headers to a tree ------------------------------------------------------------------------------

KINDS = {b'0': 'file', b'\0': 'file', b'7': 'file', b'S': 'file', b'1': 'link', b'2': 'symlink', b'3': 'char',
         b'4': 'block', b'5': 'dir', b'6': 'fifo', b'D': 'dir'}
IGNORED = b'V'  # GNU: the name of a volume


def components(path):
    """Cleans a path inside of the root: no name leads out of it."""
    out = []
    for c in path.split(b'/'):
        if c == b'..':
            del out[-1:]
        elif c not in (b'', b'.'):
            if len(c) > 255:
                raise Refuse('name of %d bytes' % len(c))
            out.append(c)
    return out


class Tree:
    def __init__(self):
        self.root = Node('dir')

    def directory(self, parts, make):
        """The directory at parts, symbolic links followed inside of the root, missing ones made."""
        at, todo, links = [self.root], list(reversed(parts)), 0
        while todo:
            c = todo.pop()
            if c == b'..':
                del at[1 if len(at) == 1 else -1:]
                continue
            n = at[-1].children.get(c)
            if n is None:
                if not make:
                    raise Refuse('%r is not there' % c)
                n = at[-1].children[c] = Node('dir')
            elif make and n.whiteout():
                n = at[-1].children[c] = Node('dir')
                n.xattrs[b'trusted.overlay.opaque'] = b'y'
            if n.kind == 'symlink':
                links += 1
                if links > MAX_SYMLINKS:
                    raise Refuse('too many symbolic links')
                if n.target.startswith(b'/'):
                    del at[1:]
                todo += [x for x in reversed(n.target.split(b'/')) if x not in (b'', b'.')]
            elif n.kind != 'dir':
                raise Refuse('%r is no directory' % c)
            else:
                at.append(n)
        return at[-1]

    def add(self, h, archive):
        if h.type in IGNORED:
            return
        kind = KINDS.get(h.type)
        if kind is None:
            raise Refuse('%r: type %r' % (h.name, h.type))
        if h.type == b'\0' and h.name.endswith(b'/'):
            kind = 'dir'
        parts = components(h.name)
        if not parts:
            if kind == 'dir':  # CHOICE: an entry that names the root but is no directory is left out
                self.fill(self.root, h, archive)
            return
        if any(p in (b'.wh..wh.aufs', b'.wh..wh.orph', b'.wh..wh.plnk') for p in parts):
            return  # metadata of aufs itself
        parent, name = self.directory(parts[:-1], True), parts[-1]
        if name == b'.wh..wh..opq':
            parent.xattrs[b'trusted.overlay.opaque'] = b'y'
            return
        if name.startswith(b'.wh.'):
            name, kind, h.rdev, h.xattrs = name[4:], 'char', (0, 0), {}
            if name in (b'', b'.', b'..'):
                raise Refuse('whiteout of %r' % name)
        old = parent.children.get(name)
        if kind == 'link':
            return self.link(parent, name, h)
        if kind == 'dir' and old is not None and old.kind == 'dir':
            return self.fill(old, h, archive)
        n = parent.children[name] = self.fill(Node(kind), h, archive)
        if kind == 'dir' and old is not None and old.whiteout():
            n.xattrs[b'trusted.overlay.opaque'] = b'y'  # it does not show what the whiteout hides

    def link(self, parent, name, h):
        parts = components(h.link)
        if not parts:
            raise Refuse('hard link to the root')
        n = self.directory(parts[:-1], False).children.get(parts[-1])
        if n is None or n.kind == 'dir':
            raise Refuse('%r: hard link to %r' % (h.name, h.link))
        parent.children[name] = n

    def fill(self, n, h, archive):
        if not (0 <= h.uid < 1 << 32 and 0 <= h.gid < 1 << 32):
            raise Refuse('%r: owner %d:%d' % (h.name, h.uid, h.gid))
        n.mode, n.uid, n.gid, n.sec, n.nsec, n.implied = h.mode & 0o7777, h.uid, h.gid, h.sec, h.nsec, False
        n.xattrs.update(h.xattrs)  # CHOICE: a directory that comes twice has the attributes of both
        if n.kind == 'symlink':
            n.mode, n.target = 0o777, h.link  # as symlink(2) makes them
            if not 0 < len(n.target) < 4096:
                raise Refuse('%r: target of %d bytes' % (h.name, len(n.target)))
        elif n.kind in ('char', 'block'):
            n.rdev = h.rdev
        elif n.kind == 'file':
            n.size, n.data = h.size, (archive, h.pieces)
        return n


def read(path):
    t, a = Tree(), Archive(path)
    for h in a.members():
        t.add(h, a)
    mark_origins(t.root)
    return t


def mark_origins(root):
    """CHOICE: what mkfs.erofs does, so that overlayfs does not show whiteouts of a directory that is in one layer only."""
    stack = [root]
    while stack:
        d = stack.pop()
        stack += [c for c in d.children.values() if c.kind == 'dir']
        if any(c.whiteout() for c in d.children.values()):
            d.xattrs.setdefault(b'trusted.overlay.origin', b'')


# ---- layers -----------------------------------------------------------------------------------------

def merge(lower, upper):
    """Puts the directory upper over lower, whiteouts applied; both stay as they are."""
    out = Node('dir')
    out.__dict__.update({k: v for k, v in upper.__dict__.items() if k != 'children'}, children={})
    out.xattrs = {k: v for k, v in upper.xattrs.items() if not k.startswith(b'trusted.overlay.')}
    below = {} if lower is None or b'trusted.overlay.opaque' in upper.xattrs else lower.children
    if upper.implied and lower is not None:  # CHOICE: a directory that upper only implies keeps what lower says of it
        for k in ('mode', 'uid', 'gid', 'sec', 'nsec', 'xattrs', 'implied'):
            setattr(out, k, getattr(lower, k))
    for name in below.keys() | upper.children.keys():
        lo, up = below.get(name), upper.children.get(name)
        if up is None:
            out.children[name] = lo
        elif up.kind == 'dir':
            out.children[name] = merge(lo if lo is not None and lo.kind == 'dir' else None, up)
        elif not up.whiteout():
            out.children[name] = up
    return out


# ---- a tree to a listing ----------------------------------------------------------------------------

def visible(n):
    """The xattrs that the kernel shows: the name spaces it knows, user.* on files and directories only."""
    def shown(k):
        if k.startswith(b'user.'):
            return n.kind in ('file', 'dir')
        return k.startswith((b'trusted.', b'security.')) or k in (b'system.posix_acl_access', b'system.posix_acl_default')
    return {k: v for k, v in n.xattrs.items() if shown(k)}


def contents(n):
    archive, pieces = n.data

    def take(off, want):
        b, end = bytearray(want), off + want
        for po, pn, at in pieces:
            lo, hi = max(po, off), min(po + pn, end)
            if lo < hi:
                b[lo - off:hi - off] = archive.pread(at + lo - po, hi - lo)
        return bytes(b)
    return listing.digest(n.size, [(po, pn) for po, pn, _ in pieces], take)


def records(root):
    seen, out, stack = {}, [], [(b'', root)]
    while stack:
        path, n = stack.pop()
        seen.setdefault(id(n), []).append((path, n))
        if n.kind == 'dir':
            stack += [(path + b'/' + c if path else c, x) for c, x in n.children.items()]
    for names in seen.values():
        n = names[0][1]
        more, nlink, link = {}, len(names), min(p for p, _ in names) if len(names) > 1 else b''
        if n.kind == 'dir':
            nlink = 2 + sum(c.kind == 'dir' for c in n.children.values())
        elif n.kind == 'file':
            more = dict(size=n.size, data=contents(n))
        elif n.kind == 'symlink':
            more = dict(target=listing.text(n.target))
        elif n.kind in ('char', 'block'):
            more = dict(rdev='%d:%d' % n.rdev)
        for path, _ in names:
            out.append(listing.record(path, n.kind, n.mode, n.uid, n.gid, n.sec, n.nsec, nlink, link, visible(n), **more))
    return out


def main(args):
    sys.setrecursionlimit(10000)
    try:
        roots = [read(a).root for a in args]
        root = roots[0]
        for upper in roots[1:]:
            root = merge(root, upper)
        if len(roots) > 1:
            root = merge(None, root)
        listing.write(records(root))
    except Refuse as e:
        print('tarmodel: %s' % e, file=sys.stderr)
        return 3
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
