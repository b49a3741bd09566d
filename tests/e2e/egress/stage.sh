# Two namespaces with a link between them; the words behind the folder run in the first.
set -e
dir=$1; shift
ip link set lo up
unshare -n sleep 900 &
peer=$!
trap 'kill $peer $server $own 2>/dev/null' EXIT
while [ "$(readlink /proc/$peer/ns/net)" = "$(readlink /proc/self/ns/net)" ]; do sleep 0.1; done
ip link add up0 type veth peer name up1 netns $peer
ip addr add 198.51.100.1/24 dev up0
ip -6 addr add 2001:db8::1/64 dev up0 nodad
ip link set up0 up
nsenter -t $peer -n sh -c 'ip link set lo up; ip addr add 198.51.100.7/24 dev up1
ip -6 addr add 2001:db8::7/64 dev up1 nodad; ip link set up1 up'
cat > "$dir/hosts" <<END
127.0.0.1 localhost loop.example
198.51.100.7 upload.example other.example single.example mixed.example
10.11.12.13 inner.example mixed.example
198.51.100.1 self.example
169.254.169.254 meta.example
END
: > "$dir/resolv.conf"
mount --bind "$dir/hosts" /etc/hosts
if [ -e /etc/resolv.conf ]; then mount --bind "$dir/resolv.conf" /etc/resolv.conf; fi
nsenter -t $peer -n python3 "$dir/server.py" "$dir" &
server=$!
# What listens on this side must never hear anything: names may lead here, flows not.
python3 -c 'import socket, sys
server = socket.create_server(("0.0.0.0", 81)); open(sys.argv[1] + "/own-ready", "w").close()
while True: server.accept(); open(sys.argv[1] + "/own-heard", "w").close()' "$dir" &
own=$!
while [ ! -e "$dir/ready" ] || [ ! -e "$dir/own-ready" ]; do sleep 0.1; done
status=0
"$@" || status=$?
exit $status
