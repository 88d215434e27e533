/* SPDX-License-Identifier: Apache-2.0 */
#include "model/quant.h"

#include <string.h>

#ifdef __F16C__
#include <immintrin.h>
#endif

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "GGUF files are little-endian, and they are read here without swapping bytes"
#endif

static uint16_t load_u16(const uint8_t *bytes)
{
    uint16_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

static uint32_t load_u32(const uint8_t *bytes)
{
    uint32_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

static float float_of_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Shifting the exponent and the fraction into place leaves the exponent too small by 112; the
 * multiplication mends that, for subnormal numbers too. What ends above the largest half was an
 * infinity or NaN. */
float quant_half_to_float(uint16_t half)
{
    float value = float_of_bits((half & 0x7FFFu) << 13) * 0x1p112f;
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (value >= 65536.0f)
        bits |= 0x7F800000u;
    return float_of_bits(bits | (half & 0x8000u) << 16);
}

/* A subnormal half is a multiple of 2^-24, which is the last place of a float from 0.5 to 1, so
 * that adding 0.5 rounds; for a normal one 13 bits of the fraction are rounded away. */
uint16_t quant_float_to_half(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint32_t sign = bits >> 16 & 0x8000u;
    bits &= 0x7FFFFFFFu;
    if (bits > 0x7F800000u)
        return (uint16_t)(sign | 0x7E00u); /* NaN */
    if (bits >= 0x477FF000u)               /* 65520 and more round to 2^16 */
        return (uint16_t)(sign | 0x7C00u);
    if (bits < 0x38800000u) { /* below 2^-14 */
        float rounded = float_of_bits(bits) + 0.5f;
        memcpy(&bits, &rounded, sizeof bits);
        return (uint16_t)(sign | (bits - 0x3F000000u));
    }
    bits += 0xFFFu + (bits >> 13 & 1);
    return (uint16_t)(sign | ((bits >> 13) - (112u << 10)));
}

static float load_half(const uint8_t *bytes)
{
#ifdef __F16C__
    return _cvtsh_ss(load_u16(bytes));
#else
    return quant_half_to_float(load_u16(bytes));
#endif
}

static void expand_f32(const void *blocks, float *out, size_t n_blocks)
{
    memcpy(out, blocks, n_blocks * sizeof *out);
}

static void expand_f16(const void *blocks, float *out, size_t n_blocks)
{
    const uint8_t *in = blocks;
    size_t i = 0;
#ifdef __F16C__
    for (; i + 8 <= n_blocks; i += 8) {
        __m128i halves = _mm_loadu_si128((const __m128i *)(const void *)(in + 2 * i));
        _mm256_storeu_ps(out + i, _mm256_cvtph_ps(halves));
    }
#endif
    for (; i < n_blocks; i++)
        out[i] = quant_half_to_float(load_u16(in + 2 * i));
}

static void expand_bf16(const void *blocks, float *out, size_t n_blocks)
{
    const uint8_t *in = blocks;
    for (size_t i = 0; i < n_blocks; i++)
        out[i] = float_of_bits((uint32_t)load_u16(in + 2 * i) << 16);
}

/* The 16 low and then the 16 high halves of 16 bytes. Two loops over memory of their own and a word
 * to the compiler: one loop that writes to two places goes value by value, a quarter as fast. An m
 * of -0 changes nothing, not even the sign of a zero. */
static void expand_nibbles(const uint8_t *restrict qs, float d, int zero, float m,
                           float *restrict out)
{
#pragma omp simd
    for (int j = 0; j < 16; j++)
        out[j] = d * (float)((qs[j] & 15) - zero) + m;
#pragma omp simd
    for (int j = 0; j < 16; j++)
        out[j + 16] = d * (float)((qs[j] >> 4) - zero) + m;
}

static void expand_q4_0(const void *blocks, float *out, size_t n_blocks)
{
    const uint8_t *in = blocks;
    for (size_t i = 0; i < n_blocks; i++, in += 18, out += 32)
        expand_nibbles(in + 2, load_half(in), 8, -0.0f, out);
}

static void expand_q4_1(const void *blocks, float *out, size_t n_blocks)
{
    const uint8_t *in = blocks;
    for (size_t i = 0; i < n_blocks; i++, in += 20, out += 32)
        expand_nibbles(in + 4, load_half(in), 0, load_half(in + 2), out);
}

static void expand_q5_0(const void *blocks, float *out, size_t n_blocks)
{
    const uint8_t *in = blocks;
    for (size_t i = 0; i < n_blocks; i++, in += 22, out += 32) {
        float d = load_half(in);
        uint32_t qh = load_u32(in + 2);
        const uint8_t *qs = in + 6;
        for (int j = 0; j < 16; j++) {
            int low = (qs[j] & 15) | (int)(qh >> j & 1) << 4;
            int high = (qs[j] >> 4) | (int)(qh >> (j + 16) & 1) << 4;
            out[j] = d * (float)(low - 16);
            out[j + 16] = d * (float)(high - 16);
        }
    }
}

static void expand_q5_1(const void *blocks, float *out, size_t n_blocks)
{
    const uint8_t *in = blocks;
    for (size_t i = 0; i < n_blocks; i++, in += 24, out += 32) {
        float d = load_half(in);
        float m = load_half(in + 2);
        uint32_t qh = load_u32(in + 4);
        const uint8_t *qs = in + 8;
        for (int j = 0; j < 16; j++) {
            int low = (qs[j] & 15) | (int)(qh >> j & 1) << 4;
            int high = (qs[j] >> 4) | (int)(qh >> (j + 16) & 1) << 4;
            out[j] = d * (float)low + m;
            out[j + 16] = d * (float)high + m;
        }
    }
}

static void expand_q8_0(const void *blocks, float *out, size_t n_blocks)
{
    const uint8_t *in = blocks;
    for (size_t i = 0; i < n_blocks; i++, in += 34, out += 32) {
        float d = load_half(in);
        const int8_t *qs = (const int8_t *)(in + 2);
        for (int j = 0; j < 32; j++)
            out[j] = d * (float)qs[j];
    }
}

/* Scale and minimum of sub-block `b` (0 .. 7), six bits each, packed into 12 bytes. */
static void scale_and_minimum(const uint8_t *s, int b, int *scale, int *minimum)
{
    if (b < 4) {
        *scale = s[b] & 63;
        *minimum = s[b + 4] & 63;
    } else {
        *scale = (s[b + 4] & 15) | (s[b - 4] >> 6) << 4;
        *minimum = (s[b + 4] >> 4) | (s[b] >> 6) << 4;
    }
}

static void expand_q4_k(const void *blocks, float *out, size_t n_blocks)
{
    const uint8_t *in = blocks;
    for (size_t i = 0; i < n_blocks; i++, in += 144, out += 256) {
        float d = load_half(in);
        float dmin = load_half(in + 2);
        for (int b = 0; b < 8; b++) {
            int scale, minimum;
            scale_and_minimum(in + 4, b, &scale, &minimum);
            float ds = d * (float)scale;
            float m = dmin * (float)minimum;
            const uint8_t *qs = in + 16 + 32 * (b / 2);
            int shift = 4 * (b % 2);
            for (int l = 0; l < 32; l++)
                out[32 * b + l] = ds * (float)(qs[l] >> shift & 15) - m;
        }
    }
}

static void expand_q5_k(const void *blocks, float *out, size_t n_blocks)
{
    const uint8_t *in = blocks;
    for (size_t i = 0; i < n_blocks; i++, in += 176, out += 256) {
        float d = load_half(in);
        float dmin = load_half(in + 2);
        const uint8_t *qh = in + 16;
        for (int b = 0; b < 8; b++) {
            int scale, minimum;
            scale_and_minimum(in + 4, b, &scale, &minimum);
            float ds = d * (float)scale;
            float m = dmin * (float)minimum;
            const uint8_t *qs = in + 48 + 32 * (b / 2);
            int shift = 4 * (b % 2);
            for (int l = 0; l < 32; l++)
                out[32 * b + l] = ds * (float)((qs[l] >> shift & 15) | (qh[l] >> b & 1) << 4) - m;
        }
    }
}

/* 16 values: four bits of each from `ql` at `shift`, two from `qh` at `high`. */
static void expand_six(const uint8_t *restrict ql, int shift, const uint8_t *restrict qh, int high,
                       float d, float *restrict out)
{
#pragma omp simd
    for (int l = 0; l < 16; l++) {
        int q = (ql[l] >> shift & 15) | (qh[l] >> high & 3) << 4;
        out[l] = d * (float)(q - 32);
    }
}

/* Half `h` of the block holds 128 values, as four runs `j` of 32. */
static void expand_q6_k(const void *blocks, float *out, size_t n_blocks)
{
    const uint8_t *in = blocks;
    for (size_t i = 0; i < n_blocks; i++, in += 210) {
        const int8_t *scales = (const int8_t *)(in + 192);
        float d = load_half(in + 208);
        for (int run = 0; run < 8; run++, out += 32) {
            int h = run / 4, j = run % 4;
            const uint8_t *ql = in + 64 * h + 32 * (j & 1);
            const uint8_t *qh = in + 128 + 32 * h;
            int shift = 4 * (j / 2);
            for (int half = 0; half < 2; half++)
                expand_six(ql + 16 * half, shift, qh + 16 * half, 2 * j,
                           d * (float)scales[2 * run + half], out + 16 * half);
        }
    }
}

static const struct quant_type types[] = {
    {0, "F32", 1, 4, expand_f32},        {1, "F16", 1, 2, expand_f16},
    {30, "BF16", 1, 2, expand_bf16},     {2, "Q4_0", 32, 18, expand_q4_0},
    {3, "Q4_1", 32, 20, expand_q4_1},    {6, "Q5_0", 32, 22, expand_q5_0},
    {7, "Q5_1", 32, 24, expand_q5_1},    {8, "Q8_0", 32, 34, expand_q8_0},
    {12, "Q4_K", 256, 144, expand_q4_k}, {13, "Q5_K", 256, 176, expand_q5_k},
    {14, "Q6_K", 256, 210, expand_q6_k},
};

static const struct {
    int id;
    const char *name;
} unsupported[] = {
    {4, "a removed type"},
    {5, "a removed type"},
    {31, "a removed type"},
    {32, "a removed type"},
    {33, "a removed type"},
    {36, "a removed type"},
    {37, "a removed type"},
    {38, "a removed type"},
    {9, "Q8_1"},
    {10, "Q2_K"},
    {11, "Q3_K"},
    {15, "Q8_K"},
    {16, "IQ2_XXS"},
    {17, "IQ2_XS"},
    {18, "IQ3_XXS"},
    {19, "IQ1_S"},
    {20, "IQ4_NL"},
    {21, "IQ3_S"},
    {22, "IQ2_S"},
    {23, "IQ4_XS"},
    {24, "I8"},
    {25, "I16"},
    {26, "I32"},
    {27, "I64"},
    {28, "F64"},
    {29, "IQ1_M"},
    {34, "TQ1_0"},
    {35, "TQ2_0"},
    {39, "MXFP4"},
    {40, "NVFP4"},
    {41, "Q1_0"},
    {42, "Q2_0"},
};

const struct quant_type *quant_type(int id)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i].id == id)
            return &types[i];
    return NULL;
}

const char *quant_name(int id)
{
    const struct quant_type *type = quant_type(id);
    if (type)
        return type->name;
    for (size_t i = 0; i < sizeof unsupported / sizeof *unsupported; i++)
        if (unsupported[i].id == id)
            return unsupported[i].name;
    return "an unknown type";
}

const char *quant_supported(void)
{
    return "F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K and Q6_K";
}

static bool finite_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (bits & 0x7F800000u) != 0x7F800000u;
}

/* Runs of fixed length without an early exit, which the compiler can vectorise. */
bool quant_finite(const float *values, size_t count, size_t *first)
{
    enum { RUN = 1024 };
    for (size_t start = 0; start < count; start += RUN) {
        size_t length = count - start < RUN ? count - start : RUN;
        unsigned bad = 0;
        for (size_t i = 0; i < length; i++)
            bad |= !finite_bits(values[start + i]);
        if (!bad)
            continue;
        size_t i = start;
        while (finite_bits(values[i]))
            i++;
        if (first)
            *first = i;
        return false;
    }
    return true;
}
