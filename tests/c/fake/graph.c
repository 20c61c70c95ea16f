/* A stand-in for one compiled graph. The file `spec` in its weights folder says what it computes: "<graph> <inputs>
 * <width> <mode>"; mode "shape" returns a wrong shape, "fail" fails, "nan" returns NaN. Like a real graph it takes
 * ownership of its inputs. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake.h"

int32_t aoti_torch_create_tensor_from_blob_v2(void *data, int64_t ndim, const int64_t *sizes, const int64_t *strides,
                                              int64_t offset, int32_t dtype, int32_t device, int32_t device_index,
                                              fake_tensor **out, int32_t layout, const uint8_t *metadata,
                                              int64_t n_metadata);
int32_t aoti_torch_delete_tensor_object(fake_tensor *tensor);

typedef struct container {
    char graph[16], mode[16];
    size_t inputs;
    int64_t width;
} container;

static const char *last_error = "";

int32_t AOTInductorGetLastError(const char **message) { return *message = last_error, 0; }

int32_t AOTInductorModelContainerCreateWithDevice(container **out, size_t models, const char *device,
                                                  const char *weights_dir) {
    char path[4096];
    container made = {.inputs = 0};
    int n = 0;
    (void)models, (void)device;
    snprintf(path, sizeof path, "%s/spec", weights_dir);
    FILE *file = fopen(path, "r");
    if (file) {
        long width = 0;
        n = fscanf(file, "%15s %zu %ld %15s", made.graph, &made.inputs, &width, made.mode);
        made.width = width;
        fclose(file);
    }
    if (n != 4) return last_error = "the weights cannot be read", 1;
    *out = malloc(sizeof made);
    **out = made;
    return 0;
}

int32_t AOTInductorModelContainerDelete(container *self) { return free(self), 0; }
int32_t AOTInductorModelContainerGetNumInputs(container *self, size_t *out) { return *out = self->inputs, 0; }
int32_t AOTInductorModelContainerGetNumOutputs(container *self, size_t *out) { return (void)self, *out = 1, 0; }

static fake_tensor *output(int64_t ndim, const int64_t *sizes) {
    int64_t strides[FAKE_DIMS], n = 1;
    fake_tensor *tensor = NULL;
    for (int64_t i = ndim - 1; i >= 0; i--) {
        strides[i] = n;
        n *= sizes[i];
    }
    aoti_torch_create_tensor_from_blob_v2(calloc((size_t)n, sizeof(float)), ndim, sizes, strides, 0, FAKE_FLOAT32, 0, 0,
                                          &tensor, 0, NULL, 0);
    tensor->owned = true;
    return tensor;
}

static fake_tensor *encode(const container *self, fake_tensor **in) {
    const int64_t frames = in[1]->sizes[1], mels = in[1]->sizes[2], *tokens = in[0]->data,
                  *ref = in[self->inputs - 1]->data;
    fake_tensor *out = output(3, (int64_t[]){2, frames, self->width});
    float *h = out->data;
    const float *cond = in[1]->data, *phase = self->inputs == 5 ? in[3]->data : NULL;
    const int64_t *index = self->inputs >= 4 ? in[2]->data : NULL;
    for (int64_t t = 0; t < frames; t++) {
        float value = (float)tokens[index ? index[t] : t] + (phase ? phase[t] : 0) + (t < *ref ? cond[t * mels] : 0);
        for (int64_t d = 0; d < self->width; d++) {
            h[t * self->width + d] = value;
            h[(frames + t) * self->width + d] = -value;
        }
    }
    return out;
}

static fake_tensor *modulate(const container *self, fake_tensor **in) {
    fake_tensor *out = output(2, (int64_t[]){in[0]->sizes[0], self->width});
    for (int64_t i = 0; i < in[0]->sizes[0]; i++)
        for (int64_t j = 0; j < self->width; j++)
            ((float *)out->data)[i * self->width + j] =
                ((float *)in[0]->data)[i] * (float)(j + 1) + (self->inputs > 1 ? ((float *)in[1]->data)[i] : 0);
    return out;
}

static fake_tensor *step(const container *self, fake_tensor **in) {
    const int64_t frames = in[0]->sizes[1], mels = in[0]->sizes[2], dim = self->width;
    fake_tensor *out = output(3, in[0]->sizes);
    const float *x = in[0]->data, *h = in[1]->data, *mod = in[2]->data, *dt = in[3]->data, *cfg = in[4]->data;
    for (int64_t t = 0; t < frames; t++)
        for (int64_t m = 0; m < mels; m++) {
            float cond = h[t * dim] + mod[0], uncond = h[(frames + t) * dim] + mod[0];
            ((float *)out->data)[t * mels + m] = x[t * mels + m] + *dt * (cond + (cond - uncond) * *cfg);
        }
    return out;
}

static fake_tensor *vocode(const container *self, fake_tensor **in) {
    const int64_t frames = in[0]->sizes[1], mels = in[0]->sizes[2];
    fake_tensor *out = output(4, (int64_t[]){1, 2, frames, self->width});
    for (int64_t part = 0; part < 2; part++)
        for (int64_t t = 0; t < frames; t++)
            ((float *)out->data)[(part * frames + t) * self->width] = ((float *)in[0]->data)[t * mels] + (float)part;
    return out;
}

static fake_tensor *durations(const container *self, fake_tensor **in) {
    fake_tensor *out = output(2, in[0]->sizes);
    (void)self;
    for (int64_t i = 0; i < in[0]->sizes[1]; i++) ((float *)out->data)[i] = 2.0f * (float)((int64_t *)in[0]->data)[i];
    return out;
}

int32_t AOTInductorModelContainerRun(container *self, fake_tensor **in, size_t n_in, fake_tensor **out, size_t n_out,
                                     void *stream, void *proxy) {
    static const struct {
        const char *name;
        fake_tensor *(*run)(const container *, fake_tensor **);
    } graphs[] = {
        {"encode", encode}, {"modulate", modulate}, {"step", step}, {"vocode", vocode}, {"durations", durations}};
    int32_t code = 0;
    (void)n_out, (void)stream, (void)proxy;
    if (strcmp(self->mode, "fail") == 0) last_error = "a kernel gave up", code = 1;
    for (size_t i = 0; !code && i < sizeof graphs / sizeof *graphs; i++)
        if (strcmp(self->graph, graphs[i].name) == 0) *out = graphs[i].run(self, in);
    if (!code && strcmp(self->mode, "shape") == 0) (*out)->sizes[1]++;
    if (!code && strcmp(self->mode, "nan") == 0) *(float *)(*out)->data = NAN;
    for (size_t i = 0; i < n_in; i++) aoti_torch_delete_tensor_object(in[i]);
    return code;
}
