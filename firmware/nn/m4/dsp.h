/* dsp.h: the Cortex-M4 DSP instructions that the fast int8 kernels use, each with an equivalent in plain C.
 *
 * The C forms are what the host build runs under sanitizers; on the target every function is one instruction
 * (ARMv7-M Architecture Reference Manual, chapter A7). Halves: `lo` is bits 15..0, `hi` bits 31..16. */
#ifndef M4_DSP_H
#define M4_DSP_H

#include <stdint.h>
#include <string.h>

#define M4_INLINE static inline __attribute__((always_inline, unused))

#if defined(__ARM_FEATURE_DSP) && defined(__thumb2__) && defined(__ARM_FP)
#define M4_ASM 1
#else
#define M4_ASM 0
#endif

M4_INLINE int32_t m4_lo(uint32_t x) { return (int16_t)(uint16_t)x; }
M4_INLINE int32_t m4_hi(uint32_t x) { return (int16_t)(uint16_t)(x >> 16); }
M4_INLINE uint32_t m4_pair(int32_t lo, int32_t hi) { return (uint32_t)(lo & 0xFFFF) | ((uint32_t)hi << 16); }

/* Unaligned word access: one instruction on the Cortex-M4. */
M4_INLINE uint32_t m4_load(const void *p) {
    uint32_t v;
    memcpy(&v, p, 4);
    return v;
}
M4_INLINE int32_t m4_load16(const void *p) {
    int16_t v;
    memcpy(&v, p, 2);
    return v;
}
M4_INLINE void m4_store(void *p, uint32_t v) { memcpy(p, &v, 4); }

/* The 64-bit and overflowing forms wrap, as the instructions do. */
M4_INLINE int32_t m4_add32(int32_t a, int32_t b) { return (int32_t)((uint32_t)a + (uint32_t)b); }

#if M4_ASM
/* The bits of a word in an FPU register, where inline assembly parks what the 14 core registers have no room for. */
M4_INLINE float m4_to_fpu(uint32_t v) {
    float f;
    __asm__("vmov %0, %1" : "=t"(f) : "r"(v));
    return f;
}
#define M4_OP2(name, insn)                                      \
    M4_INLINE uint32_t name(uint32_t a, uint32_t b) {           \
        uint32_t r;                                             \
        __asm__(insn " %0, %1, %2" : "=r"(r) : "r"(a), "r"(b)); \
        return r;                                               \
    }
#define M4_MAC(name, insn)                                                    \
    M4_INLINE int32_t name(uint32_t a, uint32_t b, int32_t acc) {             \
        int32_t r;                                                            \
        __asm__(insn " %0, %1, %2, %3" : "=r"(r) : "r"(a), "r"(b), "r"(acc)); \
        return r;                                                             \
    }
