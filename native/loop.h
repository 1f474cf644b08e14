/*
 * loop.h — one run loop for any list of stages on one CPU, in C, without the GIL.
 *
 * A stage is a step function that does a bounded amount of work and returns how much. A negative return says that the
 * stage has finished for good; the loop ends when every stage has.
 */
#ifndef GATEWAY_LOOP_H
#define GATEWAY_LOOP_H

#include "layout.h"

/* cdef: begin */
enum loop_limit { LOOP_STAGES_MAX = 8, LOOP_WATCHES_MAX = 8 };

enum loop_idle { LOOP_SPIN = 0, LOOP_YIELD = 1, LOOP_SLEEP = 2 };

enum loop_end {
    LOOP_END_STOP = 0,     /* control block or signal asked */
    LOOP_END_FINISHED = 1, /* every stage said it is done */
    LOOP_END_TURNS = 2     /* turns_max reached */
};

struct loop_stage {
    int64_t (*step)(void *context);
    void *context;
};

/* A neighbour whose silence sets the kill latch. */
struct loop_watch {
    uint32_t process;     /* enum process_index */
    uint32_t kill_reason; /* enum kill_reason */
    int64_t timeout_ns;
};

struct loop {
    struct loop_stage stages[8];
    uint32_t stage_count;
    uint32_t idle;            /* enum loop_idle */
    uint32_t sleep_ns;        /* of LOOP_SLEEP */
    uint32_t turns_idle;      /* empty turns before the idle policy acts */
    uint32_t housekeeping_turns;
    uint32_t process;         /* enum process_index: whose heartbeat this loop writes */
    int32_t cpu;              /* pin to it; -1: leave it to the kernel */
    uint32_t watch_count;
    uint64_t turns_max;       /* 0: no bound */
    struct control_block *control;
    void (*housekeep)(void *context); /* NULL, or called with the first stage's context */
    struct loop_watch watches[8];
    int64_t notify_interval_ns; /* 0: nobody outside asks for signs of life */
    int64_t notified_ns;
    int32_t notify_socket;      /* connected to the service manager's, sd_notify(3) */
};

/* Runs until asked to stop; SIGTERM and SIGINT ask too. Returns enum loop_end, or -errno when pinning failed. */
int loop_run(struct loop *loop);
/* Sets the latch once; later calls leave the first reason in place. Returns the reason now in force. */
uint64_t control_kill(struct control_block *control, uint64_t reason);
/* cdef: end */

#endif
