#include "tricks.h"
#include <netinet/tcp.h>

union addr { struct sockaddr any; struct sockaddr_in v4; struct sockaddr_in6 v6; struct sockaddr_un un; };

static socklen_t to(union addr *a, const char *ip, int port)
{
	memset(a, 0, sizeof *a);
	if (strchr(ip, ':')) {
		a->v6.sin6_family = AF_INET6, a->v6.sin6_port = htons(port);
		inet_pton(AF_INET6, ip, &a->v6.sin6_addr);
		return sizeof a->v6;
	}
	a->v4.sin_family = AF_INET, a->v4.sin_port = htons(port);
	inet_pton(AF_INET, ip, &a->v4.sin_addr);
	return sizeof a->v4;
}

static long kept(int s, long r)
{
	int e = errno;
	close(s);
	errno = e;
	return r;
}

static long dial(int family, int kind, const char *ip, int port)
{
	union addr a;
	socklen_t n = to(&a, ip, port);
	int s = socket(family, kind, 0);
	return s < 0 ? -1 : kept(s, connect(s, &a.any, n));
}

static long fast(int family, const char *ip, int by_message)
{
	union addr a;
	socklen_t n = to(&a, ip, 443);
	int s = socket(family, SOCK_STREAM, 0);
	struct iovec v = { "x", 1 };
	struct msghdr m = { .msg_name = &a, .msg_namelen = n, .msg_iov = &v, .msg_iovlen = 1 };
	return kept(s, by_message ? sendmsg(s, &m, MSG_FASTOPEN) : sendto(s, "x", 1, MSG_FASTOPEN, &a.any, n));
}

static long fast_connect(void)
{
	union addr a;
	socklen_t n = to(&a, "198.51.100.7", 443);
	int s = socket(AF_INET, SOCK_STREAM, 0), one = 1;
	setsockopt(s, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &one, sizeof one);
	return kept(s, connect(s, &a.any, n));
}

static long datagram(int family, const char *ip, int port, int how)
{
	union addr a;
	socklen_t n = to(&a, ip, port);
	int s = socket(family, SOCK_DGRAM, 0);
	struct iovec v = { "x", 1 };
	struct mmsghdr m[1] = { { { .msg_name = &a, .msg_namelen = n, .msg_iov = &v, .msg_iovlen = 1 } } };
	return kept(s, how == 0 ? sendto(s, "x", 1, 0, &a.any, n) : how == 1 ? sendmsg(s, &m[0].msg_hdr, 0) : sendmmsg(s, m, 1, 0));
}

/* Connected to what is allowed, and then sent elsewhere. */
static long sent_elsewhere(void)
{
	union addr a;
	int s = socket(AF_INET, SOCK_DGRAM, 0);
	socklen_t n = to(&a, "127.0.0.1", 9);
	connect(s, &a.any, n);
	n = to(&a, "198.51.100.7", 9);
	return kept(s, sendto(s, "x", 1, 0, &a.any, n));
}

/* Away from the first peer, to another. */
static long dissolved(void)
{
	union addr a, none = { .any.sa_family = AF_UNSPEC };
	int s = socket(AF_INET, SOCK_DGRAM, 0);
	socklen_t n = to(&a, "127.0.0.1", 9);
	connect(s, &a.any, n);
	connect(s, &none.any, sizeof none.any);
	n = to(&a, "198.51.100.7", 9);
	return kept(s, connect(s, &a.any, n));
}

/* What no resolver would understand, to a resolver that is none of ours: it
 * arrives at the stub, which answers nothing. */
static long smuggled(void)
{
	union addr a;
	socklen_t n = to(&a, "198.51.100.53", 53);
	int s = socket(AF_INET, SOCK_DGRAM, 0);
	struct timeval patience = { 2, 0 };
	char answer[64], secret[] = "\1\2secretsecretsecret";
	setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	sendto(s, secret, 12, 0, &a.any, n);
	return kept(s, recv(s, answer, sizeof answer, 0));
}

/* A lookup over a connection; 3 is "no such name". */
static long lookup_by_stream(void)
{
	static const unsigned char asked[] = "\0\x1e\x12\x34\1\0\0\1\0\0\0\0\0\0\4data\7example\0\0\1\0\1";
	unsigned char answer[512];
	union addr a;
	socklen_t n = to(&a, "198.51.100.53", 53);
	int s = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(s, &a.any, n))
		return kept(s, -1);
	write(s, asked, 32);
	long got = recv(s, answer, sizeof answer, 0);
	close(s);
	errno = ENODATA;
	return got > 5 && (answer[5] & 15) == 3 ? 0 : -1;
}

static long made(int family, int kind, int protocol)
{
	int s = socket(family, kind, protocol);
	return s < 0 ? -1 : kept(s, 0);
}

static long paired(int family)
{
	int pair[2];
	return socketpair(family, SOCK_STREAM, 0, pair);
}

static long abstract(int listen_first)
{
	union addr a = { .un = { .sun_family = AF_UNIX, .sun_path = "\0a-name" } };
	socklen_t n = offsetof(struct sockaddr_un, sun_path) + 7;
	int l = socket(AF_UNIX, SOCK_STREAM, 0), s = socket(AF_UNIX, SOCK_STREAM, 0);
	if (listen_first && (bind(l, &a.any, n) || listen(l, 1)))
		return -1;
	long r = connect(s, &a.any, n);
	int e = errno;
	close(l);
	close(s);
	errno = e;
	return r;
}

