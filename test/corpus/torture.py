# Writes OUT/cases/*.tar (one property each) and OUT/torture.tar (all the cases
# that a converter must accept, under one directory per case).
import os, sys, subprocess, struct, io, base64, shutil
out, work, epoch = sys.argv[1], sys.argv[2], int(sys.argv[3])
C = out + '/cases'

def num(v, n):
    if 0 <= v < 8 ** (n - 1): return b'%0*o\0' % (n - 1, v)
    return bytes([0x80 if v >= 0 else 0xff]) + (v & ((1 << 8 * (n - 1)) - 1)).to_bytes(n - 1, 'big')
def hdr(name, typ=b'0', mode=0o644, uid=0, gid=0, size=0, mtime=epoch, link=b'', maj=0, min=0, magic=b'ustar\x0000', prefix=b'', uname=b'', gname=b'', v7=False):
    h = name[:100].ljust(100, b'\0') + num(mode, 8) + num(uid, 8) + num(gid, 8) + num(size, 12) + num(mtime, 12) + b' ' * 8 + typ + link[:100].ljust(100, b'\0')
    if v7: h += b'\0' * 255
    else: h += magic + uname.ljust(32, b'\0') + gname.ljust(32, b'\0') + num(maj, 8) + num(min, 8) + prefix.ljust(155, b'\0') + b'\0' * 12
    assert len(h) == 512, len(h)
    return h[:148] + b'%06o\0 ' % sum(h) + h[156:]
def pad(b): return b + b'\0' * (-len(b) % 512)
def f(name, data=b'', **k): return hdr(name, size=len(data), **k) + pad(data)
def rec(k, v):
    n = len(k) + len(v) + 3
    while True:
        r = b'%d %s=%s\n' % (n, k, v)
        if len(r) == n: return r
        n = len(r)
def pax(recs, typ=b'x', name=b'PaxHeaders/x'):
    d = b''.join(rec(k, v) for k, v in recs)
    return hdr(name, typ=typ, size=len(d)) + pad(d)
def gnulong(typ, s): s += b'\0'; return hdr(b'././@LongLink', typ=typ, size=len(s), magic=b'ustar  \0') + pad(s)
def d(name, mode=0o755, **k): return hdr(name, typ=b'5', mode=mode, **k)
def sym(name, to, **k): return hdr(name, typ=b'2', mode=0o777, link=to, **k)
def lnk(name, to, **k): return hdr(name, typ=b'1', link=to, **k)
END = b'\0' * 1024
safe = []; 
def case(name, body, ok=True, end=END, merge=True):
    open('%s/%s%s.tar' % (C, '' if ok else 'x-', name), 'wb').write(body + end)
    if ok and merge: safe.append((name, body))
