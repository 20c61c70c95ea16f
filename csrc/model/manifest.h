/* manifest.json of a compiled package: its graphs and the machine it is for. Private to model/. */
#ifndef ISHOW_MODEL_MANIFEST_H
#define ISHOW_MODEL_MANIFEST_H

#include "model/model.h"

enum {
    ISHOW_GRAPH_ENCODE,
    ISHOW_GRAPH_MODULATE,
    ISHOW_GRAPH_STEP,
    ISHOW_GRAPH_VOCODE,
    ISHOW_GRAPH_DURATIONS,
    ISHOW_GRAPHS
};

extern const char *const ishow_graph_names[ISHOW_GRAPHS];

typedef struct ishow_manifest {
    ishow_model_info info;
    char torch[64];                  /* version of torch that compiled it */
    size_t min_frames;               /* shortest row the graphs take */
    size_t min_tokens;               /* shortest sequence of phones */
    size_t min_times;                /* shortest list of times modulate takes */
    int64_t n_tokens;                /* token ids are in 0..n_tokens - 1 */
    char library[ISHOW_GRAPHS][512]; /* absolute; "" where there is no such graph */
    char weights[ISHOW_GRAPHS][512]; /* absolute folder */
} ishow_manifest;

/* Reads and checks <dir>/manifest.json: format, every field's type and range, this machine's instruction set. ENOTFOUND
 * when there is none; EFORMAT with the reason. */
ishow_status ishow_manifest_read(ishow_manifest *out, const char *dir, ishow_error *error);

/* EFORMAT unless the torch whose libraries are in `torch_lib_dir` is the version that compiled the package. */
ishow_status ishow_manifest_check_torch(const ishow_manifest *manifest, const char *torch_lib_dir, ishow_error *error);

#endif
