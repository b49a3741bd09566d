/* Observes the payload's cgroup: system calls at entry and exit, forks, ends of
 * processes, and the files that opens and execs really led to. Refuses nothing
 * (egress.bpf.h does); reports everything it could not record in `lost`. */
#include "kernel.h"
#include "observe.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

volatile __u64 payload_cgroup = 0;
const volatile __u32 cgroup_level = 1;
const volatile struct call_desc calls[512] = {};

/* 0: ring full, 1: no task storage, 2: string area full, 3: no room for totals */
__u64 lost[4] = {};
/* How often a call on a file was told that the disk is full. */
__u64 disk_full = 0;

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 8 << 20);
} ring SEC(".maps");

struct state {
	__u32 active;
	__u32 class_;
	struct record record;
};

/* Task storage, not a per-CPU buffer: a task can be preempted between entry and exit. */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct state);
} states SEC(".maps");

static __always_inline int traced(void)
{
	return bpf_get_current_ancestor_cgroup_id(cgroup_level) == payload_cgroup;
}

static __always_inline void count_lost(__u32 what)
{
	__sync_fetch_and_add(&lost[what & 3], 1);
}

static __always_inline void output(struct record *r)
{
	__u32 used = r->used;
	if (used > DATA_MAX)
		used = DATA_MAX;
	__u32 size = __builtin_offsetof(struct record, data) + used;
	/* Waking the reader for each record is what makes tracing slow: it polls,
	 * and is woken early only when much is waiting. */
	__u64 flags = bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA) > 256 * 1024 ? BPF_RB_FORCE_WAKEUP
									       : BPF_RB_NO_WAKEUP;
	if (bpf_ringbuf_output(&ring, r, size, flags))
		count_lost(0);
}

/* Clang forgets a bound that it has proved by other means; the verifier wants to
 * see it on the very register. */
static __always_inline __u32 bounded(__u64 value, __u32 most)
{
	asm volatile("" : "+r"(value));
	if (value > most)
		value = most;
	return value;
}

static __always_inline struct segment *new_segment(struct record *r, __u16 role)
{
	__u32 i = r->segments;
	if (i >= SEGMENTS) {
		count_lost(2);
		return 0;
	}
	struct segment *s = &r->segment[i];
	s->role = role;
	s->flags = 0;
	s->len = s->full = s->dev = 0;
	r->segments = i + 1;
	return s;
}

/* The functions that are not static are verified once, by themselves, and not
 * again at each call: loading takes a tenth of the time. */
__noinline int put_string(struct record *r, __u32 role, __u64 from)
{
	if (!r)
		return 0;
	struct segment *s = new_segment(r, role);
	if (!s)
		return 0;
	__u32 at = r->used;
	if (at > DATA_MAX - PATH_MAX_) {
		s->flags = SEG_UNREADABLE;
		count_lost(2);
		return 0;
	}
	long n = bpf_probe_read_user_str(r->data + at, PATH_MAX_, (const void *)from);
	if (n <= 0) {
		s->flags = SEG_UNREADABLE;
		return from != 0;
	}
	s->len = s->full = n - 1;
	if (n == PATH_MAX_)
		s->flags = SEG_CUT;
	r->used = at + n;
	return 0;
}

__noinline int put_addr(struct record *r, __u64 from, __u64 len)
{
	if (!r || !from || !len)
		return 0;
	struct segment *s = new_segment(r, ROLE_ADDR);
	if (!s)
		return 0;
	__u32 at = r->used, n = bounded(len, ADDR_MAX);
	if (at > DATA_MAX - ADDR_MAX) {
		s->flags = SEG_UNREADABLE;
		return 0;
	}
	if (bpf_probe_read_user(r->data + at, n, (const void *)from)) {
		s->flags = SEG_UNREADABLE;
		return 1;
	}
	s->len = s->full = n;
	r->used = at + n;
	return 0;
}

struct spell {
	struct record *r;
	__u64 dentry;
	__u32 at, full;
	__u32 done, cut;
};