D = bytes(range(256)) * 4096                       # 1 MiB
# --- contents and sizes around block edges
case('sizes', d(b'sizes/') + b''.join(f(b'sizes/%d' % n, D[:n] if n <= len(D) else D + D[:n - len(D)]) for n in (0, 1, 511, 512, 513, 4064, 4095, 4096, 4097, 8191, 8192, 65535, 65537, 1 << 20, (1 << 20) + 1)))
case('zeros', d(b'zeros/') + f(b'zeros/4k', b'\0' * 4096) + f(b'zeros/1m', b'\0' * (1 << 20)) + f(b'zeros/mixed', b'\0' * 65536 + b'x' + b'\0' * 65536))
# --- names
lp = b'longnames/' + b'/'.join([b'd' * 60] * 4) 
case('ustar-prefix', d(b'up/') + f(b'n' * 90, b'prefix', prefix=b'up/' + b'p' * 100))
case('gnu-longname', d(b'gl/') + gnulong(b'L', b'gl/' + b'g' * 200) + f(b'gl/' + b'g' * 97, b'gnu long', magic=b'ustar  \0') + gnulong(b'K', b't' * 300) + sym(b'gl/sl', b't' * 100, magic=b'ustar  \0'))
case('pax-longname', d(b'pl/') + pax([(b'path', b'pl/' + b'/'.join([b'y' * 255] * 6))]) + f(b'pl/y', b'six 255-byte components') + pax([(b'linkpath', b'z' * 4000)]) + sym(b'pl/sl4000', b'z'))
case('deep', pax([(b'path', b'deep/' + b'a/' * 1800 + b'f')]) + f(b'deep/f', b'deep'))
case('name-bytes', d(b'nb/') + b''.join(f(b'nb/' + n, n) for n in (b'\xff\xfe latin\xe9', b'new\nline', b'tab\tctrl\x01', b'back\\slash', b'-dash', b' space ', b'...', b'..a', b'\xed\xa0\x80', b'*?[', b'PaxHeaders', b'%s%n', b'.wh', b'.whx', b'x.wh.y')) + pax([(b'hdrcharset', b'BINARY'), (b'path', b'nb/\xc3(binary')]) + f(b'nb/b', b'b'))
case('name255', d(b'n255/') + pax([(b'path', b'n255/' + b'\xff' * 255)]) + f(b'n255/x', b'255') + pax([(b'path', b'n255/' + b'q' * 255 + b'/')]) + d(b'n255/q/'))
case('name256', d(b'n256/') + pax([(b'path', b'n256/' + b'q' * 256)]) + f(b'n256/x', b'256: too long for a dirent'), ok=False)
case('dot-slash', d(b'./', mode=0o751, uid=7, gid=8, mtime=12345) + d(b'./ds/') + f(b'./ds/./a//b', b'1') + f(b'ds/c', b'2') + d(b'.//ds///e//'))
case('absolute', d(b'/abs/') + f(b'/abs/file', b'abs') + sym(b'/abs/sl', b'/abs/file') + lnk(b'/abs/hl', b'/abs/file'))
case('no-parents', f(b'np/a/b/c/file', b'no parents') + sym(b'np/s/t/sl', b'x') + d(b'np/late/x/y/') + d(b'np/a/b/', mode=0o700, uid=5))
case('trailing-slash-file', f(b'tsf/file/', b'') + hdr(b'tsf/dir/', typ=b'\0', mode=0o755), merge=True)
# --- types
case('symlinks', d(b'sy/') + sym(b'sy/dangling', b'nowhere') + sym(b'sy/abs', b'/etc/passwd') + sym(b'sy/up', b'../../../..') + sym(b'sy/self', b'self') + pax([(b'linkpath', b'l' * 4095)]) + sym(b'sy/l4095', b'l'))
case('hardlinks', d(b'hl/') + d(b'hl/a/') + d(b'hl/b/') + f(b'hl/a/f', b'hard' * 3000) + lnk(b'hl/b/f', b'hl/a/f') + lnk(b'hl/b/g', b'hl/b/f') + sym(b'hl/s', b'a/f') + lnk(b'hl/s2', b'hl/s') + hdr(b'hl/null', typ=b'3', maj=1, min=3, mode=0o666) + lnk(b'hl/null2', b'hl/null') + lnk(b'hl/dotted', b'./hl/a/../a/f'.replace(b'a/../', b'')) + lnk(b'hl/slashed', b'/hl/a/f') + hdr(b'hl/fifo', typ=b'6') + lnk(b'hl/fifo2', b'hl/fifo'))
case('hardlink-many', d(b'hm/') + f(b'hm/0', b'x' * 5000) + b''.join(lnk(b'hm/%d' % i, b'hm/0') for i in range(1, 3000)))
case('hardlink-forward', d(b'hf/') + lnk(b'hf/link', b'hf/later') + f(b'hf/later', b'x'), ok=False)
case('hardlink-missing', d(b'hx/') + lnk(b'hx/link', b'hx/never'), ok=False)
case('hardlink-dir', d(b'hd/') + d(b'hd/d/') + lnk(b'hd/l', b'hd/d'), ok=False)
case('hardlink-size', d(b'hs/') + f(b'hs/f', b'12345') + hdr(b'hs/l', typ=b'1', link=b'hs/f', size=5) + f(b'hs/after', b'hs/l has size 5 and no data'), ok=False)
case('hardlink-lower', d(b'hw/') + lnk(b'hw/link', b'usr/bin/in-lower-layer'), ok=False)
case('devices', d(b'dev/') + hdr(b'dev/null', typ=b'3', maj=1, min=3, mode=0o666) + hdr(b'dev/sda', typ=b'4', maj=8, min=0, mode=0o660, gid=6) + hdr(b'dev/big', typ=b'3', maj=511, min=0xfffff) + hdr(b'dev/fifo', typ=b'6', mode=0o600) + hdr(b'dev/minor300', typ=b'4', maj=259, min=300))
case('chardev00', d(b'cd/') + hdr(b'cd/whiteout-like', typ=b'3', maj=0, min=0), )
case('types', d(b'ty/') + hdr(b'ty/contig', typ=b'7', size=3) + pad(b'abc') + f(b'ty/old', b'old', typ=b'\0') + hdr(b'ty/v7dir/', typ=b'\0', mode=0o755, v7=True) + f(b'ty/v7dir/f', b'v7', v7=True) + f(b'ty/gnumagic', b'gnu', magic=b'ustar  \0'))
case('type-unknown', d(b'tu/') + f(b'tu/weird', b'weird', typ=b'Z') + f(b'tu/after', b'after'), ok=False)
case('type-volhdr', hdr(b'a volume', typ=b'V', magic=b'ustar  \0') + d(b'tv/') + f(b'tv/f', b'f'), ok=False)
case('modes', d(b'mo/') + b''.join(f(b'mo/%o' % m, b'm', mode=m) for m in (0, 0o111, 0o4755, 0o2755, 0o6755, 0o1644, 0o7777, 0o100644)) + d(b'mo/sticky/', mode=0o1777) + d(b'mo/sgid/', mode=0o2775))
# --- numbers
case('mtimes', d(b'mt/') + f(b'mt/zero', b'', mtime=0) + f(b'mt/neg-base256', b'', mtime=-86400) + f(b'mt/max-octal', b'', mtime=0o77777777777) + f(b'mt/y2500', b'', mtime=16725225600) + b''.join(pax([(b'mtime', t)]) + f(b'mt/pax%s' % t[:20], b'') for t in (b'1700000000.123456789', b'-1.5', b'1700000001.1234567891234', b'0.000000001', b'4294967296.5', b'1700000002.', b'1700000003.5')))
case('owners', d(b'ow/') + f(b'ow/2m', b'', uid=2097151, gid=2097151) + f(b'ow/base256', b'', uid=2147483647, gid=4294967294) + pax([(b'uid', b'4294967294'), (b'gid', b'3000000000'), (b'uname', b'who'), (b'gname', b'what')]) + f(b'ow/pax', b'') + f(b'ow/65536', b'', uid=65536, gid=65535))
case('owner-64bit', d(b'o6/') + pax([(b'uid', b'4294967296'), (b'gid', b'99999999999')]) + f(b'o6/pax', b''), ok=False)
case('pax-size', d(b'ps/') + pax([(b'size', b'5')]) + hdr(b'ps/f', size=0) + pad(b'hello') + f(b'ps/after', b'after'))
case('pax-global', pax([(b'comment', b'0' * 40)], typ=b'g', name=b'pax_global_header') + d(b'pg/') + f(b'pg/f', b'f'))
case('pax-global-mtime', pax([(b'mtime', b'1000000000'), (b'uid', b'42')], typ=b'g', name=b'pax_global_header') + d(b'pm/') + f(b'pm/f', b'f'), merge=False)
case('pax-many', d(b'pk/') + pax([(b'path', b'pk/kept'), (b'atime', b'1'), (b'ctime', b'2'), (b'VENDOR.x', b'y'), (b'path', b'pk/kept-last')]) + f(b'pk/no', b'1'))
case('pax-chain', d(b'pc/') + pax([(b'path', b'pc/one')]) + pax([(b'mtime', b'5')]) + f(b'pc/base', b'1'), ok=False)
case('pax-bad', d(b'pb/') + hdr(b'PaxHeaders/x', typ=b'x', size=11) + pad(b'99 path=pb\n') + f(b'pb/f', b'1'), ok=False)
# --- xattrs
cap = struct.pack('<IIIII', 0x02000001, 1 << 10, 0, 0, 0)
acl = struct.pack('<I', 2) + b''.join(struct.pack('<HHI', *e) for e in ((1, 6, 0xffffffff), (2, 4, 1000), (4, 4, 0xffffffff), (0x10, 4, 0xffffffff), (0x20, 0, 0xffffffff)))
X = b'SCHILY.xattr.'
case('xattrs', d(b'xa/') + pax([(X + b'security.capability', cap)]) + f(b'xa/ping', b'elf', mode=0o755) + pax([(X + b'user.a', b'1'), (X + b'user.empty', b''), (X + b'user.nul', b'a\0b\n=c'), (X + b'trusted.t', b'x'), (X + b'security.selinux', b'system_u:object_r:bin_t:s0\0')]) + f(b'xa/many', b'') + pax([(X + b'system.posix_acl_access', acl)]) + f(b'xa/acl', b'') + pax([(X + b'system.posix_acl_default', acl), (X + b'user.dir', b'd')]) + d(b'xa/dir/') + pax([(X + b'trusted.sym', b's')]) + sym(b'xa/sl', b'x') + pax([(X + b'trusted.dev', b's')]) + hdr(b'xa/dev', typ=b'3', maj=1, min=5))
case('xattr-shared', d(b'xs/') + b''.join(pax([(X + b'security.selinux', b'system_u:object_r:lib_t:s0\0'), (X + b'user.n', b'%d' % i)]) + f(b'xs/%d' % i, b'%d' % i) for i in range(200)))
case('xattr-big', d(b'xb/') + pax([(X + b'user.big', b'B' * 3500)]) + f(b'xb/big', b'') + pax([(X + b'user.%d' % i, b'v' * 200) for i in range(64)]) + f(b'xb/many', b''))
case('xattr-64k', d(b'xk/') + pax([(X + b'user.big', b'B' * 65535)]) + f(b'xk/64k', b''), ok=False)
case('xattr-overlay', d(b'xo/') + pax([(X + b'trusted.overlay.opaque', b'y')]) + d(b'xo/opaque/') + pax([(X + b'trusted.overlay.redirect', b'/x')]) + d(b'xo/redir/'))
case('xattr-libarchive', d(b'xl/') + pax([(b'LIBARCHIVE.xattr.user.b64', base64.b64encode(b'hello\0').rstrip(b'='))]) + f(b'xl/f', b''))
case('xattr-oddns', d(b'xn/') + pax([(X + b'weird.ns', b'1'), (X + b'user.' + b'n' * 250, b'1')]) + f(b'xn/f', b''))
# --- whiteouts
case('whiteouts', d(b'wo/') + d(b'wo/opq/') + f(b'wo/opq/.wh..wh..opq') + f(b'wo/opq/new', b'new') + f(b'wo/.wh.gone') + d(b'wo/sub/') + f(b'wo/sub/.wh.dir') + f(b'wo/noparent/x/.wh.y') + f(b'wo/.wh.mode', mode=0o600, uid=9))
case('whiteout-late-opq', d(b'wl/') + d(b'wl/o/') + f(b'wl/o/before', b'1') + f(b'wl/o/.wh..wh..opq') + f(b'wl/o/after', b'2'))
case('whiteout-readd', d(b'wr/') + f(b'wr/.wh.a') + f(b'wr/a', b'back') + f(b'wr/b', b'x') + f(b'wr/.wh.b'))
case('whiteout-aufs', f(b'.wh..wh.aufs') + d(b'.wh..wh.orph/') + d(b'.wh..wh.plnk/') + f(b'.wh..wh.plnk/1.2', b'plnk') + d(b'wa/') + f(b'wa/f', b'f'), merge=False)
case('whiteout-hard', d(b'wh/') + f(b'wh/.wh.a') + lnk(b'wh/.wh.b', b'wh/.wh.a'))
case('whiteout-empty', d(b'we/') + f(b'we/.wh.'), ok=False)
# --- duplicates
case('dup-file', d(b'du/') + f(b'du/f', b'first' * 2000) + f(b'du/g', b'g') + f(b'du/f', b'second', mode=0o600))
case('dup-dir', d(b'dd/') + f(b'dd/f', b'1') + d(b'dd/', mode=0o700, uid=3) + f(b'dd/g', b'2'))
case('dup-file-to-dir', d(b'dfd/') + f(b'dfd/x', b'1') + d(b'dfd/x/') + f(b'dfd/x/y', b'2'))
case('dup-dir-to-file', d(b'ddf/') + d(b'ddf/x/') + f(b'ddf/x/y', b'1') + f(b'ddf/x', b'2'), ok=False)
case('dup-symlink-to-file', d(b'dsf/') + sym(b'dsf/x', b'target') + f(b'dsf/x', b'file'))
case('dup-hardlinked', d(b'dh/') + f(b'dh/a', b'old') + lnk(b'dh/b', b'dh/a') + f(b'dh/a', b'new'))
case('dup-hardlink-self', d(b'dhs/') + f(b'dhs/a', b'x') + lnk(b'dhs/a', b'dhs/a'), ok=False)
case('parent-symlink', d(b'psl/') + d(b'psl/real/') + sym(b'psl/lnk', b'real') + f(b'psl/lnk/f', b'through a symlink'), ok=False)
case('parent-file', d(b'pf/') + f(b'pf/x', b'file') + f(b'pf/x/y', b'below a file'), ok=False)
# --- paths out of the root
case('dotdot-inside', d(b'di/') + d(b'di/a/') + f(b'di/a/../b', b'x'), ok=False)
case('dotdot-escape', f(b'../escape-dotdot', b'x') + f(b'/../../escape-abs', b'x') + f(b'a/../../../escape-mid', b'x'), ok=False)
case('symlink-escape', sym(b'se', b'/tmp') + f(b'se/escape-symlink', b'x'), ok=False)
case('hardlink-escape', lnk(b'he', b'../../../../../etc/hostname'), ok=False)
# --- GNU sparse in its four encodings (made by GNU tar itself)
sp = work + '/sparse'; shutil.rmtree(sp, ignore_errors=True); os.makedirs(sp + '/sp')
with open(sp + '/sp/few', 'wb') as g: g.write(b'A' * 4096); g.seek(1 << 20); g.write(b'B' * 4096); g.truncate(2 << 20)
with open(sp + '/sp/many', 'wb') as g:
    for i in range(200): g.seek(i * 65536); g.write(b'%04d' % i * 1024)
