/* The few functions of libtorch_cpu.so and of a compiled graph that the AOTInductor backend calls, found by dlsym.
 * Torch's own headers for this C ABI need C++, so the prototypes are declared here
 * (torch/csrc/inductor/aoti_torch/c/shim.h, aoti_runtime/interface.h). Private to model/. Torch itself stays loaded for
 * the life of the process: it keeps thread-local state that outlives any user. */
#ifndef ISHOW_MODEL_TORCH_ABI_H
#define ISHOW_MODEL_TORCH_ABI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ishow.h"

#define ISHOW_GRAPH_INPUTS_MAX 8
#define ISHOW_GRAPH_DIMS_MAX   4

typedef struct AtenTensorOpaque *ishow_tensor_handle;
typedef struct AOTInductorModelContainerOpaque *ishow_container_handle;

typedef struct ishow_torch {
    int32_t float32, int64, cpu, strided;
    int32_t (*from_blob)(void *data, int64_t ndim, const int64_t *sizes, const int64_t *strides, int64_t offset,
                         int32_t dtype, int32_t device_type, int32_t device_index, ishow_tensor_handle *out,
                         int32_t layout, const uint8_t *opaque_metadata, int64_t opaque_metadata_size);
    int32_t (*data_ptr)(ishow_tensor_handle tensor, void **out);
    int32_t (*delete_tensor)(ishow_tensor_handle tensor);
    int32_t (*get_dim)(ishow_tensor_handle tensor, int64_t *out);
    int32_t (*get_sizes)(ishow_tensor_handle tensor, int64_t **out);
    int32_t (*get_dtype)(ishow_tensor_handle tensor, int32_t *out);
    int32_t (*is_contiguous)(ishow_tensor_handle tensor, bool *out);
    void (*grad_mode)(bool enabled);
    void (*set_threads)(int threads); /* of the calling thread's parallel regions */
} ishow_torch;

/* A tensor over the caller's memory: contiguous, never copied. */
typedef struct ishow_tensor {
    const void *data;
    int is_int64; /* else float32 */
    int ndim;
    int64_t sizes[ISHOW_GRAPH_DIMS_MAX];
} ishow_tensor;

typedef struct ishow_graph {
    const char *name; /* static storage, for messages */
    void *library;
    ishow_container_handle container;
    int32_t (*run)(ishow_container_handle container, ishow_tensor_handle *inputs, size_t n_inputs,
                   ishow_tensor_handle *outputs, size_t n_outputs, void *stream, void *proxy_executor);
    int32_t (*destroy)(ishow_container_handle container);
    int32_t (*last_error)(const char **message);
    size_t n_inputs;
} ishow_graph;

/* Loads <lib_dir>/libtorch_cpu.so and fills the table. EIO with the loader's reason. */
ishow_status ishow_torch_load(ishow_torch *out, const char *lib_dir, ishow_error *error);

/* Loads one compiled graph; `weights_dir` is the folder of its constants. EIO when the library cannot be loaded, EMODEL
 * when its constants cannot. */
ishow_status ishow_graph_load(ishow_graph *out, const char *name, const char *library, const char *weights_dir,
                              size_t n_inputs, ishow_error *error);
void ishow_graph_free(ishow_graph *graph); /* a zeroed graph may be freed */

/* Runs the graph and copies its one output (float32, shape `out_sizes`) into the `parts` equal pieces out[0..parts), in
 * order. EMODEL when the graph fails or answers with another shape. */
ishow_status ishow_graph_run(const ishow_torch *torch, const ishow_graph *graph, const ishow_tensor *inputs,
                             size_t n_inputs, const int64_t *out_sizes, int out_ndim, float *const *out, size_t parts,
                             ishow_error *error);

#endif
