/* The only way out: connects and datagrams of the payload's cgroup. Refuses with
 * ECONNREFUSED at the call itself, so that a refusal never looks like a success;
 * turns the rest to the agent's loopback listener and stub, and remembers where
 * they were meant to go. The host judges every flow again. Fails closed. */

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct endpoint);
	__type(value, __u8);
} direct SEC(".maps"); /* --allow IP:PORT */

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64); /* socket cookie */
	__type(value, struct origin);
} by_cookie SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct endpoint); /* the payload's own end, as the listener sees it */
	__type(value, struct origin);
} by_source SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u16); /* source port */
	__type(value, __u32); /* pid */
} askers SEC(".maps");

/* Where a held thread may connect to, once, when it goes on. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 32768);
	__type(key, __u32); /* thread */
	__type(value, struct endpoint);
} ways SEC(".maps");

#define SYNTHETIC_NET 0xc6120000 /* 198.18.0.0/15: stands for names */
#define SYNTHETIC_MASK 0xfffe0000
#define LOOPBACK_NET 0x7f000000
#define LOOPBACK_MASK 0xff000000

enum route { ROUTE_REFUSE, ROUTE_PASS, ROUTE_RELAY, ROUTE_STUB };

static __always_inline enum route route4(__u32 ip, __u16 port, __u32 type)
{
	__u32 host = bpf_ntohl(ip);
	if (port == 53)
		return ROUTE_STUB;
	if ((host & LOOPBACK_MASK) == LOOPBACK_NET || host == 0)
		return ROUTE_PASS; /* inside the guest */
	if ((host & SYNTHETIC_MASK) == SYNTHETIC_NET)
		/* getaddrinfo connects a datagram socket to learn its own address:
		 * the stub takes it, and reads nothing but questions. */
		return type == SOCK_STREAM ? ROUTE_RELAY : ROUTE_STUB;
	struct endpoint e = { .ip = { ip }, .port = port, .family = AF_INET };
	if (type == SOCK_STREAM && bpf_map_lookup_elem(&direct, &e))
		return ROUTE_RELAY;
	return ROUTE_REFUSE;
}

static __always_inline enum route route6(const __u32 *ip, __u16 port, __u32 type)
{
	if (!ip[0] && !ip[1] && ip[2] == bpf_htonl(0xffff))
		return route4(ip[3], port, type);
	if (port == 53)
		return ROUTE_STUB;
	if (!ip[0] && !ip[1] && !ip[2] && (ip[3] == bpf_htonl(1) || !ip[3]))
		return ROUTE_PASS;
	struct endpoint e = { .ip = { ip[0], ip[1], ip[2], ip[3] }, .port = port, .family = AF_INET6 };
	if (type == SOCK_STREAM && bpf_map_lookup_elem(&direct, &e))
		return ROUTE_RELAY;
	return ROUTE_REFUSE;
}

static __always_inline int refuse(void)
{
	bpf_set_retval(-ECONNREFUSED);
	return 0;
}

static __always_inline void remember(struct bpf_sock_addr *c, struct endpoint *to)
{
	__u64 cookie = bpf_get_socket_cookie(c), id = bpf_get_current_pid_tgid();
	struct origin o = { .to = *to, .pid = id >> 32, .tid = id };
	bpf_map_update_elem(&by_cookie, &cookie, &o, BPF_ANY);
}

/* Where connects are held, each needs the yes that it was given, for this very address. */
static __always_inline enum route approved(enum route way, struct endpoint *to, __u32 type)
{
	if (!(held_ops & (1 << OP_CONNECT)) || type != SOCK_STREAM ||
	    (way != ROUTE_RELAY && way != ROUTE_REFUSE))
		return way;
	__u32 tid = bpf_get_current_pid_tgid();
	struct endpoint *may = bpf_map_lookup_elem(&ways, &tid);
	if (!may || may->port != to->port || may->family != to->family || may->ip[0] != to->ip[0] ||
	    may->ip[1] != to->ip[1] || may->ip[2] != to->ip[2] || may->ip[3] != to->ip[3])
		return ROUTE_REFUSE;
	bpf_map_delete_elem(&ways, &tid);
	return ROUTE_RELAY;
}

static __always_inline int turn4(struct bpf_sock_addr *c, int connecting)
{
	__u16 port = bpf_ntohs(c->user_port);
	__u32 ip = c->user_ip4;
	struct endpoint to = { .ip = { ip }, .port = port, .family = AF_INET };
	enum route way = approved(route4(ip, port, c->type), &to, c->type);
	if (way == ROUTE_PASS)
		return 1;
	if (way == ROUTE_REFUSE || (!connecting && way != ROUTE_STUB))
		return refuse();
	remember(c, &to);
	c->user_ip4 = bpf_htonl(0x7f000001);
	c->user_port = bpf_htons(way == ROUTE_RELAY ? PORT_RELAY : PORT_STUB);
	return 1;
}

static __always_inline int turn6(struct bpf_sock_addr *c, int connecting)
{
	__u16 port = bpf_ntohs(c->user_port);
	__u32 ip[4] = { c->user_ip6[0], c->user_ip6[1], c->user_ip6[2], c->user_ip6[3] };
	struct endpoint to = { .ip = { ip[0], ip[1], ip[2], ip[3] }, .port = port, .family = AF_INET6 };
	enum route way = approved(route6(ip, port, c->type), &to, c->type);
	if (way == ROUTE_PASS)
		return 1;
	if (way == ROUTE_REFUSE || (!connecting && way != ROUTE_STUB))
		return refuse();
	remember(c, &to);
	/* An IPv4-mapped destination stays one: the socket may be bound to IPv4. */
	int mapped = !ip[0] && !ip[1] && ip[2] == bpf_htonl(0xffff);
	c->user_ip6[0] = 0;
	c->user_ip6[1] = 0;
	c->user_ip6[2] = mapped ? bpf_htonl(0xffff) : 0;
	c->user_ip6[3] = mapped ? bpf_htonl(0x7f000001) : bpf_htonl(1);
	c->user_port = bpf_htons(way == ROUTE_RELAY ? PORT_RELAY : PORT_STUB);
	return 1;
}

