/* Shared by the stand-ins for libtorch_cpu.so and for a compiled graph. */
#ifndef FAKE_H
#define FAKE_H

#include <stdbool.h>
#include <stdint.h>

#define FAKE_DIMS    4
#define FAKE_FLOAT32 6

typedef struct fake_tensor {
    void *data;
    int64_t ndim, sizes[FAKE_DIMS];
    int32_t dtype;
    bool owned, strided;
} fake_tensor;

#endif
