/* What all parts share: a case is announced by an open of a path that is not
 * there, which is recorded, so that the trace tells which events are whose. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

extern char part[32]; /* stands before the names of cases */

static void begin(const char *name)
{
	char mark[PATH_MAX];
	snprintf(mark, sizeof mark, "/case/%s%s", part, name);
	open(mark, O_RDONLY);
	errno = 0;
}

static void told(const char *name, const char *answer)
{
	printf("CASE %s%s %s\n", part, name, answer);
	fflush(stdout);
}

static void say(const char *name, long result)
{
	told(name, result >= 0 ? "OK" : strerrorname_np(errno) ? strerrorname_np(errno) : "?");
}

#define CASE(name, expression) \
	do { \
		begin(name); \
		say(name, (long)(expression)); \
	} while (0)

/* The answer of a function that runs in a child: 0, or its errno. */
static long apart(long (*what)(void))
{
	pid_t child = fork();
	if (!child) {
		errno = 0;
		long r = what();
		_exit(r < 0 ? errno & 127 : 0);
	}
	int status = 0;
	if (child < 0 || waitpid(child, &status, 0) < 0)
		return -1;
	if (WIFSIGNALED(status)) {
		errno = EINTR;
		return -1;
	}
	errno = WEXITSTATUS(status);
	return errno ? -1 : 0;
}

/* What a child died of. */
static void death(const char *name, void (*what)(void))
{
	begin(name);
	pid_t child = fork();
	if (!child) {
		what();
		_exit(0);
	}
	int status = 0;
	waitpid(child, &status, 0);
	told(name, WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS ? "SIGSYS" : WIFSIGNALED(status) ? "DIED" : "LIVED");
}

static long and_close(long fd)
{
	if (fd >= 0)
		close(fd);
	return fd;
}

extern char where[256]; /* the folder that is tried: of the overlay root, or of a tmpfs */

static char *at(const char *rest)
{
	static char paths[8][PATH_MAX];
	static int next;
	char *path = paths[next++ & 7];
	snprintf(path, PATH_MAX, "%s/%s", where, rest);
	return path;
}

static void fill(const char *path, const char *text)
{
	int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0755);
	if (fd >= 0) {
		write(fd, text, strlen(text));
		close(fd);
	}
}

static long copy(const char *from, const char *to)
{
	char block[65536];
	long n, in = open(from, O_RDONLY), out = open(to, O_CREAT | O_WRONLY | O_TRUNC, 0755);
	while (in >= 0 && out >= 0 && (n = read(in, block, sizeof block)) > 0)
		if (write(out, block, n) != n)
			break;
	close(in);
	return and_close(out);
}

void files(void), programs(void), calls(void), network(void), agent(void), signals(void);
