# Two namespaces with a link between them; the words behind the folder run in the first.
set -e
dir=$1; shift
ip link set lo up
unshare -n sleep 900 &
peer=$!
trap 'kill $peer $server 2>/dev/null' EXIT
while [ "$(readlink /proc/$peer/ns/net)" = "$(readlink /proc/self/ns/net)" ]; do sleep 0.1; done
ip link add up0 type veth peer name up1 netns $peer
ip addr add 198.51.100.1/24 dev up0
ip -6 addr add 2001:db8::1/64 dev up0 nodad
ip link set up0 up
nsenter -t $peer -n sh -c 'ip link set lo up; ip addr add 198.51.100.7/24 dev up1
ip -6 addr add 2001:db8::7/64 dev up1 nodad; ip link set up1 up'
printf '127.0.0.1 localhost\n198.51.100.7 upload.example other.example single.example\n' > "$dir/hosts"
: > "$dir/resolv.conf"
mount --bind "$dir/hosts" /etc/hosts
if [ -e /etc/resolv.conf ]; then mount --bind "$dir/resolv.conf" /etc/resolv.conf; fi
nsenter -t $peer -n python3 "$dir/server.py" "$dir" &
server=$!
while [ ! -e "$dir/ready" ]; do sleep 0.1; done
status=0
"$@" || status=$?
exit $status
