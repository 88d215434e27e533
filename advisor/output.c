/* SPDX-License-Identifier: Apache-2.0 */
#define _XOPEN_SOURCE 700
#include "advisor/output.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "advisor/command.h"
#include "advisor/progress.h"

/* ---- Standard output --------------------------------------------------------------------------
 */

static enum status write_stdout(const struct text *bytes, struct error *err)
{
    fwrite(text_string(bytes), 1, bytes->length, stdout);
    if (!fflush(stdout) && !ferror(stdout))
        return OK;
    if (errno == EPIPE) /* such as `advisor list | head -n 1`: nothing went wrong */
        return error_set(err, FAILED, "%s", "");
    return error_set(err, FAILED, "standard output cannot be written: %s", strerror(errno));
}

/* ---- Files ------------------------------------------------------------------------------------
 */

static enum status cannot_write(const char *path, struct error *err)
{
    return error_set(err, FAILED, "%s: cannot be written: %s", path, strerror(errno));
}

/* The folder a path stands in, in `out`. */
static void folder_of(const char *path, struct text *out)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        text_add(out, ".");
    else if (slash == path)
        text_add(out, "/");
    else
        text_append(out, path, (size_t)(slash - path));
}

static bool is_directory(const char *path)
{
    struct stat facts;
    return !stat(path, &facts) && S_ISDIR(facts.st_mode);
}

/* A device, a pipe: it is written in place, since it cannot be replaced. */
static bool is_special(const char *path)
{
    struct stat facts;
    return !stat(path, &facts) && !S_ISREG(facts.st_mode);
}

enum status output_check(const char *path, struct error *err)
{
    if (is_directory(path))
        return error_set(err, USAGE, "--output: %s is a folder; expected the name of a file", path);
    struct text folder = {0};
    folder_of(path, &folder);
    enum status status = OK;
    if (!is_special(path) && access(text_string(&folder), W_OK | X_OK))
        status = error_set(err, USAGE, "--output: %s cannot be written: the folder %s: %s", path,
                           text_string(&folder), strerror(errno));
    else if (!access(path, F_OK) && access(path, W_OK))
        status = error_set(err, USAGE, "--output: %s cannot be written: %s", path, strerror(errno));
    text_release(&folder);
    return status;
}

enum status output_check_folder(const char *path, struct error *err)
{
    if (!is_directory(path) && !access(path, F_OK))
        return error_set(err, USAGE, "--output: %s is a file; this format writes a folder", path);
    if (is_directory(path))
        return access(path, W_OK | X_OK) ? error_set(err, USAGE,
                                                     "--output: %s cannot be written: "
                                                     "%s",
                                                     path, strerror(errno))
                                         : OK;
    struct text trimmed = {0};
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        length--;
    text_append(&trimmed, path, length);
    enum status status = output_check(text_string(&trimmed), err);
    text_release(&trimmed);
    return status;
}

static bool write_all(int file, const struct text *bytes)
{
    const char *at = text_string(bytes);
    size_t left = bytes->length;
    while (left) {
        ssize_t written = write(file, at, left);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return false;
        at += written;
        left -= (size_t)written;
    }
    return true;
}

static enum status write_special(const char *path, const struct text *bytes, struct error *err)
{
    FILE *file = fopen(path, "w");
    if (!file)
        return cannot_write(path, err);
    bool good = write_all(fileno(file), bytes);
    int why = errno;
    if (fclose(file) && good) {
        good = false;
        why = errno;
    }
    errno = why;
    return good ? OK : cannot_write(path, err);
}

/* The permissions a new file would get, or those of the file that is replaced. */
static mode_t mode_for(const char *path)
{
    struct stat facts;
    if (!stat(path, &facts))
        return facts.st_mode & 0777;
    mode_t mask = umask(0);
    umask(mask);
    return 0666 & ~mask;
}

/* Beside the target under a name of its own, then moved there: whoever reads the target sees the
 * old bytes or all of the new ones. */
