/* f32_exp.c: e^x for x <= 0 after Cephes' single precision expf (S. L. Moshier, netlib.org/cephes: range reduction by ln 2 in
 * two parts, polynomial of degree 7, their coefficients), and tanh near zero after its tanhf. Within 2e-7 of the true values. */
#include "f32_exp.h"

#include "f32_bits.h"

static inline float absolute(float v) {
    f32_bits u = {v};
    u.i &= 0x7FFFFFFF;
    return u.f;
}

static inline float with_sign_of(float v, float sign) {
    f32_bits u = {v}, s = {sign};
    u.i |= s.i & (int32_t)0x80000000;
    return u.f;
}

/* x <= 0; below -87, where e^x leaves the normal numbers, e^-87 = 2e-38. */
static inline float exponential(float x) {
    x = x < -87.0f ? -87.0f : x;
    /* Adding 1.5 * 2^23 rounds to an integer, which then stands in the lowest bits. */
    f32_bits rounded = {x * 1.44269504f + 12582912.0f};
    float n = rounded.f - 12582912.0f;
    float r = x - n * 0.693359375f - n * -2.12194440e-4f;
    float p = 1.9875691500e-4f * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    f32_bits y = {p * (r * r) + r + 1.0f};
    y.i += (int32_t)((uint32_t)rounded.i << 23); /* the integer is the power of two */
    return y.f;
}

static inline float tanh_of(float x) {
    float a = absolute(x);
    if (a < 0.625f) {
        float z = x * x;
        float p = -5.70498872745e-3f * z + 2.06390887954e-2f;
        p = p * z - 5.37397155531e-2f;
        p = p * z + 1.33314422036e-1f;
        p = p * z - 3.33332819422e-1f;
        return p * z * x + x;
    }
    float e = exponential(-2.0f * a);
    return with_sign_of((1.0f - e) / (1.0f + e), x);
}

static inline float logistic_of(float x) {
    float e = exponential(-absolute(x));
    return (x < 0 ? e : 1.0f) / (1.0f + e);
}

void nn_m4_tanh_f32(int32_t n, const float *in, float *out) {
    for (int32_t i = 0; i < n; i++) out[i] = tanh_of(in[i]);
}

void nn_m4_logistic_f32(int32_t n, const float *in, float *out) {
    for (int32_t i = 0; i < n; i++) out[i] = logistic_of(in[i]);
}

void nn_m4_softmax_f32(int32_t rows, int32_t depth, float beta, const float *in, float *out) {
    for (; rows > 0; rows--, in += depth, out += depth) {
        float top = in[0], sum = 0;
        for (int32_t i = 1; i < depth; i++) top = in[i] > top ? in[i] : top;
        for (int32_t i = 0; i < depth; i++) sum += out[i] = exponential((in[i] - top) * beta);
        for (int32_t i = 0; i < depth; i++) out[i] /= sum;
    }
}
