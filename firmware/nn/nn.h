/* nn.h: the portable kernels. Plain C, no allocation, no state; tensors are NHWC and contiguous.
 *
 * Integer kernels give the bytes of TensorFlow Lite Micro's reference kernels; float kernels agree to rounding.
 * The compiler (harness/compiler) computes every parameter, so nothing is checked here. */
#ifndef NN_H
#define NN_H

#include <stdint.h>

/* Geometry of convolutions and poolings; paddings are those before the first row and column. */
typedef struct {
    int32_t batch;
    int32_t in_h, in_w, in_c;
    int32_t out_h, out_w, out_c;
    int32_t k_h, k_w;
    int32_t stride_h, stride_w;
    int32_t dil_h, dil_w;
    int32_t pad_top, pad_left;
} nn_window;

/* Accumulator -> output, per output channel: see nn_requantize in nn_math.h. shift > 0 is to the left. */
typedef struct {
    const int32_t *multiplier;
    const int8_t *shift;
    int32_t zero_point;
    int32_t min, max;
} nn_requant;

/* group_c: input channels a filter sees; in_c / group_c groups. */
typedef struct {
    nn_window w;
    int32_t group_c;
    int32_t in_zero;
    nn_requant q;
} nn_conv_int;

typedef struct {
    nn_window w;
    int32_t group_c;
    float min, max;
} nn_conv_float;

/* multiplier: output channels an input channel gives. */
typedef struct {
    nn_window w;
    int32_t multiplier;
    int32_t in_zero;
    nn_requant q;
} nn_depthwise_int;

typedef struct {
    nn_window w;
    int32_t multiplier;
    float min, max;
} nn_depthwise_float;

typedef struct {
    int32_t rows, in_n, out_n;
    int32_t in_zero, weight_zero;
    nn_requant q;
} nn_dense_int;

typedef struct {
    int32_t rows, in_n, out_n;
    float min, max;
} nn_dense_float;

/* Floats with weights stored as int8; `scale` by output channel. */
typedef struct {
    nn_window w;
    int32_t group_c;
    const float *scale;
    float min, max;
} nn_conv_w8_shape;

typedef struct {
    nn_window w;
    int32_t multiplier;
    const float *scale;
    float min, max;
} nn_depthwise_w8_shape;

typedef struct {
    int32_t rows, in_n, out_n;
    const float *scale;
    float min, max;
} nn_dense_w8_shape;

typedef struct {
    nn_window w;
    int32_t min, max;
} nn_pool_int;

typedef struct {
    nn_window w;
    float min, max;
} nn_pool_float;

/* [outer, reduced, inner] -> [outer, inner]; 1/reduced is part of multiplier and shift. */
typedef struct {
    int32_t outer, reduced, inner;
    int32_t in_zero, out_zero;
    int32_t multiplier, shift;
} nn_mean_int;

typedef struct {
    int32_t outer, reduced, inner;
} nn_mean_float;

typedef struct {
    int32_t rows, depth;
    int32_t multiplier, shift;
    int32_t diff_min;
} nn_softmax_int;

/* Elementwise: (x - in_zero) rescaled, + out_zero, clamped. */
typedef struct {
    int32_t size;
    int32_t in_zero, multiplier, shift, out_zero;
    int32_t min, max;
} nn_rescale;

/* Runs of `run` bytes in a block of `count`, outermost first; steps in bytes, also negative. */
enum { NN_MOVE_RANK = 6 };
typedef struct {
    int32_t run;
    int32_t count[NN_MOVE_RANK], in_step[NN_MOVE_RANK], out_step[NN_MOVE_RANK];
} nn_block;

/* Two operands, outermost dimension first; a step of 0 repeats. */
enum { NN_BROADCAST_RANK = 6 };
typedef struct {
    int32_t count[NN_BROADCAST_RANK], a_step[NN_BROADCAST_RANK], b_step[NN_BROADCAST_RANK];
} nn_broadcast;

typedef struct {
    int32_t multiplier, shift;
} nn_scale;

/* Both operands are brought to one scale, `left` bits up; all shifts are <= 0. */
typedef struct {
    nn_broadcast shape;
    int32_t left;
    int32_t a_zero, b_zero, out_zero;
    nn_scale a, b, out;
    int32_t min, max;
} nn_add_int;

