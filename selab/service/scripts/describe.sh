#!/bin/sh
# Describes a unit: what systemd knows of it, the packages that it comes from with their files, and the ports on which
# it listens if it runs.
#
# Arguments: $1 the unit; from $2 the properties of systemd to print.
# Prints: lines `KEY=VALUE`: the properties of the unit; `Listen`, which its socket units have; `Entry`, the program
#   that it starts, without links; `EntryContext`, the label of that by the installed file contexts; `EntryPackage`
#   and `Package`, the package of the program, and of the unit's file; `Directory` and `File`, what the packages
#   have below /etc and /var; `Tmpfiles`, lines of their files for systemd-tmpfiles; `Listening`, the
#   protocol and address of a socket; and at last `Complete=yes`.
# Exit codes: those of systemctl.

unit=$1; shift
. ./lib-unit.sh
names=FragmentPath,ExecStart,TriggeredBy,ControlGroup
for name; do names=$names,$name; done
show "$names" || exit
printf '%s\n' "$properties"
for socket in $(value TriggeredBy); do
  case $socket in *.socket) systemctl show --property=Listen -- "$socket" ;; esac
done

entry=$(value ExecStart | sed -n '1s/^{ path=\([^;]*[^; ]\) *;.*/\1/p')
fragment=$(value FragmentPath)
if [ -n "$entry" ]; then
  file=$(readlink -f -- "$entry")
  echo "Entry=${file:-$entry}"
  context=$(matchpathcon -n -m file "${file:-$entry}") && echo "EntryContext=$context"
fi

# owners PATH...: prints the packages that have one of the files. A package of Debian may have a file of /usr/lib by
# its name from before the directories of / were merged into /usr.
owners() {
  for path; do
    [ -n "$path" ] || continue
    if command -v dpkg-query >/dev/null; then
      for name in "$path" "${path#/usr}"; do dpkg-query --search "$name"; done 2>/dev/null |
        sed -n '/^diversion /d; s/: \/.*//p' | tr -d ' ' | tr ',' '\n' | sed 's/:.*//'
    else rpm -q --queryformat '%{NAME}\n' --file "$path" | grep -v ' '; fi
  done | sort -u
}
of_entry=$(owners "$entry" "$file") of_fragment=$(owners "$fragment")
for package in $of_entry; do echo "EntryPackage=$package"; done
for package in $of_fragment; do echo "Package=$package"; done
for package in $of_entry $of_fragment; do
  if command -v dpkg-query >/dev/null; then dpkg-query --listfiles "$package"; else rpm -q --list "$package"; fi
done | sort -u | head -n 50000 | while read -r path; do
  case $path in
    /etc/?*|/var/?*)
      if [ -L "$path" ]; then :; elif [ -d "$path" ]; then echo "Directory=$path"; else echo "File=$path"; fi ;;
    /usr/lib/tmpfiles.d/*.conf|/lib/tmpfiles.d/*.conf) sed -n 's/^[^#]/Tmpfiles=&/p' "$path" ;;
  esac
done

processes=$(members "$(value ControlGroup)")
[ -z "$processes" ] || ss -H -l -t -u -n -p | while read -r protocol _ _ _ address _ users; do
  for process in $processes; do
    case $users in *"pid=$process,"*) echo "Listening=$protocol $address"; break ;; esac
  done
done
echo Complete=yes
