#include "tricks.h"

/* A file that may not be read, by every name and every way. */
static char sealed[PATH_MAX], other[PATH_MAX];

static long reads(const char *path, int flags)
{
	return and_close(open(path, flags));
}

static long relative(void)
{
	if (chdir(at("no-read")))
		return -1;
	return reads("f", O_RDONLY);
}

static long by_folder(void)
{
	int folder = open(at("no-read"), O_PATH);
	long r = and_close(openat(folder, "f", O_RDONLY));
	return r;
}

static long by_openat2(void)
{
	struct { unsigned long long flags, mode, resolve; } how = { O_RDONLY, 0, 0x10 /* in root */ };
	int folder = open(at("no-read"), O_PATH);
	return and_close(syscall(SYS_openat2, folder, "/f", &how, sizeof how));
}

static long by_descriptor(int flags)
{
	char name[64];
	snprintf(name, sizeof name, "/proc/self/fd/%d", open(sealed, O_PATH));
	return reads(name, flags);
}

static long by_other_process(const char *what)
{
	char name[PATH_MAX];
	pid_t child = fork();
	if (!child) {
		chdir(where);
		pause();
	}
	usleep(20000);
	snprintf(name, sizeof name, "/proc/%d/%s/%s", child, what, strcmp(what, "cwd") ? sealed + 1 : "no-read/f");
	long r = reads(name, O_RDONLY);
	int e = errno;
	kill(child, SIGKILL);
	waitpid(child, 0, 0);
	errno = e;
	return r;
}

/* The descriptor comes out of another process, by a socket. */
static long passed(void)
{
	int pair[2];
	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	char room[CMSG_SPACE(sizeof(int))] = { 0 }, byte = 0;
	struct iovec v = { &byte, 1 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room };
	if (!fork()) {
		int fd = open(sealed, O_PATH);
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET, c->cmsg_type = SCM_RIGHTS, c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof fd);
		_exit(sendmsg(pair[0], &m, 0) != 1);
	}
	wait(0);
	int fd = -1;
	if (recvmsg(pair[1], &m, 0) != 1)
		return -1;
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof fd);
	char name[64];
	snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
	return reads(name, O_RDONLY);
}

static long moved(int how)
{
	int from = open(sealed, O_PATH), to = open(at("out"), O_CREAT | O_WRONLY, 0644);
	return how == 0 ? sendfile(to, from, 0, 9) : how == 1 ? copy_file_range(from, 0, to, 0, 9, 0)
						   : splice(from, 0, to, 0, 9, 0);
}

static long handle(void)
{
	struct { struct file_handle h; char room[128]; } h = { .h.handle_bytes = 128 };
	int mount;
	if (name_to_handle_at(AT_FDCWD, sealed, &h.h, &mount, 0) && errno == EOPNOTSUPP)
		h.h.handle_bytes = 8;
	return and_close(open_by_handle_at(AT_FDCWD, &h.h, O_RDONLY));
}

static long linked_by_descriptor(void)
{
	char name[64];
	snprintf(name, sizeof name, "/proc/self/fd/%d", open(sealed, O_PATH));
	return linkat(AT_FDCWD, name, AT_FDCWD, at("by-fd"), AT_SYMLINK_FOLLOW);
}

