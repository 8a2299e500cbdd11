/* nn_litert.h: operators that LiteRT runs and TensorFlow Lite Micro does not. */
#ifndef NN_LITERT_H
#define NN_LITERT_H

#include "nn.h"

typedef struct {
    int32_t rows, depth, radius;
    float bias, alpha, beta;
} nn_local_response_shape;

/* The k largest of each row of n. */
typedef struct {
    int32_t rows, n, k;
} nn_top_k_shape;

/* `count` rows of `row` values; an index has `depth` parts, each below its size. */
typedef struct {
    int32_t count, depth, row, total;
    int32_t size[NN_BROADCAST_RANK];
} nn_scatter;

typedef struct {
    int32_t rows, segments, row;
} nn_segments;

/* [outer, first, middle, second, bytes]; the time is the first of the two, or the second. */
typedef struct {
    int32_t outer, first, middle, second, bytes, time_first;
} nn_reversal;

/* d, h, w of the input and the output, and of the filter. */
typedef struct {
    int32_t batch, in[3], in_c, out[3], out_c, taps[3], stride[3], dilation[3], pad[3];
    float min, max;
} nn_conv3d;

void nn_pow_f32(const nn_binary *p, const float *a, const float *b, float *out);
void nn_atan2_f32(const nn_binary *p, const float *a, const float *b, float *out);
void nn_bitwise_xor_s8(const nn_binary *p, const int8_t *a, const int8_t *b, int8_t *out);
void nn_bitwise_xor_s16(const nn_binary *p, const int16_t *a, const int16_t *b, int16_t *out);
void nn_bitwise_xor_s32(const nn_binary *p, const int32_t *a, const int32_t *b, int32_t *out);
/* By 0 to as many bits as the type has but one: more or fewer are taken for these. */
void nn_right_shift_s8(const nn_binary *p, const int8_t *a, const int8_t *b, int8_t *out);
void nn_right_shift_s16(const nn_binary *p, const int16_t *a, const int16_t *b, int16_t *out);
void nn_right_shift_s32(const nn_binary *p, const int32_t *a, const int32_t *b, int32_t *out);
void nn_reduce_any_u8(const nn_mean_float *p, const uint8_t *in, uint8_t *out);
void nn_local_response_f32(const nn_local_response_shape *p, const float *in, float *out);
void nn_bucketize_f32(int32_t n, int32_t count, const float *ends, const float *in, int32_t *out);
void nn_bucketize_s32(int32_t n, int32_t count, const float *ends, const int32_t *in, int32_t *out);
/* Complex values are pairs of floats. */
void nn_complex_abs_c64(int32_t n, const float *in, float *out);
void nn_real_c64(int32_t n, const float *in, float *out);
void nn_imag_c64(int32_t n, const float *in, float *out);

void nn_top_k_f32(const nn_top_k_shape *p, const float *in, float *out, int32_t *places);
void nn_top_k_s8(const nn_top_k_shape *p, const int8_t *in, int8_t *out, int32_t *places);
void nn_top_k_s16(const nn_top_k_shape *p, const int16_t *in, int16_t *out, int32_t *places);
void nn_top_k_s32(const nn_top_k_shape *p, const int32_t *in, int32_t *out, int32_t *places);
/* An index outside is left out. */
void nn_scatter_nd_f32(const nn_scatter *p, const int32_t *places, const float *rows, float *out);
void nn_scatter_nd_s32(const nn_scatter *p, const int32_t *places, const int32_t *rows, int32_t *out);
void nn_scatter_nd_s8(const nn_scatter *p, const int32_t *places, const int8_t *rows, int8_t *out);
/* An id outside, also a negative one, is left out; a segment without rows has what the joining begins with. */
void nn_segment_sum_f32(const nn_segments *p, const float *in, const int32_t *ids, float *out);
void nn_segment_sum_s32(const nn_segments *p, const int32_t *in, const int32_t *ids, int32_t *out);
void nn_segment_prod_f32(const nn_segments *p, const float *in, const int32_t *ids, float *out);
void nn_segment_prod_s32(const nn_segments *p, const int32_t *in, const int32_t *ids, int32_t *out);
void nn_segment_max_f32(const nn_segments *p, const float *in, const int32_t *ids, float *out);
void nn_segment_max_s32(const nn_segments *p, const int32_t *in, const int32_t *ids, int32_t *out);
void nn_segment_min_f32(const nn_segments *p, const float *in, const int32_t *ids, float *out);
void nn_segment_min_s32(const nn_segments *p, const int32_t *in, const int32_t *ids, int32_t *out);
void nn_reverse_sequence_s32(const nn_reversal *p, const uint8_t *in, const int32_t *lengths, uint8_t *out);
void nn_reverse_sequence_s64(const nn_reversal *p, const uint8_t *in, const int64_t *lengths, uint8_t *out);
/* weights [d, h, w, in, out]. */
void nn_conv3d_f32(const nn_conv3d *p, const float *in, const float *weights, const float *bias, float *out);

#endif
