/* The embedded interpreter, and the parts of the C core that are implemented in Python. This header does not depend on
 * Python.
 *
 * A C program starts the interpreter of the environment that it was built in, by one bridge; inside `python` every
 * engine attaches a bridge of its own to the running interpreter. Lifetimes: start the bridge first, stop it last.
 * Except for start, attach and stop, functions are called without the interpreter lock, from any thread; each takes
 * the lock while it needs it. */
#ifndef ISHOW_BRIDGE_BRIDGE_H
#define ISHOW_BRIDGE_BRIDGE_H

#include "engine/engine.h"
#include "model/model.h"
#include "ishow.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ishow_bridge ishow_bridge;

/* Starts an isolated interpreter (utf8 mode, no signal handlers) as the environment's own `python` at `program`
 * (NULL: $ISHOWTTS_PYTHON, else the path built in). $ISHOWTTS_PATH, a source tree, goes before its packages. Main
 * thread only. The interpreter lock is released on return. EPYTHON with the reason. */
ISHOW_API ishow_status ishow_bridge_start(ishow_bridge **out, const char *program, ishow_error *error);

/* Attaches to the running interpreter; the caller holds the interpreter lock. */
ISHOW_API ishow_status ishow_bridge_attach(ishow_bridge **out, ishow_error *error);

/* Finalises an interpreter that was started (main thread, everything else joined), detaches from one that was
 * attached. */
ISHOW_API void ishow_bridge_stop(ishow_bridge *bridge);

/* Runs ishowtts.config: reads the file (NULL: defaults only), the environment and "key=value" overrides; *json
 * (free()) is the checked configuration in the shape that server/ reads. EINVAL with file, line or field and the
 * allowed range. */
ISHOW_API ishow_status ishow_bridge_config(ishow_bridge *bridge, const char *path, const char *const *overrides,
                                           size_t n_overrides, char **json, ishow_error *error);

/* The text front end of a model reference ("demo", a folder, a hub name). Does not import torch. */
ishow_status ishow_bridge_frontend(ishow_bridge *bridge, const char *model, ishow_text_frontend *out,
                                   ishow_error *error);

/* Opens a model. `precision`: NULL or "auto" for what suits the processor. `backend`:
 *   "cuda"     the first GPU: ENOTFOUND where there is none, torch was built without CUDA, or the precision is only the
 * native backend's; imports torch; "native"   the core's own kernels: EINVAL when the model has parts that only torch
 * runs; "package"  the compiled package of this machine when it is current, otherwise the Python backend, with *pending
 * = 1 when a package could be compiled; "eager", "compile"  the Python backend, plain or through torch.compile: imports
 * torch, about a second; "auto"     cuda where that opens and the model is not small, else native where the processor
 * has kernels and the model allows, else as "package". */
ishow_status ishow_bridge_open(ishow_bridge *bridge, const char *model, const char *precision, const char *backend,
                               int threads, ishow_backend *out, int *pending, ishow_error *error);

/* Opens a model with its text front end and makes an engine of both, which owns them. Arguments as of
 * ishow_bridge_open. */
ISHOW_API ishow_status ishow_bridge_engine(ishow_bridge *bridge, const char *model, const char *precision,
                                           const char *backend, int threads, const ishow_engine_options *options,
                                           ishow_engine **out, int *pending, ishow_error *error);

/* Starts compiling the package in a process of its own at low priority (its messages go to the log at level debug);
 * when it is done, opens it and hands it to the engine by ishow_engine_swap_backend. At most one at a time (EBUSY). The
 * engine must outlive it: call ishow_bridge_compile_stop before ishow_engine_free. Any thread may start; stop must not
 * be called while a start is under way. `compile_state` of ishow_bridge_compile_state: 0 none, 1 running, 2 swapped in,
 * 3 failed (the sentence why in *why). */
ISHOW_API ishow_status ishow_bridge_compile_start(ishow_bridge *bridge, ishow_engine *engine, const char *model,
                                                  const char *precision, int threads, ishow_error *error);
ISHOW_API int ishow_bridge_compile_state(ishow_bridge *bridge, char *why, size_t n_why);
ISHOW_API void ishow_bridge_compile_stop(ishow_bridge *bridge); /* ends the process and joins its thread */

#ifdef __cplusplus
}
#endif
#endif
