/* What each primitive is in C: one function a type, `tanh_f32`, that a compiler can vectorise.

   Polynomials and rational functions without branches: a choice is a ternary, which becomes a
   blend; bits are read by memcpy. NaN, infinities, -0.0 and denormal numbers come out as in NumPy;
   integers wrap as NumPy's do, with -fwrapv. The errors in units in the last place (ulp) are
   measured: for f32 over every third float, for f64 over samples. "Own fit" is a weighted minimax
   fit (Lawson's iteration, 40 digits), rounded one coefficient after another for f32.

   Where the order of a comparison matters: `c < x ? c : x` keeps a NaN that x is, and is one
   instruction. */
#ifndef PHISTAR_MATHEMATICS_H
#define PHISTAR_MATHEMATICS_H
#include <math.h>
#include <stdint.h>
#include <string.h>

/* What is not inlined does not vectorise, and many calls of a long function would not be. */
#define INLINED static inline __attribute__((always_inline))

/* Bits ---------------------------------------------------------------------------------------- */

INLINED float float_of_bits(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

INLINED uint32_t bits_of_float(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

INLINED double double_of_bits(uint64_t bits) {
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

INLINED uint64_t bits_of_double(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* a * b + c: rounded once where the machine can; nothing below is wrong where it cannot. */
#if defined(__FMA__) || defined(__FP_FAST_FMAF) || defined(__aarch64__)
INLINED float fused_f32(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
INLINED double fused_f64(double a, double b, double c) { return __builtin_fma(a, b, c); }
#else
INLINED float fused_f32(float a, float b, float c) { return a * b + c; }
INLINED double fused_f64(double a, double b, double c) { return a * b + c; }
#endif

/* exp, expm1 ----------------------------------------------------------------------------------

   x = n ln 2 + r with |r| <= ln 2 / 2 (Cody and Waite 1980: ln 2 in two parts, the first so short
   that n times it is exact). Adding 1.5 * 2^23 (2^52) rounds to an integer, which is then in the
   low bits. exp r - 1 = r + r² q(r), q an own fit. 2^n is two factors, so that neither overflows
   nor underflows before the product. */

struct reduced_f32 {
    float r;
    int32_t n;
};

INLINED struct reduced_f32 reduced_f32(float x) {
    float shifted = fused_f32(x, 1.44269504088896341f, 12582912.0f);
    float whole = shifted - 12582912.0f;
    float r = fused_f32(whole, 2.12194440e-4f, fused_f32(whole, -0.693359375f, x));
    return (struct reduced_f32){r, (int32_t)(bits_of_float(shifted) - 0x4b400000u)};
}

/* exp(r) - 1 for |r| <= 0.35. */
INLINED float near_expm1_f32(float r) {
    float q = 0.00139396754f;
    q = fused_f32(q, r, 0.0083667757f);
    q = fused_f32(q, r, 0.0416664146f);
    q = fused_f32(q, r, 0.16666542f);
    q = fused_f32(q, r, 0.5f);
    return fused_f32(q * r, r, r);
}

/* exp(x + low) for x <= 89 and a small low. */
INLINED float exp_of_sum_f32(float x, float low) {
    struct reduced_f32 at = reduced_f32(-104.0f > x ? -104.0f : x);
    float e = near_expm1_f32(at.r + low) + 1.0f;
    int32_t half = at.n >> 1;
    return e * float_of_bits((uint32_t)(half + 127) << 23) *
           float_of_bits((uint32_t)(at.n - half + 127) << 23);
}

/* 1.1 ulp. */
INLINED float exp_f32(float x) { return exp_of_sum_f32(89.0f < x ? 89.0f : x, 0.0f); }

/* 2^n (exp(r) - 1) + 2^n - 1, by halves, so that 2^128 is none of them. 1.7 ulp. */
INLINED float expm1_f32(float x) {
    float y = -18.0f > x ? -18.0f : x;
    struct reduced_f32 at = reduced_f32(89.0f < y ? 89.0f : y);
    float half = float_of_bits((uint32_t)(at.n + 126) << 23);
    float e = 2.0f * fused_f32(half, near_expm1_f32(at.r), half - 0.5f);
    return __builtin_fabsf(x) < 2.9802322e-8f ? x : e; /* 2^-25 */
}

struct reduced_f64 {
    double r;
    uint64_t n; /* 2048 more than n: shifts of signed 64 bits do not vectorise everywhere */
};

INLINED struct reduced_f64 reduced_f64(double x) {
    double shifted = fused_f64(x, 1.44269504088896340736, 6755399441055744.0);
    double whole = shifted - 6755399441055744.0;
    double r = fused_f64(whole, -1.90821492927058770002e-10,
                         fused_f64(whole, -6.93147180369123816490e-01, x));
    return (struct reduced_f64){r, bits_of_double(shifted) - UINT64_C(0x4338000000000000) + 2048};
}

/* exp(r) - 1 for |r| <= 0.35. */
INLINED double near_expm1_f64(double r) {
    double q = 2.09249044806193452e-9;
    q = fused_f64(q, r, 2.51096030583224696e-8);
    q = fused_f64(q, r, 2.75572412743428148e-7);
    q = fused_f64(q, r, 2.75572427046833152e-6);
    q = fused_f64(q, r, 0.0000248015873622821377);
    q = fused_f64(q, r, 0.000198412698874893038);
    q = fused_f64(q, r, 0.00138888888888659733);
    q = fused_f64(q, r, 0.00833333333332115095);
    q = fused_f64(q, r, 0.0416666666666667031);
    q = fused_f64(q, r, 0.166666666666666771);
    q = fused_f64(q, r, 0.5);
    return fused_f64(q * r, r, r);
}

/* exp(x + low) for x <= 710 and a small low. */
INLINED double exp_of_sum_f64(double x, double low) {
    struct reduced_f64 at = reduced_f64(-746.0 > x ? -746.0 : x);
    double e = near_expm1_f64(at.r + low) + 1.0;
    uint64_t half = at.n >> 1;
    return e * double_of_bits((half - 1) << 52) * double_of_bits((at.n - half - 1) << 52);
}

/* 1 ulp. */
INLINED double exp_f64(double x) { return exp_of_sum_f64(710.0 < x ? 710.0 : x, 0.0); }

/* As in f32. 1.7 ulp. */
INLINED double expm1_f64(double x) {
    double y = -40.0 > x ? -40.0 : x;
    struct reduced_f64 at = reduced_f64(710.0 < y ? 710.0 : y);
    double half = double_of_bits((at.n - 1026) << 52);
    double e = 2.0 * fused_f64(half, near_expm1_f64(at.r), half - 0.5);
    return __builtin_fabs(x) < 5.5e-17 ? x : e; /* 2^-54 */
}

/* log, log1p ----------------------------------------------------------------------------------

   x = 2^k (1 + f), f between -1/3 and 1/3 in f32 (own fit), between sqrt(1/2) - 1 and
   sqrt(2) - 1 in f64 (fdlibm, e_log.c). For log1p, f is x 2^-k + (2^-k - 1), rounded once. */

/* k ln 2 + ln(1 + f). */
INLINED float log_of_parts_f32(float k, float f) {
    float p = -0.13185063f;
    p = fused_f32(p, f, 0.139617473f);
    p = fused_f32(p, f, -0.121166676f);
    p = fused_f32(p, f, 0.140110761f);
    p = fused_f32(p, f, -0.166853502f);
    p = fused_f32(p, f, 0.200100332f);
    p = fused_f32(p, f, -0.249996915f);
    p = fused_f32(p, f, 0.333332241f);
    float low = fused_f32(f * f, fused_f32(p, f, -0.5f), k * -2.12194440e-4f);
    return fused_f32(k, 0.693359375f, f + low);
}

INLINED double log_of_parts_f64(double k, double f) {
    double s = f / (2.0 + f), z = s * s, w = z * z, half = 0.5 * f * f;
    double odd = fused_f64(w, 1.479819860511658591e-01, 1.818357216161805012e-01);
    odd = fused_f64(w, fused_f64(w, odd, 2.857142874366239149e-01), 6.666666666666735130e-01);
    double even = fused_f64(w, 1.531383769920937332e-01, 2.222219843214978396e-01);
    even = fused_f64(w, even, 3.999999999940941908e-01);
    double rest = fused_f64(z, odd, w * even);
    double low = fused_f64(s, half + rest, k * 1.90821492927058770002e-10);
    return fused_f64(k, 6.93147180369123816490e-01, f - (half - low));
}

/* 0.9 ulp. */
INLINED float log_f32(float x) {
    float y = x < 1.17549435e-38f ? x * 8388608.0f : x;
    uint32_t bits = bits_of_float(y);
    int32_t k = (int32_t)(bits - 0x3f2aaaabu) >> 23; /* 2/3 */
    float f = float_of_bits(bits - ((uint32_t)k << 23)) - 1.0f;
    float found = log_of_parts_f32((float)k - (x < 1.17549435e-38f ? 23.0f : 0.0f), f);
    found = x < INFINITY ? found : x;
    return x > 0.0f ? found : x == 0.0f ? -INFINITY : NAN;
}

/* An integer of 0 to 2^52 as a double, by its bits. */
INLINED double double_of_small(uint64_t n) {
    return double_of_bits(n | UINT64_C(0x4330000000000000)) - 4503599627370496.0;
}

/* 1 ulp. */
INLINED double log_f64(double x) {
    double y = x < 2.2250738585072014e-308 ? x * 18014398509481984.0 : x;
    uint64_t bits = bits_of_double(y); /* k + 1024; sqrt(1/2) */
    uint64_t k = (bits - UINT64_C(0x3fe6a09e667f3bcd) + (UINT64_C(1024) << 52)) >> 52;
    double f = double_of_bits(bits - ((k - 1024) << 52)) - 1.0;
    double offset = x < 2.2250738585072014e-308 ? 1078.0 : 1024.0;
    double found = log_of_parts_f64(double_of_small(k) - offset, f);
    found = x < (double)INFINITY ? found : x;
    return x > 0.0 ? found : x == 0.0 ? -(double)INFINITY : (double)NAN;
}

/* 1.6 ulp. */
INLINED float log1p_f32(float x) {
    int32_t k = (int32_t)(bits_of_float(1.0f + x) - 0x3f2aaaabu) >> 23;
    uint32_t shift = (uint32_t)k << 23;
    float part = float_of_bits(bits_of_float(x) - shift); /* x 2^-k */
    float quarter = float_of_bits(0x40800000u - shift); /* 4 2^-k, for there is no 2^-128 */
    float f = k == 0 ? x : part + fused_f32(0.25f, quarter, -1.0f);
    float found = __builtin_copysignf(log_of_parts_f32((float)k, f), x);
    found = x < INFINITY ? found : x;
    return x > -1.0f ? found : x == -1.0f ? -INFINITY : NAN;
}

/* 1.5 ulp. */
INLINED double log1p_f64(double x) {
    uint64_t bits = bits_of_double(1.0 + x);
    uint64_t k = (bits - UINT64_C(0x3fe6a09e667f3bcd) + (UINT64_C(1024) << 52)) >> 52;
    uint64_t shift = (k - 1024) << 52;
    double part = double_of_bits(bits_of_double(x) - shift);
    double quarter = double_of_bits(UINT64_C(0x4010000000000000) - shift);
    double f = shift == 0 ? x : part + fused_f64(0.25, quarter, -1.0);
    double found = __builtin_copysign(log_of_parts_f64(double_of_small(k) - 1024.0, f), x);
    found = x < (double)INFINITY ? found : x;
    return x > -1.0 ? found : x == -1.0 ? -(double)INFINITY : (double)NAN;
}

/* ln(1 + e) for 0 <= e <= 1; not of NaN. */
INLINED float log1p_of_unit_f32(float e) {
    int large = e > 0.333333343f;
    return log_of_parts_f32(large ? 1.0f : 0.0f, large ? (e - 1.0f) * 0.5f : e);
}

INLINED double log1p_of_unit_f64(double e) {
    int large = e > 0.41421356237309505;
    return log_of_parts_f64(large ? 1.0 : 0.0, large ? (e - 1.0) * 0.5 : e);
}

/* tanh, erf, erfc ------------------------------------------------------------------------------ */

/* t / (t + 2), t = exp(2|x|) - 1. 2.6 ulp. */
INLINED float tanh_f32(float x) {
    float a = __builtin_fabsf(x), t = expm1_f32(2.0f * (10.0f < a ? 10.0f : a));
    return __builtin_copysignf(t / (t + 2.0f), x);
}

/* As in f32. 2.2 ulp. */
INLINED double tanh_f64(double x) {
    double a = __builtin_fabs(x), t = expm1_f64(2.0 * (22.0 < a ? 22.0 : a));
    return __builtin_copysign(t / (t + 2.0), x);
}

/* An odd polynomial below 0.94, then 1 - exp of a polynomial; both own fits. 2.5 ulp. */
INLINED float erf_f32(float x) {
    float a = __builtin_fabsf(x), t = 4.1f < a ? 4.1f : a;
    float z = t * t;
    float p = 8.20979694253765e-05f;
    p = fused_f32(p, z, -0.0008104441803880036f);
    p = fused_f32(p, z, 0.005197642371058464f);
    p = fused_f32(p, z, -0.026858031749725342f);
    p = fused_f32(p, z, 0.11283671110868454f);
    p = fused_f32(p, z, -0.37612631916999817f);
    p = fused_f32(p, z, 0.12837916612625122f);
    float near = fused_f32(p, x, x);
    float q = -1.3339958059077617e-05f;
    q = fused_f32(q, t, 0.0003190746938344091f);
    q = fused_f32(q, t, -0.0034552859142422676f);
    q = fused_f32(q, t, 0.022725148126482964f);
    q = fused_f32(q, t, -0.10362735390663147f);
    q = fused_f32(q, t, -0.6385868787765503f);
    q = fused_f32(q, t, -0.12635454535484314f);
    q = fused_f32(q, t, -0.0006118097226135433f);
    float far = __builtin_copysignf(1.0f - exp_of_sum_f32(q - t, 0.0f), x);
    return t < 0.94f ? near : far;
}

/* exp(a²) erfc(a) for 0 <= a <= 10.1, own fit; all coefficients are positive. */
INLINED float scaled_erfc_f32(float a) {
    float p = 0.0325578219f;
    p = fused_f32(p, a, 0.228169507f);
    p = fused_f32(p, a, 0.729494631f);
    p = fused_f32(p, a, 1.23649794f);
    p = fused_f32(p, a, 1.0f);
    float q = 0.0577065231f;
    q = fused_f32(q, a, 0.404446825f);
    q = fused_f32(q, a, 1.32141109f);
    q = fused_f32(q, a, 2.39796552f);
    q = fused_f32(q, a, 2.3648775f);
    q = fused_f32(q, a, 1.0f);
    return p / q;
}

/* exp(-c a²), the square in two parts (Cody 1969), so that no digits are lost; c a power of two. */
INLINED float gaussian_f32(float a, float c) {
    float head = float_of_bits(bits_of_float(a) & 0xfffff000u);
    return exp_of_sum_f32(-c * (head * head), -c * ((a - head) * (a + head)));
}

/* 7 ulp. */
INLINED float erfc_f32(float x) {
    float a = __builtin_fabsf(x);
    a = 10.5f < a ? 10.5f : a;
    float tail = gaussian_f32(a, 1.0f) * scaled_erfc_f32(a);
    return x < 0.0f ? 2.0f - tail : tail;
}

/* As in f32, for 0 <= a <= 27.3. */
INLINED double scaled_erfc_f64(double a) {
    double p = 0.0000142816170519437656;
    p = fused_f64(p, a, 0.000314495206718558209);
    p = fused_f64(p, a, 0.0033995238780957843);
    p = fused_f64(p, a, 0.0234641358919904902);
    p = fused_f64(p, a, 0.113718844033933292);
    p = fused_f64(p, a, 0.402826472504419947);
    p = fused_f64(p, a, 1.05491095784238362);
    p = fused_f64(p, a, 2.01936359400618703);
    p = fused_f64(p, a, 2.71654251613684087);
    p = fused_f64(p, a, 2.34087470770350608);
    p = fused_f64(p, a, 1.0);
    double q = 0.0000253135071408695927;
    q = fused_f64(q, a, 0.000557428240240619526);
    q = fused_f64(q, a, 0.00603815594247301012);
    q = fused_f64(q, a, 0.0418678121433932138);
    q = fused_f64(q, a, 0.204561495765147205);
    q = fused_f64(q, a, 0.734507169706037464);
    q = fused_f64(q, a, 1.96758054189888656);
    q = fused_f64(q, a, 3.91612725101435751);
    q = fused_f64(q, a, 5.65646453603342272);
    q = fused_f64(q, a, 5.63117631382542544);
    q = fused_f64(q, a, 3.46925387479901884);
    q = fused_f64(q, a, 1.0);
    return p / q;
}

INLINED double gaussian_f64(double a, double c) {
    double head = double_of_bits(bits_of_double(a) & ~UINT64_C(0x7ffffff));
    return exp_of_sum_f64(-c * (head * head), -c * ((a - head) * (a + head)));
}

/* An odd polynomial below 0.5, own fit. 2 ulp. */
INLINED double erf_f64(double x) {
    double a = __builtin_fabs(x), t = 6.0 < a ? 6.0 : a, z = t * t;
    double p = -1.46184377655570116e-7;
    p = fused_f64(p, z, 1.63709554406564462e-6);
    p = fused_f64(p, z, -0.0000149229902654165093);
    p = fused_f64(p, z, 0.000120552858700643795);
    p = fused_f64(p, z, -0.000854832650582208115);
    p = fused_f64(p, z, 0.00522397762197438222);
    p = fused_f64(p, z, -0.0268661706449976439);
    p = fused_f64(p, z, 0.11283791670954864);
    p = fused_f64(p, z, -0.376126389031837505);
    p = fused_f64(p, z, 1.12837916709551257);
    double near = x * p;
    double far = __builtin_copysign(1.0 - gaussian_f64(t, 1.0) * scaled_erfc_f64(t), x);
    return t < 0.5 ? near : far;
}

/* 6 ulp. */
INLINED double erfc_f64(double x) {
    double a = __builtin_fabs(x);
    a = 27.5 < a ? 27.5 : a;
    double tail = gaussian_f64(a, 1.0) * scaled_erfc_f64(a);
    return x < 0.0 ? 2.0 - tail : tail;
}

/* x Φ(x), with the tail of Φ to full relative precision. 7 ulp, where the result is a
   normal number. */
INLINED float gelu_f32(float x) {
    float a = __builtin_fabsf(x);
    a = 16.0f < a ? 16.0f : a;
    float tail = 0.5f * gaussian_f32(a, 0.5f) * scaled_erfc_f32(a * 0.707106781f);
    return x * (x < 0.0f ? tail : 1.0f - tail);
}

INLINED double gelu_f64(double x) {
    double a = __builtin_fabs(x);
    a = 40.0 < a ? 40.0 : a;
    double tail = 0.5 * gaussian_f64(a, 0.5) * scaled_erfc_f64(a * 0.70710678118654752440);
    return x * (x < 0.0 ? tail : 1.0 - tail);
}

/* Φ(x) + x φ(x), the partial of gelu: both parts by one exp. */
INLINED float gelu_slope_f32(float x) {
    float a = __builtin_fabsf(x);
    a = 16.0f < a ? 16.0f : a;
    float bell = gaussian_f32(a, 0.5f);
    float tail = 0.5f * bell * scaled_erfc_f32(a * 0.707106781f);
    return fused_f32(x, 0.398942280f * bell, x < 0.0f ? tail : 1.0f - tail);
}

INLINED double gelu_slope_f64(double x) {
    double a = __builtin_fabs(x);
    a = 40.0 < a ? 40.0 : a;
    double bell = gaussian_f64(a, 0.5);
    double tail = 0.5 * bell * scaled_erfc_f64(a * 0.70710678118654752440);
    return fused_f64(x, 0.39894228040143267794 * bell, x < 0.0 ? tail : 1.0 - tail);
}

/* sin, cos ------------------------------------------------------------------------------------

   |x| = n π/2 + r with |r| <= π/4, in doubles. Below 2^17 by π/2 in two parts (Cody and Waite);
   above, by the 96 bits of 2/π that matter for the exponent (Payne and Hanek 1983). Both are
   computed, one is kept. Polynomials: own fit. */

/* A table of 4, without loads that would have to be gathered; a chain of == would become one. */
INLINED uint32_t one_of(uint32_t i, uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
    uint32_t low = i & 1 ? b : a, high = i & 1 ? d : c;
    return i & 2 ? high : low;
}

/* The upper 32 of 64 bits, moved left by 0 to 31. */
INLINED uint32_t funnel(uint32_t high, uint32_t low, uint32_t by) {
    return high << by | low >> 1 >> (31 - by);
}

struct angle {
    float r;
    uint32_t n;
};

INLINED struct angle angle_f32(float x) {
    uint32_t bits = bits_of_float(x) & 0x7fffffffu;
    double wide = (double)__builtin_fabsf(x);
    double shifted = fused_f64(wide, 0.63661977236758134308, 6755399441055744.0);
    double whole = shifted - 6755399441055744.0; /* fdlibm: pio2_1, pio2_1t */
    double r = fused_f64(whole, -6.07710050650619224932e-11,
                         fused_f64(whole, -1.57079632673412561417, wide));
    uint32_t mantissa = (bits & 0x7fffffu) | 0x800000u;
    uint32_t from = (bits >> 23) - 136, i = from >> 5; /* the first bit; 16 zeros come before 2/π */
    uint32_t w0 = one_of(i, 0x0000a2f9u, 0x836e4e44u, 0x1529fc27u, 0x57d1f534u);
    uint32_t w1 = one_of(i, 0x836e4e44u, 0x1529fc27u, 0x57d1f534u, 0xddc0db62u);
    uint32_t w2 = one_of(i, 0x1529fc27u, 0x57d1f534u, 0xddc0db62u, 0x95993c43u);
    uint32_t w3 = one_of(i, 0x57d1f534u, 0xddc0db62u, 0x95993c43u, 0x9041fe51u);
    uint64_t turns = (uint64_t)(mantissa * funnel(w0, w1, from & 31)) << 32; /* 2^64: one turn */
    turns += (uint64_t)mantissa * funnel(w1, w2, from & 31);
    turns += ((uint64_t)mantissa * funnel(w2, w3, from & 31)) >> 32;
    uint64_t n = (turns + (UINT64_C(1) << 61)) >> 62, rest = turns - (n << 62);
    double far = (double)(int32_t)(uint32_t)(rest >> 32) * 4294967296.0 +
                 (double)(int32_t)((uint32_t)rest >> 1) * 2.0;
    int large = bits >= 0x48000000u; /* 2^17 */
    return (struct angle){(float)(large ? far * 3.4061215800865545e-19 : r),
                          large ? (uint32_t)n : (uint32_t)bits_of_double(shifted)};
}

/* The sine of r + n π/2. */
INLINED float sine_of_angle(float r, uint32_t n) {
    float z = r * r;
    float s = -0.000195184082f;
    s = fused_f32(s, z, 0.0083321901f);
    s = fused_f32(s, z, -0.166666552f);
    float c = 2.44302355e-5f;
    c = fused_f32(c, z, -0.0013887299f);
    c = fused_f32(c, z, 0.0416666456f);
    s = fused_f32(r * z, s, r);
    c = fused_f32(z, fused_f32(z, c, -0.5f), 1.0f);
    return float_of_bits(bits_of_float(n & 1 ? c : s) ^ (n & 2) << 30);
}

/* 1.6 ulp. */
INLINED float sin_f32(float x) {
    struct angle at = angle_f32(x);
    float s = sine_of_angle(at.r, at.n);
    s = float_of_bits(bits_of_float(s) ^ (bits_of_float(x) & 0x80000000u));
    return __builtin_fabsf(x) < INFINITY ? s : x - x;
}

/* 1.6 ulp. */
INLINED float cos_f32(float x) {
    struct angle at = angle_f32(x);
    return __builtin_fabsf(x) < INFINITY ? sine_of_angle(at.r, at.n + 1) : x - x;
}

INLINED double sin_f64(double x) { return sin(x); }
INLINED double cos_f64(double x) { return cos(x); }

/* pow -----------------------------------------------------------------------------------------

   exp(p ln |x|) in doubles; then what C99 (F.9.4.4) says of signs and special numbers. 0.51 ulp. */
INLINED float any_pow_f32(float x, float p) {
    float a = __builtin_fabsf(x), half = 0.5f * p;
    int whole = __builtin_rintf(p) == p, odd = whole & (__builtin_rintf(half) != half);
    float found = (float)exp_f64((double)p * log_f64((double)a));
    found = a == 1.0f ? 1.0f : found;
    uint32_t sign = odd ? bits_of_float(x) & 0x80000000u : 0;
    found = float_of_bits(bits_of_float(found) ^ sign);
    found = (((x < 0.0f) & (a < INFINITY) & !whole) | (x != x) | (p != p)) ? NAN : found;
    return ((p == 0.0f) | (x == 1.0f)) ? 1.0f : found;
}

INLINED double any_pow_f64(double x, double p) { return pow(x, p); }

/* Functions of both float types ---------------------------------------------------------------- */

#define FLOATS(T, S, F)                                                                           \
    INLINED T div_##S(T a, T b) { return a / b; }                                                 \
    INLINED T reciprocal_##S(T x) { return 1 / x; }                                               \
    INLINED T sqrt_##S(T x) { return __builtin_sqrt##F(x); }                                      \
    INLINED T rsqrt_##S(T x) { return 1 / __builtin_sqrt##F(x); }                                 \
    INLINED T tan_##S(T x) { return tan##F(x); }                                                  \
    INLINED T arcsin_##S(T x) { return asin##F(x); }                                              \
    INLINED T arccos_##S(T x) { return acos##F(x); }                                              \
    INLINED T arctan_##S(T x) { return atan##F(x); }                                              \
    INLINED T sinh_##S(T x) { return sinh##F(x); }                                                \
    INLINED T cosh_##S(T x) { return cosh##F(x); }                                                \
    /* Powers that are written in the program are products. */                                    \
    INLINED T pow_##S(T x, T p) {                                                                 \
        if (__builtin_constant_p(p) && p == 1) return x;                                          \
        if (__builtin_constant_p(p) && p == 2) return x * x;                                      \
        if (__builtin_constant_p(p) && p == 3) return x * x * x;                                  \
        if (__builtin_constant_p(p) && p == -1) return 1 / x;                                     \
        if (__builtin_constant_p(p) && p == (T)0.5) /* -0.0 and -inf become positive */           \
            return x == -(T)INFINITY ? (T)INFINITY : __builtin_sqrt##F(x) + 0;                    \
        return any_pow_##S(x, p);                                                                 \
    }                                                                                             \
    INLINED T abs_##S(T x) { return __builtin_fabs##F(x); }                                       \
    INLINED T floor_##S(T x) { return __builtin_floor##F(x); }                                    \
    INLINED T ceil_##S(T x) { return __builtin_ceil##F(x); }                                      \
    INLINED T round_##S(T x) { return __builtin_rint##F(x); }                                     \
    INLINED T sign_##S(T x) { return x > 0 ? 1 : x < 0 ? -1 : x == 0 ? 0 : x; }                   \
    INLINED T maximum_##S(T a, T b) { return ((a > b) | (a != a)) ? a : b; }                      \
    INLINED T minimum_##S(T a, T b) { return ((a < b) | (a != a)) ? a : b; }                      \
    INLINED uint8_t isnan_##S(T x) { return x != x; }                                             \
    INLINED uint8_t isinf_##S(T x) { return __builtin_fabs##F(x) == (T)INFINITY; }                \
    /* With e = exp(-|x|), which never overflows. 2.5 ulp. */                                     \
    INLINED T sigmoid_##S(T x) {                                                                  \
        T e = exp_##S(-__builtin_fabs##F(x));                                                     \
        return (x < 0 ? e : 1) / (1 + e);                                                         \
    }                                                                                             \
    INLINED T softplus_##S(T x) {                                                                 \
        return (0 > x ? 0 : x) + log1p_of_unit_##S(exp_##S(-__builtin_fabs##F(x)));               \
    }                                                                                             \
    INLINED T log_sigmoid_##S(T x) { return -softplus_##S(-x); }                                  \
    INLINED T silu_##S(T x) { return x * sigmoid_##S(x); }                                        \
    /* tanh(ln(1 + w)) = w (w + 2) / (w (w + 2) + 2) for w = exp(x); 1 from x = 20 on. 4 ulp. */  \
    INLINED T mish_##S(T x) {                                                                     \
        T w = exp_##S(20 < x ? 20 : x), v = w * (w + 2);                                          \
        return x * (v / (v + 2));                                                                 \
    }                                                                                             \
    /* (1 + tanh u) / 2 = sigmoid(2u), which keeps its digits where it is small. 5e-8. */         \
    INLINED T gelu_tanh_##S(T x) {                                                                \
        return x * sigmoid_##S((T)1.59576912160573071176 * (x + (T)0.044715 * (x * x * x)));      \
    }                                                                                             \
    INLINED T leaky_relu_##S(T x, T slope) { return x > 0 ? x : slope * x; }                      \
    INLINED T elu_##S(T x, T alpha) {                                                             \
        return x > 0 ? x : alpha * expm1_##S(0 < x ? 0 : x);                                      \
    }                                                                                             \
    INLINED T celu_##S(T x, T alpha) {                                                            \
        return x > 0 ? x : alpha * expm1_##S((0 < x ? 0 : x) / alpha);                            \
    }                                                                                             \
    INLINED T selu_##S(T x) {                                                                     \
        return (T)1.0507009873554804934 * elu_##S(x, (T)1.6732632423543772848);                   \
    }                                                                                             \
    INLINED T hard_sigmoid_##S(T x) {                                                             \
        T y = 0 > x + 3 ? 0 : x + 3;                                                              \
        return (6 < y ? 6 : y) / 6;                                                               \
    }                                                                                             \
    INLINED T hard_swish_##S(T x) {                                                               \
        T y = 0 > x + 3 ? 0 : x + 3;                                                              \
        return x * (6 < y ? 6 : y) / 6;                                                           \
    }                                                                                             \
    INLINED T softsign_##S(T x) { return x / (1 + __builtin_fabs##F(x)); }                        \
    /* The remainder with the divisor's sign, and the quotient rounded down: NumPy's divmod. */   \
    INLINED T mod_##S(T a, T b) {                                                                 \
        T m = fmod##F(a, b), moved = m != 0 && (b < 0) != (m < 0) ? m + b : m;                    \
        return b == 0 ? m : m == 0 ? __builtin_copysign##F(0, b) : moved;                         \
    }                                                                                             \
    INLINED T floor_div_##S(T a, T b) {                                                           \
        T m = fmod##F(a, b), d = (a - m) / b;                                                     \
        d = m != 0 && (b < 0) != (m < 0) ? d - 1 : d;                                             \
        T f = __builtin_floor##F(d);                                                              \
        f = d - f > (T)0.5 ? f + 1 : f;                                                           \
        return b == 0 ? a / b : d == 0 ? __builtin_copysign##F(0, a / b) : f;                     \
    }

