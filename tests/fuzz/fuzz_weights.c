/* Weight files: the table of a .safetensors file, its metadata and its tensors. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "model/safetensors.h"

int fuzz_one(const uint8_t *data, size_t n) {
    static const size_t shapes[][2] = {{2, 2}, {4, 1}, {1, 1}};
    char path[40];
    tensor_file *file = NULL;
    ishow_error error;
    float *values = NULL;
    const int fd = memfd_create("weights", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, n) != (ssize_t)n) abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (tensor_file_open(&file, path, &error) == ISHOW_OK) {
        const char *said = tensor_metadata(file, "format");
        fuzz_must(!said || strlen(said) <= n);
        for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
            if (tensor_read(file, "a", shapes[i], 1 + i % 2, &values, &error) == ISHOW_OK) free(values);
            if (tensor_read(file, "b.weight", shapes[i], 2, &values, &error) == ISHOW_OK) free(values);
        }
        fuzz_must(tensor_file_all_read(file, &error) == ISHOW_OK || error.message[0]);
        tensor_file_close(file);
    } else {
        fuzz_must(error.message[0]);
    }
    close(fd);
    return 0;
}
