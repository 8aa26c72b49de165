/* Philox4x32-10: random numbers as a pure function of a key and a counter.

   Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3" (SC 2011). The key is
   the seed; the counter is (position in the field, step, place in the program). */
#ifndef PHISTAR_PHILOX_H
#define PHISTAR_PHILOX_H
#include <math.h>
#include <stdint.h>

struct philox {
    uint32_t word[2];
};

static inline struct philox philox(uint32_t k0, uint32_t k1, uint32_t step, uint32_t place,
                                   uint64_t position) {
    uint32_t c0 = (uint32_t)position, c1 = (uint32_t)(position >> 32), c2 = step, c3 = place;
    for (int round = 0; round < 10; round++) {
        uint64_t a = (uint64_t)0xD2511F53u * c0, b = (uint64_t)0xCD9E8D57u * c2;
        uint32_t was1 = c1, was3 = c3;
        c0 = (uint32_t)(b >> 32) ^ was1 ^ k0;
        c1 = (uint32_t)b;
        c2 = (uint32_t)(a >> 32) ^ was3 ^ k1;
        c3 = (uint32_t)a;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return (struct philox){{c0, c1}};
}

/* [0, 1): 24 random bits. */
static inline float uniform_f32(uint32_t k0, uint32_t k1, uint32_t step, uint32_t place,
                                uint64_t position) {
    return (float)(philox(k0, k1, step, place, position).word[0] >> 8) * 0x1p-24f;
}

/* [0, 1): 53 random bits. */
static inline double uniform_f64(uint32_t k0, uint32_t k1, uint32_t step, uint32_t place,
                                 uint64_t position) {
    struct philox w = philox(k0, k1, step, place, position);
    return ((double)(w.word[0] >> 5) * 67108864.0 + (double)(w.word[1] >> 6)) * 0x1p-53;
}

/* Mean 0, standard deviation 1: Box and Muller (1958). */
static inline double normal_f64(uint32_t k0, uint32_t k1, uint32_t step, uint32_t place,
                                uint64_t position) {
    struct philox w = philox(k0, k1, step, place, position);
    double u1 = ((double)w.word[0] + 0.5) * 0x1p-32, u2 = ((double)w.word[1] + 0.5) * 0x1p-32;
    return sqrt(-2.0 * log(u1)) * cos(6.283185307179586 * u2);
}

static inline float normal_f32(uint32_t k0, uint32_t k1, uint32_t step, uint32_t place,
                               uint64_t position) {
    return (float)normal_f64(k0, k1, step, place, position);
}
#endif