#define INTEGERS(T, S)                                                                            \
    static inline T abs_##S(T x) { return (T)(x < 0 ? -x : x); }                                  \
    static inline T floor_##S(T x) { return x; }                                                  \
    static inline T ceil_##S(T x) { return x; }                                                   \
    static inline T round_##S(T x) { return x; }                                                  \
    static inline T sign_##S(T x) { return (T)((x > 0) - (x < 0)); }                              \
    static inline T maximum_##S(T a, T b) { return a > b ? a : b; }                               \
    static inline T minimum_##S(T a, T b) { return a < b ? a : b; }                               \
    /* By 0: 0. By -1: the negative, which wraps; the division would trap. */                     \
    static inline T floor_div_##S(T a, T b) {                                                     \
        if (b == 0) return 0;                                                                     \
        if ((T)-1 < 0 && b == (T)-1) return (T)-a;                                                \
        return (T)(a / b - (a % b != 0 && (a % b < 0) != (b < 0)));                               \
    }                                                                                             \
    static inline T mod_##S(T a, T b) {                                                           \
        if (b == 0 || ((T)-1 < 0 && b == (T)-1)) return 0;                                        \
        return (T)(a % b + (a % b != 0 && (a % b < 0) != (b < 0) ? b : 0));                       \
    }                                                                                             \
    /* By squaring; negative powers are rounded to 0. */                                          \
    static inline T pow_##S(T x, T n) {                                                           \
        if (n < 0) return (T)(x == 1 ? 1 : (T)-1 < 0 && x == (T)-1 ? (n & 1 ? -1 : 1) : 0);       \
        T power = 1;                                                                              \
        for (; n; n = (T)(n >> 1), x = (T)((uint64_t)x * (uint64_t)x))                            \
            if (n & 1) power = (T)((uint64_t)power * (uint64_t)x);                                \
        return power;                                                                             \
    }

