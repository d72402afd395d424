#!/usr/bin/env bash
# manual.sh LAMINA: the manual page lamina(1) on stdout, made of the help texts of the program, so that both say the same.
set -euo pipefail
bin=$1
verbatim() { sed -e 's/\\/\\e/g' -e "s/^[.']/\\\\\&&/"; }
chapter() { printf '.SH %s\n.nf\n' "$1"; verbatim; printf '.fi\n'; }
verbs() { sed -n '/^Available Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p'; }

printf '.TH LAMINA 1 "" "lamina %s"\n.SH NAME\nlamina \\- OCI layers become EROFS images\n' \
  "$("$bin" version | awk '{ print $2; exit }')"
"$bin" --help | chapter DESCRIPTION
"$bin" --help | verbs | while read -r verb; do
  case $verb in help | completion) continue ;; esac
  "$bin" "$verb" --help | chapter "LAMINA ${verb^^}"
  "$bin" "$verb" --help | verbs | while read -r sub; do
    "$bin" "$verb" "$sub" --help | chapter "LAMINA ${verb^^} ${sub^^}"
  done
done
for topic in configuration environment files exit-codes; do
  name=${topic^^}
  [ "$topic" = exit-codes ] && name="EXIT STATUS"
  "$bin" help "$topic" | chapter "$name"
done
printf '.SH SEE ALSO\n.BR mount (8),\n.BR runc (8),\n.BR crun (1),\n.BR containerd (8)\n'
