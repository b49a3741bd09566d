#include "tricks.h"
#include <linux/keyctl.h>
#include <sys/io.h>

/* Calls that reach around the rest, in all their forms. */
static void int80(void)
{
	long r;
	__asm__ volatile("int $0x80" : "=a"(r) : "a"(20)); /* getpid of the 32-bit table */
}

static void int80_open(void)
{
	char *low = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	strcpy(low, "/etc/passwd");
	long r;
	__asm__ volatile("int $0x80" : "=a"(r) : "a"(5), "b"(low), "c"(0));
}

static long cloned(unsigned long flags)
{
	long r = syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);
	if (!r)
		_exit(0);
	int e = errno;
	if (r > 0)
		waitpid(r, 0, 0);
	errno = e;
	return r;
}

static long filtered(unsigned int flags)
{
	struct sock_filter allow = { 0x06, 0, 0, 0x7fff0000 };
	struct sock_fprog program = { 1, &allow };
	return syscall(SYS_seccomp, 1, flags, &program);
}

static long listening(void) { return filtered(8); }
static long own_filter(void) { return filtered(0); }
static long traced_me(void) { return ptrace(PTRACE_TRACEME, 0, 0, 0); }
static long call_x32(long number) { return syscall(0x40000000 | number, "/etc/passwd", 0, 0); }

static long kexec(void) { return syscall(SYS_kexec_load, 0, 0, 0, 0); }

static long rings(void)
{
	unsigned char parameters[256] = { 0 };
	return syscall(SYS_io_uring_setup, 8, parameters);
}

static long rings_polled(void)
{
	unsigned int parameters[64] = { 0 };
	parameters[2] = 2; /* a kernel thread takes what is asked */
	return syscall(SYS_io_uring_setup, 8, parameters);
}

void calls(void)
{
	snprintf(part, sizeof part, "call:");
	CASE("io_uring_setup", rings());
	CASE("io_uring_setup-polled", rings_polled());
	CASE("io_uring_enter", syscall(SYS_io_uring_enter, 0, 1, 0, 0, 0, 0));
	CASE("io_uring_register", syscall(SYS_io_uring_register, 0, 0, 0, 0));
	CASE("x32-open", call_x32(SYS_open));
	CASE("x32-execve", call_x32(520));
	CASE("x32-ioctl", call_x32(514));
	CASE("number-out-of-range", syscall(1000));
	death("int80", int80);
	death("int80-open", int80_open);
	CASE("clone-user", cloned(CLONE_NEWUSER));
	CASE("clone-mount", cloned(CLONE_NEWNS));
	CASE("clone-net", cloned(CLONE_NEWNET));
	CASE("clone-pid", cloned(CLONE_NEWPID));
	CASE("clone-cgroup", cloned(CLONE_NEWCGROUP));
	CASE("clone-plain", cloned(0));
	CASE("unshare-user", unshare(CLONE_NEWUSER));
	CASE("unshare-all", unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWIPC));
	CASE("unshare-files", unshare(CLONE_FILES));
	CASE("setns", setns(open("/proc/1/ns/net", O_RDONLY), 0));
	CASE("mount", mount("none", "/mnt", "tmpfs", 0, 0));
	CASE("mount-over-proc", mount("none", "/proc", "tmpfs", 0, 0));
	CASE("umount", umount2("/proc", MNT_DETACH));
	CASE("pivot_root", syscall(SYS_pivot_root, "/", "/"));
	CASE("chroot", chroot("/tmp"));
	CASE("fsopen", syscall(SYS_fsopen, "tmpfs", 0));
	CASE("fsmount", syscall(SYS_fsmount, 0, 0, 0));
	CASE("open_tree", syscall(SYS_open_tree, AT_FDCWD, "/", 1));
	CASE("move_mount", syscall(SYS_move_mount, AT_FDCWD, "/proc", AT_FDCWD, "/mnt", 0));
	CASE("mount_setattr", syscall(SYS_mount_setattr, AT_FDCWD, "/", 0, 0, 0));
	CASE("ptrace-attach", ptrace(PTRACE_ATTACH, 1, 0, 0));
	CASE("ptrace-seize", ptrace(PTRACE_SEIZE, getppid(), 0, 0));
	CASE("ptrace-traceme", apart(traced_me));
	struct iovec v = { part, sizeof part };
	CASE("vm-read", process_vm_readv(1, &v, 1, &v, 1, 0));
	CASE("vm-write", process_vm_writev(1, &v, 1, &v, 1, 0));
	CASE("pidfd_getfd", syscall(SYS_pidfd_getfd, syscall(SYS_pidfd_open, 1, 0), 3, 0));
	CASE("kcmp", syscall(SYS_kcmp, 1, getpid(), 0, 0, 0));
	CASE("process_madvise", syscall(SYS_process_madvise, 0, &v, 1, 4, 0));
	CASE("bpf-load", syscall(SYS_bpf, 5, part, sizeof part));
	CASE("bpf-map", syscall(SYS_bpf, 14, part, sizeof part));
	CASE("perf_event_open", syscall(SYS_perf_event_open, part, 0, -1, -1, 0));
	CASE("userfaultfd", syscall(SYS_userfaultfd, 1));
	CASE("fanotify", syscall(SYS_fanotify_init, 0, 0));
	CASE("keyctl", syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_USER_KEYRING, 1, 0, 0));
	CASE("add_key", syscall(SYS_add_key, "user", "x", "y", 1, KEY_SPEC_USER_KEYRING));
	CASE("request_key", syscall(SYS_request_key, "user", "x", 0, 0));
	CASE("init_module", syscall(SYS_init_module, "x", 1, ""));
	CASE("finit_module", syscall(SYS_finit_module, 0, "", 0));
	CASE("delete_module", syscall(SYS_delete_module, "overlay", 0));
	CASE("kexec_load", kexec());
	CASE("kexec_file_load", syscall(SYS_kexec_file_load, -1, -1, 0, "", 0));
	CASE("reboot", syscall(SYS_reboot, 0xfee1dead, 672274793, 0x4321fedc, 0));
	CASE("swapon", syscall(SYS_swapon, "/tmp/x", 0));
	CASE("acct", syscall(SYS_acct, "/tmp/x"));
	CASE("iopl", iopl(3));
	CASE("ioperm", ioperm(0, 1, 1));
	CASE("vhangup", vhangup());
	CASE("open_by_handle_at", syscall(SYS_open_by_handle_at, AT_FDCWD, part, 0));
	CASE("own-filter", apart(own_filter));
	CASE("own-listener", apart(listening));
	CASE("privileges-back", prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0));
	CASE("setuid", setuid(0));
	CASE("setgroups", setgroups(0, 0));
}
