# Serves DIR/www in a network of its own, at an address for documentation, and
# runs the words behind in a network beside it. The server's name is known from
# a private /etc/hosts. usage: stage.sh DIR dumb|smart CMD...
set -e
dir=$1; mode=$2; shift 2
cp /etc/hosts "$dir/hosts"
echo '198.51.100.7 git.example' >> "$dir/hosts"
mount --bind "$dir/hosts" /etc/hosts
ip link set lo up
mkfifo "$dir/hold"
unshare -n sh -c 'echo $$ > "$1/pid"; read -r go < "$1/hold"
ip addr add 198.51.100.7/31 dev bj1; ip link set bj1 up; ip link set lo up
exec python3 "$1/server.py" "$2" "$1/www"' sh "$dir" "$mode" > "$dir/server.log" 2>&1 &
server=$!
while [ ! -s "$dir/pid" ]; do sleep 0.1; done
ip link add bj0 type veth peer name bj1
ip link set bj1 netns "$(cat "$dir/pid")"
ip addr add 198.51.100.6/31 dev bj0
ip link set bj0 up
echo go > "$dir/hold"
while ! python3 -c 'import socket; socket.create_connection(("198.51.100.7", 80), 1)' 2>/dev/null; do sleep 0.2; done
status=0
"$@" || status=$?
kill "$(cat "$dir/pid")"
wait $server || true
exit $status
