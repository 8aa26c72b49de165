/* What a compiled program is called with, and how it says that a subscript is out of range. */
#ifndef PHISTAR_PROGRAM_H
#define PHISTAR_PROGRAM_H
#include <math.h>
#include <stdint.h>
#include <string.h>
#include "team.h"

enum { FAILURE_INDICES = 16 };

struct failure { /* the first of a thread */
    long site;   /* 0: none; which subscript, from 1 on */
    long step;
    long value;
    long setting[FAILURE_INDICES];
};

struct call {
    void *const *tensors;     /* inputs, kept tensors and outputs, in the program's order */
    const long *strides;      /* bytes from one step's tensor to the next step's */
    long steps;
    uint64_t seed;
    uint64_t step;            /* of the first step: what random fields are a function of */
    char *arena;              /* memory for everything in between */
    struct team *team;
    void (*team_run)(struct team *team, team_work work, void *argument, int threads);
    struct failure *failures; /* one a thread */
    double *times;            /* seconds a loop nest, for each thread; only if compiled for it */
};

/* clang begins max with the least finite number, which is more than -inf. */
#if defined __clang__
#define KINDS float, double, int8_t, int16_t, int32_t, int64_t, uint8_t
#pragma omp declare reduction(largest : KINDS : omp_out = omp_in > omp_out ? omp_in : omp_out) \
    initializer(omp_priv = omp_orig)
#pragma omp declare reduction(smallest : KINDS : omp_out = omp_in < omp_out ? omp_in : omp_out) \
    initializer(omp_priv = omp_orig)
#define LARGEST largest
#define SMALLEST smallest
#else
#define LARGEST max
#define SMALLEST min
#endif

static inline void *tensor_of(const struct call *call, int number, long step) {
    return (char *)call->tensors[number] + step * call->strides[number];
}

static inline long least(long a, long b) { return a < b ? a : b; }
static inline long most(long a, long b) { return a > b ? a : b; }
static inline long quotient(long a, long b) { return a / b - (a % b < 0); }
static inline long remainder_of(long a, long b) { return a % b < 0 ? a % b + b : a % b; }

static inline double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Where a thread's range of a shared variable begins: chunks are never divided. */
static inline long share(long size, long chunk, int thread, int threads) {
    long chunks = (size + chunk - 1) / chunk;
    return least(size, chunks * thread / threads * chunk);
}

/* A subscript is out of range: remembered; the position to go on with, whose result is not used. */
__attribute__((noinline, cold, unused)) static long out_of_range(
    struct failure *failure, long step, long site, long value, int n, const long *setting) {
    if (failure->site == 0) {
        failure->site = site;
        failure->step = step;
        failure->value = value;
        for (int i = 0; i < n && i < FAILURE_INDICES; i++) failure->setting[i] = setting[i];
    }
    return 0;
}
#endif
