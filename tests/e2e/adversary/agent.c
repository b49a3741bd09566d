#include "tricks.h"

/* Whoever watches is to be stopped, blinded or played. */
static long opened(const char *path, int flags) { return and_close(open(path, flags)); }

static long written(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	if (fd < 0)
		return -1;
	long r = write(fd, text, strlen(text));
	int e = errno;
	close(fd);
	errno = e;
	return r;
}

/* A service at a port of the agent's. */
static long served(int family, int kind, int port, int any)
{
	int s = socket(family, kind, 0), one = 1;
	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	setsockopt(s, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 b = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	a.sin_addr.s_addr = any ? 0 : htonl(INADDR_LOOPBACK);
	b.sin6_addr = any ? in6addr_any : in6addr_loopback;
	long r = bind(s, family == AF_INET ? (void *)&a : (void *)&b, family == AF_INET ? sizeof a : sizeof b);
	if (!r && kind == SOCK_STREAM)
		r = listen(s, 1);
	int e = errno;
	close(s);
	errno = e;
	return r;
}

static long first_in_line(void)
{
	struct sched_param p = { .sched_priority = 99 };
	return sched_setscheduler(0, SCHED_FIFO, &p);
}

void agent(void)
{
	snprintf(part, sizeof part, "agent:");
	CASE("stop", kill(1, SIGSTOP));
	CASE("kill", kill(1, SIGKILL));
	CASE("term", kill(1, SIGTERM));
	CASE("continue-all", kill(-1, SIGCONT));
	CASE("tgkill", syscall(SYS_tgkill, 1, 1, SIGSTOP));
	CASE("queue", sigqueue(1, SIGKILL, (union sigval){ 0 }));
	CASE("pidfd", syscall(SYS_pidfd_send_signal, syscall(SYS_pidfd_open, 1, 0), SIGKILL, 0, 0));
	CASE("priority", setpriority(PRIO_PROCESS, 1, 19));
	CASE("own-priority", setpriority(PRIO_PROCESS, 0, -20));
	CASE("realtime", first_in_line());
	cpu_set_t one;
	CPU_ZERO(&one);
	CPU_SET(0, &one);
	CASE("affinity", sched_setaffinity(1, sizeof one, &one));
	struct rlimit none = { 0, 0 };
	CASE("limits", prlimit(1, RLIMIT_NOFILE, &none, 0));
	CASE("ioprio", syscall(SYS_ioprio_set, 1, 1, 3 << 13));
	CASE("mem", opened("/proc/1/mem", O_RDWR));
	CASE("environ", opened("/proc/1/environ", O_RDONLY));
	CASE("maps", opened("/proc/1/maps", O_RDONLY));
	CASE("root", opened("/proc/1/root/etc/passwd", O_RDONLY));
	CASE("cwd", opened("/proc/1/cwd/etc/passwd", O_RDONLY));
	CASE("exe", opened("/proc/1/exe", O_RDONLY));
	CASE("fd", opened("/proc/1/fd/3", O_RDWR));
	CASE("oom", written("/proc/1/oom_score_adj", "1000"));
	CASE("own-oom", written("/proc/self/oom_score_adj", "-1000"));
	CASE("sysrq", written("/proc/sysrq-trigger", "c"));
	CASE("sysctl", written("/proc/sys/kernel/unprivileged_bpf_disabled", "0"));
	CASE("core-pattern", written("/proc/sys/kernel/core_pattern", "|/tmp/x"));
	CASE("kcore", opened("/proc/kcore", O_RDONLY));
	CASE("dev-mem", opened("/dev/mem", O_RDWR));
	CASE("disk", opened("/dev/vda", O_RDONLY));
	CASE("channel", opened("/dev/vport0p1", O_RDWR));
	CASE("channel-2", opened("/dev/virtio-ports/belljar.0", O_RDWR));
	CASE("serial", opened("/dev/ttyS0", O_RDWR));
	CASE("make-disk", mknod("/tmp/vda", S_IFBLK | 0666, 254 << 8));
	CASE("make-channel", mknod("/tmp/vport", S_IFCHR | 0666, 248 << 8 | 1));
	CASE("bpf-folder", opened("/sys/fs/bpf/opened", O_RDONLY));
	CASE("cgroups", written("/sys/fs/cgroup/cgroup.procs", "0"));
	CASE("security", opened("/sys/kernel/security/lsm", O_RDONLY));
	CASE("tracing", opened("/sys/kernel/tracing/trace", O_RDONLY));
	CASE("sysfs", written("/sys/kernel/mm/transparent_hugepage/enabled", "never"));
	CASE("preload", opened("/etc/ld.so.preload", O_CREAT | O_WRONLY));
	CASE("init", opened("/init", O_WRONLY | O_CREAT));
	CASE("relay-port", served(AF_INET, SOCK_STREAM, 9040, 0));
	CASE("relay-port-any", served(AF_INET, SOCK_STREAM, 9040, 1));
	CASE("relay-port-6", served(AF_INET6, SOCK_STREAM, 9040, 0));
	CASE("stub-port", served(AF_INET, SOCK_DGRAM, 5353, 0));
	CASE("stub-port-any", served(AF_INET, SOCK_DGRAM, 5353, 1));
	CASE("stub-port-6", served(AF_INET6, SOCK_DGRAM, 5353, 0));
	CASE("stub-port-stream", served(AF_INET, SOCK_STREAM, 5353, 0));
	CASE("dns-port", served(AF_INET, SOCK_DGRAM, 53, 0));
}
