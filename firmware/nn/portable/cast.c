#include "nn_cast.h"

#define CAST(NAME, IN, OUT, VALUE)                 \
    void NAME(int32_t n, const IN *in, OUT *out) { \
        for (int32_t i = 0; i < n; i++) {          \
            out[i] = (OUT)(VALUE);                 \
        }                                          \
    }

static inline int32_t whole(float v, int32_t lo, int32_t hi) {
    return v >= (float)hi ? hi : v <= (float)lo ? lo : v == v ? (int32_t)v : 0;
}

static inline int64_t whole_64(float v) {
    return v >= 9223372036854775807.0f ? INT64_MAX : v <= -9223372036854775808.0f ? INT64_MIN : v == v ? (int64_t)v : 0;
}

CAST(nn_cast_s8_s16, int8_t, int16_t, in[i])
CAST(nn_cast_s8_s32, int8_t, int32_t, in[i])
CAST(nn_cast_s8_s64, int8_t, int64_t, in[i])
CAST(nn_cast_s8_u8, int8_t, uint8_t, in[i])
CAST(nn_cast_s8_u32, int8_t, uint32_t, in[i])
CAST(nn_cast_s8_f32, int8_t, float, in[i])
CAST(nn_cast_s8_bool, int8_t, uint8_t, in[i] != 0)
CAST(nn_cast_s16_s8, int16_t, int8_t, in[i])
CAST(nn_cast_s16_s32, int16_t, int32_t, in[i])
CAST(nn_cast_s16_s64, int16_t, int64_t, in[i])
CAST(nn_cast_s16_u8, int16_t, uint8_t, in[i])
CAST(nn_cast_s16_u32, int16_t, uint32_t, in[i])
CAST(nn_cast_s16_f32, int16_t, float, in[i])
CAST(nn_cast_s16_bool, int16_t, uint8_t, in[i] != 0)
CAST(nn_cast_s32_s8, int32_t, int8_t, in[i])
CAST(nn_cast_s32_s16, int32_t, int16_t, in[i])
CAST(nn_cast_s32_s64, int32_t, int64_t, in[i])
CAST(nn_cast_s32_u8, int32_t, uint8_t, in[i])
CAST(nn_cast_s32_u32, int32_t, uint32_t, in[i])
CAST(nn_cast_s32_f32, int32_t, float, in[i])
CAST(nn_cast_s32_bool, int32_t, uint8_t, in[i] != 0)
CAST(nn_cast_s64_s8, int64_t, int8_t, in[i])
CAST(nn_cast_s64_s16, int64_t, int16_t, in[i])
CAST(nn_cast_s64_s32, int64_t, int32_t, in[i])
CAST(nn_cast_s64_u8, int64_t, uint8_t, in[i])
CAST(nn_cast_s64_u32, int64_t, uint32_t, in[i])
CAST(nn_cast_s64_f32, int64_t, float, in[i])
CAST(nn_cast_s64_bool, int64_t, uint8_t, in[i] != 0)
CAST(nn_cast_u8_s8, uint8_t, int8_t, in[i])
CAST(nn_cast_u8_s16, uint8_t, int16_t, in[i])
CAST(nn_cast_u8_s32, uint8_t, int32_t, in[i])
CAST(nn_cast_u8_s64, uint8_t, int64_t, in[i])
CAST(nn_cast_u8_u32, uint8_t, uint32_t, in[i])
CAST(nn_cast_u8_f32, uint8_t, float, in[i])
CAST(nn_cast_u8_bool, uint8_t, uint8_t, in[i] != 0)
CAST(nn_cast_u32_s8, uint32_t, int8_t, in[i])
CAST(nn_cast_u32_s16, uint32_t, int16_t, in[i])
CAST(nn_cast_u32_s32, uint32_t, int32_t, in[i])
CAST(nn_cast_u32_s64, uint32_t, int64_t, in[i])
CAST(nn_cast_u32_u8, uint32_t, uint8_t, in[i])
CAST(nn_cast_u32_f32, uint32_t, float, in[i])
CAST(nn_cast_u32_bool, uint32_t, uint8_t, in[i] != 0)
CAST(nn_cast_f32_s8, float, int8_t, whole(in[i], INT8_MIN, INT8_MAX))
CAST(nn_cast_f32_s16, float, int16_t, whole(in[i], INT16_MIN, INT16_MAX))
CAST(nn_cast_f32_s32, float, int32_t, whole(in[i], INT32_MIN, INT32_MAX))
CAST(nn_cast_f32_s64, float, int64_t, whole_64(in[i]))
CAST(nn_cast_f32_u8, float, uint8_t, whole(in[i], 0, UINT8_MAX))
CAST(nn_cast_f32_bool, float, uint8_t, in[i] != 0)
CAST(nn_cast_bool_s8, uint8_t, int8_t, in[i] != 0)
CAST(nn_cast_bool_s16, uint8_t, int16_t, in[i] != 0)
CAST(nn_cast_bool_s32, uint8_t, int32_t, in[i] != 0)
CAST(nn_cast_bool_s64, uint8_t, int64_t, in[i] != 0)
CAST(nn_cast_bool_u8, uint8_t, uint8_t, in[i] != 0)
CAST(nn_cast_bool_u32, uint8_t, uint32_t, in[i] != 0)
CAST(nn_cast_bool_f32, uint8_t, float, in[i] != 0)