/* One component of a path. Called for each, so that the verifier looks at it once. */
static long spell_one(__u32 i, struct spell *p)
{
	struct record *r = p->r;
	struct dentry *d = (struct dentry *)p->dentry;
	struct dentry *up = BPF_CORE_READ(d, d_parent);
	/* A pseudo file (memfd, pipe) is its own parent and has a name; the
	 * root of a real file system is called "/". */
	p->done = 1;
	if (!r || !up || (up == d && i > 0))
		return 1;
	const unsigned char *name = BPF_CORE_READ(d, d_name.name);
	if (up == d) {
		char first = 0;
		bpf_probe_read_kernel(&first, 1, name);
		if (first == '/')
			return 1;
	}
	p->full += BPF_CORE_READ(d, d_name.len) + 1;
	__u32 at = p->at;
	if (at <= DATA_MAX - NAME_MAX_) {
		long n = bpf_probe_read_kernel_str(r->data + at, NAME_MAX_, name);
		if (n > 0)
			p->at = at + n;
	} else {
		p->cut = 1;
	}
	if (up == d)
		return 1;
	p->dentry = (__u64)up;
	p->done = 0;
	return 0;
}

/* Components of a dentry's path inside its superblock, leaf first: immune to the
 * caller's mounts, chroot and namespaces. The agent knows where each superblock
 * is mounted and puts them in order. */
__noinline int put_dentry(struct record *r, __u32 role, __u64 dentry)
{
	struct dentry *d = (struct dentry *)dentry;
	if (!r)
		return 0;
	struct segment *s = new_segment(r, role);
	if (!s)
		return 0;
	if (!d) {
		s->flags = SEG_UNREADABLE;
		return 0;
	}
	struct super_block *sb = BPF_CORE_READ(d, d_sb);
	s->dev = BPF_CORE_READ(sb, s_dev);
	struct spell p = { .r = r, .dentry = dentry, .at = r->used };
	__u32 start = p.at;
	bpf_loop(DEPTH, spell_one, &p, 0);
	if (!p.done || p.cut)
		s->flags = SEG_CUT;
	s->len = p.at - start;
	s->full = p.full;
	r->used = p.at;
	return 0;
}

static __always_inline struct file *file_of(struct task_struct *t, __s32 fd)
{
	struct file *f = 0;
	struct fdtable *table = BPF_CORE_READ(t, files, fdt);
	if (!table || fd < 0 || (__u32)fd >= BPF_CORE_READ(table, max_fds))
		return 0;
	struct file **slots = BPF_CORE_READ(table, fd);
	bpf_probe_read_kernel(&f, sizeof(f), &slots[fd]);
	return f;
}

static __always_inline struct sock *sock_of(struct file *f)
{
	if (!f || (BPF_CORE_READ(f, f_inode, i_mode) & S_IFMT) != S_IFSOCK)
		return 0;
	struct socket *s = BPF_CORE_READ(f, private_data);
	return s ? BPF_CORE_READ(s, sk) : 0;
}

__noinline int descriptor(__u32 fd)
{
	struct task_struct *t = (struct task_struct *)bpf_get_current_task();
	struct file *f = file_of(t, fd);
	if (!f)
		return FD_CLOSED;
	switch (BPF_CORE_READ(f, f_inode, i_mode) & S_IFMT) {
	case S_IFREG:
	case S_IFDIR:
		return FD_FILE;
	case S_IFCHR:
		return FD_DEVICE;
	case S_IFIFO:
		return FD_PIPE;
	case S_IFSOCK: {
		struct sock *sk = sock_of(f);
		__u16 family = sk ? BPF_CORE_READ(sk, __sk_common.skc_family) : 0;
		if (family == AF_INET || family == AF_INET6)
			return FD_NET;
		return family == AF_UNIX ? FD_UNIX : FD_OTHER;
	}
	}
	return FD_OTHER;
}

/* The descriptors beyond the standard ones that a new program was handed. */
__noinline int put_descriptors(struct record *r)
{
	struct task_struct *t = (struct task_struct *)bpf_get_current_task();
	if (!r)
		return 0;
	unsigned long open = 0;
	struct fdtable *table = BPF_CORE_READ(t, files, fdt);
	bpf_probe_read_kernel(&open, sizeof(open), BPF_CORE_READ(table, open_fds));
	if (!(open >> 3))
		return 0;
	struct segment *s = new_segment(r, ROLE_DESCRIPTORS);
	if (!s)
		return 0;
	__u32 at = r->used;
	if (at > DATA_MAX - 2 * HANDED) {
		s->flags = SEG_UNREADABLE;
		return 0;
	}
	/* Unrolled: clang would enter the loop in its middle, which 6.1 refuses. */
#pragma clang loop unroll(full)
	for (int fd = 3; fd < 64; fd++) {
		if (!((open >> fd) & 1) || at - r->used >= 2 * HANDED)
			continue;
		__u32 here = bounded(at, DATA_MAX - 2);
		r->data[here] = fd;
		r->data[here + 1] = descriptor(fd);
		at = here + 2;
	}
	s->len = s->full = at - r->used;
	r->used = at;
	return 0;
}

