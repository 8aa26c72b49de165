/* The rows of the next minibatch come nearer while products run.

   A minibatch is gathered from rows that lie anywhere in a large data set: each line of each is
   waited for. `ahead_begin` says at the beginning of a step which rows the thread gathers in the
   next one; every tile of a product then asks for a few of their lines. */
#ifndef PHISTAR_AHEAD_H
#define PHISTAR_AHEAD_H
#include <stdint.h>

struct ahead {
    const char *data;    /* row 0 */
    const int64_t *rows; /* those that are still to come */
    long left;           /* how many */
    long size;           /* bytes of a row */
    long count;          /* rows of the data set: others fail when they are read */
    long at;             /* bytes of the first that are on their way */
};

static __thread struct ahead ahead_rows __attribute__((unused));

static inline void ahead_begin(
    const void *data, long size, long count, const int64_t *rows, long left) {
    ahead_rows = (struct ahead){data, rows, left, size, count, 0};
}

/* Some lines of 64 bytes more. */
static inline __attribute__((unused)) void ahead_go(long lines) {
    struct ahead *a = &ahead_rows;
    for (; a->left > 0 && lines > 0; lines--) {
        if ((uint64_t)*a->rows < (uint64_t)a->count)
            __builtin_prefetch(a->data + *a->rows * a->size + a->at, 0, 2);
        a->at += 64;
        if (a->at >= a->size) a->rows++, a->left--, a->at = 0;
    }
}

/* One of `parts` parts of a row that the next turn of a loop reads, or writes. */
__attribute__((unused)) static inline void ahead_row(
    const void *row, long bytes, int write, long part, long parts) {
    const char *end = (const char *)row + bytes * (part + 1) / parts;
    for (const char *at = (const char *)row + bytes * part / parts; at < end; at += 64) {
        if (write) __builtin_prefetch(at, 1);
        else __builtin_prefetch(at);
    }
}
#endif