#define NUMBERS(T, S)                                                                             \
    INLINED T square_##S(T x) { return (T)(x * x); }                                              \
    INLINED T relu_##S(T x) { return 0 > x ? 0 : x; }                                             \
    INLINED T relu6_##S(T x) { return 0 > x ? 0 : 6 < x ? 6 : x; }                                \
    INLINED T hardtanh_##S(T x) { return -1 > x ? (T)-1 : 1 < x ? 1 : x; }                        \
    INLINED T clip_##S(T x, T low, T high) {                                                      \
        return minimum_##S(maximum_##S(x, low), high);                                            \
    }

FLOATS(float, f32, f)
FLOATS(double, f64, )
INTEGERS(uint8_t, u8)
INTEGERS(int8_t, i8)
INTEGERS(int16_t, i16)
INTEGERS(int32_t, i32)
INTEGERS(int64_t, i64)
NUMBERS(float, f32)
NUMBERS(double, f64)
NUMBERS(uint8_t, u8)
NUMBERS(int8_t, i8)
NUMBERS(int16_t, i16)
NUMBERS(int32_t, i32)
NUMBERS(int64_t, i64)
#undef FLOATS
#undef INTEGERS
#undef NUMBERS

/* 16-bit floats: IEEE half and bfloat16, rounded to nearest, ties to even --------------------- */