struct vector {
	__u64 from, bytes;
};

struct message {
	__u64 name;
	__u32 name_len;
	__u64 vectors, count;
};

/* The address of a msghdr, and the bytes that it asks to be sent in args[5].
 * 1: it has none, so it is an ordinary write to a connection. */
__noinline int put_message(struct record *r, __u64 from)
{
	struct message m = {};
	if (!r)
		return 1;
	if (bpf_probe_read_user(&m, sizeof(m), (const void *)from)) {
		struct segment *s = new_segment(r, ROLE_ADDR);
		if (s)
			s->flags = SEG_UNREADABLE;
		return 0;
	}
	if (!m.name || !m.name_len)
		return 1;
	__u64 bytes = 0;
#pragma clang loop unroll(disable)
	for (int i = 0; i < VECTORS; i++) {
		struct vector v = {};
		if (i >= m.count || bpf_probe_read_user(&v, sizeof(v), (const void *)(m.vectors + i * sizeof(v))))
			break;
		bytes += v.bytes;
	}
	r->args[5] = bytes;
	put_addr(r, m.name, m.name_len);
	return 0;
}

/* The process behind a pidfd, or behind a folder of /proc, which may stand for one. */
static __always_inline __s32 pid_of(struct file *f)
{
	struct pid *pid = 0;
	if (!f)
		return -1;
	struct inode *inode = BPF_CORE_READ(f, f_inode);
	if ((BPF_CORE_READ(inode, i_mode) & S_IFMT) == S_IFDIR) {
		struct proc_inode *in = (void *)inode - bpf_core_field_offset(struct proc_inode, vfs_inode);
		pid = BPF_CORE_READ(in, pid);
	} else {
		pid = BPF_CORE_READ(f, private_data);
	}
	__s32 number = BPF_CORE_READ(pid, numbers[0].nr);
	return number > 0 ? number : -1;
}

/* A signal's target into args[0] and its number into args[1]. 0: it is the
 * sender's own business. */
__noinline int take_signal(struct record *r)
{
	if (!r)
		return 0;
	__u32 own = r->pid;
	switch (r->nr) {
	case 200: /* tkill: a thread */
		return (__u32)r->args[0] != r->tid;
	case 234: /* tgkill */
	case 297: /* rt_tgsigqueueinfo */
		r->args[1] = r->args[2];
		break;
	case 424: { /* pidfd_send_signal */
		struct task_struct *t = (struct task_struct *)bpf_get_current_task();
		r->args[0] = (__s64)pid_of(file_of(t, r->args[0]));
		break;
	}
	}
	return (__u32)r->args[0] != own;
}

/* What an identity call's pointers lead to, into the arguments. */
__noinline int take_identity(struct record *r)
{
	if (!r)
		return 0;
	if (r->nr == 116) { /* setgroups: count and the first groups */
		__u32 first[2] = {};
		__u64 n = r->args[0];
		if (n)
			bpf_probe_read_user(first, n > 1 ? 8 : 4, (const void *)r->args[1]);
		r->args[1] = first[0];
		r->args[2] = first[1];
	} else if (r->nr == 126) { /* capset: effective, permitted, inheritable */
		__u32 sets[6] = {};
		bpf_probe_read_user(sets, sizeof(sets), (const void *)r->args[1]);
		for (int i = 0; i < 3; i++)
			r->args[i] = sets[i] | (__u64)sets[i + 3] << 32;
	}
	return 0;
}

static __always_inline void begin(struct record *r, struct task_struct *t, __u32 kind, __u32 nr)
{
	__u64 id = bpf_get_current_pid_tgid();
	r->at = bpf_ktime_get_ns();
	r->kind = kind;
	r->nr = nr;
	r->pid = id >> 32;
	r->tid = id;
	r->parent = BPF_CORE_READ(t, real_parent, tgid);
	r->uid = bpf_get_current_uid_gid();
	r->ret = 0;
	r->flags = r->used = r->segments = r->denied = 0;
	__builtin_memset(r->args, 0, sizeof(r->args));
	__builtin_memset(r->stdio, 0, sizeof(r->stdio));
}

