/* Products in which what is summed, or the columns, move in several directions: convolutions.

   window       C[r][y][x] (+)= sum over p of A[r][p] * B[p][y][x]: x runs along memory in B and C;
                where p is in A and in B stands in tables
   window_dot   C[r][q] (+)= sum over p, x of A[r][p][x] * B[q][p][x]: x runs along memory in A and B;
                where q and p are stands in tables

   No image is copied into columns: B is read where it is. */
#ifndef PHISTAR_WINDOWS_H
#define PHISTAR_WINDOWS_H
#include "products.h"
#include "program.h"

#define WINDOW_ZERO(r) vec c##r##_0 = {0}, c##r##_1 = {0};
#define WINDOW_STEP(r) { number a = A[r * am + at[p]]; c##r##_0 += a * b0; c##r##_1 += a * b1; }
#define WINDOW_ADD(r)                                                                             \
    *(vec *)(C + r * cm) = c##r##_0 + (fresh ? (vec){0} : *(vec *)(C + r * cm));                  \
    if (c2) *(vec *)(C + r * cm + c2) = c##r##_1 + (fresh ? (vec){0} : *(vec *)(C + r * cm + c2));

/* Two vectors of columns, the second b2 and c2 further on; c2 = 0: there is none. */
#define WINDOW_TILE(rows, name, type, vector)                                                     \
    __attribute__((noinline, unused)) static void name##_##rows(                                   \
        long k, const type *A, long am, const long *at, const type *B, long b2, const long *bt,   \
        type *C, long cm, long c2, int fresh) {                                                   \
        typedef type number;                                                                      \
        typedef vector vec;                                                                       \
        EACH_##rows(WINDOW_ZERO)                                                                  \
        for (long p = 0; p < k; p++) {                                                            \
            vec b0 = *(const vec *)(B + bt[p]), b1 = *(const vec *)(B + bt[p] + b2);              \
            EACH_##rows(WINDOW_STEP)                                                              \
        }                                                                                         \
        EACH_##rows(WINDOW_ADD)                                                                   \
    }

#if VECTOR == 64
#define WINDOW_TILES(name, type, vector) WINDOW_TILE(12, name, type, vector)                      \
    WINDOW_TILE(4, name, type, vector) WINDOW_TILE(1, name, type, vector)
#else
#define WINDOW_TILES(name, type, vector) WINDOW_TILE(6, name, type, vector)                       \
    WINDOW_TILE(4, name, type, vector) WINDOW_TILE(1, name, type, vector)
#endif

/* All rows of one or two vectors of columns. */
#define WINDOW_ROWS(name, type)                                                                   \
    {                                                                                             \
        long i = 0;                                                                               \
        for (; i + MOST_ROWS <= m; i += MOST_ROWS)                                                \
            JOIN(name, MOST_ROWS)(k, A + i * am, am, at, b, b2, bt, c + i * cm, cm, c2, fresh);   \
        for (; i + 4 <= m; i += 4)                                                                \
            name##_4(k, A + i * am, am, at, b, b2, bt, c + i * cm, cm, c2, fresh);                \
        for (; i < m; i++) name##_1(k, A + i * am, am, at, b, b2, bt, c + i * cm, cm, c2, fresh); \
    }
