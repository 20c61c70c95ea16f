/* A step as CUDA graphs. Private to model/ and bridge/. Who captures them (torch, in bridge/) gives device addresses
 * and graphs; from then on a step is this library and NVIDIA's driver alone, which is found by dlopen: nothing of CUDA
 * is needed to build. Everything here belongs to one thread at a time. */
#ifndef ISHOW_MODEL_CUDA_H
#define ISHOW_MODEL_CUDA_H

#include <stddef.h>
#include <stdint.h>

#include "model/model.h"

#define ISHOW_CUDA_ROWS   8    /* of one graph, at most */
#define ISHOW_CUDA_FRAMES 8192 /* rows x frames of one graph, at most: what bounds the memory of all */
#define ISHOW_CUDA_GRAPHS 64   /* kept at once; then the one not used for longest goes */

/* The driver's functions under their own names; results are CUresult, handles void *, device addresses uint64_t. */
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
    void *graph; /* CUgraph, alive as long as the owner */
    void *owner; /* given back by drop */
} ishow_cuda_graph;

/* Where graphs come from and on what they work. All of them read and write the same memory, of which each uses the
 * beginning: inputs: x [rows * frames * n_mels], then mod [rows * mod_width], dt [rows], cfg [rows], frames [rows]
 * (each row's own), all fp32; x is updated in place; h: [rows * frames * dim] fp32, conditional, then as much
 * unconditional where guided. */
typedef struct ishow_cuda_options {
    size_t n_mels, dim, mod_width, max_frames;
    uint64_t inputs; /* device, [ISHOW_CUDA_FRAMES * n_mels + ISHOW_CUDA_ROWS * (mod_width + 3)] floats */
    uint64_t h;      /* device, [2 * ISHOW_CUDA_FRAMES * dim] floats */
    /* ENOMEM: the device's memory does not do; graphs are dropped, then smaller ones asked for. */
    ishow_status (*capture)(void *self, size_t rows, size_t frames, int guided, ishow_cuda_graph *out,
                            ishow_error *error);
    void (*drop)(void *self, void *owner); /* of a graph, or of what ishow_cuda_keep was given */
    void *self;                            /* borrowed */
} ishow_cuda_options;

typedef struct ishow_cuda_steps ishow_cuda_steps;

/* driver is borrowed, options are copied. close drops everything that is left. */
ishow_status ishow_cuda_open(ishow_cuda_steps **out, const ishow_cuda_driver *driver, const ishow_cuda_options *options,
                             ishow_error *error);
void ishow_cuda_close(ishow_cuda_steps *steps);

/* Remembers that what a row calls h_cond and h_uncond ([frames * dim] each; addresses, whose contents are never read)
 * lies at `device`, one behind the other. What was known of these addresses is forgotten. The owner is dropped some
 * time after it was forgotten, in another call of keep or in close; after an error at once. */
ishow_status ishow_cuda_keep(ishow_cuda_steps *steps, const float *h_cond, const float *h_uncond, size_t frames,
                             uint64_t device, void *owner, ishow_error *error);
void ishow_cuda_forget(ishow_cuda_steps *steps, const float *h_cond);

/* One step of up to any number of rows: those of like length and guidance share a launch. On out-of-memory it goes on
 * with fewer rows a launch. EINVAL, and nothing is computed: a row has no frames or more than max_frames. */
ishow_status ishow_cuda_step(ishow_cuda_steps *steps, const ishow_step_row *rows, size_t n_rows, ishow_error *error);

#endif