M4_OP2(m4_sadd16, "sadd16")
M4_OP2(m4_ssub16, "ssub16")
M4_OP2(m4_pkhbt, "pkhbt")
M4_MAC(m4_smlad, "smlad")
M4_MAC(m4_smlabb, "smlabb")
M4_MAC(m4_smlabt, "smlabt")
M4_MAC(m4_smlatb, "smlatb")
M4_MAC(m4_smlatt, "smlatt")
M4_INLINE uint32_t m4_sxtb16(uint32_t a) {
    uint32_t r;
    __asm__("sxtb16 %0, %1" : "=r"(r) : "r"(a));
    return r;
}
M4_INLINE uint32_t m4_sxtb16_8(uint32_t a) {
    uint32_t r;
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(r) : "r"(a));
    return r;
}
M4_INLINE uint32_t m4_sxtab16(uint32_t add, uint32_t a) {
    uint32_t r;
    __asm__("sxtab16 %0, %1, %2" : "=r"(r) : "r"(add), "r"(a));
    return r;
}
M4_INLINE uint32_t m4_sxtab16_8(uint32_t add, uint32_t a) {
    uint32_t r;
    __asm__("sxtab16 %0, %1, %2, ror #8" : "=r"(r) : "r"(add), "r"(a));
    return r;
}
M4_INLINE uint32_t m4_pkhbt_16(uint32_t lo_of, uint32_t lo_to_hi) {
    uint32_t r;
    __asm__("pkhbt %0, %1, %2, lsl #16" : "=r"(r) : "r"(lo_of), "r"(lo_to_hi));
    return r;
}
M4_INLINE uint32_t m4_pkhtb_16(uint32_t hi_of, uint32_t hi_to_lo) {
    uint32_t r;
    __asm__("pkhtb %0, %1, %2, asr #16" : "=r"(r) : "r"(hi_of), "r"(hi_to_lo));
    return r;
}
/* The larger of each of four signed bytes. */
M4_INLINE uint32_t m4_max_s8(uint32_t a, uint32_t b) {
    uint32_t r;
    __asm__("ssub8 %0, %1, %2\n\tsel %0, %1, %2" : "=&r"(r) : "r"(a), "r"(b));
    return r;
}
M4_INLINE int32_t m4_smmlar(int32_t a, int32_t b, int32_t add) {
    int32_t r;
    __asm__("smmlar %0, %1, %2, %3" : "=r"(r) : "r"(a), "r"(b), "r"(add));
    return r;
}
M4_INLINE int32_t m4_ssat8(int32_t a) {
    int32_t r;
    __asm__("ssat %0, #8, %1" : "=r"(r) : "r"(a));
    return r;
}
M4_INLINE int32_t m4_ssat16(int32_t a) {
    int32_t r;
    __asm__("ssat %0, #16, %1" : "=r"(r) : "r"(a));
    return r;
}
/* The larger of each of two signed halves. */
M4_INLINE uint32_t m4_max_s16(uint32_t a, uint32_t b) {
    uint32_t r;
    __asm__("ssub16 %0, %1, %2\n\tsel %0, %1, %2" : "=&r"(r) : "r"(a), "r"(b));
    return r;
}
#else
M4_INLINE uint32_t m4_sadd16(uint32_t a, uint32_t b) { return m4_pair(m4_lo(a) + m4_lo(b), m4_hi(a) + m4_hi(b)); }
M4_INLINE uint32_t m4_ssub16(uint32_t a, uint32_t b) { return m4_pair(m4_lo(a) - m4_lo(b), m4_hi(a) - m4_hi(b)); }
M4_INLINE int32_t m4_smlabb(uint32_t a, uint32_t b, int32_t acc) { return m4_add32(acc, m4_lo(a) * m4_lo(b)); }
M4_INLINE int32_t m4_smlabt(uint32_t a, uint32_t b, int32_t acc) { return m4_add32(acc, m4_lo(a) * m4_hi(b)); }
M4_INLINE int32_t m4_smlatb(uint32_t a, uint32_t b, int32_t acc) { return m4_add32(acc, m4_hi(a) * m4_lo(b)); }
M4_INLINE int32_t m4_smlatt(uint32_t a, uint32_t b, int32_t acc) { return m4_add32(acc, m4_hi(a) * m4_hi(b)); }
M4_INLINE int32_t m4_smlad(uint32_t a, uint32_t b, int32_t acc) { return m4_smlatt(a, b, m4_smlabb(a, b, acc)); }
M4_INLINE uint32_t m4_sxtb16(uint32_t a) { return m4_pair((int8_t)(uint8_t)a, (int8_t)(uint8_t)(a >> 16)); }
M4_INLINE uint32_t m4_sxtb16_8(uint32_t a) { return m4_sxtb16(a >> 8); }
M4_INLINE uint32_t m4_sxtab16(uint32_t add, uint32_t a) { return m4_sadd16(add, m4_sxtb16(a)); }
M4_INLINE uint32_t m4_sxtab16_8(uint32_t add, uint32_t a) { return m4_sadd16(add, m4_sxtb16(a >> 8)); }
M4_INLINE uint32_t m4_pkhbt(uint32_t lo_of, uint32_t hi_of) { return (lo_of & 0xFFFF) | (hi_of & 0xFFFF0000); }
M4_INLINE uint32_t m4_pkhbt_16(uint32_t lo_of, uint32_t lo_to_hi) { return (lo_of & 0xFFFF) | (lo_to_hi << 16); }
M4_INLINE uint32_t m4_pkhtb_16(uint32_t hi_of, uint32_t hi_to_lo) { return (hi_of & 0xFFFF0000) | (hi_to_lo >> 16); }
M4_INLINE uint32_t m4_max_s8(uint32_t a, uint32_t b) {
    uint32_t r = 0;
    for (int i = 0; i < 32; i += 8) {
        const uint32_t x = a >> i & 0xFF, y = b >> i & 0xFF;
        r |= ((int8_t)x >= (int8_t)y ? x : y) << i;
    }
    return r;
}
/* High word of a * b + 2^31, plus `add`. */
M4_INLINE int32_t m4_smmlar(int32_t a, int32_t b, int32_t add) {
    return m4_add32(add, (int32_t)(((int64_t)a * b + ((int64_t)1 << 31)) >> 32));
}
M4_INLINE int32_t m4_ssat8(int32_t a) { return a < -128 ? -128 : a > 127 ? 127 : a; }
M4_INLINE int32_t m4_ssat16(int32_t a) { return a < -32768 ? -32768 : a > 32767 ? 32767 : a; }
M4_INLINE uint32_t m4_max_s16(uint32_t a, uint32_t b) {
    return m4_pair(m4_lo(a) > m4_lo(b) ? m4_lo(a) : m4_lo(b), m4_hi(a) > m4_hi(b) ? m4_hi(a) : m4_hi(b));
}
#endif

#endif
