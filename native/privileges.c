/* privileges.c — see privileges.h. */
#define _GNU_SOURCE
#include "privileges.h"

#include <dirent.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { CAPABILITIES_MAX = 64, POLL_NS = 100000, X32_FIRST = 0x40000000 };

static uint64_t kept;
static int answers; /* threads that have bound themselves */
static int problem; /* the first errno any of them met; 0: none */

static int bind_sets(uint64_t keep)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    uint32_t excess = 0;
    if (syscall(SYS_capget, &header, data) != 0)
        return errno;
    for (int half = 0; half < 2; half++) {
        uint32_t mask = (uint32_t)(keep >> (32 * half));
        excess |= (data[half].permitted & ~mask) | data[half].inheritable;
        data[half].permitted &= mask;
        data[half].effective &= mask;
        data[half].inheritable = 0;
    }
    /* asked for only where something goes: a unit may refuse the call itself */
    return excess && syscall(SYS_capset, &header, data) != 0 ? errno : 0;
}

/* The calling thread only. Raw calls: it runs in a signal handler. Returns errno. */
static int bind_thread(uint64_t keep)
{
    syscall(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    for (unsigned long capability = 0; capability < CAPABILITIES_MAX; capability++)
        if (syscall(SYS_prctl, PR_CAPBSET_READ, capability, 0, 0, 0) == 1)
            syscall(SYS_prctl, PR_CAPBSET_DROP, capability, 0, 0, 0);
    return bind_sets(keep);
}

static void on_signal(int number)
{
    int before = errno, outcome = bind_thread(kept), none = 0;
    (void)number;
    if (outcome)
        __atomic_compare_exchange_n(&problem, &none, outcome, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    __atomic_add_fetch(&answers, 1, __ATOMIC_SEQ_CST);
    errno = before;
}

/* The other threads of this process; their number, or -errno. */
static int others(pid_t *threads)
{
    int count = 0;
    pid_t own = (pid_t)syscall(SYS_gettid);
    DIR *folder = opendir("/proc/self/task");
    if (folder == NULL)
        return -errno;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL && count < PRIVILEGES_THREADS_MAX;) {
        pid_t thread = (pid_t)atoi(entry->d_name);
        if (thread > 0 && thread != own)
            threads[count++] = thread;
    }
    closedir(folder);
    return count < PRIVILEGES_THREADS_MAX ? count : -E2BIG;
}

static int ask_others(int number)
{
    static pid_t threads[PRIVILEGES_THREADS_MAX];
    int count = others(threads), asked = 0;
    struct timespec pause = {.tv_nsec = POLL_NS};
    if (count < 0)
        return -count;
    for (int index = 0; index < count; index++) /* one that has ended meanwhile is not asked */
        asked += syscall(SYS_tgkill, getpid(), threads[index], number) == 0;
    for (int polls = 0; polls < PRIVILEGES_WAIT_MS * (1000000 / POLL_NS); polls++) {
        if (__atomic_load_n(&answers, __ATOMIC_SEQ_CST) >= asked)
            return 0;
        nanosleep(&pause, NULL);
    }
    return ETIMEDOUT;
}

int privileges_keep(uint64_t keep)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART}, before;
    int number = SIGRTMIN + PRIVILEGES_SIGNAL;
    kept = keep;
    answers = problem = 0;
    if (sigaction(number, &action, &before) != 0)
        return -errno;
    int outcome = ask_others(number);
    if (outcome != ETIMEDOUT) /* a late answer must find its handler */
        sigaction(number, &before, NULL);
    int own = bind_thread(keep);
    return outcome ? -outcome : problem ? -problem : -own;
}

/* Administration of the host and of other processes: neither io nor core has any business there. */
static const uint32_t always[] = {
    SYS_execve, SYS_execveat, SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev, SYS_kexec_load, SYS_kexec_file_load,
    SYS_init_module, SYS_finit_module, SYS_delete_module, SYS_mount, SYS_umount2, SYS_pivot_root, SYS_chroot, SYS_setns,
    SYS_unshare, SYS_reboot, SYS_swapon, SYS_swapoff, SYS_acct, SYS_quotactl, SYS_settimeofday, SYS_clock_settime,
    SYS_clock_adjtime, SYS_adjtimex, SYS_sethostname, SYS_setdomainname, SYS_syslog, SYS_iopl, SYS_ioperm, SYS_bpf,
    SYS_perf_event_open, SYS_userfaultfd, SYS_add_key, SYS_request_key, SYS_keyctl, SYS_open_by_handle_at, SYS_personality,
    SYS_fanotify_init, SYS_lookup_dcookie, SYS_vhangup, SYS_modify_ldt, SYS_migrate_pages, SYS_move_pages,
    425 /* io_uring_setup */, 428 /* open_tree */, 429 /* move_mount */, 430 /* fsopen */, 432 /* fsmount */,
    433 /* fspick */, 438 /* pidfd_getfd */, 442 /* mount_setattr */};