typedef struct {
    nn_broadcast shape;
    int32_t a_zero, b_zero, out_zero;
    nn_scale out;
    int32_t min, max;
} nn_mul_int;

/* b is the slope of negative inputs. */
typedef struct {
    nn_broadcast shape;
    int32_t a_zero, b_zero, out_zero;
    nn_scale positive, negative;
} nn_prelu_int;

typedef struct {
    nn_broadcast shape;
} nn_binary;

typedef struct {
    nn_broadcast shape;
    float min, max;
} nn_binary_float;

typedef struct {
    int32_t size;
    int32_t in_zero, out_zero;
    nn_scale positive, negative;
} nn_leaky_int;

/* LOGISTIC and TANH of int16: in * multiplier / 2^shift counts in steps of 1 / (3 * 4096). */
typedef struct {
    int32_t size, multiplier, shift;
} nn_sigmoid_int;

typedef struct {
    int32_t batch, in_h, in_w, out_h, out_w;
    int32_t pixel_bytes;
} nn_resize;

/* reverse_*: from Q5.26 back to differences of the input. */
typedef struct {
    int32_t rows, depth;
    int32_t multiplier, shift;
    int32_t reverse_multiplier, reverse_shift;
    int32_t diff_min;
} nn_log_softmax_int;

/* `batch` products of [rows, depth] and [depth, columns]; steps between matrices in elements, 0: the same again.
 * turned: stored [depth, rows] or [columns, depth]. */
typedef struct {
    int32_t batch, rows, depth, columns;
    int32_t a_step, b_step;
    int32_t a_turned, b_turned;
} nn_matmul;

typedef struct {
    nn_matmul shape;
    int32_t a_zero, b_zero, out_zero;
    nn_scale out;
} nn_matmul_int;

typedef struct {
    nn_matmul shape;
} nn_matmul_float;

typedef struct {
    int32_t batch, in_h, in_w, out_h, out_w, channels;
} nn_bilinear;

/* int8 operands of a comparison, each brought to real values times 256. */
typedef struct {
    nn_broadcast shape;
    int32_t a_zero, b_zero;
    nn_scale a, b;
} nn_compare_int;

/* Three operands of `bytes` an element; steps in bytes (the condition's are 1 byte an element), 0 repeats. */
typedef struct {
    int32_t bytes;
    int32_t count[NN_BROADCAST_RANK], condition_step[NN_BROADCAST_RANK], a_step[NN_BROADCAST_RANK], b_step[NN_BROADCAST_RANK];
} nn_select_shape;

/* Of [outer, rows] rows, `picks` of each outer one. */
typedef struct {
    int32_t outer, rows, picks, row_bytes;
} nn_pick;

/* An index has `depth` parts. */
typedef struct {
    int32_t picks, depth, row_bytes;
    int32_t size[NN_BROADCAST_RANK];
} nn_pick_nd;

/* A block of `part` elements of `bytes` put into `size`; dimensions that `rank` does not count have size and part 1. */
typedef struct {
    int32_t rank, bytes, total_bytes;
    int32_t size[NN_BROADCAST_RANK], part[NN_BROADCAST_RANK];
} nn_update;

/* [outer, n, inner] summed up along n. */
typedef struct {
    int32_t outer, n, inner;
    int32_t exclusive, reverse;
} nn_cumsum;

typedef struct {
    int32_t in_zero, out_zero;
    nn_scale in, out;
} nn_cumsum_int;

enum { NN_LSTM_IN, NN_LSTM_FORGET, NN_LSTM_CELL, NN_LSTM_OUT, NN_LSTM_GATES };

typedef struct {
    int32_t batch, time, inputs, units;
    int32_t time_major;
} nn_lstm;

/* Scales by gate: of the input's and the hidden state's product, to Q3.12. clip 0: none. table: see nn_logistic_s16. */
typedef struct {
    int32_t in_zero, hidden_zero;
    nn_scale in[NN_LSTM_GATES], recurrent[NN_LSTM_GATES];
    nn_scale forget_cell, in_cell, hidden;
    int32_t tanh_multiplier, tanh_shift;
    int32_t clip;
    const uint16_t *table;
} nn_lstm_int;

/* `filters` / `rank` outputs; each filter keeps `memory` values. */
typedef struct {
    int32_t batch, inputs, filters, rank, memory;
} nn_svdf;