static enum status replace_file(const char *path, const struct text *bytes, struct error *err)
{
    struct text other = {0};
    text_printf(&other, "%s.XXXXXX", path);
    int file = mkstemp(other.bytes);
    bool good =
        file >= 0 && !fchmod(file, mode_for(path)) && write_all(file, bytes) && !fsync(file);
    int why = errno;
    if (file >= 0 && close(file) && good) {
        good = false;
        why = errno;
    }
    if (good && rename(other.bytes, path)) {
        good = false;
        why = errno;
    }
    if (!good && file >= 0)
        unlink(other.bytes);
    text_release(&other);
    errno = why;
    return good ? OK : cannot_write(path, err);
}

static enum status write_file(const char *path, const struct text *bytes, struct error *err)
{
    if (is_special(path))
        return write_special(path, bytes, err);
    char *target = realpath(path, NULL); /* what a symbolic link points at is replaced, not it */
    enum status status = replace_file(target ? target : path, bytes, err);
    free(target);
    return status;
}

enum status output_write(const struct options *options, const struct text *bytes, struct error *err)
{
    if (options->output)
        return write_file(options->output, bytes, err);
    return write_stdout(bytes, err);
}

/* ---- Reports ----------------------------------------------------------------------------------
 */

bool output_color(const struct options *options, FILE *stream)
{
    if (options->color != COLOR_AUTO)
        return options->color == COLOR_ALWAYS;
    const char *no_color = getenv("NO_COLOR");
    const char *terminal = getenv("TERM");
    if (no_color && *no_color)
        return false;
    return isatty(fileno(stream)) && terminal && strcmp(terminal, "dumb") != 0;
}

struct report_style output_style(const struct options *options)
{
    enum { PLAIN_WIDTH = 80, MOST_COLUMNS = 120 };
    struct report_style style = {.columns = PLAIN_WIDTH};
    bool terminal = !options->output && isatty(STDOUT_FILENO);
    if (terminal)
        style.columns = terminal_columns(stdout);
    if (style.columns > MOST_COLUMNS) /* longer lines are hard to read */
        style.columns = MOST_COLUMNS;
    style.color = options->output ? options->color == COLOR_ALWAYS : output_color(options, stdout);
    return style;
}

/* A file of a format that has several: `path` below the folder of --output. */
static enum status put_file(void *context, const char *path, const struct text *bytes,
                            struct error *err)
{
    const struct options *options = context;
    struct text whole = {0};
    text_printf(&whole, "%s/%s", options->output, path);
    char *slash = strrchr(whole.bytes, '/');
    *slash = '\0';
    enum status status = OK;
    if (mkdir(options->output, 0777) && errno != EEXIST)
        status = cannot_write(options->output, err);
    else if (mkdir(whole.bytes, 0777) && errno != EEXIST)
        status = cannot_write(whole.bytes, err);
    *slash = '/';
    if (status == OK)
        status = write_file(whole.bytes, bytes, err);
    text_release(&whole);
    return status;
}

static enum status write_folder(const struct options *options, const struct report *report,
                                struct error *err)
{
    struct report_sink sink = {(void *)options, put_file};
    return options->format->write_files(report, &sink, err);
}

enum status output_text_or_json(const struct options *options, bool *json, struct error *err)
{
    *json = !strcmp(options->format->name, "json");
    if (*json || options->format == report_format_at(0))
        return OK;
    return error_set(err, USAGE, "%s has no format %s; expected text or json",
                     options->command->name, options->format->name);
}

enum status output_report(const struct options *options, const struct report *report,
                          struct error *err)
{
    struct text out = {0};
    if (options->output && options->format->write_files)
        return write_folder(options, report, err);
    options->format->write(report, output_style(options), &out);
    enum status status = output_write(options, &out, err);
    text_release(&out);
    return status;
}

enum status output_trial(const struct options *options, const struct report *report,
                         struct error *err)
{
    struct text out = {0};
    if (options->output && options->format->write_files)
        return write_folder(options, report, err);
    options->format->write_trial(report, output_style(options), &out);
    enum status status = output_write(options, &out, err);
    text_release(&out);
    return status;
}