/* Puts the meant address back where the payload asks for its peer. */
static __always_inline int restore4(struct bpf_sock_addr *c)
{
	__u64 cookie = bpf_get_socket_cookie(c);
	struct origin *o = bpf_map_lookup_elem(&by_cookie, &cookie);
	if (o && o->to.family == AF_INET) {
		c->user_ip4 = o->to.ip[0];
		c->user_port = bpf_htons(o->to.port);
	}
	return 1;
}

static __always_inline int restore6(struct bpf_sock_addr *c)
{
	__u64 cookie = bpf_get_socket_cookie(c);
	struct origin *o = bpf_map_lookup_elem(&by_cookie, &cookie);
	if (o && o->to.family == AF_INET6) {
		c->user_ip6[0] = o->to.ip[0];
		c->user_ip6[1] = o->to.ip[1];
		c->user_ip6[2] = o->to.ip[2];
		c->user_ip6[3] = o->to.ip[3];
		c->user_port = bpf_htons(o->to.port);
	}
	return 1;
}

SEC("cgroup/connect4") int connect4(struct bpf_sock_addr *c) { return turn4(c, 1); }
SEC("cgroup/connect6") int connect6(struct bpf_sock_addr *c) { return turn6(c, 1); }

static __always_inline void ask_from(struct bpf_sock_addr *c)
{
	struct bpf_sock *sk = c->sk;
	if (!sk)
		return;
	__u16 port = sk->src_port;
	__u32 pid = bpf_get_current_pid_tgid() >> 32;
	bpf_map_update_elem(&askers, &port, &pid, BPF_ANY);
}

SEC("cgroup/sendmsg4") int sendmsg4(struct bpf_sock_addr *c)
{
	ask_from(c);
	return turn4(c, 0);
}
SEC("cgroup/sendmsg6") int sendmsg6(struct bpf_sock_addr *c)
{
	ask_from(c);
	return turn6(c, 0);
}
SEC("cgroup/recvmsg4") int recvmsg4(struct bpf_sock_addr *c)
{
	return c->user_port == bpf_htons(PORT_STUB) ? restore4(c) : 1;
}
SEC("cgroup/recvmsg6") int recvmsg6(struct bpf_sock_addr *c)
{
	return c->user_port == bpf_htons(PORT_STUB) ? restore6(c) : 1;
}
SEC("cgroup/getpeername4") int getpeername4(struct bpf_sock_addr *c) { return restore4(c); }
SEC("cgroup/getpeername6") int getpeername6(struct bpf_sock_addr *c) { return restore6(c); }

/* The payload's own end of a connection is known only when the SYN goes out. */
SEC("sockops")
int source(struct bpf_sock_ops *o)
{
	if (o->op != BPF_SOCK_OPS_TCP_CONNECT_CB)
		return 1;
	__u64 cookie = bpf_get_socket_cookie(o);
	struct origin *to = bpf_map_lookup_elem(&by_cookie, &cookie);
	if (!to)
		return 1;
	struct endpoint from = { .port = o->local_port };
	if (o->family == AF_INET) {
		from.family = AF_INET;
		from.ip[0] = o->local_ip4;
	} else {
		__u32 mapped = o->local_ip6[2];
		__u32 last = o->local_ip6[3];
		if (!o->local_ip6[0] && !o->local_ip6[1] && mapped == bpf_htonl(0xffff)) {
			from.family = AF_INET;
			from.ip[0] = last;
		} else {
			from.family = AF_INET6;
			from.ip[0] = o->local_ip6[0];
			from.ip[1] = o->local_ip6[1];
			from.ip[2] = mapped;
			from.ip[3] = last;
		}
	}
	struct origin copy = *to;
	bpf_map_update_elem(&by_source, &from, &copy, BPF_ANY);
	return 1;
}

static __always_inline void note_asker(struct record *r, struct task_struct *t)
{
	struct sock *sk = sock_of(file_of(t, r->args[0]));
	if (!sk)
		return;
	__u16 port = BPF_CORE_READ(sk, __sk_common.skc_num);
	__u32 pid = r->pid;
	if (port)
		bpf_map_update_elem(&askers, &port, &pid, BPF_ANY);
}

/* Raw, packet, vsock, alg … sockets: ways around everything above. */
SEC("lsm/socket_create")
int BPF_PROG(socket_made, int family, int type, int protocol, int kern)
{
	if (kern || !traced() || family == AF_UNIX)
		return 0;
	type &= 0xf;
	if (family == AF_INET || family == AF_INET6) {
		if (type == SOCK_STREAM && (protocol == 0 || protocol == IPPROTO_TCP))
			return 0;
		if (type == SOCK_DGRAM && (protocol == 0 || protocol == IPPROTO_UDP))
			return 0;
	}
	if (family == AF_NETLINK && protocol == 0)
		return 0;
	return -EACCES;
}

SEC("lsm/userns_create")
int BPF_PROG(userns_made, const void *cred)
{
	return traced() ? -EPERM : 0;
}
