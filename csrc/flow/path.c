/* The integration path of a row as a list of model calls: times, step sizes, and where guidance is applied. Reference:
 * torchdiffeq's fixed-grid Euler and midpoint, computed in float32 as it does. */
#include <string.h>

#include "base/base.h"
#include "flow/flow.h"

const char *const ishow_solver_names[] = {[ISHOW_SOLVER_EULER] = "euler", [ISHOW_SOLVER_MIDPOINT] = "midpoint"};

ishow_status ishow_solver_read(const char *name, ishow_solver *out, ishow_error *error) {
    for (size_t i = 0; i < sizeof ishow_solver_names / sizeof *ishow_solver_names; i++)
        if (!strcmp(ishow_solver_names[i], name)) {
            *out = (ishow_solver)i;
            return ISHOW_OK;
        }
    return ishow_fail(error, ISHOW_EINVAL, "solver", "solver must be euler or midpoint, not \"%.64s\"", name);
}

int ishow_path_calls(const ishow_path *path) {
    return path->solver == ISHOW_SOLVER_MIDPOINT ? 2 * path->nfe : path->nfe;
}

ishow_call ishow_path_call(const ishow_path *path, int number) {
    const int two = path->solver == ISHOW_SOLVER_MIDPOINT, step = two ? number / 2 : number,
              half = two && number % 2 == 0;
    const float whole = path->t[step + 1] - path->t[step];
    ishow_call call = {.t = path->t[step], .dt = half ? 0.5f * whole : whole, .half = half};
    if (two && !half) call.t += 0.5f * whole;
    const int guided = path->cfg != 0 && call.t >= path->guided_from && call.t < path->guided_to;
    call.guided = guided && !path->embedded;
    call.guidance = guided && path->embedded ? path->cfg : 0;
    return call;
}

double ishow_path_work(const ishow_path *path, int first, size_t frames, size_t known, size_t unguided) {
    double work = 0;
    for (int i = first; i < ishow_path_calls(path); i++)
        work += ishow_call_work(ishow_path_call(path, i).guided, frames, known, unguided);
    return work;
}