typedef struct {
    int32_t in_zero, state_zero, out_zero;
    nn_scale feature, time;
} nn_svdf_int;

/* Weights [out_c, k_h, k_w, group_c], bias [out_c]. s16: 16-bit activations, 8-bit weights, 64-bit accumulators. */
void nn_conv2d_s8(const nn_conv_int *p, const int8_t *in, const int8_t *weights, const int32_t *bias, int8_t *out);
void nn_conv2d_s16(const nn_conv_int *p, const int16_t *in, const int8_t *weights, const int64_t *bias, int16_t *out);
void nn_conv2d_s16_b32(const nn_conv_int *p, const int16_t *in, const int8_t *weights, const int32_t *bias, int16_t *out);
void nn_conv2d_f32(const nn_conv_float *p, const float *in, const float *weights, const float *bias, float *out);

/* Transposed convolution; weights [out_c, k_h, k_w, in_c], group_c = in_c. */
void nn_transpose_conv_s8(const nn_conv_int *p, const int8_t *in, const int8_t *weights, const int32_t *bias, int8_t *out);
void nn_transpose_conv_s16(const nn_conv_int *p, const int16_t *in, const int8_t *weights, const int64_t *bias, int16_t *out);
void nn_transpose_conv_f32(const nn_conv_float *p, const float *in, const float *weights, const float *bias, float *out);

/* Weights [k_h, k_w, out_c]. */
void nn_depthwise_s8(const nn_depthwise_int *p, const int8_t *in, const int8_t *weights, const int32_t *bias, int8_t *out);
void nn_depthwise_s16(const nn_depthwise_int *p, const int16_t *in, const int8_t *weights, const int64_t *bias, int16_t *out);
void nn_depthwise_f32(const nn_depthwise_float *p, const float *in, const float *weights, const float *bias, float *out);

/* Weights [out_n, in_n]. */
void nn_dense_s8(const nn_dense_int *p, const int8_t *in, const int8_t *weights, const int32_t *bias, int8_t *out);
void nn_dense_s16_b32(const nn_dense_int *p, const int16_t *in, const int8_t *weights, const int32_t *bias, int16_t *out);
void nn_dense_s16(const nn_dense_int *p, const int16_t *in, const int8_t *weights, const int64_t *bias, int16_t *out);
/* bias: in steps of the output channel's scale. */
void nn_conv2d_w8(const nn_conv_w8_shape *p, const float *in, const int8_t *weights, const float *bias, float *out);
void nn_depthwise_w8(const nn_depthwise_w8_shape *p, const float *in, const int8_t *weights, const float *bias, float *out);
void nn_dense_w8(const nn_dense_w8_shape *p, const float *in, const int8_t *weights, const float *bias, float *out);
void nn_dense_f32(const nn_dense_float *p, const float *in, const float *weights, const float *bias, float *out);

void nn_average_pool_s8(const nn_pool_int *p, const int8_t *in, int8_t *out);
void nn_average_pool_s16(const nn_pool_int *p, const int16_t *in, int16_t *out);
void nn_average_pool_f32(const nn_pool_float *p, const float *in, float *out);
void nn_max_pool_s8(const nn_pool_int *p, const int8_t *in, int8_t *out);
void nn_max_pool_s16(const nn_pool_int *p, const int16_t *in, int16_t *out);
void nn_max_pool_f32(const nn_pool_float *p, const float *in, float *out);

void nn_mean_s8(const nn_mean_int *p, const int8_t *in, int8_t *out);
void nn_mean_s16(const nn_mean_int *p, const int16_t *in, int16_t *out);
void nn_mean_f32(const nn_mean_float *p, const float *in, float *out);
void nn_sum_s32(const nn_mean_float *p, const int32_t *in, int32_t *out);
void nn_reduce_max_s32(const nn_mean_float *p, const int32_t *in, int32_t *out);
void nn_reduce_min_s32(const nn_mean_float *p, const int32_t *in, int32_t *out);
void nn_sum_f32(const nn_mean_float *p, const float *in, float *out);
void nn_reduce_max_s16(const nn_mean_float *p, const int16_t *in, int16_t *out);
void nn_reduce_min_s16(const nn_mean_float *p, const int16_t *in, int16_t *out);
void nn_reduce_max_s8(const nn_mean_float *p, const int8_t *in, int8_t *out);
void nn_reduce_max_f32(const nn_mean_float *p, const float *in, float *out);
void nn_reduce_min_s8(const nn_mean_float *p, const int8_t *in, int8_t *out);
void nn_reduce_min_f32(const nn_mean_float *p, const float *in, float *out);

