#include "tricks.h"

/* A program that may not run, by every way to run one. 99: it never came back. */
static char barred[PATH_MAX];
static char *words[] = { "x", 0 }, *nothing[] = { 0 };

static long plain(void) { return execve(barred, words, nothing); }
static long by_folder(void) { return syscall(SYS_execveat, open(at("no-exec"), O_PATH), "prog", words, nothing, 0); }
static long by_name_only(void) { return syscall(SYS_execveat, open(barred, O_PATH), "", words, nothing, AT_EMPTY_PATH); }
static long by_open_file(void) { return fexecve(open(barred, O_RDONLY), words, nothing); }
static long by_link(void) { return execve(at("exec-link"), words, nothing); }

static long by_magic(void)
{
	char name[64];
	snprintf(name, sizeof name, "/proc/self/fd/%d", open(barred, O_PATH));
	return execve(name, words, nothing);
}

/* The agent's own /proc/self is another one than ours. */
static long by_link_to_magic(void)
{
	char name[64];
	snprintf(name, sizeof name, "/proc/self/fd/%d", open(barred, O_PATH));
	unlink(at("to-magic"));
	symlink(name, at("to-magic"));
	return execve(at("to-magic"), words, nothing);
}

static int in_memory(const char *text)
{
	int fd = syscall(SYS_memfd_create, "m", 0);
	if (text)
		write(fd, text, strlen(text));
	else {
		char block[65536];
		long n, from = open("/bin/true", O_RDONLY);
		while ((n = read(from, block, sizeof block)) > 0)
			write(fd, block, n);
	}
	return fd;
}

static long memory(void) { return syscall(SYS_execveat, in_memory(0), "", words, nothing, AT_EMPTY_PATH); }

static long memory_script(void)
{
	char line[PATH_MAX], name[64];
	snprintf(line, sizeof line, "#!%s\n", barred);
	snprintf(name, sizeof name, "/proc/self/fd/%d", in_memory(line));
	return execve(name, words, nothing);
}

static long script(void) { return execve(at("script"), words, nothing); }
static long script_of_script(void) { return execve(at("script-2"), words, nothing); }

static long by_vfork(void)
{
	int e = 0;
	pid_t child = vfork();
	if (!child) {
		execve(barred, words, nothing);
		_exit(errno);
	}
	waitpid(child, &e, 0);
	errno = WEXITSTATUS(e);
	return errno ? -1 : 0;
}

static long by_spawn(void)
{
	pid_t child;
	int r = posix_spawn(&child, barred, 0, 0, words, nothing);
	if (!r) {
		int status;
		waitpid(child, &status, 0);
		return 0;
	}
	errno = r;
	return -1;
}

static void *execute(void *_)
{
	execve(barred, words, nothing);
	_exit(errno);
}

static long by_thread(void)
{
	pthread_t t;
	pthread_create(&t, 0, execute, 0);
	pthread_join(t, 0);
	return 0;
}

static long by_loader(void)
{
	char *loader[] = { "ld", barred, 0 };
	return execve("/lib64/ld-linux-x86-64.so.2", loader, nothing);
}

/* Whoever owns a script can hold up an open of it for 45 seconds. */
static long leased(void)
{
	char *path = at("leased");
	char line[PATH_MAX];
	snprintf(line, sizeof line, "#!%s\n", barred);
	fill(path, line);
	int fd = open(path, O_RDONLY);
	if (fcntl(fd, F_SETLEASE, F_WRLCK) && fcntl(fd, F_SETLEASE, F_RDLCK)) {
		errno = ENOLCK;
		return -1;
	}
	struct timespec from, to;
	clock_gettime(CLOCK_MONOTONIC, &from);
	pid_t child = fork();
	if (!child) { /* holds other calls than the one that waits for the lease */
		execve(barred, words, nothing);
		_exit(errno);
	}
	if (!fork())
		_exit(execve(path, words, nothing));
	int status;
	waitpid(child, &status, 0);
	clock_gettime(CLOCK_MONOTONIC, &to);
	fcntl(fd, F_SETLEASE, F_UNLCK);
	close(fd);
	wait(0);
	errno = to.tv_sec - from.tv_sec > 20 ? ETIMEDOUT : WEXITSTATUS(status);
	return -1;
}

static long by_clone3(void)
{
	struct { unsigned long long words[11]; } a = { { CLONE_NEWUSER } };
	return syscall(SYS_clone3, &a, sizeof a);
}

void programs(void)
{
	char line[PATH_MAX];
	mkdir(at("no-exec"), 0755);
	strcpy(barred, at("no-exec/prog"));
	copy("/bin/true", barred);
	symlink(barred, at("exec-link"));
	snprintf(line, sizeof line, "#!%s\n", barred);
	fill(at("script"), line);
	snprintf(line, sizeof line, "#!%s\n", at("script"));
	fill(at("script-2"), line);
	CASE("exec", apart(plain));
	CASE("exec-by-folder", apart(by_folder));
	CASE("exec-by-name-only", apart(by_name_only));
	CASE("exec-by-open-file", apart(by_open_file));
	CASE("exec-by-link", apart(by_link));
	CASE("exec-by-magic", apart(by_magic));
	CASE("exec-by-link-to-magic", apart(by_link_to_magic));
	CASE("exec-memory", apart(memory));
	CASE("exec-memory-script", apart(memory_script));
	CASE("exec-script", apart(script));
	CASE("exec-script-of-script", apart(script_of_script));
	CASE("exec-vfork", by_vfork());
	CASE("exec-spawn", by_spawn());
	CASE("exec-thread", apart(by_thread));
	CASE("exec-clone3", by_clone3());
	CASE("exec-leased", leased());
	CASE("exec-linked-out", link(barred, at("linked-out")));
	CASE("exec-moved-out", rename(barred, at("moved-out")));
	CASE("exec-by-loader", apart(by_loader));
	/* The same, where the question is asked and nobody answers. */
	mkdir(at("stop"), 0755);
	copy("/bin/true", at("free"));
	strcpy(barred, at("no-such-program"));
	CASE("exec-missing", apart(plain));
	strcpy(barred, at("stop/prog"));
	copy("/bin/true", barred);
	CASE("exec-asked", apart(plain));
	CASE("exec-asked-vfork", by_vfork());
	CASE("exec-asked-spawn", by_spawn());
	CASE("exec-asked-thread", apart(by_thread));
	CASE("exec-asked-link-to-magic", apart(by_link_to_magic));
	CASE("exec-asked-name-only", apart(by_name_only));
	strcpy(barred, at("free"));
	CASE("exec-free", apart(plain));
}
