/* What the policy says about files, enforced where the kernel opens, executes
 * and changes them. Objects are matched by walking their dentries: no path that
 * the payload can bend. Fails closed: what cannot be looked at is refused where
 * any line could concern it. */

/* What a run is about. No constants: the programs are loaded before anything is
 * known of the run, and these are told before they are attached. */
volatile __u64 path_seed = 0;
/* What each line says (enum says). */
volatile __u8 line_says[LINES] = {};
/* Lines about every object; 0 for none. */
volatile struct ruled everywhere = {};
/* Which lines there are for each op (WATCH_*), what they imply for others included. */
volatile __u8 watched[OPS] = {};
/* Ops that are held before they get here, so that ask can be answered. */
volatile __u32 held_ops = 0;

struct ruled_map {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, __u64);
	__type(value, struct ruled);
};
struct ruled_map ruled_paths SEC(".maps");   /* this very path */
struct ruled_map ruled_folders SEC(".maps"); /* this folder and all below */
struct ruled_map ruled_names SEC(".maps");   /* any file of this name */

struct mark_map {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, __u64);
	__type(value, __u8);
};
struct mark_map leaves SEC(".maps"); /* last names of all ruled paths: most files end here */
struct mark_map roofs SEC(".maps");  /* folders above something ruled: they stay where they are */

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, __u8);
} devices SEC(".maps"); /* file systems of the payload's view */

/* What a held thread may do, once, when it goes on. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 32768);
	__type(key, __u32); /* thread */
	__type(value, struct grant);
} grants SEC(".maps");

struct walk {
	__u64 hash[DEEP]; /* of each component, leaf first */
	__u64 last, path;
	__u32 depth, dev, deep;
	__u16 line[OPS];
	__u64 name[33];
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct walk);
} walks SEC(".maps");

static __always_inline __u64 mix(__u64 hash, __u64 word)
{
	hash = (hash ^ word) * 0x9e3779b97f4a7c15ull;
	return hash ^ (hash >> 29);
}

__noinline int hash_name(struct walk *w, __u64 dentry)
{
	struct dentry *d = (struct dentry *)dentry;
	if (!w)
		return 0;
	long n = bpf_probe_read_kernel_str(w->name, 256, BPF_CORE_READ(d, d_name.name));
	if (n < 1 || n > 256) {
		w->deep = 1;
		return 0;
	}
	__u64 hash = path_seed ^ (n - 1);
#pragma clang loop unroll(disable)
	for (int i = 0; i < 32; i++) {
		long left = n - 1 - i * 8;
		if (left <= 0)
			break;
		__u64 word = w->name[i];
		if (left < 8)
			word &= (1ull << (left * 8)) - 1;
		hash = mix(hash, word);
	}
	w->last = hash;
	return 0;
}

/* The loops that go up a path are calls of a function: the verifier looks at it
 * once, and not at each of DEEP rounds in every program that needs it. */
struct climb {
	struct walk *w;
	__u64 dentry;
	__u32 over;
};

static long climb_one(__u32 i, struct climb *c)
{
	struct walk *w = c->w;
	struct dentry *d = (struct dentry *)c->dentry;
	struct dentry *up = BPF_CORE_READ(d, d_parent);
	c->over = 1;
	if (!w || i >= DEEP || !up || (up == d && i > 0))
		return 1;
	if (up == d) {
		char first = 0;
		bpf_probe_read_kernel(&first, 1, BPF_CORE_READ(d, d_name.name));
		if (first == '/')
			return 1;
	}
	hash_name(w, (__u64)d);
	w->hash[i] = w->last;
	w->depth = i + 1;
	if (up == d)
		return 1;
	c->dentry = (__u64)up;
	c->over = 0;
	return 0;
}

__noinline int walk_up(struct walk *w, __u64 dentry)
{
	struct climb c = { .w = w, .dentry = dentry };
	if (!w)
		return 0;
	w->depth = w->deep = 0;
	if (bpf_loop(DEEP, climb_one, &c, 0) < 0)
		w->deep = 1;
	if (c.over)
		return 0;
	struct dentry *d = (struct dentry *)c.dentry;
	if (BPF_CORE_READ(d, d_parent) != d)
		w->deep = 1;
	return 0;
}

static __always_inline void first_of(struct walk *w, struct ruled *r)
{
	if (!r)
		return;
#pragma clang loop unroll(full)
	for (int i = 0; i < OPS; i++)
		if (r->line[i] && (!w->line[i] || r->line[i] < w->line[i]))
			w->line[i] = r->line[i];
}

struct descent {
	struct walk *w;
	__u64 path;
};

static long descend_one(__u32 i, struct descent *down)
{
	struct walk *w = down->w;
	if (!w)
		return 1;
	__u32 at = w->depth - 1 - i;
	if (at >= DEEP)
		return 1;
	__u64 path = mix(down->path, w->hash[at]);
	down->path = path;
	first_of(w, bpf_map_lookup_elem(&ruled_folders, &path));
	if (at)
		return 0;
	first_of(w, bpf_map_lookup_elem(&ruled_paths, &path));
	return 1;
}

