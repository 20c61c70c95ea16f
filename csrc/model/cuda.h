/* A step as CUDA graphs. Private to model/ and bridge/. torch (in bridge/) captures the graphs and provides device
 * addresses; a step then needs only this library and NVIDIA's driver, which is found by dlopen, so building needs no
 * CUDA. Not thread-safe: one thread at a time. */
#ifndef ISHOW_MODEL_CUDA_H
#define ISHOW_MODEL_CUDA_H

#include <stddef.h>
#include <stdint.h>

#include "model/model.h"

#define ISHOW_CUDA_ROWS   8    /* most rows of one graph */
#define ISHOW_CUDA_FRAMES 8192 /* most rows x frames of one graph; limits the memory shared by all */
#define ISHOW_CUDA_GRAPHS 64   /* most graphs kept; beyond that the least recently used one is dropped */

/* The driver's functions by their own names; results are CUresult, handles void *, device addresses uint64_t. */
typedef struct ishow_cuda_driver {
    void *library, *context;
    int device;
    int (*init)(unsigned flags);
    int (*device_count)(int *count);
    int (*device_get)(int *device, int ordinal);
    int (*device_name)(char *name, int size, int device);
    int (*context_retain)(void **context, int device);
    int (*context_release)(int device);
    int (*context_set)(void *context);
    int (*stream_create)(void **stream, unsigned flags);
    int (*stream_destroy)(void *stream);
    int (*stream_synchronize)(void *stream);
    int (*host_alloc)(void **memory, size_t bytes, unsigned flags);
    int (*host_free)(void *memory);
    int (*to_device)(uint64_t to, const void *from, size_t bytes, void *stream);
    int (*to_host)(void *to, uint64_t from, size_t bytes, void *stream);
    int (*on_device)(uint64_t to, uint64_t from, size_t bytes, void *stream);
    int (*fill)(uint64_t to, unsigned value, size_t words, void *stream);
    int (*instantiate)(void **exec, void *graph, unsigned long long flags);
    int (*exec_destroy)(void *exec);
    int (*launch)(void *exec, void *stream);
    int (*error_text)(int result, const char **text);
} ishow_cuda_driver;

/* Loads $ISHOWTTS_CUDA_DRIVER (unset: libcuda.so.1) and retains the primary context of the first device, which torch
 * uses too. ENOTFOUND: no driver or no device. Close it once. */
ishow_status ishow_cuda_driver_open(ishow_cuda_driver *out, ishow_error *error);
void ishow_cuda_driver_close(ishow_cuda_driver *driver);

/* A captured step. */
typedef struct ishow_cuda_graph {
    void *graph; /* CUgraph, valid as long as its owner */
    void *owner; /* passed to drop */
} ishow_cuda_graph;

/* How graphs are captured, and the memory that all of them use, each its beginning. inputs: x [rows * frames * n_mels],
 * then mod [rows * mod_width], dt [rows], cfg [rows], frames [rows] (each row's own), all fp32; x is updated in place.
 * h: [rows * frames * dim] fp32, conditional, then the same unconditional where guided. */
typedef struct ishow_cuda_options {
    size_t n_mels, dim, mod_width, max_frames;
    uint64_t inputs; /* device, [ISHOW_CUDA_FRAMES * n_mels + ISHOW_CUDA_ROWS * (mod_width + 3)] floats */
    uint64_t h;      /* device, [2 * ISHOW_CUDA_FRAMES * dim] floats */
    /* ENOMEM: out of device memory; graphs are then dropped and smaller ones requested. */
    ishow_status (*capture)(void *self, size_t rows, size_t frames, int guided, ishow_cuda_graph *out,
                            ishow_error *error);
    void (*drop)(void *self, void *owner); /* the owner of a graph, or that passed to ishow_cuda_keep */
    void *self;                            /* borrowed */
} ishow_cuda_options;

typedef struct ishow_cuda_steps ishow_cuda_steps;

/* driver is borrowed, options are copied. close drops all owners. */
ishow_status ishow_cuda_open(ishow_cuda_steps **out, const ishow_cuda_driver *driver, const ishow_cuda_options *options,
                             ishow_error *error);
void ishow_cuda_close(ishow_cuda_steps *steps);

/* Records that a row's h_cond and h_uncond ([frames * dim] each; host addresses used as keys, whose contents are never
 * read) are stored at `device`, one after the other. An earlier entry of these addresses is replaced. Its owner is
 * dropped later, in a call of keep or in close; after an error at once. */
ishow_status ishow_cuda_keep(ishow_cuda_steps *steps, const float *h_cond, const float *h_uncond, size_t frames,
                             uint64_t device, void *owner, ishow_error *error);
void ishow_cuda_forget(ishow_cuda_steps *steps, const float *h_cond);

/* One step of any number of rows: rows of similar length and the same guidance share a launch. Out of memory it
 * continues with fewer rows a launch. EINVAL, and nothing is computed: a row has no frames or more than max_frames. */
ishow_status ishow_cuda_step(ishow_cuda_steps *steps, const ishow_step_row *rows, size_t n_rows, ishow_error *error);

#endif
