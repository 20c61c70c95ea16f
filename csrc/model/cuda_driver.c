/* Loads NVIDIA's driver by dlopen. Names have the suffix (_v2) that cuda.h maps them to, which is the version with
 * 64-bit addresses. */
#include <dlfcn.h>
#include <stdlib.h>

#include "base/base.h"
#include "model/cuda.h"
#include "model/symbol.h"

ishow_status ishow_cuda_driver_open(ishow_cuda_driver *out, ishow_error *error) {
    const char *path = getenv("ISHOWTTS_CUDA_DRIVER");
    if (!path || !*path) path = "libcuda.so.1";
    *out = (ishow_cuda_driver){.library = dlopen(path, RTLD_NOW | RTLD_LOCAL)};
    if (!out->library)
        return ishow_fail(error, ISHOW_ENOTFOUND, "backend", "There is no NVIDIA driver here: %s", dlerror());
    const struct {
        const char *name;
        void *function;
    } wanted[] = {
        {"cuInit", &out->init},
        {"cuDeviceGetCount", &out->device_count},
        {"cuDeviceGet", &out->device_get},
        {"cuDeviceGetName", &out->device_name},
        {"cuDevicePrimaryCtxRetain", &out->context_retain},
        {"cuDevicePrimaryCtxRelease_v2", &out->context_release},
        {"cuCtxSetCurrent", &out->context_set},
        {"cuStreamCreate", &out->stream_create},
        {"cuStreamDestroy_v2", &out->stream_destroy},
        {"cuStreamSynchronize", &out->stream_synchronize},
        {"cuMemHostAlloc", &out->host_alloc},
        {"cuMemFreeHost", &out->host_free},
        {"cuMemcpyHtoDAsync_v2", &out->to_device},
        {"cuMemcpyDtoHAsync_v2", &out->to_host},
        {"cuMemcpyDtoDAsync_v2", &out->on_device},
        {"cuMemsetD32Async", &out->fill},
        {"cuGraphInstantiateWithFlags", &out->instantiate},
        {"cuGraphExecDestroy", &out->exec_destroy},
        {"cuGraphLaunch", &out->launch},
        {"cuGetErrorString", &out->error_text},
    };
    char name[128] = "";
    int count = 0, result;
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        if (symbol_find(out->library, wanted[i].name, wanted[i].function)) continue;
        ishow_fail(error, ISHOW_ENOTFOUND, "backend", "%s has no function %s: the NVIDIA driver is too old.", path,
                   wanted[i].name);
        goto failed;
    }
    if ((result = out->init(0)) || (result = out->device_count(&count)) || count < 1) {
        const char *text = NULL;
        if (!result || out->error_text(result, &text) || !text) text = "it finds no device";
        ishow_fail(error, ISHOW_ENOTFOUND, "backend", "The NVIDIA driver cannot be used: %s.", text);
        goto failed;
    }
    if (out->device_get(&out->device, 0) || out->device_name(name, sizeof name, out->device) ||
        out->context_retain(&out->context, out->device)) {
        ishow_fail(error, ISHOW_ENOTFOUND, "backend", "The first CUDA device cannot be used.");
        goto failed;
    }
    ishow_log(ISHOW_LOG_DEBUG, "cuda", "device 0 of %d is %s", count, name);
    return ISHOW_OK;
failed:
    dlclose(out->library);
    *out = (ishow_cuda_driver){0};
    return ISHOW_ENOTFOUND;
}

void ishow_cuda_driver_close(ishow_cuda_driver *driver) {
    if (driver->context) driver->context_release(driver->device);
    if (driver->library) dlclose(driver->library);
    *driver = (ishow_cuda_driver){0};
}
