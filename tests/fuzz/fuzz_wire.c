/* A message between machines of a cluster: its head, and all that is read from one. */
#include <stdlib.h>

#include "cluster/wire.h"
#include "fuzz.h"

int fuzz_one(const uint8_t *data, size_t n) {
    const unsigned char *bytes;
    size_t n_bytes;
    ishow_request request;
    ishow_error error;
    ishow_timings timings;
    ishow_model_info model;
    json_t *head = wire_read(data, n, &bytes, &n_bytes);
    if (!head) return 0;
    fuzz_must(bytes > data && bytes + n_bytes == data + n);
    wire_read_request(json_object_get(head, "request"), &request);
    json_decref(wire_request(&request));
    wire_read_error(json_object_get(head, "error"), &error);
    wire_read_timings(json_object_get(head, "timings"), &timings);
    wire_read_model(json_object_get(head, "model"), &model);
    const json_t *words = json_object_get(head, "words");
    const size_t count = wire_count_words(words);
    ishow_word *read = calloc(count + 1, sizeof *read);
    wire_read_words(words, 1, read);
    json_decref(wire_words(read, count, 1));
    free(read);
    json_decref(head);
    return 0;
}