/* The agent's own listener, as if it had been turned there. */
static long straight_to_relay(void)
{
	union addr a;
	socklen_t n = to(&a, "127.0.0.1", 9040);
	int s = socket(AF_INET, SOCK_STREAM, 0);
	char byte;
	if (connect(s, &a.any, n))
		return kept(s, -1);
	long got = recv(s, &byte, 1, 0);
	errno = got ? errno : ECONNRESET;
	return kept(s, got > 0 ? 0 : -1);
}

/* The peer that a refused socket names, and what it may still send. */
static long sent_after_refusal(void)
{
	union addr a;
	socklen_t n = to(&a, "198.51.100.7", 443);
	int s = socket(AF_INET, SOCK_STREAM, 0);
	connect(s, &a.any, n);
	return kept(s, send(s, "x", 1, MSG_NOSIGNAL));
}

void network(void)
{
	snprintf(part, sizeof part, "net:");
	CASE("tcp", dial(AF_INET, SOCK_STREAM, "198.51.100.7", 443));
	CASE("tcp-53-other-port", dial(AF_INET, SOCK_STREAM, "198.51.100.7", 54));
	CASE("tcp6", dial(AF_INET6, SOCK_STREAM, "2001:db8::7", 443));
	CASE("tcp6-mapped", dial(AF_INET6, SOCK_STREAM, "::ffff:198.51.100.7", 443));
	CASE("tcp-metadata", dial(AF_INET, SOCK_STREAM, "169.254.169.254", 80));
	CASE("tcp-private", dial(AF_INET, SOCK_STREAM, "10.0.2.2", 22));
	CASE("tcp-broadcast", dial(AF_INET, SOCK_STREAM, "255.255.255.255", 80));
	CASE("tcp-stand-in", dial(AF_INET, SOCK_STREAM, "198.18.77.77", 443));
	CASE("tcp-fast", fast(AF_INET, "198.51.100.7", 0));
	CASE("tcp-fast-message", fast(AF_INET, "198.51.100.7", 1));
	CASE("tcp6-fast", fast(AF_INET6, "2001:db8::7", 0));
	CASE("tcp-fast-connect", fast_connect());
	CASE("tcp-after-refusal", sent_after_refusal());
	CASE("udp", datagram(AF_INET, "198.51.100.7", 9, 0));
	CASE("udp-sendmsg", datagram(AF_INET, "198.51.100.7", 9, 1));
	CASE("udp-sendmmsg", datagram(AF_INET, "198.51.100.7", 9, 2));
	CASE("udp6", datagram(AF_INET6, "2001:db8::7", 9, 0));
	CASE("udp6-v4-address", datagram(AF_INET6, "198.51.100.7", 9, 0));
	CASE("udp6-mapped", datagram(AF_INET6, "::ffff:198.51.100.7", 9, 1));
	CASE("udp-broadcast", datagram(AF_INET, "10.0.2.255", 67, 0));
	CASE("udp-multicast", datagram(AF_INET, "224.0.0.251", 5353, 0));
	CASE("udp-connected", dial(AF_INET, SOCK_DGRAM, "198.51.100.7", 9));
	CASE("udp-sent-elsewhere", sent_elsewhere());
	CASE("udp-dissolved", dissolved());
	CASE("dns-smuggled", smuggled());
	CASE("dns-by-stream", lookup_by_stream());
	CASE("relay", straight_to_relay());
	CASE("raw", made(AF_INET, SOCK_RAW, IPPROTO_RAW));
	CASE("raw-udp", made(AF_INET, SOCK_RAW, IPPROTO_UDP));
	CASE("ping", made(AF_INET, SOCK_DGRAM, IPPROTO_ICMP));
	CASE("packet", made(AF_PACKET, SOCK_RAW, 0x300));
	CASE("packet-datagram", made(AF_PACKET, SOCK_DGRAM, 0x300));
	CASE("mptcp", made(AF_INET, SOCK_STREAM, 262));
	CASE("sctp", made(AF_INET, SOCK_STREAM, 132));
	CASE("udplite", made(AF_INET, SOCK_DGRAM, 136));
	CASE("dccp", made(AF_INET, 6, 33));
	CASE("vsock", made(40, SOCK_STREAM, 0));
	CASE("alg", made(38, SOCK_SEQPACKET, 0));
	CASE("xdp", made(44, SOCK_RAW, 0));
	CASE("tipc", made(30, SOCK_STREAM, 0));
	CASE("tipc-pair", paired(30));
	CASE("bluetooth", made(31, SOCK_RAW, 0));
	CASE("can", made(29, SOCK_RAW, 1));
	CASE("netlink-route", made(AF_NETLINK, SOCK_RAW, 0));
	CASE("netlink-audit", made(AF_NETLINK, SOCK_RAW, 9));
	CASE("netlink-uevent", made(AF_NETLINK, SOCK_RAW, 15));
	CASE("netlink-generic", made(AF_NETLINK, SOCK_RAW, 16));
	CASE("netlink-diag", made(AF_NETLINK, SOCK_RAW, 4));
	CASE("unix", paired(AF_UNIX));
	CASE("unix-abstract", abstract(1));
	CASE("unix-abstract-nobody", abstract(0));
}
