/* A stand-in for libtorch_cpu.so: the same C ABI on plain C tensors, with a count of live ones. The test that loads it
 * builds it. */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fake.h"

static atomic_long live;
static int threads;

int32_t aoti_torch_dtype_float32(void) { return FAKE_FLOAT32; }
int32_t aoti_torch_dtype_int64(void) { return 4; }
int32_t aoti_torch_device_type_cpu(void) { return 0; }
int32_t aoti_torch_layout_strided(void) { return 0; }

int32_t aoti_torch_create_tensor_from_blob_v2(void *data, int64_t ndim, const int64_t *sizes, const int64_t *strides,
                                              int64_t offset, int32_t dtype, int32_t device, int32_t device_index,
                                              fake_tensor **out, int32_t layout, const uint8_t *metadata,
                                              int64_t n_metadata) {
    (void)offset, (void)device, (void)device_index, (void)layout, (void)metadata, (void)n_metadata;
    if (!data || ndim > FAKE_DIMS) return 1;
    fake_tensor *tensor = calloc(1, sizeof *tensor);
    tensor->data = data;
    tensor->ndim = ndim;
    tensor->dtype = dtype;
    int64_t stride = 1;
    for (int64_t i = ndim - 1; i >= 0; i--) {
        tensor->sizes[i] = sizes[i];
        if (strides[i] != stride) tensor->strided = true;
        stride *= sizes[i];
    }
    atomic_fetch_add(&live, 1);
    *out = tensor;
    return 0;
}

int32_t aoti_torch_delete_tensor_object(fake_tensor *tensor) {
    if (tensor->owned) free(tensor->data);
    free(tensor);
    atomic_fetch_sub(&live, 1);
    return 0;
}

int32_t aoti_torch_get_data_ptr(fake_tensor *tensor, void **out) { return *out = tensor->data, 0; }
int32_t aoti_torch_get_dim(fake_tensor *tensor, int64_t *out) { return *out = tensor->ndim, 0; }
int32_t aoti_torch_get_sizes(fake_tensor *tensor, int64_t **out) { return *out = tensor->sizes, 0; }
int32_t aoti_torch_get_dtype(fake_tensor *tensor, int32_t *out) { return *out = tensor->dtype, 0; }
int32_t aoti_torch_is_contiguous(fake_tensor *tensor, bool *out) { return *out = !tensor->strided, 0; }
void aoti_torch_grad_mode_set_enabled(bool enabled) { (void)enabled; }
void _ZN2at15set_num_threadsEi(int n) { threads = n; }

long fake_live_tensors(void) { return atomic_load(&live); }
int fake_threads(void) { return threads; }
