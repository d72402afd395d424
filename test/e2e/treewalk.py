#!/usr/bin/env python3
"""treewalk.py DIR: prints the canonical listing of what the kernel shows below DIR."""
import os
import resource
import stat
import sys

import listing

DENSE = 1 << 30  # larger files are read where SEEK_DATA says that there is data
KINDS = {stat.S_IFREG: 'file', stat.S_IFDIR: 'dir', stat.S_IFLNK: 'symlink', stat.S_IFCHR: 'char',
         stat.S_IFBLK: 'block', stat.S_IFIFO: 'fifo', stat.S_IFSOCK: 'socket'}


class Walker:
    """Walks by directory descriptors: a path of the tree may be longer than PATH_MAX."""

    def __init__(self):
        self.records, self.first, self.groups = [], {}, {}

    def walk(self, top):
        fd = os.open(top, os.O_RDONLY | os.O_DIRECTORY)
        st = os.fstat(fd)
        self.add(b'', st, fd, None)
        stack = [(b'', fd, iter(sorted(map(os.fsencode, os.listdir(fd)))))]
        while stack:  # no recursion: trees may be deeper than Python's stack
            path, fd, names = stack[-1]
            name = next(names, None)
            if name is None:
                os.close(fd)
                stack.pop()
                continue
            sub = path + b'/' + name if path else name
            st = os.lstat(name, dir_fd=fd)
            if stat.S_ISDIR(st.st_mode):
                d = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=fd)
                self.add(sub, st, d, None)
                stack.append((sub, d, iter(sorted(map(os.fsencode, os.listdir(d))))))
            else:
                self.add(sub, st, fd, name)
        return self.finish()

    def add(self, path, st, fd, name):
        kind, more = KINDS[stat.S_IFMT(st.st_mode)], {}
        if kind == 'file':
            f = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=fd)
            more = dict(size=st.st_size)
            if st.st_nlink == 1 or st.st_ino not in self.first:
                more['data'] = contents(f, st.st_size)
            else:
                more['data'] = self.first[st.st_ino].get('data')
            xa = xattrs('/proc/self/fd/%d' % f, True)
            os.close(f)
        elif kind == 'dir':
            xa = xattrs('/proc/self/fd/%d' % fd, True)
        else:
            if kind == 'symlink':
                target = os.fsencode(os.readlink(name, dir_fd=fd))
                more = dict(target=listing.text(target))
                if st.st_size != len(target):
                    more['size'] = st.st_size
            elif kind in ('char', 'block'):
                more = dict(rdev='%d:%d' % (os.major(st.st_rdev), os.minor(st.st_rdev)))
            xa = xattrs(b'/proc/self/fd/%d/' % fd + name, False)
        sec, nsec = divmod(st.st_mtime_ns, 10**9)
        r = listing.record(path, kind, stat.S_IMODE(st.st_mode), st.st_uid, st.st_gid, sec, nsec, st.st_nlink, b'', xa, **more)
        self.records.append(r)
        if kind != 'dir':
            self.first.setdefault(st.st_ino, r)
            self.groups.setdefault(st.st_ino, []).append(r)

    def finish(self):
        for group in self.groups.values():
            first = min(r['path'] for r in group)
            for r in group:
                r['link'] = first if len(group) > 1 else ''
        return self.records


def contents(fd, size):
    ranges = [(0, size)]
    if size > DENSE:
        ranges = data_ranges(fd, size)
    return listing.digest(size, ranges, lambda off, n: read(fd, off, n))


def read(fd, off, n):
    parts = []
    while n:
        b = os.pread(fd, n, off)
        if not b:
            raise EOFError('%d bytes missing at %d' % (n, off))
        parts.append(b)
        off, n = off + len(b), n - len(b)
    return b''.join(parts)


def data_ranges(fd, size):
    at = 0
    while at < size:
        try:
            start = os.lseek(fd, at, os.SEEK_DATA)
        except OSError:  # ENXIO: a hole up to the end
            return
        at = os.lseek(fd, start, os.SEEK_HOLE)
        yield start, at - start


def xattrs(path, follow):
    return {os.fsencode(n): os.getxattr(path, n, follow_symlinks=follow)
            for n in os.listxattr(path, follow_symlinks=follow)}


if __name__ == '__main__':
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # one descriptor per level
    listing.write(Walker().walk(os.fsencode(sys.argv[1])))