static __always_inline void take_args(struct record *r, struct pt_regs *regs)
{
	r->args[0] = BPF_CORE_READ(regs, di);
	r->args[1] = BPF_CORE_READ(regs, si);
	r->args[2] = BPF_CORE_READ(regs, dx);
	r->args[3] = BPF_CORE_READ(regs, r10);
	r->args[4] = BPF_CORE_READ(regs, r8);
	r->args[5] = BPF_CORE_READ(regs, r9);
}

static __always_inline __u64 arg(struct record *r, __u8 which)
{
	__u32 i = which - 1;
	return i < 6 ? r->args[i] : 0;
}

/* Reads what the arguments point to. At exit again, where it faulted at entry. */
static __always_inline void take_strings(struct record *r, __u32 nr)
{
	const volatile struct call_desc *c = &calls[nr & 511];
	if (c->path)
		put_string(r, ROLE_PATH, arg(r, c->path));
	if (c->other)
		put_string(r, ROLE_OTHER, arg(r, c->other));
	if (c->addr)
		put_addr(r, arg(r, c->addr), arg(r, c->addr + 1));
}

static __always_inline void retake(struct record *r, __u32 nr, __u16 role)
{
	const volatile struct call_desc *c = &calls[nr & 511];
	if (role == ROLE_PATH)
		put_string(r, ROLE_PATH, arg(r, c->path));
	else if (role == ROLE_OTHER)
		put_string(r, ROLE_OTHER, arg(r, c->other));
	else if (role == ROLE_ADDR)
		put_addr(r, arg(r, c->addr), arg(r, c->addr + 1));
}

static __always_inline int has(struct record *r, __u16 role)
{
	for (int i = 0; i < SEGMENTS; i++)
		if (i < r->segments && r->segment[i].role == role)
			return 1;
	return 0;
}

static __always_inline int has_file(struct record *r)
{
	return has(r, ROLE_FILE);
}

static __always_inline __s32 folder(struct record *r, __u8 dir)
{
	return dir ? (__s32)arg(r, dir) : AT_FDCWD;
}

/* The folder that a relative path starts from. */
__noinline int put_base(struct record *r, __u32 role, __s32 fd)
{
	struct task_struct *t = (struct task_struct *)bpf_get_current_task();
	struct dentry *d = 0;
	if (!r)
		return 0;
	if (fd == AT_FDCWD) {
		d = BPF_CORE_READ(t, fs, pwd.dentry);
	} else {
		struct file *f = file_of(t, fd);
		if (f)
			d = BPF_CORE_READ(f, f_path.dentry);
	}
	return put_dentry(r, role, (__u64)d);
}

__noinline int take_argv(struct record *r)
{
	struct task_struct *t = (struct task_struct *)bpf_get_current_task();
	if (!r)
		return 0;
	struct segment *s = new_segment(r, ROLE_ARGV);
	if (!s)
		return 0;
	__u32 at = r->used;
	if (at > DATA_MAX - ARG_MAX_) {
		s->flags = SEG_UNREADABLE;
		return 0;
	}
	if (r->flags & REC_LOADED) { /* the new program's own copy: nobody can have changed it */
		__u64 from = BPF_CORE_READ(t, mm, arg_start), to = BPF_CORE_READ(t, mm, arg_end);
		__u64 full = to - from;
		__u32 n = bounded(full, ARG_MAX_);
		s->full = full > 0xffffffff ? 0xffffffff : full;
		if (n && bpf_probe_read_user(r->data + at, n, (const void *)from)) {
			s->flags = SEG_UNREADABLE;
			return 0;
		}
		if (full > ARG_MAX_)
			s->flags = SEG_CUT;
		s->len = n;
		r->used = at + n;
		return 0;
	}
	/* The call failed: the caller's pointers. */
	__u64 list = r->nr == 59 ? r->args[1] : r->args[2];
	__u32 start = at;
	for (int i = 0; i < 16; i++) {
		__u64 word = 0;
		if (bpf_probe_read_user(&word, 8, (const void *)(list + i * 8)) || !word)
			goto end;
		if (at > DATA_MAX - NAME_MAX_)
			break;
		long n = bpf_probe_read_user_str(r->data + at, NAME_MAX_, (const void *)word);
		if (n <= 0)
			break;
		at += n;
	}
	s->flags = SEG_CUT;
end:
	s->len = s->full = at - start;
	r->used = at;
	return 0;
}

