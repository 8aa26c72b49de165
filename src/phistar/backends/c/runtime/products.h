/* Products of matrices: C[i][j] (+)= sum over p of A[i][p] * B[p][j], any strides.

   outer   B and C run along j in memory: a tile of rows times two vectors of columns is held in
           registers while p runs
   dot     A and B run along p in memory: a tile of sums is held in registers, each a vector

   Every element is summed in an order of its own that does not depend on the tile it falls into,
   so that ranges may be divided among threads as they come. */
#ifndef PHISTAR_PRODUCTS_H
#define PHISTAR_PRODUCTS_H
#include <string.h>
#include "ahead.h"

#if defined __GNUC__ && !defined __clang__
#pragma GCC diagnostic ignored "-Waggressive-loop-optimizations" /* the ends of long loops */
#endif

#if defined __AVX512F__
#define VECTOR 64 /* bytes */
#elif defined __AVX__
#define VECTOR 32
#else
#define VECTOR 16
#endif

enum { DEPTH = 512 }; /* products that are summed before the result is touched again */
enum { BLOCK = 192 }; /* those summed in registers, in `outer` and `turned` */
enum { PANELS = 96 }; /* rows, and sums, for which copies of columns side by side pay */
enum { LEVEL1 = 40960 }; /* bytes of the nearest cache that a product may count on */

/* a * b + c, rounded once where the machine can: as vectors of sums are, whatever a compiler makes
   of a loop over single numbers. */
#if defined __FMA__ || defined __ARM_FEATURE_FMA
#define FUSED_f32 __builtin_fmaf
#define FUSED_f64 __builtin_fma
#else
#define FUSED_f32(a, b, c) ((a) * (b) + (c))
#define FUSED_f64(a, b, c) ((a) * (b) + (c))
#endif

#define EACH_1(F) F(0)
#define EACH_4(F) F(0) F(1) F(2) F(3)
#define EACH_6(F) EACH_4(F) F(4) F(5)
#define EACH_12(F) EACH_6(F) F(6) F(7) F(8) F(9) F(10) F(11)

/* One tile: `rows` rows, one or two vectors of columns. Sums begin with what C holds, or with 0. */
#define ZERO1(r) vec c##r##_0 = {0};
#define ZERO2(r) vec c##r##_0 = {0}, c##r##_1 = {0};
#define NEAR1(r) __builtin_prefetch(C + r * cm, 1); /* it is written when the sums are ready */
#define NEAR2(r) NEAR1(r) __builtin_prefetch(C + r * cm + lanes, 1);
/* Rows from the eighth on have a pointer of their own: there are few registers to count with. */
#define A_AT(r) (r < 8 ? A + r * am : lower + (r - 8) * am)
#define STEP1(r) c##r##_0 += *A_AT(r) * b0;
#define STEP2(r) { number a = *A_AT(r); c##r##_0 += a * b0; c##r##_1 += a * b1; }
#define ADD1(r) *(vec *)(C + r * cm) = c##r##_0 + (fresh ? (vec){0} : *(vec *)(C + r * cm));
#define ADD2(r) ADD1(r) \
    *(vec *)(C + r * cm + lanes) = c##r##_1 + (fresh ? (vec){0} : *(vec *)(C + r * cm + lanes));

#define OUTER_TILES(rows, name, type, vector)                                                     \
    __attribute__((noinline, unused)) static void name##_##rows##_2(                               \
        long k, const type *A, long am, long ak, const type *B, long bk, type *C, long cm,        \
        int fresh, const type *next) {                                                            \
        typedef type number;                                                                      \
        typedef vector vec;                                                                       \
        enum { lanes = sizeof(vec) / sizeof(type) };                                              \
        EACH_##rows(ZERO2)                                                                        \
        EACH_##rows(NEAR2)                                                                        \
        const type *lower = A + 8 * am;                                                           \
        for (long p = 0; p < k; p++, A += ak, lower += ak, B += bk, next += bk) {                 \
            __builtin_prefetch(next);                                                             \
            vec b0 = *(const vec *)B, b1 = *(const vec *)(B + lanes);                             \
            EACH_##rows(STEP2)                                                                    \
        }                                                                                         \
        (void)lower;                                                                              \
        EACH_##rows(ADD2)                                                                         \
    }                                                                                             \
    __attribute__((noinline, unused)) static void name##_##rows##_1(                               \
        long k, const type *A, long am, long ak, const type *B, long bk, type *C, long cm,        \
        int fresh, const type *next) {                                                            \
        typedef vector vec;                                                                       \
        (void)next;                                                                               \
        const type *lower = A + 8 * am;                                                           \
        EACH_##rows(ZERO1)                                                                        \
        for (long p = 0; p < k; p++, A += ak, lower += ak, B += bk) {                             \
            vec b0 = *(const vec *)B;                                                             \
            EACH_##rows(STEP1)                                                                    \
        }                                                                                         \
        (void)lower;                                                                              \
        EACH_##rows(ADD1)                                                                         \
    }

