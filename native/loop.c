/* loop.c — the run loop: step, step, housekeeping every N turns, idle policy when nothing happened. See loop.h. */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "loop.h"

static volatile sig_atomic_t stop_signal;
static struct control_block *signal_control;

static void on_stop(int number)
{
    stop_signal = number;
}

static void on_kill(int number)
{
    (void)number;
    if (signal_control)
        control_kill(signal_control, KILL_SIGNAL);
}

uint64_t control_kill(struct control_block *control, uint64_t reason)
{
    uint64_t clear = KILL_CLEAR;
    if (__atomic_compare_exchange_n(&control->kill_latch, &clear, reason, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
        __atomic_store_n(&control->kill_time_ns, clock_now_ns(&control->clock), __ATOMIC_RELEASE);
        return reason;
    }
    return clear;
}

static int64_t turn(struct loop *loop, uint32_t *finished)
{
    int64_t work = 0;
    *finished = 0;
    for (uint32_t index = 0; index < loop->stage_count; index++) {
        int64_t done = loop->stages[index].step(loop->stages[index].context);
        if (done < 0)
            (*finished)++;
        else
            work += done;
    }
    return work;
}

/* Silence counts only while the neighbour should be alive: absent, starting and stopped ones are control's business. */
static void watch(struct loop *loop, struct heartbeat *own, int64_t now_ns)
{
    for (uint32_t index = 0; index < loop->watch_count; index++) {
        const struct loop_watch *row = &loop->watches[index];
        const struct heartbeat *other = &loop->control->heartbeats[row->process];
        if (__atomic_load_n(&other->state, __ATOMIC_ACQUIRE) != PROCESS_RUNNING)
            continue;
        if (now_ns - __atomic_load_n(&other->time_ns, __ATOMIC_ACQUIRE) > row->timeout_ns) {
            own->stuck++;
            control_kill(loop->control, row->kill_reason);
        }
    }
}

/* The service manager's watchdog: it hears from us only while the loop turns. A full socket is asked again next time. */
static void notify(struct loop *loop, int64_t now_ns)
{
    static const char alive[] = "WATCHDOG=1";
    if (loop->notify_interval_ns == 0 || now_ns - loop->notified_ns < loop->notify_interval_ns)
        return;
    if (send(loop->notify_socket, alive, sizeof alive - 1, MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
        loop->notified_ns = now_ns;
}

static int housekeeping(struct loop *loop, uint64_t turns, uint64_t turns_busy)
{
    struct heartbeat *own = &loop->control->heartbeats[loop->process];
    int64_t now_ns = clock_now_ns(&loop->control->clock);
    own->turns = turns;
    own->turns_busy = turns_busy;
    __atomic_store_n(&own->time_ns, now_ns, __ATOMIC_RELEASE);
    watch(loop, own, now_ns);
    notify(loop, now_ns);
    if (loop->housekeep)
        loop->housekeep(loop->stages[0].context);
    return stop_signal != 0 || __atomic_load_n(&loop->control->stop, __ATOMIC_ACQUIRE) != 0;
}

static void idle(const struct loop *loop)
{
    struct timespec pause = {.tv_nsec = loop->sleep_ns};
    switch (loop->idle) {
    case LOOP_SPIN:
        _mm_pause();
        break;
    case LOOP_YIELD:
        sched_yield();
        break;
    default:
        nanosleep(&pause, NULL);
    }
}

static int turn_until_end(struct loop *loop)
{
    uint64_t turns = 0, turns_busy = 0;
    uint32_t empty = 0, finished = 0;
    for (;;) {
        int64_t work = turn(loop, &finished);
        turns++;
        turns_busy += work > 0;
        empty = work > 0 ? 0 : empty + 1;
        int slept = empty > loop->turns_idle && loop->idle == LOOP_SLEEP;
        if (turns % loop->housekeeping_turns == 0 || slept || finished) {
            if (housekeeping(loop, turns, turns_busy))
                return LOOP_END_STOP;
            if (finished == loop->stage_count)
                return LOOP_END_FINISHED;
        }
        if (loop->turns_max && turns >= loop->turns_max)
            return stop_signal ? LOOP_END_STOP : LOOP_END_TURNS;
        if (empty > loop->turns_idle)
            idle(loop);
    }
}

static int pin(int32_t cpu)
{
    cpu_set_t set;
    if (cpu < 0)
        return 0;
    CPU_ZERO(&set);
    CPU_SET((unsigned)cpu, &set);
    return sched_setaffinity(0, sizeof set, &set) ? -errno : 0;
}

int loop_run(struct loop *loop)
{
    struct sigaction stop = {.sa_handler = on_stop}, kill = {.sa_handler = on_kill};
    struct sigaction old_term, old_int, old_usr1;
    struct heartbeat *own = &loop->control->heartbeats[loop->process];
    int problem = pin(loop->cpu);
    if (problem)
        return problem;
    stop_signal = 0;
    signal_control = loop->control;
    sigaction(SIGTERM, &stop, &old_term);
    sigaction(SIGINT, &stop, &old_int);
    sigaction(SIGUSR1, &kill, &old_usr1);
    own->pid = (uint32_t)getpid();
    housekeeping(loop, 0, 0);
    __atomic_store_n(&own->state, PROCESS_RUNNING, __ATOMIC_RELEASE);

    int end = turn_until_end(loop);

    __atomic_store_n(&own->state, PROCESS_STOPPED, __ATOMIC_RELEASE);
    sigaction(SIGTERM, &old_term, NULL);
    sigaction(SIGINT, &old_int, NULL);
    sigaction(SIGUSR1, &old_usr1, NULL);
    /* asked between the last look and the old handlers: who calls for a few turns at a time would never hear of it */
    return end == LOOP_END_TURNS && stop_signal ? LOOP_END_STOP : end;
}
