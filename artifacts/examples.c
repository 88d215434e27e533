/* SPDX-License-Identifier: Apache-2.0 */
#include "artifacts/examples.h"

#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static json_t *describe(const struct example *example)
{
    json_t *object = json_pack("{s:s, s:s}", "input", example->input, "target", example->target);
    if (object && example->rationale)
        json_object_set_new(object, "rationale", json_string(example->rationale));
    return object;
}

enum status examples_write(const struct dataset *data, const struct kept *kept,
                           struct folder *folder, struct error *err)
{
    enum status status = folder_open_file(folder, EXAMPLES_FILE, err);
    for (size_t i = 0; i < kept->count && status == OK; i++) {
        json_t *object = describe(&data->examples[kept->rows[i]]);
        char *line = object ? json_dumps(object, JSON_COMPACT) : NULL;
        if (!line)
            status =
                error_set(err, FAILED, "an example is not valid UTF-8, so JSON cannot hold it");
        else if ((status = folder_write(folder, line, strlen(line), err)) == OK)
            status = folder_write(folder, "\n", 1, err);
        free(line);
        json_decref(object);
    }
    return status == OK ? folder_close_file(folder, err) : status;
}

enum status examples_read(const char *folder, const struct dataset *like, struct dataset *data,
                          struct error *err)
{
    char *path = folder_join(folder, EXAMPLES_FILE);
    struct dataset_options options = {
        .input = "input", .target = "target", .like = like, .field_limit = SIZE_MAX};
    enum status status = dataset_load(path, &options, data, err);
    free(path);
    return status;
}
