/* Cyclic redundancy checks that object stores tell of what they hold: CRC32, CRC32C and CRC64NVME, all reflected.
 *
 * One routine for all: blocks of 16 bytes are folded into each other by multiplication without carries ("Fast CRC
 * Computation for Generic Polynomials Using PCLMULQDQ Instruction", Intel, 2009), the last of them go through tables,
 * as everything does on a processor that cannot multiply so. Polynomials and check values: the catalogue of
 * parametrised CRC algorithms, https://reveng.sourceforge.io/crc-catalogue/all.htm
 *
 * In a reflected register of 64 bits, bit i is the coefficient of x^(63-i), and narrower checks stand in the low bits.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { CRC_STRIDE = 256 };     /* of 16 blocks side by side */

typedef struct {
    const char* name;           /* as S3 spells it in names of headers */
    int width;
    uint64_t polynomial;        /* reflected, without its highest coefficient */
    uint64_t table[8][256];     /* of a byte that i others come behind */
    uint64_t by_block[2];       /* what moves both halves of a block over the next block */
    uint64_t by_stride[2];      /* the same over a whole stride */
} Crc;

static inline uint64_t crc_ones(const Crc* crc) { return ~0ULL >> (64 - crc->width); }

/* Multiply by x. */
static inline uint64_t crc_shift(const Crc* crc, uint64_t value) {
    return value >> 1 ^ (value & 1 ? crc->polynomial : 0);
}

static uint64_t crc_multiply(const Crc* crc, uint64_t a, uint64_t b) {
    uint64_t product = 0;
    for (int i = crc->width - 1; i >= 0; i--) {
        if (a >> i & 1)
            product ^= b;
        b = crc_shift(crc, b);
    }
    return product;
}

/* Return x^exponent. */
static uint64_t crc_power(const Crc* crc, uint64_t exponent) {
    uint64_t result = 1ULL << (crc->width - 1), square = result >> 1;
    for (; exponent; exponent >>= 1) {
        if (exponent & 1)
            result = crc_multiply(crc, result, square);
        square = crc_multiply(crc, square, square);
    }
    return result;
}

/* Fill the constants that move a block over `distance` bits. A product of reflected words is x times too large. */
static void crc_fill_fold(const Crc* crc, uint64_t* constants, int distance) {
    constants[0] = crc_power(crc, distance + 64 - 1) << (64 - crc->width);
    constants[1] = crc_power(crc, distance - 1) << (64 - crc->width);
}

static void crc_fill(Crc* crc, const char* name, int width, uint64_t polynomial) {
    crc->name = name;
    crc->width = width;
    crc->polynomial = polynomial;
    for (int byte = 0; byte < 256; byte++) {
        uint64_t value = byte;
        for (int bit = 0; bit < 8; bit++)
            value = crc_shift(crc, value);
        crc->table[0][byte] = value;
    }
    for (int slice = 1; slice < 8; slice++)
        for (int byte = 0; byte < 256; byte++) {
            uint64_t before = crc->table[slice - 1][byte];
            crc->table[slice][byte] = before >> 8 ^ crc->table[0][before & 255];
        }
    crc_fill_fold(crc, crc->by_block, 8 * 16);
    crc_fill_fold(crc, crc->by_stride, 8 * CRC_STRIDE);
}

