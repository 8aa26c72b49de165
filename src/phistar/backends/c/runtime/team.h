/* A team of threads that lasts as long as the process: who calls is thread 0, the others wait.

   team_run(team, work, argument) calls work(argument, thread, threads) on every thread at once;
   team_wait is a barrier inside the work. Waiting spins a little, then yields, then sleeps: the
   machine may be busy with other things. */
#ifndef PHISTAR_TEAM_H
#define PHISTAR_TEAM_H
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

typedef void (*team_work)(void *argument, int thread, int threads);

struct team {
    int threads;                         /* of the work that runs now */
    _Alignas(64) atomic_int arrived;     /* how many are at the barrier */
    _Alignas(64) atomic_int phase;       /* how often all have been there */
    _Alignas(64) atomic_int round;       /* how often there was work */
    _Alignas(64) atomic_int finished;    /* workers that are done with this round */
    _Alignas(64) pthread_mutex_t lock;   /* held while there is work: one caller at a time */
    pthread_mutex_t sleep;
    pthread_cond_t wake;
    int size;                            /* threads there are, the caller included */
    int forks;                           /* of the process in which its threads run */
    team_work work;
    void *argument;
};

static inline void team_relax(int turn) {
    if (turn < 2000) {
#if defined __x86_64__ || defined __i386__
        __builtin_ia32_pause();
#elif defined __aarch64__
        __asm__ volatile("yield");
#endif
    } else if (turn < 20000) {
        sched_yield();
    } else {
        struct timespec short_while = {0, 50000};
        nanosleep(&short_while, NULL);
    }
}

/* Nobody leaves before all have come; what was written before is seen after. */
static inline void team_wait(struct team *team, int threads) {
    if (threads == 1) return;
    int phase = atomic_load_explicit(&team->phase, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&team->arrived, 1, memory_order_acq_rel) + 1 == threads) {
        atomic_store_explicit(&team->arrived, 0, memory_order_relaxed);
        atomic_store_explicit(&team->phase, phase + 1, memory_order_release);
        return;
    }
    for (int turn = 0; atomic_load_explicit(&team->phase, memory_order_acquire) == phase; turn++)
        team_relax(turn);
}

struct team *team_new(int size);
void team_run(struct team *team, team_work work, void *argument, int threads);
#endif