INLINED float half_to_float(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16, rest = (uint32_t)(h & 0x7fffu) << 13;
    float finite = float_of_bits(rest) * 5.192296858534828e33f; /* 2^112 */
    uint32_t found = rest >= 0x7c00u << 13 ? rest | 0x7f800000u : bits_of_float(finite);
    return float_of_bits(sign | found);
}

INLINED uint16_t float_to_half(float x) {
    uint32_t bits = bits_of_float(x), sign = bits >> 16 & 0x8000u, rest = bits & 0x7fffffffu;
    uint32_t normal = (rest + 0xfffu + (rest >> 13 & 1) - 0x38000000u) >> 13;
    uint32_t small = bits_of_float(float_of_bits(rest) + 0.5f) - 0x3f000000u; /* steps of 2^-24 */
    uint32_t found = rest < 0x38800000u ? small : normal;                    /* 2^-14 */
    found = rest >= 0x47800000u ? 0x7c00u : found;                           /* 65536 */
    found = rest > 0x7f800000u ? 0x7e00u | (rest >> 13 & 0x3ffu) : found;    /* NaN */
    return (uint16_t)(sign | found);
}

INLINED float bfloat_to_float(uint16_t b) { return float_of_bits((uint32_t)b << 16); }

INLINED uint16_t float_to_bfloat(float x) {
    uint32_t bits = bits_of_float(x), rounded = (bits + 0x7fffu + (bits >> 16 & 1)) >> 16;
    return (uint16_t)((bits & 0x7fffffffu) > 0x7f800000u ? bits >> 16 | 0x40u : rounded);
}
#endif