/* The first line about the object, for each op. */
__noinline int find_lines(struct walk *w)
{
	if (!w)
		return 0;
#pragma clang loop unroll(full)
	for (int i = 0; i < OPS; i++)
		w->line[i] = everywhere.line[i];
	__u64 path = mix(path_seed, w->dev);
	first_of(w, bpf_map_lookup_elem(&ruled_folders, &path));
	/* Keys lie on the stack: 6.1 takes none out of an argument. */
	__u64 leaf = w->hash[0];
	if (w->depth > 0)
		first_of(w, bpf_map_lookup_elem(&ruled_names, &leaf));
	else
		first_of(w, bpf_map_lookup_elem(&ruled_paths, &path));
	struct descent down = { .w = w, .path = path };
	bpf_loop(DEEP, descend_one, &down, 0);
	w->path = down.path;
	return 0;
}

/* The smaller functions are verified by themselves, too: inlined, they would
 * multiply what is looked at each time. */
__noinline int granted(__u32 op, __u64 path, __u32 keep)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct grant *g = bpf_map_lookup_elem(&grants, &tid);
	if (!g || g->op != op)
		return 0;
#pragma clang loop unroll(full)
	for (int i = 0; i < GRANTED; i++)
		if (g->path[i] == path) {
			if (!keep)
				g->path[i] = 0;
			return 1;
		}
	return 0;
}

/* How an object is looked at. */
#define KEEP 1  /* the yes is needed again: the same call comes back */
#define OTHER 2 /* it is the call's second object */

/* Whether the call's object is in its record already. */
__noinline int names_object(struct record *r)
{
	if (!r)
		return 0;
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < SEGMENTS; i++) {
		if (i >= r->segments)
			return 0;
		if (r->segment[i].role == ROLE_FILE || r->segment[i].role == ROLE_OTHER_FILE)
			return 1;
	}
	return 0;
}

/* Refuses, and leaves word of it: in the record of the call, and of a call that
 * is not observed in a record of its own. */
__noinline int refused(__u64 dentry, __u32 word, __u32 how)
{
	struct task_struct *t = bpf_get_current_task_btf();
	struct state *s = bpf_task_storage_get(&states, t, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!s) {
		count_lost(1);
		return -EACCES;
	}
	struct record *r = &s->record;
	int own = !s->active;
	if (own)
		begin(r, t, KIND_DENIAL, 0);
	r->denied = how & OTHER ? word | DENIED_OTHER : word;
	if (!names_object(r))
		put_dentry(r, ROLE_FILE, dentry);
	if (own)
		output(r);
	return -EACCES;
}

static __always_inline __u32 word(__u32 op, __u32 line, __u32 says)
{
	return line | op << 16 | says << 24;
}

static __always_inline struct walk *storage(void)
{
	return bpf_task_storage_get(&walks, bpf_get_current_task_btf(), 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
}

#define APPROVED 0x80000000

/* What is said against the op; 0: nothing, APPROVED: there was a yes for it. */
__noinline __u32 verdict(struct walk *w, __u32 op, __u32 how)
{
	if (!w)
		return 0;
	__u32 line = w->line[op & (OPS - 1)];
	if (!line)
		return 0;
	__u32 says = line_says[line & (LINES - 1)];
	if (says == SAYS_ALLOW)
		return 0;
	if (says == SAYS_ASK && granted(op, w->path, how & KEEP))
		return APPROVED;
	return word(op, line, says);
}

/* May the current thread do these things with the object? A line that denies
 * `hard` ops refuses too, and one that denies or asks about `leak` ops: the
 * object would escape it. Who was told yes for the thing itself may do it all. */
__noinline int judge(__u64 dentry, __u32 ops, __u32 hard, __u32 leak, __u32 how)
{
	struct dentry *d = (struct dentry *)dentry;
	__u32 all = ops | hard | leak, watch = 0, approved = 0;
#pragma clang loop unroll(full)
	for (int i = 0; i < OPS; i++)
		if (all & (1 << i))
			watch |= watched[i];
	if (!watch)
		return 0;
	__u32 dev = BPF_CORE_READ(d, d_sb, s_dev);
	/* Below an overlay lie files that were judged above it; a file without a
	 * file system can be executed. */
	if (!(ops & (1 << OP_EXEC)) && !bpf_map_lookup_elem(&devices, &dev))
		return 0;
	struct walk *w = storage();
	if (!w)
		return -EACCES;
	w->dev = dev;
	if (!(watch & WATCH_MANY)) {
		w->deep = 0;
		hash_name(w, dentry);
		__u64 leaf = w->last;
		if (!w->deep && !bpf_map_lookup_elem(&leaves, &leaf))
			return 0;
	}
	walk_up(w, dentry);
	if (w->deep)
		return refused(dentry, word(OP_READ, TOO_DEEP, SAYS_DENY), how);
	find_lines(w);
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < OPS; i++) {
		if (!(ops & (1 << i)))
			continue;
		__u32 said = verdict(w, i, how);
		approved |= said & APPROVED;
		if (said & ~APPROVED)
			return refused(dentry, said, how);
	}
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < OPS; i++) {
		if (!((hard | leak) & (1 << i)))
			continue;
		__u32 said = verdict(w, i, how) & ~APPROVED;
		if (said >> 24 == SAYS_DENY || (said && (leak & (1 << i)) && !approved))
			return refused(dentry, said, how);
	}
	return 0;
}

