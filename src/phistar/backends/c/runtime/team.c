#include "team.h"

/* How often this process was forked from another: a fork has the memory, but none of the threads. */
static int forks;
static void team_forked(void) { forks++; }

struct team_seat {
    struct team *team;
    int thread;
};

static void *team_serve(void *given) {
    struct team_seat seat = *(struct team_seat *)given;
    struct team *team = seat.team;
    free(given);
    int round = 0;
    for (;;) {
        int turn = 0;
        while (atomic_load_explicit(&team->round, memory_order_acquire) == round && turn < 12000)
            team_relax(turn++);
        if (turn == 12000) {
            pthread_mutex_lock(&team->sleep);
            while (atomic_load_explicit(&team->round, memory_order_acquire) == round)
                pthread_cond_wait(&team->wake, &team->sleep);
            pthread_mutex_unlock(&team->sleep);
        }
        round++;
        if (seat.thread < team->threads) team->work(team->argument, seat.thread, team->threads);
        atomic_fetch_add_explicit(&team->finished, 1, memory_order_acq_rel);
    }
    return NULL;
}

static void team_start(struct team *team) {
    team->forks = forks;
    atomic_store(&team->arrived, 0);
    atomic_store(&team->phase, 0);
    atomic_store(&team->round, 0);
    atomic_store(&team->finished, 0);
    pthread_mutex_init(&team->lock, NULL);
    pthread_mutex_init(&team->sleep, NULL);
    pthread_cond_init(&team->wake, NULL);
    int wanted = team->size;
    team->size = 1;
    for (int thread = 1; thread < wanted; thread++) {
        struct team_seat *seat = malloc(sizeof *seat);
        pthread_t handle;
        if (seat == NULL) break;
        *seat = (struct team_seat){team, thread};
        if (pthread_create(&handle, NULL, team_serve, seat) != 0) {
            free(seat);
            break; /* fewer threads: the same numbers, later */
        }
        pthread_detach(handle);
        team->size++;
    }
}

struct team *team_new(int size) {
    struct team *team = aligned_alloc(64, (sizeof *team + 63) / 64 * 64);
    if (team == NULL) return NULL;
    team->size = size;
    static int watching;
    if (!watching) watching = pthread_atfork(NULL, NULL, team_forked) == 0;
    team_start(team);
    return team;
}

/* The work on `threads` threads, or as many as there are; alone if the team is busy. */
void team_run(struct team *team, team_work work, void *argument, int threads) {
    if (team != NULL && threads > 1 && team->forks != forks) team_start(team);
    if (team == NULL || threads == 1 || team->size == 1 ||
        pthread_mutex_trylock(&team->lock) != 0) {
        work(argument, 0, 1);
        return;
    }
    team->threads = threads < team->size ? threads : team->size;
    team->work = work;
    team->argument = argument;
    atomic_store_explicit(&team->finished, 0, memory_order_relaxed);
    pthread_mutex_lock(&team->sleep);
    atomic_fetch_add_explicit(&team->round, 1, memory_order_acq_rel);
    pthread_cond_broadcast(&team->wake);
    pthread_mutex_unlock(&team->sleep);
    work(argument, 0, team->threads);
    for (int turn = 0;
         atomic_load_explicit(&team->finished, memory_order_acquire) < team->size - 1; turn++)
        team_relax(turn);
    pthread_mutex_unlock(&team->lock);
}
