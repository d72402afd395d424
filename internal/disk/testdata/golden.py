#!/usr/bin/env python3
"""golden.py MKFS.EROFS OUTDIR: makes small EROFS images with somebody else's mkfs.erofs and writes their
structures as annotated bytes. It knows the format from doc/format.md alone and shares nothing with the Go code, so
what it writes is evidence. Needs root (device nodes) and a file system with xattrs."""
import os, re, struct, subprocess, sys, tempfile

MKFS, OUT = os.path.abspath(sys.argv[1]), sys.argv[2]
VERSION = subprocess.run([MKFS, '-V'], capture_output=True, text=True).stdout.split()[2]
UUID = '01234567-89ab-cdef-0123-456789abcdef'

# Fields of each structure: name, length; h = hexadecimal, d = decimal, s = text, x = bytes.
S = {
  'superblock': 'Magic4h Checksum4h Compat4h BlockBits1d ExtSlots1d RootNID22d Inos8d Epoch8d FixedNsec4d BlocksLo4d '
    'MetaBlkAddr4d XattrBlkAddr4d UUID16x VolumeName16s Incompat4h ComprAlgs2h ExtraDevices2d DevtSlotOff2d DirBlkBits1d '
    'XattrPrefixCount1d XattrPrefixStart4d PackedNID8d XattrFilterReserved1d IshareXattrPrefixID1d Reserved6A2h '
    'BuildTime4d RootNID88h Reserved788h',
  'superblock-slot': 'MetaboxNID8d reserved8h',
  'inode-compact': 'Format2h XattrICount2d Mode2o Nb2d Size4d Mtime4d U4h Ino4d UID2d GID2d Reserved4h',
  'inode-extended': 'Format2h XattrICount2d Mode2o Nb2d Size8d U4h Ino4d UID4d GID4d Mtime8d MtimeNsec4d Nlink4d Reserved16x',
  'dirent': 'NID8h NameOff2d FileType1d Reserved1h',
  'xattr-header': 'NameFilter4h SharedCount1d Reserved7x',
  'xattr-entry': 'NameLen1d NameIndex1h ValueSize2d',
  'device': 'Tag64s BlocksLo4d UniAddrLo4d BlocksHi2d UniAddrHi2d Reserved52x',
  'chunk-index': 'StartHi2h DeviceID2d StartLo4h',
  'lz4-config': 'MaxDistance2d MaxPclusterBlks2d Reserved10x',
  'lzma-config': 'DictSize4d Format2d Reserved8x',
  'deflate-config': 'WindowBits1d Reserved5x',
  'zstd-config': 'Format1d Window1d Reserved4x',
  'map-header': 'Word4h Advise2h Algorithm1h Cluster1h',
  'lcluster': 'Advise2h ClusterOfs2d Block4h',
  'extent4': 'Plen4h',
  'extent8': 'Plen4h Pstart4h',
  'extent16': 'Plen4h Pstart8h Lstart4h',
  'extent32': 'Plen4h Pstart8h Lstart8h Reserved12x',
}

# RootNID2 and RootNID8 end in a digit themselves.
def fields_of(kind):
  for f in S[kind].split():
    for known, size in (('RootNID2', '2d'), ('RootNID8', '8h'), ('Reserved6A', '2h'), ('Reserved78', '8h')):
      if f == known + size:
        yield known, int(size[0]), size[1]
        break
    else:
      name, size, form = re.fullmatch(r'([A-Za-z]+)(\d+)([hdsxo])', f).groups()
      yield name, int(size), form

def size_of(kind):
  return sum(n for _, n, _ in fields_of(kind))

def shown(b, form):
  n = int.from_bytes(b, 'little')
  if form == 'd' and len(b) == 8 and n >> 63: n -= 1 << 64
  return {'h': lambda: hex(n), 'd': lambda: str(n), 'o': lambda: '0o%o' % n, 'x': lambda: b.hex(),
          's': lambda: '"' + ''.join(chr(c) if 32 <= c < 127 and c not in b'"\\' else '\\x%02x' % c for c in b.rstrip(b'\0')) + '"'}[form]()