/* A folder above something ruled must not be moved away under it, nor may a
 * link stand where it would be: what is below the link is elsewhere. */
__noinline int judge_roof(__u64 dentry, __u32 how)
{
	struct dentry *d = (struct dentry *)dentry;
	if (!watched[OP_RENAME])
		return 0;
	__u32 dev = BPF_CORE_READ(d, d_sb, s_dev);
	if (!bpf_map_lookup_elem(&devices, &dev))
		return 0;
	struct walk *w = storage();
	if (!w)
		return -EACCES;
	w->dev = dev;
	walk_up(w, dentry);
	if (w->deep)
		return refused(dentry, word(OP_RENAME, TOO_DEEP, SAYS_DENY), how);
	find_lines(w);
	__u64 path = w->path;
	__u8 *line = bpf_map_lookup_elem(&roofs, &path);
	return line ? refused(dentry, word(OP_RENAME, ROOF, SAYS_DENY), how) : 0;
}

#define READS (1 << OP_READ)
#define WRITES (1 << OP_WRITE)
#define EXECS (1 << OP_EXEC)

static __always_inline int judge_new(__u64 dentry)
{
	return judge(dentry, WRITES, 0, 0, 0);
}

static __always_inline int judge_symlink(__u64 dentry)
{
	int no = judge_new(dentry);
	return no ? no : judge_roof(dentry, 0);
}

static __always_inline int judge_removed(__u64 dentry)
{
	int no = judge(dentry, 1 << OP_UNLINK, WRITES, 0, 0);
	return no ? no : judge_roof(dentry, 0);
}

/* What takes the place of a file has written it. */
static __always_inline int judge_renamed(__u64 from, __u64 to)
{
	int no = judge(from, 1 << OP_RENAME, WRITES | EXECS, READS, 0);
	if (!no)
		no = judge(to, 1 << OP_RENAME, READS | EXECS, WRITES, OTHER);
	if (!no)
		no = judge_roof(from, 0);
	return no ? no : judge_roof(to, OTHER);
}

/* A second name would leave the rule about the first. A question about executing
 * it is no reason to refuse, as with rename: a copy leaves it as well. */
static __always_inline int judge_linked(__u64 from, __u64 to)
{
	int no = judge(from, 1 << OP_LINK, EXECS, READS | WRITES, 0);
	if (!no)
		no = judge(to, 1 << OP_LINK, 0, WRITES, OTHER);
	return no ? no : judge_roof(to, OTHER);
}

/* Access lists hold modes. */
static __always_inline int judge_extended(__u64 dentry)
{
	return judge(dentry, 1 << OP_CHMOD, WRITES, 0, 0);
}

#define ATTR_MODE 1
#define ATTR_UID 2
#define ATTR_GID 4
#define ATTR_SIZE 8
#define ATTR_FORCE (1 << 9)
#define ATTR_FILE (1 << 13)

static __always_inline int judge_attributes(__u64 dentry, __u32 valid)
{
	/* Of an open file the length was judged at the open. */
	if ((valid & ATTR_SIZE) && !(valid & ATTR_FILE))
		return judge(dentry, WRITES, 0, 0, 0);
	/* The kernel itself takes privileged bits off what is written to. */
	if (valid & ATTR_FORCE)
		return 0;
	if (valid & (ATTR_MODE | ATTR_UID | ATTR_GID))
		return judge(dentry, 1 << OP_CHMOD, WRITES, 0, 0);
	return 0;
}

#define FMODE_READ 1
#define FMODE_WRITE 2
#define O_TRUNC 01000

static __always_inline int judge_open(struct file *f)
{
	__u32 mode = f->f_mode;
	if (f->f_inode != f->f_path.dentry->d_inode)
		return 0; /* overlay opens the file below: judged already */
	/* One that only empties the file asks for no more than reading. */
	__u32 writes = (mode & FMODE_WRITE) || (f->f_flags & O_TRUNC);
	__u32 ops = writes ? WRITES : READS;
	/* Both ways at once: no way around a line about reading. */
	__u32 leak = writes && (mode & FMODE_READ) ? READS : 0;
	return judge((__u64)BPF_CORE_READ(f, f_path.dentry), ops, 0, leak, 0);
}

/* Made by an open, but not opened yet: a refusal there would leave an empty file. */
SEC("lsm/inode_create")
int file_made(unsigned long long *ctx)
{
	return traced() ? judge(number(ctx, 1), WRITES, 0, 0, KEEP) : 0;
}
