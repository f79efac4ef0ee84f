/* Makes the storage operations of a process fail, one at a time, and writes down what they were.
 *
 * Put in by LD_PRELOAD. The calls of a library can be replaced by symbol, but Outlast makes some of its system
 * calls itself; so the kernel is asked (seccomp) to stop the process at every call of interest, by whomever it is
 * made, and the handler below decides what becomes of it. Only calls on files below one folder are counted.
 *
 * FAULTS_FOLDER  the folder, as an absolute path
 * FAULTS_AT      the number of the operation that goes wrong, from 1; 0 or nothing: none does
 * FAULTS_KIND    how: see KINDS
 * FAULTS_LOG     a file that takes a line for each operation: "NUMBER CLASS NAME PATH OFFSET LENGTH"
 * FAULTS_DATA    if set, the bytes that were written follow each line of a write
 *
 * CLASS is m for what changes something on the disk, r for reads, locks and opening.
 * Programs that the process starts are not covered, and would not survive: the filter is inherited, the handler is not.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#define RESULT(context) ((context)->uc_mcontext.gregs[REG_RAX])
#define ARGUMENTS(context)                                                                                             \
    {                                                                                                                  \
        (context)->uc_mcontext.gregs[REG_RDI], (context)->uc_mcontext.gregs[REG_RSI],                                  \
            (context)->uc_mcontext.gregs[REG_RDX], (context)->uc_mcontext.gregs[REG_R10],                              \
            (context)->uc_mcontext.gregs[REG_R8]                                                                       \
    }
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#define RESULT(context) ((context)->uc_mcontext.regs[0])
#define ARGUMENTS(context)                                                                                             \
    {                                                                                                                  \
        (context)->uc_mcontext.regs[0], (context)->uc_mcontext.regs[1], (context)->uc_mcontext.regs[2],                \
            (context)->uc_mcontext.regs[3], (context)->uc_mcontext.regs[4]                                             \
    }
#else
#error "unknown architecture"
#endif

/* A sixth argument that marks our own calls; those that are stopped have five at most. */
#define OURS 0x0fa17500u
#define PATH_BYTES_MAX 512
#define LOG_DESCRIPTOR 900

enum kind {
    NONE,
    CRASH_BEFORE,
    CRASH_AFTER,
    FULL,
    FULL_ON,
    FULL_COPYING_ON,
    EIO_ONCE,
    EIO_ON,
    READ_ONLY_ON,
    SHORT,
    SHORT_CRASH,
    SLOW,
    SLOW_ALL
};

/* In the order of the enumeration above. */
static const char *const KINDS[] = {"none",     "crash-before", "crash-after",  "full",        "full-on",     "full-copying-on",
                                    "io-error", "io-error-on",  "read-only-on", "short-write", "short-crash", "slow-sync",
                                    "slow-all"};
enum { KIND_COUNT = sizeof KINDS / sizeof *KINDS };

static char folder[PATH_BYTES_MAX];
static size_t folder_length;
static long fault_at;
static enum kind fault_kind;
static int log_data;
static int logging;
static atomic_long count;
static atomic_flag busy = ATOMIC_FLAG_INIT;

static long pass(long number, const long *a) { return syscall(number, a[0], a[1], a[2], a[3], a[4], (long)OURS); }

static long outcome(long result) { return result == -1 ? -errno : result; }

/* What a call is, as far as it matters here. */
struct operation {
    const char *name;
    char path[PATH_BYTES_MAX];
    int changes, grows, writes, syncs, locks, opens_to_write;
    long offset, length;
    const void *data;
};

static int below(const char *path) {
    return strncmp(path, folder, folder_length) == 0 && (path[folder_length] == '/' || path[folder_length] == 0);
}

static void keep_path(struct operation *it, const char *path) {
    const char *rest = path + folder_length;
    snprintf(it->path, sizeof it->path, "%s", *rest == '/' ? rest + 1 : ".");
}