class Dump:
  def __init__(self, file, command):
    self.f = open(os.path.join(OUT, file), 'w')
    self.f.write('# mkfs.erofs %s: %s\n' % (VERSION, command))
  def section(self, kind, note=''):
    self.f.write('\n[%s]%s\n' % (kind, ' ' + note if note else ''))
    self.off = 0
  def line(self, b, name, value):
    while len(b) > 16 and not name.startswith('range'):
      self.f.write('%02x  %s\n' % (self.off, b[:16].hex(' ')))
      b, self.off = b[16:], self.off + 16
    self.f.write('%02x  %-48s %s = %s\n' % (self.off, b.hex(' '), name, value))
    self.off += len(b)
  def struct(self, kind, b, note=''):
    self.section(kind, note)
    pos, v = 0, {}
    for name, n, form in fields_of(kind):
      self.line(b[pos:pos+n], name, shown(b[pos:pos+n], form))
      v[name] = int.from_bytes(b[pos:pos+n], 'little')
      pos += n
    return v
  def bytes(self, b):
    """bytes without fields; runs of zero lines become '*'"""
    zero = bytes(16)
    for i in range(0, len(b), 16):
      row = b[i:i+16]
      if row == zero and i and b[i-16:i] == zero:
        if i + 16 >= len(b) or b[i+16:i+32] != zero[:len(b[i+16:i+32])]: self.f.write('*\n')
      else:
        self.f.write('%02x  %s\n' % (i, row.hex(' ')))
    self.f.write('%02x\n' % len(b))

def values(kind, b):
  pos, v = 0, {}
  for name, n, _ in fields_of(kind):
    v[name] = int.from_bytes(b[pos:pos+n], 'little')
    pos += n
  return v

class Image:
  def __init__(self, path):
    self.b = open(path, 'rb').read()
    self.sb = values('superblock', self.b[1024:1152])
    self.bs = 1 << self.sb['BlockBits']
    self.root = self.sb['RootNID8'] if self.sb['Incompat'] & 0x80 and self.sb['RootNID8'] else self.sb['RootNID2']
  def pos(self, nid): return self.sb['MetaBlkAddr'] * self.bs + 32 * nid
  def inode(self, nid):
    p = self.pos(nid)
    kind = 'inode-extended' if self.b[p] & 1 else 'inode-compact'
    v = values(kind, self.b[p:p+64])
    v.update(kind=kind, pos=p, layout=v['Format'] >> 1 & 7)
    v['xattrs'] = p + size_of(kind)
    v['end'] = v['xattrs'] + (12 + 4 * (v['XattrICount'] - 1) if v['XattrICount'] else 0)
    return v
  def data(self, i):
    n = i['Size'] // self.bs if i['layout'] == 2 else -(-i['Size'] // self.bs)
    head = self.b[i['U'] * self.bs:][:n * self.bs] if n else b''
    return head[:i['Size']] + (self.b[i['end']:][:i['Size'] - len(head)] if i['layout'] == 2 else b'')
  def dir(self, i):
    d = self.data(i)
    for at in range(0, len(d), self.bs):
      blk = d[at:at+self.bs]
      n = struct.unpack_from('<H', blk, 8)[0] // 12
      offs = [struct.unpack_from('<H', blk, 12*k+8)[0] for k in range(n)] + [len(blk)]
      for k in range(n):
        yield blk[offs[k]:offs[k+1]].rstrip(b'\0'), blk[12*k:12*k+12]
  def lookup(self, name):
    for n, e in self.dir(self.inode(self.root)):
      if n == name.encode(): return self.inode(values('dirent', e)['NID'])
    raise KeyError(name)

