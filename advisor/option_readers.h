/* SPDX-License-Identifier: Apache-2.0
 *
 * How the values of options are read, one function for each kind of value: what the rows of the
 * table in options.c name. All of them are option_readers; options.h says what that is. Text
 * becomes a number in advisor/values.h.
 */
#ifndef ADVISOR_OPTION_READERS_H
#define ADVISOR_OPTION_READERS_H

#include "advisor/options.h"

/* Into the field of the row. */
option_reader read_string;   /* any text */
option_reader read_flag;     /* no value; true */
option_reader read_int64;    /* digits only */
option_reader read_quantity; /* "10k", "7B": into a struct measured */
option_reader read_memory;   /* "512M", "4G": likewise */
option_reader read_model;    /* a path */

/* Into a field of its own. */
option_reader read_threads;
option_reader read_budget;      /* "10m" */
option_reader read_latency;     /* "50ms"; needs a unit */
option_reader read_confidence;  /* "80%" */
option_reader read_margin;      /* "2pt", "2%" or "0.02"; a bare 2 could be meant either way */
option_reader read_delimiter;   /* one character, or "tab" */
option_reader read_label_names; /* "0=negative,1=positive" */

/* One of the names there are; otherwise the sentence gives all of them, and the likeliest. */
option_reader read_metric;
option_reader read_task;
option_reader read_technique;
option_reader read_techniques; /* several, with commas */
option_reader read_format;     /* of a report, or of the command where it has its own */
option_reader read_json;       /* the same with "json" */
option_reader read_type;
option_reader read_color;
option_reader read_on_bad_row;

/* One more of several. */
option_reader read_set;  /* "name=value" */
option_reader read_fact; /* "name=value", whose name and value are checked */
option_reader read_also; /* "FORMAT=FILE" */

#endif