/* Two activations, matrix by matrix. */
void nn_batch_matmul_s16(const nn_matmul_int *p, const int16_t *a, const int16_t *b, int16_t *out);
void nn_batch_matmul_s8(const nn_matmul_int *p, const int8_t *a, const int8_t *b, int8_t *out);
void nn_batch_matmul_f32(const nn_matmul_float *p, const float *a, const float *b, float *out);

/* Over the last axis. Output scale 1/256, zero point -128 (int8) or 1/32768 and 0 (int16). */
void nn_softmax_s8(const nn_softmax_int *p, const int8_t *in, int8_t *out);
void nn_softmax_s8_s16(const nn_softmax_int *p, const int8_t *in, int16_t *out);
/* Both tables have 513 entries: exp(x) over [-10, 0] and 1 / (1 + x) over [0, 1]. */
void nn_softmax_s16(const nn_softmax_int *p, const int16_t *exp_table, const int16_t *reciprocal_table, const int16_t *in,
                    int16_t *out);
void nn_log_softmax_s8(const nn_log_softmax_int *p, const int8_t *in, int8_t *out);
void nn_log_softmax_f32(int32_t rows, int32_t depth, const float *in, float *out);
void nn_softmax_f32(int32_t rows, int32_t depth, float beta, const float *in, float *out);

void nn_clamp_s8(int32_t n, int32_t lo, int32_t hi, const int8_t *in, int8_t *out);
void nn_clamp_s16(int32_t n, int32_t lo, int32_t hi, const int16_t *in, int16_t *out);
void nn_clamp_f32s(int32_t n, float lo, float hi, const float *in, float *out);

void nn_rescale_s8_s8(const nn_rescale *p, const int8_t *in, int8_t *out);
void nn_rescale_s8_s16(const nn_rescale *p, const int8_t *in, int16_t *out);
void nn_rescale_s16_s8(const nn_rescale *p, const int16_t *in, int8_t *out);
void nn_rescale_s16_s16(const nn_rescale *p, const int16_t *in, int16_t *out);
void nn_rescale_u8_s8(const nn_rescale *p, const uint8_t *in, int8_t *out);
void nn_rescale_s8_u8(const nn_rescale *p, const int8_t *in, uint8_t *out);

void nn_quantize_s8(int32_t n, float scale, int32_t zero_point, const float *in, int8_t *out);
void nn_quantize_s16(int32_t n, float scale, int32_t zero_point, const float *in, int16_t *out);
void nn_dequantize_s8(int32_t n, float scale, int32_t zero_point, const int8_t *in, float *out);
void nn_dequantize_u8(int32_t n, float scale, int32_t zero_point, const uint8_t *in, float *out);
void nn_dequantize_s16(int32_t n, float scale, int32_t zero_point, const int16_t *in, float *out);

void nn_move(const nn_block *p, const uint8_t *in, uint8_t *out);
/* Nothing to do where both are the same. */
void nn_copy(int32_t bytes, const void *in, void *out);
/* n elements of 1, 2, 4 or 8 bytes. */
void nn_fill(int32_t n, int32_t bytes, uint64_t value, void *out);