/* What is to be read at entry. 0: nothing that is worth a record. */
static __always_inline int take(struct record *r, __u8 class_)
{
	switch (class_) {
	case CLASS_MESSAGE:
		/* Of several messages a later one may have an address. */
		return !put_message(r, r->args[1]) || r->nr == SENDMMSG;
	case CLASS_SIGNAL:
		return take_signal(r);
	case CLASS_IDENTITY:
		take_identity(r);
		return 1;
	}
	take_strings(r, r->nr);
	return 1;
}

SEC("raw_tp/sys_enter")
int sys_enter(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 nr = ctx->args[1];
	if (nr >= 512)
		return 0;
	__u8 class_ = calls[nr & 511].class_;
	if (!class_ || class_ == CLASS_GUARD_REFUSED || class_ == CLASS_TRANSFER || !traced())
		return 0;
	struct task_struct *t = bpf_get_current_task_btf();
	struct state *s = bpf_task_storage_get(&states, t, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!s) {
		count_lost(1);
		return 0;
	}
	begin(&s->record, t, KIND_CALL, nr);
	take_args(&s->record, (struct pt_regs *)ctx->args[0]);
	if (!take(&s->record, class_))
		return 0;
	s->class_ = class_;
	s->active = 1;
	return 0;
}

/* Who asked the stub: its source port is known once the connect has returned. */
static __always_inline void note_asker(struct record *r, struct task_struct *t);

static __always_inline void finish_exec(struct record *r, struct task_struct *t)
{
	if (r->ret == 0)
		r->flags |= REC_LOADED;
	take_argv(r);
	put_dentry(r, ROLE_CWD, (__u64)BPF_CORE_READ(t, fs, pwd.dentry));
	for (int i = 0; i < 3; i++)
		r->stdio[i] = descriptor(i);
	if (r->ret == 0)
		put_descriptors(r);
}

/* The messages of a sendmmsg behind its first, each in a record of its own. Of
 * the one that ended the call only the call's next use may tell. */
static __always_inline void more_messages(struct record *r)
{
	__u64 list = r->args[1], count = r->args[2];
	__s64 sent = r->ret;
#pragma clang loop unroll(disable)
	for (int i = 1; i < MESSAGES; i++) {
		if (i >= count || i > sent)
			return;
		r->used = r->segments = 0;
		r->flags = i < sent ? 0 : REC_UNTOLD;
		if (!put_message(r, list + i * MMSGHDR))
			output(r);
	}
}

static __always_inline int finish(struct record *r, struct task_struct *t, __u32 class_)
{
	__u32 nr = r->nr & 511;
	const volatile struct call_desc *c = &calls[nr];
	for (int i = 0; i < 3; i++)
		if (i < r->segments && (r->segment[i].flags & SEG_UNREADABLE))
			retake(r, nr, r->segment[i].role);
	switch (class_) {
	case CLASS_EXEC:
		finish_exec(r, t);
		break;
	case CLASS_CONNECT:
		note_asker(r, t);
		break;
	case CLASS_DUP: {
		__s32 to = r->args[1];
		if (to < 0 || to > 2 || r->ret < 0 || descriptor(to) != FD_NET)
			return 0;
		r->stdio[0] = FD_NET;
		break;
	}
	case CLASS_MESSAGE:
		if (r->segment[0].flags & SEG_UNREADABLE) {
			r->used = r->segments = 0;
			put_message(r, r->args[1]);
		}
		return r->segments > 0;
	case CLASS_OPEN:
	case CLASS_CHANGE:
		if (r->ret == -ENOSPC)
			__sync_fetch_and_add(&disk_full, 1);
		break;
	}
	if (c->path && class_ != CLASS_EXEC && class_ != CLASS_GUARD && r->data[0] != '/' && !has_file(r))
		put_base(r, ROLE_BASE, folder(r, c->dir));
	if (c->other && !has(r, ROLE_OTHER_FILE))
		put_base(r, ROLE_OTHER_BASE, folder(r, c->other_dir));
	return 1;
}

#include "transfer.bpf.h"