static void reading(void)
{
	char name[PATH_MAX];
	mkdir(at("no-read"), 0755);
	mkdir(at("pass"), 0755);
	fill(at("no-read/f"), "secret");
	fill(at("other"), "own");
	fill(at("own-2"), "own");
	strcpy(sealed, at("no-read/f"));
	strcpy(other, at("other"));
	CASE("read", reads(sealed, O_RDONLY));
	CASE("read-dots", reads(at("pass/../no-read/./f"), O_RDONLY));
	CASE("read-slashes", reads(at("//no-read///f"), O_RDONLY));
	CASE("read-relative", apart(relative));
	CASE("read-both-ways", reads(sealed, O_RDWR));
	CASE("read-emptying", reads(sealed, O_RDONLY | O_TRUNC));
	CASE("read-creating", reads(sealed, O_RDONLY | O_CREAT));
	CASE("read-by-folder", by_folder());
	CASE("read-by-openat2", by_openat2());
	symlink(sealed, at("l1"));
	symlink("l1", at("l2"));
	symlink("no-read", at("lf"));
	CASE("read-by-link", reads(at("l2"), O_RDONLY));
	CASE("read-by-folder-link", reads(at("lf/f"), O_RDONLY));
	CASE("read-name-only", reads(sealed, O_PATH));
	CASE("read-by-descriptor", by_descriptor(O_RDONLY));
	snprintf(name, sizeof name, "/proc/self/root%s", sealed);
	CASE("read-by-root", reads(name, O_RDONLY));
	CASE("read-by-other-root", by_other_process("root"));
	CASE("read-by-other-cwd", by_other_process("cwd"));
	CASE("read-passed", passed());
	CASE("read-sendfile", moved(0));
	CASE("read-copy-range", moved(1));
	CASE("read-splice", moved(2));
	CASE("read-handle", handle());
	CASE("read-hard-link", link(sealed, at("hard")));
	CASE("read-hard-link-by-fd", linked_by_descriptor());
	CASE("read-moved", rename(sealed, at("away")));
	CASE("read-folder-moved", rename(at("no-read"), at("no-read-2")));
	CASE("read-exchanged", syscall(SYS_renameat2, AT_FDCWD, other, AT_FDCWD, sealed, 2));
	CASE("read-exchanged-back", syscall(SYS_renameat2, AT_FDCWD, sealed, AT_FDCWD, other, 2));
	CASE("read-replaced", rename(other, sealed));
	char *words[] = { "x", 0 };
	CASE("read-executed", execv(sealed, words));
	CASE("read-stat", access(sealed, F_OK));
	mkdir(at("bound"), 0755);
	CASE("read-bound", mount(at("no-read"), at("bound"), 0, MS_BIND, 0));
}

static long bound_socket(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
	int s = socket(AF_UNIX, SOCK_STREAM, 0);
	long r = bind(s, (void *)&a, sizeof a);
	int e = errno;
	close(s);
	errno = e;
	return r;
}

/* An access list of the owner, with everything allowed. */
static long listed(const char *path)
{
	static const unsigned char acl[] = { 2, 0, 0, 0, 1, 0, 7, 0, 255, 255, 255, 255, 4, 0, 7, 0, 255, 255, 255, 255,
					     32, 0, 7, 0, 255, 255, 255, 255 };
	return setxattr(path, "system.posix_acl_access", acl, sizeof acl, 0);
}

static long linked_tmpfile(const char *to)
{
	int fd = open(where, O_TMPFILE | O_RDWR, 0644);
	if (fd < 0)
		return fd;
	char name[64];
	snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, name, AT_FDCWD, to, AT_SYMLINK_FOLLOW);
}

