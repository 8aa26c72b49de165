/* Every kernel of products.h and pictures.h against three plain loops, over small whole numbers, of
   which every sum is exact. Prints the largest difference; returns 1 if there is one. */
#include <stdio.h>
#include <stdlib.h>
#include "pictures.h"

enum { OUTER, TURNED, SPARSE, DOT };

#define ALLOCATED(type, name, n) type *name = malloc(sizeof(type) * (size_t)(n))
#define CHECKS(type, suffix)                                                                      \
    static void fill_##suffix(type *x, long n) {                                                  \
        for (long i = 0; i < n; i++) x[i] = (type)(rand() % 9 - 4);                               \
    }                                                                                             \
    static int differs_##suffix(const type *C, const type *D, long n) {                           \
        for (long i = 0; i < n; i++)                                                              \
            if (C[i] != D[i]) return 1;                                                           \
        return 0;                                                                                 \
    }                                                                                             \
    static int picture_##suffix##_differs(long m, long n, long d, long k, int fresh) {            \
        long am = k + 3, ad = m * am + 5, bk = n + 2, bd = k * bk + 1, cm = n + 4, size = m * cm; \
        ALLOCATED(type, A, d * ad);                                                               \
        ALLOCATED(type, B, d * bd + bk);                                                          \
        ALLOCATED(type, C, size);                                                                 \
        ALLOCATED(type, D, size);                                                                 \
        fill_##suffix(A, d * ad), fill_##suffix(B, d * bd + bk), fill_##suffix(C, size);          \
        memcpy(D, C, sizeof(type) * (size_t)size);                                                \
        product_picture_##suffix(m, n, d, k, A, am, ad, 1, B, bd, bk, C, cm, fresh);              \
        for (long i = 0; i < m; i++)                                                              \
            for (long j = 0; j < n; j++) {                                                        \
                type sum = fresh ? 0 : D[i * cm + j];                                             \
                for (long q = 0; q < d; q++)                                                      \
                    for (long p = 0; p < k; p++)                                                  \
                        sum += A[i * am + q * ad + p] * B[q * bd + p * bk + j];                   \
                D[i * cm + j] = sum;                                                              \
            }                                                                                     \
        int found = differs_##suffix(C, D, size);                                                 \
        free(A), free(B), free(C), free(D);                                                       \
        return found;                                                                             \
    }                                                                                             \
    static int product_##suffix##_differs(int kind, long m, long n, long k, int fresh) {          \
        long am = kind == SPARSE ? 1 : k + 3, ak = kind == SPARSE ? m + 140 : 1;                  \
        long bk = kind == TURNED || kind == DOT ? 1 : n + 2, bn = bk == 1 ? k + 2 : 1;            \
        long cm = n + 4, size = m * cm, a = m * am + k * ak, b = n * bn + k * bk;                 \
        ALLOCATED(type, A, a);                                                                    \
        ALLOCATED(type, B, b);                                                                    \
        ALLOCATED(type, C, size);                                                                 \
        ALLOCATED(type, D, size);                                                                 \
        fill_##suffix(A, a), fill_##suffix(B, b), fill_##suffix(C, size);                         \
        memcpy(D, C, sizeof(type) * (size_t)size);                                                \
        if (kind == TURNED) product_turned_##suffix(m, n, k, A, am, B, bn, C, cm, fresh);         \
        else if (kind == DOT) product_dot_##suffix(m, n, k, A, am, B, bn, C, cm, 1, fresh);       \
        else product_outer_##suffix(m, n, k, A, am, ak, B, bk, C, cm, fresh);                     \
        for (long i = 0; i < m; i++)                                                              \
            for (long j = 0; j < n; j++) {                                                        \
                type sum = fresh ? 0 : D[i * cm + j];                                             \
                for (long p = 0; p < k; p++) sum += A[i * am + p * ak] * B[p * bk + j * bn];      \
                D[i * cm + j] = sum;                                                              \
            }                                                                                     \
        int found = differs_##suffix(C, D, size);                                                 \
        free(A), free(B), free(C), free(D);                                                       \
        return found;                                                                             \
    }

CHECKS(float, f32)
CHECKS(double, f64)

#define COUNT(x) (int)(sizeof(x) / sizeof *(x))

int main(void) {
    const long tall[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 16, 17, 20, 24, 29, 32, 33, 48, 97};
    const long filters[] = {1, 7, 8, 15, 16, 17, 31, 32, 33, 47, 48, 50, 80, 100};
    int wrong = 0;
    for (int fresh = 0; fresh < 2; fresh++) {
        for (int m = 0; m < COUNT(tall); m++)
            for (int n = 0; n < COUNT(filters); n++) {
                wrong += picture_f32_differs(tall[m], filters[n], 3, 5, fresh);
                wrong += picture_f64_differs(tall[m], filters[n], 1, 7, fresh);
            }
        wrong += picture_f32_differs(9, 16, 90, 100, fresh); /* more than is summed in registers */
        wrong += picture_f64_differs(5, 16, 2, 5000, fresh);
    }
    printf("pictures: %d wrong\n", wrong);
    const long rows[] = {1, 5, 95, 96, 97, 130, 200}, columns[] = {1, 3, 16, 31, 32, 33, 70, 515};
    const long sums[] = {1, 7, 95, 96, 193, 390};
    for (int kind = OUTER; kind <= DOT; kind++) {
        for (int m = 0; m < COUNT(rows); m++)
            for (int n = 0; n < COUNT(columns); n++)
                for (int k = 0; k < COUNT(sums); k++) {
                    wrong += product_f32_differs(kind, rows[m], columns[n], sums[k], k & 1);
                    wrong += product_f64_differs(kind, rows[m], columns[n], sums[k], ~k & 1);
                }
        printf("products of kind %d: %d wrong\n", kind, wrong);
    }
    return wrong != 0;
}
