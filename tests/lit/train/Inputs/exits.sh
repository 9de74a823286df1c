#!/bin/sh
# exits.sh CODE COMMAND…: succeeds where the command ends with exactly this exit code.
want=$1
shift
"$@"
got=$?
[ "$got" -eq "$want" ] || { echo "exit code $got, expected $want: $*" >&2; exit 1; }