static void writing(void)
{
	int here = strcmp(where, "/tmp") != 0;
	mkdir(at("no-write"), 0755);
	CASE("write-new", and_close(open(at("no-write/new"), O_CREAT | O_WRONLY, 0644)));
	CASE("write-left-nothing", access(at("no-write/new"), F_OK));
	CASE("write-folder", mkdir(at("no-write/d"), 0755));
	CASE("write-pipe", mkfifo(at("no-write/p"), 0644));
	CASE("write-link", symlink("/etc/passwd", at("no-write/l")));
	CASE("write-socket", bound_socket(at("no-write/s")));
	CASE("write-hard-link", link(other, at("no-write/h")));
	CASE("write-moved-in", rename(other, at("no-write/m")));
	CASE("write-tmpfile", linked_tmpfile(at("no-write/t")));
	if (here) { /* the file was there from the start */
		char *f = strdup(at("no-write/f"));
		CASE("write", and_close(open(f, O_WRONLY)));
		CASE("write-append", and_close(open(f, O_WRONLY | O_APPEND)));
		CASE("write-both-ways", and_close(open(f, O_RDWR)));
		CASE("write-truncate", truncate(f, 0));
		CASE("write-emptying", and_close(open(f, O_RDONLY | O_TRUNC)));
		CASE("write-unlink", unlink(f));
		CASE("write-moved", rename(f, at("moved")));
		CASE("write-replaced", rename(other, f));
		CASE("write-linked", link(f, at("linked")));
		CASE("write-chmod", chmod(f, 0777));
		CASE("write-fchmod", fchmod(open(f, O_RDONLY), 0777));
		CASE("write-chown", chown(f, -1, getgid()));
		CASE("write-fchown", fchown(open(f, O_RDONLY), -1, getgid()));
		CASE("write-attribute", setxattr(f, "user.x", "y", 1, 0));
		CASE("write-access-list", listed(f));
		CASE("write-mapped", mmap(0, 4096, PROT_WRITE, MAP_SHARED, open(f, O_RDONLY), 0) == MAP_FAILED ? -1 : 0);
		struct stat s;
		stat(f, &s);
		CASE("write-kept", s.st_size == 5 && (s.st_mode & 0777) != 0777 ? 0 : -1);
	}
	mkdir(at("no-chmod"), 0755);
	char *c = strdup(at("no-chmod/f"));
	fill(c, "x");
	CASE("chmod", chmod(c, 0777));
	CASE("chmod-setuid", chmod(c, 04755));
	CASE("chmod-by-fd", fchmod(open(c, O_RDONLY), 0777));
	CASE("chmod-at", fchmodat(AT_FDCWD, c, 0777, 0));
	CASE("chmod-access-list", listed(c));
	CASE("chmod-access-list-gone", removexattr(c, "system.posix_acl_access"));
}

/* Nobody can be asked, so each is refused. */
static void asking(void)
{
	int here = strcmp(where, "/tmp") != 0;
	if (here) {
		char *f = strdup(at("ask-write/f"));
		CASE("ask-write", and_close(open(f, O_WRONLY)));
		CASE("ask-emptying", and_close(open(f, O_RDONLY | O_TRUNC)));
		CASE("ask-truncate", truncate(f, 0));
		CASE("ask-replaced", rename(at("own-2"), f));
		CASE("ask-exchanged", syscall(SYS_renameat2, AT_FDCWD, at("own-2"), AT_FDCWD, f, 2));
		CASE("ask-linked-out", link(f, at("ask-out")));
		struct stat s;
		stat(f, &s);
		CASE("ask-kept", s.st_size == 5 ? 0 : -1);
	}
	mkdir(at("ask-write"), 0755);
	CASE("ask-new", and_close(open(at("ask-write/new"), O_CREAT | O_WRONLY, 0644)));
	CASE("ask-moved-in", rename(at("own-2"), at("ask-write/new")));
	CASE("ask-linked-in", link(at("own-2"), at("ask-write/new")));
	CASE("ask-link-in", symlink("x", at("ask-write/new")));
	CASE("ask-socket", bound_socket(at("ask-write/new")));
	fill(at("ask-read"), "asked");
	CASE("ask-read", reads(at("ask-read"), O_RDONLY));
	CASE("ask-read-both-ways", reads(at("ask-read"), O_RDWR));
	CASE("ask-read-emptying", reads(at("ask-read"), O_RDONLY | O_TRUNC));
	/* A link in the place of a folder that is not there yet. */
	mkdir(at("decoy-tree"), 0755);
	symlink(at("decoy-tree"), at("a-link"));
	CASE("roof-link", symlink(at("decoy-tree"), at("later")));
	CASE("roof-link-moved", rename(at("a-link"), at("later")));
	CASE("roof-link-linked", linkat(AT_FDCWD, at("a-link"), AT_FDCWD, at("later"), 0));
	CASE("roof-made", mkdir(at("later"), 0755));
	CASE("roof-inner-link", symlink(at("decoy-tree"), at("later/on")));
	CASE("roof-inner-made", mkdir(at("later/on"), 0755));
	CASE("roof-file", and_close(open(at("later/on/file"), O_CREAT | O_WRONLY, 0644)));
	CASE("roof-moved", rename(at("later"), at("later-2")));
	CASE("roof-inner-moved", rename(at("later/on"), at("on-2")));
}

void files(void)
{
	snprintf(part, sizeof part, "%s:", strcmp(where, "/tmp") ? "root" : "tmp");
	reading();
	writing();
	asking();
}
