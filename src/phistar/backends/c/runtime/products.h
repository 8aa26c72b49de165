/* Products of matrices: C[i][j] (+)= sum over p of A[i][p] * B[p][j], any strides.

   outer   B and C run along j in memory: a tile of rows times two vectors of columns is held in
           registers while p runs
   dot     A and B run along p in memory: a tile of sums is held in registers, each a vector

   Every element is summed in an order of its own that does not depend on the tile it falls into,
   so that ranges may be divided among threads as they come. */
#ifndef PHISTAR_PRODUCTS_H
#define PHISTAR_PRODUCTS_H

#if defined __AVX512F__
#define VECTOR 64 /* bytes */
#elif defined __AVX__
#define VECTOR 32
#else
#define VECTOR 16
#endif

#define EACH_1(F) F(0)
#define EACH_4(F) F(0) F(1) F(2) F(3)
#define EACH_6(F) EACH_4(F) F(4) F(5)
#define EACH_12(F) EACH_6(F) F(6) F(7) F(8) F(9) F(10) F(11)

/* One tile: `rows` rows, one or two vectors of columns. Sums begin with what C holds, or with 0. */
#define ZERO1(r) vec c##r##_0 = {0};
#define ZERO2(r) vec c##r##_0 = {0}, c##r##_1 = {0};
#define STEP1(r) c##r##_0 += A[r * am] * b0;
#define STEP2(r) { number a = A[r * am]; c##r##_0 += a * b0; c##r##_1 += a * b1; }
#define ADD1(r) *(vec *)(C + r * cm) = c##r##_0 + (fresh ? (vec){0} : *(vec *)(C + r * cm));
#define ADD2(r) ADD1(r) \
    *(vec *)(C + r * cm + lanes) = c##r##_1 + (fresh ? (vec){0} : *(vec *)(C + r * cm + lanes));

