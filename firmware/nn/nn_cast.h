/* nn_cast.h: the stored number as the same number of another type. bool is a byte of 0 or 1. */
#ifndef NN_CAST_H
#define NN_CAST_H

#include <stdint.h>

/* Integers keep their low bits. Floats are saturated, NaN becomes 0: C leaves both open, the reference as built for its wheel does
 * this. */
void nn_cast_s8_s16(int32_t n, const int8_t *in, int16_t *out);
void nn_cast_s8_s32(int32_t n, const int8_t *in, int32_t *out);
void nn_cast_s8_s64(int32_t n, const int8_t *in, int64_t *out);
void nn_cast_s8_u8(int32_t n, const int8_t *in, uint8_t *out);
void nn_cast_s8_u32(int32_t n, const int8_t *in, uint32_t *out);
void nn_cast_s8_f32(int32_t n, const int8_t *in, float *out);
void nn_cast_s8_bool(int32_t n, const int8_t *in, uint8_t *out);
void nn_cast_s16_s8(int32_t n, const int16_t *in, int8_t *out);
void nn_cast_s16_s32(int32_t n, const int16_t *in, int32_t *out);
void nn_cast_s16_s64(int32_t n, const int16_t *in, int64_t *out);
void nn_cast_s16_u8(int32_t n, const int16_t *in, uint8_t *out);
void nn_cast_s16_u32(int32_t n, const int16_t *in, uint32_t *out);
void nn_cast_s16_f32(int32_t n, const int16_t *in, float *out);
void nn_cast_s16_bool(int32_t n, const int16_t *in, uint8_t *out);
void nn_cast_s32_s8(int32_t n, const int32_t *in, int8_t *out);
void nn_cast_s32_s16(int32_t n, const int32_t *in, int16_t *out);
void nn_cast_s32_s64(int32_t n, const int32_t *in, int64_t *out);
void nn_cast_s32_u8(int32_t n, const int32_t *in, uint8_t *out);
void nn_cast_s32_u32(int32_t n, const int32_t *in, uint32_t *out);
void nn_cast_s32_f32(int32_t n, const int32_t *in, float *out);
void nn_cast_s32_bool(int32_t n, const int32_t *in, uint8_t *out);
void nn_cast_s64_s8(int32_t n, const int64_t *in, int8_t *out);
void nn_cast_s64_s16(int32_t n, const int64_t *in, int16_t *out);
void nn_cast_s64_s32(int32_t n, const int64_t *in, int32_t *out);
void nn_cast_s64_u8(int32_t n, const int64_t *in, uint8_t *out);
void nn_cast_s64_u32(int32_t n, const int64_t *in, uint32_t *out);
void nn_cast_s64_f32(int32_t n, const int64_t *in, float *out);
void nn_cast_s64_bool(int32_t n, const int64_t *in, uint8_t *out);
void nn_cast_u8_s8(int32_t n, const uint8_t *in, int8_t *out);
void nn_cast_u8_s16(int32_t n, const uint8_t *in, int16_t *out);
void nn_cast_u8_s32(int32_t n, const uint8_t *in, int32_t *out);
void nn_cast_u8_s64(int32_t n, const uint8_t *in, int64_t *out);
void nn_cast_u8_u32(int32_t n, const uint8_t *in, uint32_t *out);
void nn_cast_u8_f32(int32_t n, const uint8_t *in, float *out);
void nn_cast_u8_bool(int32_t n, const uint8_t *in, uint8_t *out);
void nn_cast_u32_s8(int32_t n, const uint32_t *in, int8_t *out);
void nn_cast_u32_s16(int32_t n, const uint32_t *in, int16_t *out);
void nn_cast_u32_s32(int32_t n, const uint32_t *in, int32_t *out);
void nn_cast_u32_s64(int32_t n, const uint32_t *in, int64_t *out);
void nn_cast_u32_u8(int32_t n, const uint32_t *in, uint8_t *out);
void nn_cast_u32_f32(int32_t n, const uint32_t *in, float *out);
void nn_cast_u32_bool(int32_t n, const uint32_t *in, uint8_t *out);
void nn_cast_f32_s8(int32_t n, const float *in, int8_t *out);
void nn_cast_f32_s16(int32_t n, const float *in, int16_t *out);
void nn_cast_f32_s32(int32_t n, const float *in, int32_t *out);
void nn_cast_f32_s64(int32_t n, const float *in, int64_t *out);
void nn_cast_f32_u8(int32_t n, const float *in, uint8_t *out);
void nn_cast_f32_bool(int32_t n, const float *in, uint8_t *out);
void nn_cast_bool_s8(int32_t n, const uint8_t *in, int8_t *out);
void nn_cast_bool_s16(int32_t n, const uint8_t *in, int16_t *out);
void nn_cast_bool_s32(int32_t n, const uint8_t *in, int32_t *out);
void nn_cast_bool_s64(int32_t n, const uint8_t *in, int64_t *out);
void nn_cast_bool_u8(int32_t n, const uint8_t *in, uint8_t *out);
void nn_cast_bool_u32(int32_t n, const uint8_t *in, uint32_t *out);
void nn_cast_bool_f32(int32_t n, const uint8_t *in, float *out);

#endif
