/* A stand-in for NVIDIA's driver with the functions that the project uses: device addresses are pointers to host
 * memory, a graph is a function with its argument, and every call is synchronous. Tests build it as a shared
 * library. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct fake_graph {
    void (*run)(void *self);
    void *self;
} fake_graph;

int fake_live; /* streams, page-locked blocks, executable graphs and retained contexts */
int fake_launches;
int fake_out_of_memory; /* graphs whose instantiation is to fail */
static int current;     /* a context is */

enum { OUT_OF_MEMORY = 2, NO_CONTEXT = 201 };

static void *pointer(uint64_t address) { return (void *)(uintptr_t)address; }
static int with_context(void) { return current ? 0 : NO_CONTEXT; }

static int make(void **out, size_t bytes) {
    *out = malloc(bytes);
    if (!*out) return OUT_OF_MEMORY;
    fake_live++;
    return with_context();
}

static int unmake(void *handle) {
    free(handle);
    fake_live--;
    return with_context();
}

int cuInit(unsigned flags) { return (int)flags; }
int cuDeviceGetCount(int *count) { return *count = 1, 0; }
int cuDeviceGet(int *device, int ordinal) { return *device = ordinal, 0; }
int cuDeviceGetName(char *name, int size, int device) { return (void)device, strncpy(name, "Fake", (size_t)size), 0; }
int cuDevicePrimaryCtxRetain(void **context, int device) { return (void)device, *context = &current, fake_live++, 0; }
int cuDevicePrimaryCtxRelease_v2(int device) { return (void)device, current = 0, fake_live--, 0; }
int cuCtxSetCurrent(void *context) { return current = context == &current, 0; }
int cuStreamCreate(void **stream, unsigned flags) { return (void)flags, make(stream, 1); }
int cuStreamDestroy_v2(void *stream) { return unmake(stream); }
int cuStreamSynchronize(void *stream) { return (void)stream, with_context(); }

int cuMemHostAlloc(void **memory, size_t bytes, unsigned flags) {
    (void)flags;
    int result = make(memory, bytes);
    if (!result) memset(*memory, 0xFF, bytes); /* no numbers */
    return result;
}

int cuMemFreeHost(void *memory) { return unmake(memory); }
int cuMemcpyHtoDAsync_v2(uint64_t to, const void *from, size_t bytes, void *stream) {
    return (void)stream, memcpy(pointer(to), from, bytes), with_context();
}
int cuMemcpyDtoHAsync_v2(void *to, uint64_t from, size_t bytes, void *stream) {
    return (void)stream, memcpy(to, pointer(from), bytes), with_context();
}
int cuMemcpyDtoDAsync_v2(uint64_t to, uint64_t from, size_t bytes, void *stream) {
    return (void)stream, memcpy(pointer(to), pointer(from), bytes), with_context();
}

int cuMemsetD32Async(uint64_t to, unsigned value, size_t words, void *stream) {
    unsigned *at = pointer(to);
    (void)stream;
    for (size_t i = 0; i < words; i++) at[i] = value;
    return with_context();
}

int cuGraphInstantiateWithFlags(void **exec, void *graph, unsigned long long flags) {
    if (flags != 1 || !graph) return 1;
    if (fake_out_of_memory > 0) return fake_out_of_memory--, OUT_OF_MEMORY;
    if (make(exec, sizeof(fake_graph))) return NO_CONTEXT;
    memcpy(*exec, graph, sizeof(fake_graph));
    return 0;
}

int cuGraphExecDestroy(void *exec) { return unmake(exec); }

int cuGraphLaunch(void *exec, void *stream) {
    const fake_graph *graph = exec;
    (void)stream;
    fake_launches++;
    graph->run(graph->self);
    return with_context();
}

int cuGetErrorString(int result, const char **text) {
    return *text = result == OUT_OF_MEMORY ? "out of memory" : "invalid device context", 0;
}
