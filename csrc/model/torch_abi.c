/* Loads and runs compiled graphs through the C ABI of AOTInductor. `Run` takes its input handles even when it fails;
 * its outputs are owned by the caller. A graph does not check the shapes of its inputs, so callers do; its outputs are
 * checked here. */
#include "model/torch_abi.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "model/symbol.h"

static ishow_status find(void *library, const char *path, const char *name, void *function, ishow_error *error) {
    if (symbol_find(library, name, function)) return ISHOW_OK;
    return ishow_fail(error, ISHOW_EIO, "", "%s has no function %s: it belongs to another version of torch.", path,
                      name);
}

ishow_status ishow_torch_load(ishow_torch *out, const char *lib_dir, ishow_error *error) {
    char path[4096];
    int32_t (*float32)(void) = NULL, (*int64)(void) = NULL, (*cpu)(void) = NULL, (*strided)(void) = NULL;
    snprintf(path, sizeof path, "%s/libtorch_cpu.so", lib_dir);
    void *library = dlopen(path, RTLD_NOW | RTLD_GLOBAL); /* RTLD_GLOBAL: graphs use its symbols */
    if (!library) return ishow_fail(error, ISHOW_EIO, "", "Torch cannot be loaded: %s", dlerror());
    const struct {
        const char *name;
        void *function;
    } wanted[] = {
        {"aoti_torch_dtype_float32", &float32},
        {"aoti_torch_dtype_int64", &int64},
        {"aoti_torch_device_type_cpu", &cpu},
        {"aoti_torch_layout_strided", &strided},
        {"aoti_torch_create_tensor_from_blob_v2", &out->from_blob},
        {"aoti_torch_get_data_ptr", &out->data_ptr},
        {"aoti_torch_delete_tensor_object", &out->delete_tensor},
        {"aoti_torch_get_dim", &out->get_dim},
        {"aoti_torch_get_sizes", &out->get_sizes},
        {"aoti_torch_get_dtype", &out->get_dtype},
        {"aoti_torch_is_contiguous", &out->is_contiguous},
        {"aoti_torch_grad_mode_set_enabled", &out->grad_mode},
    };
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        ishow_status status = find(library, path, wanted[i].name, wanted[i].function, error);
        if (status) return status;
    }
    /* at::set_num_threads(int) also reaches MKL; it is C++, with a mangled name. */
    if (find(library, path, "_ZN2at15set_num_threadsEi", &out->set_threads, NULL) &&
        find(RTLD_DEFAULT, path, "omp_set_num_threads", &out->set_threads, NULL))
        return ishow_fail(error, ISHOW_EIO, "", "%s offers no way to set its number of threads.", path);
    out->float32 = float32();
    out->int64 = int64();
    out->cpu = cpu();
    out->strided = strided();
    return ISHOW_OK;
}

static const char *reason(const ishow_graph *graph) {
    const char *message = NULL;
    if (graph->last_error && graph->last_error(&message) == 0 && message && *message) return message;
    return "no reason was given";
}

ishow_status ishow_graph_load(ishow_graph *out, const char *name, const char *library, const char *weights_dir,
                              size_t n_inputs, ishow_error *error) {
    int32_t (*create)(ishow_container_handle * out, size_t models, const char *device, const char *weights_dir) = NULL;
    int32_t (*count_inputs)(ishow_container_handle container,
                            size_t * out) = NULL,
                                     (*count_outputs)(ishow_container_handle container, size_t * out) = NULL;
    size_t inputs = 0, outputs = 0;
    ishow_status status = ISHOW_OK;
    ishow_graph graph = {.name = name, .n_inputs = n_inputs};
    graph.library = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (!graph.library)
        return ishow_fail(error, ISHOW_EIO, "", "The compiled graph %s cannot be loaded: %s", name, dlerror());
    if ((status = find(graph.library, library, "AOTInductorModelContainerCreateWithDevice", &create, error)) ||
        (status = find(graph.library, library, "AOTInductorModelContainerGetNumInputs", &count_inputs, error)) ||
        (status = find(graph.library, library, "AOTInductorModelContainerGetNumOutputs", &count_outputs, error)) ||
        (status = find(graph.library, library, "AOTInductorModelContainerRun", &graph.run, error)) ||
        (status = find(graph.library, library, "AOTInductorModelContainerDelete", &graph.destroy, error)))
        goto done;
    find(graph.library, library, "AOTInductorGetLastError", &graph.last_error, NULL);
    if (create(&graph.container, 1, "cpu", weights_dir) != 0) {
        graph.container = NULL;
        status =
            ishow_fail(error, ISHOW_EMODEL, "", "The compiled graph %s cannot be set up: %s", name, reason(&graph));
        goto done;
    }
    if (count_inputs(graph.container, &inputs) || count_outputs(graph.container, &outputs) || inputs != n_inputs ||
        outputs != 1)
        status = ishow_fail(error, ISHOW_EFORMAT, "",
                            "The compiled graph %s takes %zu inputs and gives %zu outputs; %zu and 1 were expected.",
                            name, inputs, outputs, n_inputs);
done:
    if (status)
        ishow_graph_free(&graph);
    else
        *out = graph;
    return status;
}