with open(sp + '/sp/allhole', 'wb') as g: g.truncate(1 << 20)
with open(sp + '/sp/unaligned', 'wb') as g: g.seek(100000); g.write(b'u' * 777); g.truncate(300001)
for n, a in (('gnu', ['--format=gnu']), ('pax00', ['--format=pax', '--sparse-version=0.0']), ('pax01', ['--format=pax', '--sparse-version=0.1']), ('pax10', ['--format=pax', '--sparse-version=1.0'])):
    if os.path.exists(sp + '/s-' + n): shutil.rmtree(sp + '/s-' + n)
    os.rename(sp + '/sp', sp + '/s-' + n)
    t = '%s/sparse-%s.tar' % (C, n)
    subprocess.check_call(['tar', '-C', sp, '-S', *a, *(['--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime'] if 'pax' in n else []), '--sort=name', '--numeric-owner', '--owner=0', '--group=0', '--mtime=@%d' % epoch, '-b1', '-cf', t, 's-' + n])
    safe.append(('sparse-' + n, open(t, 'rb').read()[:-1024]))
    os.rename(sp + '/s-' + n, sp + '/sp')
with open(sp + '/sp/bomb', 'wb') as g: g.truncate(64 << 30)
subprocess.check_call(['tar', '-C', sp, '-S', '--format=pax', '--owner=0', '--group=0', '--mtime=@%d' % epoch, '-b1', '-cf', C + '/x-sparse-bomb64g.tar', 'sp/bomb']); os.remove(sp + '/sp/bomb')
# --- big directory, many equal files
case('bigdir', d(b'bd/') + b''.join(f(b'bd/file-%06d' % (i * 7919 % 20000), b'') for i in range(20000)), merge=False)
case('dup-content', d(b'dc/') + b''.join(f(b'dc/%d' % i, D[:20000]) for i in range(50)))
# --- ends
case('end-none', d(b'en/') + f(b'en/f', b'x'), end=b'', merge=False)
case('end-one', d(b'eo/') + f(b'eo/f', b'x'), end=b'\0' * 512, merge=False)
case('end-garbage', d(b'eg/') + f(b'eg/f', b'x'), end=END + b'garbage' * 100, merge=False)
case('end-10k', d(b'ek/') + f(b'ek/f', b'x'), end=b'\0' * 10240, merge=False)
case('empty-0', b'', end=b'', ok=False)
case('empty-1024', b'', merge=False)
case('zero-block-inside', d(b'zb/') + f(b'zb/a', b'x') + b'\0' * 512 + f(b'zb/b', b'x'), ok=False)
case('truncated-data', d(b'tr/') + hdr(b'tr/f', size=100000) + b'x' * 1000, ok=False, end=b'')
case('truncated-header', d(b'th/') + hdr(b'th/f')[:300], ok=False, end=b'')
case('bad-checksum', d(b'bc/') + hdr(b'bc/f').replace(b'bc/f', b'bc/g'), ok=False)
case('size-huge', d(b'sh/') + hdr(b'sh/f', size=1 << 62) + b'x' * 512, ok=False)
case('size-negative', d(b'sn/') + hdr(b'sn/f', size=-1) + b'x' * 512, ok=False)
# --- written by bsdtar from a real tree (when it is there)
if shutil.which('bsdtar'):
    b = work + '/bsd'; shutil.rmtree(b, ignore_errors=True); os.makedirs(b + '/bsd/dir')
    open(b + '/bsd/f', 'w').write('x'); os.link(b + '/bsd/f', b + '/bsd/dir/hl'); os.symlink('f', b + '/bsd/sl'); os.mkfifo(b + '/bsd/fifo')
    os.setxattr(b + '/bsd/f', b'user.x', b'1'); os.makedirs(b + '/bsd/' + 'l' * 200 + '/' + 'm' * 200)
    with open(b + '/bsd/sparse', 'wb') as g: g.seek(1 << 20); g.write(b'end')
    for r, ds, fs in os.walk(b, topdown=False):
        for x in ds + fs: os.utime(os.path.join(r, x), ns=(epoch * 10**9, epoch * 10**9 + 123456789), follow_symlinks=False)
    subprocess.check_call(['bsdtar', '-C', b, '--format=pax', '--xattrs', '-cf', C + '/bsdtar-pax.tar', 'bsd'])
    subprocess.check_call(['bsdtar', '-C', b, '--format=gnutar', '-cf', C + '/bsdtar-gnu.tar', 'bsd'])
with open(out + '/torture.tar', 'wb') as g:
    for n, body in safe: g.write(body)
    g.write(END)
print('torture: %d merged cases, %d case files' % (len(safe), len(os.listdir(C))), file=sys.stderr)