#if VECTOR == 64
#define MOST_ROWS 12
#define TILES(name, type, vector) OUTER_TILES(12, name, type, vector) \
    OUTER_TILES(4, name, type, vector) OUTER_TILES(1, name, type, vector)
#else
#define MOST_ROWS 6
#define TILES(name, type, vector) OUTER_TILES(6, name, type, vector) \
    OUTER_TILES(4, name, type, vector) OUTER_TILES(1, name, type, vector)
#endif
#define JOIN_(a, b) a##_##b
#define JOIN(a, b) JOIN_(a, b)

/* Of two times four numbers: pairs of the first halves, and of the second; halves side by side. */
#define HALF_1(a, b) __builtin_shufflevector(a, b, 0, 4, 1, 5)
#define HALF_2(a, b) __builtin_shufflevector(a, b, 2, 6, 3, 7)
#define PAIRS_1ST(a, b) __builtin_shufflevector(a, b, 0, 1, 4, 5)
#define PAIRS_2ND(a, b) __builtin_shufflevector(a, b, 2, 3, 6, 7)

#define PRODUCTS(type, suffix)                                                                    \
    typedef type vec_##suffix __attribute__((vector_size(VECTOR), aligned(sizeof(type)), may_alias)); \
    typedef type quad_##suffix                                                                    \
        __attribute__((vector_size(4 * sizeof(type)), aligned(sizeof(type)), may_alias));         \
    typedef type one_##suffix                                                                     \
        __attribute__((vector_size(sizeof(type)), aligned(sizeof(type)), may_alias));             \
    TILES(tile_##suffix, type, vec_##suffix)                                                      \
    TILES(narrow_##suffix, type, quad_##suffix)                                                   \
    TILES(single_##suffix, type, one_##suffix)                                                    \
    typedef void column_##suffix(long, const type *, long, long, const type *, long, type *,      \
                                 long, int, const type *);                                        \
    /* All rows of a few columns. */                                                              \
    __attribute__((unused)) static inline void columns_##suffix(                                  \
        column_##suffix *most, column_##suffix *four, column_##suffix *one, long m, long k,       \
        const type *A, long am, long ak, const type *B, long bk, type *C, long cm, int fresh) {   \
        /* The next columns come nearer meanwhile: a line of each row beside every tile. */       \
        const long line = VECTOR / sizeof(type);                                                  \
        const type *next = B + 2 * line;                                                          \
        long i = 0;                                                                               \
        for (; i + MOST_ROWS <= m; i += MOST_ROWS, next += line) {                                \
            if (k >= 64) ahead_go(k / 8);                                                         \
            most(k, A + i * am, am, ak, B, bk, C + i * cm, cm, fresh, next);                      \
        }                                                                                         \
        for (; i + 4 <= m; i += 4, next += line)                                                  \
            four(k, A + i * am, am, ak, B, bk, C + i * cm, cm, fresh, next);                      \
        for (; i < m; i++) one(k, A + i * am, am, ak, B, bk, C + i * cm, cm, fresh, next);        \
    }                                                                                             \
    static inline void columns_all_##suffix(                                                      \
        long m, long n, long k, const type *A, long am, long ak, const type *B, long bk, type *C, \
        long cm, int fresh) {                                                                     \
        enum { lanes = sizeof(vec_##suffix) / sizeof(type) };                                     \
        long j = 0;                                                                               \
        for (; j + 2 * lanes <= n; j += 2 * lanes)                                                \
            columns_##suffix(JOIN(JOIN(tile_##suffix, MOST_ROWS), 2), tile_##suffix##_4_2,        \
                             tile_##suffix##_1_2, m, k, A, am, ak, B + j, bk, C + j, cm, fresh);  \
        for (; j + lanes <= n; j += lanes)                                                        \
            columns_##suffix(JOIN(JOIN(tile_##suffix, MOST_ROWS), 1), tile_##suffix##_4_1,        \
                             tile_##suffix##_1_1, m, k, A, am, ak, B + j, bk, C + j, cm, fresh);  \
        long rest = n - j;                                                                        \
        if (rest / 4 + rest % 4 > 1 && m > 1) { /* one pass over a copy, with zeros for the rest */\
            type panel[BLOCK * lanes] __attribute__((aligned(64)));                               \
            type sums[8 * MOST_ROWS * lanes] __attribute__((aligned(64)));                        \
            memset(panel, 0, k * lanes * sizeof(type));                                           \
            for (long p = 0; p < k; p++)                                                          \
                for (long q = 0; q < rest; q++) panel[p * lanes + q] = B[p * bk + j + q];         \
            columns_##suffix(JOIN(JOIN(tile_##suffix, MOST_ROWS), 1), tile_##suffix##_4_1,        \
                             tile_##suffix##_1_1, m, k, A, am, ak, panel, lanes, sums, lanes, 1); \
            for (long i = 0; i < m; i++)                                                          \
                for (long q = 0; q < rest; q++)                                                   \
                    C[i * cm + j + q] = sums[i * lanes + q] + (fresh ? 0 : C[i * cm + j + q]);    \
            return;                                                                               \
        }                                                                                         \
        for (; j + 4 <= n; j += 4)                                                                \
            columns_##suffix(JOIN(JOIN(narrow_##suffix, MOST_ROWS), 1), narrow_##suffix##_4_1,    \
                             narrow_##suffix##_1_1, m, k, A, am, ak, B + j, bk, C + j, cm,        \
                             fresh);                                                              \
        for (; j < n; j++)                                                                        \
            columns_##suffix(JOIN(JOIN(single_##suffix, MOST_ROWS), 1), single_##suffix##_4_1,    \
                             single_##suffix##_1_1, m, k, A, am, ak, B + j, bk, C + j, cm,        \
                             fresh);                                                              \
    }                                                                                             \
    /* Rows of A whose sums lie far apart, which use little of a line and of a page, copied. */   \
    static inline const type *nearer_##suffix(                                                    \
        long m, long depth, const type *A, long *am, long *ak, type *near) {                      \
        enum { rows = 8 * MOST_ROWS };                                                            \
        if (*am == 1 && m >= MOST_ROWS && *ak * sizeof(type) >= 512) {                            \
            for (long r = 0; r < depth; r++)                                                      \
                memcpy(near + r * rows, A + r * *ak, m * sizeof(type));                           \
            *ak = rows;                                                                           \
            return near;                                                                          \
        }                                                                                         \
        return A;                                                                                 \
    }                                                                                             \
    /* Columns of B are turned, a few at a time, so that C has them side by side. */              \
    static inline void turn_##suffix(long n, long k, const type *B, long bn, type *turned) {      \
        long c = 0;                                                                               \
        for (; c + 4 <= n; c += 4, B += 4 * bn) {                                                 \
            typedef quad_##suffix quad;                                                           \
            long p = 0;                                                                           \
            for (; p + 4 <= k; p += 4) { /* four by four */                                       \
                quad b0 = *(const quad *)(B + p), b1 = *(const quad *)(B + bn + p);               \
                quad b2 = *(const quad *)(B + 2 * bn + p), b3 = *(const quad *)(B + 3 * bn + p);  \
                quad low0 = HALF_1(b0, b1), high0 = HALF_2(b0, b1);                                    \
                quad low2 = HALF_1(b2, b3), high2 = HALF_2(b2, b3);                                    \
                type *to = turned + p * n + c;                                                    \
                *(quad *)to = PAIRS_1ST(low0, low2), *(quad *)(to + n) = PAIRS_2ND(low0, low2);            \
                *(quad *)(to + 2 * n) = PAIRS_1ST(high0, high2);                                      \
                *(quad *)(to + 3 * n) = PAIRS_2ND(high0, high2);                                       \
            }                                                                                     \
            for (; p < k; p++)                                                                    \
                for (int q = 0; q < 4; q++) turned[p * n + c + q] = B[q * bn + p];                \
        }                                                                                         \
        for (; c < n; c++, B += bn)                                                               \
            for (long p = 0; p < k; p++) turned[p * n + c] = B[p];                                \
    }                                                                                             \
    /* By panels of B: two vectors of columns, as many sums as registers take, side by side. */   \
    __attribute__((unused)) static void product_panels_##suffix(                                  \
        long m, long n, long k, const type *A, long am, long ak, const type *B, long bk, long bn, \
        type *C, long cm, int fresh) {                                                            \
        enum { wide = 2 * sizeof(vec_##suffix) / sizeof(type), block = BLOCK };                   \
        enum { rows = 8 * MOST_ROWS };                                                            \
        type panels[16 * wide * block] __attribute__((aligned(64)));                              \
        type near[rows * block] __attribute__((aligned(64)));                                     \
        if (k == 0 && fresh)                                                                      \
            for (long i = 0; i < m; i++)                                                          \
                for (long j = 0; j < n; j++) C[i * cm + j] = 0;                                   \
        for (long first = 0; first < n; first += 16 * wide)                                       \
            for (long p = 0; p < k; p += block) {                                                 \
                long depth = k - p < block ? k - p : block;                                       \
                long last = n - first < 16 * wide ? n : first + 16 * wide;                        \
                for (long j = first; j < last; j += wide) {                                       \
                    long some = last - j < wide ? last - j : wide;                                \
                    const type *b = B + p * bk + j * bn;                                          \
                    type *panel = panels + (j - first) * depth;                                   \
                    if (bn != 1) turn_##suffix(some, depth, b, bn, panel);                        \
                    else                                                                          \
                        for (long r = 0; r < depth; r++)                                          \
                            memcpy(panel + r * some, b + r * bk, some * sizeof(type));            \
                }                                                                                 \
                for (long i = 0; i < m; i += rows) {                                              \
                    long tall = m - i < rows ? m - i : rows, nm = am, nk = ak;                    \
                    const type *a = nearer_##suffix(tall, depth, A + i * am + p * ak, &nm, &nk,   \
                                                    near);                                        \
                    for (long j = first; j < last; j += wide) {                                   \
                        long some = last - j < wide ? last - j : wide;                            \
                        columns_all_##suffix(tall, some, depth, a, nm, nk,                        \
                                             panels + (j - first) * depth, some,                  \
                                             C + i * cm + j, cm, fresh && p == 0);                \
                    }                                                                             \
                }                                                                                 \
            }                                                                                     \
    }                                                                                             \
    __attribute__((unused)) static void product_outer_##suffix(                                   \
        long m, long n, long k, const type *A, long am, long ak, const type *B, long bk, type *C, \
        long cm, int fresh) {                                                                     \
        enum { wide = 2 * sizeof(vec_##suffix) / sizeof(type) };                                  \
        enum { block = BLOCK, rows = 8 * MOST_ROWS };                                             \
        if (m >= PANELS && n >= wide && k >= PANELS) {                                            \
            product_panels_##suffix(m, n, k, A, am, ak, B, bk, 1, C, cm, fresh);                  \
            return;                                                                               \
        }                                                                                         \
        type near[rows * block] __attribute__((aligned(64)));                                     \
        for (long i = 0; i < m; i += rows, A += rows * am, C += rows * cm) {                      \
            long some = m - i < rows ? m - i : rows;                                              \
            if (k == 0 && fresh)                                                                  \
                for (long r = 0; r < some; r++)                                                   \
                    for (long j = 0; j < n; j++) C[r * cm + j] = 0;                               \
            for (long p = 0; p < k; p += block) {                                                 \
                long depth = k - p < block ? k - p : block, nm = am, nk = ak;                     \
                const type *a = nearer_##suffix(some, depth, A + p * ak, &nm, &nk, near);         \
                columns_all_##suffix(some, n, depth, a, nm, nk, B + p * bk, bk, C, cm,            \
                                     fresh && p == 0);                                            \
            }                                                                                     \
        }                                                                                         \
    }                                                                                             \
    /* As dot, for many rows. */                                                                  \
    __attribute__((unused)) static void product_turned_##suffix(                                  \
        long m, long n, long k, const type *A, long am, const type *B, long bn, type *C, long cm, \
        int fresh) {                                                                              \
        product_panels_##suffix(m, n, k, A, am, 1, B, 1, bn, C, cm, fresh);                       \
    }                                                                                             \
    /* The sum of a vector's numbers: of neighbours, of neighbouring sums, and so on. */          \
    static inline type total_##suffix(vec_##suffix v) {                                           \
        type x[sizeof v / sizeof(type)];                                                          \
        memcpy(x, &v, sizeof v);                                                                  \
        for (int half = sizeof v / sizeof(type) / 2; half > 0; half /= 2)                         \
            for (int i = 0; i < half; i++) x[i] = x[2 * i] + x[2 * i + 1];                        \
        return x[0];                                                                              \
    }                                                                                             \
    static inline void single_dot_##suffix(long k, const type *A, const type *B, type *C,         \
                                           int fresh) {                                           \
        enum { lanes = sizeof(vec_##suffix) / sizeof(type) };                                     \
        vec_##suffix s = {0};                                                                     \
        type rest = 0;                                                                            \
        long p = 0;                                                                               \
        for (; p + lanes <= k; p += lanes)                                                        \
            s += *(const vec_##suffix *)(A + p) * *(const vec_##suffix *)(B + p);                 \
        for (; p < k; p++) rest = FUSED_##suffix(A[p], B[p], rest);                               \
        type sum = total_##suffix(s) + rest;                                                      \
        *C = fresh ? sum : *C + sum;                                                              \
    }                                                                                             \
    DOT_TILE(4, type, suffix)                                                                     \
    DOT_TILE(1, type, suffix)                                                                     \
    static void product_dot_block_##suffix(                                                       \
        long m, long n, long k, const type *A, long am, const type *B, long bn, type *C, long cm, \
        long cn, int fresh) {                                                                     \
        if (m > n) { /* the larger one is walked once, the smaller one again and again */         \
            const type *other = A;                                                                \
            long count = m, stride = am, jump = cm;                                               \
            A = B, B = other, m = n, n = count, am = bn, bn = stride, cm = cn, cn = jump;         \
        }                                                                                         \
        long room = LEVEL1 / (k * (long)sizeof(type) + 1) - 4, step = room < 4 ? 4 : room / 4 * 4;\
        long part = step * bn / ((m + 3) / 4 * (step / 4)) + 1;                                   \
        for (long from = 0; from < n; from += step) { /* these stay in the nearest cache */       \
            const type *next = B + (from + step) * bn; /* the next ones come meanwhile */         \
            type kept[LEVEL1 / sizeof(type)] __attribute__((aligned(64)));                        \
            const type *here = B + from * bn;                                                     \
            long hn = bn;                                                                         \
            if (bn * sizeof(type) % 1024 == 0 && step * k * (long)sizeof(type) <= LEVEL1) {       \
                for (long j = 0; j < step && from + j < n; j++) /* else all in the same few lines */\
                    memcpy(kept + j * k, here + j * bn, k * sizeof(type));                        \
                here = kept, hn = k;                                                              \
            }                                                                                     \
            for (long i = 0; i < m;) {                                                            \
                int tall = i + 4 <= m;                                                            \
                for (long j = from; j < n && j < from + step;) {                                  \
                    const type *a = A + i * am, *b = here + (j - from) * hn;                      \
                    type *c = C + i * cm + j * cn;                                                \
                    int wide = j + 4 <= n;                                                        \
                    if (tall && wide)                                                             \
                        dot_##suffix##_4(k, a, am, b, hn, c, cm, cn, fresh, next, part);          \
                    else if (wide) dot_##suffix##_1(k, a, am, b, hn, c, cm, cn, fresh, next, part);\
                    else if (tall) dot_##suffix##_1(k, b, hn, a, am, c, cn, cm, fresh, next, part);\
                    else single_dot_##suffix(k, a, b, c, fresh);                                  \
                    j += wide ? 4 : 1, next += part;                                              \
                }                                                                                 \
                i += tall ? 4 : 1;                                                                \
            }                                                                                     \
        }                                                                                         \
    } \
    __attribute__((unused)) static void product_dot_##suffix(                                     \
        long m, long n, long k, const type *A, long am, const type *B, long bn, type *C, long cm, \
        long cn, int fresh) {                                                                     \
        if (m <= 0 || n <= 0) return; /* more threads than there are rows */                      \
        int folds = bn * sizeof(type) % 1024 == 0; /* rows that share the lines of a cache */     \
        long block = k > (folds ? DEPTH : 3 * DEPTH) ? DEPTH : k, p = 0;                          \
        do {                                                                                      \
            long depth = k - p < block ? k - p : block;                                           \
            product_dot_block_##suffix(m, n, depth, A + p, am, B + p, bn, C, cm, cn, fresh);      \
            fresh = 0, p += block;                                                                \
        } while (p < k);                                                                          \
    }

/* The sums of many vectors at once, as `total` makes them: out[i] is the sum of in[i]. */
#define PAIRS_16(a, b)                                                                            \
    (__builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30) +   \
     __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31))
