/* races FOLDER TRIES: while one thread does something to a file that may be
 * changed, another turns the name over to one that may not: the check must never
 * be about one and the deed about the other.
 * Prints RACE NAME won=n done=n refused=n other=n. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static char where[200], mine[PATH_MAX], barred[PATH_MAX], by_link[PATH_MAX], text[PATH_MAX];
static volatile int stop;
static volatile int number; /* the descriptor that is turned over */

static char *at(const char *rest)
{
	static char paths[16][PATH_MAX];
	static __thread int next;
	char *path = paths[next++ & 15];
	snprintf(path, PATH_MAX, "%s/%s", where, rest);
	return path;
}

static void rest(void)
{
	for (volatile int i = 0; i < 200; i++)
		;
}

static void fill(const char *path, const char *with)
{
	int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0755);
	if (fd >= 0) {
		write(fd, with, strlen(with));
		close(fd);
	}
}

static void copy(const char *from, const char *to)
{
	char block[65536];
	long n, in = open(from, O_RDONLY), out = open(to, O_CREAT | O_WRONLY | O_TRUNC, 0755);
	while ((n = read(in, block, sizeof block)) > 0)
		write(out, block, n);
	close(in);
	close(out);
}

/* How the name is turned over. */
static void *by_memory(void *_)
{
	while (!stop) {
		strcpy(text, barred);
		rest();
		strcpy(text, mine);
		rest();
	}
	return 0;
}

static void *by_symlink(void *_)
{
	char next[PATH_MAX];
	snprintf(next, sizeof next, "%s.next", by_link);
	for (int i = 0; !stop; i++) {
		unlink(next);
		symlink(i & 1 ? mine : barred, next);
		rename(next, by_link);
		rest();
	}
	return 0;
}


static void *by_folder(void *_)
{
	char *a = strdup(at("pass")), *b = strdup(at("stop"));
	while (!stop) {
		chdir(b);
		rest();
		chdir(a);
		rest();
	}
	return 0;
}

static void *by_descriptor(void *_)
{
	int a = open(mine, O_PATH), b = open(barred, O_PATH);
	while (!stop) {
		dup2(b, number);
		rest();
		dup2(a, number);
		rest();
	}
	return 0;
}

/* A file that is open for writing is not executed, so the scripts change places. */
static void *by_script(void *_)
{
	char line[PATH_MAX], *ways[2] = { strdup(at("turn/good")), strdup(at("turn/bad")) }, *next = strdup(at("turn/next")),
			     *script = strdup(at("turn/script"));
	for (int i = 0; i < 2; i++) {
		snprintf(line, sizeof line, "#!%s\n", i ? barred : mine);
		fill(ways[i], line);
	}
	for (int i = 0; !stop; i++) {
		link(ways[i & 1], next);
		rename(next, script);
		rest();
	}
	return 0;
}

static int won, done, refused, other;

static void count(long r)
{
	if (r >= 0)
		done++;
	else if (errno == EACCES)
		refused++;
	else
		other++;
}

/* What is done, and whether it reached the barred file. */
static struct stat before;

static int is_barred(const struct stat *s) { return s->st_ino == before.st_ino && s->st_dev == before.st_dev; }

static void try_open(const char *name)
{
	struct stat s;
	int fd = open(name, O_RDWR);
	count(fd);
	if (fd >= 0) {
		fstat(fd, &s);
		won += is_barred(&s);
		close(fd);
	}
}

static void try_open2(const char *name)
{
	struct { unsigned long long flags, mode, resolve; } how = { O_RDWR, 0, 0 };
	struct stat s;
	int fd = syscall(SYS_openat2, AT_FDCWD, name, &how, sizeof how);
	count(fd);
	if (fd >= 0) {
		fstat(fd, &s);
		won += is_barred(&s);
		close(fd);
	}
}

