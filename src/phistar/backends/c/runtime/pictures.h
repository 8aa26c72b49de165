/* Products whose sum runs in two directions, such as along the rows of a filter and down it:

       C[i][j] (+)= sum over q, p of A[i][q][p] * B[q][p][j]

   Convolutions whose channels come last, and their gradients: j runs along memory in B and in C,
   and a tile of C is held in registers while q and p run.

   Every element is summed in the order of q and p, whichever tile it falls into. */
#ifndef PHISTAR_PICTURES_H
#define PHISTAR_PICTURES_H
#include "products.h"

enum { PICTURE_SUM = 4096 }; /* products that are summed before the result is touched again */

#define EACH_8(F) EACH_6(F) F(6) F(7)
#define EACH_16(F) EACH_12(F) F(12) F(13) F(14) F(15)

/* One tile: `rows` rows, one or two vectors of columns; what lies 8 rows further on has a pointer
   of its own, for there are few registers to count with. */
#define PICTURE_AT(r) ((r) < 8 ? x + (r) * am : y + ((r) - 8) * am)
#define PICTURE_STEP1(r) c##r##_0 += *PICTURE_AT(r) * b0;
#define PICTURE_STEP2(r) { number a = *PICTURE_AT(r); c##r##_0 += a * b0; c##r##_1 += a * b1; }
#define PICTURE_TILE(rows, name, type, vector)                                                    \
    __attribute__((noinline, unused)) static void name##_##rows##_2(                              \
        long d, long k, const type *A, long am, long ad, long ak, const type *B, long bd,         \
        long bk, type *C, long cm, int fresh) {                                                   \
        typedef type number;                                                                      \
        typedef vector vec;                                                                       \
        enum { lanes = sizeof(vec) / sizeof(type) };                                              \
        EACH_##rows(ZERO2)                                                                        \
        EACH_##rows(NEAR2)                                                                        \
        for (long q = 0; q < d; q++) {                                                            \
            const type *x = A + q * ad, *y = x + 8 * am, *b = B + q * bd;                         \
            for (long p = 0; p < k; p++, x += ak, y += ak, b += bk) {                             \
                vec b0 = *(const vec *)b, b1 = *(const vec *)(b + lanes);                         \
                EACH_##rows(PICTURE_STEP2)                                                        \
            }                                                                                     \
            (void)y;                                                                              \
        }                                                                                         \
        EACH_##rows(ADD2)                                                                         \
    }                                                                                             \
    __attribute__((noinline, unused)) static void name##_##rows##_1(                              \
        long d, long k, const type *A, long am, long ad, long ak, const type *B, long bd,         \
        long bk, type *C, long cm, int fresh) {                                                   \
        typedef vector vec;                                                                       \
        EACH_##rows(ZERO1)                                                                        \
        EACH_##rows(NEAR1)                                                                        \
        for (long q = 0; q < d; q++) {                                                            \
            const type *x = A + q * ad, *y = x + 8 * am, *b = B + q * bd;                         \
            for (long p = 0; p < k; p++, x += ak, y += ak, b += bk) {                             \
                vec b0 = *(const vec *)b;                                                         \
                EACH_##rows(PICTURE_STEP1)                                                        \
            }                                                                                     \
            (void)y;                                                                              \
        }                                                                                         \
        EACH_##rows(ADD1)                                                                         \
    }

#if VECTOR == 64
#define PICTURE_MOST_2 12
#define PICTURE_SOME_2 8
#define PICTURE_MOST_1 16
#define PICTURE_TILES(name, type, vector)                                                         \
    PICTURE_TILE(16, name, type, vector) PICTURE_TILE(12, name, type, vector)                     \
    PICTURE_TILE(8, name, type, vector) PICTURE_TILE(4, name, type, vector)                       \
    PICTURE_TILE(1, name, type, vector)
#else
#define PICTURE_MOST_2 6
#define PICTURE_SOME_2 4
#define PICTURE_MOST_1 12
#define PICTURE_TILES(name, type, vector)                                                         \
    PICTURE_TILE(12, name, type, vector) PICTURE_TILE(8, name, type, vector)                      \
    PICTURE_TILE(6, name, type, vector) PICTURE_TILE(4, name, type, vector)                       \
    PICTURE_TILE(1, name, type, vector)
#endif

#define PICTURES(type, suffix)                                                                    \
    PICTURE_TILES(picture_##suffix, type, vec_##suffix)                                           \
    typedef void picture_tile_##suffix(long, long, const type *, long, long, long, const type *,  \
                                       long, long, type *, long, int);                            \
    /* Tiles of `most` rows, but none so high that fewer than `some` are left. */                 \
    static inline void picture_rows_##suffix(                                                     \
        long most, long some, picture_tile_##suffix *high, picture_tile_##suffix *middle,         \
        picture_tile_##suffix *four, picture_tile_##suffix *one, long m, long d, long k,          \
        const type *A, long am, long ad, long ak, const type *B, long bd, long bk, type *C,       \
        long cm, int fresh) {                                                                     \
        while (m > 0) {                                                                           \
            long left = m - most;                                                                 \
            long rows = left == 0 || left >= some ? most : m >= some ? some : m >= 4 ? 4 : 1;     \
            picture_tile_##suffix *tile =                                                         \
                rows == most ? high : rows == some ? middle : rows == 4 ? four : one;             \
            tile(d, k, A, am, ad, ak, B, bd, bk, C, cm, fresh);                                   \
            m -= rows, A += rows * am, C += rows * cm;                                            \
        }                                                                                         \
    }                                                                                             \
    __attribute__((unused)) static void product_picture_##suffix(                                 \
        long m, long n, long d, long k, const type *A, long am, long ad, long ak, const type *B,  \
        long bd, long bk, type *C, long cm, int fresh) {                                          \
        enum { lanes = sizeof(vec_##suffix) / sizeof(type) };                                     \
        long part = k < PICTURE_SUM ? PICTURE_SUM / k : 1; /* of d, summed in registers */        \
        for (; d > 0; d -= part, A += part * ad, B += part * bd, fresh = 0) {                     \
            long q = d < part ? d : part, j = 0;                                                  \
            for (; j + 2 * lanes <= n; j += 2 * lanes)                                            \
                picture_rows_##suffix(                                                            \
                    PICTURE_MOST_2, PICTURE_SOME_2, JOIN(JOIN(picture_##suffix, PICTURE_MOST_2), 2),\
                    JOIN(JOIN(picture_##suffix, PICTURE_SOME_2), 2), picture_##suffix##_4_2,      \
                    picture_##suffix##_1_2, m, q, k, A, am, ad, ak, B + j, bd, bk, C + j, cm, fresh);\
            for (; j + lanes <= n; j += lanes)                                                    \
                picture_rows_##suffix(                                                            \
                    PICTURE_MOST_1, 8, JOIN(JOIN(picture_##suffix, PICTURE_MOST_1), 1),           \
                    picture_##suffix##_8_1, picture_##suffix##_4_1, picture_##suffix##_1_1,       \
                    m, q, k, A, am, ad, ak, B + j, bd, bk, C + j, cm, fresh);                     \
        }                                                                                         \
    }

PICTURES(float, f32)
PICTURES(double, f64)
#endif