void ishow_graph_free(ishow_graph *graph) {
    if (graph->container) graph->destroy(graph->container);
    if (graph->library) dlclose(graph->library);
    graph->container = NULL;
    graph->library = NULL;
}

static bool has_shape(const ishow_torch *torch, ishow_tensor_handle tensor, const int64_t *sizes, int ndim) {
    int64_t dims = 0, *actual = NULL;
    int32_t dtype = -1;
    bool contiguous = false;
    if (torch->get_dim(tensor, &dims) || torch->get_sizes(tensor, &actual) || torch->get_dtype(tensor, &dtype) ||
        torch->is_contiguous(tensor, &contiguous))
        return false;
    return dims == ndim && dtype == torch->float32 && contiguous &&
           memcmp(actual, sizes, (size_t)ndim * sizeof *sizes) == 0;
}

ishow_status ishow_graph_run(const ishow_torch *torch, const ishow_graph *graph, const ishow_tensor *inputs,
                             size_t n_inputs, const int64_t *out_sizes, int out_ndim, float *const *out, size_t parts,
                             ishow_error *error) {
    ishow_tensor_handle handles[ISHOW_GRAPH_INPUTS_MAX] = {0}, result = NULL;
    ishow_status status = ISHOW_OK;
    size_t made = 0;
    void *data = NULL;
    if (n_inputs != graph->n_inputs) {
        return ishow_fail(error, ISHOW_EINTERNAL, "", "The graph %s takes %zu inputs, not %zu.", graph->name,
                          graph->n_inputs, n_inputs);
    }
    for (; made < n_inputs; made++) {
        const ishow_tensor *in = &inputs[made];
        int64_t strides[ISHOW_GRAPH_DIMS_MAX];
        for (int i = in->ndim - 1, one = 1; i >= 0; i--, one = 0)
            strides[i] = one ? 1 : strides[i + 1] * in->sizes[i + 1];
        void *memory = NULL; /* graphs do not write to their inputs, but the ABI has no const */
        memcpy(&memory, &in->data, sizeof memory);
        if (torch->from_blob(memory, in->ndim, in->sizes, strides, 0, in->is_int64 ? torch->int64 : torch->float32,
                             torch->cpu, 0, &handles[made], torch->strided, NULL, 0) != 0) {
            status = ishow_fail(error, ISHOW_EMODEL, "", "An input of the graph %s could not be wrapped.", graph->name);
            goto done;
        }
    }
    made = 0; /* run takes them over */
    if (graph->run(graph->container, handles, n_inputs, &result, 1, NULL, NULL) != 0) {
        result = NULL;
        status = ishow_fail(error, ISHOW_EMODEL, "", "The compiled graph %s failed: %s", graph->name, reason(graph));
        goto done;
    }
    if (!has_shape(torch, result, out_sizes, out_ndim) || torch->data_ptr(result, &data) != 0) {
        status = ishow_fail(error, ISHOW_EMODEL, "",
                            "The compiled graph %s returned another shape than its manifest states.", graph->name);
        goto done;
    }
    size_t values = 1;
    for (int i = 0; i < out_ndim; i++) values *= (size_t)out_sizes[i];
    values /= parts;
    for (size_t i = 0; i < parts; i++) memcpy(out[i], (const float *)data + i * values, values * sizeof(float));
done:
    for (size_t i = 0; i < made; i++) torch->delete_tensor(handles[i]);
    if (result) torch->delete_tensor(result);
    return status;
}