static void try_read(const char *name)
{
	struct stat s;
	int fd = open(name, O_RDONLY);
	count(fd);
	if (fd >= 0) {
		fstat(fd, &s);
		won += is_barred(&s);
		close(fd);
	}
}

static void try_create(const char *name)
{
	int fd = open(name, O_CREAT | O_WRONLY, 0644);
	struct stat s;
	count(fd);
	if (fd >= 0)
		close(fd);
	won += !stat(barred, &s);
	unlink(mine);
}

static void try_truncate(const char *name)
{
	struct stat s;
	count(truncate(name, 0));
	stat(barred, &s);
	won += s.st_size == 0;
}

static void try_unlink(const char *name)
{
	struct stat s;
	long r = unlink(name);
	count(r);
	won += !!stat(barred, &s);
	if (!r && strcmp(name, by_link))
		fill(mine, "mine");
}

static void try_rename(const char *name)
{
	struct stat s;
	long r = rename(name, at("turn/moved"));
	count(r);
	won += !!stat(barred, &s);
	if (!r)
		rename(at("turn/moved"), mine);
}

static void try_chmod(const char *name)
{
	struct stat s;
	count(chmod(name, 0640));
	stat(barred, &s);
	won += (s.st_mode & 0777) == 0640;
}

static void try_link(const char *name)
{
	struct stat s;
	count(linkat(AT_FDCWD, name, AT_FDCWD, at("turn/linked"), AT_SYMLINK_FOLLOW));
	won += !stat(at("turn/linked"), &s) && is_barred(&s);
	unlink(at("turn/linked"));
}

static void try_exec(const char *name)
{
	char *words[] = { "x", 0 }, *nothing[] = { 0 };
	int status = 0;
	pid_t child = vfork();
	if (!child) {
		execve(name, words, nothing);
		_exit(errno == EACCES ? 99 : 98);
	}
	waitpid(child, &status, 0);
	status = WIFEXITED(status) ? WEXITSTATUS(status) : 98;
	won += status == 7;
	done += status == 0;
	refused += status == 99;
	other += status == 98;
}

static void try_exec_fd(const char *_)
{
	char *words[] = { "x", 0 }, *nothing[] = { 0 };
	int status = 0;
	pid_t child = vfork();
	if (!child) {
		syscall(SYS_execveat, number, "", words, nothing, AT_EMPTY_PATH);
		_exit(errno == EACCES ? 99 : 98);
	}
	waitpid(child, &status, 0);
	status = WIFEXITED(status) ? WEXITSTATUS(status) : 98;
	won += status == 7;
	done += status == 0;
	refused += status == 99;
	other += status == 98;
}

static volatile struct sockaddr_in far;

static void *by_address(void *_)
{
	while (!stop) {
		far.sin_addr.s_addr = inet_addr("198.51.100.7");
		rest();
		far.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		rest();
	}
	return 0;
}

/* A connect inside is let through, one out of the guest is not. */
static void try_connect(const char *_)
{
	struct sockaddr_in peer = { 0 };
	socklen_t n = sizeof peer;
	int s = socket(AF_INET, SOCK_STREAM, 0);
	long r = connect(s, (void *)&far, sizeof far);
	if (r && errno == ECONNREFUSED)
		refused++;
	else if (r)
		other++;
	else {
		done++;
		getpeername(s, (void *)&peer, &n);
		won += peer.sin_addr.s_addr != htonl(INADDR_LOOPBACK);
	}
	close(s);
}

