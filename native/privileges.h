/*
 * privileges.h — what a stage process gives up once its ports are open: capabilities, new privileges, system calls.
 *
 * Beside the corridor; called by Python before the first turn. Its hard rule: every thread of the process is bound, or the
 * caller hears of it. Linux keeps capabilities per thread, and EAL and numpy have started threads by then.
 * Sources: capabilities(7), seccomp(2), Linux Documentation/userspace-api/seccomp_filter.rst.
 */
#ifndef GATEWAY_PRIVILEGES_H
#define GATEWAY_PRIVILEGES_H

#include <stdint.h>

/* cdef: begin */
enum privileges_limit {
    PRIVILEGES_SIGNAL = 7,      /* behind SIGRTMIN: asks a thread to bind itself */
    PRIVILEGES_THREADS_MAX = 1024,
    PRIVILEGES_WAIT_MS = 2000   /* a thread that has not answered by then has the signal blocked */
};

/* What `privileges_refuse` refuses beside the administration of the host, which it always does. */
enum privileges_refusal {
    PRIVILEGES_NO_NETWORK = 1,  /* no new socket; those that are open go on */
    PRIVILEGES_NO_NEW_CODE = 2  /* no memory becomes executable that can or could be written: for a process without a JIT */
};

/* In every thread: bounding, ambient and inheritable sets empty; permitted and effective at most `keep`, a bit mask.
   Without CAP_SETPCAP the bounding set stays as it is. 0, or -errno. */
int privileges_keep(uint64_t keep);
/* No new privileges and a filter of system calls, for all threads and for good; a refused call meets EPERM.
   `refusals` is a sum of enum privileges_refusal. 0, or -errno. */
int privileges_refuse(uint32_t refusals);
/* Nobody but root traces this process or reads its memory, and it leaves no core file. 0, or -errno. */
int privileges_hide(void);
/* Keeps in memory whatever this process has touched or will touch (mlockall, on fault). 0, or -errno. */
int privileges_lock_memory(void);
/* cdef: end */

#endif