/* Whether the open file `descriptor` lies below the folder; keeps its path. */
static int is_ours(long descriptor, struct operation *it) {
    char link[64], path[PATH_BYTES_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%ld", descriptor);
    const long arguments[5] = {AT_FDCWD, (long)link, (long)path, sizeof path - 1, 0};
    long length = pass(SYS_readlinkat, arguments);
    if (length <= 0) return 0;
    path[length] = 0;
    if (!below(path)) return 0;
    keep_path(it, path);
    return 1;
}

static int is_ours_by_name(const char *path, struct operation *it) {
    if (!below(path)) return 0;
    keep_path(it, path);
    return 1;
}

static int opening(const char *path, long flags, struct operation *it) {
    it->changes = it->grows = (flags & O_CREAT) != 0;
    it->opens_to_write = (flags & O_ACCMODE) != O_RDONLY;
    it->name = it->changes ? "create" : it->opens_to_write ? "open-rw" : "open";
    return is_ours_by_name(path, it);
}

static int writing(const char *name, long descriptor, const void *data, long length, long offset,
                   struct operation *it) {
    it->name = name;
    it->changes = it->grows = it->writes = 1;
    it->data = data;
    it->length = length;
    it->offset = offset;
    return is_ours(descriptor, it);
}

static int changing(const char *name, const char *path, int grows, struct operation *it) {
    it->name = name;
    it->changes = 1;
    it->grows = grows;
    return is_ours_by_name(path, it);
}

/* Whether the call is one to be counted, and what it is. */
static int describe(long number, const long *a, struct operation *it) {
    memset(it, 0, sizeof *it);
    switch (number) {
#ifdef SYS_open
    case SYS_open: return opening((const char *)a[0], a[1], it);
#endif
    case SYS_openat: return opening((const char *)a[1], a[2], it);
    case SYS_write: {
        if (!writing("write", a[0], (const void *)a[1], a[2], 0, it)) return 0;
        it->offset = lseek((int)a[0], 0, SEEK_CUR);
        return 1;
    }
    case SYS_pwrite64: return writing("write", a[0], (const void *)a[1], a[2], a[3], it);
    case SYS_fsync:
    case SYS_fdatasync:
        it->name = "sync";
        it->changes = it->syncs = 1;
        return is_ours(a[0], it);
    case SYS_ftruncate:
        it->name = "truncate";
        it->changes = it->grows = 1;
        it->length = a[1];
        return is_ours(a[0], it);
    case SYS_fallocate:
        it->name = "allocate";
        it->changes = it->grows = 1;
        return is_ours(a[0], it);
    case SYS_fchmod:
        it->name = "chmod";
        it->changes = 1;
        return is_ours(a[0], it);
    case SYS_fchmodat: return changing("chmod", (const char *)a[1], 0, it);
#ifdef SYS_chmod
    case SYS_chmod: return changing("chmod", (const char *)a[0], 0, it);
    case SYS_unlink: return changing("unlink", (const char *)a[0], 0, it);
    case SYS_mkdir: return changing("mkdir", (const char *)a[0], 1, it);
    case SYS_rename: return changing("rename", (const char *)a[0], 1, it);
#endif
    case SYS_unlinkat: return changing("unlink", (const char *)a[1], 0, it);
    case SYS_mkdirat: return changing("mkdir", (const char *)a[1], 1, it);
#ifdef SYS_renameat
    case SYS_renameat:
#endif
    case SYS_renameat2: {
        if (!changing("rename", (const char *)a[1], 1, it)) return 0;
        /* Both names go into the log. */
        size_t used = strlen(it->path);
        const char *to = (const char *)a[3];
        if (below(to)) snprintf(it->path + used, sizeof it->path - used, ">%s", to + folder_length + 1);
        return 1;
    }
    case SYS_read:
        it->name = "read";
        it->length = a[2];
        return is_ours(a[0], it);
    case SYS_pread64:
        it->name = "read";
        it->length = a[2];
        it->offset = a[3];
        return is_ours(a[0], it);
    case SYS_flock:
        it->name = a[1] & LOCK_UN ? "unlock" : "lock";
        it->locks = 1;
        return is_ours(a[0], it);
    case SYS_fcntl:
        it->name = ((const struct flock *)a[2])->l_type == F_UNLCK ? "unlock" : "lock";
        it->locks = 1;
        return is_ours(a[0], it);
    default: return 0;
    }
}

static void note(long number, const struct operation *it) {
    char line[PATH_BYTES_MAX + 96];
    int length = snprintf(line, sizeof line, "%ld %c %s %s %ld %ld\n", number, it->changes ? 'm' : 'r', it->name,
                          it->path, it->offset, it->length);
    struct iovec parts[2] = {{line, (size_t)length}, {(void *)it->data, (size_t)it->length}};
    const long arguments[5] = {LOG_DESCRIPTOR, (long)parts, log_data && it->writes ? 2 : 1, 0, 0};
    pass(SYS_writev, arguments);
}

static void die(void) {
    const long arguments[5] = {getpid(), SIGKILL, 0, 0, 0};
    pass(SYS_kill, arguments);
    for (;;) pause();
}

/* Writes the first half; at least a byte stays unwritten. */
static long half(long number, const long *a, const struct operation *it) {
    const long arguments[5] = {a[0], a[1], it->length / 2, a[3], a[4]};
    return outcome(pass(number, arguments));
}

static void slow(void) {
    const struct timespec pause = {2, 0};
    const long arguments[5] = {CLOCK_MONOTONIC, 0, (long)&pause, 0, 0};
    pass(SYS_clock_nanosleep, arguments);
}

/* Whether a disk without room refuses it: what overwrites a file in place takes none. */
static int needs_room(long number, const long *a, const struct operation *it) {
    if (!it->grows) return 0;
    struct stat file;
    if (it->writes) return fstat((int)a[0], &file) == 0 && it->offset + it->length > file.st_size;
    if (strcmp(it->name, "create") == 0) {
        const char *path = (const char *)(number == SYS_openat ? a[1] : a[0]);
        return access(path, F_OK) != 0;
    }
    return 1;
}

static long carry_out(long number, const long *a, const struct operation *it, long own) {
    const int here = fault_at != 0 && own == fault_at, from_here = fault_at != 0 && own >= fault_at;
    switch (fault_kind) {
    case NONE: break;
    case CRASH_BEFORE:
        if (here) die();
        break;
    case CRASH_AFTER:
        if (here) {
            pass(number, a);
            die();
        }
        break;
    case FULL:
        if (here && (it->grows || it->syncs)) return -ENOSPC;
        break;
    case FULL_ON:
        if (from_here && needs_room(number, a, it)) return -ENOSPC;
        break;
    case FULL_COPYING_ON:
        if (from_here && it->grows) return -ENOSPC;
        break;
    case EIO_ONCE:
    case EIO_ON:
        /* A lock never meets the disk; the kernel may still have none to give. */
        if (here || (from_here && fault_kind == EIO_ON && !it->locks)) return it->locks ? -ENOLCK : -EIO;
        break;
    case READ_ONLY_ON:
        if (from_here && !it->syncs && (it->changes || it->opens_to_write)) return -EROFS;
        break;
    case SHORT:
    case SHORT_CRASH:
        if (here && it->writes) {
            long written = half(number, a, it);
            if (fault_kind == SHORT_CRASH) die();
            return written;
        }
        break;
    case SLOW:
        if (it->syncs) slow();
        break;
    case SLOW_ALL:
        if (it->changes || it->opens_to_write) slow();
        break;
    }
    return outcome(pass(number, a));
}

static void stopped(int signal, siginfo_t *info, void *context_of_signal) {
    (void)signal;
    ucontext_t *context = context_of_signal;
    const int kept_errno = errno;
    const long number = info->si_syscall;
    const long arguments[5] = ARGUMENTS(context);
    struct operation it;
    long result;
    if (describe(number, arguments, &it)) {
        while (atomic_flag_test_and_set(&busy)) {
        }
        const long own = atomic_fetch_add(&count, 1) + 1;
        if (logging) note(own, &it);
        atomic_flag_clear(&busy);
        result = carry_out(number, arguments, &it, own);
    } else {
        result = outcome(pass(number, arguments));
    }
    RESULT(context) = result;
    errno = kept_errno;
}

#define LOAD(what) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, what))
#define ALLOW BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define TRAP BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP)
#define STOP(number) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1), TRAP

static int filter(void) {
    struct sock_filter program[] = {
        LOAD(arch),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0),
        ALLOW,
        LOAD(args[5]),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OURS, 0, 1),
        ALLOW,
        LOAD(nr),
#ifdef SYS_open
        STOP(SYS_open),
        STOP(SYS_chmod),
        STOP(SYS_unlink),
        STOP(SYS_mkdir),
        STOP(SYS_rename),
#endif
        STOP(SYS_openat),
        STOP(SYS_read),
        STOP(SYS_write),
        STOP(SYS_pread64),
        STOP(SYS_pwrite64),
        STOP(SYS_fsync),
        STOP(SYS_fdatasync),
        STOP(SYS_ftruncate),
        STOP(SYS_fallocate),
        STOP(SYS_fchmod),
        STOP(SYS_fchmodat),
        STOP(SYS_unlinkat),
        STOP(SYS_mkdirat),
#ifdef SYS_renameat
        STOP(SYS_renameat),
#endif
        STOP(SYS_renameat2),
#ifdef SYS_renameat
        STOP(SYS_renameat),
#endif
        STOP(SYS_flock),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fcntl, 1, 0),
        ALLOW,
        LOAD(args[1]),
        STOP(F_SETLK),
        STOP(F_SETLKW),
        ALLOW,
    };
    struct sock_fprog whole = {sizeof program / sizeof *program, program};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &whole);
}