#define PAIRS_8(a, b)                                                                             \
    (__builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14) +                                   \
     __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15))
#define PAIRS_4(a, b)                                                                             \
    (__builtin_shufflevector(a, b, 0, 2, 4, 6) + __builtin_shufflevector(a, b, 1, 3, 5, 7))
#define PAIRS_2(a, b) (__builtin_shufflevector(a, b, 0, 2) + __builtin_shufflevector(a, b, 1, 3))

#if VECTOR == 64
#define PAIRS_f32 PAIRS_16
#define PAIRS_f64 PAIRS_8
#elif VECTOR == 32
#define PAIRS_f32 PAIRS_8
#define PAIRS_f64 PAIRS_4
#else
#define PAIRS_f32 PAIRS_4
#define PAIRS_f64 PAIRS_2
#endif

#define DOT_STEP(r, q) s[4 * r + q] += a##r * b##q;
#define DOT_ROW(r)                                                                                \
    {                                                                                             \
        vec a##r = *(const vec *)(A + r * am + p);                                                \
        DOT_STEP(r, 0) DOT_STEP(r, 1) DOT_STEP(r, 2) DOT_STEP(r, 3)                               \
    }
#define NEARER(q) __builtin_prefetch(B + (4 + q) * bn + p);
#define DOT_TILE(rows, type, suffix)                                                              \
    __attribute__((noinline, unused)) static void dot_##suffix##_##rows(                          \
        long k, const type *A, long am, const type *B, long bn, type *C, long cm, long cn,        \
        int fresh, const type *next, long part) {                                                 \
        typedef vec_##suffix vec;                                                                 \
        enum { lanes = sizeof(vec) / sizeof(type), sums = 4 * rows };                             \
        enum { room = sums > lanes ? sums : lanes };                                              \
        vec s[room] = {{0}};                                                                      \
        type rest[sums] = {0}, out[room];                                                         \
        long p = 0;                                                                               \
        for (; p + lanes <= k; p += lanes) {                                                      \
            if (rows > 1) __builtin_prefetch(next + (p < part ? p : 0));                          \
            else { NEARER(0) NEARER(1) NEARER(2) NEARER(3) } /* each is read once */              \
            vec b0 = *(const vec *)(B + p), b1 = *(const vec *)(B + bn + p);                      \
            vec b2 = *(const vec *)(B + 2 * bn + p), b3 = *(const vec *)(B + 3 * bn + p);         \
            EACH_##rows(DOT_ROW)                                                                  \
        }                                                                                         \
        for (; p < k; p++)                                                                        \
            for (int i = 0; i < sums; i++)                                                        \
                rest[i] = FUSED_##suffix(A[i / 4 * am + p], B[i % 4 * bn + p], rest[i]);          \
        for (int at = 0; at < sums; at += lanes) {                                                \
            _Pragma("GCC unroll 8") for (int half = lanes / 2; half > 0; half /= 2)               \
                _Pragma("GCC unroll 8") for (int i = 0; i < half; i++)                            \
                    s[at + i] = PAIRS_##suffix(s[at + 2 * i], s[at + 2 * i + 1]);                 \
            *(vec *)(out + at) = s[at];                                                           \
        }                                                                                         \
        for (int i = 0; i < sums; i++) {                                                          \
            type *c = C + i / 4 * cm + i % 4 * cn, sum = out[i] + rest[i];                        \
            *c = fresh ? sum : *c + sum;                                                          \
        }                                                                                         \
    }

PRODUCTS(float, f32)
PRODUCTS(double, f64)
#endif
