package cli

const mkfsHelp = `Usage: mkfs.erofs [OPTIONS] FILE SOURCE...
Generate EROFS image (FILE) from SOURCE: a directory, a tar with --tar (stdin if SOURCE is left out), or
EROFS images, the lowest first, which are merged: without --clean=data FILE refers to them as devices.
This is lamina; it understands these options of erofs-utils:

 -V, --version         print the version number and exit
 -h, --help            display this help and exit
 -b#                   set block size to #
 -C#                   set the largest compressed extent in bytes (a block to 1M)
 -d<0-9>               set output verbosity; 0=quiet
 -m#[:X]               compress inodes with what belongs to them in extents of # bytes (Linux 6.17), by the
                       algorithm X or that of -z
 -x#                   share xattrs that more than # inodes have (< 0, drop xattrs)
 -zX[,level=Y]         compress: X=lz4, lz4hc, lzma, deflate, zstd, also X,Y; [,dictsize=N]; more algorithms
                       for --compress-hints behind colons
 -EX[,...]             X=extended options: [^]inline_data, noinline_data, [^]dedupe, [^]48bit,
                       force-inode-compact, force-inode-extended, nosbcrc; with -z: legacy-compress,
                       [^]ztailpacking, [^]fragments[=#], [^]all-fragments[=#], [^]fragdedupe
 -L volume-label       set the volume label (maximum 15 bytes)
 -T#                   set a fixed UNIX timestamp
    --all-time         the timestamp is applied to all files (default)
    --mkfs-time        the timestamp is applied as build time only (0: none is recorded)
 -UX                   use a given UUID, or clear, random (default: derived from the input)
 --all-root            make all files owned by root
 --aufs                replace aufs special files with overlayfs metadata
 --blobdev=X           specify an extra device X to store chunked data (needs --chunksize)
 --clean[=X]           make a new image (default); X=data: with all data, also that of images; rvsp: with
                       space for the data of images or a tar, and zeros in it; 0: as data
 --compress-hints=X    give files a method: lines of PCLUSTER [ALGORITHM] REGEX
 --max-extent-bytes=#  bound the decoded length of compressed extents
 --chunksize=#         generate chunk-based files with #-byte chunks
 --dsunit=#            align files of at least # blocks to multiples of # blocks
 --exclude-path=X      leave out the file X (X = exact literal path)
 --exclude-regex=X     leave out files that match X (X = regular expression)
 --force-uid=#         set all file uids to #
 --force-gid=#         set all file gids to #
 --fsalignblks=#       specify the alignment of the image size in blocks
 --gid-offset=#        add offset # to all file gids
 --uid-offset=#        add offset # to all file uids
 --hard-dereference    give every name of a file an inode of its own (the data is stored once)
 --ignore-mtime        use build time instead of strict per-file modification time
 --preserve-mtime      keep per-file modification time strictly
 --incremental[=X]     lay the sources over the image FILE: its blocks stay where they are, FILE is
                       replaced when all is written; X as for --clean
 --ovlfs-strip=<0,1>   strip overlayfs metadata in the target image (e.g. whiteouts)
 --MZ[=<0|[id]>]       accepted; metadata always lies in a zone of its own, behind the data
 --quiet               quiet execution
 --sort=<path,none>    accepted; data is always in the order of the archive
 --tar=X               generate a full or index-only image from a tarball source (X = f|i)
 --ungzip[=X]          accepted, gzip and zstd are recognized by themselves; write the raw tar to X
 --vmdk-desc=X         write a VMDK descriptor of FILE with the images that it refers to behind it
 --workers=#           how many threads compress; the output does not depend on it
 --xattr-inode-digest  store the SHA-256 of each file, for Linux to share the page cache of equal ones
 --xattr-prefix=X      X=extra xattr name prefix
 --zD[=<0|1>]          compress directories: 0=no, 1=yes (default: yes; the original up to 1.9.4 takes
                       0 for yes and 1 for no, against what it says)
`

const dumpHelp = `Usage: dump.erofs [OPTIONS] IMAGE
Dump erofs layout from IMAGE. This is lamina; it understands these options of erofs-utils:

 -V, --version   print the version number and exit
 -h, --help      display this help and exit
 -S              show statistic information of the image
 -e              show extent info (INODE required)
 -s              show information about superblock
 --device=X      specify an extra device to be used together
 --ls            show directory contents (INODE required)
 --cat           show file contents (INODE required)
 --nid=#         show the target inode info of nid #
 --offset=#      skip # bytes at the beginning of IMAGE
 --path=X        show the target inode info of path X
`

const fsckHelp = `Usage: fsck.erofs [OPTIONS] IMAGE
Check the integrity of IMAGE. This is lamina; it understands these options of erofs-utils:

 -V, --version          print the version number and exit
 -h, --help             display this help and exit
 -d<0-9>                set output verbosity; 0=quiet, 9=verbose (default=2)
 -p                     print total compression ratio of all files
 --device=X             specify an extra device to be used together
 --extract[=X]          check if all files can be read, optionally extract to X
 --offset=#             skip # bytes at the beginning of IMAGE
 --nid=#                extract the directory of nid #
 --path=X               extract the directory X
 --no-sbcrc             bypass the superblock checksum verification
 -a, -A, -y             no-op, for compatibility with fsck of other filesystems

Extraction options (--extract=X is required):
 --force                allow extracting to root
 --overwrite            overwrite files that already exist
 --[no-]preserve        same as --[no-]preserve-owner --[no-]preserve-perms
 --[no-]preserve-owner  whether to preserve the ownership from the filesystem
 --[no-]preserve-perms  whether to preserve the exact permissions without applying umask
 --xattrs               accepted; extended attributes are always extracted
`
