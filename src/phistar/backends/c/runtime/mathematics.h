/* What each primitive is in C: one function a type, `tanh_f32`, that a compiler can vectorise.

   f32: own polynomials, without branches. f64: the C library. Integers wrap as NumPy's do. NaN,
   infinities and denormal numbers come out as in NumPy. */
#ifndef PHISTAR_MATHEMATICS_H
#define PHISTAR_MATHEMATICS_H
#include <math.h>
#include <stdint.h>
#include <string.h>

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

/* x * 2^n for -252 <= n <= 254, by two factors, so that neither overflows before the product. */
static inline float scaled_f32(float x, int32_t n) {
    int32_t half = n >> 1;
    return x * float_of_bits((uint32_t)(half + 127) << 23) *
           float_of_bits((uint32_t)(n - half + 127) << 23);
}

/* exp(x): x = n ln 2 + r; a polynomial in r (Cephes, expf). 1.1 ulp. */
static inline float exp_f32(float x) {
    float y = x > 89.0f ? 89.0f : x < -104.0f ? -104.0f : x;
    y = y == y ? y : 0.0f;
    float n = __builtin_rintf(y * 1.44269504088896341f);
    float r = y - n * 0.693359375f + n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    float e = scaled_f32(p * r * r + r + 1.0f, (int32_t)n);
    return x == x ? e : x;
}

/* exp(x) - 1: as exp, with 2^n - 1 added last. 1.7 ulp. */
static inline float expm1_f32(float x) {
    float y = x > 89.0f ? 89.0f : x < -104.0f ? -104.0f : x;
    y = y == y ? y : 0.0f;
    float n = __builtin_rintf(y * 1.44269504088896341f);
    float r = y - n * 0.693359375f + n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    float q = p * r * r + r, large = scaled_f32(q + 1.0f, (int32_t)n);
    float few = n < -60.0f ? -60.0f : n > 60.0f ? 60.0f : n;
    float two = float_of_bits((uint32_t)((int32_t)few + 127) << 23);
    float small = q * two + (two - 1.0f);
    small = n == 0.0f ? q : small;
    float e = n > 60.0f ? large : small;
    e = y == 0.0f ? y : e;
    return x == x ? e : x;
}

/* ln x: x = m 2^e with m in [sqrt(1/2), sqrt 2]; a polynomial in m - 1 (Cephes, logf). 1 ulp. */
static inline float log_f32(float x) {
    int tiny = x < 1.17549435e-38f;
    float y = tiny ? x * 8388608.0f : x;
    int32_t bits = (int32_t)bits_of_float(y);
    int32_t e = (bits - 0x3f3504f3) >> 23; /* 0x3f3504f3: sqrt(1/2) */
    float m = float_of_bits((uint32_t)(bits - (int32_t)((uint32_t)e << 23))) - 1.0f;
    float n = (float)(e - (tiny ? 23 : 0)), z = m * m;
    float p = 7.0376836292e-2f;
    p = p * m - 1.1514610310e-1f;
    p = p * m + 1.1676998740e-1f;
    p = p * m - 1.2420140846e-1f;
    p = p * m + 1.4249322787e-1f;
    p = p * m - 1.6668057665e-1f;
    p = p * m + 2.0000714765e-1f;
    p = p * m - 2.4999993993e-1f;
    p = p * m + 3.3333331174e-1f;
    p = p * m * z + n * -2.12194440e-4f - 0.5f * z;
    float found = m + p + n * 0.693359375f;
    found = x == INFINITY ? x : found;
    found = x == 0.0f ? -INFINITY : found;
    return x < 0.0f ? NAN : x == x ? found : x;
}

/* ln(1 + x): the logarithm of the rounded sum, corrected (Kahan). 3 ulp. */
static inline float log1p_f32(float x) {
    float u = 1.0f + x, d = u - 1.0f;
    float found = log_f32(u) * (x / (d == 0.0f ? 1.0f : d));
    found = d == 0.0f ? x : found;
    return u == INFINITY ? (x == INFINITY ? x : log_f32(x)) : found;
}

/* tanh: odd polynomial below 0.625 (Cephes, tanhf), then 1 - 2 / (exp(2x) + 1). 2 ulp. */
static inline float tanh_f32(float x) {
    float a = __builtin_fabsf(x), z = x * x;
    float p = -5.70498872745e-3f;
    p = p * z + 2.06390887954e-2f;
    p = p * z - 5.37397155531e-2f;
    p = p * z + 1.33314422036e-1f;
    p = p * z - 3.33332819422e-1f;
    float near = p * z * x + x;
    float far = __builtin_copysignf(1.0f - 2.0f / (exp_f32(2.0f * a) + 1.0f), x);
    return a < 0.625f ? near : x == x ? far : x;
}

static inline float sigmoid_f32(float x) {
    float e = exp_f32(-__builtin_fabsf(x));
    return (x >= 0.0f ? 1.0f : e) / (1.0f + e) + (x == x ? 0.0f : x);
}

