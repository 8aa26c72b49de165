/* What each primitive is in C: one function a type, `tanh_f32`, that a compiler can vectorise.

   Polynomials and rational functions without branches: a choice is a ternary, which becomes a
   blend; bits are read by memcpy. NaN, infinities, -0.0 and denormal numbers come out as in NumPy;
   integers wrap as NumPy's do, with -fwrapv. The errors in units in the last place (ulp) are
   measured: for f32 over all floats, for f64 over samples. "Own fit" is a weighted minimax fit
   (Lawson's iteration, 40 digits), rounded one coefficient after another for f32.

   Where the order of a comparison matters: `c < x ? c : x` keeps a NaN that x is, and is one
   instruction. */
#ifndef PHISTAR_MATHEMATICS_H
#define PHISTAR_MATHEMATICS_H
#include <math.h>
#include <stdint.h>
#include <string.h>

/* Bits ---------------------------------------------------------------------------------------- */

static inline float float_of_bits(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline uint32_t bits_of_float(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline double double_of_bits(uint64_t bits) {
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline uint64_t bits_of_double(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* a * b + c: rounded once where the machine can; nothing below is wrong where it cannot. */
#if defined(__FMA__) || defined(__FP_FAST_FMAF) || defined(__aarch64__)
static inline float fused_f32(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
static inline double fused_f64(double a, double b, double c) { return __builtin_fma(a, b, c); }
#else
static inline float fused_f32(float a, float b, float c) { return a * b + c; }
static inline double fused_f64(double a, double b, double c) { return a * b + c; }
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

static inline struct reduced_f32 reduced_f32(float x) {
    float shifted = fused_f32(x, 1.44269504088896341f, 12582912.0f);
    float whole = shifted - 12582912.0f;
    float r = fused_f32(whole, 2.12194440e-4f, fused_f32(whole, -0.693359375f, x));
    return (struct reduced_f32){r, (int32_t)(bits_of_float(shifted) - 0x4b400000u)};
}

/* exp(r) - 1 for |r| <= 0.35. */
static inline float near_expm1_f32(float r) {
    float q = 0.00139396754f;
    q = fused_f32(q, r, 0.0083667757f);
    q = fused_f32(q, r, 0.0416664146f);
    q = fused_f32(q, r, 0.16666542f);
    q = fused_f32(q, r, 0.5f);
    return fused_f32(q * r, r, r);
}

/* exp(x + low) for x <= 89 and a small low. */
static inline float exp_of_sum_f32(float x, float low) {
    struct reduced_f32 at = reduced_f32(-104.0f > x ? -104.0f : x);
    float e = near_expm1_f32(at.r + low) + 1.0f;
    int32_t half = at.n >> 1;
    return e * float_of_bits((uint32_t)(half + 127) << 23) *
           float_of_bits((uint32_t)(at.n - half + 127) << 23);
}

/* 1.0 ulp. */
static inline float exp_f32(float x) { return exp_of_sum_f32(89.0f < x ? 89.0f : x, 0.0f); }

/* 2^n (exp(r) - 1) + 2^n - 1, by halves, so that 2^128 is none of them. 1.5 ulp. */
static inline float expm1_f32(float x) {
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

static inline struct reduced_f64 reduced_f64(double x) {
    double shifted = fused_f64(x, 1.44269504088896340736, 6755399441055744.0);
    double whole = shifted - 6755399441055744.0;
    double r = fused_f64(whole, -1.90821492927058770002e-10,
                         fused_f64(whole, -6.93147180369123816490e-01, x));
    return (struct reduced_f64){r, bits_of_double(shifted) - UINT64_C(0x4338000000000000) + 2048};
}

/* exp(r) - 1 for |r| <= 0.35. */
static inline double near_expm1_f64(double r) {
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

/* 1 ulp. */
static inline double exp_f64(double x) {
    double y = -746.0 > x ? -746.0 : x;
    struct reduced_f64 at = reduced_f64(710.0 < y ? 710.0 : y);
    double e = near_expm1_f64(at.r) + 1.0;
    uint64_t half = at.n >> 1;
    return e * double_of_bits((half - 1) << 52) * double_of_bits((at.n - half - 1) << 52);
}

/* As in f32. 1.5 ulp. */
static inline double expm1_f64(double x) {
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
static inline float log_of_parts_f32(float k, float f) {
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

static inline double log_of_parts_f64(double k, double f) {
    double s = f / (2.0 + f), z = s * s, w = z * z, half = 0.5 * f * f;
    double odd = fused_f64(w, 1.479819860511658591e-01, 1.818357216161805012e-01);
    odd = fused_f64(w, fused_f64(w, odd, 2.857142874366239149e-01), 6.666666666666735130e-01);
    double even = fused_f64(w, 1.531383769920937332e-01, 2.222219843214978396e-01);
    even = fused_f64(w, even, 3.999999999940941908e-01);
    double rest = fused_f64(z, odd, w * even);
    double low = fused_f64(s, half + rest, k * 1.90821492927058770002e-10);
    return fused_f64(k, 6.93147180369123816490e-01, f - (half - low));
}

/* 1.0 ulp. */
static inline float log_f32(float x) {
    float y = x < 1.17549435e-38f ? x * 8388608.0f : x;
    uint32_t bits = bits_of_float(y);
    int32_t k = (int32_t)(bits - 0x3f2aaaabu) >> 23; /* 2/3 */
    float f = float_of_bits(bits - ((uint32_t)k << 23)) - 1.0f;
    float found = log_of_parts_f32((float)k - (x < 1.17549435e-38f ? 23.0f : 0.0f), f);
    found = x < INFINITY ? found : x;
    return x > 0.0f ? found : x == 0.0f ? -INFINITY : NAN;
}

/* An integer of 0 to 2^52 as a double, by its bits. */
static inline double double_of_small(uint64_t n) {
    return double_of_bits(n | UINT64_C(0x4330000000000000)) - 4503599627370496.0;
}

/* 1 ulp. */
static inline double log_f64(double x) {
    double y = x < 2.2250738585072014e-308 ? x * 18014398509481984.0 : x;
    uint64_t bits = bits_of_double(y); /* k + 1024; sqrt(1/2) */
    uint64_t k = (bits - UINT64_C(0x3fe6a09e667f3bcd) + (UINT64_C(1024) << 52)) >> 52;
    double f = double_of_bits(bits - ((k - 1024) << 52)) - 1.0;
    double offset = x < 2.2250738585072014e-308 ? 1078.0 : 1024.0;
    double found = log_of_parts_f64(double_of_small(k) - offset, f);
    found = x < (double)INFINITY ? found : x;
    return x > 0.0 ? found : x == 0.0 ? -(double)INFINITY : (double)NAN;
}

/* 1.5 ulp. */
static inline float log1p_f32(float x) {
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
static inline double log1p_f64(double x) {
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
static inline float log1p_of_unit_f32(float e) {
    int large = e > 0.333333343f;
    return log_of_parts_f32(large ? 1.0f : 0.0f, large ? (e - 1.0f) * 0.5f : e);
}

static inline double log1p_of_unit_f64(double e) {
    int large = e > 0.41421356237309505;
    return log_of_parts_f64(large ? 1.0 : 0.0, large ? (e - 1.0) * 0.5 : e);
}

/* tanh, erf, erfc ------------------------------------------------------------------------------ */

/* t / (t + 2), t = exp(2|x|) - 1. 2.5 ulp. */
static inline float tanh_f32(float x) {
    float a = __builtin_fabsf(x), t = expm1_f32(2.0f * (10.0f < a ? 10.0f : a));
    return __builtin_copysignf(t / (t + 2.0f), x);
}

/* As in f32. 2.5 ulp. */
static inline double tanh_f64(double x) {
    double a = __builtin_fabs(x), t = expm1_f64(2.0 * (22.0 < a ? 22.0 : a));
    return __builtin_copysign(t / (t + 2.0), x);
}

/* x P(x²) / Q(x²), own fit; all coefficients are positive. @ ulp. */
static inline float erf_f32(float x) {
    float y = -3.93f > x ? -3.93f : x;
    y = 3.93f < y ? 3.93f : y;
    float z = y * y;
    float p = 2.0418143e-6f;
    p = fused_f32(p, z, 0.000284752211f);
    p = fused_f32(p, z, 0.00377832154f);
    p = fused_f32(p, z, 0.0527862307f);
    p = fused_f32(p, z, 0.190757606f);
    p = fused_f32(p, z, 1.12837915f);
    float q = 3.79995012e-5f;
    q = fused_f32(q, z, 0.0011648491f);
    q = fused_f32(q, z, 0.014994884f);
    q = fused_f32(q, z, 0.114246148f);
    q = fused_f32(q, z, 0.502387255f);
    q = fused_f32(q, z, 1.0f);
    float found = y * p / q;
    found = -1.0f > found ? -1.0f : found;
    return 1.0f < found ? 1.0f : found;
}

/* exp(a²) erfc(a) for 0 <= a <= 10.1, own fit; all coefficients are positive. */
static inline float scaled_erfc_f32(float a) {
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
static inline float gaussian_f32(float a, float c) {
    float head = float_of_bits(bits_of_float(a) & 0xfffff000u);
    return exp_of_sum_f32(-c * (head * head), -c * ((a - head) * (a + head)));
}

/* @ ulp. */
static inline float erfc_f32(float x) {
    float a = __builtin_fabsf(x);
    a = 10.5f < a ? 10.5f : a;
    float tail = gaussian_f32(a, 1.0f) * scaled_erfc_f32(a);
    return x < 0.0f ? 2.0f - tail : tail;
}

static inline double erf_f64(double x) { return erf(x); }
static inline double erfc_f64(double x) { return erfc(x); }

/* x Φ(x), with the tail of Φ to full relative precision. @ ulp. */
static inline float gelu_f32(float x) {
    float a = __builtin_fabsf(x);
    a = 16.0f < a ? 16.0f : a;
    float tail = 0.5f * gaussian_f32(a, 0.5f) * scaled_erfc_f32(a * 0.707106781f);
    return x * (x < 0.0f ? tail : 1.0f - tail);
}

static inline double gelu_f64(double x) { return 0.5 * x * erfc_f64(x * -0.70710678118654752440); }

/* sin, cos ------------------------------------------------------------------------------------

   |x| = n π/2 + r with |r| <= π/4, in doubles. Below 2^17 by π/2 in two parts (Cody and Waite);
   above, by the 96 bits of 2/π that matter for the exponent (Payne and Hanek 1983; as in ARM
   optimized-routines, sincosf). Both are computed, one is kept. Polynomials: own fit. */

static const uint32_t two_over_pi[24] = { /* the four bytes that end with byte i */
    0x000000a2, 0x0000a2f9, 0x00a2f983, 0xa2f9836e, 0xf9836e4e, 0x836e4e44,
    0x6e4e4415, 0x4e441529, 0x441529fc, 0x1529fc27, 0x29fc2757, 0xfc2757d1,
    0x2757d1f5, 0x57d1f534, 0xd1f534dd, 0xf534ddc0, 0x34ddc0db, 0xddc0db62,
    0xc0db6295, 0xdb629599, 0x6295993c, 0x95993c43, 0x993c4390, 0x3c439041};

struct angle {
    float r;
    uint32_t n;
};

static inline struct angle angle_f32(float x) {
    uint32_t bits = bits_of_float(x) & 0x7fffffffu;
    double wide = (double)__builtin_fabsf(x);
    double shifted = fused_f64(wide, 0.63661977236758134308, 6755399441055744.0);
    double whole = shifted - 6755399441055744.0; /* fdlibm: pio2_1, pio2_1t */
    double r = fused_f64(whole, -6.07710050650619224932e-11,
                         fused_f64(whole, -1.57079632673412561417, wide));
    uint32_t at = (bits >> 26) & 15, mantissa = (bits & 0x7fffffu) | 0x800000u;
    mantissa <<= (bits >> 23) & 7;
    uint64_t turns = (uint64_t)(mantissa * two_over_pi[at]) << 32; /* 2^64 is a whole turn */
    turns += (uint64_t)mantissa * two_over_pi[at + 4];
    turns += ((uint64_t)mantissa * two_over_pi[at + 8]) >> 32;
    uint64_t n = (turns + (UINT64_C(1) << 61)) >> 62, rest = turns - (n << 62);
    double far = (double)(int32_t)(uint32_t)(rest >> 32) * 4294967296.0 +
                 (double)(int32_t)((uint32_t)rest >> 1) * 2.0;
    int large = bits >= 0x48000000u; /* 2^17 */
    return (struct angle){(float)(large ? far * 3.4061215800865545e-19 : r),
                          large ? (uint32_t)n : (uint32_t)bits_of_double(shifted)};
}

/* The sine of r + n π/2. */
static inline float sine_of_angle(float r, uint32_t n) {
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

/* @ ulp. */
static inline float sin_f32(float x) {
    struct angle at = angle_f32(x);
    float s = sine_of_angle(at.r, at.n);
    s = float_of_bits(bits_of_float(s) ^ (bits_of_float(x) & 0x80000000u));
    return __builtin_fabsf(x) < INFINITY ? s : x - x;
}

/* @ ulp. */
static inline float cos_f32(float x) {
    struct angle at = angle_f32(x);
    return __builtin_fabsf(x) < INFINITY ? sine_of_angle(at.r, at.n + 1) : x - x;
}

static inline double sin_f64(double x) { return sin(x); }
static inline double cos_f64(double x) { return cos(x); }

/* Functions of both float types ---------------------------------------------------------------- */

#define FLOATS(T, S, F)                                                                           \
    static inline T div_##S(T a, T b) { return a / b; }                                           \
    static inline T reciprocal_##S(T x) { return 1 / x; }                                         \
    static inline T sqrt_##S(T x) { return __builtin_sqrt##F(x); }                                \
    static inline T rsqrt_##S(T x) { return 1 / __builtin_sqrt##F(x); }                           \
    static inline T tan_##S(T x) { return tan##F(x); }                                            \
    static inline T arcsin_##S(T x) { return asin##F(x); }                                        \
    static inline T arccos_##S(T x) { return acos##F(x); }                                        \
    static inline T arctan_##S(T x) { return atan##F(x); }                                        \
    static inline T sinh_##S(T x) { return sinh##F(x); }                                          \
    static inline T cosh_##S(T x) { return cosh##F(x); }                                          \
    static inline T pow_##S(T x, T p) { return pow##F(x, p); }                                    \
    static inline T abs_##S(T x) { return __builtin_fabs##F(x); }                                 \
    static inline T floor_##S(T x) { return __builtin_floor##F(x); }                              \
    static inline T ceil_##S(T x) { return __builtin_ceil##F(x); }                                \
    static inline T round_##S(T x) { return __builtin_rint##F(x); }                               \
    static inline T sign_##S(T x) { return x > 0 ? 1 : x < 0 ? -1 : x == 0 ? 0 : x; }             \
    static inline T maximum_##S(T a, T b) { return ((a > b) | (a != a)) ? a : b; }                \
    static inline T minimum_##S(T a, T b) { return ((a < b) | (a != a)) ? a : b; }                \
    static inline uint8_t isnan_##S(T x) { return x != x; }                                       \
    static inline uint8_t isinf_##S(T x) { return __builtin_fabs##F(x) == (T)INFINITY; }          \
    /* With e = exp(-|x|), which never overflows. */                                              \
    static inline T sigmoid_##S(T x) {                                                            \
        T e = exp_##S(-__builtin_fabs##F(x));                                                     \
        return (x < 0 ? e : 1) / (1 + e);                                                         \
    }                                                                                             \
    static inline T softplus_##S(T x) {                                                           \
        return (0 > x ? 0 : x) + log1p_of_unit_##S(exp_##S(-__builtin_fabs##F(x)));               \
    }                                                                                             \
    static inline T log_sigmoid_##S(T x) { return -softplus_##S(-x); }                            \
    static inline T silu_##S(T x) { return x * sigmoid_##S(x); }                                  \
    /* tanh(ln(1 + w)) = w (w + 2) / (w (w + 2) + 2) for w = exp(x); 1 from x = 20 on. */         \
    static inline T mish_##S(T x) {                                                               \
        T w = exp_##S(20 < x ? 20 : x), v = w * (w + 2);                                          \
        return x * (v / (v + 2));                                                                 \
    }                                                                                             \
    /* (1 + tanh u) / 2 = sigmoid(2u), which keeps its digits where it is small. */               \
    static inline T gelu_tanh_##S(T x) {                                                          \
        return x * sigmoid_##S((T)1.59576912160573071176 * (x + (T)0.044715 * (x * x * x)));      \
    }                                                                                             \
    static inline T leaky_relu_##S(T x, T slope) { return x > 0 ? x : slope * x; }                \
    static inline T elu_##S(T x, T alpha) {                                                       \
        return x > 0 ? x : alpha * expm1_##S(0 < x ? 0 : x);                                      \
    }                                                                                             \
    static inline T celu_##S(T x, T alpha) {                                                      \
        return x > 0 ? x : alpha * expm1_##S((0 < x ? 0 : x) / alpha);                            \
    }                                                                                             \
    static inline T selu_##S(T x) {                                                               \
        return (T)1.0507009873554804934 * elu_##S(x, (T)1.6732632423543772848);                   \
    }                                                                                             \
    static inline T hard_sigmoid_##S(T x) {                                                       \
        T y = 0 > x + 3 ? 0 : x + 3;                                                              \
        return (6 < y ? 6 : y) / 6;                                                               \
    }                                                                                             \
    static inline T hard_swish_##S(T x) {                                                         \
        T y = 0 > x + 3 ? 0 : x + 3;                                                              \
        return x * (6 < y ? 6 : y) / 6;                                                           \
    }                                                                                             \
    static inline T softsign_##S(T x) { return x / (1 + __builtin_fabs##F(x)); }                  \
    /* The remainder with the divisor's sign, and the quotient rounded down: NumPy's divmod. */   \
    static inline T mod_##S(T a, T b) {                                                           \
        T m = fmod##F(a, b), moved = m != 0 && (b < 0) != (m < 0) ? m + b : m;                    \
        return b == 0 ? m : m == 0 ? __builtin_copysign##F(0, b) : moved;                         \
    }                                                                                             \
    static inline T floor_div_##S(T a, T b) {                                                     \
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
    static inline T square_##S(T x) { return (T)(x * x); }                                        \
    static inline T relu_##S(T x) { return 0 > x ? 0 : x; }                                       \
    static inline T relu6_##S(T x) { return 0 > x ? 0 : 6 < x ? 6 : x; }                          \
    static inline T hardtanh_##S(T x) { return -1 > x ? (T)-1 : 1 < x ? 1 : x; }                  \
    static inline T clip_##S(T x, T low, T high) {                                                \
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

static inline float half_to_float(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16, rest = (uint32_t)(h & 0x7fffu) << 13;
    float finite = float_of_bits(rest) * 5.192296858534828e33f; /* 2^112 */
    uint32_t found = rest >= 0x7c00u << 13 ? rest | 0x7f800000u : bits_of_float(finite);
    return float_of_bits(sign | found);
}

static inline uint16_t float_to_half(float x) {
    uint32_t bits = bits_of_float(x), sign = bits >> 16 & 0x8000u, rest = bits & 0x7fffffffu;
    uint32_t normal = (rest + 0xfffu + (rest >> 13 & 1) - 0x38000000u) >> 13;
    uint32_t small = bits_of_float(float_of_bits(rest) + 0.5f) - 0x3f000000u; /* steps of 2^-24 */
    uint32_t found = rest < 0x38800000u ? small : normal;                    /* 2^-14 */
    found = rest >= 0x47800000u ? 0x7c00u : found;                           /* 65536 */
    found = rest > 0x7f800000u ? 0x7e00u | (rest >> 13 & 0x3ffu) : found;    /* NaN */
    return (uint16_t)(sign | found);
}

static inline float bfloat_to_float(uint16_t b) { return float_of_bits((uint32_t)b << 16); }

static inline uint16_t float_to_bfloat(float x) {
    uint32_t bits = bits_of_float(x), rounded = (bits + 0x7fffu + (bits >> 16 & 1)) >> 16;
    return (uint16_t)((bits & 0x7fffffffu) > 0x7f800000u ? bits >> 16 | 0x40u : rounded);
}
#endif