#define WINDOWS(type, suffix)                                                                     \
    typedef type half_##suffix                                                                    \
        __attribute__((vector_size(VECTOR / 2), aligned(sizeof(type)), may_alias));               \
    WINDOW_TILES(window_whole_##suffix, type, vec_##suffix)                                       \
    WINDOW_TILES(window_half_##suffix, type, half_##suffix)                                       \
    WINDOW_TILES(window_one_##suffix, type, one_##suffix)                                         \
    __attribute__((unused)) static void window_##suffix(                                          \
        long m, long height, long width, long k, const type *A, long am, const long *at,          \
        const type *B, long by, const long *bt, type *C, long cm, long cy, int fresh) {           \
        enum { lanes = VECTOR / sizeof(type) };                                                   \
        for (long y = 0; y < height; y += 2) {                                                    \
            long b2 = y + 1 < height ? by : 0, c2 = y + 1 < height ? cy : 0, x = 0;               \
            while (x < width) {                                                                   \
                const type *b = B + y * by + x;                                                   \
                type *c = C + y * cy + x;                                                         \
                if (x + lanes <= width) {                                                         \
                    WINDOW_ROWS(window_whole_##suffix, type)                                      \
                    x += lanes;                                                                   \
                } else if (x + lanes / 2 <= width) {                                              \
                    WINDOW_ROWS(window_half_##suffix, type)                                       \
                    x += lanes / 2;                                                               \
                } else {                                                                          \
                    WINDOW_ROWS(window_one_##suffix, type)                                        \
                    x += 1;                                                                       \
                }                                                                                 \
            }                                                                                     \
        }                                                                                         \
    }                                                                                             \
    /* Four rows by four columns of sums, each a vector; then their totals. */                    \
    __attribute__((noinline, unused)) static void window_dot_tile_##suffix(                       \
        int rows, int columns, long k, long width, const type *A, long am, const long *at,        \
        const type *B, const long *bq, const long *bt, type *C, long cm, const long *cq,          \
        int fresh) {                                                                              \
        enum { lanes = VECTOR / 2 / sizeof(type) };                                               \
        half_##suffix s[16] = {{0}};                                                              \
        type rest[16] = {0};                                                                      \
        long r1 = rows > 1 ? am : 0, r2 = rows > 2 ? 2 * am : 0, r3 = rows > 3 ? 3 * am : 0;      \
        long q0 = bq[0], q1 = columns > 1 ? bq[1] : q0, q2 = columns > 2 ? bq[2] : q0;            \
        long q3 = columns > 3 ? bq[3] : q0;                                                       \
        for (long p = 0; p < k; p++) {                                                            \
            const type *a = A + at[p], *b = B + bt[p];                                            \
            long x = 0;                                                                           \
            for (; x + lanes <= width; x += lanes) {                                              \
                half_##suffix b0 = *(const half_##suffix *)(b + q0 + x);                          \
                half_##suffix b1 = *(const half_##suffix *)(b + q1 + x);                          \
                half_##suffix b2 = *(const half_##suffix *)(b + q2 + x);                          \
                half_##suffix b3 = *(const half_##suffix *)(b + q3 + x);                          \
                half_##suffix a0 = *(const half_##suffix *)(a + x);                               \
                s[0] += a0 * b0, s[1] += a0 * b1, s[2] += a0 * b2, s[3] += a0 * b3;               \
                half_##suffix a1 = *(const half_##suffix *)(a + r1 + x);                          \
                s[4] += a1 * b0, s[5] += a1 * b1, s[6] += a1 * b2, s[7] += a1 * b3;               \
                half_##suffix a2 = *(const half_##suffix *)(a + r2 + x);                          \
                s[8] += a2 * b0, s[9] += a2 * b1, s[10] += a2 * b2, s[11] += a2 * b3;             \
                half_##suffix a3 = *(const half_##suffix *)(a + r3 + x);                          \
                s[12] += a3 * b0, s[13] += a3 * b1, s[14] += a3 * b2, s[15] += a3 * b3;           \
            }                                                                                     \
            const long rs[4] = {0, r1, r2, r3}, qs[4] = {q0, q1, q2, q3};                         \
            for (; x < width; x++)                                                                \
                for (int i = 0; i < 16; i++)                                                      \
                    rest[i] = FUSED_##suffix(a[rs[i / 4] + x], b[qs[i % 4] + x], rest[i]);        \
        }                                                                                         \
        for (int i = 0; i < rows; i++)                                                            \
            for (int j = 0; j < columns; j++) {                                                   \
                type sum = rest[4 * i + j];                                                       \
                for (int lane = 0; lane < lanes; lane++) sum += s[4 * i + j][lane];               \
                type *c = C + i * cm + cq[j];                                                     \
                *c = fresh ? sum : *c + sum;                                                      \
            }                                                                                     \
    }                                                                                             \
    __attribute__((unused)) static void window_dot_##suffix(                                      \
        long m, long n, long k, long width, const type *A, long am, const long *at,               \
        const type *B, const long *bq, const long *bt, type *C, long cm, const long *cq,          \
        int fresh) {                                                                              \
        enum { some = 128 }; /* of k, which then stay in a near cache */                          \
        for (long p = 0; p < k; p += some, fresh = 0)                                             \
            for (long j = 0; j < n; j += 4)                                                       \
                for (long i = 0; i < m; i += 4)                                                   \
                    window_dot_tile_##suffix((int)least(4, m - i), (int)least(4, n - j),          \
                                             least(some, k - p), width, A + i * am, am, at + p,   \
                                             B, bq + j, bt + p, C + i * cm, cm, cq + j, fresh);   \
    }

WINDOWS(float, f32)
WINDOWS(double, f64)
#endif
