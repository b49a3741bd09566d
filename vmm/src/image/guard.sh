# Runs "$@" as long as the caller lives. Standard input is a pipe that only the
# caller holds: its end means that the caller is gone, however it died. This
# shell leads a process group of its own, so everything below can be told.
told=
trap 'told=yes' TERM
exec 3<&0
"$@" </dev/null 3<&- &
child=$!
(
    trap : TERM
    cat <&3
    # mmdebstrap tidies up after itself when told, and gets the time for it.
    kill -s TERM -- "-$$"
    sleep 60
    kill -s KILL -- "-$$"
) >/dev/null 2>&1 &
watcher=$!
exec 3<&-
wait "$child"
code=$?
# A signal ends the wait, not the child.
while kill -0 "$child" 2>/dev/null; do
    wait "$child"
    code=$?
done
# Whoever is told leaves nothing behind, not even this group. The tool removed
# its tree, which belongs to other user ids; keys and the like it forgets.
case $told:${TMPDIR-} in
yes:/tmp/belljar-build-*) rm -rf -- "$TMPDIR" ;;
esac
[ -z "$told" ] || kill -s KILL -- "-$$"
kill -s KILL "$watcher" 2>/dev/null
exit "$code"