/* erf: odd polynomial below 0.94, then 1 - exp of a polynomial; fitted to Chebyshev nodes. 3 ulp. */
static inline float erf_f32(float x) {
    float a = __builtin_fabsf(x), z = x * x;
    float p = 8.20979694253765e-05f;
    p = p * z - 0.0008104441803880036f;
    p = p * z + 0.005197642371058464f;
    p = p * z - 0.026858031749725342f;
    p = p * z + 0.11283671110868454f;
    p = p * z - 0.37612631916999817f;
    p = p * z + 0.12837916612625122f;
    float near = p * x + x, t = a > 4.1f ? 4.1f : a;
    float q = -1.3339958059077617e-05f;
    q = q * t + 0.0003190746938344091f;
    q = q * t - 0.0034552859142422676f;
    q = q * t + 0.022725148126482964f;
    q = q * t - 0.10362735390663147f;
    q = q * t - 0.6385868787765503f;
    q = q * t - 0.12635454535484314f;
    q = q * t - 0.0006118097226135433f;
    float far = __builtin_copysignf(1.0f - exp_f32(q - t), x);
    return a < 0.94f ? near : x == x ? far : x;
}

static inline float erfc_f32(float x) { return erfcf(x); }

/* 0.5 x (1 + erf(x / sqrt 2)). */
static inline float gelu_f32(float x) {
    float g = x * (0.5f * (1.0f + erf_f32(x * 0.70710678118654752f)));
    return x == -INFINITY ? NAN : g;
}

static inline double exp_f64(double x) { return exp(x); }
static inline double expm1_f64(double x) { return expm1(x); }
static inline double log_f64(double x) { return log(x); }
static inline double log1p_f64(double x) { return log1p(x); }
static inline double tanh_f64(double x) { return tanh(x); }
static inline double erf_f64(double x) { return erf(x); }
static inline double erfc_f64(double x) { return erfc(x); }
static inline double sigmoid_f64(double x) {
    double e = exp(-fabs(x));
    return x != x ? x : (x >= 0 ? 1.0 : e) / (1.0 + e);
}
static inline double gelu_f64(double x) { return 0.5 * x * erfc(-x * 0.70710678118654752440); }

#define FLOATS(T, S, F)                                                                           \
    static inline T sqrt_##S(T x) { return __builtin_sqrt##F(x); }                                \
    static inline T rsqrt_##S(T x) { return 1 / __builtin_sqrt##F(x); }                           \
    static inline T reciprocal_##S(T x) { return 1 / x; }                                         \
    static inline T sin_##S(T x) { return sin##F(x); }                                            \
    static inline T cos_##S(T x) { return cos##F(x); }                                            \
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
    static inline T sign_##S(T x) { return x != x ? x : (T)((x > 0) - (x < 0)); }                 \
    static inline T maximum_##S(T a, T b) { return a > b || a != a ? a : b; }                     \
    static inline T minimum_##S(T a, T b) { return a < b || a != a ? a : b; }                     \
    static inline uint8_t isnan_##S(T x) { return x != x; }                                       \
    static inline uint8_t isinf_##S(T x) { return __builtin_fabs##F(x) == (T)INFINITY; }          \
    static inline T softplus_##S(T x) {                                                           \
        return maximum_##S(x, 0) + log1p_##S(exp_##S(-__builtin_fabs##F(x)));                     \
    }                                                                                             \
    static inline T log_sigmoid_##S(T x) {                                                        \
        return minimum_##S(x, 0) - log1p_##S(exp_##S(-__builtin_fabs##F(x)));                     \
    }                                                                                             \
    static inline T leaky_relu_##S(T x, T slope) { return x > 0 ? x : slope * x; }                \
    static inline T elu_##S(T x, T alpha) { return x > 0 ? x : alpha * expm1_##S(minimum_##S(x, 0)); } \
    static inline T celu_##S(T x, T alpha) {                                                      \
        return x > 0 ? x : alpha * expm1_##S(minimum_##S(x, 0) / alpha);                          \
    }                                                                                             \
    static inline T selu_##S(T x) {                                                               \
        return (T)1.0507009873554804934 * elu_##S(x, (T)1.6732632423543772848);                   \
    }                                                                                             \
    static inline T silu_##S(T x) { return x * sigmoid_##S(x); }                                  \
    static inline T mish_##S(T x) { return x * tanh_##S(softplus_##S(x)); }                       \
    static inline T gelu_tanh_##S(T x) {                                                          \
        return (T)0.5 * x *                                                                       \
               (1 + tanh_##S((T)0.79788456080286535588 * (x + (T)0.044715 * (x * x * x))));       \
    }                                                                                             \
    static inline T relu6_##S(T x) { return minimum_##S(maximum_##S(x, 0), 6); }                  \
    static inline T hard_sigmoid_##S(T x) { return relu6_##S(x + 3) / 6; }                        \
    static inline T hard_swish_##S(T x) { return x * relu6_##S(x + 3) / 6; }                      \
    static inline T softsign_##S(T x) { return x / (1 + __builtin_fabs##F(x)); }                  \
    /* The remainder with the divisor's sign, and the quotient rounded down: NumPy's divmod. */   \
    static inline T mod_##S(T a, T b) {                                                           \
        T m = fmod##F(a, b);                                                                      \
        if (b == 0) return m;                                                                     \
        return m != 0 ? ((b < 0) != (m < 0) ? m + b : m) : __builtin_copysign##F(0, b);           \
    }                                                                                             \
    static inline T floor_div_##S(T a, T b) {                                                     \
        if (b == 0) return a / b;                                                                 \
        T m = fmod##F(a, b), d = (a - m) / b;                                                     \
        if (m != 0 && (b < 0) != (m < 0)) d -= 1;                                                 \
        if (d == 0) return __builtin_copysign##F(0, a / b);                                       \
        T f = __builtin_floor##F(d);                                                              \
        return d - f > (T)0.5 ? f + 1 : f;                                                        \
    }

