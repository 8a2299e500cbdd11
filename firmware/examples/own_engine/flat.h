/* flat.h: just enough of FlatBuffers to walk a .tflite in place. The file is trusted: the host has parsed it.
 *
 * A table begins with the signed distance back to its vtable; the vtable's 16-bit entries from byte 4 on are the fields'
 * offsets inside the table, 0 where the field is left at its default. Strings, vectors and tables are reached through
 * unsigned offsets relative to where they stand. (FlatBuffers' published format, "FlatBuffer Internals".) */
#ifndef FLAT_H
#define FLAT_H

#include <stdint.h>
#include <string.h>

static inline uint32_t flat_u32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline uint16_t flat_u16(const uint8_t *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* The table, vector or string that the offset at p leads to. */
static inline const uint8_t *flat_follow(const uint8_t *p)
{
    return p + flat_u32(p);
}

/* Where field `id` of a table stands; 0 when the file leaves it at its default. */
static inline const uint8_t *flat_field(const uint8_t *table, uint32_t id)
{
    const uint8_t *vtable = table - (int32_t)flat_u32(table);
    uint32_t slot = 4 + 2 * id;
    uint32_t offset = slot < flat_u16(vtable) ? flat_u16(vtable + slot) : 0;
    return offset ? table + offset : 0;
}

/* A field that is a vector or a table; 0 when absent. */
static inline const uint8_t *flat_child(const uint8_t *table, uint32_t id)
{
    const uint8_t *field = flat_field(table, id);
    return field ? flat_follow(field) : 0;
}

static inline uint32_t flat_count(const uint8_t *vector)
{
    return vector ? flat_u32(vector) : 0;
}

/* Element i of a vector of tables. */
static inline const uint8_t *flat_table(const uint8_t *vector, uint32_t i)
{
    return flat_follow(vector + 4 + 4 * i);
}

/* Element i of a vector of 32-bit integers. */
static inline int32_t flat_int(const uint8_t *vector, uint32_t i)
{
    return (int32_t)flat_u32(vector + 4 + 4 * i);
}

#endif
