/* SPDX-License-Identifier: Apache-2.0 */
#include "reports/writer.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

struct writer writer_begin(struct text *out)
{
    return (struct writer){.out = out};
}

void writer_end(struct writer *writer)
{
    text_add(writer->out, "\n");
}

static void add_escaped(struct text *out, uint32_t code)
{
    static const char letters[] = "\bb\ff\nn\rr\tt\"\"\\\\";
    for (const char *at = letters; *at; at += 2) {
        if (code == (unsigned char)at[0]) {
            text_printf(out, "\\%c", at[1]);
            return;
        }
    }
    text_printf(out, "\\u%04x", (unsigned)code);
}

static void add_string(struct text *out, const char *string)
{
    size_t left = strlen(string);
    text_add(out, "\"");
    while (left) {
        uint32_t code;
        int skip = 1;
        int used = utf8_decode(string, left, &code, &skip);
        if (!used)
            text_add(out, "\uFFFD");
        else if (code < 0x20 || code == '"' || code == '\\' || code == 0x7F || code == 0x2028 ||
                 code == 0x2029)
            add_escaped(out, code);
        else
            text_append(out, string, (size_t)used);
        string += used ? used : skip;
        left -= (size_t)(used ? used : skip);
    }
    text_add(out, "\"");
}

static void new_line(struct writer *writer)
{
    text_add(writer->out, "\n");
    text_repeat(writer->out, "  ", writer->depth);
}

/* What stands before a value. */
static void begin_value(struct writer *writer, const char *key)
{
    if (writer->comma)
        text_add(writer->out, ",");
    if (writer->depth)
        new_line(writer);
    writer->comma = true;
    if (!key)
        return;
    add_string(writer->out, key);
    text_add(writer->out, ": ");
}

static void open_value(struct writer *writer, const char *key, const char *bracket)
{
    begin_value(writer, key);
    text_add(writer->out, bracket);
    writer->depth++;
    writer->comma = false;
}

static void close_value(struct writer *writer, const char *bracket)
{
    writer->depth--;
    if (writer->comma) /* not empty */
        new_line(writer);
    text_add(writer->out, bracket);
    writer->comma = true;
}

void write_object(struct writer *writer, const char *key)
{
    open_value(writer, key, "{");
}

void write_object_end(struct writer *writer)
{
    close_value(writer, "}");
}

void write_array(struct writer *writer, const char *key)
{
    open_value(writer, key, "[");
}

void write_array_end(struct writer *writer)
{
    close_value(writer, "]");
}

void write_json(struct writer *writer, const char *key, const char *json)
{
    begin_value(writer, key);
    text_add(writer->out, json && *json ? json : "null");
}

void write_null(struct writer *writer, const char *key)
{
    write_json(writer, key, NULL);
}

void write_bool(struct writer *writer, const char *key, bool value)
{
    write_json(writer, key, value ? "true" : "false");
}

void write_string(struct writer *writer, const char *key, const char *value)
{
    if (!value) {
        write_null(writer, key);
        return;
    }
    begin_value(writer, key);
    add_string(writer->out, value);
}

void write_strings(struct writer *writer, const char *key, const char *const *values, size_t count)
{
    write_array(writer, key);
    for (size_t i = 0; i < count; i++)
        write_string(writer, NULL, values[i]);
    write_array_end(writer);
}

void write_integer(struct writer *writer, const char *key, int64_t value)
{
    begin_value(writer, key);
    text_printf(writer->out, "%" PRId64, value);
}

void write_number(struct writer *writer, const char *key, double value)
{
    if (!isfinite(value)) {
        write_null(writer, key);
        return;
    }
    if (value == floor(value) && fabs(value) < 0x1p53) {
        write_integer(writer, key, (int64_t)value);
        return;
    }
    begin_value(writer, key);
    text_printf(writer->out, "%.12g", value);
}

void write_measured(struct writer *writer, const char *key, struct measured value)
{
    write_number(writer, key, value.known ? value.value : NAN);
}
