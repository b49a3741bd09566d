/* The contract between the kernel programs and agent/src/abi.rs, which reads
 * these offsets and asserts the sizes. Change both together. */
#pragma once

#define DATA_MAX 12288
#define PATH_MAX_ 4096
#define NAME_MAX_ 256
#define ARG_MAX_ 4096
#define ADDR_MAX 112
#define SEGMENTS 12
#define DEPTH 64
#define VECTORS 16     /* parts of a message whose lengths are summed */
#define MESSAGES 8     /* messages of one sendmmsg that are recorded */
#define HANDED 16      /* descriptors from 3 on that an exec's record holds */
#define OPEN_FILES 65536

/* Ports that connects and lookups are turned to, on loopback. */
#define PORT_RELAY 9040
#define PORT_STUB 5353

enum kind { KIND_CALL = 1, KIND_FORK = 2, KIND_EXIT = 3, KIND_TRANSFER = 4,
	KIND_DENIAL = 5, /* by a line, of a call that is not observed */
};

#define X32_FIRST 0x40000000
#define X32_CALL 511 /* no call of the table: stands for any x32 call */

enum class_ {
	CLASS_NONE = 0,
	CLASS_EXEC,
	CLASS_OPEN,
	CLASS_CHANGE,
	CLASS_LOOK,
	CLASS_SOCKET,
	CLASS_CONNECT,
	CLASS_BIND,
	CLASS_LISTEN,
	CLASS_ACCEPT,
	CLASS_SEND,
	CLASS_DUP,
	CLASS_GUARD,
	CLASS_GUARD_REFUSED, /* recorded only where seccomp refused it */
	CLASS_MESSAGE,  /* sends to an address inside a msghdr */
	CLASS_SIGNAL,
	CLASS_IDENTITY,
	CLASS_TRANSFER, /* moves bytes: only summed up, a record comes at the close */
};

enum role {
	ROLE_PATH = 1,
	ROLE_OTHER,
	ROLE_ADDR,
	ROLE_BASE,
	ROLE_OTHER_BASE,
	ROLE_FILE,        /* components, leaf first, NUL after each */
	ROLE_INTERPRETER, /* likewise */
	ROLE_ARGV,        /* words, NUL after each */
	ROLE_CWD,         /* components */
	ROLE_OTHER_FILE,  /* likewise */
	ROLE_DESCRIPTORS, /* pairs of bytes: number, kind */
};

#define SEG_CUT 1
#define SEG_UNREADABLE 2

#define REC_REFUSED 1  /* seccomp answered: there was no sys_enter */
#define REC_DIED 2     /* the thread died inside the call */
#define REC_UNLINKED 4 /* the executed file has no name any more */
#define REC_LOADED 8   /* exec passed the point of no return */
#define REC_UNTOLD 16  /* the caller is not told how this part of the call ended */

enum descriptor { FD_CLOSED, FD_FILE, FD_DEVICE, FD_PIPE, FD_UNIX, FD_NET, FD_OTHER };

struct segment {
	__u16 role, flags;
	__u32 len;  /* bytes in data */
	__u32 full; /* bytes it really had, as far as known */
	__u32 dev;  /* superblock, for components */
};

struct record {
	__u64 at;
	__u32 kind, nr;
	__u32 pid, tid, parent, uid;
	__s64 ret;
	__u64 args[6];
	__u32 flags, used, segments;
	__u8 stdio[4];
	/* The policy line that refused it, its op << 16, what it says << 24, and
	 * DENIED_OTHER if it is about the call's second object. */
	__u32 denied;
	struct segment segment[SEGMENTS];
	__u8 data[DATA_MAX];
};

/* Policy lines, numbered from 1; 0 is none. */
#define LINES 1024
#define TOO_DEEP 1022 /* not a line: deeper than can be looked at */
#define ROOF 1023     /* not a line: a folder above something ruled */
#define OPS 8
#define DEEP 128
#define GRANTED 4

enum op { OP_READ, OP_WRITE, OP_EXEC, OP_CONNECT, OP_UNLINK, OP_RENAME, OP_LINK, OP_CHMOD };
enum says { SAYS_ALLOW, SAYS_DENY, SAYS_ASK };

#define DENIED_OTHER (1u << 31)

#define WATCH_SOME 1 /* single paths or names */
#define WATCH_MANY 2 /* folders, or everything */

struct ruled {
	__u16 line[OPS];
};

struct grant {
	__u64 path[GRANTED];
	__u32 op, pad;
};

struct call_desc {
	/* Argument index + 1, 0 = none. Of a transfer, dir is the descriptor that
	 * is read and other_dir the one that is written. */
	__u8 class_, path, dir, other, other_dir, addr;
};

struct endpoint {
	__u32 ip[4]; /* network order; IPv4 in ip[0] */
	__u16 port;  /* host order */
	__u16 family;
};

struct origin {
	struct endpoint to;
	__u32 pid, tid;
};
