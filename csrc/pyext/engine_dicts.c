/* Descriptions of an engine, as dicts. */
#include "pyext/engine.h"

#include "pyext/dict.h"

PyObject *pyext_model_info(const ishow_model_info *info) {
    static const char *const layouts[] = {"padded", "average", "aligned"};
    static const member members[] = {MEMBER(ishow_model_info, name, MEMBER_TEXT),
                                     MEMBER(ishow_model_info, backend, MEMBER_TEXT),
                                     MEMBER(ishow_model_info, precision, MEMBER_TEXT),
                                     MEMBER(ishow_model_info, content_hash, MEMBER_TEXT),
                                     MEMBER(ishow_model_info, sample_rate, MEMBER_INT),
                                     MEMBER(ishow_model_info, n_fft, MEMBER_INT),
                                     MEMBER(ishow_model_info, hop, MEMBER_INT),
                                     MEMBER(ishow_model_info, spectrum_fft, MEMBER_INT),
                                     MEMBER(ishow_model_info, spectrum_hop, MEMBER_INT),
                                     MEMBER(ishow_model_info, n_mels, MEMBER_INT),
                                     MEMBER(ishow_model_info, dim, MEMBER_INT),
                                     MEMBER(ishow_model_info, mod_width, MEMBER_INT),
                                     MEMBER(ishow_model_info, predicts_durations, MEMBER_BOOL),
                                     MEMBER(ishow_model_info, uses_prompt, MEMBER_BOOL),
                                     MEMBER(ishow_model_info, guidance_max, MEMBER_FLOAT),
                                     MEMBER(ishow_model_info, max_frames, MEMBER_SIZE),
                                     MEMBER(ishow_model_info, nfe, MEMBER_INT),
                                     MEMBER(ishow_model_info, chunk_frames, MEMBER_SIZE),
                                     MEMBER(ishow_model_info, max_rows, MEMBER_SIZE)};
    PyObject *dict = PYEXT_DICT(members, info), *layout = PyUnicode_FromString(layouts[info->text_layout]);
    if (!dict || !layout || PyDict_SetItemString(dict, "text_layout", layout) < 0 ||
        PyDict_SetItemString(dict, "clip_needs_text", ishow_clip_needs_text(info) ? Py_True : Py_False) < 0)
        Py_CLEAR(dict);
    Py_XDECREF(layout);
    return dict;
}

PyObject *pyext_engine_stats(const ishow_engine_stats *stats) {
    static const member members[] = {MEMBER(ishow_engine_stats, submitted, MEMBER_U64),
                                     MEMBER(ishow_engine_stats, completed, MEMBER_U64),
                                     MEMBER(ishow_engine_stats, failed, MEMBER_U64),
                                     MEMBER(ishow_engine_stats, cancelled, MEMBER_U64),
                                     MEMBER(ishow_engine_stats, refused, MEMBER_U64),
                                     MEMBER(ishow_engine_stats, steps, MEMBER_U64),
                                     MEMBER(ishow_engine_stats, rows, MEMBER_U64),
                                     MEMBER(ishow_engine_stats, retries, MEMBER_U64),
                                     MEMBER(ishow_engine_stats, swaps, MEMBER_U64),
                                     MEMBER(ishow_engine_stats, audio_seconds, MEMBER_DOUBLE),
                                     MEMBER(ishow_engine_stats, model_seconds, MEMBER_DOUBLE),
                                     MEMBER(ishow_engine_stats, busy_seconds, MEMBER_DOUBLE),
                                     MEMBER(ishow_engine_stats, waiting, MEMBER_SIZE),
                                     MEMBER(ishow_engine_stats, in_flight, MEMBER_SIZE),
                                     {"cache_hits", MEMBER_U64, offsetof(ishow_engine_stats, cache.hits)},
                                     {"cache_misses", MEMBER_U64, offsetof(ishow_engine_stats, cache.misses)},
                                     {"cache_evictions", MEMBER_U64, offsetof(ishow_engine_stats, cache.evictions)},
                                     {"cache_bytes", MEMBER_SIZE, offsetof(ishow_engine_stats, cache.bytes)},
                                     {"cache_entries", MEMBER_SIZE, offsetof(ishow_engine_stats, cache.entries)}};
    return PYEXT_DICT(members, stats);
}
