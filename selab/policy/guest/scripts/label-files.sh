#!/bin/sh
# Saves the labels of the files that the candidates' file contexts name, then labels these files by the
# contexts.
#
# setfiles reports its changes in sentences that differ between versions, so selab does not parse them:
# restore-labels.sh compares the labels with the saved ones. Paths are looked up by the guest's equivalences, as
# restorecon does, so a run labels what an installed policy would label.
#
# Arguments: $1 the file of file contexts; $2 the file to save the labels in; $3 the greatest number of files;
#   $4 the Python program that saves labels (save_labels.py); from $5 the places that the contexts name.
# Prints: what setfiles prints, an empty line and `labelled`; nothing if none of the places exists.
# Exit codes: 4 the labels could not be saved; 5 the equivalences could not be copied; 9 the file of file contexts is missing; else those of setfiles.

. ./lib-equivalences.sh
contexts=$1 state=$2 limit=$3 save=$4; shift 4
there=0
for place; do shift; [ -e "$place" ] && { set -- "$@" "$place"; there=1; }; done
[ $there = 1 ] || exit 0
[ -e "$contexts" ] || exit 9
equivalences "$contexts" || exit 5
python3 -c "$save" "$state" "$limit" "$@" || exit 4
setfiles -F "$contexts" "$@" && echo && echo labelled
