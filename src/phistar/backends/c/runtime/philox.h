/* Philox4x32-10: random numbers as a pure function of a key and a counter.

   Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3" (SC 2011). The key is
   the seed; the counter is (position in the field, step, place in the program). Loops over
   positions vectorise: a round is 32-bit products and their high halves. */
#ifndef PHISTAR_PHILOX_H
#define PHISTAR_PHILOX_H
#include <math.h>
#include <stdint.h>
#include "mathematics.h"

struct philox {
    uint32_t c0, c1, c2, c3;
};

INLINED struct philox philox_round(struct philox c, uint32_t k0, uint32_t k1) {
    uint64_t a = (uint64_t)0xD2511F53u * c.c0, b = (uint64_t)0xCD9E8D57u * c.c2;
    return (struct philox){(uint32_t)(b >> 32) ^ c.c1 ^ k0, (uint32_t)b,
                           (uint32_t)(a >> 32) ^ c.c3 ^ k1, (uint32_t)a};
}

INLINED struct philox philox(uint32_t k0, uint32_t k1, uint32_t step, uint32_t place,
                             uint64_t position) {
    struct philox c = {(uint32_t)position, (uint32_t)(position >> 32), step, place};
    for (int round = 0; round < 10; round++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u)
        c = philox_round(c, k0, k1);
    return c;
}

/* [0, 1): 24 random bits. */
INLINED float uniform_f32(uint32_t k0, uint32_t k1, uint32_t step, uint32_t place,
                          uint64_t position) {
    uint32_t word = philox(k0, k1, step, place, position).c0;
    return (float)(int32_t)(word >> 8) * 5.9604644775390625e-8f; /* 2^-24 */
}

/* [0, 1): 53 random bits. */
INLINED double uniform_f64(uint32_t k0, uint32_t k1, uint32_t step, uint32_t place,
                           uint64_t position) {
    struct philox w = philox(k0, k1, step, place, position);
    double high = (double)(int32_t)(w.c0 >> 5), low = (double)(int32_t)(w.c1 >> 6);
    return (high * 67108864.0 + low) * 1.1102230246251565404e-16; /* 2^-53 */
}

/* (word + 1/2) / 2^32. */
INLINED double middle_of_word(uint32_t word) {
    return (double_of_small(word) + 0.5) * 2.3283064365386962891e-10;
}

/* cos(x) for 0 <= x <= 2π: x = n π/2 + r (Cody and Waite), polynomials of own fit. */
INLINED double cos_of_turn(double x) {
    double shifted = fused_f64(x, 0.63661977236758134308, 6755399441055744.0);
    double whole = shifted - 6755399441055744.0; /* fdlibm: pio2_1, pio2_1t */
    double r = fused_f64(whole, -6.07710050650619224932e-11,
                         fused_f64(whole, -1.57079632673412561417, x));
    uint64_t n = bits_of_double(shifted) + 1;
    double z = r * r, s = 1.58965219616538456e-10, c = -1.13595419878800847e-11;
    s = fused_f64(s, z, -2.50507535928885019e-8);
    s = fused_f64(s, z, 2.75573136644532212e-6);
    s = fused_f64(s, z, -0.00019841269829733335);
    s = fused_f64(s, z, 0.00833333333332232769);
    s = fused_f64(s, z, -0.166666666666666317);
    c = fused_f64(c, z, 2.08757215286694945e-9);
    c = fused_f64(c, z, -2.75573143420845565e-7);
    c = fused_f64(c, z, 0.0000248015872894575808);
    c = fused_f64(c, z, -0.00138888888888741067);
    c = fused_f64(c, z, 0.0416666666666665995);
    s = fused_f64(r * z, s, r);
    c = fused_f64(z, fused_f64(z, c, -0.5), 1.0);
    return double_of_bits(bits_of_double(n & 1 ? c : s) ^ (n & 2) << 62);
}

/* Mean 0, standard deviation 1: Box and Muller (1958). */
INLINED double normal_f64(uint32_t k0, uint32_t k1, uint32_t step, uint32_t place,
                          uint64_t position) {
    struct philox w = philox(k0, k1, step, place, position);
    double radius = __builtin_sqrt(-2.0 * log_f64(middle_of_word(w.c0)));
    return radius * cos_of_turn(6.283185307179586 * middle_of_word(w.c1));
}

INLINED float normal_f32(uint32_t k0, uint32_t k1, uint32_t step, uint32_t place,
                         uint64_t position) {
    return (float)normal_f64(k0, k1, step, place, position);
}
#endif
