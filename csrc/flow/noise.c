/* Gaussian noise by seed and position. The generator is counter-based, so a row's noise depends on its seed only: not
 * on the other rows of its batch, not on its length. The transform is computed in double and rounded, so that
 * differences between math libraries in the last bit do not reach the float. */
#include <math.h>
#include <string.h>

#include "flow/philox.h"
#include "flow/flow.h"

/* Block `index` has positions 4 * index .. 4 * index + 3. */
static void normals(const uint32_t key[2], uint64_t index, float out[4]) {
    uint32_t counter[4] = {(uint32_t)index, (uint32_t)(index >> 32), 0, 0}, bits[4];
    ishow_philox4x32_10(counter, key, bits);
    for (int pair = 0; pair < 4; pair += 2) {
        double u = ((double)bits[pair] + 0.5) * 0x1p-32, v = ((double)bits[pair + 1] + 0.5) * 0x1p-32;
        double radius = sqrt(-2.0 * log(u)), angle = 6.28318530717958647692 * v;
        out[pair] = (float)(radius * cos(angle));
        out[pair + 1] = (float)(radius * sin(angle));
    }
}

void ishow_noise_fill(uint64_t seed, float *out, size_t n) {
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    size_t blocks = n / 4, rest = n % 4;
    for (size_t i = 0; i < blocks; i++) normals(key, i, out + 4 * i);
    if (rest) {
        float last[4];
        normals(key, blocks, last);
        memcpy(out + 4 * blocks, last, rest * sizeof *out);
    }
}