def text(n):
  """bytes that compress about 2:1 with changing ratio, the same on every machine"""
  out, x = bytearray(), 1
  while len(out) < n:
    x = x * 6364136223846793005 + 1442695040888963407 & (1 << 64) - 1
    w = b'%x' % (x >> 33 & 0xffff if len(out) // 9000 % 2 else x >> 20)
    out += w * (1 + (x >> 60) % 3) + b' '
  return bytes(out[:n])

def mkfs(work, src, *args):
  img = os.path.join(work, 'image')
  if os.path.exists(img): os.unlink(img)
  args = ['-T1000000000', '--all-time', '-U' + UUID, *args]
  subprocess.run([MKFS, '--quiet', *args, img, src], check=True, cwd=work, stdout=subprocess.DEVNULL)
  return Image(img), ' '.join(['mkfs.erofs', *args, 'IMAGE', os.path.basename(src)])

def put(path, data): open(path, 'wb').write(data)

def xattrs(d, im, i, note):
  if not i['XattrICount']: return
  p, h = i['xattrs'], d.struct('xattr-header', im.b[i['xattrs']:][:12], note)
  p += 12
  for _ in range(h['SharedCount']):
    sid = struct.unpack_from('<I', im.b, p)[0]
    d.section('shared-id', 'entry at xattr_blkaddr blocks + 4*id')
    d.line(im.b[p:p+4], 'id', sid)
    entry(d, im, im.sb['XattrBlkAddr'] * im.bs + 4 * sid, 'shared, of ' + note)
    p += 4
  while p < i['end']: p = entry(d, im, p, 'inline, of ' + note)

def entry(d, im, p, note):
  v = d.struct('xattr-entry', im.b[p:p+4], note)
  name, value = im.b[p+4:][:v['NameLen']], im.b[p+4+v['NameLen']:][:v['ValueSize']]
  if name: d.line(name, 'name', shown(name, 's'))
  if value: d.line(value, 'value', shown(value, 'x'))
  return p + (4 + len(name) + len(value) + 3 & ~3)

def plain(work):
  src = os.path.join(work, 'src'); os.makedirs(src + '/dir')
  put(src + '/file', text(5000)); put(src + '/empty', b'')
  os.symlink('file', src + '/link')
  os.mknod(src + '/char', 0o020640, os.makedev(259, 70000))
  os.mknod(src + '/whiteout', 0o020000, 0)
  os.mkfifo(src + '/fifo')
  os.link(src + '/file', src + '/hardlink')
  os.chown(src + '/empty', 70000, 80000)
  for f in ('file', 'dir'):
    os.setxattr(src + '/' + f, 'user.shared', b'the same value')
    os.setxattr(src + '/' + f, 'trusted.overlay.opaque', b'y')
  os.setxattr(src + '/file', 'security.capability', bytes.fromhex('0100000200200000000000000000000000000000'))
  os.setxattr(src + '/file', 'user.a name that is longer than sixteen bytes', b'\0\xff')
  acl = struct.pack('<I' + 'HHI' * 5, 2, 1, 6, 0xffffffff, 2, 4, 1000, 4, 4, 0xffffffff, 16, 4, 0xffffffff, 32, 4, 0xffffffff)
  os.setxattr(src + '/file', 'system.posix_acl_access', acl)
  im, cmd = mkfs(work, src, '-x1', '-Exattr-name-filter', '-Llabel')
  d = Dump('plain.txt', cmd)
  d.struct('superblock', im.b[1024:1152])
  for name, e in im.dir(im.inode(im.root)):
    d.struct('dirent', e, name.decode())
  for name in ('file', 'empty', 'link', 'char', 'whiteout', 'fifo', 'dir'):
    i = im.lookup(name)
    d.struct(i['kind'], im.b[i['pos']:][:64], name)
  for name in ('file', 'dir'): xattrs(d, im, im.lookup(name), name)
  d = Dump('checksum.txt', cmd)
  d.section('checksum-range', 'block size 4096')
  d.bytes(im.b[1024:4096])
  im, cmd = mkfs(work, src, '-b512')
  d.f.write('\n# ' + cmd + '\n')
  d.section('checksum-range', 'block size 512')
  d.bytes(im.b[1024:1536])
  im, cmd = mkfs(work, src, '-x1', '-b1024')
  d.f.write('\n# ' + cmd + '\n')
  d.section('checksum-range', 'block size 1024')
  d.bytes(im.b[1024:2048])

def prefixes(work):
  src = os.path.join(work, 'src'); os.makedirs(src)
  put(src + '/file', b'x')
  os.setxattr(src + '/file', 'user.long.prefix.of.ours.rest', b'1')
  os.setxattr(src + '/file', 'trusted.overlay.metacopy', b'')
  im, cmd = mkfs(work, src, '-Exattr-name-filter', '--xattr-prefix=user.long.prefix.of.ours.', '--xattr-prefix=trusted.overlay.')
  d = Dump('prefixes.txt', cmd)
  d.struct('superblock', im.b[1024:1152])
  p = im.sb['XattrPrefixStart'] * 4
  for _ in range(im.sb['XattrPrefixCount']):
    n = struct.unpack_from('<H', im.b, p)[0]
    d.section('long-prefix')
    d.line(im.b[p:p+2], 'size', n)
    d.line(im.b[p+2:p+3], 'BaseIndex', im.b[p+2])
    d.line(im.b[p+3:p+2+n], 'Infix', shown(im.b[p+3:p+2+n], 's'))
    end = p + (2 + n + 3 & ~3)
    if end > p + 2 + n: d.line(im.b[p+2+n:end], 'padding', (end - p - 2 - n))
    p = end
  xattrs(d, im, im.lookup('file'), 'file')

def chunks(work):
  src = os.path.join(work, 'src'); os.makedirs(src)
  with open(src + '/file', 'wb') as f:
    f.write(text(8192)); f.seek(4 * 4096); f.write(text(100))
  im, cmd = mkfs(work, src, '--chunksize=4096', '--blobdev=' + os.path.join(work, 'blob'))
  d = Dump('chunks.txt', cmd.replace(work + '/', ''))
  d.struct('superblock', im.b[1024:1152])
  d.struct('device', im.b[im.sb['DevtSlotOff'] * 128:][:128])
  i = im.lookup('file')
  d.struct(i['kind'], im.b[i['pos']:][:64], 'file')
  p, chunk = i['end'] + 7 & ~7, im.bs << (i['U'] & 0x1f)
  for k in range(-(-i['Size'] // chunk)): d.struct('chunk-index', im.b[p+8*k:][:8], 'chunk %d' % k)

def tarindex(work):
  src = os.path.join(work, 'src'); os.makedirs(src)
  put(src + '/file', text(700))
  tar = os.path.join(work, 'layer.tar')
  subprocess.run(['tar', '--format=ustar', '--mtime=@1000', '--owner=0', '--group=0', '--numeric-owner', '-C', src, '-cf', tar, 'file'], check=True)
  im, cmd = mkfs(work, tar, '--tar=i')
  d = Dump('tarindex.txt', cmd)
  d.struct('superblock', im.b[1024:1152])
  d.struct('device', im.b[im.sb['DevtSlotOff'] * 128:][:128])
  i = im.lookup('file')
  d.struct(i['kind'], im.b[i['pos']:][:64], 'file')
  unit = 8 if i['U'] & 0x20 else 4
  p = i['end'] + unit - 1 & -unit
  chunk = im.bs << (i['U'] & 0x1f)
  for k in range(-(-i['Size'] // chunk)): d.struct('chunk-index', im.b[p+8*k:][:8], 'chunk %d' % k)

CONFIGS = ['lz4-config', 'lzma-config', 'deflate-config', 'zstd-config']

def configs(d, im):
  if not im.sb['Incompat'] & 2: return
  p = 1024 + 128 + 16 * im.sb['ExtSlots']
  for bit, kind in enumerate(CONFIGS):
    if im.sb['ComprAlgs'] >> bit & 1:
      p = p + 3 & ~3
      d.section('config-length', kind)
      n = struct.unpack_from('<H', im.b, p)[0]
      d.line(im.b[p:p+2], 'length', n)
      d.struct(kind, im.b[p+2:][:n])
      p += 2 + n

def header(d, im, name):
  i = im.lookup(name)
  d.struct(i['kind'], im.b[i['pos']:][:64], name)
  p = i['end'] + 7 & ~7
  return i, p, d.struct('map-header', im.b[p:][:8], name)

TYPES = ['plain', 'head1', 'nonhead', 'head2']

def full(d, im, name, limit=12):
  i, p, _ = header(d, im, name)
  for k in range(min(limit, -(-i['Size'] // im.bs))):
    b = im.b[p+16+8*k:][:8]
    d.struct('lcluster', b, '%s: %d, %s' % (name, k, TYPES[b[0] & 3]))

def compact(d, im, name, packs4=2):
  i, p, h = header(d, im, name)
  start = p + 8
  total = -(-i['Size'] // im.bs)
  c4 = (32 - start % 32) // 4 & 7
  c2 = (total - c4) & ~15 if h['Advise'] & 1 and c4 < total else 0
  if not h['Advise'] & 1 or c4 >= total: c4 = total
  d.section('compact-shape', '%s: packs at byte %d' % (name, start))
  for f, v in (('start', start), ('total', total), ('two', h['Advise'] & 1), ('in4', c4), ('in2', c2)):
    d.f.write('# %s %d\n' % (f, v))
  n = 0
  for k in range((c4 + 1) // 2):
    if k < packs4: pack(d, im.b[start+8*k:][:8], 'compact4', 16, 2)
  p = start + (c4 + 1) // 2 * 8
  if c2: pack(d, im.b[p:][:32], 'compact2', 14, 16)
  tail = p + c2 * 2
  if h['Advise'] & 1 and c4 + c2 < total: pack(d, im.b[tail:][:8], 'compact4', 16, 2)

def pack(d, b, kind, width, count):
  d.section(kind)
  v = int.from_bytes(b[:-4], 'little')
  es = []
  for k in range(count):
    e = v >> k * width & (1 << width) - 1
    es.append('%s:%d' % (TYPES[e >> 12 & 3], e & 4095))
  for k in range(0, len(b) - 4, 4):
    if k + 4 < len(b) - 4: d.f.write('%02x  %s\n' % (k, b[k:k+4].hex(' ')))
    else:
      d.off = k
      d.line(b[k:k+4], 'Entries', ' '.join(es))
  d.line(b[-4:], 'Base', int.from_bytes(b[-4:], 'little'))

def compressed(work):
  src = os.path.join(work, 'src'); os.makedirs(src)
  put(src + '/file', text(100000)); put(src + '/small', text(6000))
  for file, args, dump in (
      ('compact.txt', ['-zlz4'], compact),
      ('compact-big.txt', ['-zlz4', '-C16384'], compact),
      ('algorithms.txt', ['-zlz4:lzma:deflate:zstd'], None),
      ('ztailpacking.txt', ['-zlz4', '-Eztailpacking'], compact),
      ('full.txt', ['-zlz4', '-Ededupe'], full),
      ('full-big.txt', ['-zlz4', '-C16384', '-Ededupe'], full)):
    if file == 'full.txt': put(src + '/copy', text(100000)[20000:60000])
    im, cmd = mkfs(work, src, *args)
    d = Dump(file, cmd)
    d.struct('superblock', im.b[1024:1152])
    configs(d, im)
    if dump: dump(d, im, 'file')
    if file == 'ztailpacking.txt': header(d, im, 'small')
    if file.startswith('full'): full(d, im, 'copy')

def fragments(work):
  src = os.path.join(work, 'src'); os.makedirs(src)
  put(src + '/file', text(30000)); put(src + '/small', text(9000)[7000:])
  im, cmd = mkfs(work, src, '-zlz4', '-Efragments')
  d = Dump('fragments.txt', cmd)
  d.struct('superblock', im.b[1024:1152])
  configs(d, im)
  header(d, im, 'file'); header(d, im, 'small')
  im, cmd = mkfs(work, src, '-zlz4', '-Eall-fragments')
  d = Dump('all-fragments.txt', cmd)
  d.struct('superblock', im.b[1024:1152])
  header(d, im, 'file'); header(d, im, 'small')

def extents(d, im, name, limit=4):
  i, p, h = header(d, im, name)
  assert i['layout'] == 1 and h['Advise'] & 1, (name, i['layout'], h)
  r = 4 << (h['Advise'] >> 1 & 3)
  p = p + 8 + r - 1 & -r
  if r == 4:
    d.section('extent-base')
    d.line(im.b[p:p+8], 'base', hex(int.from_bytes(im.b[p:p+8], 'little')))
    p += 8
  n = h['Word'] if r >= 16 else -(-i['Size'] // (im.bs << (h['Cluster'] & 15)))
  for k in range(n)[:limit] if limit > 0 else range(n)[limit:]: d.struct('extent%d' % r, im.b[p+r*k:][:r], '%s: %d of %d' % (name, k, n))
  return r

def extents48(work):
  src = os.path.join(work, 'src'); os.makedirs(src)
  put(src + '/file', text(300000)); put(src + '/twice', text(1 << 17) + text(1 << 16))
  seen = set()
  for file, name, args in (
      ('extent4.txt', 'file', ['-zzstd', '-C65536', '-E48bit']),
      ('extent8.txt', 'twice', ['-zzstd', '-C65536', '-E48bit,dedupe']),
      ('extent16.txt', 'file', ['-zlz4', '-C65536', '-E48bit']),
      ('extent-fragment.txt', 'file', ['-zlz4', '-C65536', '-E48bit,fragments'])):
    im, cmd = mkfs(work, src, *args)
    d = Dump(file, cmd)
    d.struct('superblock', im.b[1024:1152])
    configs(d, im)
    seen.add(extents(d, im, name))
  # 32 bytes: a file of more than 4 GiB
  for f in os.listdir(src): os.unlink(src + '/' + f)
  with open(src + '/huge', 'wb') as f: f.write(text(100000)); f.truncate(4 << 30); f.seek(4 << 30); f.write(text(100000))
  im, cmd = mkfs(work, src, '-zlz4', '-C1048576', '-E48bit')
  d = Dump('extent32.txt', cmd)
  d.struct('superblock', im.b[1024:1152])
  seen.add(extents(d, im, 'huge', -3))
  print('extent sizes seen:', sorted(seen), file=sys.stderr)

def metabox(work):
  src = os.path.join(work, 'src'); os.makedirs(src)
  put(src + '/file', text(9000))
  im, cmd = mkfs(work, src, '-zzstd', '-m4096')
  d = Dump('metabox.txt', cmd)
  d.struct('superblock', im.b[1024:1152])
  d.struct('superblock-slot', im.b[1152:1168])
  configs(d, im)
  i = im.inode(values('superblock-slot', im.b[1152:1168])['MetaboxNID'])
  d.struct(i['kind'], im.b[i['pos']:][:64], 'metabox inode')

os.environ['TZ'] = 'UTC'
for make in (plain, prefixes, chunks, tarindex, compressed, fragments, extents48, metabox):
  if len(sys.argv) > 3 and make.__name__ not in sys.argv[3:]: continue
  with tempfile.TemporaryDirectory() as work:
    make(work)