static void refuse(const char *why) {
    fprintf(stderr, "faults: %s\n", why);
    _exit(125);
}

__attribute__((constructor)) static void begin(void) {
    const char *where = getenv("FAULTS_FOLDER");
    if (!where) return;
    folder_length = strlen(where);
    if (folder_length >= sizeof folder) refuse("the folder's name is too long");
    memcpy(folder, where, folder_length + 1);
    const char *at = getenv("FAULTS_AT"), *kind = getenv("FAULTS_KIND"), *path = getenv("FAULTS_LOG");
    fault_at = at ? atol(at) : 0;
    int known = !kind;
    for (int each = 0; kind && each < KIND_COUNT; each++) {
        if (strcmp(kind, KINDS[each]) == 0) {
            fault_kind = (enum kind)each;
            known = 1;
        }
    }
    if (!known) refuse("no such kind");
    log_data = getenv("FAULTS_DATA") != NULL;
    if (path) {
        int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (file < 0 || dup3(file, LOG_DESCRIPTOR, O_CLOEXEC) < 0) refuse("no log");
        close(file);
        logging = 1;
    }
    struct sigaction action = {.sa_sigaction = stopped, .sa_flags = SA_SIGINFO | SA_NODEFER};
    if (sigaction(SIGSYS, &action, NULL)) refuse("no handler");
    if (filter()) refuse("the kernel takes no filter (seccomp)");
}