#define OUTER_TILES(rows, name, type, vector)                                                     \
    __attribute__((noinline, unused)) static void name##_##rows##_2(                               \
        long k, const type *A, long am, long ak, const type *B, long bk, type *C, long cm,        \
        int fresh) {                                                                              \
        typedef type number;                                                                      \
        typedef vector vec;                                                                       \
        enum { lanes = sizeof(vec) / sizeof(type) };                                              \
        EACH_##rows(ZERO2)                                                                        \
        for (long p = 0; p < k; p++, A += ak, B += bk) {                                          \
            vec b0 = *(const vec *)B, b1 = *(const vec *)(B + lanes);                             \
            EACH_##rows(STEP2)                                                                    \
        }                                                                                         \
        EACH_##rows(ADD2)                                                                         \
    }                                                                                             \
    __attribute__((noinline, unused)) static void name##_##rows##_1(                               \
        long k, const type *A, long am, long ak, const type *B, long bk, type *C, long cm,        \
        int fresh) {                                                                              \
        typedef vector vec;                                                                       \
        EACH_##rows(ZERO1)                                                                        \
        for (long p = 0; p < k; p++, A += ak, B += bk) {                                          \
            vec b0 = *(const vec *)B;                                                             \
            EACH_##rows(STEP1)                                                                    \
        }                                                                                         \
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
                                 long, int);                                                      \
    /* All rows of a few columns. */                                                              \
    __attribute__((unused)) static inline void columns_##suffix(                                  \
        column_##suffix *most, column_##suffix *four, column_##suffix *one, long m, long k,       \
        const type *A, long am, long ak, const type *B, long bk, type *C, long cm, int fresh) {   \
        long i = 0;                                                                               \
        for (; i + MOST_ROWS <= m; i += MOST_ROWS)                                                \
            most(k, A + i * am, am, ak, B, bk, C + i * cm, cm, fresh);                            \
        for (; i + 4 <= m; i += 4) four(k, A + i * am, am, ak, B, bk, C + i * cm, cm, fresh);     \
        for (; i < m; i++) one(k, A + i * am, am, ak, B, bk, C + i * cm, cm, fresh);              \
    }                                                                                             \
    __attribute__((unused)) static void product_outer_##suffix(                                   \
        long m, long n, long k, const type *A, long am, long ak, const type *B, long bk, type *C, \
        long cm, int fresh) {                                                                     \
        enum { lanes = sizeof(vec_##suffix) / sizeof(type), block = 512 };                        \
        if (k == 0 && fresh)                                                                      \
            for (long i = 0; i < m; i++)                                                          \
                for (long j = 0; j < n; j++) C[i * cm + j] = 0;                                   \
        for (long p = 0; p < k; p += block, fresh = 0, A += block * ak, B += block * bk) {        \
            long depth = k - p < block ? k - p : block, j = 0;                                    \
            for (; j + 2 * lanes <= n; j += 2 * lanes)                                            \
                columns_##suffix(JOIN(JOIN(tile_##suffix, MOST_ROWS), 2), tile_##suffix##_4_2,    \
                                 tile_##suffix##_1_2, m, depth, A, am, ak, B + j, bk, C + j, cm,  \
                                 fresh);                                                          \
            for (; j + lanes <= n; j += lanes)                                                    \
                columns_##suffix(JOIN(JOIN(tile_##suffix, MOST_ROWS), 1), tile_##suffix##_4_1,    \
                                 tile_##suffix##_1_1, m, depth, A, am, ak, B + j, bk, C + j, cm,  \
                                 fresh);                                                          \
            for (; j + 4 <= n; j += 4)                                                            \
                columns_##suffix(JOIN(JOIN(narrow_##suffix, MOST_ROWS), 1), narrow_##suffix##_4_1,\
                                 narrow_##suffix##_1_1, m, depth, A, am, ak, B + j, bk, C + j,    \
                                 cm, fresh);                                                      \
            for (; j < n; j++)                                                                    \
                columns_##suffix(JOIN(JOIN(single_##suffix, MOST_ROWS), 1), single_##suffix##_4_1,\
                                 single_##suffix##_1_1, m, depth, A, am, ak, B + j, bk, C + j,    \
                                 cm, fresh);                                                      \
        }                                                                                         \
    }                                                                                             \
    /* The sum of a vector's numbers, in pairs of halves. */                                      \
    static inline type total_##suffix(vec_##suffix v) {                                           \
        type x[sizeof v / sizeof(type)];                                                          \
        memcpy(x, &v, sizeof v);                                                                  \
        for (int half = sizeof v / sizeof(type) / 2; half > 0; half /= 2)                         \
            for (int i = 0; i < half; i++) x[i] += x[i + half];                                   \
        return x[0];                                                                              \
    }                                                                                             \
    DOT_TILE(4, 4, type, suffix)                                                                  \
    DOT_TILE(4, 1, type, suffix)                                                                  \
    DOT_TILE(1, 4, type, suffix)                                                                  \
    DOT_TILE(1, 1, type, suffix)                                                                  \
    __attribute__((unused)) static void product_dot_##suffix(                                     \
        long m, long n, long k, const type *A, long am, const type *B, long bn, type *C, long cm, \
        long cn, int fresh) {                                                                     \
        for (long j = 0; j < n;) {                                                                \
            int wide = j + 4 <= n;                                                                \
            for (long i = 0; i < m;) {                                                            \
                int tall = i + 4 <= m;                                                            \
                (tall ? (wide ? dot_##suffix##_4_4 : dot_##suffix##_4_1)                          \
                      : (wide ? dot_##suffix##_1_4 : dot_##suffix##_1_1))(                        \
                    k, A + i * am, am, B + j * bn, bn, C + i * cm + j * cn, cm, cn, fresh);       \
                i += tall ? 4 : 1;                                                                \
            }                                                                                     \
            j += wide ? 4 : 1;                                                                    \
        }                                                                                         \
    }

#define DOT_TILE(rows, cols, type, suffix)                                                        \
    __attribute__((noinline, unused)) static void dot_##suffix##_##rows##_##cols(                 \
        long k, const type *A, long am, const type *B, long bn, type *C, long cm, long cn,        \
        int fresh) {                                                                              \
        typedef vec_##suffix vec;                                                                 \
        enum { lanes = sizeof(vec) / sizeof(type) };                                              \
        vec s[rows][cols] = {{{0}}};                                                              \
        type rest[rows][cols] = {{0}};                                                            \
        long p = 0;                                                                               \
        for (; p + lanes <= k; p += lanes) {                                                      \
            _Pragma("GCC unroll 8") for (int i = 0; i < rows; i++)                                \
                _Pragma("GCC unroll 8") for (int j = 0; j < cols; j++)                            \
                    s[i][j] += *(const vec *)(A + i * am + p) * *(const vec *)(B + j * bn + p);   \
        }                                                                                         \
        for (; p < k; p++)                                                                        \
            for (int i = 0; i < rows; i++)                                                        \
                for (int j = 0; j < cols; j++) rest[i][j] += A[i * am + p] * B[j * bn + p];       \
        for (int i = 0; i < rows; i++)                                                            \
            for (int j = 0; j < cols; j++) {                                                      \
                type sum = total_##suffix(s[i][j]) + rest[i][j];                                  \
                C[i * cm + j * cn] = fresh ? sum : C[i * cm + j * cn] + sum;                      \
            }                                                                                     \
    }

PRODUCTS(float, f32)
PRODUCTS(double, f64)
#endif