static void race(const char *name, const char *good, const char *bad, void *(*turn)(void *), void (*attempt)(const char *),
		 const char *use, int tries)
{
	pthread_t t;
	snprintf(mine, sizeof mine, "%s", at(good));
	snprintf(barred, sizeof barred, "%s", at(bad));
	snprintf(by_link, sizeof by_link, "%s", at("turn/l"));
	strcpy(text, mine);
	unlink(by_link);
	symlink(mine, by_link);
	memset(&before, 0, sizeof before);
	stat(barred, &before);
	stop = won = done = refused = other = 0;
	number = open(mine, O_PATH);
	pthread_create(&t, 0, turn, 0);
	/* Longer, if the other thread did not come to turn anything meanwhile. */
	for (int i = 0; i < tries || ((!done || !refused) && i < tries * 50); i++)
		attempt(use);
	stop = 1;
	pthread_join(t, 0);
	close(number);
	printf("RACE %s %s won=%d done=%d refused=%d other=%d\n", strcmp(where, "/tmp") ? "root" : "tmp", name, won, done,
	       refused, other);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	int n = atoi(argv[2]);
	snprintf(where, sizeof where, "%s", argv[1]);
	int here = strcmp(where, "/tmp") != 0; /* only there the barred file can be written beforehand */
	for (char **name = (char *[]){ "pass", "stop", "turn", "no-read", 0 }; *name; name++)
		mkdir(at(*name), 0755);
	copy(argv[3], at("pass/a"));
	copy(argv[4], at("stop/b"));
	for (char **name = (char *[]){ "pass/f", "pass/c", "stop/u", "stop/r", "stop/m", "stop/k", "no-read/f", "turn/g", 0 }; *name; name++)
		fill(at(*name), "text");
	fill(at("turn/script"), "#!/bin/true\n");
	char *link = strdup(at("turn/l")), *script = strdup(at("turn/script"));
	/* The kernel by itself: cheap. */
	race("read-by-memory", "turn/g", "no-read/f", by_memory, try_read, text, n * 10);
	race("read-by-symlink", "turn/g", "no-read/f", by_symlink, try_read, link, n * 10);
	/* Held, and the host decides each time. */
	if (here) {
		race("open-by-memory", "pass/f", "stop/f", by_memory, try_open, text, n);
		race("open2-by-memory", "pass/f", "stop/f", by_memory, try_open2, text, n);
		race("open-by-symlink", "pass/f", "stop/f", by_symlink, try_open, link, n);
		race("open-by-folder", "pass/f", "stop/f", by_folder, try_open, "f", n);
		race("truncate-by-memory", "pass/f", "stop/f", by_memory, try_truncate, text, n);
	} else {
		race("create-by-memory", "pass/new", "stop/new", by_memory, try_create, text, n);
		race("create-by-symlink", "pass/new", "stop/new", by_symlink, try_create, link, n);
		race("create-by-folder", "pass/new", "stop/new", by_folder, try_create, "new", n);
	}
	chdir("/");
	race("unlink-by-memory", "pass/c", "stop/u", by_memory, try_unlink, text, n);
	race("rename-by-memory", "pass/c", "stop/r", by_memory, try_rename, text, n);
	race("chmod-by-memory", "pass/f", "stop/m", by_memory, try_chmod, text, n);
	race("chmod-by-symlink", "pass/f", "stop/m", by_symlink, try_chmod, link, n);
	race("link-by-memory", "pass/f", "stop/k", by_memory, try_link, text, n);
	race("exec-by-memory", "pass/a", "stop/b", by_memory, try_exec, text, n / 2);
	race("exec-by-symlink", "pass/a", "stop/b", by_symlink, try_exec, link, n / 2);
	race("exec-by-descriptor", "pass/a", "stop/b", by_descriptor, try_exec_fd, 0, n / 2);
	race("exec-by-script", "pass/a", "stop/b", by_script, try_exec, script, n / 2);
	if (here) {
		int l = socket(AF_INET, SOCK_STREAM, 0);
		struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(7777) };
		bind(l, (void *)&a, sizeof a);
		listen(l, 4096);
		pid_t server = fork();
		if (!server)
			for (;;)
				close(accept(l, 0, 0));
		memcpy((void *)&far, &a, sizeof a);
		race("connect-by-memory", "pass/a", "stop/b", by_address, try_connect, 0, n * 5);
		kill(server, SIGKILL);
	}
	return 0;
}