void nn_add_f32(const nn_binary_float *p, const float *a, const float *b, float *out);
void nn_add_s16(const nn_add_int *p, const int16_t *a, const int16_t *b, int16_t *out);
void nn_add_s8(const nn_add_int *p, const int8_t *a, const int8_t *b, int8_t *out);
void nn_maximum_f32(const nn_binary *p, const float *a, const float *b, float *out);
void nn_maximum_s16(const nn_binary *p, const int16_t *a, const int16_t *b, int16_t *out);
void nn_maximum_s32(const nn_binary *p, const int32_t *a, const int32_t *b, int32_t *out);
void nn_maximum_s8(const nn_binary *p, const int8_t *a, const int8_t *b, int8_t *out);
void nn_minimum_f32(const nn_binary *p, const float *a, const float *b, float *out);
void nn_minimum_s16(const nn_binary *p, const int16_t *a, const int16_t *b, int16_t *out);
void nn_minimum_s32(const nn_binary *p, const int32_t *a, const int32_t *b, int32_t *out);
void nn_minimum_s64(const nn_binary *p, const int64_t *a, const int64_t *b, int64_t *out);
void nn_maximum_s64(const nn_binary *p, const int64_t *a, const int64_t *b, int64_t *out);
void nn_minimum_s8(const nn_binary *p, const int8_t *a, const int8_t *b, int8_t *out);
void nn_div_f32(const nn_binary_float *p, const float *a, const float *b, float *out);
void nn_squared_difference_f32(const nn_binary_float *p, const float *a, const float *b, float *out);
void nn_squared_difference_s16(const nn_add_int *p, const int16_t *a, const int16_t *b, int16_t *out);
void nn_squared_difference_s8(const nn_add_int *p, const int8_t *a, const int8_t *b, int8_t *out);
void nn_mul_f32(const nn_binary_float *p, const float *a, const float *b, float *out);
void nn_mul_s16(const nn_mul_int *p, const int16_t *a, const int16_t *b, int16_t *out);
void nn_mul_s8(const nn_mul_int *p, const int8_t *a, const int8_t *b, int8_t *out);
void nn_prelu_f32(const nn_binary *p, const float *a, const float *b, float *out);
void nn_prelu_s16(const nn_prelu_int *p, const int16_t *a, const int8_t *b, int16_t *out);
void nn_prelu_s8(const nn_prelu_int *p, const int8_t *a, const int8_t *b, int8_t *out);
void nn_sub_f32(const nn_binary_float *p, const float *a, const float *b, float *out);
void nn_sub_s16(const nn_add_int *p, const int16_t *a, const int16_t *b, int16_t *out);
void nn_sub_s8(const nn_add_int *p, const int8_t *a, const int8_t *b, int8_t *out);

void nn_lut_s8(int32_t n, const int8_t *table, const int8_t *in, int8_t *out);
/* `positive` alone counts; zeros are 0. */
void nn_abs_s16(const nn_leaky_int *p, const int16_t *in, int16_t *out);
void nn_leaky_relu_s16(const nn_leaky_int *p, const int16_t *in, int16_t *out);
/* table: sigmoid(i / 24) in Q0.16 for i = 0 ... 255. */
void nn_logistic_s16(const nn_sigmoid_int *p, const uint16_t *table, const int16_t *in, int16_t *out);
void nn_tanh_s16(const nn_sigmoid_int *p, const uint16_t *table, const int16_t *in, int16_t *out);
void nn_leaky_relu_f32(int32_t n, float alpha, const float *in, float *out);
void nn_logistic_f32(int32_t n, const float *in, float *out);
void nn_tanh_f32(int32_t n, const float *in, float *out);
void nn_hard_swish_f32(int32_t n, const float *in, float *out);
void nn_abs_f32(int32_t n, const float *in, float *out);
void nn_rsqrt_f32(int32_t n, const float *in, float *out);
void nn_ceil_f32(int32_t n, const float *in, float *out);
void nn_cos_f32(int32_t n, const float *in, float *out);
void nn_elu_f32(int32_t n, const float *in, float *out);
void nn_gelu_f32(int32_t n, const float *in, float *out);
void nn_gelu_tanh_f32(int32_t n, const float *in, float *out);
void nn_sign_f32(int32_t n, const float *in, float *out);
void nn_exp_f32(int32_t n, const float *in, float *out);
void nn_floor_f32(int32_t n, const float *in, float *out);
void nn_log_f32(int32_t n, const float *in, float *out);
void nn_neg_f32(int32_t n, const float *in, float *out);
void nn_round_f32(int32_t n, const float *in, float *out);
void nn_sin_f32(int32_t n, const float *in, float *out);
void nn_sqrt_f32(int32_t n, const float *in, float *out);
void nn_square_f32(int32_t n, const float *in, float *out);

/* The source row and column of each output row and column. */
/* Two input rows of each output row and the share of the second one in `down`; the same for columns and `across`. */
void nn_resize_bilinear_s8(const nn_bilinear *p, const uint16_t *rows, const int16_t *down, const uint16_t *columns,
                           const int16_t *across, const int8_t *in, int8_t *out);