#define INTEGERS(T, S)                                                                            \
    static inline T abs_##S(T x) { return (T)(x < 0 ? -x : x); }                                  \
    static inline T floor_##S(T x) { return x; }                                                  \
    static inline T ceil_##S(T x) { return x; }                                                   \
    static inline T round_##S(T x) { return x; }                                                  \
    static inline T sign_##S(T x) { return (T)((x > 0) - (x < 0)); }                              \
    static inline T maximum_##S(T a, T b) { return a > b ? a : b; }                               \
    static inline T minimum_##S(T a, T b) { return a < b ? a : b; }                               \
    static inline T floor_div_##S(T a, T b) {                                                     \
        if (b == 0) return 0;                                                                     \
        if ((T)(b + 1) == 0 && (T)-1 < 0) return (T)-a;                                           \
        return (T)(a / b - (a % b != 0 && (a % b < 0) != (b < 0)));                               \
    }                                                                                             \
    static inline T mod_##S(T a, T b) {                                                           \
        if (b == 0 || ((T)(b + 1) == 0 && (T)-1 < 0)) return 0;                                   \
        return (T)(a % b + (a % b != 0 && (a % b < 0) != (b < 0) ? b : 0));                       \
    }                                                                                             \
    static inline T pow_##S(T x, T n) { /* negative powers round to 0 */                          \
        if (n < 0) return (T)(x == 1 ? 1 : (T)(x + 1) == 0 ? (n & 1 ? -1 : 1) : 0);               \
        T power = 1;                                                                              \
        for (; n; n = (T)(n >> 1), x = (T)((uint64_t)x * (uint64_t)x))                            \
            if (n & 1) power = (T)((uint64_t)power * (uint64_t)x);                                \
        return power;                                                                             \
    }

#define NUMBERS(T, S)                                                                             \
    static inline T square_##S(T x) { return (T)(x * x); }                                        \
    static inline T relu_##S(T x) { return x < 0 ? 0 : x; }                                       \
    static inline T hardtanh_##S(T x) { return x < -1 ? (T)-1 : x > 1 ? (T)1 : x; }               \
    static inline T clip_##S(T x, T low, T high) { return minimum_##S(maximum_##S(x, low), high); }

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

/* 16-bit floats: IEEE half and bfloat16, rounded to nearest, ties to even. */
static inline float half_to_float(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, rest = (uint32_t)(h & 0x7fff);
    if (rest >= 0x7c00) return float_of_bits(sign | 0x7f800000 | (rest & 0x3ff) << 13);
    float x = float_of_bits(rest << 13) * float_of_bits(0x77800000); /* 2^112 */
    return float_of_bits(sign | bits_of_float(x));
}

static inline uint16_t float_to_half(float x) {
    uint32_t bits = bits_of_float(x), sign = bits >> 16 & 0x8000, rest = bits & 0x7fffffff;
    if (rest > 0x7f800000) return (uint16_t)(sign | 0x7e00 | (rest >> 13 & 0x3ff));
    if (rest >= 0x47800000) return (uint16_t)(sign | 0x7c00); /* 65536 and more */
    if (rest < 0x38800000) { /* below 2^-14: a multiple of 2^-24, by an addition that rounds */
        float small = float_of_bits(rest) + 0.5f;
        return (uint16_t)(sign | (bits_of_float(small) - 0x3f000000));
    }
    rest += 0xfff + (rest >> 13 & 1);
    return (uint16_t)(sign | (rest - 0x38000000) >> 13);
}

static inline float bfloat_to_float(uint16_t b) { return float_of_bits((uint32_t)b << 16); }

static inline uint16_t float_to_bfloat(float x) {
    uint32_t bits = bits_of_float(x);
    if (x != x) return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
#endif