SEC("raw_tp/sys_exit")
int sys_exit(struct bpf_raw_tracepoint_args *ctx)
{
	if (!traced())
		return 0;
	struct task_struct *t = bpf_get_current_task_btf();
	struct state *s = bpf_task_storage_get(&states, t, 0, 0);
	if (!s || !s->active) {
		/* No entry was seen. Seccomp runs before sys_enter and skips it, so
		 * a call that the filter refused shows only here. */
		struct pt_regs *regs = (struct pt_regs *)ctx->args[0];
		__u64 nr = BPF_CORE_READ(regs, orig_ax);
		__s64 ret = ctx->args[1];
		/* Not merely the bit: a call that a signal broke off leaves -1. */
		if (nr >= X32_FIRST && nr < X32_FIRST + 1024 && ret == -ENOSYS)
			nr = X32_CALL;
		if (nr >= 512)
			return 0;
		__u8 class_ = calls[nr & 511].class_;
		if (class_ == CLASS_TRANSFER) {
			transferred(t, regs, &calls[nr & 511], ret);
			return 0;
		}
		if (ret >= 0)
			return 0;
		if (!class_ || (class_ == CLASS_GUARD_REFUSED && ret != -EPERM))
			return 0;
		s = bpf_task_storage_get(&states, t, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
		if (!s) {
			count_lost(1);
			return 0;
		}
		begin(&s->record, t, KIND_CALL, nr);
		take_args(&s->record, regs);
		take(&s->record, class_);
		s->record.ret = ret;
		s->record.flags = REC_REFUSED;
		output(&s->record);
		return 0;
	}
	s->active = 0;
	s->record.ret = ctx->args[1];
	if (finish(&s->record, t, s->class_))
		output(&s->record);
	if (s->class_ == CLASS_MESSAGE && s->record.nr == SENDMMSG)
		more_messages(&s->record);
	return 0;
}

SEC("raw_tp/sched_process_fork")
int forked(struct bpf_raw_tracepoint_args *ctx)
{
	if (!traced())
		return 0;
	struct task_struct *child = (struct task_struct *)ctx->args[1];
	__u32 pid = BPF_CORE_READ(child, pid), tgid = BPF_CORE_READ(child, tgid);
	if (pid != tgid)
		return 0; /* a thread */
	/* The parent is inside clone: its own record is not in use (clone is not in the table). */
	struct task_struct *t = bpf_get_current_task_btf();
	struct state *s = bpf_task_storage_get(&states, t, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!s) {
		count_lost(1);
		return 0;
	}
	begin(&s->record, t, KIND_FORK, 0);
	s->record.ret = pid;
	output(&s->record);
	return 0;
}

SEC("raw_tp/sched_process_exit")
int exited(struct bpf_raw_tracepoint_args *ctx)
{
	if (!traced())
		return 0;
	struct task_struct *t = bpf_get_current_task_btf();
	struct state *s = bpf_task_storage_get(&states, t, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!s) {
		count_lost(1);
		return 0;
	}
	if (s->active) {
		s->active = 0;
		s->record.flags |= REC_DIED;
		output(&s->record);
	}
	if (BPF_CORE_READ(t, signal, live.counter) != 0)
		return 0; /* other threads go on */
	begin(&s->record, t, KIND_EXIT, 0);
	int code = BPF_CORE_READ(t, signal, group_exit_code);
	s->record.ret = code ? code : BPF_CORE_READ(t, exit_code);
	output(&s->record);
	return 0;
}

/* A hook's argument as a plain number: as it stands it is a typed pointer, which
 * no function that is verified by itself takes. */
static __always_inline __u64 number(unsigned long long *ctx, int index)
{
	__u64 value = 0;
	void *typed = (void *)ctx[index];
	bpf_probe_read_kernel(&value, sizeof(value), &typed);
	return value;
}

#include "enforce.bpf.h"

static __always_inline void observe_open(struct file *file)
{
	struct task_struct *t = bpf_get_current_task_btf();
	struct state *s = bpf_task_storage_get(&states, t, 0, 0);
	if (!s || !s->active || s->class_ != CLASS_OPEN || has_file(&s->record))
		return;
	struct dentry *d = file->f_path.dentry;
	/* Overlay opens the real file under the same path, and the real folder under
	 * its own (which has_file has kept out): the first call said it all. */
	if (file->f_inode != d->d_inode)
		return;
	put_dentry(&s->record, ROLE_FILE, (__u64)BPF_CORE_READ(file, f_path.dentry));
}

SEC("lsm/file_open")
int BPF_PROG(opened, struct file *file)
{
	if (!traced())
		return 0;
	observe_open(file);
	return judge_open(file);
}

static __always_inline void observe_exec(struct linux_binprm *bprm)
{
	struct task_struct *t = bpf_get_current_task_btf();
	struct state *s = bpf_task_storage_get(&states, t, 0, 0);
	if (!s || !s->active || s->class_ != CLASS_EXEC)
		return;
	/* Once for a script, again for its interpreter. */
	put_dentry(&s->record, has_file(&s->record) ? ROLE_INTERPRETER : ROLE_FILE,
		   (__u64)BPF_CORE_READ(bprm, file, f_path.dentry));
	/* By this the agent knows the file again when it reads what was executed. */
	if (!has(&s->record, ROLE_INTERPRETER))
		s->record.args[5] = bprm->file->f_inode->i_ino;
	if (bprm->file->f_inode->i_nlink == 0)
		s->record.flags |= REC_UNLINKED;
}

SEC("lsm/bprm_check_security")
int BPF_PROG(executed, struct linux_binprm *bprm)
{
	if (!traced())
		return 0;
	observe_exec(bprm);
	return judge((__u64)BPF_CORE_READ(bprm, file, f_path.dentry), EXECS, 0, 0, 0);
}

/* The record of the change that this thread is making, if nothing was resolved
 * for it yet: overlay calls each hook again for the file below. */
static __always_inline struct record *changing(void)
{
	if (!traced())
		return 0;
	struct state *s = bpf_task_storage_get(&states, bpf_get_current_task_btf(), 0, 0);
	if (!s || !s->active || s->class_ != CLASS_CHANGE || has_file(&s->record) ||
	    has(&s->record, ROLE_OTHER_FILE))
		return 0;
	return &s->record;
}

static __always_inline __u64 changes_one(unsigned long long *ctx, int index, __u32 role)
{
	__u64 dentry = number(ctx, index);
	struct record *r = changing();
	if (r)
		put_dentry(r, role, dentry);
	return dentry;
}

static __always_inline void changes_two(__u64 from, __u64 to)
{
	struct record *r = changing();
	if (r) {
		put_dentry(r, ROLE_FILE, from);
		put_dentry(r, ROLE_OTHER_FILE, to);
	}
}

#define REMOVED(name) \
	int name(unsigned long long *ctx) \
	{ \
		return traced() ? judge_removed(changes_one(ctx, 1, ROLE_FILE)) : 0; \
	}
#define MADE(name) \
	int name(unsigned long long *ctx) \
	{ \
		return traced() ? judge_new(changes_one(ctx, 1, ROLE_FILE)) : 0; \
	}

SEC("lsm/inode_unlink") REMOVED(unlinked)
SEC("lsm/inode_rmdir") REMOVED(folder_removed)
SEC("lsm/inode_mkdir") MADE(folder_made)
SEC("lsm/inode_mknod") MADE(node_made)

SEC("lsm/inode_symlink")
int symlinked(unsigned long long *ctx)
{
	return traced() ? judge_symlink(changes_one(ctx, 1, ROLE_OTHER_FILE)) : 0;
}

SEC("lsm/inode_setxattr")
int extended_set(unsigned long long *ctx)
{
	return traced() ? judge_extended(number(ctx, 1)) : 0;
}

SEC("lsm/inode_removexattr")
int extended_removed(unsigned long long *ctx)
{
	return traced() ? judge_extended(number(ctx, 1)) : 0;
}

SEC("lsm/inode_setattr")
int attributes_set(unsigned long long *ctx)
{
	if (!traced())
		return 0;
	struct iattr *asked = (struct iattr *)number(ctx, 1);
	__u32 valid = BPF_CORE_READ(asked, ia_valid);
	return judge_attributes(changes_one(ctx, 0, ROLE_FILE), valid);
}

SEC("lsm/inode_rename")
int renamed(unsigned long long *ctx)
{
	if (!traced())
		return 0;
	__u64 from = number(ctx, 1), to = number(ctx, 3);
	changes_two(from, to);
	return judge_renamed(from, to);
}

SEC("lsm/inode_link")
int linked(unsigned long long *ctx)
{
	if (!traced())
		return 0;
	__u64 from = number(ctx, 0), to = number(ctx, 2);
	changes_two(from, to);
	return judge_linked(from, to);
}

#include "egress.bpf.h"