void nn_resize_bilinear_f32(const nn_bilinear *p, const uint16_t *rows, const float *down, const uint16_t *columns,
                            const float *across, const float *in, float *out);
void nn_resize_nearest(const nn_resize *p, const uint16_t *rows, const uint16_t *columns, const uint8_t *in, uint8_t *out);

/* [outer, n, inner] -> [outer, inner] */
void nn_arg_max_s8(int32_t outer, int32_t n, int32_t inner, const int8_t *in, int32_t *out);
void nn_arg_max_f32(int32_t outer, int32_t n, int32_t inner, const float *in, int32_t *out);

void nn_add_s32(const nn_binary *p, const int32_t *a, const int32_t *b, int32_t *out);
void nn_sub_s32(const nn_binary *p, const int32_t *a, const int32_t *b, int32_t *out);
void nn_mul_s32(const nn_binary *p, const int32_t *a, const int32_t *b, int32_t *out);
void nn_div_s32(const nn_binary *p, const int32_t *a, const int32_t *b, int32_t *out);
void nn_floor_div_s32(const nn_binary *p, const int32_t *a, const int32_t *b, int32_t *out);
void nn_floor_mod_s32(const nn_binary *p, const int32_t *a, const int32_t *b, int32_t *out);
void nn_floor_div_f32(const nn_binary *p, const float *a, const float *b, float *out);
void nn_floor_mod_f32(const nn_binary *p, const float *a, const float *b, float *out);
/* `count` operands of n elements, all of one quantisation. */
void nn_add_n_s8(const nn_add_int *p, int32_t n, int32_t count, const int8_t *const *in, int8_t *out);

/* bool is a byte of 0 or 1. */
void nn_logical_and_u8(const nn_binary *p, const uint8_t *a, const uint8_t *b, uint8_t *out);
void nn_logical_or_u8(const nn_binary *p, const uint8_t *a, const uint8_t *b, uint8_t *out);
void nn_logical_not_u8(int32_t n, const uint8_t *in, uint8_t *out);
void nn_reduce_all_u8(const nn_mean_float *p, const uint8_t *in, uint8_t *out);
void nn_equal_f32(const nn_binary *p, const float *a, const float *b, uint8_t *out);
void nn_equal_s32(const nn_binary *p, const int32_t *a, const int32_t *b, uint8_t *out);
void nn_equal_s64(const nn_binary *p, const int64_t *a, const int64_t *b, uint8_t *out);
void nn_equal_s8(const nn_compare_int *p, const int8_t *a, const int8_t *b, uint8_t *out);
void nn_equal_u8(const nn_binary *p, const uint8_t *a, const uint8_t *b, uint8_t *out);
void nn_not_equal_f32(const nn_binary *p, const float *a, const float *b, uint8_t *out);
void nn_not_equal_s32(const nn_binary *p, const int32_t *a, const int32_t *b, uint8_t *out);
void nn_not_equal_s64(const nn_binary *p, const int64_t *a, const int64_t *b, uint8_t *out);
void nn_not_equal_s8(const nn_compare_int *p, const int8_t *a, const int8_t *b, uint8_t *out);
void nn_not_equal_u8(const nn_binary *p, const uint8_t *a, const uint8_t *b, uint8_t *out);
void nn_greater_f32(const nn_binary *p, const float *a, const float *b, uint8_t *out);
void nn_greater_s32(const nn_binary *p, const int32_t *a, const int32_t *b, uint8_t *out);
void nn_greater_s64(const nn_binary *p, const int64_t *a, const int64_t *b, uint8_t *out);
void nn_greater_s8(const nn_compare_int *p, const int8_t *a, const int8_t *b, uint8_t *out);
void nn_greater_equal_f32(const nn_binary *p, const float *a, const float *b, uint8_t *out);
void nn_greater_equal_s32(const nn_binary *p, const int32_t *a, const int32_t *b, uint8_t *out);
void nn_greater_equal_s64(const nn_binary *p, const int64_t *a, const int64_t *b, uint8_t *out);
void nn_greater_equal_s8(const nn_compare_int *p, const int8_t *a, const int8_t *b, uint8_t *out);
void nn_less_f32(const nn_binary *p, const float *a, const float *b, uint8_t *out);
void nn_less_s32(const nn_binary *p, const int32_t *a, const int32_t *b, uint8_t *out);
void nn_less_s64(const nn_binary *p, const int64_t *a, const int64_t *b, uint8_t *out);
void nn_less_s8(const nn_compare_int *p, const int8_t *a, const int8_t *b, uint8_t *out);
void nn_less_equal_f32(const nn_binary *p, const float *a, const float *b, uint8_t *out);
void nn_less_equal_s32(const nn_binary *p, const int32_t *a, const int32_t *b, uint8_t *out);
void nn_less_equal_s64(const nn_binary *p, const int64_t *a, const int64_t *b, uint8_t *out);
void nn_less_equal_s8(const nn_compare_int *p, const int8_t *a, const int8_t *b, uint8_t *out);
void nn_select(const nn_select_shape *p, const uint8_t *condition, const uint8_t *a, const uint8_t *b, uint8_t *out);