static const uint32_t network[] = {SYS_socket, SYS_connect, SYS_bind, SYS_listen, SYS_accept, SYS_accept4};
static const uint32_t new_code[] = {SYS_mprotect, SYS_pkey_mprotect};

enum { COUNT_ALWAYS = sizeof always / sizeof *always, COUNT_NETWORK = sizeof network / sizeof *network };
enum { FILTER_MAX = 2 * (COUNT_ALWAYS + COUNT_NETWORK) + 32 };

struct filter {
    struct sock_filter rows[FILTER_MAX];
    unsigned short count;
};

static void add(struct filter *filter, uint16_t code, uint32_t operand, uint8_t if_true, uint8_t if_false)
{
    filter->rows[filter->count++] = (struct sock_filter)BPF_JUMP(code, operand, if_true, if_false);
}

static void load(struct filter *filter, size_t offset)
{
    add(filter, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

static void answer(struct filter *filter, uint32_t action)
{
    add(filter, BPF_RET | BPF_K, action, 0, 0);
}

static void refuse_all(struct filter *filter, const uint32_t *calls, int count)
{
    for (int index = 0; index < count; index++) {
        add(filter, BPF_JMP | BPF_JEQ | BPF_K, calls[index], 0, 1);
        answer(filter, SECCOMP_RET_ERRNO | EPERM);
    }
}

/* The third argument of mmap and mprotect is the protection; the upper half of the register carries nothing. */
static void refuse_new_code(struct filter *filter)
{
    size_t protection = offsetof(struct seccomp_data, args[2]);
    for (unsigned index = 0; index < sizeof new_code / sizeof *new_code; index++) {
        add(filter, BPF_JMP | BPF_JEQ | BPF_K, new_code[index], 0, 4);
        load(filter, protection);
        add(filter, BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 0, 1);
        answer(filter, SECCOMP_RET_ERRNO | EPERM);
        answer(filter, SECCOMP_RET_ALLOW);
    }
    add(filter, BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 0, 5);
    load(filter, protection);
    add(filter, BPF_ALU | BPF_AND | BPF_K, PROT_WRITE | PROT_EXEC, 0, 0);
    add(filter, BPF_JMP | BPF_JEQ | BPF_K, PROT_WRITE | PROT_EXEC, 0, 1);
    answer(filter, SECCOMP_RET_ERRNO | EPERM);
    answer(filter, SECCOMP_RET_ALLOW);
}

int privileges_refuse(uint32_t refusals)
{
    struct filter filter = {.count = 0};
    load(&filter, offsetof(struct seccomp_data, arch));
    add(&filter, BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
    answer(&filter, SECCOMP_RET_ERRNO | EPERM); /* 32-bit calls have other numbers */
    load(&filter, offsetof(struct seccomp_data, nr));
    add(&filter, BPF_JMP | BPF_JGE | BPF_K, X32_FIRST, 0, 1);
    answer(&filter, SECCOMP_RET_ERRNO | EPERM);
    refuse_all(&filter, always, COUNT_ALWAYS);
    if (refusals & PRIVILEGES_NO_NETWORK)
        refuse_all(&filter, network, COUNT_NETWORK);
    if (refusals & PRIVILEGES_NO_NEW_CODE)
        refuse_new_code(&filter);
    answer(&filter, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {.len = filter.count, .filter = filter.rows};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return -errno;
    /* SPEC_ALLOW: kernels before 5.16 would slow every store of a filtered process down; this one runs our own code */
    long flags = SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_SPEC_ALLOW;
    long outcome = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
    return outcome < 0 ? -errno : outcome > 0 ? -ESRCH : 0; /* positive: the thread that cannot follow */
}

int privileges_hide(void)
{
    return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 ? 0 : -errno;
}

int privileges_lock_memory(void)
{
    return mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == 0 ? 0 : -errno;
}
