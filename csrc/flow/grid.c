/* Time grids of flow matching. Reference: f5_tts.model.utils.get_epss_timesteps, torch.linspace and the sway of
 * f5_tts.model.cfm.CFM.sample. All operations are in float32, in the reference's order: a more accurate result would be
 * a different grid. */
#include <math.h>

#include "base/base.h"
#include "base/defaults.h"
#include "flow/flow.h"

/* Times in 1/32 (arXiv 2505.19931). */
typedef struct epss_table {
    int nfe;
    unsigned char times[17];
} epss_table;

static const epss_table epss_tables[] = {
    {5, {0, 2, 4, 8, 16, 32}},
    {6, {0, 2, 4, 6, 8, 16, 32}},
    {7, {0, 2, 4, 6, 8, 16, 24, 32}},
    {10, {0, 2, 4, 6, 8, 12, 16, 20, 24, 28, 32}},
    {12, {0, 2, 4, 6, 8, 10, 12, 14, 16, 20, 24, 28, 32}},
    {16, {0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32}},
};

/* torch.linspace(0, 1, nfe + 1), which counts from the nearer end. */
static void uniform(int nfe, float *t) {
    int n = nfe + 1;
    float step = 1.0f / (float)nfe;
    for (int i = 0; i < n; i++) t[i] = i < n / 2 ? step * (float)i : 1.0f - step * (float)(n - 1 - i);
}

ishow_status ishow_grid_make(ishow_grid_kind kind, int nfe, double sway, float *t, ishow_error *error) {
    if (nfe < ISHOW_NFE_MIN || nfe > ISHOW_NFE_MAX)
        return ishow_fail(error, ISHOW_EINVAL, "nfe_step", "nfe_step must be %d to %d, got %d", ISHOW_NFE_MIN,
                          ISHOW_NFE_MAX, nfe);
    if (!(sway >= ISHOW_SWAY_MIN && sway <= ISHOW_SWAY_MAX))
        return ishow_fail(error, ISHOW_EINVAL, "sway_sampling_coef", "sway_sampling_coef must be %g to %.4f, got %g",
                          ISHOW_SWAY_MIN, ISHOW_SWAY_MAX, sway);
    if (kind != ISHOW_GRID_EPSS && kind != ISHOW_GRID_UNIFORM)
        return ishow_fail(error, ISHOW_EINVAL, "grid", "grid must be epss or uniform, got kind %d", (int)kind);

    const epss_table *table = NULL;
    for (size_t i = 0; kind == ISHOW_GRID_EPSS && i < sizeof epss_tables / sizeof *epss_tables; i++)
        if (epss_tables[i].nfe == nfe) table = &epss_tables[i];
    if (table)
        for (int i = 0; i <= nfe; i++) t[i] = (float)table->times[i] * (1.0f / 32.0f);
    else
        uniform(nfe, t);

    float s = (float)sway, half_pi = (float)(3.14159265358979323846 / 2);
    for (int i = 0; i <= nfe; i++) t[i] = t[i] + s * (cosf(half_pi * t[i]) - 1.0f + t[i]);
    return ISHOW_OK;
}