/* A row that does not exist gives zeros. */
void nn_gather(const nn_pick *p, const uint8_t *in, const int32_t *picks, uint8_t *out);
void nn_gather_nd(const nn_pick_nd *p, const uint8_t *in, const int32_t *picks, uint8_t *out);
void nn_lookup_s8_f32(const nn_pick *p, float scale, const int8_t *in, const int32_t *picks, float *out);
/* A start that leaves no room for the block is moved. `out` may be `in`. */
void nn_update_slice_s32(const nn_update *p, const uint8_t *in, const uint8_t *part, const int32_t *starts, uint8_t *out);
void nn_update_slice_s64(const nn_update *p, const uint8_t *in, const uint8_t *part, const int64_t *starts, uint8_t *out);
void nn_cumsum_f32(const nn_cumsum *p, const float *in, float *out);
void nn_cumsum_s8(const nn_cumsum *p, const nn_cumsum_int *q, const int8_t *in, int8_t *out);
void nn_l2_normalization_f32(int32_t rows, int32_t depth, const float *in, float *out);
void nn_l2_normalization_s8(int32_t rows, int32_t depth, int32_t zero, const int8_t *in, int8_t *out);
void nn_l2_pool_f32(const nn_pool_float *p, const float *in, float *out);
void nn_arg_min_s8(int32_t outer, int32_t n, int32_t inner, const int8_t *in, int32_t *out);
void nn_arg_min_f32(int32_t outer, int32_t n, int32_t inner, const float *in, int32_t *out);
void nn_rescale_s32_s8(const nn_rescale *p, const int32_t *in, int8_t *out);
void nn_rescale_s32_s16(const nn_rescale *p, const int32_t *in, int16_t *out);
void nn_rescale_s8_s32(const nn_rescale *p, const int8_t *in, int32_t *out);
void nn_rescale_s16_s32(const nn_rescale *p, const int16_t *in, int32_t *out);

/* weights: of the input by gate [units, inputs], then of the hidden state [units, units]; bias by gate, NULL: none. hidden and
 * cell [batch, units] are kept from call to call; gates: room for 4 * units numbers. */
void nn_lstm_s8(const nn_lstm *p, const nn_lstm_int *q, const int8_t *const *weights, const int32_t *const *bias,
                const int8_t *in, int8_t *hidden, int16_t *cell, int16_t *gates, int8_t *out);
void nn_lstm_s16(const nn_lstm *p, const nn_lstm_int *q, const int8_t *const *weights, const int64_t *const *bias,
                 const int16_t *in, int16_t *hidden, int16_t *cell, int16_t *gates, int16_t *out);
void nn_lstm_f32(const nn_lstm *p, float clip, const float *const *weights, const float *const *bias, const float *in,
                 float *hidden, float *cell, float *gates, float *out);
/* s8, s16: type of the state and of `times`. features [filters, inputs], times [filters, memory]; state [batch, filters, memory]
 * is kept from call to call. */
void nn_svdf_s8(const nn_svdf *p, const nn_svdf_int *q, const int8_t *features, const int8_t *times, const int32_t *bias,
                const int8_t *in, int8_t *state, int8_t *out);
void nn_svdf_s16(const nn_svdf *p, const nn_svdf_int *q, const int8_t *features, const int16_t *times, const int32_t *bias,
                 const int8_t *in, int16_t *state, int8_t *out);
void nn_svdf_f32(const nn_svdf *p, float lo, float hi, const float *features, const float *times, const float *bias,
                 const float *in, float *state, float *out);

#endif
