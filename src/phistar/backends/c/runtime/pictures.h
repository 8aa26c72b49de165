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

/* The first `some` numbers of a vector, read and written; no others are touched. */
#if VECTOR == 64
#define PARTS(type, suffix, letter)                                                               \
    static inline vec_##suffix part_##suffix(const type *p, int some) {                           \
        vec_##suffix v;                                                                           \
        unsigned short mask = (unsigned short)((1u << some) - 1);                                 \
        __asm__("vmovup" letter " %1, %0 %{%2%}%{z%}"                                             \
                : "=v"(v) : "m"(*(const vec_##suffix *)p), "Yk"(mask));                           \
        return v;                                                                                 \
    }                                                                                             \
    static inline void put_part_##suffix(type *p, vec_##suffix v, int some) {                     \
        unsigned short mask = (unsigned short)((1u << some) - 1);                                 \
        __asm__("vmovup" letter " %1, %0 %{%2%}"                                                  \
                : "+m"(*(vec_##suffix *)p) : "v"(v), "Yk"(mask));                                 \
    }

#elif VECTOR == 32
static const int part_masks[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
#define PARTS(type, suffix, letter)                                                               \
    static inline vec_##suffix part_mask_##suffix(int some) {                                     \
        vec_##suffix mask;                                                                        \
        memcpy(&mask, part_masks + 8 - some * (int)(sizeof(type) / sizeof(int)), sizeof mask);    \
        return mask;                                                                              \
    }                                                                                             \
    static inline vec_##suffix part_##suffix(const type *p, int some) {                           \
        vec_##suffix v, mask = part_mask_##suffix(some);                                          \
        __asm__("vmaskmovp" letter " %1, %2, %0"                                                  \
                : "=x"(v) : "m"(*(const vec_##suffix *)p), "x"(mask));                            \
        return v;                                                                                 \
    }                                                                                             \
    static inline void put_part_##suffix(type *p, vec_##suffix v, int some) {                     \
        vec_##suffix mask = part_mask_##suffix(some);                                             \
        __asm__("vmaskmovp" letter " %1, %2, %0"                                                  \
                : "+m"(*(vec_##suffix *)p) : "x"(v), "x"(mask));                                  \
    }

#else
#define PARTS(type, suffix, letter)                                                               \
    static inline vec_##suffix part_##suffix(const type *p, int some) {                           \
        vec_##suffix v = {0};                                                                     \
        memcpy(&v, p, (unsigned long)some * sizeof(type));                                        \
        return v;                                                                                 \
    }                                                                                             \
    static inline void put_part_##suffix(type *p, vec_##suffix v, int some) {                     \
        memcpy(p, &v, (unsigned long)some * sizeof(type));                                        \
    }

#endif
PARTS(float, f32, "s")
PARTS(double, f64, "d")

/* One tile: `rows` rows, one or two vectors of columns; of the last one `some` are there, unless it
   is whole. What lies 8 rows further on has a pointer of its own, for there are few registers to
   count with. */
#define PICTURE_AT(r) ((r) < 8 ? x + (r) * am : y + ((r) - 8) * am)
#define PICTURE_STEP1(r) c##r##_0 += *PICTURE_AT(r) * b0;
#define PICTURE_STEP2(r) { number a = *PICTURE_AT(r); c##r##_0 += a * b0; c##r##_1 += a * b1; }
#define PICTURE_GET(suffix, p) (whole ? *(const vec *)(p) : part_##suffix(p, some))
#define PICTURE_PUT(suffix, p, sum)                                                               \
    {                                                                                             \
        vec v = (sum) + (fresh ? (vec){0} : PICTURE_GET(suffix, p));                              \
        if (whole) *(vec *)(p) = v;                                                               \
        else put_part_##suffix(p, v, some);                                                       \
    }
#define PICTURE_PUT1_f32(r) PICTURE_PUT(f32, C + r * cm, c##r##_0)
#define PICTURE_PUT1_f64(r) PICTURE_PUT(f64, C + r * cm, c##r##_0)
#define PICTURE_PUT2_f32(r) ADD1(r) PICTURE_PUT(f32, C + r * cm + lanes, c##r##_1)
#define PICTURE_PUT2_f64(r) ADD1(r) PICTURE_PUT(f64, C + r * cm + lanes, c##r##_1)
#define PICTURE_ARGUMENTS(type)                                                                   \
    long d, long k, const type *A, long am, long ad, long ak, const type *B, long bd, long bk,    \
        type *C, long cm, int fresh, int some
#define PICTURE_TILE(rows, type, suffix)                                                          \
    __attribute__((always_inline)) static inline void picture_##suffix##_##rows##_2_any(          \
        PICTURE_ARGUMENTS(type), int whole) {                                                     \
        typedef type number;                                                                      \
        typedef vec_##suffix vec;                                                                 \
        enum { lanes = sizeof(vec) / sizeof(type) };                                              \
        EACH_##rows(ZERO2)                                                                        \
        EACH_##rows(NEAR2)                                                                        \
        for (long q = 0; q < d; q++) {                                                            \
            const type *x = A + q * ad, *y = x + 8 * am, *b = B + q * bd;                         \
            for (long p = 0; p < k; p++, x += ak, y += ak, b += bk) {                             \
                vec b0 = *(const vec *)b, b1 = PICTURE_GET(suffix, b + lanes);                    \
                EACH_##rows(PICTURE_STEP2)                                                        \
            }                                                                                     \
            (void)y;                                                                              \
        }                                                                                         \
        EACH_##rows(PICTURE_PUT2_##suffix)                                                        \
    }                                                                                             \
    __attribute__((always_inline)) static inline void picture_##suffix##_##rows##_1_any(          \
        PICTURE_ARGUMENTS(type), int whole) {                                                     \
        typedef vec_##suffix vec;                                                                 \
        EACH_##rows(ZERO1)                                                                        \
        EACH_##rows(NEAR1)                                                                        \
        for (long q = 0; q < d; q++) {                                                            \
            const type *x = A + q * ad, *y = x + 8 * am, *b = B + q * bd;                         \
            for (long p = 0; p < k; p++, x += ak, y += ak, b += bk) {                             \
                vec b0 = PICTURE_GET(suffix, b);                                                  \
                EACH_##rows(PICTURE_STEP1)                                                        \
            }                                                                                     \
            (void)y;                                                                              \
        }                                                                                         \
        EACH_##rows(PICTURE_PUT1_##suffix)                                                        \
    }                                                                                             \
    PICTURE_MADE(rows, 2, whole, 1, type, suffix) PICTURE_MADE(rows, 2, part, 0, type, suffix)    \
    PICTURE_MADE(rows, 1, whole, 1, type, suffix) PICTURE_MADE(rows, 1, part, 0, type, suffix)
#define PICTURE_MADE(rows, vectors, name, whole, type, suffix)                                    \
    __attribute__((noinline, unused)) static void picture_##suffix##_##rows##_##vectors##_##name( \
        PICTURE_ARGUMENTS(type)) {                                                                \
        picture_##suffix##_##rows##_##vectors##_any(d, k, A, am, ad, ak, B, bd, bk, C, cm, fresh, \
                                                    some, whole);                                 \
    }

#if VECTOR == 64
#define PICTURE_MOST_2 12
#define PICTURE_SOME_2 8
#define PICTURE_MOST_1 16
#define PICTURE_TILES(type, suffix)                                                               \
    PICTURE_TILE(16, type, suffix) PICTURE_TILE(12, type, suffix) PICTURE_TILE(8, type, suffix)   \
    PICTURE_TILE(4, type, suffix) PICTURE_TILE(1, type, suffix)

#else
#define PICTURE_MOST_2 6
#define PICTURE_SOME_2 4
#define PICTURE_MOST_1 12
#define PICTURE_TILES(type, suffix)                                                               \
    PICTURE_TILE(12, type, suffix) PICTURE_TILE(8, type, suffix) PICTURE_TILE(6, type, suffix)    \
    PICTURE_TILE(4, type, suffix) PICTURE_TILE(1, type, suffix)

#endif

/* Columns of one or two vectors, all rows. */
#define PICTURE_COLUMNS(suffix, most, middle, vectors, name, columns, some)                       \
    picture_rows_##suffix(most, middle, JOIN4(picture_##suffix, most, vectors, name),             \
                          JOIN4(picture_##suffix, middle, vectors, name),                         \
                          picture_##suffix##_4_##vectors##_##name,                                \
                          picture_##suffix##_1_##vectors##_##name, m, q, k, A, am, ad, ak,        \
                          B + columns, bd, bk, C + columns, cm, fresh, some)
#define JOIN4_(a, b, c, d) a##_##b##_##c##_##d
#define JOIN4(a, b, c, d) JOIN4_(a, b, c, d)

#define PICTURES(type, suffix)                                                                    \
    PICTURE_TILES(type, suffix)                                                                   \
    typedef void picture_tile_##suffix(PICTURE_ARGUMENTS(type));                                  \
    /* Tiles of `most` rows, but none so high that fewer than `middle` are left. */               \
    static inline void picture_rows_##suffix(                                                     \
        long most, long middle, picture_tile_##suffix *high, picture_tile_##suffix *half,         \
        picture_tile_##suffix *four, picture_tile_##suffix *one, long m, PICTURE_ARGUMENTS(type)) { \
        while (m > 0) {                                                                           \
            long left = m - most;                                                                 \
            long rows = left == 0 || left >= middle ? most : m >= middle ? middle : m >= 4 ? 4 : 1; \
            picture_tile_##suffix *tile =                                                         \
                rows == most ? high : rows == middle ? half : rows == 4 ? four : one;             \
            tile(d, k, A, am, ad, ak, B, bd, bk, C, cm, fresh, some);                             \
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
                PICTURE_COLUMNS(suffix, PICTURE_MOST_2, PICTURE_SOME_2, 2, whole, j, 0);          \
            int rest = (int)(n - j);                                                              \
            if (rest > lanes)                                                                     \
                PICTURE_COLUMNS(suffix, PICTURE_MOST_2, PICTURE_SOME_2, 2, part, j, rest - lanes); \
            else if (rest == lanes) PICTURE_COLUMNS(suffix, PICTURE_MOST_1, 8, 1, whole, j, 0);   \
            else if (rest > 0) PICTURE_COLUMNS(suffix, PICTURE_MOST_1, 8, 1, part, j, rest);      \
        }                                                                                         \
    }

PICTURES(float, f32)
PICTURES(double, f64)
#endif
