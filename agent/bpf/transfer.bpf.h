/* Bytes read from and written to each open regular file, summed up per open file
 * and told when a descriptor of it is closed: by the process or by its end. What
 * is moved through a mapping is not counted. */

struct moved {
	__u64 read, written;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, OPEN_FILES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64); /* struct file, which lives until it is closed */
	__type(value, struct moved);
} open_files SEC(".maps");

/* Not the state of a thread: files are closed inside calls that use it. */
struct scratch {
	__u32 busy;
	struct record record;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct scratch);
} scratch SEC(".maps");

static __always_inline void add_moved(struct task_struct *t, __u64 fd, __u64 read, __u64 written)
{
	__u64 file = (__u64)file_of(t, fd);
	struct moved *sum = bpf_map_lookup_elem(&open_files, &file);
	if (sum) {
		__sync_fetch_and_add(&sum->read, read);
		__sync_fetch_and_add(&sum->written, written);
		return;
	}
	struct file *f = (struct file *)file;
	if (!f || (BPF_CORE_READ(f, f_inode, i_mode) & S_IFMT) != S_IFREG)
		return;
	struct moved first = { read, written };
	if (bpf_map_update_elem(&open_files, &file, &first, BPF_ANY))
		count_lost(3);
}

static __always_inline __u64 register_of(struct pt_regs *regs, __u8 which)
{
	switch (which) {
	case 1:
		return BPF_CORE_READ(regs, di);
	case 2:
		return BPF_CORE_READ(regs, si);
	case 3:
		return BPF_CORE_READ(regs, dx);
	}
	return ~0ull;
}

static __always_inline void transferred(struct task_struct *t, struct pt_regs *regs,
					const volatile struct call_desc *c, __s64 bytes)
{
	if (bytes == -ENOSPC)
		__sync_fetch_and_add(&disk_full, 1);
	if (bytes <= 0)
		return;
	if (c->dir)
		add_moved(t, register_of(regs, c->dir), bytes, 0);
	if (c->other_dir)
		add_moved(t, register_of(regs, c->other_dir), 0, bytes);
}

SEC("fentry/filp_close")
int BPF_PROG(closed, struct file *f)
{
	if (!traced())
		return 0;
	__u64 file = (__u64)f;
	struct moved *sum = bpf_map_lookup_elem(&open_files, &file);
	if (!sum)
		return 0;
	__u32 zero = 0;
	struct scratch *s = bpf_map_lookup_elem(&scratch, &zero);
	if (!s || __sync_lock_test_and_set(&s->busy, 1)) {
		count_lost(3);
		return 0;
	}
	struct record *r = &s->record;
	begin(r, bpf_get_current_task_btf(), KIND_TRANSFER, 0);
	r->args[0] = sum->read;
	r->args[1] = sum->written;
	bpf_map_delete_elem(&open_files, &file);
	put_dentry(r, ROLE_FILE, (__u64)BPF_CORE_READ((struct file *)file, f_path.dentry));
	output(r);
	s->busy = 0;
	return 0;
}