/* Read 8 bytes, the first of them as the lowest. */
static inline uint64_t crc_word(const uint8_t* data) {
    uint64_t word;
    memcpy(&word, data, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

static uint64_t crc_by_tables(const Crc* crc, uint64_t state, const uint8_t* data, size_t length) {
    for (; length >= 8; data += 8, length -= 8) {
        uint64_t word = state ^ crc_word(data);
        state = 0;
        for (int i = 0; i < 8; i++)
            state ^= crc->table[7 - i][word >> 8 * i & 255];
    }
    for (; length; data++, length--)
        state = state >> 8 ^ crc->table[0][(state ^ *data) & 255];
    return state;
}

#ifdef __x86_64__
#include <immintrin.h>

#define CRC_QUICK __attribute__((target("pclmul")))
#define CRC_WIDE __attribute__((target("avx512f,vpclmulqdq")))

static inline int crc_is_quick(void) { return __builtin_cpu_supports("pclmul"); }

static inline int crc_is_wide(void) {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("vpclmulqdq");
}

CRC_QUICK static inline __m128i crc_load(const void* block) { return _mm_loadu_si128((const __m128i*)block); }

/* Move a block over others, and add what stands there. */
CRC_QUICK static inline __m128i crc_fold(__m128i block, __m128i constants, __m128i there) {
    __m128i first = _mm_clmulepi64_si128(block, constants, 0x00);
    __m128i second = _mm_clmulepi64_si128(block, constants, 0x11);
    return _mm_xor_si128(_mm_xor_si128(first, second), there);
}

/* Fold all strides of the data into the first, which is in `lanes`; return what is behind them. */
CRC_QUICK static const uint8_t* crc_fold_strides(
    const Crc* crc, uint8_t* lanes, const uint8_t* data, const uint8_t* end
) {
    enum { COUNT = CRC_STRIDE / 16 };
    const __m128i by_stride = crc_load(crc->by_stride);
    __m128i lane[COUNT];
    for (int i = 0; i < COUNT; i++)
        lane[i] = crc_load(lanes + 16 * i);
    for (; end - data >= CRC_STRIDE; data += CRC_STRIDE)
        for (int i = 0; i < COUNT; i++)
            lane[i] = crc_fold(lane[i], by_stride, crc_load(data + 16 * i));
    for (int i = 0; i < COUNT; i++)
        _mm_storeu_si128((__m128i*)(lanes + 16 * i), lane[i]);
    return data;
}

/* The same, four blocks at a time. */
CRC_WIDE static const uint8_t* crc_fold_wide(const Crc* crc, uint8_t* lanes, const uint8_t* data, const uint8_t* end) {
    enum { COUNT = CRC_STRIDE / 64, XOR_OF_THREE = 0x96 };
    const __m512i by_stride = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i*)crc->by_stride));
    __m512i lane[COUNT];
    for (int i = 0; i < COUNT; i++)
        lane[i] = _mm512_loadu_si512(lanes + 64 * i);
    for (; end - data >= CRC_STRIDE; data += CRC_STRIDE)
        for (int i = 0; i < COUNT; i++) {
            __m512i first = _mm512_clmulepi64_epi128(lane[i], by_stride, 0x00);
            __m512i second = _mm512_clmulepi64_epi128(lane[i], by_stride, 0x11);
            lane[i] = _mm512_ternarylogic_epi64(first, second, _mm512_loadu_si512(data + 64 * i), XOR_OF_THREE);
        }
    for (int i = 0; i < COUNT; i++)
        _mm512_storeu_si512(lanes + 64 * i, lane[i]);
    return data;
}

/* Fold whole blocks into one. */
CRC_QUICK static __m128i crc_fold_blocks(const Crc* crc, __m128i block, const uint8_t* data, const uint8_t* end) {
    const __m128i by_block = crc_load(crc->by_block);
    for (; end - data >= 16; data += 16)
        block = crc_fold(block, by_block, crc_load(data));
    return block;
}

/* Fold all whole blocks of at least one into one, which goes through tables as what is behind it does. */
CRC_QUICK static uint64_t crc_by_folding(const Crc* crc, uint64_t state, const uint8_t* data, size_t length) {
    const uint8_t* end = data + length;
    uint8_t first[CRC_STRIDE];
    size_t size = length >= 2 * CRC_STRIDE ? CRC_STRIDE : 16;
    memcpy(first, data, size);
    data += size;
    for (int i = 0; i < 8; i++)
        first[i] ^= (uint8_t)(state >> 8 * i);
    if (size == CRC_STRIDE)
        data = (crc_is_wide() ? crc_fold_wide : crc_fold_strides)(crc, first, data, end);
    __m128i block = crc_fold_blocks(crc, crc_load(first), first + 16, first + size);
    block = crc_fold_blocks(crc, block, data, end);
    data += (end - data) / 16 * 16;
    _mm_storeu_si128((__m128i*)first, block);
    return crc_by_tables(crc, crc_by_tables(crc, 0, first, 16), data, end - data);
}
#else
static inline int crc_is_quick(void) { return 0; }
#define crc_by_folding crc_by_tables
#endif

/* Return the check of what a check is of with more behind it; that of nothing is 0. */
static uint64_t crc_update(const Crc* crc, uint64_t value, const void* data, size_t length) {
    const uint64_t ones = crc_ones(crc);
    value ^= ones;
    if (length >= 32 && crc_is_quick())
        value = crc_by_folding(crc, value, (const uint8_t*)data, length);
    else
        value = crc_by_tables(crc, value, (const uint8_t*)data, length);
    return value ^ ones;
}

/* Return the check of two stretches one behind the other, of their own checks and the length of the second. */
static uint64_t crc_combine(const Crc* crc, uint64_t first, uint64_t second, uint64_t length) {
    return crc_multiply(crc, crc_power(crc, 8 * length), first) ^ second;
}
