# t.sh NAME TAR flags...
n=$1; t=$2; shift 2
/tmp/metabox/lamina build "$@" -o $n $t >/tmp/metabox/t.log 2>&1 || cat /tmp/metabox/t.log
/tmp/metabox/lamina check --read-data $n; ls -l $n | awk '{print $5}'
